"""What a test run tells an agent: a typed, trimmed observation instead of a wall of log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agents.results import Failure
from sandbox.runners.report import Outcome, TestReport, TestResult

MOST_FAILURES = 6
"""Failures that are told in full; of the others only the names."""
MESSAGE_LINES, MESSAGE_CHARACTERS = 24, 1_200
MOST_FRAMES = 6
MOST_NAMES = 12
_OUTPUT = 1_500


@dataclass(frozen=True, slots=True)
class Observation:
    """How a candidate, or a tree in the middle of the work, did in its tests."""

    passed: int
    failures: tuple[Failure, ...] = ()
    """Tests that failed or erred, files that could not be collected among them, in order."""
    missing: tuple[str, ...] = ()
    """Node ids that were asked for and of which nothing was reported."""
    complete: bool = True
    """Whether the run came to its end by itself."""
    output: str = ""
    """The end of what was printed, only where the run is not complete."""
    seconds: float = 0.0
    note: str = ""
    """One sentence about what kept the run from being what it should be."""

    @property
    def ok(self) -> bool:
        """Whether everything that was asked for ran and nothing failed."""
        return self.complete and not self.failures and not self.missing and self.passed > 0

    @property
    def bad(self) -> int:
        """How many tests are not as they should be; 0 only where `ok` may be true."""
        return len(self.failures) + len(self.missing) + (not self.complete)

    def text(self, most: int = MOST_FAILURES) -> str:
        """Return it for a model: a line of figures, then at most `most` failures in full."""
        lines = [self._summary()]
        if self.note:
            lines.append(self.note)
        for failure in self.failures[:most]:
            lines += ["", failure_text(failure)]
        rest = [f.node_id for f in self.failures[most:]]
        if rest:
            lines += ["", f"{len(rest)} more failed: {_names(rest)}"]
        if self.missing:
            lines += ["", f"{len(self.missing)} did not run: {_names(self.missing)}"]
        if not self.complete and self.output:
            lines += ["", "The end of what was printed:", self.output[-_OUTPUT:].strip()]
        return "\n".join(lines) + "\n"

    def _summary(self) -> str:
        if self.ok:
            return f"All {self.passed} passed."
        parts = [f"{self.passed} passed", f"{len(self.failures)} failed"]
        if self.missing:
            parts.append(f"{len(self.missing)} missing")
        end = "" if self.complete else "; the run did not come to its end"
        return ", ".join(parts) + end + "."


def observed(report: TestReport, wanted: Sequence[str] = ()) -> Observation:
    """Return what a report says; `wanted` are the node ids that were asked for, where they were single tests."""
    bad = [*report.collection_errors, *report.failed()]
    known = {result.node_id for result in (*report.results, *report.collection_errors)}
    broken = {result.node_id for result in report.collection_errors}
    missing = [
        name for name in wanted
        if "::" in name and not _reported(name, known) and name.split("::", 1)[0] not in broken
    ]  # fmt: skip
    return Observation(
        passed=len(report.passed()),
        failures=tuple(_failure(result) for result in bad),
        missing=tuple(missing),
        complete=report.complete and report.ended == "exit",
        output=report.output,
        seconds=report.seconds,
        note=" ".join(report.tampering[:3]) or _why_empty(report),
    )


def _reported(name: str, known: Iterable[str]) -> bool:
    """Whether a test, one of its parameter sets, or one inside a class of that name was reported."""
    return any(one == name or one.startswith((f"{name}[", f"{name}::")) for one in known)


def _why_empty(report: TestReport) -> str:
    if report.ended == "timeout":
        return "The run was stopped because its time was over."
    if report.ended == "memory":
        return "The run was stopped because it took too much memory."
    if not report.results and not report.collection_errors:
        return "No test was found."
    if report.results and all(r.outcome is Outcome.SKIPPED for r in report.results):
        return "All tests were skipped."
    return ""


def _failure(result: TestResult) -> Failure:
    return Failure(result.node_id, result.exception, result.message, result.frames)


def failure_text(failure: Failure) -> str:
    """Return one failure for a model: the test, what was raised, and where in the repository."""
    head = f"FAILED {failure.node_id}"
    kind = failure.exception or "not raised by the test itself"
    message = short(failure.message, MESSAGE_LINES, MESSAGE_CHARACTERS)
    lines = [head, f"  {kind}: {message}" if message else f"  {kind}"]
    frames = failure.frames[-MOST_FRAMES:]
    lines += [f"  at {frame.path}:{frame.line} in {frame.function}" for frame in frames]
    return "\n".join(lines)


def short(text: str, lines: int, characters: int) -> str:
    """Return the beginning and the end of a text, with a mark where the middle is left out."""
    rows = text.strip().splitlines()
    if len(rows) > lines:
        half = lines // 2
        rows = [*rows[:half], f"[{len(rows) - 2 * half} lines left out]", *rows[len(rows) - half :]]
    joined = "\n".join(rows)
    if len(joined) > characters:
        half = characters // 2
        joined = f"{joined[:half]}[{len(joined) - 2 * half} characters left out]{joined[len(joined) - half :]}"
    return joined


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MOST_NAMES])
    return shown if len(names) <= MOST_NAMES else f"{shown} and {len(names) - MOST_NAMES} more"
