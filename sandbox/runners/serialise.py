"""Test reports and harnesses as JSON values, without loss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args

from sandbox.protocol import Ended
from sandbox.runners.report import Frame, Harness, Outcome, TestReport, TestResult

_T = TypeVar("_T")

VERSION = 1
"""Written into every report; another number is refused."""


def to_json(report: TestReport) -> dict[str, Any]:
    """Return a value that `json` can write; lines of coverage as first, last, first, last of unbroken stretches."""
    return {
        "version": VERSION,
        "results": [result_to_json(result) for result in report.results],
        "collection_errors": [result_to_json(result) for result in report.collection_errors],
        "complete": report.complete,
        "ended": report.ended,
        "exit_code": report.exit_code,
        "seconds": report.seconds,
        "argv": list(report.argv),
        "output": report.output,
        "coverage": {
            node: {path: to_ranges(lines) for path, lines in files.items()} for node, files in report.coverage.items()
        },
        "tampering": list(report.tampering),
    }


def from_json(value: Mapping[str, Any]) -> TestReport:
    """Return the report that `to_json` made `value` of.

    Raises:
        ValueError: the value is not a report, or of another version.

    """
    try:
        if value["version"] != VERSION:
            raise ValueError(f"version {value['version']!r} of a test report cannot be read, only {VERSION}")
        return TestReport(
            results=tuple(result_from_json(item) for item in value["results"]),
            collection_errors=tuple(result_from_json(item) for item in value["collection_errors"]),
            complete=_of(bool, value["complete"]),
            ended=_ended(value["ended"]),
            exit_code=_of(int, value["exit_code"]),
            seconds=float(value["seconds"]),
            argv=tuple(_of(str, item) for item in value["argv"]),
            output=_of(str, value["output"]),
            coverage={
                _of(str, node): {_of(str, path): from_ranges(lines) for path, lines in files.items()}
                for node, files in value["coverage"].items()
            },
            tampering=tuple(_of(str, item) for item in value["tampering"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is not a test report: {error!r}") from error


def result_to_json(result: TestResult) -> dict[str, Any]:
    """Return one test's result as a value for `json`."""
    return {
        "node_id": result.node_id,
        "outcome": str(result.outcome),
        "seconds": result.seconds,
        "exception": result.exception,
        "message": result.message,
        "frames": [[frame.path, frame.line, frame.function] for frame in result.frames],
    }


def result_from_json(value: Mapping[str, Any]) -> TestResult:
    """Return the result that `result_to_json` made `value` of; raises ValueError, KeyError or TypeError."""
    return TestResult(
        node_id=_of(str, value["node_id"]),
        outcome=Outcome(value["outcome"]),
        seconds=float(value["seconds"]),
        exception=_of(str, value["exception"]),
        message=_of(str, value["message"]),
        frames=tuple(Frame(_of(str, path), _of(int, line), _of(str, name)) for path, line, name in value["frames"]),
    )


def harness_to_json(harness: Harness) -> dict[str, Any]:
    """Return a harness as a value for `json`."""
    return {
        "kind": harness.kind,
        "paths": list(harness.paths),
        "options": list(harness.options),
        "pythonpath": list(harness.pythonpath),
        "plugins": list(harness.plugins),
        "autoload": harness.autoload,
        "command": list(harness.command),
        "env": dict(harness.env),
        "source": harness.source,
    }


def harness_from_json(value: Mapping[str, Any]) -> Harness:
    """Return the harness that `harness_to_json` made `value` of.

    Raises:
        ValueError: the value is not a harness.

    """
    try:
        return Harness(
            kind=_of(str, value["kind"]),
            paths=_strings(value["paths"]),
            options=_strings(value["options"]),
            pythonpath=_strings(value["pythonpath"]),
            plugins=_strings(value["plugins"]),
            autoload=_of(bool, value["autoload"]),
            command=_strings(value["command"]),
            env={_of(str, name): _of(str, text) for name, text in value["env"].items()},
            source=_of(str, value["source"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is not a harness: {error!r}") from error


def to_ranges(lines: Iterable[int]) -> list[int]:
    """Return sorted lines as first, last, first, last … of unbroken stretches."""
    found: list[int] = []
    for line in lines:
        if found and line == found[-1] + 1:
            found[-1] = line
        else:
            found += [line, line]
    return found


def from_ranges(ranges: Iterable[int], most: int = 1_000_000) -> tuple[int, ...]:
    """Return the lines that `to_ranges` was given.

    Raises:
        ValueError: the numbers are no stretches, or more than `most` lines.

    """
    numbers = [_of(int, number) for number in ranges]
    if len(numbers) % 2:
        raise ValueError("a stretch of lines has no end")
    lines: list[int] = []
    for first, last in zip(numbers[::2], numbers[1::2], strict=True):
        if first < 0 or last < first or last - first + len(lines) > most:
            raise ValueError(f"{first} to {last} is no stretch of lines")
        lines.extend(range(first, last + 1))
    return tuple(lines)


def _ended(value: object) -> Ended:
    for known in get_args(Ended):
        if value == known:
            ended: Ended = known
            return ended
    raise ValueError(f"{value!r} is not how a command can end")


def _strings(value: Iterable[object]) -> tuple[str, ...]:
    return tuple(_of(str, item) for item in value)


def _of(kind: type[_T], value: object) -> _T:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{value!r} is not of type {kind.__name__}")
    return value
