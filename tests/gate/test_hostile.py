"""Nothing that makes a plain pytest run green without a repair gets through the gate."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.gate.candidates import Hostile
from tests.gate.court import Court, changed, lay_out, plain_pytest
from tests.gate.hostile import ALL
from tests.gate.shop import BASES, TARGETS, tree
from workflows.steps.verify import NotVerified, VerifiedPatch
from workflows.verdicts import GateCase, GateReport

RUN = [h for h in ALL if h.check in {"targets-pass", "generalises"}]
"""What only a run can refuse."""


def _is_refused(candidate: Hostile, case: GateCase, report: GateReport) -> None:
    check = next((c for c in report.checks if c.name == candidate.check), None)
    assert check is not None, [f"{c.name}: {c.reason}" for c in report.checks]
    assert re.search(candidate.reason, f"{check.reason} {' '.join(check.details)}"), check
    if candidate.flagged:
        assert report.passed
        assert check in report.flagged
        return
    assert not check.passed
    assert not report.passed
    with pytest.raises(NotVerified):
        VerifiedPatch.from_report(report, case)


@pytest.mark.parametrize("base", BASES)
def test_the_base_fails_in_one_test(base: str, tmp_path: Path) -> None:
    done = plain_pytest(lay_out(tmp_path, tree(BASES[base])))
    assert done.returncode == 1
    assert re.findall(r"^FAILED (\S+)", done.stdout, re.MULTILINE) == [TARGETS[base]]


@pytest.mark.parametrize("candidate", ALL, ids=lambda h: h.name)
def test_it_fools_pytest_and_not_the_gate(candidate: Hostile, local_court: Court, tmp_path: Path) -> None:
    files = changed(tree(BASES[candidate.base]), candidate.changes)
    done = plain_pytest(lay_out(tmp_path, files))
    assert done.returncode == 0, done.stdout + done.stderr
    _is_refused(candidate, *local_court.verdict(candidate.name))


@pytest.mark.docker
@pytest.mark.parametrize("candidate", RUN, ids=lambda h: h.name)
def test_it_does_not_fool_the_gate_on_docker(candidate: Hostile, docker_court: Court) -> None:
    _is_refused(candidate, *docker_court.verdict(candidate.name))


def test_there_are_enough() -> None:
    assert len([h for h in ALL if not h.flagged]) >= 30
