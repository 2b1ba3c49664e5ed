"""What trials are given and what they say, on the host and on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

TrialVerdict = Literal["passed", "failed", "error", "timeout", "crashed", "uncompilable", "same", "import"]
"""How a trial ended; `same` compiles to what is there, `import` needs `Trials.try_fresh`."""


class TextEdit(Protocol):
    """Replace the characters from `start` to `end` of a file's decoded text."""

    @property
    def path(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def replacement(self) -> str: ...


class Change(Protocol):
    """A candidate as trials see it."""

    @property
    def id(self) -> str: ...
    @property
    def edits(self) -> Sequence[TextEdit]: ...


@dataclass(frozen=True, slots=True)
class TargetRun:
    """How one target test ended on the base, in the worker."""

    test: str
    outcome: str
    seconds: float
    exception: str = ""
    at: tuple[str, int] | None = None
    deep: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """What the worker found when it had collected the tests."""

    targets: tuple[TargetRun, ...]
    missing: tuple[str, ...]
    """Targets that were not collected."""
    collected: int
    stateful: bool
    """Whether a target ends otherwise when it runs a second time in one process; each candidate then gets its own."""
    imported: frozenset[tuple[str, int, str]]
    """Path, first line and name of the project's functions that ran while the tests were collected."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Trial:
    """What one candidate did to the tests."""

    id: str
    verdict: TrialVerdict
    way: Literal["swap", "overlay"] = "swap"
    passed: int = 0
    """How many targets passed before the run was stopped."""
    moved: int = 0
    """How many targets failed in another way than on the base."""
    test: str = ""
    """The first target that did not pass."""
    exception: str = ""
    at: tuple[str, int] | None = None
    """Path and line, in the tests as a rule, where that target failed first."""
    deep: tuple[str, int] | None = None
    """The innermost line of the repository in that traceback."""
    breaks: str = ""
    """A test that passed on the base and does not with the candidate."""
    complete: bool = True
    """Whether all the tests that were asked for ran."""
    ran: int = 0
    message: str = ""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether all targets passed and nothing was seen to break."""
        return self.verdict == "passed" and not self.breaks


@dataclass(frozen=True, slots=True)
class Sample:
    """One input on which the original and the candidates were run."""

    kind: Literal["failing", "passing", "generated"]
    """Recorded in a failing or a passing test, or made from a recorded one."""
    entry: str
    """`path:line:name` of the function that was called."""
    original: str
    """What the original did: a digest, with `!` in front of an exception, `?` of a time-out."""
    outcomes: Mapping[str, str]
    """The same for each candidate, by its id."""


@dataclass(frozen=True, slots=True)
class Behaviours:
    """What candidates do on recorded and generated inputs."""

    samples: tuple[Sample, ...]
    unknown: frozenset[str] = field(default_factory=frozenset)
    """Candidates that could not be run this way."""


def as_message(change: Change) -> dict[str, Any]:
    """Return a change as the worker reads it."""
    return {"id": change.id, "edits": [[e.path, e.start, e.end, e.replacement] for e in change.edits]}


def _place(value: Sequence[Any] | None) -> tuple[str, int] | None:
    return (str(value[0]), int(value[1])) if value else None


def target_run(summary: Mapping[str, Any]) -> TargetRun:
    """Read how a target test ended on the base."""
    seconds = max(float(summary["cpu"]), min(float(summary["wall"]), 0.01))
    return TargetRun(
        summary["test"],
        summary["outcome"],
        seconds,
        summary.get("exception", ""),
        _place(summary.get("at")),
        _place(summary.get("deep")),
    )


def trial_of(message: Mapping[str, Any]) -> Trial:
    """Read what the worker says of one candidate."""
    return Trial(
        message["id"],
        message["verdict"],
        message["way"],
        message.get("passed", 0),
        message.get("moved", 0),
        message.get("test", ""),
        message.get("exception", ""),
        _place(message.get("at")),
        _place(message.get("deep")),
        message.get("breaks", ""),
        message.get("complete", True),
        message.get("ran", 0),
        message.get("message", ""),
        message.get("seconds", 0.0),
    )
