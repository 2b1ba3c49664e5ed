"""Reports and bundles of added tests and refactorings: what they say is derived again, and run again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.runners.report import Outcome, TestReport
from tests.gate.court import DEFINITION, Court, changed, lay_out
from tests.gate.honest_claims import ADDS, PRESERVES
from tests.gate.hostile_claims import ALL as HOSTILE
from tests.gate.shop import BASES, tree
from tests.gate.test_replay import Evidence, _manifest, _rendered, _table, git
from workflows.bundle import MANIFEST
from workflows.evidence import Story, bundle_files, read_bundle
from workflows.records import decode, encode
from workflows.steps.verify import NotVerified, VerifiedPatch
from workflows.verdicts import GateCase, GateReport

FUNCTION, MIXED = ADDS[0], next(c for c in ADDS if c.claim == "repairs")
HELPER, BLIND = PRESERVES[0], next(c for c in HOSTILE if c.check == "change-covered")
FIRST = FUNCTION.targets[0][0]
ODD = MIXED.targets[0][0]


def _with(report: TestReport, node_id: str, outcome: Outcome, exception: str = "") -> TestReport:
    results = tuple(
        dataclasses.replace(r, outcome=outcome, exception=exception) if r.node_id == node_id else r
        for r in report.results
    )
    return dataclasses.replace(report, results=results)


def _without_failure(report: TestReport) -> TestReport:
    return dataclasses.replace(report, collection_errors=())


FORGED: list[tuple[Callable[[GateReport], dict[str, Any]], str]] = [
    (lambda _: {"before": ()}, "runs of the base with the added tests"),
    (lambda r: {"before": r.before[:2]}, "runs of the base with the added tests"),
    (lambda r: {"before": (_without_failure(r.before[0]), *r.before[1:])}, "without the patch"),
    (lambda r: {"before": r.whole}, "passed without the patch"),
    (lambda _: {"whole": ()}, "runs of the whole patch"),
    (
        lambda r: {"whole": (*r.whole[:2], _with(r.whole[2], r.whole[2].results[0].node_id, Outcome.FAILED))},
        "added-pass",
    ),
    (lambda r: {"whole": (_with(r.whole[0], FIRST, Outcome.SKIPPED), *r.whole[1:])}, "is skipped"),
    (lambda r: {"whole": (dataclasses.replace(r.whole[0], complete=False), *r.whole[1:])}, "did not come to its end"),
    (lambda _: {"hollow": ()}, "functions emptied"),
    (lambda r: {"hollow": (r.whole[1], r.whole[1])}, "shows nothing"),
    (lambda r: {"hollow": (r.whole[1],)}, "functions emptied"),
    (lambda r: {"whole": (dataclasses.replace(r.whole[0], tampering=("Odd.",)), *r.whole[1:])}, "tampered"),
    (lambda r: {"checks": tuple(c for c in r.checks if c.name != "added-matter")}, "every condition"),
    (lambda _: {"flaky": (FIRST,)}, "set aside as flaky"),
]


@pytest.fixture(scope="module")
def added(local_court: Court) -> tuple[GateCase, GateReport]:
    case = local_court.claim(FUNCTION)
    return case, local_court.judge(case)


@pytest.mark.parametrize(("forge", "reason"), FORGED)
def test_a_forged_report_of_added_tests(
    forge: Callable[[GateReport], dict[str, Any]], reason: str, added: tuple[GateCase, GateReport]
) -> None:
    case, report = added
    assert VerifiedPatch.from_report(report, case).report is report
    with pytest.raises(NotVerified, match=reason):
        VerifiedPatch.from_report(dataclasses.replace(report, **forge(report)), case)


def test_not_with_another_claim(added: tuple[GateCase, GateReport]) -> None:
    case, report = added
    other = dataclasses.replace(case.added_targets[0], exception="ValueError")
    unnamed = dataclasses.replace(case.added_targets[0], exception="")
    for wrong in (
        dataclasses.replace(case, claim="preserves", added_targets=()),
        dataclasses.replace(case, claim="repairs", added_targets=()),
        dataclasses.replace(case, added_targets=()),
        dataclasses.replace(case, added_targets=(other,)),
        dataclasses.replace(case, added_targets=(unnamed,)),
        dataclasses.replace(case, environment_after=case.environment),
    ):
        with pytest.raises(NotVerified):
            VerifiedPatch.from_report(report, wrong)


def test_records_keep_them_whole(added: tuple[GateCase, GateReport]) -> None:
    _, report = added
    assert decode(encode(report)) == report


def test_a_forged_report_of_a_refactoring(local_court: Court) -> None:
    case = local_court.claim(HELPER)
    report = local_court.judge(case)
    assert VerifiedPatch.from_report(report, case)
    assert "tests/test_cart.py::test_discount" in report.covering
    assert "tests/test_money.py::test_text" not in report.covering
    foreign = dataclasses.replace(report, covering=("tests/test_x.py::test_y",))
    with pytest.raises(NotVerified, match="did not pass steadily"):
        VerifiedPatch.from_report(foreign, case)
    with pytest.raises(NotVerified, match="hides"):
        VerifiedPatch.from_report(dataclasses.replace(report, covering=()), case)


def test_a_flag_cannot_be_hidden(local_court: Court) -> None:
    of = next(c for c in HOSTILE if c.check == "interface")
    case = local_court.claim(of)
    report = local_court.judge(case)
    assert report.passed
    calm = tuple(dataclasses.replace(c, flagged=False) for c in report.checks)
    with pytest.raises(NotVerified, match=r"hides what a person should look at \(interface\)"):
        VerifiedPatch.from_report(dataclasses.replace(report, checks=calm), case)


@pytest.fixture(scope="module")
def evidence(local_court: Court, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder = tmp_path_factory.mktemp("claims")
    repository = lay_out(folder / "first", tree(BASES["plain"]))
    git(repository, "init", "-q")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "The shop")
    case = local_court.claim(MIXED)
    verified = VerifiedPatch.from_report(local_court.judge(case), case)
    commit = git(repository, "rev-parse", "HEAD")
    files = bundle_files(verified, case, Story(commit, b"", DEFINITION, tried=2, generated=2))
    git(folder, "clone", "-q", str(repository), str(folder / "clone"))
    return Evidence(local_court, files, folder / "clone")


def test_what_a_bundle_says_about_added_tests(evidence: Evidence) -> None:
    summary = evidence.files["summary.md"].decode()
    assert (
        "1 test that failed before passes now; 1 test that it adds fails without the patch and passes with it"
        in summary
    )
    assert f"| `{ODD}` | failed AssertionError | passed |" in summary
    assert "Added tests, with the targets named above: `tests/test_odd.py`." in summary
    row = json.loads(evidence.files["tests.json"])[ODD]
    assert row["added_before"] == ["failed AssertionError"] * 3
    assert row["added_after"] == ["passed"] * 3
    assert row["hollow"] == ["failed NotImplementedError"]
    assert json.loads(evidence.files[MANIFEST])["claim"] == "repairs"


def test_the_same_from_a_clone(evidence: Evidence, tmp_path: Path) -> None:
    done = evidence.replay(evidence.files, tmp_path)
    assert done.differences == ()
    assert done.passed


def test_every_changed_result_of_an_added_test_is_found(evidence: Evidence, tmp_path: Path) -> None:
    edits = [
        (_table(ODD, "added_before", "failed ValueError"), f"{ODD} on the base with the added tests"),
        (_table(ODD, "added_after", "skipped"), f"{ODD} on the patched tree with the added tests"),
        (_table(ODD, "hollow", "passed"), f"{ODD} on the patched tree with emptied functions"),
        (_manifest("added_before.1.exit_code", 0), "run 2 of the base with the added tests: exit_code is 0"),
        (_manifest("covering", ["tests/test_cart.py::test_line"]), "other tests run the changed lines"),
    ]
    files = dict(evidence.files)
    for edit, _ in edits:
        files = edit(files)
    done = evidence.replay(_rendered(files), tmp_path)
    for _, found in edits:
        assert any(found in text for text in done.differences), (found, done.differences)
    assert len(done.differences) == len(edits)


def test_another_claim_or_reason_is_found(evidence: Evidence, tmp_path: Path) -> None:
    wrong = _rendered(_manifest("added_targets.0.exception", "KeyError")(dict(evidence.files)))
    done = evidence.replay(wrong, tmp_path)
    assert any("check added-failed-before: passed in the bundle, refused here" in text for text in done.differences)
    flipped = evidence.files["tests.json"].replace(b"NotImplementedError", b"NotImplementedErros")
    broken = lay_out(tmp_path / "b", changed(tree({}), {n: d.decode() for n, d in evidence.files.items()}))
    (broken / "tests.json").write_bytes(flipped)
    assert read_bundle(broken).problems[0].startswith("tests.json is not the file that the manifest names")
