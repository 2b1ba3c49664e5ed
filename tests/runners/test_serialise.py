"""Reports and harnesses as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.runners import serialise
from sandbox.runners.report import Frame, Harness, Outcome, TestReport, TestResult

REPORT = TestReport(
    results=(
        TestResult("a::b[é \udc80]", Outcome.FAILED, 0.1, "x.Y", "m\n", (Frame("a.py", 3, "f"),)),
        TestResult("a::c", Outcome.XPASSED),
    ),
    collection_errors=(TestResult("t.py", Outcome.ERROR, message="no"),),
    complete=False,
    ended="timeout",
    exit_code=-9,
    seconds=1.25,
    argv=("python", "-B"),
    output="end",
    coverage={"a::b": {"a.py": (1, 2, 3, 7)}, "": {"b.py": ()}},
    tampering=("Something.",),
)


def test_reports_come_back() -> None:
    text = json.dumps(serialise.to_json(REPORT))
    assert serialise.from_json(json.loads(text)) == REPORT


def test_harnesses_come_back() -> None:
    harness = Harness("command", ("a",), ("b",), ("c",), ("d",), False, ("e", "{report}"), {"f": "g"}, "h")
    assert serialise.harness_from_json(json.loads(json.dumps(serialise.harness_to_json(harness)))) == harness


@pytest.mark.parametrize(
    "change",
    [
        {"version": 99},
        {"results": None},
        {"results": [{"node_id": "x"}]},
        {"complete": 1},
        {"exit_code": True},
        {"ended": "fine"},
        {"argv": [1]},
        {"coverage": {"a": {"b": [1]}}},
        {"coverage": {"a": {"b": [5, 3]}}},
        {"coverage": {"a": {"b": [0, 99_999_999]}}},
    ],
)
def test_what_is_no_report_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        serialise.from_json(serialise.to_json(REPORT) | change)


def test_what_is_no_harness_is_refused() -> None:
    good = serialise.harness_to_json(Harness("pytest"))
    for change in ({"kind": 1}, {"env": None}, {"autoload": "yes"}):
        with pytest.raises(ValueError, match="harness"):
            serialise.harness_from_json(good | change)
    with pytest.raises(ValueError, match="harness"):
        serialise.harness_from_json({})
