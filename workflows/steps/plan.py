"""The steps that lead from a request to its diff; where tests fail, that is one step, and it needs no model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflows.state import Plan, RunState, StateDelta, Step
from workflows.wording import listed

if TYPE_CHECKING:
    from workflows.job import Job


def plan(state: RunState, job: Job) -> StateDelta:  # noqa: ARG001 - every step has this shape
    """Plan to repair all targets at once."""
    targets = state["intake"].targets
    step = Step(
        goal=f"make {listed(targets)} pass",
        targets=targets,
        criteria=(
            "every target passes in a fresh sandbox with pristine tests",
            "every test that passed steadily before still passes",
            "no test, test configuration or CI file is changed, unless the request allows it",
            "no new syntax or lint findings in the changed files",
        ),
    )
    return {"plan": Plan((step,))}
