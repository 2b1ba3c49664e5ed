"""Lets tests judge mutants: warm, in parallel, each on the tests that run what it changes."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from agents.edits import decode, edited_files
from agents.errors import EditError
from agents.mutation.covering import Covering, Footprints
from agents.mutation.mutant import Judged, Mutant
from agents.mutation.store import Known, VerdictStore
from sandbox.errors import SandboxBroken, SandboxError, TestsUnrunnable
from sandbox.protocol import Workspace
from sandbox.runners.mutants import Aimed, MutantTrials
from sandbox.runners.report import Harness, TestReport
from sandbox.runners.trial_results import Trial
from sandbox.tree import Tree

WORKERS = 2
CHUNK = 16
"""Mutants that a worker takes at once, neighbours together."""
FRESH_SECONDS = 30.0
"""Longest time of one run after a fresh import."""

OnJudged = Callable[[Judged], None]


@dataclass(frozen=True, slots=True)
class Bench:
    """Where mutants are judged, and by which tests."""

    tree: Tree
    """The files as the workspace has them, and as the mutants were made from."""
    workspace: Workspace
    harness: Harness
    report: TestReport
    """A run of the tests on the tree, with coverage; tests that pass in it judge."""
    environment: str = ""
    """The environment's digest; "" remembers nothing."""
    tests: tuple[str, ...] | None = None
    """Only these tests of the report judge; None takes all."""


def judge(
    mutants: Iterable[Mutant],
    bench: Bench,
    *,
    seconds: float = 1e9,
    store: VerdictStore | None = None,
    workers: int = WORKERS,
    on_judged: OnJudged | None = None,
    stop: threading.Event | None = None,
) -> tuple[Judged, ...]:
    """Return what the tests say of each mutant, in the order of the mutants.

    Those that time does not suffice for, or that were left when `stop` was set, are `untried`. `on_judged` is called
    from several threads, one at a time.

    Raises:
        ValueError: the harness runs a command, which knows no warm runs.
        TestsUnrunnable: no test could be collected.
        SandboxBroken: the workspace has gone, or no worker could be kept alive.

    """
    if bench.harness.kind == "command":
        raise ValueError("mutants need tests of pytest or unittest, not a command")
    run = _Run(tuple(mutants), bench, seconds, store, on_judged or (lambda _: None), stop or threading.Event())
    return run.run(workers)


@dataclass(frozen=True, slots=True)
class _Aim:
    mutant: Mutant
    tests: tuple[str, ...]
    key: bytes


