"""Two single edits together, for faults that no single edit repairs."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

from agents.edits import compose
from agents.errors import EditError
from agents.repair.checks import meaning_of
from agents.repair.units import SourceFile
from agents.results import Candidate
from sandbox.tree import Tree

_ELSEWHERE = -3.0
"""Added where the two edits are in different functions."""
_FAR = -1.0
"""Added, at most, for distance within one file where the functions are not known."""


def pairs(
    promising: Sequence[Candidate], singles: Sequence[Candidate], *, tree: Tree | None = None
) -> Iterator[Candidate]:
    """Give pairs of a promising single candidate and another one, likeliest first, each once.

    `promising` are those that changed how the targets fail, the most telling first; `singles` are all that may join
    them. Pairs in one function come first; `tree` tells where functions begin. Pairs that overlap are left out.
    """
    home = _Homes(tree)
    joined: dict[int, list[tuple[float, Candidate]]] = {}
    heap: list[tuple[float, int, int]] = []
    for number, first in enumerate(promising):
        ranked = [(second.prior + home.nearness(first, second), second) for second in singles if second.id != first.id]
        ranked.sort(key=lambda item: -item[0])
        joined[number] = ranked
        if ranked:
            heapq.heappush(heap, (-(_standing(number) + ranked[0][0]), number, 0))
    seen: set[frozenset[str]] = set()
    while heap:
        _, number, place = heapq.heappop(heap)
        ranked = joined[number]
        first, second = promising[number], ranked[place][1]
        if place + 1 < len(ranked):
            heapq.heappush(heap, (-(_standing(number) + ranked[place + 1][0]), number, place + 1))
        key = frozenset((first.id, second.id))
        if key in seen:
            continue
        seen.add(key)
        pair = _join(first, second)
        if pair is not None and home.parses(pair):
            yield pair


def _standing(number: int) -> float:
    """Return what the place among the promising ones is worth."""
    return -0.25 * number


def _join(first: Candidate, second: Candidate) -> Candidate | None:
    try:
        edits = compose(first.edits, second.edits)
    except EditError:
        return None
    if len(edits) < len(first.edits) + len(second.edits):
        return None  # they share an edit, so one of them alone was tried with the rest
    names = "+".join(c.origin.partition(":")[2] or c.origin for c in (first, second))
    return Candidate(
        edits,
        f"pair:{names}",
        f"{first.description}; {second.description}",
        first.prior + second.prior,
        max(first.tier, second.tier),
    )


class _Homes:
    """Knows in which function a candidate's edits are."""

    def __init__(self, tree: Tree | None) -> None:
        self._tree = tree
        self._files: dict[str, SourceFile | None] = {}

    def _file(self, path: str) -> SourceFile | None:
        if path not in self._files:
            self._files[path] = SourceFile.parse(path, self._tree) if self._tree is not None else None
        return self._files[path]

    def nearness(self, first: Candidate, second: Candidate) -> float:
        one, two = first.edits[0], second.edits[0]
        if one.path != two.path:
            return _ELSEWHERE
        file = self._file(one.path)
        if file is None:
            return max(_FAR, -abs(one.start - two.start) / 2000)
        return 0.0 if file.unit_at(one.start) is file.unit_at(two.start) else _ELSEWHERE

    def parses(self, pair: Candidate) -> bool:
        """Whether the changed function is still Python; True where the files are not known."""
        for path in dict.fromkeys(e.path for e in pair.edits):
            file = self._file(path)
            if file is None:
                continue
            edits = [e for e in pair.edits if e.path == path]
            unit = file.unit_at(edits[0].start)
            if any(not unit.start <= e.start <= e.end <= unit.end for e in edits):
                unit = file.units[-1]
            text, at = "", unit.start
            for edit in edits:
                text += file.text[at : edit.start] + edit.replacement
                at = edit.end
            text += file.text[at : unit.end]
            if text[:1] in {" ", "\t", "\f"}:
                text = f"if 1:\n{text}"
            if meaning_of(text) is None:
                return False
        return True
