"""What only runs show: tests that turn out to be flaky, trees that cannot be run, and added tests."""

from __future__ import annotations

import dataclasses

from agents.results import Failure
from sandbox.runners.run import run_tests
from sandbox.tree import Entry
from sandbox.workspace import diff
from tests.gate.candidates import body
from tests.gate.cases import SOUND
from tests.gate.court import Court
from workflows.steps.verify import VerifiedPatch
from workflows.verdicts import Allowances, Baseline, GateCase

HASHED = """
import os


def test_for_some_hash_seeds():
    assert int(os.environ["PYTHONHASHSEED"]) < 100
"""


def _with(court: Court, path: str, text: str) -> GateCase:
    """The plain shop with one more test file, run on the base as the gate's caller does."""
    of = court.case("plain", SOUND)
    base = of.base.replaced({path: Entry(text.encode())})
    reports = []
    for seed in (1, 2):
        with court.sandbox.open(base, of.environment, of.limits) as workspace:
            reports.append(run_tests(workspace, of.harness, seed=seed))
    after = base.replaced({"shop/cart.py": Entry(SOUND["shop/cart.py"].encode())})
    failed = reports[0].failed()
    targets = tuple(Failure(r.node_id, r.exception, r.message, r.frames) for r in failed)
    return dataclasses.replace(of, base=base, patch=diff(base, after), baseline=Baseline(tuple(reports), (), targets))


def test_a_test_that_fails_on_the_base_too_is_flaky_and_not_broken(local_court: Court) -> None:
    of = _with(local_court, "tests/test_hashed.py", HASHED)
    report = local_court.judge(of)
    assert report.passed, [c.reason for c in report.checks if not c.passed]
    assert report.flaky == ("tests/test_hashed.py::test_for_some_hash_seeds",)
    assert VerifiedPatch.from_report(report, of).patch == of.patch


def test_a_tree_whose_tests_cannot_be_started(local_court: Court) -> None:
    of = local_court.case("plain", {"shop/cart.py": body("return total", "raise ImportError('gone')")})
    report = local_court.judge(of)
    check = next(c for c in report.checks if not c.passed)
    assert check.name == "targets-pass"
    assert "cannot be run on the patched tree" in check.reason
    assert report.reports == ()


def test_what_breaks_another_test_is_refused(local_court: Court) -> None:
    of = local_court.case(
        "plain", {"shop/cart.py": body("return total * (100 - percent) // 100 if percent else total + 1")}
    )
    report = local_court.judge(of)
    check = next(c for c in report.checks if not c.passed)
    assert check.name == "nothing-broken"
    assert "tests/test_cart.py::test_no_discount" in check.reason


def test_added_tests_have_no_part_in_the_verdict(local_court: Court) -> None:
    added = "def test_added():\n    assert False\n"
    allowances = Allowances(added_tests=("tests/test_added.py",))
    of = local_court.case("plain", {**SOUND, "tests/test_added.py": added}, allowances)
    report = local_court.judge(of)
    assert report.passed
    assert report.added_tests == ("tests/test_added.py",)
    assert not any("test_added" in r.node_id for run in report.reports for r in run.results)
