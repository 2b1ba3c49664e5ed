"""What agents are given and what they return."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sandbox.runners.report import Frame


@dataclass(frozen=True, slots=True)
class Suspect:
    """A place that may hold the fault; the list that holds it is sorted, most suspicious first."""

    path: str
    line: int
    function: str
    """Qualified name of the innermost function or class, `<module>` at the top level."""
    score: float
    """Between 0 and 1 after fusion."""
    signals: Mapping[str, float] = field(default_factory=dict)
    """The single signals that made the score, by name."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace characters `start` to `end` (offsets into the decoded text) of a file by `replacement`."""

    path: str
    start: int
    end: int
    replacement: str


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file that the base does not have."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposed change to files."""

    edits: tuple[Edit, ...]
    """Not overlapping, sorted by path and start."""
    origin: str
    """Who proposed it: `template:NAME`, `pair:NAME+NAME`, or an agent's role and tier."""
    description: str
    """One line for a person: what was changed where."""
    prior: float = 0.0
    """Natural logarithm of how likely the kind of change is, before any run."""
    tier: int = 0
    created: tuple[NewFile, ...] = ()
    """Files that are added, sorted by path."""
    deleted: tuple[str, ...] = ()
    """Paths that are removed, sorted."""

    @property
    def id(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of everything that is changed."""
        text = "\0".join(f"{e.path}\0{e.start}\0{e.end}\0{e.replacement}" for e in self.edits)
        text += "".join(f"\0+{new.path}\0{new.text}" for new in self.created)
        text += "".join(f"\0-{path}" for path in self.deleted)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


Verdict = Literal["passed", "failed", "error", "timeout", "crashed"]


@dataclass(frozen=True, slots=True)
class Failure:
    """One target test: how it fails on the base."""

    node_id: str
    exception: str
    message: str
    frames: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class Repair:
    """A candidate that passed the search's own, warm trials; not verified."""

    candidate: Candidate
    score: float
    """Rank key, larger is better; comparable within one search only."""
    votes: int = 1
    """How many passing candidates behave alike on all inputs that were tried."""
    notes: tuple[str, ...] = ()
    """Why it stands where it stands, in short sentences, for the evidence."""
    confidence: float = 1.0
    """How likely it is the right one, between 0 and 1, as far as the search can tell."""


@dataclass(frozen=True, slots=True)
class RepairResult:
    """What a search found, best first."""

    repairs: tuple[Repair, ...]
    generated: int
    """Candidates made."""
    tried: int
    """Candidates run on at least one test."""
    seconds: float
    first_trial_seconds: float | None
    """From the search's start to the first candidate that ran."""
    stopped: Literal["exhausted", "budget", "enough", "interrupted"]
    suspects: tuple[Suspect, ...] = ()
    doubtful: tuple[Repair, ...] = ()
    """Candidates that passed but that the search does not stand for; best first."""
