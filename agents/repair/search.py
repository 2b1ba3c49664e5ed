"""Tries candidates in the order of their likelihood, in parallel and under a budget."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

from agents.edits import decode, edited_files
from agents.errors import EditError
from agents.repair.finish import Finish
from agents.repair.generate import Context, generate
from agents.repair.localise import is_test_path, rank_suspects
from agents.repair.pairs import pairs
from agents.repair.places import Places
from agents.repair.problem import EventKind, OnEvent, RepairEvent, RepairProblem
from agents.repair.schedule import TIERS, Job, Schedule
from agents.results import Candidate, Failure, RepairResult, Suspect
from sandbox.errors import SandboxError
from sandbox.protocol import Workspace
from sandbox.runners.trial_results import Opened, Trial
from sandbox.runners.trials import Trials

WORKERS = 2
RELATED = 300
"""Tests, beside the targets, that a candidate is tried on at once."""
RELATED_FILES = 12
"""Test files that these may come from, so that collecting stays quick."""
GRACE = 5.0
"""Seconds beyond the budget after which whatever still runs is cut off."""
SOURCES = 40
"""Files that candidates may change."""


class Search:
    """One run of the search."""

    def __init__(
        self,
        problem: RepairProblem,
        workspace: Workspace,
        budget_seconds: float,
        on_event: OnEvent,
        stop: threading.Event | None,
    ) -> None:
        self._problem = problem
        self._workspace = workspace
        self._begun = time.monotonic()
        self._end = self._begun + budget_seconds
        self._reserve = min(4.0, 0.25 * budget_seconds)
        # With nothing to choose from, no more time is kept back than proving one candidate takes.
        self._least_reserve = min(self._reserve, max(0.08 * budget_seconds, min(0.5, 0.15 * budget_seconds)))
        self._on_event = on_event
        self._stop = stop or threading.Event()
        self._cancel = threading.Event()
        self._lock = threading.Lock()
        self._errors: list[SandboxError] = []
        self._last_progress = 0.0
        self._texts: dict[str, str] = {}
        self._places = Places({}, frozenset())

    def run(self) -> RepairResult:
        """Search, rank, confirm."""
        suspects = self._suspects()
        self._texts = self._read(suspects)
        self._say("suspects", f"{len(suspects)} suspicious lines in {len(self._texts)} files")
        self._places = Places(self._texts, frozenset())
        targets = self._problem.targets
        related = related_tests(self._problem, frozenset(self._texts))
        # A test that was ended from outside has no exception.
        known = {r.node_id: r.seconds for r in self._problem.report.failed() if r.exception}
        paces = {r.node_id: r.seconds for r in self._problem.report.results if r.node_id in set(related)}
        hanging = [r.node_id for r in self._problem.report.failed() if r.hung]
        trials = [
            Trials(
                self._workspace,
                self._problem.harness,
                targets,
                sources=self._texts,
                related=related,
                known_seconds=known,
                paces=paces,
                hanging=hanging,
                stop=self._cancel,
            )
            for _ in range(WORKERS)
        ]
        context = Context(failures=self._failures(), issue=self._problem.issue)
        stream = (c for c in generate(self._problem.tree, suspects, context=context) if self._permitted(c))
        schedule = Schedule(
            stream, self._end - self._least_reserve, self._end - self._reserve, self._pairs, len(targets), self._doubt,
            started=self._begun,
        )  # fmt: skip
        watcher = threading.Thread(target=self._watch, args=(schedule,), daemon=True)
        workers = [threading.Thread(target=self._work, args=(t, schedule), daemon=True) for t in trials]
        try:
            for thread in (watcher, *workers):
                thread.start()
            for thread in workers:
                thread.join()
            if len(self._errors) == WORKERS:
                raise self._errors[0]
            schedule.stop()
            return self._finish(trials, schedule, suspects)
        finally:
            self._cancel.set()
            schedule.stop()
            for one in trials:
                one.close()

    def _finish(self, trials: Sequence[Trials], schedule: Schedule, suspects: tuple[Suspect, ...]) -> RepairResult:
        reason = schedule.reason
        if self._stop.is_set():
            reason = "interrupted"
        finish = Finish(self._problem, trials, self._texts, self._end, self._event_maker(schedule))
        repairs, doubtful = finish.run(schedule.found, suspects) if schedule.found else ((), ())
        self._say("ended", f"{len(repairs)} repairs, {len(doubtful)} doubtful ones", schedule)
        return RepairResult(
            repairs,
            schedule.generated,
            schedule.tried,
            time.monotonic() - self._begun,
            schedule.first_trial,
            reason,
            suspects,
            doubtful,
        )

    def _suspects(self) -> tuple[Suspect, ...]:
        if self._problem.suspects is not None:
            return self._problem.suspects
        return rank_suspects(
            self._problem.tree,
            self._problem.report,
            self._problem.targets,
            recency=self._problem.recency,
            allowed=self._problem.permits,
            issue=self._problem.issue,
        )

    def _permitted(self, candidate: Candidate) -> bool:
        if candidate.id in self._problem.refused:
            return False
        return all(self._problem.permits(e.path) and not is_test_path(e.path) for e in candidate.edits)

    def _failures(self) -> tuple[Failure, ...]:
        if self._problem.failures:
            return self._problem.failures
        wanted = set(self._problem.targets)
        return tuple(
            Failure(r.node_id, r.exception, r.message, r.frames)
            for r in self._problem.report.results
            if r.node_id in wanted
        )

    def _read(self, suspects: Sequence[Suspect]) -> dict[str, str]:
        texts: dict[str, str] = {}
        for path in dict.fromkeys(s.path for s in suspects):
            entry = self._problem.tree.get(path)
            if entry is None or entry.kind != "file" or len(texts) >= SOURCES:
                continue
            try:
                texts[path] = decode(entry.data).text
            except EditError:
                continue
        return texts

    def _pairs(self, promising: Sequence[Candidate], singles: Sequence[Candidate]) -> Iterator[Candidate]:
        made = pairs(promising, singles, tree=self._problem.tree)
        return (c for c in made if c.id not in self._problem.refused)

    def _doubt(self, candidate: Candidate) -> bool:
        return self._places.ran_on_import(candidate)

    def _work(self, trials: Trials, schedule: Schedule) -> None:
        try:
            opened = trials.open()
            with self._lock:
                self._opened(opened)
            if all(run.outcome == "passed" for run in opened.targets):
                # They fail only in the company of others, which no trial could tell from a repair.
                return
            while (job := schedule.next()) is not None:
                begun = time.monotonic()
                try:
                    self._do(trials, schedule, job)
                finally:
                    schedule.finish(job, time.monotonic() - begun)
        except SandboxError as error:
            if not self._cancel.is_set():
                self._errors.append(error)

    def _opened(self, opened: Opened) -> None:
        self._places = Places(self._texts, opened.imported)
        self._say("opened", f"{opened.collected} tests collected in {opened.seconds:.1f} s")

    def _do(self, trials: Trials, schedule: Schedule, job: Job) -> None:
        if job.kind == "fresh":
            candidate = job.candidates[0]
            left = max(1.0, schedule.deadline - time.monotonic())
            overlay = edited_files(self._problem.tree, candidate.edits)
            trial = trials.try_fresh(candidate.id, overlay, wall_seconds=min(30.0, left))
            self._take(schedule, job, candidate, trial)
            return
        by_id = {c.id: c for c in job.candidates}
        left = max(0.1, schedule.deadline - time.monotonic())
        for trial in trials.try_batch(job.candidates, cpu_seconds=TIERS[job.tier], seconds=left, thorough=job.thorough):
            self._take(schedule, job, by_id[trial.id], trial)

    def _take(self, schedule: Schedule, job: Job, candidate: Candidate, trial: Trial) -> None:
        if schedule.take(job, candidate, trial):
            self._say("passed", candidate.description, schedule, candidate)
        elif time.monotonic() - self._last_progress > 0.5:
            self._last_progress = time.monotonic()
            self._say("progress", candidate.description, schedule, candidate)

    def _watch(self, schedule: Schedule) -> None:
        """Stop soon when the caller wants it, and cut short what outlives the budget."""
        while not self._cancel.is_set():
            late = time.monotonic() > self._end + GRACE
            if self._stop.wait(0.1) or late:
                schedule.stop()
                self._cancel.set()

    def _event_maker(self, schedule: Schedule) -> OnEvent:
        def pass_on(event: RepairEvent) -> None:
            self._say(event.kind, event.message, schedule, event.candidate)

        return pass_on

    def _say(
        self, kind: EventKind, message: str, schedule: Schedule | None = None, candidate: Candidate | None = None
    ) -> None:
        event = RepairEvent(
            kind,
            message,
            time.monotonic() - self._begun,
            schedule.generated if schedule else 0,
            schedule.tried if schedule else 0,
            len(schedule.found) if schedule else 0,
            candidate,
        )
        self._on_event(event)


def related_tests(problem: RepairProblem, paths: frozenset[str]) -> tuple[str, ...]:
    """Return tests that passed on the base and run code of `paths`, or stand beside the targets; quickest first."""
    steady = set(problem.steady)
    seconds = {r.node_id: r.seconds for r in problem.report.results}
    coverage = problem.report.coverage
    beside = {t.split("::", 1)[0] for t in problem.targets}
    found = [t for t in problem.steady if paths & set(coverage.get(t, ())) or (t.split("::", 1)[0] in beside)]
    found.sort(key=lambda t: (t.split("::", 1)[0] not in beside, seconds.get(t, 0.0)))
    files: dict[str, None] = {}
    kept: list[str] = []
    for test in found:
        file = test.split("::", 1)[0]
        if file not in files and len(files) >= RELATED_FILES:
            continue
        files[file] = None
        if test in steady and len(kept) < RELATED:
            kept.append(test)
    return tuple(kept)
