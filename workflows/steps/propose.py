"""Candidates, from the cheapest tier: a search over syntax-tree edits, tried in a warm workspace."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agents.bugfixer import RepairEvent, RepairProblem, repair
from agents.results import RepairResult, Suspect
from sandbox.protocol import Workspace
from sandbox.runners.report import TestReport
from workflows.background import Task
from workflows.errors import BudgetSpent
from workflows.state import Proposal, RunState, StateDelta
from workflows.steps.intake import take_baseline
from workflows.steps.localise import COVERAGE, SUSPECTS
from workflows.wording import plural

if TYPE_CHECKING:
    from workflows.job import Job
    from workflows.state import Intake

PROPOSAL = "proposal"
"""Record of what the search found."""
LEAST_SECONDS = 0.5
"""A search is not begun with less time than this."""
GATE_SHARE = 0.5
"""Largest share of the time left that is kept back for the gate."""
LATE_SECONDS = 1.5
"""How much later than it was told a search may end by itself."""
TOLD_SECONDS = 0.25
"""Time between two words on how far the search is."""


def propose(state: RunState, job: Job) -> StateDelta:
    """Search for repairs, and keep enough time back to prove one.

    Raises:
        BudgetSpent: there is no time left to search in.

    """
    intake = state["intake"]
    result = job.once(PROPOSAL, lambda: _search(job, intake))
    ids = tuple(found.candidate.id for found in result.repairs)
    text = f"{plural(result.tried, 'candidate')} tried in {result.seconds:.1f} s, {plural(len(ids), 'repair')} to prove"
    job.events.emit(
        "found", text, repairs=len(ids), tried=result.tried, generated=result.generated, stopped=result.stopped,
        first_trial_seconds=result.first_trial_seconds,
    )  # fmt: skip
    return {
        "proposal": Proposal(
            record=PROPOSAL, candidates=ids, generated=result.generated, tried=result.tried, seconds=result.seconds,
            stopped=result.stopped, first_trial_seconds=result.first_trial_seconds,
        )
    }  # fmt: skip


def gate_reserve(intake: Intake, left: float) -> float:
    """Return the seconds to keep back for the gate's clean-room runs."""
    return min(left * GATE_SHARE, 2.0 + 2 * intake.open_seconds + 3 * intake.base_seconds)


def _search(job: Job, intake: Intake) -> RepairResult:
    left = job.clock.left()
    seconds = left - gate_reserve(intake, left)
    if seconds < LEAST_SECONDS:
        raise BudgetSpent(
            f"the budget of {job.settings.budget:.0f} s was spent before the search could begin: the tests alone take "
            f"{intake.base_seconds:.1f} s; give more time with --budget"
        )
    baseline = take_baseline(job)[0]
    suspects: tuple[Suspect, ...] = job.recorded(SUSPECTS, tuple)
    measured = job.recorded(COVERAGE, TestReport)
    problem = RepairProblem(
        tree=job.tree, harness=job.ready().harness, report=replace(baseline.reports[0], coverage=measured.coverage),
        targets=intake.targets, suspects=suspects, failures=baseline.targets, flaky=frozenset(intake.flaky),
        allowed=job.request.allowances.paths, issue=job.request.issue,
    )  # fmt: skip
    workspace, _ = job.open()
    with workspace:
        seconds = max(LEAST_SECONDS, seconds - (left - job.clock.left()))
        return _bounded(job, problem, workspace, seconds)


def _bounded(job: Job, problem: RepairProblem, workspace: Workspace, seconds: float) -> RepairResult:
    """Search, and make sure that the search's end is its end, whatever the tests of the repository do.

    Raises:
        BudgetSpent: it did not come to an end of its own; closing the workspace ends it.

    """
    stop, teller = threading.Event(), _Teller(job)
    job.events.emit("search-started", "searching for repairs", budget=round(seconds, 3))
    task = Task(lambda: repair(problem, workspace, budget_seconds=seconds, on_event=teller.tell, stop=stop), "search")
    try:
        try:
            return task.result(seconds + LATE_SECONDS)
        except TimeoutError:
            stop.set()
        return task.result(LATE_SECONDS)
    except TimeoutError:
        raise BudgetSpent(
            f"the budget of {job.settings.budget:.0f} s was spent before the search had come to a result: the tests "
            "to repair hang, or take too long; give more time with --budget"
        ) from None
    finally:
        stop.set()
        teller.close()


class _Teller:
    """Passes on what the search says, but not hundreds of times a second."""

    def __init__(self, job: Job) -> None:
        """Tell `job`'s events."""
        self._job = job
        self._quiet_until = 0.0
        self._closed = False

    def close(self) -> None:
        """Pass nothing on any more: a search that is given up may still speak."""
        self._closed = True

    def tell(self, event: RepairEvent) -> None:
        """Take one event of the search."""
        if self._closed:
            return
        words: dict[str, Any] = {"tried": event.tried, "generated": event.generated, "passing": event.passing}
        elapsed = self._job.events.elapsed()
        if event.kind == "passed" and event.candidate is not None:
            self._job.events.emit("candidate", candidate=event.candidate.id, description=event.message, **words)
        elif event.kind != "progress" or elapsed >= self._quiet_until:
            self._quiet_until = elapsed + TOLD_SECONDS
            self._job.events.emit("searching", logged=event.kind != "progress", trying=event.message, **words)
