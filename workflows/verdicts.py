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
    "applies", "scope", "tests-untouched", "tamper", "added-tests", "environment", "targets-failed-before",
    "added-failed-before", "targets-pass", "added-pass", "added-matter", "nothing-broken", "change-covered",
    "interface", "no-new-findings", "repeatable", "generalises",
]  # fmt: skip

Claim = Literal["repairs", "adds", "preserves", "tests"]
"""What a patch is said to do: make failing tests of the base pass, make tests pass that it brings along (a reproduced
issue, a feature's acceptance), change nothing that can be observed (a refactoring, an upgrade), or add nothing but
tests that pass on the base."""


@dataclass(frozen=True, slots=True)
class Allowances:
    """What the request allows a patch to touch beyond source files."""

    tests: bool = False
    """Existing tests, conftest files and test data may change, and tests may be added, which are reported apart."""
    configuration: bool = False
    """Test configuration, build files and CI may change."""
    declarations: bool = False
    """Where they may not, files may change that say what the repository needs, and in nothing else that they say."""
    paths: tuple[str, ...] = ()
    """Glob patterns of the only paths that may change; empty allows all others."""
    added_tests: tuple[str, ...] = ()
    """Glob patterns of test files that may be added (as reproducing tests) where `tests` is false."""
    interface: tuple[str, ...] = ()
    """Glob patterns of public names (`shop.cart.discount`, or `discount`) that a preserving patch may remove or change
    without a flag, because the request asks for it."""
    upgrades: tuple[str, ...] = ()
    """Names of the distributions whose declared versions may change; empty allows all, and flags them."""


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
    """The tests that the request is about: they fail steadily, in this way. Empty where a patch only adds or preserves;
    whatever is named here is demanded."""

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
    claim: Claim = "repairs"
    """`repairs` needs `baseline.targets`, `adds` needs `added_targets`, `preserves` and `tests` take neither."""
    added_targets: tuple[Failure, ...] = ()
    """Tests in test files that the patch adds, each with the exception with which it fails on the base once its file is
    there. Where that file cannot even be collected on the base (a new module, a new name), the exception is the one
    that its collection ends with, such as `ImportError`. Also allowed where the claim is `repairs`."""
    environment_after: Environment | None = None
    """For an upgrade: what the patched tree's own declarations install; the base runs in `environment`. Only where
    the request allows configuration to change."""

    @property
    def patched_environment(self) -> Environment:
        """What the patched tree is judged in."""
        return self.environment if self.environment_after is None else self.environment_after


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
    before: tuple[TestReport, ...] = ()
    """Runs of the base with the test files that the patch adds: all tests, then the added files alone."""
    whole: tuple[TestReport, ...] = ()
    """Runs of the whole patched tree, added tests included; one for each of `before`, run in the same way."""
    hollow: tuple[TestReport, ...] = ()
    """Runs of the added tests where the functions that the patch touches are emptied: what passes there proves nothing.
    """
    covering: tuple[str, ...] = ()
    """Steady tests that run lines which a preserving patch changes, sorted."""

    @property
    def passed(self) -> bool:
        """Whether every check was made and passed."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def flagged(self) -> tuple[Check, ...]:
        """Return the checks that passed but that a person should look at."""
        return tuple(check for check in self.checks if check.passed and check.flagged)


@dataclass(frozen=True, slots=True)
class Mutation:
    """What the tests said of small faults in the lines that a patch changes; see `workflows.gate.mutating`."""

    made: int
    """Mutants of the changed lines, without those of texts that only tell a person something."""
    tried: int
    """Those that came to a verdict in time."""
    caught: int
    judged: int
    """Those of the tried ones that say something: not those that cannot even be imported."""
    missed: tuple[str, ...] = ()
    """The first of those that no test noticed: where and what."""
    why: str = ""
    """Why nothing was tried, "" where something was."""
    seconds: float = 0.0

    @property
    def share(self) -> float | None:
        """How many of the judged ones the tests noticed, from 0 to 1; None where there are none."""
        return self.caught / self.judged if self.judged else None
