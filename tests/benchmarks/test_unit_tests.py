"""The benchmark of generated tests: its judges, its sample of mutants, its steadiness, and what it says falls short."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.unit_tests.generators import Suite
from benchmarks.unit_tests.judge import Mutant, covered, verdicts
from benchmarks.unit_tests.main import Row, falls_short, figures
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
    found = steadiness(Subject("interval_set"), suite(text), 12, {"this": Path(sys.executable)})
    assert {name.rpartition("::")[2] for name in found.flaky} == {"test_first", "test_hash"}
    assert {name.rpartition("::")[2] for name in found.failing} == {"test_never"}
    assert (found.tests, found.runs, found.unfinished) == (4, {"this": 12}, 0)


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
