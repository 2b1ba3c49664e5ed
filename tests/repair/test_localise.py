"""Which lines are suspected, with and without coverage."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from agents.repair.localise import is_test_path, rank_suspects
from agents.repair.spectrum import FORMULAS, Formula
from sandbox.runners.report import Frame, Outcome, TestReport, TestResult
from sandbox.tree import Entry, Tree

SHOP = """\
RATE = 20
UNUSED = 1


def price(amount, rate=RATE):
    if amount > 100:
        rate = rate // 2
    tax = amount * rate
    return amount + tax


def label(name):
    return name.title()
"""
TESTS = "from shop import price\nfrom pkg import deep\n\n\ndef test_price():\n    assert price(200) == 220\n"
TREE = Tree(
    {
        "shop.py": Entry(SHOP.encode()),
        "pkg/__init__.py": Entry(b""),
        "pkg/deep.py": Entry(b"def deep():\n    return 1\n"),
        "other.py": Entry(b"def other():\n    return 1\n"),
        "broken.py": Entry(b"def (:\n"),
        "tests/test_shop.py": Entry(TESTS.encode()),
    }
)
FAILING = "tests/test_shop.py::test_price"
PASSING = "tests/test_shop.py::test_small"
FRAMES = (Frame("tests/test_shop.py", 6, "test_price"), Frame("shop.py", 9, "price"))


def report(
    coverage: Mapping[str, Mapping[str, tuple[int, ...]]] | None = None,
    frames: tuple[Frame, ...] = (),
    message: str = "assert 4200 == 220",
) -> TestReport:
    results = (
        TestResult(FAILING, Outcome.FAILED, 0.1, "AssertionError", message, frames),
        TestResult(PASSING, Outcome.PASSED),
    )
    return TestReport(results, (), True, "exit", 1, 0.2, ("pytest",), coverage=coverage or {})


COVERAGE: dict[str, dict[str, tuple[int, ...]]] = {
    FAILING: {"shop.py": (6, 7, 8, 9), "tests/test_shop.py": (5, 6)},
    PASSING: {"shop.py": (6, 8, 9)},
}


@pytest.mark.parametrize("formula", FORMULAS)
def test_what_only_failing_tests_run_comes_first(formula: Formula) -> None:
    suspects = rank_suspects(TREE, report(COVERAGE), [FAILING], formula=formula)
    assert (suspects[0].path, suspects[0].line, suspects[0].function) == ("shop.py", 7, "price")
    assert suspects[0].score == 1.0
    assert all(0 <= s.score <= 1 for s in suspects)
    assert [s.score for s in suspects] == sorted((s.score for s in suspects), reverse=True)


def test_tests_are_never_suspected() -> None:
    suspects = rank_suspects(TREE, report(COVERAGE, FRAMES), [FAILING])
    assert {s.path for s in suspects} == {"shop.py"}


def test_tracebacks_break_ties() -> None:
    tied = {FAILING: {"shop.py": (6, 7, 8, 9)}, PASSING: {"shop.py": (6, 7, 8, 9)}}
    assert rank_suspects(TREE, report(tied, FRAMES), [FAILING])[0].line == 9


def test_names_in_messages_break_ties() -> None:
    tied = {FAILING: {"shop.py": (6, 7, 8)}, PASSING: {"shop.py": (6, 7, 8)}}
    assert rank_suspects(TREE, report(tied, message="wrong tax"), [FAILING])[0].line == 8
    assert rank_suspects(TREE, report(tied), [FAILING], issue="the tax is too high")[0].line == 8


def test_recency_breaks_ties() -> None:
    tied = {FAILING: {"shop.py": (6, 7, 8)}, PASSING: {"shop.py": (6, 7, 8)}}
    recency = {"shop.py": {7: 1.0, 6: 0.1}, "absent.py": {1: 1.0}}
    assert rank_suspects(TREE, report(tied), [FAILING], recency=recency)[0].line == 7


def test_what_runs_on_import_can_be_suspected() -> None:
    lines = {s.line: s for s in rank_suspects(TREE, report(COVERAGE), [FAILING])}
    assert lines[5].function == "price"
    assert 1 in lines
    assert lines[1].score < lines[7].score


def test_without_coverage_the_traceback_decides() -> None:
    suspects = rank_suspects(TREE, report(frames=FRAMES), [FAILING])
    assert (suspects[0].path, suspects[0].line) == ("shop.py", 9)
    assert {6, 7, 8} <= {s.line for s in suspects}
    assert 13 not in {s.line for s in suspects}


def test_without_anything_the_imported_files_are_suspected() -> None:
    suspects = rank_suspects(TREE, report(), [FAILING])
    assert {s.path for s in suspects} == {"shop.py", "pkg/deep.py"}
    assert len(suspects) >= 8


def test_allowed_paths_bound_the_suspects() -> None:
    suspects = rank_suspects(TREE, report(), [FAILING], allowed=lambda path: path.startswith("pkg/"))
    assert {s.path for s in suspects} == {"pkg/deep.py"}


def test_collection_errors_count_as_failures_of_the_files_tests() -> None:
    frames = (Frame("tests/test_shop.py", 1, "<module>"), Frame("shop.py", 1, "<module>"))
    error = TestResult("tests/test_shop.py", Outcome.ERROR, 0.0, "NameError", "name 'x' is not defined", frames)
    found = TestReport((), (error,), True, "exit", 2, 0.1, ("pytest",))
    assert rank_suspects(TREE, found, [FAILING])[0].line == 1


def test_unknown_files_are_passed_over() -> None:
    odd = {FAILING: {"absent.py": (1,), "broken.py": (1,), "shop.py": (7, 99)}}
    suspects = rank_suspects(TREE, report(odd), [FAILING])
    assert suspects[0].line == 7
    assert {s.path for s in suspects} == {"shop.py"}


def test_relative_imports_are_followed() -> None:
    tree = TREE.replaced(
        {"pkg/test_deep.py": Entry(b"from . import deep\nimport shop\n\ndef test_it():\n    assert 0\n")}
    )
    found = {s.path for s in rank_suspects(tree, report(), ["pkg/test_deep.py::test_it"])}
    assert found == {"shop.py", "pkg/deep.py"}


@pytest.mark.parametrize(
    ("path", "test"),
    [
        ("tests/helper.py", True),
        ("pkg/test_x.py", True),
        ("pkg/x_test.py", True),
        ("conftest.py", True),
        ("setup.py", True),
        ("pkg/testing.py", False),
        ("pkg/contest.py", False),
        ("src/latest/x.py", False),
    ],
)
def test_paths_of_tests(path: str, test: bool) -> None:
    assert is_test_path(path) is test
