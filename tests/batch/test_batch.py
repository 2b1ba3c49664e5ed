"""`greendiff batch`: each task once, whatever is killed; bad lines told by number; predictions in the known format."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.workflows.conftest import BUGGY, Ran, git
from workflows.batch.tasks import Reading, read_tasks
from workflows.errors import Usage


def lines(path: Path, *tasks: Mapping[str, Any]) -> Path:
    path.write_text("".join(f"{json.dumps(task)}\n" for task in tasks))
    return path


def results(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def await_line(path: Path, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if path.exists() and path.read_bytes().count(b"\n"):
            return
        time.sleep(0.02)
    raise AssertionError(f"nothing was written to {path}")


def runs_of(environment: Mapping[str, str]) -> int:
    return len(list((Path(environment["GREENDIFF_STATE_DIR"]) / "runs").iterdir()))


def test_a_batch_that_is_killed_ends_each_task_once(
    repository: Callable[..., Path], environment: dict[str, str], greendiff: Callable[..., Ran], tmp_path: Path
) -> None:
    first = repository({**BUGGY, "README": f"{tmp_path} 1"}, "one")
    second = repository({**BUGGY, "README": f"{tmp_path} 2"}, "two")
    file = lines(
        tmp_path / "tasks.jsonl",
        {"id": "one", "repository": "one", "commit": "main"},
        {"id": "two", "repository": str(second), "tests": ["tests/test_prices.py::test_discount"]},
        {"id": "three", "repository": first.as_uri(), "commit": git(first, "rev-parse", "HEAD").strip()},
    )
    begun = Path(environment["GREENDIFF_STATE_DIR"]) / "batches"
    command = [sys.executable, "-m", "workflows.cli", "batch", str(file), "--jobs", "1"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not list(begun.glob("*/begun.jsonl")) and time.monotonic() < deadline:
            time.sleep(0.02)
        await_line(next(begun.glob("*/begun.jsonl")))
        process.send_signal(signal.SIGKILL)
    ran = greendiff("batch", file, "--jobs", "2", "--predictions", tmp_path / "predictions.jsonl")
    assert ran.code == 0, ran.err
    told = results(tmp_path / "tasks.results.jsonl")
    assert Counter(one["task"] for one in told) == Counter(("one", "two", "three"))
    assert {one["status"] for one in told} == {"verified"}
    # The run that the kill interrupted went on, and no task was begun a second time.
    assert runs_of(environment) == 3
    assert all("return result - discount" in one["diff"] for one in told)
    assert not [left for folder in begun.iterdir() for left in (folder / "work").iterdir()]

    again = greendiff("batch", file)
    assert again.code == 0
    assert "3 of them done" in again.err
    assert results(tmp_path / "tasks.results.jsonl") == told
    predictions = results(tmp_path / "predictions.jsonl")
    assert [one["instance_id"] for one in predictions] == ["one", "two", "three"]
    assert all(one.keys() == {"instance_id", "model_name_or_path", "model_patch"} for one in predictions)


def test_an_instance_of_the_benchmark_is_read_as_it_is(
    repository: Callable[..., Path], greendiff: Callable[..., Ran], tmp_path: Path
) -> None:
    tests = str(BUGGY["tests/test_prices.py"])
    files = {name: data for name, data in BUGGY.items() if name != "tests/test_prices.py"}
    clone = repository({**files, "tests/test_old.py": "def test_old():\n    pass\n"}, "clones/acme/shop")
    base = git(clone, "rev-parse", "HEAD").strip()
    (clone / "tests/test_prices.py").write_text("\n".join(line[8:] for line in tests.split("\n")))
    git(clone, "add", "-A")
    patch = git(clone, "diff", "--cached")
    git(clone, "reset", "-q", "--hard")
    instance = {
        "instance_id": "acme__shop-1", "repo": "acme/shop", "base_commit": base, "patch": "the true fix, never read",
        "problem_statement": "The discount is added, not taken off.", "hints_text": "", "version": "1.0",
        "created_at": "2026-01-01", "test_patch": patch, "environment_setup_commit": base,
        "FAIL_TO_PASS": json.dumps(["tests/test_prices.py::test_discount"]),
        "PASS_TO_PASS": json.dumps(["tests/test_old.py::test_old"]),
    }  # fmt: skip
    file = lines(tmp_path / "instances.jsonl", instance)
    ran = greendiff(
        "batch", file, "--repos", tmp_path / "clones", "--predictions", tmp_path / "p.json", "--model-name", "g"
    )
    assert ran.code == 0, ran.err
    (prediction,) = json.loads((tmp_path / "p.json").read_text())
    assert prediction["instance_id"] == "acme__shop-1"
    assert prediction["model_name_or_path"] == "g"
    # The prediction changes the source alone; the harness brings the tests itself.
    git(clone, "apply", "--check", str(_file(tmp_path / "x.diff", prediction["model_patch"])))
    assert "tests/" not in prediction["model_patch"]
    assert results(tmp_path / "instances.results.jsonl")[0]["tests_shown"] is True


def _file(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_without_its_tests_an_instance_is_its_problem_statement(tmp_path: Path) -> None:
    (tmp_path / "acme__shop").mkdir()
    instance = {"instance_id": "i", "repo": "acme/shop", "base_commit": "abc", "problem_statement": "p",
                "test_patch": "t", "FAIL_TO_PASS": '["a.py::b"]'}  # fmt: skip
    file = lines(tmp_path / "i.jsonl", instance)
    (task,) = read_tasks(file, Reading(tmp_path, tmp_path, show_tests=False))
    assert (task.tests, task.patch, task.kind, task.issue) == ((), "", "fix", "p")
    (shown,) = read_tasks(file, Reading(tmp_path, tmp_path))
    assert (shown.tests, shown.patch, shown.kind) == (("a.py::b",), "t", "")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"repository": "."', "it is not JSON"),
        ("[1]", "it is not a JSON object"),
        ('{"repository": ".", "comit": "x"}', "there is no field 'comit'"),
        ('{"commit": "x"}', "the field 'repository' is missing"),
        ('{"repository": "nowhere"}', "there is no repository at"),
        ('{"repository": "--upload-pack=x"}', "is no repository"),
        ('{"repository": ".", "commit": "--all"}', "'commit' is '--all'"),
        ('{"repository": ".", "tests": ["-p"]}', "'-p' is no test"),
        ('{"repository": ".", "id": "../x y"}', "'id' is"),
        ('{"repository": ".", "id": "good"}', "the id 'good' is that of line 1 already"),
        ('{"repository": ".", "budget": -1}', "'budget' is -1"),
        ('{"instance_id": "i", "repo": "a/b", "base_commit": "c", "problem_statement": ""}', "--repos DIR"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_bad_line_is_told_with_its_number(line: str, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text(f'{{"repository": ".", "id": "good"}}\n\n{line}\n')
    with pytest.raises(Usage) as caught:
        read_tasks(file, Reading(tmp_path))
    assert "tasks.jsonl line 3: " in str(caught.value)
    assert sentence in str(caught.value)


def test_results_of_another_task_are_not_taken_for_this_ones(
    repository: Callable[..., Path], quick: Callable[..., Ran], tmp_path: Path
) -> None:
    repository()
    file = lines(tmp_path / "tasks.jsonl", {"id": "a", "repository": "project", "commit": "nowhere"})
    ran = quick("batch", file)
    assert ran.code == 3
    assert "has no commit nowhere" in ran.err
    assert quick("batch", file).code == 3
    assert len(results(tmp_path / "tasks.results.jsonl")) == 1
    assert quick("batch", file, "--again").code == 3
    assert len(results(tmp_path / "tasks.results.jsonl")) == 2
    lines(file, {"id": "a", "repository": "project", "commit": "elsewhere"})
    ran = quick("batch", file)
    assert ran.code == 2
    assert "is the result of another task 'a'" in ran.err


def test_a_line_that_a_kill_cut_short_is_not_a_result(quick: Callable[..., Ran], tmp_path: Path) -> None:
    file = lines(tmp_path / "tasks.jsonl", {"id": "a", "repository": ".", "commit": "x"})
    (tmp_path / "tasks.results.jsonl").write_text('{"task": "a", "dig')
    ran = quick("batch", file)
    assert ran.code == 3
    assert os.linesep.join(one["task"] for one in results(tmp_path / "tasks.results.jsonl")) == "a"
