"""`greendiff test` end to end, through the real command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workflows.conftest import Ran, git

Make = Callable[..., Path]
Run = Callable[..., Ran]
SHOP: dict[str, str | bytes] = {
    "shop/__init__.py": "",
    "shop/prices.py": """\
        \"\"\"Prices in cents.\"\"\"


        def discounted(cents: int, percent: int) -> int:
            if not 0 <= percent <= 100:
                raise ValueError("percent is out of range")
            return cents * (100 - percent) // 100


        def cheapest(prices: list[int]) -> int | None:
            best = None
            for price in prices:
                if best is None or price < best:
                    best = price
            return best
        """,
    "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\n',
}
WRONG: dict[str, str | bytes] = {
    **SHOP,
    "shop/sums.py": """\
        def add(left: int, right: int) -> int:
            \"\"\"Add two numbers.

            >>> add(2, 2)
            4
            \"\"\"
            return left - right
        """,
}


@pytest.mark.slow
def test_a_verified_diff_of_tests_that_run_everything(quick: Run, repository: Make, tmp_path: Path) -> None:
    folder, report = repository(SHOP), tmp_path / "report"
    ran = quick("test", "shop/prices.py", "--budget", "10", "--report", str(report), cwd=folder)
    assert ran.code == 0, ran.err
    assert ran.out.startswith("diff --git a/tests/test_prices.py b/tests/test_prices.py\nnew file mode 100644\n")
    assert git(folder, "status", "--porcelain") == ""
    told = json.loads((report / "report.json").read_text())
    (row,) = told["coverage"]
    assert (row["lines_after"], row["branches_after"]) == (row["lines"], row["branches"])
    assert {test["kind"] for test in told["tests"] if test["kept"]} >= {"example", "exception"}
    assert "<title>Tests for shop/prices.py</title>" in (report / "report.html").read_text()
    subprocess.run(["git", "apply"], cwd=folder, input=ran.out, text=True, check=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    tests = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert tests.returncode == 0, tests.stdout


@pytest.mark.slow
def test_wrong_behaviour_is_reported_and_not_pinned(quick: Run, repository: Make) -> None:
    ran = quick("test", "shop.sums", "--budget", "6", cwd=repository(WRONG))
    assert ran.code == 1
    assert ran.out == ""
    assert "suspected bug: add (shop/sums.py:1): an example in its docstring comes out otherwise" in ran.err


def test_what_cannot_be_tested_is_said_in_a_sentence(quick: Run, repository: Make) -> None:
    folder = repository(SHOP)
    ran = quick("test", "shop/none.py", cwd=folder)
    assert ran.code == 2
    assert "there is no Python file, folder or module 'shop/none.py' in this repository" in ran.err
    assert quick("test", "--changed", "HEAD", cwd=folder).code == 1
    both = quick("test", "shop", "--changed", "HEAD", cwd=folder)
    assert both.code == 2
    assert "not both" in both.err
