"""Has tests written for single modules: explored, chosen, written down, run again and again, and only then offered."""

from __future__ import annotations

import ast
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agents.mutation.generate import mutants_of
from agents.mutation.judge import Bench, judge
from agents.mutation.mutant import Judged, Mutant
from agents.neighbour_tests import neighbourhood
from agents.testing.choosing import choose
from agents.testing.files import file_text, module_name, test_path
from agents.testing.suspicions import Suspect, suspects
from agents.testing.writing import Writer, Written
from sandbox.errors import TestsUnrunnable
from sandbox.runners.exploring import Exploration, explore
from sandbox.runners.report import Outcome, TestReport
from sandbox.runners.run import run_tests
from sandbox.syntax import parse
from sandbox.tree import Entry
from workflows.findings import inspect_file
from workflows.gate.surface import file_of

if TYPE_CHECKING:
    from agents.testing.writing import Style
    from workflows.job import Job

EXPLORING = 0.8
"""Share of a module's time that goes into exploring; the rest is for running what was written."""
JUDGING = 0.2
"""Share that the existing tests' judging of mutants may take."""
RUNS = 3
"""How often all new tests of a module are run before they are offered, in other orders each."""
ROUNDS = 8
"""How often tests that do not pass are dropped and the rest is written and run again."""
_MUTANTS = 700
_SOURCES = 30


@dataclass(frozen=True, slots=True)
class Dropped:
    """A test, or what might have become some, that is not offered."""

    name: str
    reason: str
    count: int = 1


