"""`greendiff mutants` at work: faults are put into code, the tests judge them, and the report says which survive."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agents.mutation.mutant import CAUGHT, Judged, LeftOut, Mutant, share
from agents.repair.localise import is_test_path
from sandbox.runners.report import TestReport
from workflows.errors import TestsUnusable, Usage
from workflows.wording import plural, printable

if TYPE_CHECKING:
    from sandbox.protocol import Sandbox
    from sandbox.tree import Tree
    from sandbox.workspace import Snapshot
    from workflows.progress import Events
    from workflows.settings import Settings

SHOWN = 40
"""Survivors that are printed with their diffs; the others are counted."""
PROGRESS_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which faults are asked for."""

    paths: tuple[str, ...] = ()
    """Files or folders, relative to the repository's top; none means every module."""
    changed: str | None = None
    """A commit: only lines that differ from it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    judged: tuple[Judged, ...]
    left_out: tuple[LeftOut, ...]
    tests: int
    """Tests that passed, and judged."""
    failing: int
    """Tests that did not pass, and judged nothing."""
    seconds: float

    @property
    def share(self) -> float | None:
        """How many of the mutants that can be judged were caught."""
        return share(self.judged)


def try_mutants(snapshot: Snapshot, settings: Settings, wanted: Wanted, events: Events) -> Outcome:
    """Run the tests once with coverage, then let those that pass judge the mutants.

    Raises:
        Usage: nothing can be changed where it was asked for.
        TestsUnusable, TestsUnrunnable: no test can be run, or none passes.
        SandboxError: as the sandbox says.

    """
    from agents.mutation.generate import survey
    from sandbox.backends import open_sandbox

    begun = time.monotonic()
    lines = lines_wanted(snapshot, wanted)
    surveys = [survey(snapshot.tree, path, only) for path, only in lines.items()]
    mutants = [mutant for found in surveys for mutant in found.mutants]
    left_out = tuple(one for found in surveys for one in found.left_out)
    if not mutants:
        return Outcome((), left_out, 0, 0, time.monotonic() - begun)
    events.note(f"{plural(len(mutants), 'mutant')} in {plural(len(surveys), 'file')}")
    sandbox = open_sandbox(settings.sandbox)
    try:
        sandbox.reap()
        report, judged = _judged(snapshot.tree, settings, sandbox, mutants, events)
    finally:
        sandbox.close()
    failing = len(report.failed()) + len(report.collection_errors)
    return Outcome(judged, left_out, len(report.passed()), failing, time.monotonic() - begun)


def _judged(
    tree: Tree, settings: Settings, sandbox: Sandbox, mutants: Sequence[Mutant], events: Events
) -> tuple[TestReport, tuple[Judged, ...]]:
    from agents.mutation.judge import Bench, judge
    from agents.mutation.store import VerdictStore
    from sandbox.runners.run import run_tests
    from workflows.job import environment_definition, harness_of
    from workflows.runs import cache_folder

    harness = harness_of(tree, settings)
    if harness.kind == "command":
        raise TestsUnusable("mutants need tests of pytest or unittest; here a command of the settings runs them")
    environment = sandbox.prepare(environment_definition(tree, settings), events.note)
    store = VerdictStore(cache_folder())
    try:
        with sandbox.open(tree, environment, settings.limits.limits()) as workspace:
            events.note("running the tests once, to see which lines each runs")
            left = settings.budget - events.elapsed()
            report = run_tests(workspace, harness, coverage=True, wall_seconds=max(5.0, left / 2), seed=1)
            if not report.passed():
                raise TestsUnusable("no test passes here, so that none can notice a mutant")
            events.note(f"{plural(len(report.passed()), 'test')} pass and judge the mutants")
            progress = _Progress(events, len(mutants))
            bench = Bench(tree, workspace, harness, report, environment.digest)
            seconds = max(1.0, settings.budget - events.elapsed())
            return report, judge(mutants, bench, seconds=seconds, store=store, on_judged=progress.judged)
    finally:
        store.close()


class _Progress:
    def __init__(self, events: Events, total: int) -> None:
        self._events, self._total = events, total
        self._done = self._caught = 0
        self._last = time.monotonic()

    def judged(self, one: Judged) -> None:
        self._done += 1
        self._caught += one.caught
        if time.monotonic() - self._last > PROGRESS_SECONDS:
            self._last = time.monotonic()
            self._events.emit(
                "judging", f"{self._done} of {self._total} mutants judged, {self._caught} noticed",
                done=self._done, total=self._total, caught=self._caught,
            )  # fmt: skip


def lines_wanted(snapshot: Snapshot, wanted: Wanted) -> Mapping[str, Collection[int] | None]:
    """Return which files get mutants, and in which lines; None means in all.

    Raises:
        Usage: a path holds no Python code of the repository.
        RepositoryError, Unusable: the base commit cannot be read.

    """
    from agents.mutation.changed import changed_lines
    from sandbox.workspace import snapshot_commit

    tree = snapshot.tree
    ours = [path for path in tree if path.endswith(".py") and tree[path].kind == "file" and not is_test_path(path)]
    chosen: dict[str, None] = {}
    for name in wanted.paths:
        found = [path for path in ours if name == "." or path == name or path.startswith(f"{name}/")]
        if not found and wanted.changed is None:
            raise Usage(f"{printable(name)} holds no Python code of this repository that is not a test")
        chosen.update(dict.fromkeys(found))
    if not wanted.paths:
        chosen.update(dict.fromkeys(path for path in ours if path.rpartition("/")[2] not in {"setup.py", "noxfile.py"}))
    if wanted.changed is None:
        return dict.fromkeys(chosen)
    lines = changed_lines(snapshot_commit(snapshot.repository, wanted.changed), tree)
    return {path: lines[path] for path in chosen if path in lines}


def relative_paths(names: Sequence[str], repository: Path) -> tuple[str, ...]:
    """Return paths as a person writes them, relative to the repository's top.

    Raises:
        Usage: one lies outside.

    """
    found = []
    for name in names:
        try:
            inside = Path(name).resolve().relative_to(repository.resolve()).as_posix()
        except ValueError:
            raise Usage(f"{printable(name)} is not inside the repository {repository}") from None
        found.append(inside)
    return tuple(found)


def as_text(outcome: Outcome, shown: int = SHOWN) -> str:
    """Return the survivors with their diffs, and a summary by file."""
    parts: list[str] = []
    missed = [one for one in outcome.judged if one.verdict == "survived"]
    for one in missed[:shown]:
        mutant = one.mutant
        head = f"survived: {mutant.path}:{mutant.first} {mutant.operator}, run by {plural(one.covering, 'test')}"
        parts.append(f"{head}\n{mutant.diff}")
    if len(missed) > shown:
        parts.append(f"… and {len(missed) - shown} more that survived (--json lists all)\n")
    return "\n".join([*parts, table(outcome)])


_COLUMNS = ("mutants", "killed", "timed out", "survived", "not covered", "broken", "untried")


def table(outcome: Outcome) -> str:
    """Return how many mutants of each file came to which verdict."""
    files: dict[str, dict[str, int]] = {}
    for one in outcome.judged:
        row = files.setdefault(one.mutant.path, dict.fromkeys(_COLUMNS, 0))
        verdict = "broken" if one.verdict == "equivalent" else one.verdict
        row["mutants"] += 1
        row[verdict] += 1
    width = max([len("file"), *map(len, files)])
    rows = [f"{'file':<{width}}  " + "  ".join(f"{name:>{len(name)}}" for name in _COLUMNS) + "  caught"]
    for path in sorted(files):
        ours = tuple(one for one in outcome.judged if one.mutant.path == path)
        cells = "  ".join(f"{files[path][name]:>{len(name)}}" for name in _COLUMNS)
        rows.append(f"{path:<{width}}  {cells}  {percent(share(ours)):>6}")
    caught = sum(one.verdict in CAUGHT for one in outcome.judged)
    known = sum(one.known for one in outcome.judged)
    rows.append(
        f"{caught} of {plural(len(outcome.judged), 'mutant')} caught ({percent(outcome.share)} of those that can be "
        f"judged) by {plural(outcome.tests, 'test')} in {outcome.seconds:.1f} s"
        + (f"; {known} remembered" if known else "")
        + (f"; not judged by {plural(outcome.failing, 'test')} that failed" if outcome.failing else "")
    )
    return printable("\n".join(rows)) + "\n"


def percent(value: float | None) -> str:
    """Return a share as per cent, cut rather than rounded up to 100; "-" where there is none."""
    return "-" if value is None else f"{int(value * 1000) / 10:.1f} %"


def as_json(outcome: Outcome) -> dict[str, object]:
    """Return everything that is known, in JSON's types."""
    return {
        "share": outcome.share, "tests": outcome.tests, "failing": outcome.failing,
        "mutants": [
            {
                "id": one.mutant.id, "path": one.mutant.path, "first": one.mutant.first, "last": one.mutant.last,
                "operator": one.mutant.operator, "unit": one.mutant.unit, "verdict": one.verdict, "test": one.test,
                "covering": one.covering, "diff": one.mutant.diff, "known": one.known,
            }
            for one in outcome.judged
        ],
        "left_out": [
            {"path": one.path, "line": one.line, "operator": one.operator, "reason": one.reason}
            for one in outcome.left_out
        ],
    }  # fmt: skip
