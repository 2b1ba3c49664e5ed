"""Which step comes next: pure functions of the state."""

from __future__ import annotations

from typing import Literal

from workflows.state import RunState, Verdict

FLAGGED_ENOUGH = 3
"""So many candidates that passed with a flag are enough to choose from."""


def stopped(state: RunState) -> bool:
    """Whether a step has said that the run ends without a diff."""
    return state.get("ending") is not None


def first(state: RunState) -> Literal["intake", "answer"]:
    """Take the base report, which a question does not need."""
    return "answer" if state["request"].kind == "question" else "intake"


def after_intake(state: RunState) -> Literal["plan", "deliver"]:
    """Go on unless there is nothing to do, or nothing that can be done."""
    return "deliver" if stopped(state) else "plan"


def after_plan(state: RunState) -> Literal["localise", "answer", "deliver"]:
    """Work on the plan, answer what is a question, or end where only the plan is wanted."""
    if stopped(state) or state["request"].purpose == "plan":
        return "deliver"
    return "answer" if state["plan"].kind == "question" else "localise"


def after_localise(state: RunState) -> Literal["propose", "localise", "deliver"]:
    """Go on unless no test shows what is wanted; another plan begins here."""
    if stopped(state):
        return "deliver"
    return "localise" if state.get("replanned") else "propose"


def after_propose(state: RunState) -> Literal["verify", "deliver"]:
    """Show the gate what was found, if anything was."""
    return "deliver" if stopped(state) else "verify"


def after_verify(state: RunState) -> Literal["verify", "propose", "localise", "select", "deliver"]:
    """Show the gate the next repair until one is verified without a flag, none is left, or the time is up."""
    if stopped(state):
        return "deliver"
    if state.get("replanned"):
        return "localise"
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


def after_review(state: RunState) -> Literal["verify", "select", "localise", "deliver"]:
    """Deliver what was accepted, or go on to the plan's next step; else take the next candidate that there is."""
    review = state.get("review")
    if stopped(state):
        return "deliver"
    if review is not None and review.accepted:
        return "deliver" if complete(state) else "localise"
    return "select" if open_verified(state) else "verify"


def complete(state: RunState) -> bool:
    """Whether the plan has no step left: of several, also their changes together have been judged."""
    plan = state.get("plan")
    steps = len(plan.steps) if plan is not None else 1
    return steps == 1 or state.get("at", 0) > steps


def open_verified(state: RunState) -> tuple[str, ...]:
    """Return the ids of verified candidates that review has not refused, in the order in which they were verified."""
    refused = set(state.get("rejected", ()))
    if not state.get("overruled"):
        refused |= set(state.get("objected", ()))
    return tuple(v.candidate for v in verdicts_here(state) if v.passed and v.candidate not in refused)


def verdicts_here(state: RunState) -> tuple[Verdict, ...]:
    """Return the verdicts on what was proposed for the step at work."""
    proposal = state.get("proposal")
    step = proposal.step if proposal is not None else 0
    return tuple(v for v in state.get("verdicts", ()) if step_of(v.candidate) == step)


def step_of(candidate: str) -> int:
    """Return the index of the step that a candidate's name belongs to; see `Standing.name`."""
    number, dot, _ = candidate.partition(".")
    return int(number) - 1 if dot else 0


def next_candidate(state: RunState) -> str | None:
    """Return the best repair that the gate has not seen yet."""
    proposal = state.get("proposal")
    seen = {verdict.candidate for verdict in state.get("verdicts", ())}
    return next((c for c in proposal.candidates if c not in seen), None) if proposal else None
