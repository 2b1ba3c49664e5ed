"""A dependency upgrade; a run that is killed and resumed; a run on Docker whose evidence is replayed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sandbox.test_preparing import wheel
from tests.workflows.conftest import Files, Ran
from tests.workflows.solve.people import DONE, FINE, SHOP, Cast, calls, edit, evidence, plan
from tests.workflows.solve.test_requests import coupons
from workflows.runs import cache_folder

PYPROJECT = """\
[project]
name = "thing"
version = "1"
dependencies = ["beta_part==2.0"]

[tool.pytest.ini_options]
pythonpath = ["."]
"""
THING: Files = {
    "pyproject.toml": PYPROJECT,
    "thing/__init__.py": "",
    "thing/core.py": "import beta_part\n\n\ndef major():\n    return int(beta_part.VALUE.split('.')[0])\n",
    "tests/test_core.py": "from thing.core import major\n\n\ndef test_major():\n    assert major() in (2, 3)\n\n\n"
    "def test_not_four():\n    assert major() < 4\n",
}


@pytest.fixture
def wheels(tmp_path: Path) -> dict[str, str]:
    """What makes pip take packages from a folder alone."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for version in ("2.0", "3.0", "4.0"):
        wheel(folder, "beta_part", version)
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}


def test_a_dependency_is_upgraded_and_judged_in_what_is_declared_then(
    repository: Callable[..., Path], wheels: dict[str, str], quick: Callable[..., Ran]
) -> None:
    thing = repository(THING)
    old = 'dependencies = ["beta_part==2.0"]\n'
    cast = Cast(
        planner=[plan("upgrade", "beta_part 3.", ("declare beta_part 3", ["pyproject.toml"], []))],
        coder=[calls(edit("pyproject.toml", old, old.replace("2.0", "3.0"))), DONE], reviewer=[FINE],
    )  # fmt: skip
    with cast:
        ran = quick("solve", "Upgrade beta_part to 3.0", "--json", cwd=thing, **cast.variables(), **wheels)
    result = ran.events[-1]
    assert ran.code == 0, result["message"]
    assert result["files"] == ["pyproject.toml"]
    manifest, summary = evidence(result)
    assert manifest["claim"] == "preserves"
    assert manifest["environment_after"]["versions"]["beta-part"] == "3.0"
    assert "Upgraded for the patched tree: beta-part 2.0 to 3.0" in summary


def test_a_feature_that_is_killed_again_and_again_pays_for_no_answer_twice(
    repository: Callable[..., Path], quick: Callable[..., Ran]
) -> None:
    order: tuple[str | Path, ...] = ("solve", "Add coupons that lower the total", "--repository", repository(SHOP))
    with coupons() as cast:
        for point in ("tests-of-1:done", "proposal-1:done", "review-*:done"):
            assert quick(*order, **cast.variables(), GREENDIFF_DIE_AT=point).code == -9
            order = ("resume", "last")
        ran = quick(*order, "--json", **cast.variables())
        asked = [json.dumps(seen.body, sort_keys=True) for seen in cast.chats]
    assert ran.code == 0, ran.events[-1]["message"]
    assert len(asked) == len(set(asked))
    assert evidence(ran.events[-1])[0]["search"]["calls"] == len(asked)


@pytest.mark.docker
def test_a_feature_on_docker_and_its_evidence_replayed(
    repository: Callable[..., Path], quick: Callable[..., Ran]
) -> None:
    shop, cache = repository(SHOP), str(cache_folder())
    with coupons() as cast:
        ran = quick("solve", "Add coupons that lower the total", "--sandbox", "docker", "--json", cwd=shop,
                    **cast.variables(), GREENDIFF_CACHE_DIR=cache)  # fmt: skip
    result = ran.events[-1]
    assert ran.code == 0, result["message"]
    assert "verified in a fresh docker sandbox: 3 new tests" in result["message"]
    replayed = quick("verify", result["bundle"], cwd=shop, GREENDIFF_CACHE_DIR=cache)
    assert replayed.code == 0, replayed.err
