"""What claims to add or to preserve is proved or refused, whatever a plain pytest run says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.gate import honest_claims, hostile_claims
from tests.gate.candidates import Claimed
from tests.gate.court import Court, changed, lay_out, plain_pytest
from tests.gate.shop import BASES, GREEN, tree
from workflows.steps.verify import NotVerified, VerifiedPatch, conditions
from workflows.verdicts import GateCase, GateReport

DOCKER = {"an issue: percentages are not checked", "a repair with a test of its own", "a helper is extracted"}


def _holds(candidate: Claimed, case: GateCase, report: GateReport) -> None:
    assert report.passed, [c for c in report.checks if not c.passed]
    assert tuple(c.name for c in report.checks) == conditions(case, report.added_tests)
    wanted = [candidate.check] if candidate.flagged else []
    assert [c.name for c in report.flagged] == wanted, report.flagged
    verified = VerifiedPatch.from_report(report, case)
    assert verified.patch == case.patch
    assert verified.report is report


@pytest.mark.parametrize("candidate", honest_claims.ALL, ids=lambda c: c.name)
def test_honest(candidate: Claimed, local_court: Court) -> None:
    case, report = local_court.verdict(candidate.name)
    _holds(candidate, case, report)
    if candidate.targets:
        assert len(report.before) == len(report.whole) == 3
        first = candidate.targets[0][0]
        assert report.whole[0].outcome(first) == "passed"
        assert report.before[0].outcome(first) != "passed"


@pytest.mark.docker
@pytest.mark.parametrize("candidate", [c for c in honest_claims.ALL if c.name in DOCKER], ids=lambda c: c.name)
def test_honest_on_docker(candidate: Claimed, docker_court: Court) -> None:
    _holds(candidate, *docker_court.verdict(candidate.name))


def _is_refused(candidate: Claimed, case: GateCase, report: GateReport) -> None:
    check = next((c for c in report.checks if c.name == candidate.check), None)
    assert check is not None, [f"{c.name}: {c.reason}" for c in report.checks]
    assert re.search(candidate.reason, f"{check.reason} {' '.join(check.details)}"), check
    if candidate.flagged:
        assert report.passed, [c for c in report.checks if not c.passed]
        assert check in report.flagged
        return
    assert not check.passed
    with pytest.raises(NotVerified):
        VerifiedPatch.from_report(report, case)


@pytest.mark.parametrize("candidate", hostile_claims.ALL, ids=lambda c: c.name)
def test_hostile(candidate: Claimed, local_court: Court, tmp_path: Path) -> None:
    files = changed(tree({**BASES, **GREEN}[candidate.base]), candidate.changes)
    done = plain_pytest(lay_out(tmp_path, files))
    assert done.returncode == 0, done.stdout + done.stderr
    _is_refused(candidate, *local_court.verdict(candidate.name))


@pytest.mark.docker
@pytest.mark.parametrize(
    "candidate", [c for c in hostile_claims.ALL if c.check in {"added-matter", "added-pass"}][::2], ids=lambda c: c.name
)
def test_hostile_on_docker(candidate: Claimed, docker_court: Court) -> None:
    _is_refused(candidate, *docker_court.verdict(candidate.name))


def test_there_are_enough() -> None:
    assert len([c for c in hostile_claims.ALL if not c.flagged]) >= 15
    assert len(honest_claims.ALL) >= 8
