"""Judges candidates once for a whole test run, in a few threads, and keeps what came of it."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.metadata import entry_points
from pathlib import Path

from agents.results import Failure
from sandbox.limits import Limits
from sandbox.protocol import Environment, EnvironmentDefinition, Sandbox
from sandbox.runners.detect import detect_harness
from sandbox.runners.run import run_tests
from sandbox.tree import Entry, Tree
from sandbox.workspace import diff
from tests.gate.candidates import Change, Claimed, Honest, Hostile
from tests.gate.shop import BASES, GREEN, TARGETS, tree
from workflows.steps.verify import judge
from workflows.verdicts import Allowances, Baseline, GateCase, GateReport

DEFINITION = EnvironmentDefinition()


def _silent(_line: str) -> None:
    pass


def changed(base: Tree, changes: Mapping[str, Change]) -> Tree:
    """Return the tree with the changes of a candidate made."""
    return base.replaced({p: Entry(c.encode()) if isinstance(c, str) else c for p, c in changes.items()})


def lay_out(folder: Path, files: Tree) -> Path:
    """Write a tree to a folder."""
    for path, entry in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if entry.kind == "symlink":
            target.symlink_to(os.fsdecode(entry.data))
        else:
            target.write_bytes(entry.data)
    return folder


INSTALLED = tuple(sorted({entry.name for entry in entry_points(group="pytest11")}))
"""Plugins that happen to be installed beside greendiff; loading them takes seconds."""


def plain_pytest(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run pytest as a person would, with the folder on the import path, and with no plugins but those it brings."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    without = [word for name in ("cacheprovider", *INSTALLED) for word in ("-p", f"no:{name}")]
    command = [sys.executable, "-m", "pytest", "-q", *without]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120)


class Court:
    """One backend with its bases."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._environment: Environment | None = None
        self._bases: dict[str, Future[GateCase]] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(2)
        self._judged: dict[str, Future[tuple[GateCase, GateReport]]] = {}

    @property
    def environment(self) -> Environment:
        with self._lock:
            if self._environment is None:
                self._environment = self.sandbox.prepare(DEFINITION, _silent)
            return self._environment

    def base(self, name: str) -> GateCase:
        """Return the case of an empty patch on a base."""
        environment = self.environment
        with self._lock:
            future = self._bases.get(name)
            if future is None:
                future = self._bases[name] = Future()
                mine = True
            else:
                mine = False
        if mine:
            try:
                future.set_result(self._base(name, environment))
            except BaseException as error:
                future.set_exception(error)
                raise
        return future.result()

    def _base(self, name: str, environment: Environment) -> GateCase:
        files, limits = tree({**BASES, **GREEN}[name]), Limits()
        harness = detect_harness(files)
        reports = []
        for seed in (1, 2):
            with self.sandbox.open(files, environment, limits) as workspace:
                reports.append(run_tests(workspace, harness, seed=seed))
        failed = reports[0].failed()
        assert [r.node_id for r in failed] == ([TARGETS[name]] if name in TARGETS else [])
        targets = tuple(Failure(r.node_id, r.exception, r.message, r.frames) for r in failed)
        return GateCase(files, b"", Baseline(tuple(reports), (), targets), harness, environment, limits)

    def case(self, name: str, changes: Mapping[str, Change], allowances: Allowances | None = None) -> GateCase:
        """Return the case of a candidate."""
        base = self.base(name)
        return GateCase(
            base.base, diff(base.base, changed(base.base, changes)), base.baseline, base.harness, base.environment,
            base.limits, allowances or Allowances(),
        )  # fmt: skip

    def judge(self, case: GateCase) -> GateReport:
        return judge(case, self.sandbox, _silent)

    def claim(self, of: Claimed) -> GateCase:
        """Return the case of a candidate with a claim."""
        return dataclasses.replace(
            self.case(of.base, of.changes, of.allowances), claim=of.claim,
            added_targets=tuple(Failure(node_id, raised, "") for node_id, raised in of.targets),
        )  # fmt: skip

    def _verdict(self, candidate: Hostile | Honest | Claimed) -> tuple[GateCase, GateReport]:
        if isinstance(candidate, Claimed):
            case = self.claim(candidate)
            return case, self.judge(case)
        case = self.case(candidate.base, candidate.changes)
        return case, self.judge(case)

    def begin(self, candidates: Iterable[Hostile | Honest | Claimed]) -> None:
        """Start judging in the background."""
        for candidate in candidates:
            if candidate.name not in self._judged:
                self._judged[candidate.name] = self._pool.submit(self._verdict, candidate)

    def verdict(self, name: str) -> tuple[GateCase, GateReport]:
        """Return what came of a candidate that was begun."""
        return self._judged[name].result(timeout=280)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self.sandbox.close()
