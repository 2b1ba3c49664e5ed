"""What asking a model for repairs is given, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from agents.models.protocol import Usage
from agents.observations import Observation
from agents.results import Candidate

TryOut = Callable[[Candidate], Observation]
"""Runs the targets (and what else may break) with a candidate applied, in a sandbox."""
FixStopped = Literal["passed", "samples", "tokens", "seconds", "no place", "interrupted", "cap", "context", "model"]
"""Why no more was asked: enough passed; all samples, tokens or seconds were used; nowhere to ask about; `stop` was
set; the ledger's cap; a prompt that does not fit; an endpoint that failed."""


@dataclass(frozen=True, slots=True)
class FixBounds:
    """How much may be asked; whatever is reached first ends it."""

    samples: int = 6
    """Calls of the model, reflections included."""
    places: int = 3
    """Functions that are asked about."""
    reflections: int = 2
    """Calls of `samples` that may tell the model how its best candidate failed."""
    enough: int = 1
    """Candidates that pass before no more is asked."""
    tokens: int = 24_000
    """Of prompts and replies together."""
    seconds: float = 300.0
    reply_tokens: int = 1_200
    """Most that one reply may have; a function's own length usually bounds it further."""
    prompt_tokens: int = 3_000
    """About what a prompt is cut to."""
    sampled: bool = False
    """Whether every answer is sampled, as the likeliest ones were given in an earlier round."""
    whole_lines: int = 70
    """Functions up to this many lines are asked for whole, longer ones by search and replace."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of the model, and what its answer was worth."""

    place: str
    """`path::function` that was asked about."""
    kind: Literal["first", "sample", "reflection"]
    usage: Usage | None
    candidate: Candidate | None = None
    observation: Observation | None = None
    """None where the candidate was not tried."""
    refused: str = ""
    """Why the answer was not a candidate: what the parser said, or that it repeats an earlier one."""


@dataclass(frozen=True, slots=True)
class FixResult:
    """What asking came to."""

    candidates: tuple[Candidate, ...]
    """Those that passed, in the order in which they did; then the others that were tried, fewest failures first."""
    passed: int
    """How many of `candidates` passed."""
    attempts: tuple[Attempt, ...]
    usage: Usage
    stopped: FixStopped
    reason: str = ""
    """One sentence where `stopped` does not say it all."""

    @property
    def passing(self) -> tuple[Candidate, ...]:
        """The candidates that passed when they were tried; not verified."""
        return self.candidates[: self.passed]


@dataclass(frozen=True, slots=True)
class FixEvent:
    """One piece of progress."""

    kind: Literal["asking", "refused", "trying", "failed", "passed", "ended"]
    message: str
    """One line for a person."""
    calls: int = 0
    tokens: int = 0
    candidate: Candidate | None = None


OnFixEvent = Callable[[FixEvent], None]


@dataclass(frozen=True, slots=True)
class Hints:
    """What an earlier tier learnt, to ask about the right places first."""

    near_misses: tuple[tuple[Candidate, int], ...] = ()
    """Candidates of an earlier tier that made some, but not all targets pass, each with how many still fail."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """`path::function` → what its suspicion is multiplied by."""
