"""All candidates for a set of suspicious lines, lazily, the likeliest first."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from agents.repair.checks import UnitChecker
from agents.repair.hints import Hints, read_hints
from agents.repair.priors import UNKNOWN, Priors, default_priors
from agents.repair.scopes import ModuleScope, UnitScope
from agents.repair.templates.registry import TEMPLATES
from agents.repair.templates.site import Proposal, Site, Template
from agents.repair.units import FUNCTIONS, Place, SourceFile, Unit, header_lines, places
from agents.results import Candidate, Edit, Failure, Suspect
from sandbox.tree import Tree

_UNSEEN = -1.6
"""Added for statements of a suspicious unit that no suspect names: localisation is a weight, never a filter."""
_DEFINITION = -0.3
"""Added for a unit's own `def` line, which runs on import and is seldom in a test's coverage."""
_REPEAT = 0.35
"""How fast further proposals of one rule at one statement fall behind, as an exponent of their number."""


@dataclass(frozen=True, slots=True)
class Context:
    """What is known beside the suspects."""

    failures: tuple[Failure, ...] = ()
    """How the target tests fail; their messages steer the order."""
    issue: str = ""
    """The issue's text, if there is one."""
    priors: Mapping[str, float] = field(default_factory=default_priors)
    weight: float = 1.0
    """What a factor e in suspiciousness is worth against a factor e in the prior."""
    max_files: int = 12
    max_units: int = 80


@dataclass(slots=True)
class _Work:
    """One template at one statement, with what is needed to check what it proposes."""

    site: Site
    template: Template
    checker: UnitChecker
    weight: float


def generate(tree: Tree, suspects: Sequence[Suspect], *, context: Context | None = None) -> Iterator[Candidate]:
    """Give single-edit candidates for the suspects' units, best first, each at most once, until there are no more.

    Order: log prior of the rule, plus the proposal's own score, plus `weight` times the logarithm of the statement's
    suspiciousness, less for each further proposal of one rule at one statement. Every candidate parses, differs from
    the original in meaning (its byte code differs) and from every earlier candidate.
    """
    yield from _Search(tree, suspects, context or Context()).run()


class _Search:
    def __init__(self, tree: Tree, suspects: Sequence[Suspect], context: Context) -> None:
        self._tree, self._context = tree, context
        self._hints = read_hints(context.failures, context.issue, tree)
        self._priors: Priors = dict(context.priors)
        self._files: dict[str, tuple[SourceFile, ModuleScope] | None] = {}
        self._heap: list[tuple[float, int, Unit | _Work | tuple[_Work, Proposal, float]]] = []
        self._count = 0
        self._scores: dict[str, dict[int, float]] = {}
        self._start(suspects)

    def _push(self, key: float, item: Unit | _Work | tuple[_Work, Proposal, float]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (-key, self._count, item))

    def _start(self, suspects: Sequence[Suspect]) -> None:
        for suspect in suspects:
            lines = self._scores.setdefault(suspect.path, {})
            lines[suspect.line] = max(suspect.score, lines.get(suspect.line, 0.0))
        best: dict[tuple[str, str, int], tuple[Unit, float]] = {}
        paths = list(dict.fromkeys(s.path for s in suspects))[: self._context.max_files]
        for path in paths:
            loaded = self._load(path)
            if loaded is None:
                continue
            for line, score in self._scores[path].items():
                unit = loaded[0].unit_at_line(line)
                key = (path, unit.qualname, unit.start)
                if key not in best or score > best[key][1]:
                    best[key] = (unit, score)
        ranked = sorted(best.values(), key=lambda found: -found[1])[: self._context.max_units]
        highest = max(0.0, *self._priors.values()) + max(0.0, 0.0, *self._hints.boosts.values())
        for unit, score in ranked:
            self._push(self._log(score) + highest, unit)

    def _log(self, score: float) -> float:
        return self._context.weight * math.log(max(score, 1e-3))

    def _load(self, path: str) -> tuple[SourceFile, ModuleScope] | None:
        if path not in self._files:
            file = SourceFile.parse(path, self._tree)
            self._files[path] = (file, ModuleScope(file)) if file is not None else None
        return self._files[path]

    def run(self) -> Iterator[Candidate]:
        while self._heap:
            _, _, item = heapq.heappop(self._heap)
            if isinstance(item, Unit):
                self._expand_unit(item)
            elif isinstance(item, _Work):
                self._expand_work(item)
            else:
                work, proposal, prior = item
                if work.checker.accept(work.site, proposal):
                    yield self._candidate(work.site, proposal, prior)

    def _expand_unit(self, unit: Unit) -> None:
        loaded = self._load(unit.path)
        if loaded is None:
            return
        file, module = loaded
        scope = UnitScope(file, module, unit)
        checker = UnitChecker(file, unit, module)
        scores = self._scores[unit.path]
        here = {line: s for line, s in scores.items() if unit.first_line <= line <= unit.last_line}
        top = max(here.values(), default=0.0)
        for place in places(unit):
            if unit.kind == "module" and isinstance(place.statement, FUNCTIONS):
                continue  # its own unit holds its defaults and decorators
            weight = self._weight(place, here, top)
            site = Site(file, unit, place, scope, module, self._hints)
            for template in TEMPLATES:
                bound = max(self._prior(rule) for rule in template.rules)
                self._push(weight + bound, _Work(site, template, checker, weight))

    def _weight(self, place: Place, scores: Mapping[int, float], top: float) -> float:
        first, last = header_lines(place.statement)
        found = max((scores.get(line, 0.0) for line in range(first, last + 1)), default=0.0)
        if found:
            return self._log(found)
        if place.depth == 0 and isinstance(place.statement, FUNCTIONS):
            return self._log(top) + _DEFINITION
        return self._log(top) + _UNSEEN

    def _prior(self, rule: str) -> float:
        family = rule.partition(".")[0]
        return self._priors.get(rule, UNKNOWN) + self._hints.boosts.get(family, 0.0)

    def _expand_work(self, work: _Work) -> None:
        counts: Counter[str] = Counter()
        found = sorted(work.template.propose(work.site), key=lambda p: -p.score)
        for proposal in found:
            counts[proposal.rule] += 1
            prior = self._prior(proposal.rule) + proposal.score - _REPEAT * math.log(counts[proposal.rule])
            self._push(prior + work.weight, (work, proposal, prior))

    def _candidate(self, site: Site, proposal: Proposal, prior: float) -> Candidate:
        path = site.file.path
        edits = tuple(Edit(path, start, end, text) for start, end, text in proposal.edits)
        return Candidate(edits, f"template:{proposal.rule}", describe(site.file, proposal), prior)


def describe(file: SourceFile, proposal: Proposal) -> str:
    """Return one line for a person on what a proposal does where."""
    first, last = proposal.edits[0], proposal.edits[-1]
    line = file.line_of(first[0])
    if proposal.description:
        return f"{file.path}:{line}: {proposal.description}"
    low, high = file.line_start(line), file.line_start(file.line_of(last[1]) + 1)
    low, high = max(low, first[0] - 30), min(high, last[1] + 30)
    old, new, at = file.text[low:high], "", low
    for start, end, text in proposal.edits:
        new += file.text[at:start] + text
        at = end
    new += file.text[at:high]
    return f"{file.path}:{line}: `{_short(old)}` → `{_short(new)}`"


def _short(text: str) -> str:
    joined = " ".join(text.split())
    return joined if len(joined) <= 90 else joined[:87] + "..."


__all__ = ["Context", "Hints", "describe", "generate"]
