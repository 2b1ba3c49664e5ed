"""A stranger's reading of a diff, without a model: what should not be merged without a word."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from sandbox.syntax import parse
from sandbox.workspace import apply
from workflows.findings import Finding, inspect_files, new_findings
from workflows.gate.static import surface_of
from workflows.steps.select import changed_lines
from workflows.verdicts import GateCase, GateReport

Kind = Literal["size", "debugging", "secret", "test-weakened", "security", "leftover", "flag"]
MANY_FILES = 5
MANY_LINES = 200
_DEBUGGERS = frozenset({"pdb", "ipdb", "pudb", "rpdb", "web_pdb", "icecream", "snoop", "pysnooper"})
_MARKER = re.compile(r"^(?:<{7}|={7}|>{7}) ?|^\s*(?:#|//|/\*).*\b(?:TODO|FIXME|XXX|HACK)\b")
_STOPS = re.compile(r"^\s*(?:debugger\s*;?\s*$|binding\.pry\b|byebug\s*$|import\s+pdb\b)|\bdbg!\s*\(|\bvar_dump\s*\(")
"""Lines of other languages that stop in a debugger, or print for whoever wrote them."""
_TOLD = re.compile(r"\bconsole\.(?:log|debug|trace)\s*\(")
_SCRATCH = re.compile(
    r"(?:^|/)(?:(?:repro|reproduce|debug|scratch|tmp|temp|demo_?bug)\w*\.(?:py|sh|js|ts|txt)"
    r"|.*(?:\.orig|\.rej|\.bak|\.swp|\.log|\.pyc|~))$"
)
"""New files that are left over from the work on the diff."""
_LOOSENING = frozenset(
    {"skip", "skipif", "xfail", "skipIf", "skipUnless", "expectedFailure", "SkipTest", "importorskip"}
)


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that a reader of the diff should know."""

    kind: Kind
    sentence: str
    blocking: bool = False
    """Whether the diff should not be delivered as it is."""
    path: str = ""
    line: int = 0

    def __str__(self) -> str:
        """Return the remark with its place."""
        return f"{self.path}:{self.line}: {self.sentence}" if self.path and self.line else self.sentence


def read_as_stranger(case: GateCase, report: GateReport) -> tuple[Remark, ...]:
    """Return the remarks about a judged patch, blocking ones first; flags of the gate are among them.

    Raises:
        PatchError: the patch does not apply.
        Unusable: the linter cannot be run.

    """
    base, surface = case.base, surface_of(case)
    after = apply(base, case.patch)
    changed = base.changed_paths(after)
    before_files = {p: base[p].data for p in changed if p in base}
    after_files = {p: after[p].data for p in changed if p in after}
    remarks = [*_size(changed, case.patch), *(Remark("flag", check.reason) for check in report.flagged)]
    for path in changed:
        old, new = before_files.get(path, b""), after_files.get(path, b"")
        if path.endswith((".py", ".pyi")):
            if surface.test_reason(path) is not None:
                remarks += _weakened(path, old, new)
            else:
                remarks += [*_debugging(path, old, new), *_unfinished(path, old, new)]
        remarks += _leftovers(path, old, new)
        if path not in base and path in after and _SCRATCH.search(path) and surface.test_reason(path) is None:
            remarks.append(Remark("leftover", f"{path} looks like a file from the work on the diff."))
    remarks += _findings(before_files, after_files)
    return tuple(sorted(dict.fromkeys(remarks), key=lambda r: (not r.blocking, r.path, r.line)))


def _size(changed: tuple[str, ...], patch: bytes) -> Iterator[Remark]:
    lines = changed_lines(patch)
    if len(changed) > MANY_FILES or lines > MANY_LINES:
        yield Remark("size", f"The diff changes {lines} lines in {len(changed)} files; read it in parts.")


def _parsed(data: bytes) -> ast.Module:
    try:
        return parse(data)
    except (SyntaxError, ValueError, RecursionError):
        return ast.Module([], [])


def _debug_calls(data: bytes) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for node in ast.walk(_parsed(data)):
        match node:
            case ast.Call(func=ast.Name(id="breakpoint" | "print" | "pprint" | "ic" as name)):
                found.append((name, node.lineno))
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="code" | "IPython" as owner), attr="interact" | "embed")
            ):
                found.append((owner, node.lineno))
            case ast.Import(names=names) if {a.name.split(".")[0] for a in names} & _DEBUGGERS:
                found.append((names[0].name, node.lineno))
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in _DEBUGGERS:
                found.append((module, node.lineno))
    return found


