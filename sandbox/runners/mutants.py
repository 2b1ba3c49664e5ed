"""Tries mutants, each on the tests that run what it changes, in a warm worker inside a workspace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.protocol import Workspace
from sandbox.runners.report import Harness
from sandbox.runners.trial_results import Change, Trial, as_message
from sandbox.runners.trials import Trials

CPU_SECONDS = 0.25
"""CPU time that a test gets at least; a test that is known to take long gets ten times what it takes."""


@dataclass(frozen=True, slots=True)
class Aimed:
    """A mutant with the tests that may notice it."""

    change: Change
    tests: tuple[str, ...]
    """Node ids, the quickest first; all are among those that the worker was opened with."""
    near: str
    """What its neighbours share with it: tests that noticed one of them are tried first on the others."""


class MutantTrials(Trials):
    """One worker in a workspace; not for use by several threads at once.

    A `Trial` of a mutant reads: `failed` by `test` it is killed, `timeout` likewise by its time, `passed` it survives.
    What is killed was killed by a test that passes without the mutant in the same process.
    """

    def __init__(
        self, workspace: Workspace, harness: Harness, tests: Sequence[str], *, sources: Mapping[str, str],
        paces: Mapping[str, float], **options: Any,
    ) -> None:  # fmt: skip
        """Take the tests that mutants may be tried on, which pass as the code is, and the seconds that they take."""
        super().__init__(workspace, harness, (), sources=sources, related=tests, paces=paces, **options)
        self._numbers = {name: number for number, name in enumerate(tests)}

    def try_mutants(
        self, batch: Sequence[Aimed], *, cpu_seconds: float = CPU_SECONDS, seconds: float = 1e9
    ) -> Iterator[Trial]:
        """Yield one trial for each mutant, not always in order; ends early when cancelled or after `seconds`.

        `import` says that the mutant must be tried by `try_imported`.

        Raises:
            SandboxBroken: the worker could not be kept alive.

        """

        def order(left: Sequence[Aimed]) -> dict[str, Any]:
            return {"op": "mutants", "candidates": [self._message(one) for one in left], "cpu": cpu_seconds}

        yield from self._try_all({one.change.id: one for one in batch}, order, seconds)

    def try_imported(
        self, name: str, overlay: Mapping[str, bytes], tests: Sequence[str], *, wall_seconds: float = 30.0
    ) -> Trial:
        """Try changed files, given whole, by a fresh import on tests in order.

        `breaks` is the first test that notices; the verdict is `error` where no test could be collected any more.
        """
        order = {
            "op": "overlay",
            "id": name,
            "overlay": {path: data.decode("latin-1") for path, data in overlay.items()},
            "files": self.files(tests),
            "tests": [],
            "expect": list(tests),
            "lenient": True,
            "cpu": 1.0,
            "limits": {test: 2 * self._paces.get(test, 0.0) for test in tests},
            "wall": wall_seconds,
            "test_seconds": wall_seconds,
        }
        return self._asked_twice(name, order)

    def _message(self, one: Aimed) -> dict[str, Any]:
        tests = [self._numbers[name] for name in one.tests if name in self._numbers]
        return {**as_message(one.change), "tests": tests, "near": one.near}
