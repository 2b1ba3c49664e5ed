"""What the host makes of messages that an honest probe would not send."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.errors import TestsUnrunnable
from sandbox.probe import frames
from sandbox.protocol import Completed
from sandbox.runners import assembly
from sandbox.runners.assembly import Assembly, Malformed
from sandbox.runners.report import Outcome, TestReport

ENDED = Completed(exit_code=0, stdout=b"", stderr=b"", ended="exit", seconds=1.0)
FINISHED = {"t": "finished", "complete": True, "ended": "exit", "exit_code": 0, "output": "", "problem": None}


def _fed(*messages: dict[str, Any], nonce: str = "n") -> Assembly:
    fed = Assembly("n")
    for message in messages:
        fed.feed(frames.encode({"nonce": nonce, **message}))
    return fed


def _result(node_id: str = "a::b", outcome: str = "passed", **more: Any) -> dict[str, Any]:
    return {"t": "result", "id": node_id, "outcome": outcome, **more}


def _report(*messages: dict[str, Any]) -> TestReport:
    return _fed(*messages).report((), ENDED, 1.0)


def test_an_honest_stream() -> None:
    report = _report({"t": "collected", "ids": ["a::b"]}, _result(seconds=0.5), FINISHED)
    assert report.complete
    assert report.tampering == ()
    assert report.results[0].seconds == 0.5


def test_the_worse_of_two_results_counts() -> None:
    for order in (("passed", "failed"), ("failed", "passed")):
        report = _report({"t": "collected", "ids": ["a::b"]}, *(_result(outcome=o) for o in order), FINISHED)
        assert report.results[0].outcome is Outcome.FAILED
        assert report.tampering == ("Test a::b gave more than one result.",)


def test_what_was_not_collected_or_not_reported() -> None:
    report = _report({"t": "collected", "ids": ["a::c"]}, _result(), FINISHED)
    assert report.tampering == ("Test a::b gave a result and was not collected.",)
    assert not report.complete


def test_messages_of_others_count_for_nothing() -> None:
    fed = _fed({"t": "collected", "ids": ["a::b"]}, _result(outcome="failed"), FINISHED)
    fed.feed(frames.encode({"nonce": "guess", **_result(outcome="passed")}))
    report = fed.report((), ENDED, 1.0)
    assert report.results[0].outcome is Outcome.FAILED
    assert report.tampering == ("A message came that is not this run's.",)


@pytest.mark.parametrize(
    "message",
    [
        {"t": "result"},
        {"t": "result", "id": 1, "outcome": "passed"},
        _result(outcome="splendid"),
        _result(seconds="long"),
        _result(frames=[["a"]]),
        {"t": "coverage", "id": "x", "files": {"a": [1]}},
        {"t": "coverage", "id": "x", "files": {"a": [1, 10**9]}},
        {"t": "collected", "ids": None},
        {"t": "tampering", "sentences": [{}]},
    ],
)
def test_messages_that_cannot_be_read(message: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        _fed(message)


def test_streams_that_are_none() -> None:
    with pytest.raises(Malformed):
        Assembly("n").feed(b"\xff" * 8)
    with pytest.raises(Malformed):
        Assembly("n").feed(b"\0\0\0\x02[]")


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    long = _report(
        {"t": "collected", "ids": ["a::b"]},
        _result(message="x" * 10_000, frames=[["a.py", 1, "f"]] * 500),
        FINISHED | {"complete": False, "output": "y" * 10**6},
    )
    assert len(long.results[0].message) == 4096
    assert len(long.results[0].frames) == 64
    assert len(long.output) == 64 * 1024
    monkeypatch.setattr(assembly, "MAX_BYTES", 10)
    with pytest.raises(Malformed, match="too large"):
        _fed(FINISHED)
    monkeypatch.setattr(assembly, "MAX_BYTES", 10**6)
    monkeypatch.setattr(assembly, "MAX_RESULTS", 1)
    with pytest.raises(Malformed, match="more tests"):
        _fed({"t": "collected", "ids": ["a", "b"]})


def test_coverage_adds_up() -> None:
    report = _report(
        {"t": "collected", "ids": ["a"]},
        _result("a"),
        {"t": "coverage", "id": "a", "files": {"x.py": [1, 2]}},
        {"t": "coverage", "id": "a", "files": {"x.py": [2, 4]}},
        {"t": "coverage", "id": "", "files": {}},
        FINISHED,
    )
    assert report.coverage == {"a": {"x.py": (1, 2, 3, 4)}}


@pytest.mark.parametrize(
    ("completed", "words"),
    [
        (Completed(1, b"", b"Traceback\nKeyError: 'x'\n", "exit", 1.0), "cannot be started: KeyError"),
        (Completed(1, b"usage: x\nx: error: wrong\n", b"", "exit", 1.0), "cannot be started: wrong"),
        (Completed(1, b"", b"no such file\n", "exit", 1.0), "cannot be started: no such file"),
        (Completed(-9, b"", b"", "timeout", 1.0), "not collected within 1 s"),
        (Completed(-9, b"", b"", "memory", 1.0), r"ended before it ran a test \(memory, exit code -9\)"),
    ],
)
def test_a_probe_that_says_nothing(completed: Completed, words: str) -> None:
    with pytest.raises(TestsUnrunnable, match=words):
        Assembly("n").report((), completed, 1.0)
