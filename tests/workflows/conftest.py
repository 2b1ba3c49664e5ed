"""Small real repositories, and the real command run on them in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    pid: int = 0
    """Number of the process, which has ended; 0 where it is not known."""

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


class Zygote:
    """Processes that have imported everything already; see `zygote.py`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        program = Path(__file__).with_name("zygote.py")
        self._process = subprocess.Popen(
            [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def run(self, arguments: Sequence[str | Path], environment: Mapping[str, str], cwd: Path | None = None) -> Ran:
        """Run one command to its end; the code is minus the signal's number where a signal ended it."""
        out, err = self._folder / "out", self._folder / "err"
        order = {"argv": [str(a) for a in arguments], "env": dict(environment), "cwd": str(cwd or self._folder),
                 "out": str(out), "err": str(err)}  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        status, pid = map(int, self._process.stdout.readline().split())
        told = out.read_bytes().decode("utf-8", "surrogateescape")
        return Ran(os.waitstatus_to_exitcode(status), told, err.read_text(), pid)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """Run commands without the second that imports take."""
    made = Zygote(tmp_path_factory.mktemp("zygote"))
    yield made
    made.close()


@pytest.fixture
def quick(zygote: Zygote, environment: dict[str, str]) -> Callable[..., Ran]:
    """Run the command in a forked process; like `greendiff`, without its start-up."""

    def run(*arguments: str | Path, cwd: Path | None = None, **changes: str) -> Ran:
        return zygote.run(arguments, {**environment, **changes}, cwd)

    return run


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
