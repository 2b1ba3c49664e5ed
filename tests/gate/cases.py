"""Cases for the gate's pure parts: reports and trees that were not run."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from agents.results import Failure
from sandbox.limits import Limits
from sandbox.protocol import Environment
from sandbox.runners.report import Harness, Outcome, TestReport, TestResult
from sandbox.tree import Entry, Tree
from sandbox.workspace import diff
from tests.gate.candidates import Change
from tests.gate.court import changed
from tests.gate.shop import BASES, CART, TARGETS, tree
from workflows.verdicts import Allowances, Baseline, Check, GateCase, GateReport

ENVIRONMENT = Environment("0" * 64, "local", "/nowhere/0123", {"python": "3.11.7", "pytest": "9.0.0", "some-dist": "1"})
SOUND = {"shop/cart.py": CART.replace("percent // 10", "percent // 100")}
OTHERS = ("tests/test_cart.py::test_line", "tests/test_money.py::test_text")
TARGET = TARGETS["plain"]


def report(
    outcomes: Mapping[str, Outcome], *, complete: bool = True, tampering: tuple[str, ...] = (), **more: str
) -> TestReport:
    """Return a report in which the named exceptions (`more`, by outcome's value) were raised."""
    results = tuple(
        TestResult(node_id, outcome, exception=more.get(outcome.value, "AssertionError" if outcome.bad else ""))
        for node_id, outcome in outcomes.items()
    )
    code = int(any(outcome.bad for outcome in outcomes.values()))
    return TestReport(
        results, (), complete, "exit", code, 0.5, ("/x/python", "-B", "/y/run.py"),
        tampering=tampering, output="" if complete else "the end of the output",
    )  # fmt: skip


def before() -> TestReport:
    """Return a run of the base."""
    return report({TARGET: Outcome.FAILED, **dict.fromkeys(OTHERS, Outcome.PASSED)})


def after() -> TestReport:
    """Return a run of the sound tree."""
    return report(dict.fromkeys((TARGET, *OTHERS), Outcome.PASSED))


def baseline(*reports: TestReport, flaky: tuple[str, ...] = (), exception: str = "AssertionError") -> Baseline:
    """Return a baseline with the shop's target."""
    return Baseline(reports or (before(), before()), flaky, (Failure(TARGET, exception, ""),))


@functools.cache
def sound_patch() -> bytes:
    """Return the patch that repairs the plain shop."""
    base = tree(BASES["plain"])
    return diff(base, changed(base, SOUND))


def case(changes: Mapping[str, Change] | None = None, allowances: Allowances | None = None) -> GateCase:
    """Return the case of a candidate, or of the sound one, on the plain shop."""
    base = tree(BASES["plain"])
    patch = sound_patch() if changes is None else diff(base, changed(base, changes))
    return GateCase(
        base, patch, baseline(), Harness("pytest", source="pytest: a test"), ENVIRONMENT, Limits(),
        allowances or Allowances(),
    )  # fmt: skip


def passing(of: GateCase) -> GateReport:
    """Return a report such as the gate makes of a sound candidate."""
    from workflows.steps.verify import conditions

    return GateReport(
        of.patch, tuple(Check(name, True, "As it should be.") for name in conditions(of)), (after(), after()),
        seconds=1.0, base_digest=of.base.digest,
    )  # fmt: skip


def small(files: Mapping[str, str]) -> Tree:
    """Return a tree of texts."""
    return Tree({path: Entry(text.encode()) for path, text in files.items()})
