"""Repairs failing tests without a model: a typed problem in, ranked repairs out."""

from __future__ import annotations

import threading

from agents.repair.problem import OnEvent, RepairEvent, RepairProblem
from agents.repair.search import Search
from agents.results import RepairResult
from sandbox.protocol import Workspace

__all__ = ["RepairEvent", "RepairProblem", "repair"]


def repair(
    problem: RepairProblem,
    workspace: Workspace,
    *,
    budget_seconds: float,
    on_event: OnEvent | None = None,
    stop: threading.Event | None = None,
) -> RepairResult:
    """Search for changes that make the targets pass and break nothing, within `budget_seconds` of wall time.

    `workspace` holds the problem's tree; it is used by two workers at once and not changed. `on_event` gets progress,
    one call at a time. Setting `stop` ends the search soon with what it has.

    Raises:
        TestsUnrunnable: the targets could not be collected in the workspace.
        SandboxBroken: the workspace has gone, or could not be kept alive.

    """
    return Search(problem, workspace, budget_seconds, on_event or (lambda _event: None), stop).run()
