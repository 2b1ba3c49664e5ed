"""Honest repairs in many styles pass the gate, and become verified patches."""

from __future__ import annotations

import pytest

from tests.gate.candidates import Honest
from tests.gate.court import Court
from tests.gate.honest import ALL
from workflows.steps.verify import VerifiedPatch, conditions
from workflows.verdicts import GateCase, GateReport

ON_DOCKER = [h for h in ALL if h.name in {"one number, tested by unittest", "a new module", "equality, guarded"}]


def _passes(candidate: Honest, case: GateCase, report: GateReport) -> None:
    assert report.passed, [c for c in report.checks if not c.passed]
    assert tuple(c.name for c in report.checks) == conditions(case, report.added_tests)
    assert {c.name for c in report.flagged} <= candidate.flagged, report.flagged
    verified = VerifiedPatch.from_report(report, case)
    assert verified.patch == case.patch
    assert verified.base_digest == case.base.digest
    assert verified.report is report


@pytest.mark.parametrize("candidate", ALL, ids=lambda h: h.name)
def test_it_passes(candidate: Honest, local_court: Court) -> None:
    _passes(candidate, *local_court.verdict(candidate.name))


@pytest.mark.docker
@pytest.mark.parametrize("candidate", ON_DOCKER, ids=lambda h: h.name)
def test_it_passes_on_docker(candidate: Honest, docker_court: Court) -> None:
    _passes(candidate, *docker_court.verdict(candidate.name))