class _Run:
    def __init__(
        self, mutants: tuple[Mutant, ...], bench: Bench, seconds: float, store: VerdictStore | None,
        on_judged: OnJudged, stop: threading.Event,
    ) -> None:  # fmt: skip
        self._mutants, self._bench, self._store = mutants, bench, store if bench.environment else None
        self._on_judged, self._stop = on_judged, stop
        self._end = time.monotonic() + seconds
        self._done: dict[str, Judged] = {}
        self._lock = threading.Lock()
        self._chunks: queue.SimpleQueue[list[_Aim]] = queue.SimpleQueue()
        self._errors: list[SandboxError] = []
        self._texts: dict[str, str] = {}

    def run(self, workers: int) -> tuple[Judged, ...]:
        aims = self._known(self._aims())
        for path in sorted({aim.mutant.path for aim in aims}):
            self._texts[path] = decode(self._bench.tree[path].data).text
        chunks = list(_chunks(aims))
        for chunk in chunks:
            self._chunks.put(chunk)
        threads = [
            threading.Thread(target=self._work, args=(aims,), name="mutants", daemon=True)
            for _ in range(min(workers, len(chunks)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if threads and len(self._errors) == len(threads):
            raise self._errors[0]
        return tuple(self._done.get(m.id) or Judged(m, "untried") for m in self._mutants)

    def _aims(self) -> list[_Aim]:
        """Say of each mutant which tests judge it; those that none runs are judged at once."""
        covering = Covering(self._bench.report, self._bench.tests)
        self._covering = covering
        prints = Footprints(self._bench.tree, covering, self._bench.environment, repr(self._bench.harness))
        aims = []
        for mutant in self._mutants:
            tests = covering.tests_for(mutant)
            if not tests:
                self._say(Judged(mutant, "not covered"))
                continue
            aims.append(_Aim(mutant, tests, prints.key(mutant, tests) if self._store is not None else b""))
        return aims

    def _known(self, aims: list[_Aim]) -> list[_Aim]:
        if self._store is None:
            return aims
        known = self._store.get([aim.key for aim in aims])
        for aim in aims:
            if (found := known.get(aim.key)) is not None:
                self._say(Judged(aim.mutant, found.verdict, found.test, found.exception, len(aim.tests), known=True))
        return [aim for aim in aims if aim.key not in known]

    def _say(self, judged: Judged, key: bytes = b"") -> None:
        with self._lock:
            if judged.mutant.id in self._done:
                return
            self._done[judged.mutant.id] = judged
            self._on_judged(judged)
        if self._store is not None and key:
            self._store.put([(key, Known(judged.verdict, judged.test, judged.exception))])

    def _work(self, aims: Sequence[_Aim]) -> None:
        bench = self._bench
        tests = list(dict.fromkeys(test for aim in aims for test in aim.tests))
        try:
            with MutantTrials(
                bench.workspace, bench.harness, tests, sources=self._texts, paces=self._covering.seconds,
                stop=self._stop,
            ) as trials:  # fmt: skip
                worker = _Worker(trials, bench.tree, self._end)
                while not self._stop.is_set() and time.monotonic() < self._end:
                    try:
                        chunk = self._chunks.get_nowait()
                    except queue.Empty:
                        return
                    for aim, judged in worker.judge(chunk):
                        self._say(judged, aim.key)
        except (SandboxBroken, TestsUnrunnable) as error:
            if not self._stop.is_set():
                self._errors.append(error)


def _chunks(aims: Sequence[_Aim]) -> Iterable[list[_Aim]]:
    chunk: list[_Aim] = []
    for aim in aims:
        if chunk and (len(chunk) >= CHUNK or chunk[-1].mutant.path != aim.mutant.path):
            yield chunk
            chunk = []
        chunk.append(aim)
    if chunk:
        yield chunk


class _Worker:
    """Judges chunks with one worker's trials."""

    def __init__(self, trials: MutantTrials, tree: Tree, end: float) -> None:
        self._trials, self._tree, self._end = trials, tree, end
        opened = trials.opened
        imported = opened.imported if opened is not None else frozenset()
        self._imported: dict[str, list[int]] = {}
        for path, line, _ in imported:
            self._imported.setdefault(path, []).append(line)
        self._steady: dict[str, bool] = {}

    def judge(self, chunk: Sequence[_Aim]) -> Iterable[tuple[_Aim, Judged]]:
        aims = {aim.mutant.id: aim for aim in chunk}
        batch = [Aimed(aim.mutant, aim.tests, f"{aim.mutant.path}:{aim.mutant.unit}") for aim in chunk]
        later: list[_Aim] = []
        for trial in self._trials.try_mutants(batch, seconds=self._end - time.monotonic()):
            aim = aims[trial.id]
            if trial.verdict in {"import", "error"} or (trial.verdict == "passed" and self._ran_on_import(aim.mutant)):
                later.append(aim)
            else:
                yield aim, _judged(aim, trial)
        for aim in later:
            if time.monotonic() < self._end and (judged := self._fresh(aim)) is not None:
                yield aim, judged

    def _ran_on_import(self, mutant: Mutant) -> bool:
        first, last = mutant.unit_lines
        return mutant.unit != "<module>" and any(first <= n <= last for n in self._imported.get(mutant.path, ()))

    def _fresh(self, aim: _Aim) -> Judged | None:
        """Judge by fresh imports: first with the file that holds most of the tests, then with the others."""
        try:
            overlay = edited_files(self._tree, aim.mutant.edits)
        except EditError:
            return Judged(aim.mutant, "broken", covering=len(aim.tests))
        counts: dict[str, int] = {}
        for test in aim.tests:
            counts[test.split("::", 1)[0]] = counts.get(test.split("::", 1)[0], 0) + 1
        home = max(counts, key=lambda path: (counts[path], path))
        parts = [[test for test in aim.tests if (test.split("::", 1)[0] == home) is here] for here in (True, False)]
        missing = 0
        for tests in parts:
            while tests:
                left = self._end - time.monotonic()
                if left <= 0:
                    return None
                trial = self._trials.try_imported(aim.mutant.id, overlay, tests, wall_seconds=min(left, FRESH_SECONDS))
                culprit = trial.breaks or trial.test
                if trial.verdict == "error" and not culprit:
                    missing += 1
                    break
                if trial.verdict == "timeout" and time.monotonic() >= self._end:
                    return None
                if not culprit and trial.verdict == "passed":
                    break
                if culprit and not self._is_steady(culprit):
                    tests = [test for test in tests if test != culprit]
                    continue
                timeout = trial.verdict == "timeout" or trial.message == "timeout"
                verdict = Judged(aim.mutant, "timed out" if timeout else "killed", culprit, trial.exception)
                return replace(verdict, covering=len(aim.tests))
        whole = sum(bool(tests) for tests in parts)
        return Judged(aim.mutant, "broken" if missing and missing == whole else "survived", covering=len(aim.tests))

    def _is_steady(self, test: str) -> bool:
        """Whether a test passes after a fresh import of the code as it is."""
        if test not in self._steady:
            trial = self._trials.try_imported("steady", {}, [test], wall_seconds=FRESH_SECONDS)
            self._steady[test] = trial.verdict == "passed" and not trial.breaks
        return self._steady[test]


def _judged(aim: _Aim, trial: Trial) -> Judged:
    covering = len(aim.tests)
    if trial.verdict == "passed":
        return Judged(aim.mutant, "survived", covering=covering)
    if trial.verdict == "same":
        return Judged(aim.mutant, "equivalent", covering=covering)
    if trial.verdict == "uncompilable":
        return Judged(aim.mutant, "broken", covering=covering)
    verdict = Judged(aim.mutant, "timed out" if trial.verdict == "timeout" else "killed", trial.test, trial.exception)
    return replace(verdict, covering=covering)
