"""The conditions that compare test tables."""

from __future__ import annotations

import dataclasses

import pytest

from agents.results import Failure
from sandbox.runners.report import Outcome, TestReport, TestResult
from tests.gate.cases import OTHERS, TARGET, after, baseline, before, report
from workflows.gate.outcomes import (
    broken,
    new_tampering,
    nothing_broken,
    repeatable,
    targets_failed_before,
    targets_pass,
)
from workflows.verdicts import Baseline

FILE = "tests/test_new.py"


def _uncollected(exception: str = "ImportError") -> TestReport:
    error = TestResult(FILE, Outcome.ERROR, exception=exception)
    return dataclasses.replace(before(), collection_errors=(error,))


def _for_file(*reports: TestReport) -> Baseline:
    return Baseline(reports, (), (Failure(FILE, "ImportError", ""),))


def test_targets_failed_steadily() -> None:
    check = targets_failed_before(baseline())
    assert check.passed
    assert check.details == (f"{TARGET}: AssertionError",)
    assert "one run" in targets_failed_before(baseline(before())).reason


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        (Baseline((before(),), (), ()), "No target test is named"),
        (Baseline((), (), baseline().targets), "never run"),
        (baseline(before(), after()), "passed on the base"),
        (baseline(flaky=(TARGET,)), "is flaky"),
        (baseline(exception="KeyError"), "failed with AssertionError on the base, not with KeyError"),
        (Baseline((before(),), (), (Failure("tests/x.py::y", "", ""),)), "is missing on the base"),
    ],
)
def test_targets_that_did_not(base: Baseline, reason: str) -> None:
    check = targets_failed_before(base)
    assert not check.passed
    assert reason in check.reason


def test_the_stated_reason_may_be_qualified() -> None:
    assert targets_failed_before(baseline(exception="builtins.AssertionError")).passed
    assert targets_failed_before(baseline(exception="")).passed


def test_targets_pass() -> None:
    assert targets_pass(baseline(), (after(), after())).passed


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Outcome.FAILED, "still fails: AssertionError"),
        (Outcome.ERROR, "still fails"),
        (Outcome.SKIPPED, "is skipped"),
        (Outcome.XFAILED, "expected to fail"),
        (Outcome.XPASSED, "expected to fail"),
    ],
)
def test_targets_that_do_not_pass(outcome: Outcome, reason: str) -> None:
    check = targets_pass(baseline(), (after(), report({TARGET: outcome})))
    assert not check.passed
    assert reason in check.reason


def test_a_target_that_was_not_run() -> None:
    cut = dataclasses.replace(report({}), complete=False, ended="signal", exit_code=-9)
    check = targets_pass(baseline(), (cut,))
    assert not check.passed
    assert "was not run; the run of the tests did not come to its end (ended by signal" in check.reason


def test_a_file_that_could_not_be_collected() -> None:
    base = _for_file(_uncollected(), _uncollected())
    assert targets_failed_before(base).passed
    assert targets_pass(base, (report({f"{FILE}::test_a": Outcome.PASSED}),)).passed
    assert "still cannot be collected" in targets_pass(base, (_uncollected(),)).reason
    assert "can be collected now, but" in targets_pass(base, (report({f"{FILE}::test_a": Outcome.FAILED}),)).reason
    assert "was not run" in targets_pass(base, (after(),)).reason


def test_nothing_broken() -> None:
    assert nothing_broken(baseline(), (after(), after())).passed
    assert "All 2 tests" in nothing_broken(baseline(), (after(),)).reason


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.ERROR, Outcome.SKIPPED, Outcome.XFAILED])
def test_broken(outcome: Outcome) -> None:
    check = nothing_broken(
        baseline(), (after(), report({TARGET: Outcome.PASSED, OTHERS[0]: outcome, OTHERS[1]: Outcome.PASSED}))
    )
    assert not check.passed
    assert OTHERS[0] in check.reason
    assert check.details == (f"{OTHERS[0]}: {outcome.value}",)


def test_a_missing_test_is_broken() -> None:
    run = report({TARGET: Outcome.PASSED, OTHERS[0]: Outcome.PASSED})
    assert broken(baseline(), run) == (OTHERS[1],)
    assert nothing_broken(baseline(), (run,)).details == (f"{OTHERS[1]}: missing",)


def test_flaky_tests_are_set_aside_by_name() -> None:
    other = report({TARGET: Outcome.FAILED, OTHERS[0]: Outcome.FAILED, OTHERS[1]: Outcome.PASSED})
    base = baseline(before(), other, flaky=(OTHERS[0],))
    run = report({TARGET: Outcome.PASSED, OTHERS[0]: Outcome.FAILED, OTHERS[1]: Outcome.PASSED})
    check = nothing_broken(base, (run,))
    assert check.passed
    assert "1 test set aside as flaky" in check.reason
    assert repeatable(base, (run, after()), 2).passed
    late = nothing_broken(baseline(), (run,), frozenset({OTHERS[0]}))
    assert late.passed


def test_runs_that_did_not_end_prove_nothing() -> None:
    cut = dataclasses.replace(after(), complete=False, output="boom", ended="timeout")
    check = nothing_broken(baseline(), (after(), cut))
    assert not check.passed
    assert check.details == ("boom",)
    assert not nothing_broken(baseline(), (dataclasses.replace(after(), ended="memory"),)).passed


def test_nothing_to_break() -> None:
    run = report({TARGET: Outcome.FAILED})
    check = nothing_broken(baseline(run, run), (report({TARGET: Outcome.PASSED}),))
    assert check.passed
    assert "No test passed steadily" in check.reason


def test_repeated_runs_must_agree() -> None:
    other = report({TARGET: Outcome.PASSED, OTHERS[0]: Outcome.PASSED, OTHERS[1]: Outcome.FAILED})
    assert repeatable(baseline(), (after(), after()), 2).passed
    assert not repeatable(baseline(), (after(),), 2).passed
    check = repeatable(baseline(), (after(), other), 2)
    assert not check.passed
    assert check.details == (OTHERS[1],)


def test_only_new_tampering_counts() -> None:
    odd = dataclasses.replace(before(), tampering=("Old.",))
    run = dataclasses.replace(after(), tampering=("Old.", "New."))
    assert new_tampering(baseline(odd, odd), (run, run)) == ("New.",)
