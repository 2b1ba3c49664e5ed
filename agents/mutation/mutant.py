"""What a mutant is, and what the tests said of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agents.edits import apply_changes
from agents.results import Candidate, Edit
from sandbox.tree import Tree

Verdict = Literal["killed", "survived", "timed out", "not covered", "broken", "equivalent", "untried"]
"""`broken` cannot be imported, `equivalent` compiles to what is there, `untried` was left for want of time."""

CAUGHT: frozenset[Verdict] = frozenset(("killed", "timed out"))
"""Verdicts that speak for the tests."""
MISSED: frozenset[Verdict] = frozenset(("survived", "not covered"))
"""Verdicts that speak against them; the others say nothing."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One small fault in one place."""

    path: str
    first: int
    last: int
    """First and last line of what is changed, in the original file."""
    operator: str
    """Which kind of fault: `family.kind`."""
    edits: tuple[Edit, ...]
    """Against the original text; sorted, not overlapping."""
    description: str
    """One line for a person."""
    diff: str
    """Unified, with `a/` and `b/` and three lines of context."""
    changed: str
    """The changed lines as they read in the mutant, whole; "" where they are gone."""
    unit: str
    """Qualified name of the function or method around it, `<module>` outside of any."""
    unit_lines: tuple[int, int]
    """First and last line of that unit, decorators included."""
    reach: tuple[int, int] | None
    """The lines whose running tests can notice it; None where all that import the module can."""

    @property
    def id(self) -> str:
        """Twelve digits that stand for the path and the edits."""
        return Candidate(self.edits, "", "").id

    def applied(self, tree: Tree) -> Tree:
        """Return the tree with the fault in it; `tree` holds the file as it was when the mutant was made."""
        return apply_changes(tree, self.edits)


@dataclass(frozen=True, slots=True)
class Judged:
    """What the tests said of one mutant."""

    mutant: Mutant
    verdict: Verdict
    test: str = ""
    """The first test that noticed it."""
    exception: str = ""
    """What that test ended with."""
    covering: int = 0
    """How many tests run what it changes."""
    known: bool = False
    """Whether the verdict was remembered from an earlier time."""

    @property
    def caught(self) -> bool:
        """Whether the tests noticed it."""
        return self.verdict in CAUGHT


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A fault that is not put in, because nobody could or should notice it."""

    path: str
    line: int
    operator: str
    reason: str


def share(judged: tuple[Judged, ...]) -> float | None:
    """Return how many of the mutants that can be judged the tests caught, from 0 to 1; None where there are none."""
    caught = sum(one.verdict in CAUGHT for one in judged)
    missed = sum(one.verdict in MISSED for one in judged)
    return caught / (caught + missed) if caught + missed else None
