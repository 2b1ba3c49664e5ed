"""Where the fault may be: a run with coverage, and the spectrum that it gives."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from agents.results import Suspect
from sandbox.runners.report import TestReport
from workflows.errors import NoDiff
from workflows.state import RunState, StateDelta, Suspicion
from workflows.steps.intake import baseline_seconds, take_baseline
from workflows.steps.plan import another_plan
from workflows.steps.standing import REPAIRING, written_tests
from workflows.verdicts import Baseline
from workflows.wording import plural, printable

if TYPE_CHECKING:
    from workflows.job import Job

COVERAGE, SUSPECTS = "coverage", "suspects"
"""Records of the run with coverage and of the ranked places."""
SLOWDOWN = 4.0
"""What a run with coverage may take, in runs without; only used to decide how much is run."""
FULL_SHARE = 0.15
"""Largest share of the time left for which all tests are run with coverage, and not only those near the targets."""
WALL_SHARE = 0.3
"""Share of the time left after which the run with coverage is ended; what it gave by then is used."""
HANGING_SECONDS = 0.8
"""What every test may take with coverage, beyond several times what the longest one takes without."""
HANG_SHARE = 0.4
"""Of that: the processor time after which a test counts as hanging. Its coverage is complete long before."""
TOP = 10


def localise(state: RunState, job: Job) -> StateDelta:
    """Rank the lines that may hold the fault; where no test shows what is wanted, have one written first.

    Raises:
        NoDiff, Usage: no test could be written; see `workflows.steps.reproduce`.

    """
    if job.request.purpose == "fix":
        return {"suspicion": _told(job, take_suspects(job))}
    from workflows.steps.reproduce import covered, with_new_tests

    try:
        here, plan = with_new_tests(state, job)
    except NoDiff as stop:
        if (another := another_plan(state, job, "cannot be written", str(stop))) is None:
            raise
        return another
    begun = {"plan": plan, "again": 0, "settled": False, "overruled": False, "objections": (), "replanned": False}
    if here.number == 0 and take_baseline(job)[0].targets:
        return begun | {"suspicion": _told(job, take_suspects(job))}
    if written_tests(here, job) is None or here.kind not in REPAIRING:
        from workflows.steps.places import ranked

        places = () if here.whole else ranked(here, job)
        return begun | {"suspicion": Suspicion(places[:TOP], len(places))}
    return begun | {"suspicion": _told(job, covered(here, job)[1])}


def _told(job: Job, suspects: tuple[Suspect, ...]) -> Suspicion:
    top = suspects[:TOP]
    where = ", ".join(f"{printable(s.path)}:{s.line} ({s.function})" for s in top[:3])
    job.events.emit(
        "suspects", f"{plural(len(suspects), 'suspicious line')}" + (f", first of all {where}" if where else ""),
        total=len(suspects), top=[{"path": s.path, "line": s.line, "score": round(s.score, 3)} for s in top],
    )  # fmt: skip
    return Suspicion(top, len(suspects))


def take_suspects(job: Job) -> tuple[Suspect, ...]:
    """Return the lines that may hold the fault, most suspicious first."""
    from agents.repair.localise import rank_suspects

    def rank() -> tuple[Suspect, ...]:
        baseline, _ = take_baseline(job)
        targets = tuple(target.node_id for target in baseline.targets)
        report = job.once(COVERAGE, lambda: coverage_run(job, baseline, targets, baseline_seconds(baseline)))
        return rank_suspects(job.tree, report, targets, issue=job.request.issue)

    return job.once(SUSPECTS, rank)


def look_ahead(job: Job) -> None:
    """Do what the first steps will want; they find it recorded, or wait for it, and tell of it."""
    baseline, _ = take_baseline(job)
    if baseline.targets:
        take_suspects(job)


def coverage_run(job: Job, baseline: Baseline, targets: tuple[str, ...], base_seconds: float) -> TestReport:
    """Run the targets, and as many other tests as there is time for, with coverage."""
    from sandbox.runners.run import run_tests

    left = job.clock.left()
    tests = () if base_seconds * SLOWDOWN < left * FULL_SHARE else near(baseline, targets)
    workspace, _ = job.open()
    # The search wants a workspace of its own, in which nothing has been run.
    job.spare()
    wall = max(3.0, left * WALL_SHARE)
    # A test that hangs shows where in no time; those that end are given several times what they took.
    longest = max((r.seconds for r in baseline.reports[0].results if r.node_id in baseline.steady), default=0.0)
    each = min(wall / 2, HANGING_SECONDS + SLOWDOWN * 2 * longest)
    run = partial(
        run_tests, workspace, job.ready().harness, coverage=True, wall_seconds=wall, test_seconds=each,
        hang_seconds=each * HANG_SHARE,
    )  # fmt: skip
    with workspace:
        report = run(tests)
        if report.coverage or not tests:
            return report
        # Tests that cannot be measured together may be measurable alone.
        return run(targets)


def near(baseline: Baseline, targets: tuple[str, ...]) -> tuple[str, ...]:
    """Return the targets first, then the tests of the same files that passed, quickest first."""
    files = {target.split("::")[0] for target in targets}
    report = baseline.reports[0]
    passing = [r for r in report.results if r.node_id in baseline.steady and r.node_id.split("::")[0] in files]
    return (*targets, *(result.node_id for result in sorted(passing, key=lambda r: r.seconds)))
