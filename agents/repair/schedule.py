"""Which candidates are tried next: new ones, those that ran out of time, those that need a fresh import, and pairs."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from agents.results import Candidate
from sandbox.runners.trial_results import Trial

TIERS = (0.02, 0.25, 2.0)
"""CPU seconds that each target gets in the first trial and in those after a time-out."""
RETRY_AFTER = 2.0
"""Seconds of the workers' time before which nothing is tried again."""
RETRY_SHARE = 0.15
"""Of the workers' time that goes to candidates that ran out of it, while there are others."""
FRESH_SHARE = 0.35
"""Of the workers' time that goes to candidates that need a fresh import, while there are others."""
FIRST_BATCH = 6
BATCH_SECONDS = 0.4
LARGEST_BATCH = 64

JobKind = Literal["swap", "retry", "fresh", "look"]
MakePairs = Callable[[Sequence[Candidate], Sequence[Candidate]], Iterator[Candidate]]
"""Promising candidates, most telling first, and all single ones → pairs, likeliest first."""
PAIRS_AFTER = 0.45
"""Share of the time after which pairs are tried beside single edits, when nothing has passed."""
PARTNERS = 600
"""Single candidates that may join a promising one."""
PROMISING = 24
LOOKED = 256
"""Single candidates that are run on all targets before pairs are made."""


@dataclass(frozen=True, slots=True)
class Job:
    """What one worker does next."""

    kind: JobKind
    candidates: tuple[Candidate, ...]
    tier: int = 0

    @property
    def thorough(self) -> bool:
        """Whether to count the targets that pass, to find out what could be half of a pair."""
        return self.kind == "look"


@dataclass(slots=True)
class Found:
    """One candidate that passed the targets and broke nothing that was tried."""

    candidate: Candidate
    order: int
    seconds: float
    fresh: bool


