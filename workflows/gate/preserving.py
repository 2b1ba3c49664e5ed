"""Whether the tests look at what a preserving patch changes, and whether it behaves as before where they look."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sandbox.errors import TestsUnrunnable
from sandbox.protocol import Progress, Sandbox
from sandbox.runners.report import TestReport
from sandbox.syntax import parse
from sandbox.tree import Tree
from workflows.gate.clean_room import FIRST_SEED, probe, run_fresh
from workflows.gate.hollow import changed_functions
from workflows.gate.outcomes import listed, tests
from workflows.gate.perturbing import DIGITS
from workflows.gate.probing import Probed
from workflows.gate.static import Static
from workflows.verdicts import Check, GateCase

COVERING_SEED = FIRST_SEED + 30
_SHOWN = 20
Lines = Mapping[str, frozenset[int]]


@dataclass(frozen=True, slots=True)
class Covered:
    """What the steady tests run of a preserving patch."""

    covering: tuple[str, ...] = ()
    """Steady tests that run changed lines, sorted."""
    blind: tuple[str, ...] = ()
    """Changed functions that no steady test runs."""
    unrunnable: str = ""
    probed: Probed | None = None
    root: str = ""
    different: tuple[str, ...] = ()
    """Calls near those of the tests that give something else than before."""


def changed_code(before: bytes | None, after: bytes) -> frozenset[int]:
    """Return the lines of the patched file that hold changed code, documentation and comments left out.

    Where code only goes, the lines around it stand for it.
    """
    old, new = (before or b"").splitlines(), after.splitlines()
    lines: set[int] = set()
    for kind, _, _, start, end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            lines.update(range(start + 1, end + 1) if end > start else (start, start + 1))
    try:
        module = parse(after)
    except (SyntaxError, ValueError, RecursionError):
        return frozenset(lines)
    return frozenset(lines & _code(module))


def _code(module: ast.Module) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(module):
        if not isinstance(node, ast.stmt):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        body = getattr(node, "body", None)
        last = body[0].lineno - 1 if isinstance(body, list) and body else node.end_lineno or node.lineno
        lines.update(range(node.lineno, max(last, node.lineno) + 1))
    return lines


def only_words(before: bytes | None, after: bytes) -> bool:
    """Whether a change touches nothing but comments, layout and documentation."""
    try:
        return before is not None and _bare(before) == _bare(after)
    except (SyntaxError, ValueError, RecursionError):
        return False


def _bare(data: bytes) -> str:
    module = parse(data)
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(module)


def look(case: GateCase, sandbox: Sandbox, tree: Tree, static: Static, progress: Progress) -> Covered:
    """Run the tests once with coverage, and those that run changed lines once more, rewritten, on base and patch.

    Raises:
        SandboxUnavailable, SandboxBroken: the sandbox does not answer or went away.

    """
    progress("looking which tests run the changed lines")
    environment = case.patched_environment
    report = run_fresh(case, sandbox, tree, environment, COVERING_SEED, coverage=True)
    if isinstance(report, TestsUnrunnable):
        return Covered(unrunnable=str(report).rstrip("."))
    steady = case.baseline.steady - frozenset(case.baseline.flaky)
    changed = _changed_lines(case.base, tree, static)
    covering = tuple(sorted(n for n in steady if _meets(report.coverage.get(n, {}), changed)))
    blind = tuple(_blind(case.base, tree, static, report, steady))
    if not covering:
        return Covered((), blind)
    names = [i.node_id for i in report.results if i.node_id in set(covering)]
    with ThreadPoolExecutor(2, thread_name_prefix="gate") as pool:
        first = pool.submit(probe, case, sandbox, case.base, case.environment, static.surface, names)
        second = pool.submit(probe, case, sandbox, tree, environment, static.surface, names)
        before, after = first.result(), second.result()
    if before is None or after is None:
        return Covered(covering, blind)
    return Covered(covering, blind, "", after[0], after[1], different_answers(before[0].calls, after[0].calls))


def _changed_lines(base: Tree, tree: Tree, static: Static) -> Lines:
    found = {}
    for path in static.products:
        if path.endswith(".py") and path in tree:
            old = base[path].data if path in base else None
            if not only_words(old, tree[path].data):
                found[path] = changed_code(old, tree[path].data)
    return {path: lines for path, lines in found.items() if lines}


def _meets(ran: Mapping[str, tuple[int, ...]], changed: Lines) -> bool:
    return any(not lines.isdisjoint(ran.get(path, ())) for path, lines in changed.items())


def _blind(base: Tree, tree: Tree, static: Static, report: TestReport, steady: frozenset[str]) -> Iterator[str]:
    """Yield the changed functions of which no steady test runs a line beyond their definition."""
    for path in static.products:
        if not path.endswith(".py") or path not in tree:
            continue
        old = base[path].data if path in base else None
        if only_words(old, tree[path].data):
            continue
        ran = {line for n in steady for line in report.coverage.get(n, {}).get(path, ())}
        for name, first, last in changed_functions(old, tree[path].data):
            inside = {line for line in ran if first < line <= last or first == last == line}
            if not inside:
                yield f"{path}:{first}: {name}"


def different_answers(base: Sequence[Sequence[str]], patched: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the calls of the tests that give something else than on the base, or do so for inputs near theirs.

    Args:
        base: for each call its key, the digest of its result, those of its neighbours' results, and how it looks.
        patched: the same on the patched tree.

    """
    before = {call[0]: call for call in base}
    unknown = "0" * DIGITS
    found = []
    for key, result, around, shown in patched:
        old = before.get(key)
        if old is None:
            continue
        pairs = [(old[1], result)]
        pairs += [(old[2][at : at + DIGITS], around[at : at + DIGITS]) for at in range(0, len(around), DIGITS)]
        if any(a != b for a, b in pairs if a and unknown not in {a, b}):
            found.append(f"{shown}, or an input near it, gives something else than before")
    return tuple(dict.fromkeys(found))


def preserved(case: GateCase, static: Static, covering: Sequence[str], blind: Sequence[str]) -> Check:
    """Judge whether steady tests run what a preserving patch changes; where they do not, a person should look."""
    if not case.baseline.steady:
        return Check(
            "change-covered", False, "No test passed steadily on the base, so nothing shows what is preserved."
        )
    foreign = sorted(set(covering) - case.baseline.steady)
    if foreign:
        return Check("change-covered", False, f"{foreign[0]} did not pass steadily on the base.")
    files = {p: (case.base[p].data if p in case.base else None, static.after[p].data) for p in static.products
             if p.endswith(".py") and static.after is not None and p in static.after}  # fmt: skip
    gone = [p for p in static.products if p.endswith(".py") and static.after is not None and p not in static.after]
    if not gone and all(only_words(*pair) for pair in files.values()):
        what = "comments and documentation of the code change" if files else "files that are no Python code change"
        return Check("change-covered", True, f"Only {what}.", flagged=not files and case.environment_after is None)
    if not covering:
        reason = "A person should look: no steady test runs the changed lines."
        return Check("change-covered", True, reason, tuple(blind[:_SHOWN]), flagged=True)
    if blind:
        reason = f"A person should look: no steady test runs {listed(blind)}; {tests(len(covering))} run other changes."
        return Check("change-covered", True, reason, tuple(blind[:_SHOWN]), flagged=True)
    return Check("change-covered", True, f"{tests(len(covering))} that passed before run the changed lines.",
                 tuple(covering[:_SHOWN]))  # fmt: skip
