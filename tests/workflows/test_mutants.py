"""`greendiff mutants` as a person runs it: real processes, a real repository, the local sandbox."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.workflows.conftest import BUGGY, Ran, git

Run = Callable[..., Ran]
Repository = Callable[..., Path]


def test_survivors_are_printed_with_their_diffs_and_remembered(quick: Run, repository: Repository) -> None:
    folder = repository()
    ran = quick("mutants", cwd=folder)
    assert ran.code == 0, ran.err
    assert "survived: shop/prices.py:15 compare.boundary" in ran.out
    assert "-        if price < best:\n+        if price <= best:\n" in ran.out
    assert "not judged by 2 tests that failed" in ran.out
    assert "shop/prices.py" in ran.out.splitlines()[-2]
    assert git(folder, "status", "--porcelain") == ""
    again = quick("mutants", cwd=folder)
    assert "remembered" in again.out
    assert again.out.splitlines()[-2] == ran.out.splitlines()[-2]


def test_only_changed_lines_and_json(quick: Run, repository: Repository) -> None:
    folder = repository()
    path = folder / "shop" / "prices.py"
    path.write_text(path.read_text().replace("best = prices[0]", "best = prices[0] + 0"))
    ran = quick("mutants", "shop", "--changed", "HEAD", "--json", cwd=folder)
    assert ran.code == 0, ran.err
    result = ran.events[-1]
    assert result["event"] == "result"
    assert result["mutants"]
    assert {mutant["first"] for mutant in result["mutants"]} == {13}
    assert {mutant["unit"] for mutant in result["mutants"]} == {"cheapest"}
    assert all(mutant["diff"].startswith("--- a/shop/prices.py") for mutant in result["mutants"])


def test_a_demand_that_is_not_met_is_an_exit_code(quick: Run, repository: Repository) -> None:
    folder = repository()
    ran = quick("mutants", "--min-mutation", "1", cwd=folder)
    assert ran.code == 1
    assert "--min-mutation demands 100.0 %" in ran.err
    assert quick("mutants", "--min-mutation", "0.1", cwd=folder).code == 0
    assert quick("mutants", "--min-mutation", "80", cwd=folder).code == 2


def test_bad_requests_are_one_sentence(quick: Run, repository: Repository, tmp_path: Path) -> None:
    folder = repository()
    for arguments, code, words in (
        (("absent",), 2, "absent holds no Python code"),
        (("tests",), 2, "tests holds no Python code"),
        ((str(tmp_path),), 2, "is not inside the repository"),
        (("--changed", "nowhere"), 3, "nowhere"),
    ):
        ran = quick("mutants", *arguments, cwd=folder)
        assert (ran.code, words in ran.err) == (code, True), ran.err
        assert "Traceback" not in ran.err
    ran = quick("mutants", "--changed", "HEAD", cwd=folder)
    assert ran.code == 0
    assert "nothing to put a fault into" in ran.err
    files = {**BUGGY, "tests/test_prices.py": "def test():\n    assert False\n"}
    ran = quick("mutants", cwd=repository(files, name="red"))
    assert ran.code == 3
    assert "no test passes here" in ran.err
