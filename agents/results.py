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
Kind = Literal["fix", "feature", "test", "refactor", "upgrade", "security", "question"]


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


# The planner's


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan."""

    goal: str
    targets: tuple[str, ...]
    """Node ids of tests that must pass after it; empty where no test shows it yet."""
    criteria: tuple[str, ...]
    """Sentences; the step is done when all hold."""
    places: tuple[str, ...] = ()
    """Where to work: `path` or `path::name`; a path that does not exist is to be made."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps that lead from the request to the diff, in order."""

    steps: tuple[Step, ...]
    kind: Kind = "fix"
    restated: str = ""
    """The request in one or two sentences of the planner's own, for a person to check."""
    origin: str = "rules"
    """Who made it: `rules`, `person`, or the model's name."""
    notes: tuple[str, ...] = ()
    """Sentences about how it came about, for a person: places left out, a model that could not be understood."""


@dataclass(frozen=True, slots=True)
class Questions:
    """The request cannot be worked on before a person has answered these."""

    questions: tuple[str, ...]
    """One to five sentences."""
    reason: str
    """Why it cannot be understood, in one sentence."""
    origin: str = "rules"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What came of trying a step: a reason for another plan."""

    step: int
    """Index of the step in the plan, from 0."""
    reason: Literal["tests fail", "gate refused", "not localised", "no progress", "cannot be written", "budget"]
    sentence: str
    """What happened, in one sentence; untrusted, as tests and models have a say in it."""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The planner has no better plan than the one that failed."""

    reason: str


@dataclass(frozen=True, slots=True)
class PlanRefused:
    """A person wants no such plan; the reason goes back to the planner."""

    reason: str


# The reviewer's

Severity = Literal["blocking", "warning", "note"]
Category = Literal["scope", "correctness", "tests", "secret", "security", "debugging", "claim", "instruction"]
"""`claim`: words in the diff that say how good it is; `instruction`: words in the diff that address its readers."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a reader of the diff objects to or points out."""

    severity: Severity
    category: Category
    sentence: str
    path: str = ""
    """Empty where it is about the diff as a whole."""
    line: int = 0
    """Of the file after the diff (before it, where the line was removed); 0 where it is about the whole file."""
    origin: str = "rules"
    """`rules`, or the model's name: what a model says is never more than an objection to be looked into."""

    def __str__(self) -> str:
        """Return the finding with its place."""
        place = f"{self.path}:{self.line}: " if self.line else f"{self.path}: " if self.path else ""
        return place + self.sentence


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What a reader found in a diff; that there is nothing proves nothing."""

    findings: tuple[Finding, ...]
    """The most severe first."""
    complete: bool
    """Whether a model read all of it; without a model never."""
    notes: tuple[str, ...] = ()
    """Sentences for a person: what was not read, and why."""

    @property
    def objections(self) -> tuple[Finding, ...]:
        """The findings that should go back to who wrote the diff."""
        return tuple(f for f in self.findings if f.severity == "blocking")


# The unit-test agent's


@dataclass(frozen=True, slots=True)
class StatedFailure:
    """Why a new test fails on the base: what was stated before it ran, and what the run said."""

    node_id: str
    exception: str
    """Type name, as stated and as seen."""
    reason: str
    """What the writer says is wrong or missing, in one sentence."""
    message: str = ""
    """What the run on the base said."""


TestFault = Literal[
    "unparsable", "no test", "not stated", "bad reason", "asserts nothing", "always fails", "skipped", "forbidden",
    "not collected", "not run", "passed", "wrong exception", "own mistake", "fixture error", "unsteady",
]  # fmt: skip
"""What can be wrong with a new test."""


@dataclass(frozen=True, slots=True)
class TestRefused:
    """A test that was written and not kept."""

    __test__ = False

    fault: TestFault
    sentence: str
    """For the model and for a person."""
    test: str = ""
    """Name of the test function; empty where it is about the file."""


@dataclass(frozen=True, slots=True)
class WrittenTests:
    """New tests that fail on the base for the stated reasons."""

    candidate: Candidate
    """Only adds files, and only test files."""
    stated: tuple[StatedFailure, ...]
    """At least one; in the order of the file."""
    refused: tuple[TestRefused, ...] = ()
    """What was wrong with earlier attempts."""

    @property
    def node_ids(self) -> tuple[str, ...]:
        """The tests that fail now and have to pass in the end."""
        return tuple(one.node_id for one in self.stated)


@dataclass(frozen=True, slots=True)
class NoTests:
    """No test could be written that fails for a stated reason."""

    reason: str
    refused: tuple[TestRefused, ...] = ()


# The answerer's


@dataclass(frozen=True, slots=True)
class Citation:
    """Lines that an answer rests on; they exist, and the model was shown them."""

    path: str
    first: int
    last: int
    symbol: str = ""

    def __str__(self) -> str:
        """Return `path:first-last`."""
        return f"{self.path}:{self.first}" + (f"-{self.last}" if self.last > self.first else "")


@dataclass(frozen=True, slots=True)
class Answer:
    """A question's answer from the repository."""

    text: str
    """Citations stand in it as `[path:first-last]`; empty where no model answered."""
    citations: tuple[Citation, ...]
    """In the order of the text; without a model, the best passages."""
    origin: str = "search"
    """`search`, or the model's name."""
    notes: tuple[str, ...] = ()
