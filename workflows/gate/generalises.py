"""Whether a patch does more than answer the target tests' own inputs, and whether its equalities mean something."""

from __future__ import annotations

import ast

from sandbox.syntax import parse
from sandbox.tree import Tree
from workflows.gate.clean_room import CleanRoom
from workflows.gate.preserving import Covered
from workflows.gate.probing import Probed
from workflows.gate.proof import Proof
from workflows.gate.static import Static
from workflows.verdicts import Check, GateCase


def probed_tampering(probed: Probed | None) -> tuple[str, ...]:
    """Return what the rewritten targets say about machinery that no longer works."""
    if probed is None:
        return ()
    immune = [f"{target} passes although its assertions were turned round." for target in probed.immune]
    dead = [f"`{name}` lets a falsehood pass." for name in probed.dead]
    return (*immune, *dead)


def generalises(case: GateCase, room: CleanRoom, proof: Proof, covered: Covered, static: Static) -> Check:
    """Judge the answers of the rewritten tests and of the search for special cases."""
    base = case.base
    found = [
        (p, root) for p, root in ((room.probed, room.root), (proof.probed, proof.root), (covered.probed, covered.root))
        if p is not None
    ]  # fmt: skip
    always = [sentence for probed, root in found for sentence in _always(base, probed, root, static)]
    if always:
        return Check("generalises", False, f"An equality is always true: {always[0]}.", tuple(always))
    if covered.different:
        reason = f"A person should look whether it behaves as before: {covered.different[0]}."
        return Check("generalises", True, reason, covered.different, flagged=True)
    special = (*static.special, *room.narrow, *proof.narrow)
    doubts = list(special)
    # Tests that already were there and are only looked at to compare answers give no reason to doubt a refactoring.
    for probed in [p for p in (room.probed, proof.probed) if p is not None]:
        doubts += [f"{text} once the test file reads differently" for text in probed.different]
        doubts += list(probed.unclear)
    if special:
        reason = f"A person should look whether it answers only the tests' own inputs: {special[0]}."
        return Check("generalises", True, reason, tuple(doubts), flagged=True)
    if doubts:
        reason = f"A person should look: {doubts[0]}."
        return Check("generalises", True, reason, tuple(doubts), flagged=True)
    if not found:
        return Check(
            "generalises", True, "Nothing answers the tests' own inputs; their comparisons could not be probed."
        )
    if case.claim == "preserves":
        return Check(
            "generalises", True, "It answers as before near the tests' inputs, and no equality is always true."
        )
    return Check("generalises", True, "Nothing answers the tests' own inputs, and no equality is always true.")


def _always(base: Tree, probed: Probed, root: str, static: Static) -> list[str]:
    """Return sentences about classes of the repository's products that are equal to everything."""
    found = []
    tests = "\n".join(base[p].data.decode("utf-8", "replace") for p in static.surface.test_files)
    for what, kind, home in probed.always:
        path = home.removeprefix(root.rstrip("/") + "/")
        if static.surface.test_reason(path) is not None:
            continue
        name = kind.rsplit(".", 1)[-1]
        # A matcher that the repository offers, and that its tests use by name, is meant to be equal to everything.
        if path in base and path not in static.changed and _defines(base[path].data, name) and name in tests:
            continue
        found.append(f"an object of {kind} ({path}) is {what}")
    return found


def _defines(source: bytes, name: str) -> bool:
    try:
        return any(isinstance(n, ast.ClassDef) and n.name == name for n in ast.walk(parse(source)))
    except (SyntaxError, ValueError, RecursionError):
        return False
