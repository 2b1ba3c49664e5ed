"""Tries candidates out in one workspace: the tests that must pass, then those that passed before; never a verdict."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from agents.edits import apply_candidate
from agents.observations import Observation, observed
from agents.results import Candidate
from sandbox.runners.report import TestReport
from sandbox.tree import Entry, Tree

if TYPE_CHECKING:
    from workflows.job import Job

WALL_SECONDS = 60.0
SLOWDOWN = 5.0
"""How much longer than on the base a run may take."""


class Trying:
    """A workspace with a tree, in which candidates are applied, run and taken back; a context manager."""

    def __init__(
        self, job: Job, tree: Tree, targets: Sequence[str], steady: frozenset[str], base_seconds: float
    ) -> None:
        """`steady` are the tests that passed on the base, which took `base_seconds` in all."""
        self._job = job
        self._tree = tree
        self._targets = tuple(targets)
        self._steady = steady
        self._wall = min(WALL_SECONDS, max(10.0, SLOWDOWN * base_seconds))
        self._lock = threading.Lock()
        self.workspace = job.open_tree(tree)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.workspace.close()

    def __call__(self, candidate: Candidate) -> Observation:
        """Run the targets with a candidate, and where they pass, all tests.

        Raises:
            EditError: the candidate does not fit the tree.
            SandboxBroken: the workspace has gone.

        """
        with self._lock, _Applied(self, candidate):
            if self._targets:
                first = observed(self._run(self._targets), self._targets)
                if not first.ok or not self._steady:
                    return first
            every = self._run(())
            kept = self._steady.union(self._targets)
            # Tests that failed before, and are not to be repaired, say nothing about a candidate.
            mine = tuple(result for result in every.results if result.node_id in kept)
            return observed(replace(every, results=mine), self._targets)

    def report(self, candidate: Candidate, tests: Sequence[str]) -> TestReport:
        """Run some tests with a candidate."""
        with self._lock, _Applied(self, candidate):
            return self._run(tests)

    def _run(self, tests: Sequence[str]) -> TestReport:
        from sandbox.runners.run import run_tests

        wall = max(2.0, min(self._wall, self._job.clock.left()))
        return run_tests(
            self.workspace, self._job.ready().harness, tests, wall_seconds=wall, test_seconds=max(1.0, wall / 3), seed=1
        )

    def changes(self, candidate: Candidate) -> tuple[Mapping[str, Entry | None], Mapping[str, Entry | None]]:
        """Return what a candidate writes, and what takes it back."""
        after = apply_candidate(self._tree, candidate)
        paths = self._tree.changed_paths(after)
        return {path: after.get(path) for path in paths}, {path: self._tree.get(path) for path in paths}


class _Applied:
    def __init__(self, trying: Trying, candidate: Candidate) -> None:
        self._workspace = trying.workspace
        self._there, self._back = trying.changes(candidate)

    def __enter__(self) -> None:
        self._workspace.write(self._there)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._workspace.write(self._back)
