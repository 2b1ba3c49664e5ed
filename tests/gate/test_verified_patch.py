"""A verified patch comes from a passing report, and from nowhere else."""

from __future__ import annotations

import ast
import copy
import dataclasses
import pickle
from pathlib import Path
from typing import Any

import pytest

from agents.results import Failure
from sandbox.runners.report import Outcome
from tests.gate.cases import OTHERS, TARGET, after, before, case, passing, report
from tests.gate.hostile import ALL
from workflows.steps.verify import NotVerified, VerifiedPatch
from workflows.verdicts import Check, GateCase, GateReport

TOP = Path(__file__).parents[2]


def test_from_a_passing_report() -> None:
    of = case()
    verified = VerifiedPatch.from_report(passing(of), of)
    assert verified.patch == of.patch
    assert repr(verified).startswith("<VerifiedPatch ")
    assert copy.copy(verified) is copy.deepcopy(verified) is verified


def _forged(**changes: Any) -> tuple[GateReport, GateCase]:
    of = case()
    return dataclasses.replace(passing(of), **changes), of


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"patch": b"x"}, "another patch"),
        ({"base_digest": "0"}, "another base"),
        ({"checks": ()}, "every condition"),
        ({"checks": passing(case()).checks[:-1]}, "every condition"),
        ({"checks": (*passing(case()).checks[:-1], Check("generalises", False, "No."))}, "refused it"),
        ({"reports": ()}, "holds no run"),
        ({"reports": (after(),)}, "bear it out"),
        ({"reports": (after(), before())}, "bear it out"),
        ({"reports": (after(), report({TARGET: Outcome.PASSED, OTHERS[0]: Outcome.PASSED}))}, "bear it out"),
        ({"reports": (after(), dataclasses.replace(after(), complete=False))}, "bear it out"),
        ({"reports": (after(), dataclasses.replace(after(), tampering=("Something.",)))}, "tampered"),
        ({"flaky": (TARGET,)}, "flaky"),
    ],
)
def test_not_from_any_other(changes: dict[str, Any], reason: str) -> None:
    forged, of = _forged(**changes)
    with pytest.raises(NotVerified, match=reason):
        VerifiedPatch.from_report(forged, of)


@pytest.mark.parametrize("candidate", [h for h in ALL if h.check in {"scope", "tests-untouched"}][::4], ids=str)
def test_not_from_a_report_that_lies_about_what_can_be_read(candidate: Any) -> None:
    of = case(candidate.changes)
    with pytest.raises(NotVerified, match=candidate.check):
        VerifiedPatch.from_report(passing(of), of)


def test_not_with_a_baseline_that_the_targets_passed_on() -> None:
    of = case()
    wrong = dataclasses.replace(of, baseline=dataclasses.replace(of.baseline, reports=(after(), after())))
    with pytest.raises(NotVerified, match="targets-failed-before"):
        VerifiedPatch.from_report(passing(of), wrong)
    none = dataclasses.replace(
        of, baseline=dataclasses.replace(of.baseline, targets=(Failure("tests/x.py::y", "", ""),))
    )
    with pytest.raises(NotVerified, match="targets-failed-before"):
        VerifiedPatch.from_report(passing(of), none)


def test_not_by_hand() -> None:
    of = case()
    verified = VerifiedPatch.from_report(passing(of), of)
    with pytest.raises(NotVerified):
        VerifiedPatch()
    with pytest.raises(NotVerified):
        VerifiedPatch(of.patch, of.base.digest, passing(of))
    with pytest.raises(NotVerified):
        type("Mine", (VerifiedPatch,), {})
    with pytest.raises(TypeError):
        dataclasses.replace(verified, patch=b"")  # type: ignore[type-var]
    with pytest.raises(NotVerified):
        pickle.dumps(verified)
    with pytest.raises(AttributeError):
        verified.patch = b"x"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        verified.other = 1  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        object.__setattr__(verified, "patch", b"x")


def test_a_smuggled_object_holds_nothing() -> None:
    smuggled = object.__new__(VerifiedPatch)
    for ask in (lambda: smuggled.patch, lambda: smuggled.base_digest, lambda: smuggled.report, lambda: repr(smuggled)):
        with pytest.raises(NotVerified, match="not made by the gate"):
            ask()


def test_nothing_else_in_the_program_makes_one() -> None:
    """Every mention outside its own module is an import, an annotation, or `VerifiedPatch.from_report(...)`."""
    for path in [p for package in ("agents", "sandbox", "workflows") for p in (TOP / package).rglob("*.py")]:
        if path == TOP / "workflows" / "steps" / "verify.py":
            continue
        module = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(module):
            if isinstance(node, ast.Call):
                assert "VerifiedPatch" not in ast.unparse(node.func).removesuffix("VerifiedPatch.from_report"), path
                assert not any(isinstance(a, ast.Name) and a.id == "VerifiedPatch" for a in node.args), path
            assert not (isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node).endswith("_ISSUED")), path
