"""Which functions to ask a model about: suspicion of lines added up, and what an earlier tier learnt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from agents.fixes.problem import Hints
from agents.repair.localise import is_test_path, rank_suspects
from agents.repair.problem import RepairProblem
from agents.repair.units import SourceFile, Unit
from agents.results import Candidate, Suspect

_LEAST = 0.3
"""Of the best place's score; places below are not worth a call."""
_LINES = 3
"""Suspicious lines that are named, at most."""


@dataclass(slots=True)
class Place:
    """A function, or the code at a module's top level."""

    file: SourceFile
    unit: Unit
    score: float = 0.0
    lines: dict[int, float] = field(default_factory=dict)
    """Line → suspicion."""

    @property
    def name(self) -> str:
        """`path::function`."""
        return f"{self.unit.path}::{self.unit.qualname}"

    @property
    def text(self) -> str:
        """Its source."""
        return self.file.text[self.unit.start : self.unit.end]

    @property
    def length(self) -> int:
        """In lines."""
        return self.unit.last_line - self.unit.first_line + 1

    @property
    def worst(self) -> tuple[int, ...]:
        """The lines that are more suspicious than the others, in order of position; empty where they are many."""
        top = max(self.lines.values(), default=0.0)
        ranked = sorted(line for line, score in self.lines.items() if score >= 0.97 * top)
        return tuple(ranked) if len(ranked) <= _LINES and len(self.lines) > _LINES else ()


def places(problem: RepairProblem, hints: Hints, most: int) -> tuple[Place, ...]:
    """Return the places to ask about, most suspicious first."""
    found = _gathered(problem, _suspects(problem))
    near = _near(problem, hints.near_misses)
    for name, place in found.items():
        ranked = sorted(place.lines.values(), reverse=True)
        place.score = ranked[0] + 0.1 * sum(ranked[:5]) / 5
        if place.unit.kind == "module":
            # What runs on import is suspected for lack of evidence against it.
            place.score *= 0.6
        place.score *= hints.weights.get(name, 1.0) * (1.0 + near.get(name, 0.0))
    ranked_places = sorted(found.values(), key=lambda p: (-p.score, p.length))
    best = ranked_places[0].score if ranked_places else 0.0
    return tuple(place for place in ranked_places if place.score >= _LEAST * best)[:most]


def _suspects(problem: RepairProblem) -> tuple[Suspect, ...]:
    if problem.suspects is not None:
        return problem.suspects
    return rank_suspects(
        problem.tree, problem.report, problem.targets, recency=problem.recency, allowed=problem.permits,
        issue=problem.issue,
    )  # fmt: skip


def _gathered(problem: RepairProblem, suspects: Iterable[Suspect]) -> dict[str, Place]:
    files: dict[str, SourceFile | None] = {}
    found: dict[str, Place] = {}
    for suspect in suspects:
        path = suspect.path
        if path not in files:
            usable = problem.permits(path) and not is_test_path(path)
            files[path] = SourceFile.parse(path, problem.tree) if usable else None
        file = files[path]
        if file is None:
            continue
        unit = file.unit_at_line(suspect.line)
        place = found.setdefault(f"{path}::{unit.qualname}", Place(file, unit))
        place.lines[suspect.line] = max(suspect.score, place.lines.get(suspect.line, 0.0))
    for name in [name for name, place in found.items() if _twice(place)]:
        # A name that stands twice cannot be asked for by name.
        del found[name]
    return found


def _twice(place: Place) -> bool:
    return sum(unit.qualname == place.unit.qualname for unit in place.file.units) > 1


def _near(problem: RepairProblem, misses: Iterable[tuple[Candidate, int]]) -> Mapping[str, float]:
    """Return, for each place that a near miss changed, the share of the targets that it mended."""
    found: dict[str, float] = {}
    for candidate, bad in misses:
        share = 1.0 - min(1.0, bad / max(1, len(problem.targets)))
        for edit in candidate.edits:
            file = SourceFile.parse(edit.path, problem.tree)
            if file is not None:
                name = f"{edit.path}::{file.unit_at(edit.start).qualname}"
                found[name] = max(found.get(name, 0.0), share)
    return found
