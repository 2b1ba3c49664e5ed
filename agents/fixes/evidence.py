"""What a prompt tells of the failing tests, and of the code around a function, in as few words as will do."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Sequence

from agents.fixes.places import Place
from agents.observations import short
from agents.repair.problem import RepairProblem
from agents.repair.units import FUNCTIONS, MODULE, SourceFile, Unit
from agents.results import Failure
from sandbox.tree import Tree

_TESTS = 2
"""Different test functions that are shown."""
_TEST_LINES = 28
_MESSAGES = 3
"""Failures that are shown for one test function: parameter sets of it."""
_MESSAGE_LINES, _MESSAGE_CHARACTERS = 10, 500
_AROUND_LINES = 14
_NOISE = ("Use -v to get", "Full diff:")


def failures_of(problem: RepairProblem) -> tuple[Failure, ...]:
    """Return how the targets fail."""
    if problem.failures:
        return problem.failures
    wanted = set(problem.targets)
    return tuple(
        Failure(r.node_id, r.exception, r.message, r.frames) for r in problem.report.results if r.node_id in wanted
    )


def relevant(problem: RepairProblem, place: Place) -> tuple[Failure, ...]:
    """Return the failures of the tests that ran the place; all of them where coverage does not tell."""
    failures = failures_of(problem)
    lines = set(range(place.unit.first_line + 1, place.unit.last_line + 1))
    path = place.unit.path
    ran = tuple(
        failure for failure in failures
        if not lines.isdisjoint(problem.report.coverage.get(failure.node_id, {}).get(path, ()))
    )  # fmt: skip
    return ran or failures


def told(tree: Tree, failures: Sequence[Failure], tests: int = _TESTS) -> str:
    """Return the sources of failing tests with how they fail; the shortest tests first, as they say most."""
    groups: dict[str, list[Failure]] = {}
    sources: dict[str, str] = {}
    for failure in failures:
        name, source = test_source(tree, failure)
        groups.setdefault(name, []).append(failure)
        sources[name] = source
    names = sorted(groups, key=lambda name: (not sources[name], len(sources[name])))
    pieces = []
    for name in names[:tests]:
        rows = [_said(failure, _MESSAGE_LINES if not n else 1) for n, failure in enumerate(groups[name][:_MESSAGES])]
        pieces.append((sources[name] or name) + "\n" + "\n".join(rows))
    more = len(names) - tests
    return "\n\n".join(pieces) + (f"\n\n{more} more tests fail.\n" if more > 0 else "\n")


def _said(failure: Failure, lines: int) -> str:
    told = [line for line in failure.message.splitlines() if line.strip() and not line.startswith(_NOISE)]
    message = short("\n".join(told if lines > 1 else told[:1]), lines, _MESSAGE_CHARACTERS)
    case = failure.node_id.partition("[")[2].rstrip("]")
    head = f"[{case[:80]}] " if case else ""
    inner = failure.frames[-1] if len(failure.frames) > 1 else None
    where = f" (at line {inner.line} of {inner.path})" if inner is not None else ""
    text = f"fails: {head}{failure.exception or 'error'}: {message}{where}"
    return "\n".join(f"# {line.strip()}" for line in text.splitlines())


def test_source(tree: Tree, failure: Failure) -> tuple[str, str]:
    """Return the name of a failing test's function and its source ("" if unknown), shortened around what failed.

    It is the outermost frame in the repository; where there is none, what the node id names.
    """
    for frame in failure.frames[:1]:
        file = SourceFile.parse(frame.path, tree)
        if file is not None and (unit := file.unit_at_line(frame.line)).qualname != MODULE:
            return f"{frame.path}::{unit.qualname}", _source(file, unit, frame.line)
    path, _, rest = failure.node_id.partition("::")
    file = SourceFile.parse(path, tree) if path.endswith(".py") else None
    name = rest.partition("[")[0].replace("::", ".")
    for unit in file.units if file is not None else ():
        if file is not None and unit.qualname == name:
            return f"{path}::{name}", _source(file, unit, 0)
    return failure.node_id.partition("[")[0], ""


def _source(file: SourceFile, unit: Unit, line: int) -> str:
    lines = file.text[unit.start : unit.end].splitlines()
    if len(lines) > _TEST_LINES:
        at = min(len(lines) - 1, max(0, line - unit.first_line)) if line else _TEST_LINES // 2
        low = max(1, at - _TEST_LINES + 6)
        head = [lines[0]] if low > 1 else []
        lines = [*head, *([_gone(lines[0])] if low > 1 else []), *lines[low : at + 4]] if low > 1 else lines[: at + 4]
        lines = lines[: _TEST_LINES + 4]
    return inspect.cleandoc("\n" + "\n".join(lines)).rstrip()


def _gone(line: str) -> str:
    return line[: len(line) - len(line.lstrip())] + "    # [lines left out]"


def around(file: SourceFile, unit: Unit) -> str:
    """Return what else of the file the function uses: constants, and the heads of functions and of its class."""
    if isinstance(unit.node, ast.Module):
        return ""
    used = {node.id for node in ast.walk(unit.node) if isinstance(node, ast.Name)}
    attributes = {node.attr for node in ast.walk(unit.node) if isinstance(node, ast.Attribute)}
    rows = [*_globals(file, used, unit.node)]
    if unit.classes:
        inner = unit.classes[-1]
        rows.append(f"class {inner.name}:")
        for node in inner.body:
            if node is unit.node:
                continue
            if isinstance(node, FUNCTIONS) and (node.name in attributes or node.name == "__init__"):
                rows += _initial(file, node) if node.name == "__init__" else [f"    {_head(node)} ..."]
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                rows.append("    " + file.segment(node).split("\n", 1)[0][:100])
        if len(rows) and rows[-1] == f"class {inner.name}:":
            rows.pop()
    return "\n".join(rows[:_AROUND_LINES])


def _globals(file: SourceFile, used: set[str], own: ast.AST) -> Iterator[str]:
    for node in file.tree.body:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            if node is not own and node.name in used:
                yield f"{_head(node)} ..." if isinstance(node, FUNCTIONS) else f"class {node.name}: ..."
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(t, ast.Name) and t.id in used for t in targets):
                yield file.segment(node).split("\n", 1)[0][:120]


def _head(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    kind = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    return f"{kind} {node.name}({ast.unparse(node.args)}):"[:140]


def _initial(file: SourceFile, node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return an `__init__` whole where it is short: it says which attributes there are."""
    lines = file.segment(node).splitlines()
    return ["    " + lines[0], *lines[1:]] if len(lines) <= _AROUND_LINES - 4 else [f"    {_head(node)} ..."]
