"""Reads a reply that holds a test file and says how each of its tests fails; refuses what could prove nothing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agents.asking_forms import one_line
from agents.replies import ReplyRefused, parsed, split_lines
from agents.replies_blocks import fenced
from agents.results import TestFault, TestRefused

MAX_LINES, MAX_TESTS = 300, 12
_FAILS = re.compile(
    r"^[ \t#*>-]{0,12}FAILS\b[ \t*`]*(?:[\w./:]{0,200}(?:::|\.))?(?P<test>test\w{0,100})[ \t*`()]+"
    r"WITH[ \t*`]+(?P<exception>[A-Za-z_][\w.]{0,100})[ \t*`]*(?:BECAUSE\b|:|-)[ \t]*(?P<reason>\S.*)$",
    re.MULTILINE,
)
_VAGUE = frozenset({"Exception", "BaseException", "SyntaxError", "IndentationError", "SystemExit", "KeyboardInterrupt",
                    "NameError", "ImportError", "ModuleNotFoundError", "Timeout", "Warning"})  # fmt: skip
"""What a test may only be stated to fail with where the request speaks of it, or (imports) where something is new."""
IMPORTING = frozenset({"ImportError", "ModuleNotFoundError", "AttributeError", "TypeError"})
"""How a test may fail because what it is about does not exist yet."""
_FORBIDDEN_MODULES = frozenset(
    {"socket", "subprocess", "urllib", "http", "requests", "httpx", "aiohttp", "ftplib", "smtplib", "telnetlib",
     "ctypes", "multiprocessing", "webbrowser", "pty", "signal", "gc", "inspect", "importlib", "_pytest"}
)  # fmt: skip
_FORBIDDEN_NAMES = re.compile(
    r"\bos\.(?:environ|getenv|putenv|system|popen|kill|_exit|fork|exec\w*|spawn\w*|remove|unlink|rmdir|rename|chmod)\b"
    r"|\bshutil\.\w+|\bsys\.(?:exit|modules|settrace|meta_path|path)\b|\b(?:exec|eval|compile|__import__|globals)\("
    r"|\bpytest\.exit\b|\bpytest_plugins\b|\b__builtins__\b|\bbuiltins\."
)
_SKIPPING = re.compile(r"\b(?:skip|skipif|skipIf|skipUnless|xfail|expectedFailure|SkipTest|skipTest|importorskip)\b")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Stated:
    """How a test is said to fail on the base."""

    test: str
    exception: str
    reason: str


@dataclass(frozen=True, slots=True)
class TestFile:
    """A test file as a reply has it."""

    __test__ = False

    text: str
    stated: tuple[Stated, ...]
    """One for each test function, in the order of the file."""


class TestsRefused(ReplyRefused):
    """A reply whose tests are not kept, with every reason."""

    __test__ = False

    def __init__(self, refused: Sequence[TestRefused]) -> None:
        """Tell the model the first reasons."""
        super().__init__("malformed", "; ".join(one.sentence for one in list(refused)[:4]))
        self.refused = tuple(refused)


def refusal(fault: TestFault, sentence: str, test: str = "") -> TestsRefused:
    """Return a refusal for one reason."""
    return TestsRefused([TestRefused(fault, sentence, test)])


def read_test_file(reply: str, request: str, neighbours: str, *, new: bool) -> TestFile:
    """Return what a reply holds.

    `neighbours` is the text of test files that the repository has: what they use may be used. `new` says that what is
    tested does not exist yet, so that a test may fail because it cannot be imported.

    Raises:
        TestsRefused: the file could prove nothing, or does what a test has no business with.

    """
    text = _code(reply)
    tree = parsed(text)
    if isinstance(tree, str):
        raise refusal("unparsable", f"the test file is not valid Python: {tree}")
    tests = list(functions_of_tests(tree))
    if not tests:
        raise refusal("no test", "the block holds no function whose name begins with test_")
    if len(tests) > MAX_TESTS or len(split_lines(text)) > MAX_LINES:
        raise refusal("no test", f"write at most {MAX_TESTS} tests in {MAX_LINES} lines; the fewer the better")
    names = [test.name for test in tests]
    if len(set(names)) != len(names):
        raise refusal("no test", "two tests have the same name")
    said = {found["test"]: found for found in _FAILS.finditer(reply)}
    problems: list[TestRefused] = [*_unseemly(tree, text, neighbours)]
    stated: list[Stated] = []
    for test in tests:
        problems += _hollow(test)
        found = said.get(test.name)
        if found is None:
            line = f"FAILS {test.name} WITH AssertionError BECAUSE ..."
            problems.append(TestRefused("not stated", f"after the block a line `{line}` is missing", test.name))
            continue
        kind = found["exception"].rpartition(".")[2]
        if kind in _VAGUE and kind not in request and not (new and kind in IMPORTING):
            sentence = f"{test.name} may not be meant to fail with {kind}: that would not show what the request says"
            problems.append(TestRefused("bad reason", sentence, test.name))
        stated.append(Stated(test.name, kind, one_line(found["reason"], 300)))
    if problems:
        raise TestsRefused(problems)
    return TestFile(text, tuple(stated))


def _code(reply: str) -> str:
    """Return the one block of code of a reply, without lines that state how tests fail."""
    blocks = [block for block in fenced(reply) if "def test" in block.text or block.info.lower().startswith("py")]
    tests = [block for block in blocks if "def test" in block.text]
    if len(tests) > 1:
        raise refusal("no test", "put all tests into one block: they become one file")
    if not tests:
        raise refusal("no test", "there is no block ```python with a test in it")
    kept = [line for line in tests[0].lines if not _FAILS.match(line)]
    while kept and not kept[-1].strip():
        kept.pop()
    return "".join(f"{line.rstrip()}\n" if not line.strip() else f"{line}\n" for line in kept)


def functions_of_tests(tree: ast.Module) -> Iterator[Function]:
    """Yield the functions that a runner would take for tests, in order."""
    for node in tree.body:
        for one in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(one, Function) and one.name.startswith("test"):
                yield one


def _unseemly(tree: ast.Module, text: str, neighbours: str) -> Iterator[TestRefused]:
    known = {name.split(".")[0] for name in _imports(parsed(neighbours))}
    for name in dict.fromkeys(_imports(tree)):
        top = name.split(".")[0]
        if top in _FORBIDDEN_MODULES and top not in known and f"import {top}" not in neighbours:
            yield TestRefused("forbidden", f"the test may not import {top}")
    for found in dict.fromkeys(match[0] for match in _FORBIDDEN_NAMES.finditer(text)):
        if found not in neighbours:
            yield TestRefused("forbidden", f"the test may not use {found.rstrip('(')}")
    skipping = _SKIPPING.search(text)
    if skipping:
        yield TestRefused("skipped", f"the test may not use {skipping[0]}")
    for node in tree.body:
        plain = ast.Import | ast.ImportFrom | Function | ast.ClassDef | ast.Assign | ast.AnnAssign
        constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not isinstance(node, plain) and not constant:
            yield TestRefused("forbidden", f"line {node.lineno}: only imports, names, classes and functions at the top")
        elif isinstance(node, Function) and node.name.startswith("pytest_"):
            yield TestRefused("forbidden", f"{node.name} would change how tests are run")


def _imports(tree: ast.Module | str) -> Iterator[str]:
    for node in ast.walk(tree) if not isinstance(tree, str) else ():
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _hollow(test: Function) -> Iterator[TestRefused]:
    """Say why a test could fail or pass whatever the code does."""
    checks = 0
    for node in ast.walk(test):
        name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
        checks += isinstance(node, ast.Assert) or name.startswith("assert") or name in {"raises", "warns"}
    if not checks:
        yield TestRefused("asserts nothing", f"{test.name} asserts nothing", test.name)
    for statement in test.body:
        match statement:
            case ast.Raise():
                always = True
            case ast.Assert(test=condition):
                always = not any(isinstance(n, ast.Name | ast.Call | ast.Attribute) for n in ast.walk(condition))
            case ast.Expr(value=ast.Call(func=ast.Attribute(attr="fail"))):
                always = True
            case _:
                always = False
        if always:
            sentence = f"{test.name} fails or passes whatever the code does (line {statement.lineno})"
            yield TestRefused("always fails", sentence, test.name)


def without(text: str, names: Sequence[str]) -> str:
    """Return a test file without some of its tests, and without classes that are left empty."""
    tree = parsed(text)
    lines = split_lines(text)
    if isinstance(tree, str):
        return text
    gone: set[int] = set()
    for node in tree.body:
        inner = [n for n in (node.body if isinstance(node, ast.ClassDef) else [node]) if isinstance(n, Function)]
        leaving = [n for n in inner if n.name in names]
        whole = isinstance(node, ast.ClassDef) and leaving and not any(
            n.name.startswith("test") and n.name not in names for n in inner
        )  # fmt: skip
        for one in [node] if whole else leaving:
            if isinstance(one, Function | ast.ClassDef):
                start = min([one.lineno, *(decorator.lineno for decorator in one.decorator_list)])
                gone.update(range(start, (one.end_lineno or one.lineno) + 1))
    kept = [line for number, line in enumerate(lines, 1) if number not in gone]
    joined = re.sub(r"\n{4,}", "\n\n\n", "\n".join(kept).strip("\n"))
    return f"{joined}\n"