@dataclass(slots=True)
class Schedule:
    """Hands out jobs to workers and takes in results; safe for several threads."""

    stream: Iterator[Candidate]
    deadline: float
    """In `time.monotonic` seconds: nothing is handed out afterwards."""
    settled: float | None = None
    """An earlier deadline that holds once something has passed, so that there is time to choose; None for the same."""
    make_pairs: MakePairs | None = None
    targets: int = 1
    """How many tests a repair must make pass."""
    doubt: Callable[[Candidate], bool] = lambda _candidate: False
    """Whether a failed trial by exchange should be repeated with a fresh import."""
    generated: int = 0
    tried: int = 0
    first_trial: float | None = None
    found: list[Found] = field(default_factory=list)
    breaking: list[tuple[Candidate, str]] = field(default_factory=list)
    promising: list[tuple[Candidate, Trial]] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    enough_at: float | None = None
    """When to stop although candidates are left, set by the first that passes."""
    reason: Literal["exhausted", "budget", "enough", "interrupted"] = "exhausted"
    _retry: tuple[deque[Candidate], ...] = field(default_factory=lambda: tuple(deque() for _ in TIERS))
    _fresh: deque[Candidate] = field(default_factory=deque)
    _spent: dict[str, float] = field(default_factory=lambda: {"swap": 0.0, "retry": 0.0, "fresh": 0.0, "look": 0.0})
    _orders: dict[str, int] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)
    _running: int = 0
    _retrying: int = 0
    _empty: bool = False
    _turn: bool = False
    _looked: int = 0
    _told: set[str] = field(default_factory=set)
    _singles: list[Candidate] = field(default_factory=list)
    _pairs: Iterator[Candidate] | None = None
    _guessing: bool = False
    """Whether pairs are made of singles that told nothing."""
    _limit: int | None = None
    _stopped: bool = False
    _rate: float = 100.0
    _retry_seconds: float = 0.4
    """What one retry is expected to take."""
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def stop(self) -> None:
        """End the search; workers get no more jobs."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def next(self) -> Job | None:
        """Return the next job, waiting while others may still make some; None at the end."""
        with self._changed:
            while True:
                if self._over():
                    return None
                job = self._choose()
                if job is not None:
                    self._running += 1
                    return job
                if not self._running:
                    self.reason = "exhausted"
                    return None
                self._changed.wait(0.5)

    def _over(self) -> bool:
        now = time.monotonic()
        if self._stopped:
            self.reason = "interrupted"
        elif now >= self.deadline:
            self.reason = "budget"
        elif self.enough_at is not None and (
            now >= self.enough_at or (self._limit is not None and self.generated >= self._limit)
        ):
            self.reason = "enough"
        else:
            return False
        return True

    def _choose(self) -> Job | None:
        total = sum(self._spent.values()) + 0.5
        if self._fresh and self._spent["fresh"] < FRESH_SHARE * total:
            return Job("fresh", (self._fresh.popleft(),))
        # Once something passed, what ran out of time is not worth the wait.
        tiers = range(1, 1 if self.found else len(TIERS))
        waiting = next((tier for tier in tiers if self._retry[tier]), None)
        cost = self._spent["retry"] + self._retry_seconds
        due = cost < RETRY_SHARE * total and total > RETRY_AFTER and not self._retrying
        if waiting is not None and due:
            return self._again(waiting)
        if self._late and self.targets > 1 and self._looked < min(LOOKED, len(self._singles)):
            start = self._looked
            self._looked = min(start + LARGEST_BATCH, LOOKED, len(self._singles))
            return Job("look", tuple(self._singles[start : self._looked]))
        batch = self._pull()
        if batch:
            return Job("swap", batch)
        if self._fresh:
            return Job("fresh", (self._fresh.popleft(),))
        if waiting is not None:
            return self._again(waiting)
        return None

    def _again(self, tier: int) -> Job:
        queue = self._retry[tier]
        self._retrying += 1
        return Job("retry", (queue.popleft(),), tier)

    def _pull(self) -> tuple[Candidate, ...]:
        size = FIRST_BATCH if self.generated < 4 * FIRST_BATCH else int(self._rate * BATCH_SECONDS)
        batch = []
        for _ in range(max(4, min(LARGEST_BATCH, size))):
            candidate = self._one()
            if candidate is None:
                break
            if candidate.id not in self._orders:
                self._orders[candidate.id] = self.generated
                self.generated += 1
                batch.append(candidate)
        return tuple(batch)

    def _one(self) -> Candidate | None:
        """Return the next single edit or pair; in turns, once half of the time went by in vain."""
        if self._late:
            self._turn = not self._turn
            if self._turn or self._empty:
                pair = self._pair()
                if pair is not None:
                    return pair
        single = None if self._empty else next(self.stream, None)
        if single is None:
            self._empty = True
        elif len(self._singles) < PARTNERS:
            self._singles.append(single)
        return single

    @property
    def _late(self) -> bool:
        """Whether it is time for pairs."""
        late = time.monotonic() > self.started + PAIRS_AFTER * (self.deadline - self.started)
        return not self.found and self.make_pairs is not None and (late or self._empty)

    def _pair(self) -> Candidate | None:
        if self.make_pairs is None or (self._pairs is None and self._running > 1):
            return None
        if self._pairs is None:
            telling = sorted(self.promising, key=lambda p: (-p[1].passed, -p[1].moved, -p[0].prior))[:PROMISING]
            self._pairs = self.make_pairs([candidate for candidate, _ in telling], self._singles)
        pair = next(self._pairs, None)
        if pair is None and self._empty and not self._guessing:
            # Half of a repair may change nothing that a test can tell: then what is likely by itself has to do.
            self._guessing = True
            self._pairs = self.make_pairs(self._singles[:PROMISING], self._singles)
            pair = next(self._pairs, None)
        return pair

    def take(self, job: Job, candidate: Candidate, trial: Trial) -> bool:
        """Note a result; True where the candidate is the newest that passed."""
        with self._changed:
            if self.first_trial is None:
                self.first_trial = time.monotonic() - self.started
            if candidate.id not in self._done and trial.verdict not in {"uncompilable", "same", "import"}:
                self._done.add(candidate.id)
                self.tried += 1
            if trial.verdict == "import":
                self._fresh.append(candidate)
            elif trial.verdict == "timeout" and job.kind != "fresh" and job.tier + 1 < len(TIERS):
                self._retry[job.tier + 1].append(candidate)
            elif trial.good:
                return self._passed(candidate, trial)
            elif trial.verdict == "passed":
                self.breaking.append((candidate, trial.breaks))
            elif trial.verdict == "failed":
                if (trial.passed or trial.moved) and candidate.id not in self._told:
                    self._told.add(candidate.id)
                    self.promising.append((candidate, trial))
                if job.kind != "fresh" and self.doubt(candidate):
                    self._fresh.append(candidate)
            return False

    def _passed(self, candidate: Candidate, trial: Trial) -> bool:
        if any(f.candidate.id == candidate.id for f in self.found):
            return False
        now = time.monotonic()
        order = self._orders.get(candidate.id, self.generated)
        self.found.append(Found(candidate, order, now - self.started, trial.way == "overlay"))
        if self.enough_at is None:
            # The right one is often not the first that passes, but usually among the next few.
            spent = now - self.started
            self.enough_at = min(self.settled or self.deadline, now + min(max(1.5, 0.7 * spent), 6.0))
            self._limit = max(3 * order, order + 600)
        return True

    def finish(self, job: Job, seconds: float) -> None:
        """Note that a worker is done with a job."""
        with self._changed:
            self._running -= 1
            self._retrying -= job.kind == "retry"
            if job.kind == "retry":
                self._retry_seconds = 0.5 * self._retry_seconds + 0.5 * seconds
            self._spent[job.kind] += seconds
            if job.kind == "swap" and seconds > 0:
                self._rate = 0.5 * self._rate + 0.5 * len(job.candidates) / seconds
            self._changed.notify_all()
