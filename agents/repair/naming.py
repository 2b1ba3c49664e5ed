"""Which names a change leaves without a reader, and which it takes into use that nothing read before."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from textwrap import dedent

from agents.edits import apply_edits
from agents.errors import EditError
from agents.repair.units import SourceFile
from agents.results import Candidate
from sandbox.syntax import parse


@dataclass(frozen=True, slots=True)
class NameUse:
    """What a change does to the use of parameters and local variables of the functions that it changes."""

    orphaned: int = 0
    """Names that were read before, are still bound, and are read no more."""
    adopted: int = 0
    """Names that were bound and never read before, and are read now."""


def name_use(candidate: Candidate, file_of: dict[str, SourceFile | None]) -> NameUse:
    """Compare the functions that a candidate changes before and after; nothing where they cannot be read.

    `file_of` holds the base files that it changes.
    """
    orphaned = adopted = 0
    for path in dict.fromkeys(e.path for e in candidate.edits):
        file = file_of.get(path)
        if file is None:
            continue
        edits = [e for e in candidate.edits if e.path == path]
        unit = file.unit_at(edits[0].start)
        inside = all(unit.start <= e.start <= e.end <= unit.end for e in edits)
        if unit.kind == "module" or not inside:
            continue
        old = file.text[unit.start : unit.end]
        shifted = [type(e)(e.path, e.start - unit.start, e.end - unit.start, e.replacement) for e in edits]
        try:
            before, after = _names(old), _names(apply_edits(old, shifted))
        except (EditError, SyntaxError, ValueError, RecursionError):
            continue
        orphaned += len((before.read & after.bound) - after.read)
        adopted += len((before.bound & after.read) - before.read)
    return NameUse(orphaned, adopted)


@dataclass(frozen=True, slots=True)
class _Names:
    read: frozenset[str]
    bound: frozenset[str]


def _names(text: str) -> _Names:
    """Return the names that a function's text reads and binds."""
    read: set[str] = set()
    bound: set[str] = set()
    plain = dedent(text)
    for node in ast.walk(parse(f"if 1:\n{plain}" if plain[:1] in {" ", "\t"} else plain)):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            bound.add(node.target.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
    return _Names(frozenset(read), frozenset(bound))
