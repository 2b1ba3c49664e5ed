"""Several independent bugs: failing tests in groups that seem to share a cause, repaired one group after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from agents.edits import apply_candidate, decode
from agents.repair.localise import rank_suspects
from agents.repair.problem import RepairProblem
from agents.results import Candidate, Edit, Repair, RepairResult
from sandbox.runners.report import Outcome, TestReport
from sandbox.tree import Tree

MOST_TARGETS = 60
"""With more failing tests than this, ranking each alone would cost more than it gives."""
MOST_GROUPS = 6
GROUP_SHARE = 0.6
"""Share of the time left for a group that is not the last: where one cannot be repaired, the others are of no use."""
LEAST_SECONDS = 2.0
"""Time below which the search for one group is not begun."""

SearchTree = Callable[[RepairProblem, float], RepairResult]
"""Searches in a fresh workspace that holds the problem's tree, for so many seconds."""
RunTargets = Callable[[Tree, Sequence[str]], TestReport]
"""Runs some tests, with coverage, in a fresh workspace that holds the tree."""


def groups_of(tree: Tree, report: TestReport, targets: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Return the targets in groups by the function that is most suspicious for each alone, the largest group first."""
    if not 1 < len(targets) <= MOST_TARGETS:
        return (tuple(targets),)
    found: dict[tuple[str, str], list[str]] = {}
    for target in targets:
        suspects = rank_suspects(tree, report, (target,))
        key = (suspects[0].path, suspects[0].function) if suspects else ("", "")
        found.setdefault(key, []).append(target)
    return tuple(tuple(group) for group in sorted(found.values(), key=len, reverse=True))


def repair_in_turn(
    problem: RepairProblem,
    groups: Sequence[Sequence[str]],
    left: Callable[[], float],
    search: SearchTree,
    run: RunTargets,
) -> RepairResult | None:
    """Repair group by group, each on top of the repairs before it; None where one group cannot be repaired.

    `left` says how many seconds there are; all groups but the last get a part of what the ones before them left over.
    """
    tree, report = problem.tree, problem.report
    chosen: list[Repair] = []
    generated = tried = 0
    begun = left()
    for number, group in enumerate(groups):
        if chosen:
            # A repair may have mended more than its own group, and the lines have moved.
            report = _renewed(report, run(tree, problem.targets))
        failing = tuple(test for test in group if report.outcome(test) is not Outcome.PASSED)
        if not failing:
            continue
        share = left() * (GROUP_SHARE if number + 1 < len(groups) else 1.0)
        if share < LEAST_SECONDS:
            return None
        result = search(replace(problem, tree=tree, report=report, targets=failing, suspects=None, failures=()), share)
        generated += result.generated
        tried += result.tried
        if not result.repairs:
            return None
        chosen.append(result.repairs[0])
        tree = apply_candidate(tree, result.repairs[0].candidate)
    if not chosen:
        return None
    repair = Repair(
        combined(problem.tree, tree, [one.candidate for one in chosen]), sum(one.score for one in chosen),
        notes=tuple(note for one in chosen for note in one.notes), confidence=min(one.confidence for one in chosen),
    )  # fmt: skip
    return RepairResult((repair,), generated, tried, begun - left(), None, "exhausted")


def _renewed(report: TestReport, newer: TestReport) -> TestReport:
    """Return the report with the results and the coverage of the tests that were run again."""
    results = {result.node_id: result for result in newer.results}
    return replace(
        report, results=tuple(results.get(result.node_id, result) for result in report.results),
        coverage={**report.coverage, **newer.coverage},
    )  # fmt: skip


def combined(before: Tree, after: Tree, candidates: Sequence[Candidate]) -> Candidate:
    """Return the candidates' changes, made one on top of the other, as one candidate on the tree before all of them."""
    edits = []
    for path in before.changed_paths(after):
        old, new = decode(before[path].data).text, decode(after[path].data).text
        start = 0
        while start < min(len(old), len(new)) and old[start] == new[start]:
            start += 1
        end = 0
        while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
            end += 1
        edits.append(Edit(path, start, len(old) - end, new[start : len(new) - end]))
    return Candidate(
        tuple(edits), f"sequence:{'+'.join(candidate.origin for candidate in candidates)}",
        "; then ".join(candidate.description for candidate in candidates),
        sum(candidate.prior for candidate in candidates), max(candidate.tier for candidate in candidates),
    )  # fmt: skip
