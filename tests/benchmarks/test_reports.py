"""The figures are what the rows say, and hold-out bugs are never named."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.corpus_loader import load
from benchmarks.latency import Latencies
from benchmarks.main_job import Verdict, against_promise, failure, sample, show
from benchmarks.report import Row, compare, figures, percentile, read_rows, state, table, write_rows

ROW = Row(
    id="a.one", split="tune", kind="off-by-one", origin="human", edits=1, patched=True, tests_pass=True, correct=True,
    seconds=1.0, tried=100, search_seconds=0.5,
)  # fmt: skip
WRONG = replace(
    ROW, id="a.two", correct=False, seconds=3.0, tried=300, search_seconds=1.5, reason="given 1", right_rank=2
)
NONE = replace(
    ROW, id="b.one", patched=False, tests_pass=False, correct=False, seconds=9.0, tried=600, search_seconds=6.0
)
GOOD = Latencies(2.0, 0.5, 400.0, 0.1, 0.5, 0.03)


def test_percentiles_are_nearest_ranks() -> None:
    assert percentile([], 0.5) == 0
    assert percentile([4, 1, 3, 2], 0.5) == 2
    assert percentile(range(1, 11), 0.9) == 9
    assert percentile([7], 0.9) == 7


def test_figures() -> None:
    some = figures([ROW, WRONG, NONE])
    assert (some.bugs, some.errors) == (3, 0)
    assert some.correct == some.wrong == some.none == pytest.approx(1 / 3)
    assert some.tests_pass == pytest.approx(2 / 3)
    assert (some.median_seconds, some.p90_seconds) == (3.0, 9.0)
    assert some.candidates_per_second == pytest.approx(1000 / 8)
    assert figures([]).correct == 0


def test_rows_are_read_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.jsonl"
    write_rows(path, [ROW, WRONG])
    assert read_rows(path) == {"a.one": ROW, "a.two": WRONG}


def test_comparison_names_tune_bugs_only() -> None:
    hidden = replace(NONE, split="holdout")
    before = {row.id: row for row in (replace(ROW, correct=False), WRONG, replace(hidden, patched=True, correct=True))}
    lines = compare(before, [ROW, WRONG, hidden], show_holdout=False)
    assert lines[0].endswith("3 bugs in common: correct -> none: 1, wrong -> correct: 1")
    assert lines[1:] == ["  a.one (off-by-one): wrong -> correct"]
    assert len(compare(before, [ROW, hidden], show_holdout=True)) == 3
    assert "no changes" in compare({}, [ROW], show_holdout=False)[0]


def test_states_and_reasons() -> None:
    assert [state(row) for row in (ROW, WRONG, NONE)] == ["correct", "wrong", "none"]
    assert "number 3" in failure(WRONG)
    assert "600 candidates" in failure(NONE)
    assert "too late" in failure(replace(NONE, right_generated=700))
    assert failure(replace(NONE, error="Traceback\nValueError: x")) == "error: ValueError: x"


def test_the_table_has_a_line_for_each_group() -> None:
    lines = table([ROW, WRONG, replace(NONE, kind="wrong-slice")], lambda row: row.kind).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["off-by-one", "wrong-slice"]
    assert "50.0%" in lines[1]


def test_the_promise_holds_only_when_all_of_it_was_measured() -> None:
    held = [replace(ROW, split="holdout")] * 9 + [replace(NONE, split="holdout")]
    assert against_promise(held, GOOD, whole=True) == Verdict(True, ())
    assert against_promise(held, GOOD, whole=False).holds is False
    assert against_promise([ROW], None, whole=True).short == ("the hold-out was not run", "latencies were not measured")


def test_every_figure_that_falls_short_is_told() -> None:
    held = [replace(WRONG, split="holdout"), replace(NONE, split="holdout")]
    bad = Latencies(9.0, 0.5, 10.0, 0.4, 0.5, 0.03, ("the peer is odd",))
    short = against_promise(held, bad, whole=True).short
    assert [
        any(word in text for text in short)
        for word in ("correct", "wrong", "candidates", "first candidate", "--help", "odd")
    ] == [True] * 6
    assert GOOD.help_ratio == pytest.approx(0.2)
    assert Latencies(None, None, None, None, None, None).help_ratio is None
    assert "not measured" in Latencies(None, None, None, None, None, None).table()


def test_a_sample_is_always_the_same() -> None:
    bugs = load()
    assert sample(bugs, None) == list(bugs)
    some = sample(bugs, 10)
    assert some == sample(bugs, 10)
    assert len(some) == 10
    assert {bug.id for bug in some} < {bug.id for bug in sample(bugs, 20)}


def test_what_is_shown_names_no_holdout_bug(capsys: pytest.CaptureFixture[str]) -> None:
    show([ROW, WRONG, replace(NONE, id="secret.bug", split="holdout")], show_holdout=False)
    told = capsys.readouterr().out
    assert "a.two" in told
    assert "secret" not in told
    assert "holdout" in told
