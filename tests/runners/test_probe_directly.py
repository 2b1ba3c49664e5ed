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
