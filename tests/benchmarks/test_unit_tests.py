"""The benchmark of generated tests: its judges, its sample of mutants, its steadiness, and what it says falls short."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.corpus_loader import Bug, load
from benchmarks.unit_tests import suspects
from benchmarks.unit_tests.generators import Suite
from benchmarks.unit_tests.judge import Mutant, covered, verdicts
from benchmarks.unit_tests.main import Row, falls_short, figures, unsteady
from benchmarks.unit_tests.mutants_child import bare, place, spread
from benchmarks.unit_tests.steadiness import steadiness
from benchmarks.unit_tests.subjects import SUBJECTS, Subject, chosen


def suite(text: str, subject: str = "interval_set") -> Suite:
    return Suite("greendiff", subject, {"tests/test_it.py": text}, 1.0, 0.0)


def row(tool: str, subject: str, killed: int, lines: float = 1.0, branches: float = 1.0, tests: int = 3) -> Row:
    return Row(tool, subject, tests, 0, lines, branches, killed, 10, 1.0, "")


def test_our_own_modules_are_laid_out_as_repositories_without_tests(tmp_path: Path) -> None:
    own = [one for one in SUBJECTS if not one.wheel]
    assert len(own) >= 5
    for one in own:
        folder = tmp_path / one.module
        path = one.make(folder)
        assert sorted(str(found.relative_to(folder)) for found in folder.rglob("*.*") if ".git" not in found.parts) == [
            path, "pyproject.toml",
        ]  # fmt: skip
    assert len(SUBJECTS) >= 12
    assert next(one.module for one in chosen(["toolz", "own"])) == "toolz.dicttoolz"
    assert all(len(one.sha256) == 64 for one in SUBJECTS if one.wheel)


def test_mutants_are_told_apart_by_what_they_mean() -> None:
    text = 'def f(a: int) -> int:\n    """Say."""\n    return a + 1\n'
    assert bare(text) == bare("def f(a):\n    return a+1\n")
    assert bare(text) != bare(text.replace("+", "-"))
    assert bare("def f(:") is None
    assert place(text, text.replace("+", "-")) == (3, 13)


def test_a_sample_takes_every_place_before_it_takes_one_twice() -> None:
    pool = [{"line": line, "column": 0, "text": str(number)} for line in range(5) for number in range(4)]
    taken = spread(list(pool), 7, "seed")
    assert {one["line"] for one in taken[:5]} == set(range(5))
    assert taken == spread(list(pool), 7, "seed")
    assert len(spread(list(pool), 100, "seed")) == 20


@pytest.fixture
def runs_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep what is judged out of the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_coverage_and_mutants_are_judged_by_real_runs() -> None:
    subject = next(one for one in SUBJECTS if one.module == "interval_set")
    text = (
        "from interval_set import IntervalSet\n"
        "def test_add():\n    assert IntervalSet([(1, 3), (3, 5)]).intervals == [(1, 5)]\n"
        "def test_wrong():\n    assert len(IntervalSet()) == 7\n"
    )
    python = Path(sys.executable)
    coverage = covered(subject, suite(text), python)
    assert coverage is not None
    assert (coverage.passed, coverage.failed) == (1, 1)
    assert 0 < coverage.lines_run < coverage.lines
    assert 0 < coverage.branches_run < coverage.branches
    source = subject.files()["interval_set.py"].decode()

    def mutant(old: str, new: str) -> Mutant:
        line = 1 + source[: source.index(old)].count("\n")
        return Mutant("by hand", "exchange", line, 0, source.replace(old, new, 1))

    sample = [
        mutant("high < start or", "high <= start or"), mutant("removed += overlap", "removed -= overlap"),
        mutant("kept.sort()", "kept.sort(reverse=True)"),
        mutant("if start == end:\n            return", "while True: pass"),
    ]  # fmt: skip
    found = verdicts(subject, suite(text), coverage, sample, python, least_seconds=3.0)
    assert [one.how for one in found] == ["failed", "not run", "passed", "timeout"]
    assert [one.killed for one in found] == [True, False, False, True]


@pytest.mark.usefixtures("runs_here")
def test_tests_that_depend_on_order_or_hashes_are_flaky() -> None:
    text = (
        "seen = []\n"
        "def test_first():\n    seen.append(1)\n    assert len(seen) == 1\n"
        "def test_second():\n    seen.append(2)\n    assert True\n"
        "def test_hash():\n    assert hash('a') % 2 == 0\n"
        "def test_never():\n    assert False\n"
    )
    found = steadiness(Subject("interval_set"), suite(text), 6, {"this": Path(sys.executable)})
    assert {name.rpartition("::")[2] for name in found.flaky} == {"test_first", "test_hash"}
    assert {name.rpartition("::")[2] for name in found.failing} == {"test_never"}
    assert (found.tests, found.runs, found.unfinished) == (4, {"this": 6}, 0)
    assert unsteady([found], 6, 1) == [
        "interval_set: 2 of 4 tests are flaky", "steadiness: 6 runs of each suite, 100 wanted",
        "steadiness: only one Python version was found",
    ]  # fmt: skip
    assert unsteady([], 100, 2) == ["steadiness: no suite was run"]


def test_what_falls_short_is_said() -> None:
    names = [one.module for one in SUBJECTS]
    fine = [row("greendiff", name, 8) for name in names]
    peer = [row("pynguin", name, 4) for name in names]
    assert falls_short(fine, peer) == []
    assert falls_short(fine, []) == ["Pynguin was not run beside it"]
    assert falls_short(fine, [row("pynguin", name, 6) for name in names]) == [
        "mutants: 80.0% beside Pynguin's 60.0%; 1.7 times wanted"
    ]
    worse = [row("greendiff", names[0], 0, 0.0, 0.0, 0), *fine[1:-1]]
    said = falls_short(worse, peer)
    assert said[0] == "11 modules were run, 12 wanted"
    assert said[1] == f"no tests for {names[0]}"
    assert "lines: 90.9%, 98% wanted" in said
    assert figures(worse)["killed"] == pytest.approx(80 / 110, abs=1e-4)


def bug(name: str = "merge_intervals.contained") -> Bug:
    return load(names=[name])[0]


def test_a_bug_is_laid_out_without_its_tests_and_with_what_there_is_to_go_by() -> None:
    with suspects.without_tests(bug(), fixed=False) as folder:
        assert {path.name for path in folder.iterdir()} == {".git", "intervals.py", "pyproject.toml"}
        assert (folder / "intervals.py").read_text() == bug().broken
    assert suspects.told(bug())
    bare = replace(bug(), broken="def merge_intervals(intervals):\n    return intervals\n")
    assert not suspects.told(bare)
    assert suspects.told(replace(bare, broken=bare.broken.replace("intervals)", "intervals: list)")))
    kind = replace(bare, function="Pile", broken='class Pile:\n    def top(self):\n        "Say."\n        return 1\n')
    assert suspects.told(kind)


def test_pinned_behaviour_is_judged_by_the_reference() -> None:
    pinning = suite(
        "from intervals import merge_intervals\n"
        "def test_it():\n    assert merge_intervals([(1, 10), (2, 3)]) == [(1, 3)]\n"
    )
    python = Path(sys.executable)
    assert suspects.failures(bug(), pinning, bug().broken, python) == 0
    assert suspects.failures(bug(), pinning, bug().reference, python) == 1
    assert suspects.failures(bug(), replace(pinning, files={}), bug().reference, python) == 0
    report = {"suspects": [{"name": "intervals.merge_intervals"}, {"name": "intervals.other"}]}
    assert len(suspects.suspected(replace(pinning, report=report), bug())) == 1


def test_shares_of_suspected_bugs_are_of_those_with_something_to_go_by() -> None:
    one = suspects.Found("a", "a", "tune", True, 3, 1, True, False, False, False, 1.0, "")
    quiet = replace(one, reported=False, alarm=None, suspects=0)
    found = [one, quiet, replace(quiet, pinned=True), replace(quiet, told=False, pinned=True)]
    told = suspects.figures(found)
    assert (told["told"], told["reported"], told["pinned_of_the_rest"]) == (3, pytest.approx(1 / 3, abs=1e-4), 0.5)
    assert told["reported_on_the_reference_too"] == "0/1"
    assert suspects.falls_short(found) == [
        "suspected bugs: wrong behaviour pinned in 50.0% of the rest, at most 10% wanted"
    ]
    assert len(suspects.falls_short([quiet])) == 1
