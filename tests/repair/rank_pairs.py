"""Print at which rank the right repair of every pair of the table comes, under equal suspicion of all lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from itertools import islice

from agents.edits import apply_edits
from agents.repair.checks import meaning
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
    differing = next(
        (i for i, (a, b) in enumerate(zip(pair.buggy, pair.fixed, strict=False)) if a != b), len(pair.buggy) - 1
    )
    unit = file.unit_at(min(differing, len(pair.buggy) - 1))
    lines = range(unit.first_line + 1, unit.last_line + 1)
    if unit.kind == "module":
        lines = range(1, file.units[0].first_line)
    return tree, [Suspect(PATH, line, unit.qualname, 0.5) for line in lines]


def rank(pair: Pair, limit: int) -> tuple[int | None, Candidate | None]:
    """Return the 1-based rank of the candidate that means the same as the fixed program, with the candidate."""
    tree, suspects = uniform(pair)
    wanted = meaning(compile(pair.fixed, "x", "exec"))
    for number, candidate in enumerate(islice(generate(tree, suspects), limit), 1):
        try:
            code = compile(apply_edits(pair.buggy, candidate.edits), "x", "exec")
        except SyntaxError:
            raise AssertionError(f"{pair.name}: {candidate.description} does not parse") from None
        if meaning(code) == wanted:
            return number, candidate
    return None, None


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
