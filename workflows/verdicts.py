"""What the gate is given and what it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from agents.results import Failure
from sandbox.limits import Limits
from sandbox.protocol import Environment
from sandbox.runners.report import Harness, TestReport
from sandbox.tree import Tree

CheckName = Literal[
    "applies", "scope", "tests-untouched", "tamper", "targets-failed-before", "targets-pass", "nothing-broken",
    "no-new-findings", "repeatable", "generalises",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Allowances:
    """What the request allows a patch to touch beyond source files."""

    tests: bool = False
    """Existing tests, conftest files and test data may change, and tests may be added, which are reported apart."""
    configuration: bool = False
    """Test configuration, build files and CI may change."""
    paths: tuple[str, ...] = ()
    """Glob patterns of the only paths that may change; empty allows all others."""
    added_tests: tuple[str, ...] = ()
    """Glob patterns of test files that may be added (as reproducing tests) where `tests` is false."""


@dataclass(frozen=True, slots=True)
class Check:
    """One of the gate's conditions, judged."""

    name: CheckName
    passed: bool
    reason: str
    """One sentence, also where it passed."""
    details: tuple[str, ...] = ()
    flagged: bool = False
    """Passed, but a person should look: said in the summary."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The tests as they are before any change."""

    reports: tuple[TestReport, ...]
    """At least two full runs, each in a fresh sandbox."""
    flaky: tuple[str, ...]
    """Node ids whose outcome differed between runs; they are never evidence."""
    targets: tuple[Failure, ...]
    """The tests that the request is about: they fail steadily, in this way."""

    @property
    def steady(self) -> frozenset[str]:
        """Node ids that passed in every run."""
        return frozenset.intersection(*(r.passed() for r in self.reports)) if self.reports else frozenset()


@dataclass(frozen=True, slots=True)
class GateCase:
    """Everything that a verdict depends on."""

    base: Tree
    patch: bytes
    """Git's own patch format, against `base`."""
    baseline: Baseline
    harness: Harness
    environment: Environment
    limits: Limits
    allowances: Allowances = field(default_factory=Allowances)
    repeats: int = 2
    """How many clean-room runs of the patched tree must agree."""


@dataclass(frozen=True, slots=True)
class GateReport:
    """The verdict; `checks` stops after the first failure of a condition that later ones depend on."""

    patch: bytes
    checks: tuple[Check, ...]
    reports: tuple[TestReport, ...]
    """The clean-room runs of the patched tree."""
    added_tests: tuple[str, ...] = ()
    """Paths of test files that the patch adds."""
    seconds: float = 0.0
    base_digest: str = ""
    """`Tree.digest` of the base that the patch was judged on."""
    flaky: tuple[str, ...] = ()
    """Tests that were seen to be flaky on the base only now, when the base was run again because of them."""

    @property
    def passed(self) -> bool:
        """Whether every check was made and passed."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def flagged(self) -> tuple[Check, ...]:
        """Return the checks that passed but that a person should look at."""
        return tuple(check for check in self.checks if check.passed and check.flagged)
