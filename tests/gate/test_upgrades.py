"""An upgrade is judged in what its own files declare, and in nothing else."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.results import Failure
from sandbox.backends import open_sandbox
from sandbox.limits import Limits
from sandbox.owners import remove_folder
from sandbox.protocol import Environment, EnvironmentDefinition, Sandbox
from sandbox.runners.detect import detect_harness
from sandbox.runners.run import run_tests
from sandbox.tree import Tree
from sandbox.workspace import diff
from tests.gate.cases import small
from tests.sandbox.test_preparing import wheel
from workflows.evidence import Story, bundle_files
from workflows.steps.verify import NotVerified, VerifiedPatch, judge
from workflows.verdicts import Allowances, Baseline, GateCase, GateReport

PYPROJECT = '[project]\nname = "thing"\nversion = "1"\ndependencies = ["beta_part==2.0", "gamma_part>=1"]\n'
FILES = {
    "pyproject.toml": PYPROJECT,
    "thing/__init__.py": "",
    "thing/core.py": "import beta_part\n\n\ndef major():\n    return int(beta_part.VALUE.split('.')[0])\n",
    "tests/test_core.py": "import thing.core\n\n\ndef test_major():\n    assert thing.core.major() in (2, 3)\n\n\n"
    "def test_not_four():\n    assert thing.core.major() < 4\n",
}
UPGRADED = {"pyproject.toml": PYPROJECT.replace("beta_part==2.0", "beta_part==3.0")}
ALLOWED = Allowances(configuration=True, upgrades=("Beta-Part",))


@dataclasses.dataclass(frozen=True)
class Shelf:
    sandbox: Sandbox
    old: Environment
    new: Environment
    four: Environment
    base: Tree
    baseline: Baseline

    def case(self, changes: dict[str, str], environment: Environment | None, allowances: Allowances) -> GateCase:
        after = self.base.replaced(small(changes))
        return GateCase(
            self.base, diff(self.base, after), self.baseline, detect_harness(self.base), self.old, Limits(), allowances,
            claim="preserves", environment_after=environment,
        )  # fmt: skip

    def judge(self, case: GateCase) -> GateReport:
        return judge(case, self.sandbox, lambda _line: None)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    folder = tmp_path_factory.mktemp("wheels")
    for name, version in (("beta_part", "2.0"), ("beta_part", "3.0"), ("beta_part", "4.0"), ("gamma_part", "1.0")):
        wheel(folder, name, version)
    sandbox = open_sandbox("local")
    with pytest.MonkeyPatch.context() as settings:
        settings.setenv("PIP_NO_INDEX", "1")
        settings.setenv("PIP_FIND_LINKS", str(folder))
        prepared = [
            sandbox.prepare(
                EnvironmentDefinition(
                    (f"beta_part=={version}", "gamma_part>=1"), distribution=("thing", f"1.{time.time_ns()}")
                ),
                lambda _line: None,
            )
            for version in ("2.0", "3.0", "4.0")
        ]
    base, reports = small(FILES), []
    for seed in (1, 2):
        with sandbox.open(base, prepared[0]) as workspace:
            reports.append(run_tests(workspace, detect_harness(base), seed=seed))
    old, new, four = prepared
    yield Shelf(sandbox, old, new, four, base, Baseline(tuple(reports), (), ()))
    sandbox.close()
    for environment in prepared:
        remove_folder(Path(environment.reference))


def _refused(report: GateReport) -> tuple[str, str]:
    return next((c.name, c.reason) for c in report.checks if not c.passed)


def test_an_upgrade_is_judged_in_the_new_environment(shelf: Shelf) -> None:
    case = shelf.case(UPGRADED, shelf.new, ALLOWED)
    report = shelf.judge(case)
    assert report.passed, _refused(report)
    assert report.flagged == ()
    told = next(c for c in report.checks if c.name == "environment")
    assert "beta-part declared anew" in told.reason
    assert "beta-part: 2.0 to 3.0" in told.details
    verified = VerifiedPatch.from_report(report, case)
    plain = Story("0" * 40, b"", EnvironmentDefinition())
    with pytest.raises(NotVerified, match="how the environment of the patched tree is made"):
        bundle_files(verified, case, plain)
    files = bundle_files(verified, case, dataclasses.replace(plain, definition_after=EnvironmentDefinition()))
    assert "Upgraded for the patched tree: beta-part 2.0 to 3.0" in files["summary.md"].decode()
    assert "it preserves behaviour as far as the tests see" in files["summary.md"].decode().lower()


def test_an_upgrade_that_the_code_does_not_bear(shelf: Shelf) -> None:
    changes = {"pyproject.toml": PYPROJECT.replace("beta_part==2.0", "beta_part==4.0")}
    assert _refused(shelf.judge(shelf.case(changes, shelf.four, ALLOWED)))[0] == "nothing-broken"


@pytest.mark.parametrize(
    ("changes", "allowances", "check", "reason"),
    [
        (UPGRADED, Allowances(), "tests-untouched", "configures"),
        ({"thing/core.py": FILES["thing/core.py"] + "\n"}, Allowances(), "environment", "does not allow"),
        ({"thing/core.py": FILES["thing/core.py"] + "\n"}, ALLOWED, "environment", "no other requirement"),
        (
            {"pyproject.toml": UPGRADED["pyproject.toml"].replace("gamma_part>=1", "gamma_part==1.0")},
            ALLOWED, "environment", "gamma-part is declared anew, which the request does not ask for",
        ),
        (
            {"pyproject.toml": PYPROJECT.replace("beta_part==2.0", "beta_part==5.0")},
            ALLOWED, "environment", "beta_part==5.0 is declared, and 3.0 is installed",
        ),
        (
            {"pyproject.toml": PYPROJECT.replace('"beta_part==2.0"', '"beta_part==3.0", "delta_part"')},
            Allowances(configuration=True), "environment", "delta-part is declared and not installed",
        ),
    ],
)  # fmt: skip
def test_another_environment_than_what_is_declared(
    changes: dict[str, str], allowances: Allowances, check: str, reason: str, shelf: Shelf
) -> None:
    case = shelf.case(changes, shelf.new, allowances)
    name, told = _refused(shelf.judge(case))
    assert name == check
    assert reason in told


def test_an_upgrade_that_nobody_named_is_flagged(shelf: Shelf) -> None:
    report = shelf.judge(shelf.case(UPGRADED, shelf.new, Allowances(configuration=True)))
    assert report.passed
    assert [c.name for c in report.flagged] == ["environment"]


def test_an_upgrade_has_no_target(shelf: Shelf) -> None:
    case = shelf.case(UPGRADED, shelf.new, ALLOWED)
    target = Failure("tests/test_core.py::test_major", "AssertionError", "")
    wrong = dataclasses.replace(case, baseline=dataclasses.replace(case.baseline, targets=(target,)))
    assert _refused(shelf.judge(wrong))[0] == "targets-failed-before"
