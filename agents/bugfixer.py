"""Repairs failing tests: without a model by search, and with one by asking; a typed problem in, candidates out."""

from __future__ import annotations

import threading

from agents.fixes.asking import Asking
from agents.fixes.problem import Attempt, FixBounds, FixEvent, FixResult, Hints, OnFixEvent, TryOut
from agents.models.prompts import Fence
from agents.models.protocol import ChatModel
from agents.repair.problem import OnEvent, RepairEvent, RepairProblem
from agents.repair.search import Search
from agents.results import RepairResult
from sandbox.protocol import Workspace

__all__ = [
    "Attempt",
    "FixBounds",
    "FixEvent",
    "FixResult",
    "Hints",
    "RepairEvent",
    "RepairProblem",
    "TryOut",
    "propose_fixes",
    "repair",
]


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


def propose_fixes(
    problem: RepairProblem,
    model: ChatModel,
    *,
    try_out: TryOut,
    bounds: FixBounds = FixBounds(),  # noqa: B008
    hints: Hints = Hints(),  # noqa: B008
    tier: int = 1,
    seed: int = 0,
    fence: Fence | None = None,
    stop: threading.Event | None = None,
    on_event: OnFixEvent | None = None,
) -> FixResult:
    """Ask a model for repairs of the most suspicious functions, and try each one out as it comes.

    Works with small models: each call asks for one function in one short prompt. `try_out` runs the targets in a
    sandbox; how the best candidate failed goes back to the model, within `bounds`. Candidates that mean the same as one
    tried before, or as the base, are not tried. `problem.refused` and `problem.allowed` are kept to.

    Raises:
        SandboxBroken: passed on from `try_out`.

    """
    asking = Asking(
        problem,
        model,
        try_out,
        bounds,
        hints,
        tier=tier,
        seed=seed,
        fence=fence or Fence(),
        stop=stop,
        on_event=on_event,
    )
    return asking.run()
