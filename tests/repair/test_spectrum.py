"""Suspiciousness formulas against values worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.repair.spectrum import FORMULAS, Formula, suspiciousness

COUNTS = st.integers(0, 20)


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("ochiai", 2 / math.sqrt(2 * 5)),
        ("dstar", 4 / 3),
        ("tarantula", 1 / (1 + 3 / 10)),
        ("barinel", 1 - 3 / 5),
        ("jaccard", 2 / 5),
        ("op2", 2 - 3 / 11),
    ],
)
def test_by_hand(formula: Formula, value: float) -> None:
    assert suspiciousness(formula, ef=2, ep=3, nf=0, np=7) == pytest.approx(value)


@given(st.sampled_from(FORMULAS), COUNTS, COUNTS, COUNTS, COUNTS)
def test_never_below_what_no_failing_test_ran(formula: Formula, ef: int, ep: int, nf: int, np: int) -> None:
    value = suspiciousness(formula, ef, ep, nf, np)
    assert not math.isnan(value)
    assert value >= suspiciousness(formula, 0, ep, nf + ef, np) or formula == "barinel"
    if formula in {"ochiai", "tarantula", "barinel", "jaccard"}:
        assert 0 <= value <= 1


@given(st.sampled_from(FORMULAS), st.integers(1, 20), COUNTS, COUNTS, COUNTS)
def test_fewer_passing_tests_are_more_suspicious(formula: Formula, ef: int, ep: int, nf: int, np: int) -> None:
    assert suspiciousness(formula, ef, ep, nf, np + 1) >= suspiciousness(formula, ef, ep + 1, nf, np) - 1e-12


def test_a_line_only_failing_tests_run_is_most_suspicious_of_all() -> None:
    assert suspiciousness("dstar", 3, 0, 0, 5) == math.inf
    assert suspiciousness("ochiai", 0, 0, 0, 0) == 0.0
    assert suspiciousness("dstar", 0, 0, 0, 0) == 0.0


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        suspiciousness("ochiai", -1, 0, 0, 0)
    with pytest.raises(ValueError, match="unknown formula"):
        suspiciousness("guess", 1, 0, 0, 0)  # type: ignore[arg-type]
