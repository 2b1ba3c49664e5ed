"""The report on the tasks from source packages."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.engines import FixRun, search_seconds
from benchmarks.sdist import TaskRow, falls_short, read_check, settings_of, show, totals
from workflows.settings import TestSettings

ROW = TaskRow("p__1__2", "one-line", True, True, "1/1", 0, 9.0, 500, 1.0, 0, "")


def test_the_checkers_output_is_read() -> None:
    good = read_check("x: F2P 2/2  P2P 30/30  1.0 s\nresolved: yes\n")
    assert (good.resolved, good.f2p, good.p2p_broken) == (True, "2/2", 0)
    bad = read_check("x: F2P 2/2  P2P 28/30  1.0 s\n  P2P broken: t\nresolved: no\n")
    assert (bad.resolved, bad.p2p_broken) == (False, 2)
    assert not read_check("Traceback").resolved


def test_settings_tell_how_tests_are_run_and_nothing_else() -> None:
    task = {"pythonpath": "src", "test_paths": ["tests"], "pytest_plugins": ["p"], "f2p": ["secret"], "fix": "secret"}
    text = settings_of(task, Path("/python"))
    assert "secret" not in text
    settings = tomllib.loads(text)
    assert settings["python"] == "/python"
    assert settings["tests"]["pythonpath"] == ["src", "."]
    assert TestSettings.model_validate(settings["tests"]).paths == ("tests",)
    assert tomllib.loads(settings_of(task | {"pythonpath": "."}, Path("/python")))["tests"]["pythonpath"] == ["."]


def test_totals_and_what_falls_short(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [replace(ROW, id=str(n)) for n in range(5)]
    assert falls_short(rows, whole=True) == []
    breaking = replace(ROW, id="bad", resolved=False, p2p_broken=3)
    assert totals([*rows, breaking])["one-line"] == {"tasks": 6, "verified": 6, "resolved": 5, "breaking": 1}
    assert falls_short([*rows, breaking], whole=True) == ["bad: the verified patch breaks 3 tests"]
    assert len(falls_short(rows[:4], whole=False)) == 2
    show(rows)
    assert "one-line    5 of  5 resolved" in capsys.readouterr().out


def test_times_are_read_from_the_events() -> None:
    found = {
        "event": "found",
        "elapsed": 7.0,
        "text": "9 candidates tried in 5.0 s, 1 repair",
        "first_trial_seconds": 0.5,
    }
    run = FixRun(0, 8.0, (found, {"event": "result", "diff": "d"}), "")
    assert search_seconds(found) == 5.0
    assert run.first_trial_at == pytest.approx(2.5)
    assert run.diff == "d"
    assert FixRun(1, 8.0, ({"event": "result", "diff": "d"},), "").diff == ""
    assert FixRun(1, 8.0, (), "").first_trial_at is None
    assert search_seconds(found | {"seconds": 4.0}) == 4.0
