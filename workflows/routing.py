"""Which step comes next: pure functions of the state."""

from __future__ import annotations

from typing import Literal

from workflows.state import RunState

FLAGGED_ENOUGH = 3
"""So many candidates that passed with a flag are enough to choose from."""


def stopped(state: RunState) -> bool:
    """Whether a step has said that the run ends without a diff."""
    return state.get("ending") is not None


def after_intake(state: RunState) -> Literal["plan", "deliver"]:
    """Go on unless there is nothing to do, or nothing that can be done."""
    return "deliver" if stopped(state) else "plan"


def after_propose(state: RunState) -> Literal["verify", "deliver"]:
    """Show the gate what was found, if anything was."""
    return "deliver" if stopped(state) else "verify"


def after_verify(state: RunState) -> Literal["verify", "propose", "select", "deliver"]:
    """Show the gate the next repair until one is verified without a flag, none is left, or the time is up."""
    if stopped(state):
        return "deliver"
    proposal = state.get("proposal")
    if proposal is not None and state.get("again", 0) > proposal.rounds:
        return "propose"
    return "select" if enough_verified(state) else "verify"


def enough_verified(state: RunState) -> bool:
    """Whether a choice can be made: one candidate passed without a flag, or enough passed with one."""
    names = set(open_verified(state))
    passed = [verdict for verdict in state.get("verdicts", ()) if verdict.candidate in names]
    if not passed:
        return False
    return any(not v.flags for v in passed) or len(passed) >= FLAGGED_ENOUGH or bool(state.get("settled"))


def after_review(state: RunState) -> Literal["verify", "select", "deliver"]:
    """Deliver what was accepted; otherwise take the next verified candidate, or have the gate look at the next one."""
    review = state.get("review")
    if stopped(state) or (review is not None and review.accepted):
        return "deliver"
    return "select" if open_verified(state) else "verify"


def open_verified(state: RunState) -> tuple[str, ...]:
    """Return the ids of verified candidates that review has not refused, in the order in which they were verified."""
    refused = set(state.get("rejected", ()))
    return tuple(v.candidate for v in state.get("verdicts", ()) if v.passed and v.candidate not in refused)


def next_candidate(state: RunState) -> str | None:
    """Return the best repair that the gate has not seen yet."""
    proposal = state.get("proposal")
    seen = {verdict.candidate for verdict in state.get("verdicts", ())}
    return next((c for c in proposal.candidates if c not in seen), None) if proposal else None
