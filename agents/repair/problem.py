"""What a repair search is given, and what it says while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from agents.results import Candidate, Failure, Suspect
from sandbox.runners.report import Harness, TestReport
from sandbox.tree import Tree

EventKind = Literal["suspects", "opened", "progress", "passed", "ranking", "confirmed", "ended"]


@dataclass(frozen=True, slots=True)
class RepairProblem:
    """A tree with failing tests, and everything known about them."""

    tree: Tree
    harness: Harness
    report: TestReport
    """A run of all tests on the tree; with coverage where it could be had."""
    targets: tuple[str, ...]
    """Node ids of the failing tests that a repair must make pass."""
    suspects: tuple[Suspect, ...] | None = None
    """Most suspicious first; None lets the search rank them itself."""
    failures: tuple[Failure, ...] = ()
    """How the targets fail; taken from `report` where empty."""
    flaky: frozenset[str] = frozenset()
    """Tests that prove nothing."""
    allowed: tuple[str, ...] = ()
    """Glob patterns of the only paths that may change; empty allows every source file that is not a test."""
    recency: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    """Path → line → 0 (old) to 1 (changed last)."""
    issue: str = ""
    refused: frozenset[str] = frozenset()
    """Ids of candidates that passed an earlier search and were refused afterwards: they are not tried again."""

    def permits(self, path: str) -> bool:
        """Whether a candidate may change a path, as far as `allowed` says."""
        return not self.allowed or any(fnmatchcase(path, pattern) for pattern in self.allowed)

    @property
    def steady(self) -> tuple[str, ...]:
        """Node ids that passed, in order, without the flaky ones."""
        return tuple(r.node_id for r in self.report.results if r.node_id in self._passed)

    @property
    def _passed(self) -> frozenset[str]:
        return self.report.passed() - self.flaky - frozenset(self.targets)


@dataclass(frozen=True, slots=True)
class RepairEvent:
    """One piece of progress."""

    kind: EventKind
    message: str
    """One line for a person."""
    seconds: float
    """Since the search began."""
    generated: int = 0
    tried: int = 0
    passing: int = 0
    candidate: Candidate | None = None


OnEvent = Callable[[RepairEvent], None]
"""Called from several threads, one at a time."""
