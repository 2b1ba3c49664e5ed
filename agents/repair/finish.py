"""The end of a search: compares the behaviour of what passed, ranks it, and confirms the best by a fresh import."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from itertools import islice

from agents.edits import decode, edited_files
from agents.errors import EditError
from agents.repair.behaviour import clusters
from agents.repair.naming import name_use
from agents.repair.naturalness import naturalness
from agents.repair.problem import OnEvent, RepairEvent, RepairProblem
from agents.repair.ranking import OFFER, Passing, Ranked, belief, confidence, rank, reasons
from agents.repair.schedule import Found
from agents.repair.simplify import edit_size, simplify
from agents.repair.units import SourceFile
from agents.results import Candidate, Repair, Suspect
from sandbox.runners.trial_results import Behaviours
from sandbox.runners.trials import Trials

COMPARED = 60
"""Passing candidates whose behaviour is compared."""
OFFERED = 3
"""Repairs that are confirmed and returned."""
FORMS = 24
"""Simpler forms of the best that are looked at."""
SAMPLES = 200


class Finish:
    """Turns passing candidates into repairs."""

    def __init__(
        self,
        problem: RepairProblem,
        trials: Sequence[Trials],
        texts: Mapping[str, str],
        end: float,
        on_event: OnEvent,
    ) -> None:
        self._problem = problem
        self._trials = [t for t in trials if t.opened is not None]
        self._texts = dict(texts)
        self._end = end
        self._say = on_event

    def run(self, found: Sequence[Found], suspects: Sequence[Suspect]) -> tuple[tuple[Repair, ...], tuple[Repair, ...]]:
        """Return the repairs that the search stands for, and those that it does not; both best first."""
        ranked = self.rank(found, suspects)
        beliefs = belief(ranked)
        repairs: list[Repair] = []
        for one in ranked:
            if len(repairs) >= OFFERED or (repairs and time.monotonic() > self._end - 1.0):
                break
            candidate = one.passing.candidate
            if not repairs:
                candidate = self._simplest(candidate)
            notes = self._confirm(candidate)
            if notes is None and candidate is not one.passing.candidate:
                candidate = one.passing.candidate
                notes = self._confirm(candidate)
            if notes is not None:
                sure = confidence(one, beliefs[one.passing.candidate.id])
                repairs.append(Repair(candidate, one.score, one.votes, (*reasons(one), *notes), sure))
        if repairs and repairs[0].confidence < OFFER:
            return (), tuple(repairs)
        return tuple(repairs), ()

    def _simplest(self, candidate: Candidate) -> Candidate:
        """Return the smallest form of a candidate that passes and does the same on every input."""
        if not self._trials or self._stopped() or time.monotonic() > self._end - 1.5:
            return candidate
        try:
            forms = {form.id: form for form in islice(simplify(candidate, self._problem.tree), FORMS)}
        except EditError:
            return candidate
        if not forms:
            return candidate
        seconds = max(0.3, min(1.0, 0.3 * (self._end - time.monotonic())))
        passed = [t.id for t in self._trials[0].try_batch(list(forms.values()), seconds=seconds) if t.good]
        if not passed:
            return candidate
        known = self._behaviours([candidate, *(forms[name] for name in passed)], seconds)
        numbers = clusters([candidate.id, *passed], known)
        alike = [forms[name] for name in forms if name in passed and numbers[name] == numbers[candidate.id]]
        size = edit_size(candidate, self._problem.tree)
        return next((form for form in alike if edit_size(form, self._problem.tree) <= size), candidate)

    def _stopped(self) -> bool:
        return any(trials.stopped for trials in self._trials)

    def rank(self, found: Sequence[Found], suspects: Sequence[Suspect]) -> list[Ranked]:
        """Return the passing candidates in order."""
        kept = sorted(found, key=lambda f: (-f.candidate.prior, f.order))[:COMPARED]
        passing = [Passing(f.candidate, suspicion(f.candidate, suspects, self._texts), f.order, f.fresh) for f in kept]
        self._say(RepairEvent("ranking", f"comparing {len(passing)} candidates that pass", 0.0))
        left = max(0.5, self._end - time.monotonic() - 1.5)
        behaviours = self._behaviours([p.candidate for p in passing], left)
        tests = {}
        for path in dict.fromkeys(t.split("::", 1)[0] for t in self._problem.targets):
            entry = self._problem.tree.get(path)
            if entry is not None and entry.kind == "file":
                try:
                    tests[path] = decode(entry.data).text
                except EditError:
                    continue
        strange = {p.candidate.id: self._strangeness(p.candidate) for p in passing}
        paths = dict.fromkeys(e.path for p in passing for e in p.candidate.edits)
        files = {path: SourceFile.parse(path, self._problem.tree) for path in paths}
        names = {p.candidate.id: name_use(p.candidate, files) for p in passing}
        return rank(passing, self._texts, behaviours, tests, strange, names=names)

    def _strangeness(self, candidate: Candidate) -> float:
        try:
            return -naturalness(candidate, self._problem.tree)
        except EditError:
            return 0.0

    def _behaviours(self, candidates: Sequence[Candidate], left: float) -> Behaviours:
        if not self._trials:
            return Behaviours((), frozenset(c.id for c in candidates))
        wall = max(0.4, min(3.0, 0.6 * left))
        return self._trials[0].behaviours(candidates, samples=SAMPLES, cpu_seconds=0.02, wall_seconds=wall)

    def _confirm(self, candidate: Candidate) -> tuple[str, ...] | None:
        """Run everything on it by a fresh import; None where that fails, else what is to be said."""
        if self._stopped():
            return ("The search was interrupted before all tests could be run on it.",)
        left = self._end - time.monotonic()
        if left < 0.3:
            return ("There was no time left to run all tests on it.",)
        overlay = edited_files(self._problem.tree, candidate.edits)
        trial = self._trials[0].confirm(
            candidate.id, overlay, expected=self._problem.steady, wall_seconds=max(1.0, left)
        )
        if trial.good and trial.complete:
            self._say(RepairEvent("confirmed", candidate.description, 0.0, candidate=candidate))
            return ()
        if trial.good or trial.verdict == "timeout":
            return ("Not all tests could be run on it in the time that was left.",)
        return None


def suspicion(candidate: Candidate, suspects: Sequence[Suspect], texts: Mapping[str, str]) -> float:
    """Return the logarithm of the highest score among the lines that a candidate changes, at most 0."""
    touched: dict[str, set[int]] = {}
    for edit in candidate.edits:
        text = texts[edit.path]
        first = text.count("\n", 0, edit.start) + 1
        last = first + text.count("\n", edit.start, edit.end)
        touched.setdefault(edit.path, set()).update(range(first, last + 1))
    scores = [s.score for s in suspects if s.line in touched.get(s.path, ())]
    return math.log(max([0.02, *scores]))
