"""The entry program as a plain process of this interpreter, for what no workspace is needed for."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sandbox.probe import frames
from tests.runners.conftest import make_tree
from tests.runners.test_run_pytest import MANY
from tests.runners.test_unittest import FILES as UNITTEST

ENTRY = Path(frames.__file__).with_name("run_tests.py")


def _write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    for path, entry in make_tree(files).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(entry.data)


def _plan(folder: Path, **more: Any) -> dict[str, Any]:
    return {"nonce": "n", "root": str(folder), "kind": "pytest", "pythonpath": ["src", "."], "autoload": False} | more


def _run(*arguments: str, data: bytes = b"") -> list[dict[str, Any]]:
    argv = [sys.executable, "-B", str(ENTRY), *arguments]
    done = subprocess.run(argv, input=data, capture_output=True, check=True, timeout=120)
    messages = frames.Decoder().feed(done.stdout)
    assert all(message["nonce"] == "n" for message in messages)
    return messages


def _outcomes(messages: list[dict[str, Any]]) -> dict[str, int]:
    found = [message["outcome"] for message in messages if message["t"] == "result"]
    return {outcome: found.count(outcome) for outcome in set(found)}


def test_a_plan_in_a_file(tmp_path: Path) -> None:
    _write(tmp_path / "repository", MANY)
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(_plan(tmp_path / "repository", coverage=True)), "utf-8")
    messages = _run(str(plan))
    assert _outcomes(messages) == {"passed": 5, "failed": 12, "error": 2, "skipped": 2, "xfailed": 1, "xpassed": 1}
    assert messages[-1]["t"] == "finished"
    assert messages[-1]["complete"]


def test_a_plan_on_standard_input(tmp_path: Path) -> None:
    _write(tmp_path, UNITTEST)
    messages = _run(data=frames.encode(_plan(tmp_path, kind="unittest", paths=["tests"])))
    assert _outcomes(messages) == {"passed": 1, "failed": 6, "error": 2, "skipped": 1, "xfailed": 1}
    plan = tmp_path / "plan.json"
    plan.write_text("[]", "utf-8")
    assert subprocess.run([sys.executable, str(ENTRY), str(plan)], check=False).returncode == 2


def test_the_server(tmp_path: Path) -> None:
    _write(tmp_path, {"test_a.py": "import json, unittest.mock\ndef test_a(): pass\ndef test_b(): assert 0\n"})
    orders = [{"tests": []}, {"tests": ["test_a.py::test_a"]}, {"overlay": {"test_a.py": "def test_c(): pass\n"}}]
    data = frames.encode(_plan(tmp_path, serve=True)) + b"".join(frames.encode(order) for order in orders)
    messages = _run(data=data)
    assert messages[0]["t"] == "ready"
    assert [message["id"] for message in messages if message["t"] == "result"] == [
        "test_a.py::test_a", "test_a.py::test_b", "test_a.py::test_a", "test_a.py::test_c",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["pytest", "unittest"])
def test_tampering_in_this_interpreter(tmp_path: Path, kind: str) -> None:
    test = """
        import unittest
        class A(unittest.TestCase):
            def test_a(self):
                unittest.TestCase.run = lambda self, result=None: None
                unittest.TestCase.failureException = ValueError
        """
    _write(tmp_path, {"test_a.py": test})
    messages = _run(data=frames.encode(_plan(tmp_path, kind=kind)))
    (sentences,) = [message["sentences"] for message in messages if message["t"] == "tampering"]
    assert any("unittest.case.TestCase.run" in sentence for sentence in sentences)


def test_endings_in_this_interpreter(tmp_path: Path) -> None:
    test = """
        import os, signal, sys, time
        def test_prints(capfd):
            print("x" * 20_000_000)
            os.write(1, b"y" * 100)
        def test_leaves(): os._exit(3)
        def test_dies(): os.kill(os.getpid(), signal.SIGTERM)
        def test_hangs():
            os.write(2, b"z" * 50_000)
            time.sleep(60)
        def test_last(): pass
        """
    _write(tmp_path, {"test_a.py": test, "test_b.py": "import os\nos._exit(1)\n", "test_c.py": "raise SystemExit\n"})
    plan = _plan(tmp_path, test_seconds=1.0, options=["-s"], wall_seconds=100)
    messages = _run(data=frames.encode(plan))
    assert {
        message["id"].partition("::")[2]: message["message"] for message in messages if message["t"] == "result"
    } == {
        "test_prints": "",
        "test_leaves": "the test process left with exit code 3 during this test",
        "test_dies": "the test process was ended by SIGTERM during this test",
        "test_hangs": "did not end within 1 s",
        "test_last": "",
    }
    assert [message["id"] for message in messages if message["t"] == "collection_error"] == ["test_b.py", "test_c.py"]
    assert messages[-1]["complete"]
    assert "bytes left out" in messages[-1]["output"]
    short = _run(
        data=frames.encode(plan | {"wall_seconds": 0.5, "tests": ["test_a.py::test_hangs"], "test_seconds": 9})
    )
    assert (short[-1]["ended"], short[-1]["complete"]) == ("timeout", False)


BAD = {
    "conftest": ({"conftest.py": "import gone_for_good\n"}, "conftest", "gone_for_good"),
    "conftest in a folder": ({"conftest.py": "def f(:\n"}, "conftest", None),
    "internal": ({"conftest.py": "def pytest_collection_modifyitems(): 1 / 0\n"}, "internal", None),
    "interrupted": ({"conftest.py": "def pytest_collection_finish(): raise KeyboardInterrupt\n"}, "interrupted", None),
}


@pytest.mark.parametrize("name", BAD)
def test_problems_are_told(tmp_path: Path, name: str) -> None:
    files, kind, missing = BAD[name]
    _write(tmp_path, {**files, "test_a.py": "def test_a(): pass\n"})
    last = _run(data=frames.encode(_plan(tmp_path)))[-1]
    assert (last["complete"], last["problem"]["kind"], last["problem"].get("missing")) == (False, kind, missing)


def test_configuration_in_this_interpreter(tmp_path: Path) -> None:
    ini = """
        [pytest]
        addopts = --absent --absent-value 3 --pdb --strict-config --doctest-modules
        absent_key = 1
        """
    source = 'def f():\n    """\n    >>> f()\n    2\n    >>> 1 / 0\n    """\n'
    files: dict[str, str | bytes] = {
        "tests/pytest.ini": ini,
        "tests/ours.py": source,
        "code.py": "ours = True\n",
        "tests/test_[a].py": "import code, ours\ndef test_a(): assert not hasattr(code, 'ours')\ndef test_b(): 1\n",
    }
    _write(tmp_path, files)
    plan = _plan(tmp_path, paths=["tests"], plugins=["pytester"], seed=3, env={"A": "b"}, coverage=True)
    messages = _run(data=frames.encode(plan))
    assert _outcomes(messages) == {"passed": 2, "failed": 1}
    (note,) = [message["message"] for message in messages if message["t"] == "note"]
    assert note == "options left out: --absent --absent-value 3 --pdb"
    one = _run(data=frames.encode(plan | {"tests": ["tests/test_[a].py::test_b", "gone.py::x"]}))
    assert [message["id"] for message in one if message["t"] == "result"] == ["tests/test_[a].py::test_b"]
    assert [message["ids"] for message in one if message["t"] == "missing"] == [["gone.py::x"]]
    none = _run(data=frames.encode(plan | {"tests": ["gone.py::x"]}))
    assert [message["t"] for message in none] == ["missing", "finished"]


def test_unittest_is_told_where_and_what(tmp_path: Path) -> None:
    case = """
        import unittest
        class One(unittest.TestCase):
            def test_a(self): pass
            def test_b(self): self.skipTest("not today")
        """
    generated = """
        import unittest
        def load_tests(loader, tests, pattern):
            one, two = unittest.FunctionTestCase(lambda: None), unittest.FunctionTestCase(lambda: None)
            return unittest.TestSuite([unittest.TestSuite([one]), two])
        """
    broken = "import unittest\nfrom .gone import nothing\n"
    files: dict[str, str | bytes] = {
        "checks/__init__.py": "",
        "checks/check_one.py": case,
        "checks/check_made.py": generated,
        "checks/check_broken.py": broken,
        "plain/check_two.py": case,
        "single.py": case,
        "notes.txt": "",
    }
    _write(tmp_path, files)
    plan = _plan(tmp_path, kind="unittest", options=["-v", "--pattern=check*.py"], coverage=True)
    messages = _run(data=frames.encode(plan | {"paths": ["checks", "plain", "single.py", "notes.txt"]}))
    ids = [message["id"] for message in messages if message["t"] == "result"]
    assert {"checks/check_one.py::One::test_a", "plain/check_two.py::One::test_b", "single.py::One::test_a"} <= set(ids)
    assert len(ids) == len(set(ids))
    (error,) = [message for message in messages if message["t"] == "collection_error"]
    assert (error["id"], error["exception"]) == ("checks/check_broken.py", "ModuleNotFoundError")
    assert any(message["files"] for message in messages if message["t"] == "coverage")
    one = _run(
        data=frames.encode(plan | {"paths": ["checks"], "tests": ["checks/check_one.py::One::test_a", "gone.py"]})
    )
    assert [message["id"] for message in one if message["t"] == "result"] == ["checks/check_one.py::One::test_a"]
    assert [message["ids"] for message in one if message["t"] == "missing"] == [["gone.py"]]
