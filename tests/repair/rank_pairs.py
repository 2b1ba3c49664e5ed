"""Print at which rank the right repair of every pair of the table comes, under equal suspicion of all lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice

from agents.edits import apply_edits
from agents.repair.checks import meaning_of
from agents.repair.generate import generate
from agents.repair.units import SourceFile
from agents.results import Candidate, Suspect
from sandbox.tree import Entry, Tree
from tests.repair.pairs_table import PAIRS, Pair

PATH = "program.py"


def uniform(pair: Pair) -> tuple[Tree, list[Suspect]]:
    """Return the buggy program as a tree, and all lines of its broken function as equally suspicious."""
    tree = Tree({PATH: Entry(pair.buggy.encode())})
    file = SourceFile.parse(PATH, tree)
    assert file is not None
    pieces = zip(pair.buggy, pair.fixed, strict=False)
    differing = next((i for i, (a, b) in enumerate(pieces) if a != b), len(pair.buggy))
    while differing and not pair.buggy[differing - 1 : differing + 1].strip():
        differing -= 1
    unit = file.unit_at(min(differing, len(pair.buggy) - 1))
    lines = range(unit.first_line + 1, unit.last_line + 1)
    if unit.kind == "module":
        lines = range(1, file.units[0].first_line)
    return tree, [Suspect(PATH, line, unit.qualname, 0.5) for line in lines]


def near_change(pair: Pair) -> range:
    """Return the lines of the buggy program that differ from the fixed one, with a few around them."""
    one, two = pair.buggy.splitlines(), pair.fixed.splitlines()
    head = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    tail = next(
        (i for i, (a, b) in enumerate(zip(one[::-1], two[::-1], strict=False)) if a != b), min(len(one), len(two))
    )
    return range(head - 3, len(one) - tail + 5)


def right_ones(pair: Pair, candidates: Iterable[Candidate]) -> Iterator[tuple[int, Candidate]]:
    """Give the candidates that mean the same as the fixed program, with their 1-based numbers."""
    wanted = meaning_of(pair.fixed)
    lines = near_change(pair)
    for number, candidate in enumerate(candidates, 1):
        if all(pair.buggy.count("\n", 0, e.start) + 1 in lines for e in candidate.edits):
            found = meaning_of(apply_edits(pair.buggy, candidate.edits))
            assert found is not None, f"{pair.name}: {candidate.description} does not compile"
            if found == wanted:
                yield number, candidate


def rank(pair: Pair, limit: int) -> tuple[int | None, Candidate | None]:
    """Return the 1-based rank of the candidate that means the same as the fixed program, with the candidate."""
    tree, suspects = uniform(pair)
    return next(right_ones(pair, islice(generate(tree, suspects), limit)), (None, None))


def main(names: Iterable[str], limit: int = 4000) -> None:
    """Print one line for each pair, worst last, and the distribution."""
    chosen = [p for p in PAIRS if not names or any(n in p.name for n in names)]
    started = time.perf_counter()
    rows = [(pair, *rank(pair, limit)) for pair in chosen]
    rows.sort(key=lambda row: row[1] or limit + 1)
    for pair, number, candidate in rows:
        origin = candidate.origin.partition(":")[2] if candidate else "not found"
        print(
            f"{number or '-':>6}  {pair.name:24} {origin:22} {pair.wrong.strip()[:40]!r} -> {pair.right.strip()[:50]!r}"
        )
    found = sorted(number for _, number, _ in rows if number)
    print(f"{len(rows)} pairs, {len(found)} found; ", end="")
    print(", ".join(f"within {n}: {sum(f <= n for f in found)}" for n in (10, 50, 100, 200, 500, 1000, 1500)), end="; ")
    print(f"{time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
