"""The real bugs as localisation sees them: the repository, the issue, and a run of its tests with coverage."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.engines import cache_folder
from benchmarks.sdist import Tasks
from sandbox.backends import open_sandbox
from sandbox.history import read_history
from sandbox.protocol import EnvironmentDefinition, Sandbox
from sandbox.runners.report import Harness, TestReport
from sandbox.runners.run import run_tests
from sandbox.runners.serialise import from_json, to_json
from sandbox.tree import Tree
from sandbox.workspace import snapshot

WALL_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Case:
    """One bug; `true_files` and `true_functions` are for measuring only."""

    id: str
    tree: Tree
    commits: tuple[tuple[str, ...], ...]
    issue: str
    report: TestReport
    targets: tuple[str, ...]
    true_files: frozenset[str]
    true_functions: frozenset[tuple[str, str]]
    """Path and qualified name."""


def harness_of(task: Mapping[str, Any]) -> Harness:
    """Return how the checker runs the task's tests."""
    options = ("-o", "addopts=", "-o", "filterwarnings=", "--continue-on-collection-errors")
    return Harness(
        kind="pytest", options=options, paths=tuple(task["test_paths"]),
        pythonpath=tuple(dict.fromkeys([task["pythonpath"], "."])), plugins=tuple(task["pytest_plugins"]),
        env={"TZ": "UTC", "PYTHONHASHSEED": "0"}, source="the task",
    )  # fmt: skip


def cases(tasks: Tasks, names: list[str], sandbox_name: str) -> Iterator[Case]:
    """Make each task's repository and run its tests with coverage, once; later benchmarks read the kept reports."""
    python = tasks.python()
    kept = cache_folder() / "localisation"
    kept.mkdir(parents=True, exist_ok=True)
    with closing(open_sandbox(sandbox_name)) as sandbox:
        for name in names:
            with tempfile.TemporaryDirectory(prefix="greendiff-localisation-") as folder:
                repository = Path(folder, "repository")
                tasks.make(name, repository)
                tree = snapshot(repository).tree
                commits = read_history(repository)
                issue = Path(f"{repository}.issue.md").read_text(encoding="utf-8")
            task = tasks.tasks[name]
            report = _report(kept / f"{name}-{tree.digest[:12]}.json", sandbox, tree, task, python)
            places = [place.partition(":") for place in task["fix"]["functions"]]
            yield Case(
                name, tree, commits, issue, report, tuple(task["f2p"]),
                frozenset(f["path"] for f in task["fix"]["files"]),
                frozenset((path, function) for path, _, function in places),
            )  # fmt: skip


def _report(kept: Path, sandbox: Sandbox, tree: Tree, task: Mapping[str, Any], python: Path) -> TestReport:
    if kept.exists():
        return from_json(json.loads(kept.read_text(encoding="utf-8")))
    environment = sandbox.prepare(EnvironmentDefinition(interpreter=str(python)), lambda _: None)
    with sandbox.open(tree, environment) as workspace:
        report = run_tests(workspace, harness_of(task), coverage=True, wall_seconds=WALL_SECONDS)
        if not any(target in report.coverage for target in task["f2p"]):
            report = run_tests(
                workspace, harness_of(task), task["f2p"], coverage=True, wall_seconds=WALL_SECONDS, seed=0
            )
    kept.write_text(json.dumps(to_json(report)), encoding="utf-8")
    return report
