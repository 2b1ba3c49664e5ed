"""How a run is shown: JSON, plain lines, and live on a terminal."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import sys
from pathlib import Path

import pytest

from workflows.progress import Event, Events, JsonView, LiveView, PlainView, search_line, view_for


def test_plain_lines_say_little_about_a_long_search() -> None:
    stream = io.StringIO()
    view = PlainView(stream)
    for second in range(25):
        view.show(Event("searching", float(second), data={"tried": second, "trying": "a.py:1"}))
    view.show(Event("step-started", 26.0, data={"step": "verify"}))
    view.show(Event("note", 27.0, "done"))
    view.close()
    assert stream.getvalue().splitlines() == [
        "searching: 0 candidates tried, a.py:1",
        "searching: 10 candidates tried, a.py:1",
        "searching: 20 candidates tried, a.py:1",
        "done",
    ]


def test_json_lines() -> None:
    stream = io.StringIO()
    events = Events(JsonView(stream))
    logged: list[object] = []
    events.log = logged.append
    events.emit("note", "hello \udcff", path=Path("/x"))
    events.emit("searching", logged=False, tried=1)
    with pytest.raises(ZeroDivisionError), events.step("plan"):
        raise ZeroDivisionError
    events.close()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["note", "searching", "step-started", "step-finished"]
    assert lines[0]["text"] == "hello \udcff"
    assert lines[0]["path"] == "/x"
    assert lines[3]["seconds"] >= 0
    assert len(logged) == 3


def test_a_search_as_one_line() -> None:
    assert (
        search_line({"tried": 7, "passing": 2, "trying": "a.py:3"}) == "searching: 7 candidates tried, 2 pass, a.py:3"
    )


def test_live_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        view = LiveView(terminal, budget=60)
        view.show(Event("step-started", 0.0, data={"step": "intake"}))
        view.show(Event("note", 0.1, "running the tests"))
        view.show(Event("searching", 0.2, data={"tried": 41, "trying": "shop/[bold]prices.py"}))
        view.show(Event("baseline", 0.3, "2 failing tests"))
        assert view._live is not None
        view._live.refresh()
        view.close()
        view.close()
        os.set_blocking(ours, False)
        shown = b""
        with contextlib.suppress(BlockingIOError):
            while True:
                shown += os.read(ours, 100_000)
    os.close(ours)
    assert "2 failing tests" in shown.decode()
    assert "41 candidates tried" in shown.decode()
    assert "[bold]" in shown.decode()
    assert "s left" in shown.decode()


def test_the_view_fits_the_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(view_for(as_json=True, budget=1), JsonView)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(view_for(as_json=False, budget=1), PlainView)
