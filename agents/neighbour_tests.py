"""Where a new test goes and what it should look like: the tests beside it, and the code that it is about."""

from __future__ import annotations

import ast
import posixpath
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from agents.replies import TreeTexts, parsed, split_lines
from sandbox.tree import Tree

_MAX_FILES = 400
"""Test files that are looked at."""
_EXAMPLE_LINES, _EXAMPLES, _HEAD_LINES = 40, 2, 25
_SOURCE_LINES = 120
_WORD = re.compile(r"[A-Za-z]{3,}")


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """What a new test file can go by."""

    folder: str
    """Where it goes; "" for the top."""
    pattern: str
    """Its name, with `{}` for what it is about."""
    style: str
    """`pytest`, or `unittest` where the neighbours are classes of `unittest.TestCase`."""
    examples: str
    """Imports and one or two tests of the nearest files; untrusted."""
    texts: str
    """The whole of those files, for what may be used as they use it."""
    fixtures: tuple[str, ...]
    """Names of fixtures that conftest files offer there."""


def neighbourhood(base: Tree, test_files: Sequence[str], places: Sequence[str], request: str) -> Neighbourhood:
    """Return what the test files nearest to the places, or else to the words of the request, look like."""
    texts = TreeTexts(base)
    files = [path for path in test_files if path.endswith(".py") and path in texts][:_MAX_FILES]
    ranked = sorted(files, key=lambda path: (-_nearness(path, texts[path], places, request), len(texts[path]), path))
    nearest = ranked[:_EXAMPLES]
    whole = "\n".join(texts[path] for path in nearest)
    if not nearest:
        folder = next((name for name in ("tests", "test") if any(p.startswith(f"{name}/") for p in base)), "tests")
        return Neighbourhood(folder, "test_{}.py", "pytest", "", "", ())
    folder = posixpath.dirname(nearest[0])
    endings = Counter(posixpath.basename(path).endswith("_test.py") for path in files)
    pattern = "{}_test.py" if endings[True] > endings[False] else "test_{}.py"
    functions = len(re.findall(r"^(?:async )?def test", whole, re.MULTILINE))
    cases = len(re.findall(r"^class \w+\([^)]*TestCase", whole, re.MULTILINE))
    return Neighbourhood(
        folder,
        pattern,
        "unittest" if cases and not functions else "pytest",
        "\n\n".join(f"# {path}\n{_example(texts[path], request, places)}" for path in nearest),
        whole,
        _fixtures(texts, folder),
    )


def _nearness(path: str, text: str, places: Sequence[str], request: str) -> float:
    stem = posixpath.basename(path).removesuffix(".py").removeprefix("test_").removesuffix("_test")
    score = 0.0
    for place in places:
        source, _, name = place.partition("::")
        module = posixpath.basename(source).removesuffix(".py")
        if module == "__init__":
            module = posixpath.basename(posixpath.dirname(source))
        score += 4.0 * (module == stem) + 1.0 * (bool(module) and module in stem)
        score += 2.0 * bool(re.search(rf"^\s*(?:from|import)\b.*\b{re.escape(module)}\b", text, re.MULTILINE))
        last = name.rpartition(".")[2]
        score += 3.0 * (bool(last) and last in text)
    words = {word.lower() for word in _WORD.findall(request[:4000])}
    return score + 1.5 * (stem.lower() in words) + min(1.0, 0.05 * len(words & set(_WORD.findall(text.lower()))))


def _example(text: str, request: str, places: Sequence[str]) -> str:
    """Return a test file's head and the one or two short tests that say most about it."""
    tree = parsed(text)
    lines = split_lines(text)
    if isinstance(tree, str):
        return "\n".join(lines[:_HEAD_LINES])
    tests: list[tuple[str, ast.AST, int, int]] = []
    first = len(lines)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = min(first, _top(node))
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        for one in inner:
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name.startswith("test"):
                head = lines[node.lineno - 1] if isinstance(node, ast.ClassDef) else ""
                tests.append((head, one, _top(one), one.end_lineno or one.lineno))
    words = {word.lower() for word in _WORD.findall(request)} | {place.rpartition(".")[2].lower() for place in places}

    def worth(test: tuple[str, ast.AST, int, int]) -> tuple[bool, int, int]:
        body = "\n".join(lines[test[2] - 1 : test[3]]).lower()
        return test[3] - test[2] >= _EXAMPLE_LINES, -len(words & set(_WORD.findall(body))), test[3] - test[2]

    out = lines[: min(first - 1, _HEAD_LINES)]
    shown_head = ""
    for head, _, start, stop in sorted(tests, key=worth)[:_EXAMPLES]:
        if head and head != shown_head:
            out.append(head)
            shown_head = head
        out += [*lines[start - 1 : min(stop, start - 1 + _EXAMPLE_LINES)], ""]
    return "\n".join(out).strip("\n")


def _top(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _fixtures(texts: TreeTexts, folder: str) -> tuple[str, ...]:
    names: dict[str, None] = {}
    while True:
        tree = parsed(texts.get(posixpath.join(folder, "conftest.py"), ""))
        if not isinstance(tree, str):
            for node in tree.body:
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and any(
                    "fixture" in ast.unparse(decorator) for decorator in node.decorator_list
                ):
                    names[node.name] = None
        if not folder:
            return tuple(names)[:40]
        folder = posixpath.dirname(folder)


def sources(base: Tree, places: Sequence[str], limit: int = 3) -> str:
    """Return the code that a test is about: the functions that the places name, else the heads of their files."""
    texts = TreeTexts(base)
    parts = []
    for place in list(dict.fromkeys(places))[:limit]:
        path, _, name = place.partition("::")
        text = texts.get(path)
        if text is None:
            continue
        lines = split_lines(text)
        start, stop = _span(text, name) if name else (1, len(lines))
        parts.append(f"# {path}\n" + "\n".join(lines[start - 1 : min(stop, start - 1 + _SOURCE_LINES)]))
    return "\n\n".join(parts)


def _span(text: str, name: str) -> tuple[int, int]:
    tree = parsed(text)
    found: tuple[int, int] = (1, _SOURCE_LINES)
    body: Sequence[ast.stmt] = [] if isinstance(tree, str) else tree.body
    for part in name.split("."):
        node = next(
            (
                n
                for n in body
                if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and n.name == part
            ),
            None,
        )
        if node is None:
            break
        found = (_top(node), node.end_lineno or node.lineno)
        body = node.body
    return found


def new_path(paths: Collection[str], around: Neighbourhood, about: str) -> str:
    """Return a path for a new test file; its name is in use nowhere, as pytest may want module names to be unique."""
    slug = re.sub(r"[^a-z0-9]+", "_", about.lower().removeprefix("test")).strip("_")[:40].strip("_") or "request"
    names = {posixpath.basename(path) for path in paths}
    number = 1
    while True:
        name = around.pattern.format(slug if number == 1 else f"{slug}_{number}")
        if name not in names:
            return posixpath.join(around.folder, name)
        number += 1
