"""Small real repositories, and the real command run on them in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

Files = Mapping[str, str | bytes]

BUGGY: dict[str, str | bytes] = {
    "shop/__init__.py": "",
    "shop/prices.py": """\
        \"\"\"Prices in cents.\"\"\"


        def total(prices, discount=0):
            \"\"\"Return the sum of the prices less the discount.\"\"\"
            result = 0
            for price in prices:
                result += price
            return result + discount


        def cheapest(prices):
            best = prices[0]
            for price in prices[1:]:
                if price < best:
                    best = price
            return best
        """,
    "tests/test_prices.py": """\
        from shop.prices import cheapest, total


        def test_total():
            assert total([100, 250]) == 350


        def test_total_of_nothing():
            assert total([]) == 0


        def test_discount():
            assert total([100, 250], 50) == 300


        def test_discount_of_one():
            assert total([100], 10) == 90


        def test_cheapest():
            assert cheapest([3, 1, 2]) == 1
        """,
    "pyproject.toml": """\
        [project]
        name = "shop"
        version = "1.0"

        [tool.pytest.ini_options]
        pythonpath = ["."]
        """,
}
"""A package with one wrong operator, which two of its tests show."""


def git(folder: Path, *arguments: str) -> str:
    """Run Git with an identity of its own."""
    names = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
    environment = {**os.environ, **dict.fromkeys(names, "test@example.org"), "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_files(folder: Path, files: Files) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else textwrap.dedent(content).encode())


@pytest.fixture
def repository(tmp_path: Path) -> Callable[..., Path]:
    """Make a committed repository of some files; `BUGGY` by default."""

    def make(files: Files | None = None, name: str = "project") -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        write_files(folder, BUGGY if files is None else files)
        git(folder, "init", "-q", "-b", "main")
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", "first")
        return folder

    return make


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON events on standard output."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests of a session, so that environments are prepared once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def environment(tmp_path: Path, shared_cache: Path) -> dict[str, str]:
    """What the command's process sees: a state folder of its own, and the local sandbox."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GREENDIFF_")}
    return {
        **kept,
        "GREENDIFF_STATE_DIR": str(tmp_path / "state"),
        "GREENDIFF_CACHE_DIR": str(shared_cache),
        "GREENDIFF_SANDBOX": "local",
    }


@pytest.fixture
def greendiff(environment: dict[str, str]) -> Callable[..., Ran]:
    """Run the real command in a process of its own."""

    def run(*arguments: str | Path, cwd: Path | None = None, stdin: str = "", **changes: str) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "workflows.cli", *map(str, arguments)],
            cwd=cwd, env={**environment, **changes}, capture_output=True, input=stdin.encode(), timeout=200,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout.decode("utf-8", "surrogateescape"), done.stderr.decode())

    return run