def _debugging(path: str, old: bytes, new: bytes) -> Iterator[Remark]:
    known = Counter(name for name, _ in _debug_calls(old))
    prints = known["print"] > 0
    for name, line in _debug_calls(new):
        if known[name] > 0:
            known[name] -= 1
        elif name in {"print", "pprint"}:
            if not prints:
                yield Remark(
                    "debugging", f"It prints (`{name}`), which this file did not do before.", False, path, line
                )
        else:
            yield Remark("debugging", f"It leaves a debugger behind (`{name}`).", True, path, line)


def _unfinished(path: str, old: bytes, new: bytes) -> Iterator[Remark]:
    """Yield the functions that are new and do nothing but say that they are not there yet."""
    known = {name for name, _ in _empty_functions(_parsed(old))}
    for name, line in _empty_functions(_parsed(new)):
        if name not in known:
            yield Remark(
                "leftover", f"`{name}` is left unfinished: it only raises NotImplementedError.", False, path, line
            )


def _empty_functions(module: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(module):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        abstract = any("abstract" in ast.unparse(d) for d in node.decorator_list)
        body = [s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
        match body:
            case [
                ast.Raise(exc=ast.Name(id="NotImplementedError") | ast.Call(func=ast.Name(id="NotImplementedError")))
            ]:
                if not abstract:
                    yield node.name, node.lineno


def _assertions(data: bytes) -> tuple[Counter[str], Counter[str], Counter[str], dict[str, int]]:
    """Count assertions, comparisons in them, and loosenings for each test function; the last maps names to lines."""
    asserts: Counter[str] = Counter()
    compared: Counter[str] = Counter()
    loose: Counter[str] = Counter()
    lines: dict[str, int] = {}
    for function in ast.walk(_parsed(data)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        lines[function.name] = function.lineno
        for node in ast.walk(function):
            name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
            asserts[function.name] += isinstance(node, ast.Assert) or name.startswith("assert") or name == "raises"
            loose[function.name] += name in _LOOSENING
            if isinstance(node, ast.Assert):
                compared[function.name] += sum(isinstance(part, ast.Compare) for part in ast.walk(node.test))
    return asserts, compared, loose, lines


def _weakened(path: str, old: bytes, new: bytes) -> Iterator[Remark]:
    asserts, compared, loose, _ = _assertions(old)
    now, compares, looser, lines = _assertions(new)
    for name, count in asserts.items():
        if name.startswith("test") and name not in lines:
            yield Remark("test-weakened", f"It removes the test `{name}`.", True, path, 1)
        elif name in lines and now[name] < count:
            sentence = f"`{name}` asserts less than before ({now[name]} instead of {count})."
            yield Remark("test-weakened", sentence, True, path, lines[name])
        elif name in lines and now[name] == count and compares[name] < compared[name]:
            sentence = (
                f"`{name}` asserts less than before: it compares {compares[name]} times instead of {compared[name]}."
            )
            yield Remark("test-weakened", sentence, True, path, lines[name])
    for name, line in lines.items():
        if looser[name] > loose[name]:
            yield Remark("test-weakened", f"`{name}` is newly skipped or expected to fail.", True, path, line)


def _leftovers(path: str, old: bytes, new: bytes) -> Iterator[Remark]:
    known = Counter(old.splitlines())
    for number, line in enumerate(new.splitlines(), 1):
        if known[line] > 0:
            known[line] -= 1
        elif _MARKER.search(line.decode("utf-8", "replace")):
            conflict = line[:7] in {b"<<<<<<<", b"=======", b">>>>>>>"} and path.endswith(".py")
            what = "a conflict marker" if conflict else "a note about unfinished work"
            yield Remark("leftover", f"It leaves {what} behind.", conflict, path, number)
        elif not path.endswith((".py", ".pyi", ".md", ".rst", ".txt")):
            text = line.decode("utf-8", "replace")
            if _STOPS.search(text):
                yield Remark("debugging", f"It leaves a debugger behind (`{text.strip()[:40]}`).", True, path, number)
            elif _TOLD.search(text) and not any(_TOLD.search(o.decode("utf-8", "replace")) for o in old.splitlines()):
                yield Remark("debugging", "It prints to the console, which this file did not do before.", False, path,
                             number)  # fmt: skip


def _findings(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Iterator[Remark]:
    for finding in new_findings(inspect_files(before), inspect_files(after)):
        yield _remark(finding)


def _remark(finding: Finding) -> Remark:
    secret = finding.rule in {"secret", "hidden-text"}
    sentence = f"{finding.message[:1].upper()}{finding.message[1:].rstrip('.')}" + (
        "" if secret else f" ({finding.rule})"
    )
    return Remark("secret" if secret else "security", f"{sentence}.", secret, finding.path, finding.line)
