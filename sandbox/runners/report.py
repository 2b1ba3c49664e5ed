"""Test results as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sandbox.protocol import Ended


class Outcome(StrEnum):
    """How one test ended; strict xfails that pass are FAILED, set-up and tear-down failures are ERROR."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    XFAILED = "xfailed"
    XPASSED = "xpassed"

    @property
    def bad(self) -> bool:
        """Whether the test failed or could not be run."""
        return self in {Outcome.FAILED, Outcome.ERROR}


@dataclass(frozen=True, slots=True)
class Frame:
    """One traceback entry inside the repository, outermost first."""

    path: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test's result; `message` is trimmed and free of addresses and durations where that can be done."""

    __test__ = False

    node_id: str
    outcome: Outcome
    seconds: float = 0.0
    exception: str = ""
    """Qualified type name of what was raised, "" where nothing was."""
    message: str = ""
    frames: tuple[Frame, ...] = ()

    @property
    def hung(self) -> bool:
        """Whether it was ended because it took too long; what it took then says nothing of what it takes."""
        return self.outcome is Outcome.ERROR and not self.exception and self.message.startswith("did not end within ")


@dataclass(frozen=True, slots=True)
class TestReport:
    """One run of a set of tests."""

    __test__ = False

    results: tuple[TestResult, ...]
    """In the order in which they ran."""
    collection_errors: tuple[TestResult, ...]
    """Files that could not be collected: `node_id` is the file's path."""
    complete: bool
    """Whether the runner said by itself that it had come to the end of what it had collected."""
    ended: Ended
    exit_code: int
    seconds: float
    argv: tuple[str, ...]
    output: str = ""
    """The end of what was printed, for a person; only where `complete` is false."""
    coverage: Mapping[str, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)
    """Node id → repository path → the lines that the test ran, sorted; empty unless asked for."""
    tampering: tuple[str, ...] = ()
    """Sentences: what the probe noticed about test machinery that was changed during the run."""

    def outcome(self, node_id: str) -> Outcome | None:
        """Return the test's outcome, or None where it was not reported."""
        return next((r.outcome for r in self.results if r.node_id == node_id), None)

    def passed(self) -> frozenset[str]:
        """Return the node ids that passed."""
        return frozenset(r.node_id for r in self.results if r.outcome is Outcome.PASSED)

    def failed(self) -> tuple[TestResult, ...]:
        """Return the tests that failed or erred, in order."""
        return tuple(r for r in self.results if r.outcome.bad)


@dataclass(frozen=True, slots=True)
class Harness:
    """How a repository's tests are run."""

    kind: str
    """`pytest`, `unittest` or `command` (which must write JUnit XML)."""
    paths: tuple[str, ...] = ()
    """Test files or folders, relative; empty leaves it to the runner."""
    options: tuple[str, ...] = ()
    """Further arguments to the runner."""
    pythonpath: tuple[str, ...] = (".",)
    """Folders, relative to the tree, put on the import path."""
    plugins: tuple[str, ...] = ()
    """Pytest plugins to load by name; automatic loading of others stays off only if `autoload` is false."""
    autoload: bool = True
    command: tuple[str, ...] = ()
    """For `command`: the argv; `{report}` stands for the path of the JUnit XML file that it must write."""
    env: Mapping[str, str] = field(default_factory=dict)
    source: str = "default"
    """How it was found out, for a person."""