@dataclass(slots=True)
class ModuleTests:
    """What came of one module."""

    path: str
    module: str
    test_path: str = ""
    text: str = ""
    """Of the new test file; "" where no test was kept."""
    tests: list[Written] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    suspects: tuple[Suspect, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    lines: int = 0
    lines_before: int = 0
    lines_after: int = 0
    branches: int = 0
    branches_before: int = 0
    branches_after: int = 0
    mutants: int = 0
    """Tried on the existing or the new tests, without those that mean nothing."""
    killed_before: int = 0
    killed: int = 0
    """By the existing and the new tests together."""
    survivors: list[Mapping[str, Any]] = field(default_factory=list)
    seconds: float = 0.0


def write_for(
    job: Job, path: str, base: TestReport, taken: Sequence[str], *, seconds: float, seed: int, coverage: TestReport
) -> ModuleTests:
    """Return tests for one module of the run's tree.

    Args:
        job: the run.
        path: the module's file.
        base: a run of the tests as they are.
        taken: paths that other new test files have.
        seconds: for everything.
        seed: of the search's dice.
        coverage: a run of the tests as they are that recorded lines.

    Raises:
        SandboxUnavailable, SandboxBroken: the sandbox does not answer or went away.

    """
    begun = time.monotonic()
    harness = job.ready().harness
    found = ModuleTests(path, module_name(path, harness.pythonpath))
    source = job.tree[path].data.decode("utf-8-sig", "replace")
    test_files = sorted({file_of(r.node_id) for r in base.results if file_of(r.node_id) in job.tree})
    around = neighbourhood(job.tree, test_files, (path,), found.module)
    found.test_path = test_path(job.tree, around, path, taken)
    mutants = {mutant.id: mutant for mutant in mutants_of(job.tree, path, limit=_MUTANTS)}
    before = _noticed(job, tuple(mutants.values()), coverage, seconds * JUDGING)
    alive = {one.mutant.id: one.mutant for one in before if one.verdict in {"survived", "not covered", "untried"}}
    found.killed_before = sum(one.caught for one in before)
    with job.open_tree(job.tree) as workspace:
        explored = explore(
            workspace, harness, found.module, path, seconds=seconds * EXPLORING - (time.monotonic() - begun), seed=seed,
            sources=[job.tree[p].data.decode("utf-8", "replace") for p in test_files[:_SOURCES]],
            mutants=[_message(mutant) for mutant in alive.values()],
        )  # fmt: skip
    found.left_out = _left_out(explored, found.module)
    if explored.error:
        found.seconds = time.monotonic() - begun
        return found
    found.suspects = suspects(explored, path, source)
    ran = _ran(explored, coverage, path)
    writing = _Writing(job, found, explored, around.style == "unittest", ran)
    writing.settle(begun + seconds)
    _count(found, explored, ran, writing.kept, alive)
    found.seconds = time.monotonic() - begun
    return found


def _noticed(job: Job, mutants: tuple[Mutant, ...], coverage: TestReport, seconds: float) -> tuple[Judged, ...]:
    """Return what the existing tests say of the mutants."""
    path = mutants[0].path if mutants else ""
    if not any(path in files for files in coverage.coverage.values()) or job.ready().harness.kind == "command":
        return tuple(Judged(mutant, "not covered") for mutant in mutants)
    with job.open_tree(job.tree) as workspace:
        bench = Bench(job.tree, workspace, job.ready().harness, coverage)
        try:
            return judge(mutants, bench, seconds=seconds, stop=job.stop)
        except TestsUnrunnable:
            return tuple(Judged(mutant, "untried") for mutant in mutants)


def _message(mutant: Mutant) -> dict[str, Any]:
    """Return a mutant as the explorer takes it."""
    return {
        "id": mutant.id, "edits": [[e.start, e.end, e.replacement] for e in mutant.edits],
        "reach": list(mutant.reach) if mutant.reach else None, "unit": mutant.unit,
    }  # fmt: skip


def _ran(explored: Exploration, coverage: TestReport, path: str) -> frozenset[int]:
    """Return the spots that existing tests run, as far as that is known: their lines."""
    lines = {line for files in coverage.coverage.values() for line in files.get(path, ())}
    return frozenset(
        n for n, spot in enumerate(explored.spots)
        if spot.kind == "line" and spot.line in lines and spot.owner
    )  # fmt: skip


def _left_out(explored: Exploration, module: str) -> dict[str, str]:
    left = {f"{module}.{name}": why for name, why in explored.left_out.items()}
    if explored.error:
        left[module] = explored.error
    for name, reached in explored.reached.items():
        what = max(reached, key=lambda key: reached[key])
        left.setdefault(f"{module}.{name}", f"some of its calls reach for {what}, and are not pinned")
    return left


class _Writing:
    """Writes, runs and drops until what is left passes every time."""

    def __init__(
        self, job: Job, found: ModuleTests, explored: Exploration, unittest: bool, ran: frozenset[int]
    ) -> None:
        self._job = job
        self._found = found
        self._explored = explored
        self._style: Style = "unittest" if unittest else "pytest"
        self._ran = ran
        self._refused: set[int] = set()
        self.kept: set[int] = set()

    def settle(self, deadline: float) -> None:
        """Fill in the module's tests; `deadline` is of `time.monotonic`."""
        found = self._found
        for targets, count in self._explored.unsteady.items():
            found.dropped.append(Dropped(targets, "differs between runs or processes", count))
        for _ in range(ROUNDS):
            if not self._write():
                found.text = ""
                return
            bad = self._failing(deadline)
            if not bad:
                self._tell_redundant()
                return
            self._refused |= bad
        found.tests, found.text = [], ""
        self.kept = set()

    def _write(self) -> bool:
        doubted = {suspect.name.split(".")[0] for suspect in self._found.suspects}
        chosen = choose(self._explored, ran=self._ran, without=self._refused, doubted=doubted)
        writer = Writer(self._style, self._explored.parameters, self._explored.kept_relations)
        self._found.tests = writer.tests(chosen)
        self.kept = {number for test in self._found.tests for number in test.rows}
        if self._found.tests:
            self._found.text = file_text(
                self._found.module, self._found.test_path, self._found.tests, self._style, self._job.tree
            )
        return bool(self._found.tests)

    def _failing(self, deadline: float) -> set[int]:
        """Run the new tests in several orders and return the scenarios that did not pass each time."""
        path = self._found.test_path
        bad = self._objected(path)
        if bad:
            return self._drop(bad, "a linter objects")
        changes: dict[str, Entry | None] = {path: Entry(self._found.text.encode())}
        order: list[str] = [path]
        rows: dict[str, int] = {}
        with self._job.open_tree(self._job.tree.replaced(changes)) as workspace:
            for number in range(RUNS):
                if number and time.monotonic() > deadline:
                    break
                try:
                    report = run_tests(
                        workspace, self._job.ready().harness, order, wall_seconds=60.0, seed=701 + number,
                        test_seconds=5.0,
                    )  # fmt: skip
                except TestsUnrunnable as error:
                    return self._all(f"the new tests cannot be run: {error}")
                if report.collection_errors or not report.complete:
                    said = report.collection_errors[0].message if report.collection_errors else report.output[-200:]
                    return self._all(f"the new test file cannot be collected: {said}")
                if not number:
                    rows = self._rows(report)
                for result in report.results:
                    if result.outcome is not Outcome.PASSED and result.node_id in rows:
                        bad[rows[result.node_id]] = f"{result.exception}: {result.message}"[:200]
                order = list(rows)
                random.Random(number).shuffle(order)  # noqa: S311 - an order, no secret
        return self._drop(bad, "did not pass every time")

    def _drop(self, bad: Mapping[int, str], why: str) -> set[int]:
        for number, reason in bad.items():
            test = next(test for test in self._found.tests if number in test.rows)
            self._found.dropped.append(Dropped(test.name, f"{why}: {reason}"))
        return set(bad)

    def _objected(self, path: str) -> dict[int, str]:
        """Return the scenarios in tests that the gate's linter would object to."""
        tree = parse(self._found.text)
        spans = [
            (node.lineno, node.end_lineno or node.lineno, node.name)
            for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
        ]  # fmt: skip
        tests = {test.name: test for test in self._found.tests}
        bad: dict[int, str] = {}
        for finding in inspect_file(path, self._found.text.encode()):
            for first, last, name in spans:
                if first <= finding.line <= last and name in tests:
                    bad.update(dict.fromkeys(tests[name].rows, str(finding)))
        return bad

    def _all(self, reason: str) -> set[int]:
        self._found.dropped.append(Dropped(self._found.test_path, reason, len(self.kept)))
        return set(self.kept)

    def _rows(self, report: TestReport) -> dict[str, int]:
        """Map node ids to scenarios: the rows of a table run in its order."""
        by_name: dict[str, list[str]] = {}
        for result in report.results:
            by_name.setdefault(result.node_id.split("[", 1)[0].rpartition("::")[2].rpartition(".")[2], []).append(
                result.node_id
            )
        rows: dict[str, int] = {}
        for test in self._found.tests:
            for place, node_id in enumerate(by_name.get(test.name, [])):
                rows[node_id] = test.rows[min(place, len(test.rows) - 1)]
        return rows

    def _tell_redundant(self) -> None:
        left = len(self._explored.scenarios) - len(self.kept) - len(self._refused)
        if left > 0:
            self._found.dropped.append(Dropped("candidates", "add nothing to the tests that are kept", left))


def _count(
    found: ModuleTests, explored: Exploration, ran: frozenset[int], kept: set[int], mutants: Mapping[str, Mutant]
) -> None:
    """Fill in the figures."""
    spots = explored.spots
    new = {hit for number in kept for hit in explored.scenarios[number].hits}

    def lines(hits: set[int]) -> int:
        return len({spots[hit].line for hit in hits if spots[hit].kind == "line"})

    def branches(hits: set[int]) -> int:
        return sum(spots[hit].kind == "branch" for hit in hits)

    every, before = set(range(len(spots))), set(ran) | (set(explored.imported) if ran else set())
    after = before | new | set(explored.imported)
    found.lines, found.lines_before, found.lines_after = lines(every), lines(before), lines(after)
    found.branches, found.branches_before, found.branches_after = branches(every), branches(before), branches(after)
    found.mutants = found.killed = found.killed_before
    for name, verdict in explored.verdicts.items():
        if verdict.how == "broken":
            continue
        found.mutants += 1
        if verdict.killers & kept:
            found.killed += 1
        elif name in mutants:
            one = mutants[name]
            found.survivors.append({"path": found.path, "line": one.first, "what": one.description, "diff": one.diff})
