"""One search of the repair agent: in a workspace, within its time, telling how far it is."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from agents.bugfixer import RepairEvent, RepairProblem, repair
from agents.results import RepairResult
from sandbox.protocol import Workspace
from workflows.background import Task
from workflows.errors import BudgetSpent

if TYPE_CHECKING:
    from workflows.job import Job

LATE_SECONDS = 1.5
"""How much later than it was told a search may end by itself."""
TOLD_SECONDS = 0.25
"""Time between two words on how far the search is."""


def search(
    job: Job, problem: RepairProblem, workspace: Workspace, seconds: float
) -> tuple[RepairResult, tuple[str, ...]]:
    """Search, and make sure that the search's end is its end, whatever the tests of the repository do.

    The second value is the ids of all candidates that passed a first trial, whatever became of them.

    Raises:
        BudgetSpent: it did not come to an end of its own; closing the workspace ends it.

    """
    stop, teller = threading.Event(), _Teller(job)
    job.events.emit("search-started", "searching for repairs", budget=round(seconds, 3))
    task = Task(lambda: repair(problem, workspace, budget_seconds=seconds, on_event=teller.tell, stop=stop), "search")
    try:
        try:
            return task.result(seconds + LATE_SECONDS), tuple(teller.passing)
        except TimeoutError:
            stop.set()
        return task.result(LATE_SECONDS), tuple(teller.passing)
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
        self.passing: dict[str, None] = {}

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
            self.passing[event.candidate.id] = None
            self._job.events.emit("candidate", candidate=event.candidate.id, description=event.message, **words)
        elif event.kind != "progress" or elapsed >= self._quiet_until:
            self._quiet_until = elapsed + TOLD_SECONDS
            self._job.events.emit("searching", logged=event.kind != "progress", trying=event.message, **words)
