"""What the search could not repair, asked of a model: its answers are tried out, and what passes meets in one vote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from agents.bugfixer import FixBounds, FixEvent, FixResult, RepairProblem, propose_fixes
from agents.results import Candidate, RepairResult
from workflows.ladder import Rung
from workflows.steps.trying import Trying
from workflows.steps.votes import counted
from workflows.wording import plural, printable

if TYPE_CHECKING:
    from workflows.job import Job

ENOUGH = 2
"""Passing candidates after which a large model is asked no more: two, so that there is something to compare. Of a small
one, whose answers take long, the first goes to the gate; it is asked again where that is refused."""
SEED = 1_000
_STOPPED: Mapping[str, Literal["budget", "enough"]] = {"seconds": "budget", "passed": "enough"}
TOLD_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Round:
    """What one source came to."""

    result: RepairResult
    passing: tuple[str, ...]
    """Ids of everything that passed."""
    said: str = ""
    """A sentence for a person, about a model."""
    capped: bool = False


def ask_for_fixes(
    job: Job, rung: Rung, problem: RepairProblem, others: Sequence[Candidate], seconds: float, before: int = 0
) -> Round:
    """Ask one model for repairs within `seconds`; whatever its endpoint does is a sentence, not an error.

    `others` are candidates of earlier tiers that passed, but were not taken: they vote. `before` counts the rounds in
    which this model was asked already.

    Raises:
        SandboxBroken: the workspace has gone.

    """
    steady = frozenset(problem.steady)
    begun = job.clock.elapsed()
    large = rung.tier.level > 1
    bounds = FixBounds(
        samples=8 if large else 6, places=4 if large else 3, enough=ENOUGH if large else 1, seconds=seconds,
        sampled=before > 0,
        tokens=60_000 if large else 24_000, reply_tokens=min(rung.tier.output, 2_400 if large else 1_200),
        prompt_tokens=min(8_000 if large else 3_000, rung.tier.context // 2),
    )  # fmt: skip
    job.events.emit("asking", f"asking {rung.tier.name} ({rung.model.name}) for repairs", tier=rung.tier.name,
                    model=rung.model.name, agent="bugfix", seconds=round(seconds, 1))  # fmt: skip
    with Trying(job, problem.tree, problem.targets, steady, problem.report.seconds) as trying:
        found = propose_fixes(
            problem, rung.model, try_out=trying, bounds=bounds, tier=rung.number,
            seed=SEED * rung.number + 100 * before, fence=job.ladder.fence(), stop=job.stop,
            on_event=_Teller(job, rung),
        )  # fmt: skip
        vote = counted(problem, found.passing, others, trying.workspace, job.stop)
    tried = sum(attempt.observation is not None for attempt in found.attempts)
    result = RepairResult(
        vote.repairs, len(found.attempts), tried, job.clock.elapsed() - begun, None,
        _STOPPED.get(found.stopped, "exhausted"), doubtful=vote.special,
    )  # fmt: skip
    passing = tuple(candidate.id for candidate in found.passing)
    return Round(result, passing, _said(rung, found), capped=found.stopped == "cap")


def _said(rung: Rung, found: FixResult) -> str:
    calls = plural(len(found.attempts), "answer")
    sentence = f"{rung.tier.name} ({rung.model.name}): {calls}, {found.passed} passed when tried"
    if found.stopped in {"cap", "context", "model", "no place"}:
        sentence += f"; {found.reason}"
    return printable(sentence)


class _Teller:
    """Passes on what the bugfix agent does."""

    def __init__(self, job: Job, rung: Rung) -> None:
        self._job = job
        self._rung = rung

    def __call__(self, event: FixEvent) -> None:
        words: dict[str, Any] = {"tier": self._rung.tier.name, "calls": event.calls, "tokens": event.tokens}
        if event.kind == "passed" and event.candidate is not None:
            self._job.events.emit("candidate", candidate=event.candidate.id, description=event.message, **words)
        else:
            self._job.events.emit("working", agent="bugfix", doing=printable(event.message), did=event.kind, **words)
