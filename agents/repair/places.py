"""Whether a candidate changes a function that had run before candidates could be exchanged."""

from __future__ import annotations

from collections.abc import Mapping

from agents.edits import Source
from agents.repair.units import SourceFile
from agents.results import Candidate


class Places:
    """The functions that ran while tests were collected, as ranges of offsets."""

    def __init__(self, texts: Mapping[str, str], imported: frozenset[tuple[str, int, str]]) -> None:
        self._ranges: dict[str, list[tuple[int, int]]] = {}
        for path in {p for p, _, _ in imported if p in texts}:
            try:
                file = SourceFile(path, Source(texts[path]))
            except (SyntaxError, ValueError, RecursionError):
                continue
            lines = [line for p, line, _ in imported if p == path]
            self._ranges[path] = [
                (unit.start, unit.end)
                for unit in file.units
                if unit.kind != "module" and any(unit.first_line <= line <= unit.last_line for line in lines)
            ]

    def ran_on_import(self, candidate: Candidate) -> bool:
        """Whether an edit lies in such a function, so that exchanging it comes too late for what it made."""
        return any(start <= e.start <= end for e in candidate.edits for start, end in self._ranges.get(e.path, ()))
