"""The typed state that goes through the graph, and how two updates of it become one.

It holds facts and the names of records, never trees, reports or patches: those lie in the run's folder, so that a
checkpoint stays small and says nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypedDict

from agents.results import Answer, Kind, Plan, Step, Suspect
from workflows.verdicts import Allowances

__all__ = [
    "Delivery", "Done", "Ending", "Intake", "Kind", "Plan", "Proposal", "Purpose", "Request", "Review", "RunState",
    "StateDelta", "Step", "Suspicion", "Verdict", "appended",
]  # fmt: skip


Purpose = Literal["fix", "solve", "plan", "ask", "test"]
"""The command: `fix` wants failing tests to pass, `solve` takes any request, `plan` and `ask` end before a diff, `test`
writes tests for code as it is."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked for."""

    path: str
    """Absolute path of the folder that the command was given."""
    tests: tuple[str, ...] = ()
    """Tests to repair, by node id, file or folder; empty for all that fail."""
    issue: str = ""
    """What is wanted, in a person's words; untrusted."""
    allowances: Allowances = field(default_factory=Allowances)
    apply: bool = False
    """Change the working tree once a diff is verified."""
    output: str | None = None
    """File that the diff is written to, absolute."""
    bundle: str | None = None
    """Where a copy of the evidence bundle goes, absolute."""
    purpose: Purpose = "fix"
    kind: Kind | None = None
    """Where the person has said what it is."""
    approve: bool = False
    """Whether the plan is shown to the person before anything is done."""


@dataclass(frozen=True, slots=True)
class Intake:
    """What was found before anything was changed."""

    kind: Kind
    repository: str
    commit: str
    tree: str
    """Digest of the tree, uncommitted changes included."""
    dirty: tuple[str, ...]
    backend: str
    environment: str
    """Digest of the environment."""
    harness: str
    """How the way to run the tests was found out."""
    passed: int
    targets: tuple[str, ...]
    flaky: tuple[str, ...]
    base_seconds: float
    """Longest of the full runs."""
    open_seconds: float
    """How long a fresh workspace took to open."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Where the fault may be: the most suspicious places; the whole list is in the record `suspects`."""

    top: tuple[Suspect, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the searches found; the repairs themselves are in their records."""

    records: tuple[str, ...]
    """One for each round."""
    candidates: tuple[str, ...]
    """Ids of the repairs that the searches stand for, best first within a round."""
    passing: tuple[str, ...]
    """Ids of all candidates that passed a first trial; a further round leaves them out."""
    generated: int
    tried: int
    seconds: float
    stopped: str
    """Why the last round ended."""
    first_trial_seconds: float | None = None
    """Of the first round."""
    doubtful: tuple[str, ...] = ()
    """Descriptions of candidates that passed, but that the searches do not stand for."""
    sources: tuple[str, ...] = ()
    """Who made each round: `search`, or an agent and its tier, such as `bugfix:small`."""
    said: tuple[str, ...] = ()
    """What came of asking models, a sentence each."""
    capped: bool = False
    """Whether a cap kept a model from being asked."""
    step: int = 0
    """Index of the plan's step that they are for."""

    @property
    def rounds(self) -> int:
        """How many searches there were."""
        return len(self.records)

    def followed_by(self, later: Proposal) -> Proposal:
        """Return both rounds as one."""
        return Proposal(
            records=self.records + later.records, candidates=self.candidates + later.candidates,
            passing=self.passing + later.passing, generated=self.generated + later.generated,
            tried=self.tried + later.tried, seconds=self.seconds + later.seconds, stopped=later.stopped,
            first_trial_seconds=self.first_trial_seconds, doubtful=self.doubtful + later.doubtful,
            sources=self.sources + later.sources, said=self.said + later.said, capped=self.capped or later.capped,
            step=self.step,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate said about one candidate; its whole report is in its record."""

    candidate: str
    record: str
    passed: bool
    check: str
    """The condition that failed first, "" where all passed."""
    reason: str
    details: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    """Reasons of checks that passed, but that a person should look at."""


@dataclass(frozen=True, slots=True)
class Review:
    """What a stranger's reading of the diff brought up."""

    accepted: bool
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """A step of the plan whose change was verified on top of the ones before."""

    number: int
    record: str
    """Of its candidate, relative to the tree with the steps before it, and of the tests that it is judged by."""
    description: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """What left the system."""

    patch: str
    """SHA-256 of the patch."""
    bundle: str
    """Path of the evidence bundle in the run's folder."""
    files: tuple[str, ...]
    applied: bool = False
    written: tuple[str, ...] = ()
    """Paths outside the run's folder that were written, besides the working tree."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a run stops without a diff."""

    code: int
    message: str


def appended(before: tuple[Verdict, ...], new: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """Return both without repetition: a step that is done again after a crash says the same again."""
    known = {verdict.candidate for verdict in before}
    return before + tuple(verdict for verdict in new if verdict.candidate not in known)


class RunState(TypedDict, total=False):
    """The state; every key is written by the step of that name (`verdicts` by verify, `chosen` by select)."""

    request: Request
    intake: Intake
    plan: Plan
    suspicion: Suspicion
    proposal: Proposal
    verdicts: Annotated[tuple[Verdict, ...], appended]
    again: int
    """The round of the search that is wanted next, where all repairs so far were refused."""
    settled: bool
    """Whether the gate looks at no further candidate, although those that passed all carry flags."""
    at: int
    """Index of the plan's step at work; the number of steps means the whole, where there are several."""
    done: tuple[Done, ...]
    plans: int
    """How many plans were given up, as they came to nothing."""
    replanned: bool
    """Whether another plan is about to be begun."""
    objections: tuple[str, ...]
    """What a reader of an earlier change for the step at work objects to."""
    answer: Answer
    overruled: bool
    """Whether a reader's objections are only told, as nothing came that has none."""
    chosen: str
    """Id of the candidate that select picked."""
    reasons: tuple[str, ...]
    """Why it was picked."""
    rejected: Annotated[tuple[str, ...], lambda before, new: before + tuple(n for n in new if n not in before)]
    """Ids of verified candidates that review refused."""
    objected: Annotated[tuple[str, ...], lambda before, new: before + tuple(n for n in new if n not in before)]
    """Ids of verified candidates to which a model, reading as a stranger, objects."""
    review: Review
    delivery: Delivery
    ending: Ending


StateDelta = Mapping[str, object]
"""What a step returns: the keys that it changes."""
