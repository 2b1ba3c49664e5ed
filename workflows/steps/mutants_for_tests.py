"""The faults that new tests should notice, as the explorer takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from sandbox.tree import Tree


@dataclass(frozen=True, slots=True)
class Fault:
    """One mutant."""

    message: Mapping[str, Any]
    """As `sandbox.runners.exploring.explore` takes it."""
    line: int
    what: str
    diff: str


def mutants_of(tree: Tree, path: str, limit: int) -> dict[str, Fault]:
    """Return mutants of a file by id, at most `limit`, spread over it; none where there is no maker of mutants."""
    if find_spec("agents.mutation") is None:
        return {}
    made = import_module("agents.mutation.generate")
    mutants = list(made.mutants_of(tree, path))
    if len(mutants) > limit:
        mutants = list(made.spread(mutants, limit))
    return {
        one.id: Fault(
            {"id": one.id, "edits": [[e.start, e.end, e.replacement] for e in one.edits],
             "reach": list(one.reach) if one.reach else None, "unit": one.unit},
            one.first, one.description, one.diff,
        )
        for one in mutants
    }  # fmt: skip
