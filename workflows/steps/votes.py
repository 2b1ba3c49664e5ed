"""Passing candidates of all tiers in one order: those that behave alike are one vote, and ties go to the smaller diff.

Behaviour is what a candidate does on the inputs that the tests give its functions, and on inputs made from those. A
candidate that differs from the original on the failing tests' own inputs alone special-cases them, and is refused.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agents.edits import decode
from agents.errors import EditError
from agents.repair.behaviour import Profile, clusters, profile
from agents.repair.problem import RepairProblem
from agents.repair.search import related_tests
from agents.results import Candidate, Repair
from sandbox.errors import SandboxError
from sandbox.protocol import Workspace
from sandbox.runners.trial_results import Behaviours
from sandbox.runners.trials import Trials

SAMPLES = 200
WALL_SECONDS = 3.0
CPU_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Counted:
    """The outcome of a vote."""

    repairs: tuple[Repair, ...]
    """Best first."""
    special: tuple[Repair, ...] = ()
    """Those that only special-case the inputs of the failing tests."""


def counted(
    problem: RepairProblem,
    candidates: Sequence[Candidate],
    others: Sequence[Candidate],
    workspace: Workspace,
    stop: threading.Event,
) -> Counted:
    """Order `candidates`, all of which passed when they were tried; `others`, of earlier tiers, vote too.

    `workspace` holds the problem's tree. Without any way to compare, size alone decides.
    """
    if not candidates:
        return Counted(())
    voters = list({c.id: c for c in (*candidates, *others)}.values())
    behaviours = _behaviours(problem, voters, workspace, stop)
    numbers = clusters([c.id for c in voters], behaviours)
    votes = Counter(numbers.values())
    profiles = {c.id: profile(c.id, behaviours.samples) for c in candidates}
    order = sorted(candidates, key=lambda c: _key(c, profiles[c.id], votes[numbers[c.id]]))
    repairs: list[Repair] = []
    special: list[Repair] = []
    for candidate in order:
        seen, count = profiles[candidate.id], votes[numbers[candidate.id]]
        repair = Repair(candidate, 0.0, count, _notes(seen, count))
        (special if seen.special else repairs).append(repair)
    return Counted(tuple(repairs), tuple(special))


def size(candidate: Candidate) -> int:
    """Return how many characters a candidate takes away and brings."""
    edited = sum(edit.end - edit.start + len(edit.replacement) for edit in candidate.edits)
    return edited + sum(len(new.text) for new in candidate.created)


def _key(candidate: Candidate, seen: Profile, votes: int) -> tuple[bool, int, float, float, int, str]:
    return seen.special, -votes, seen.passing, seen.crashes + seen.hangs, size(candidate), candidate.id


def _notes(seen: Profile, votes: int) -> tuple[str, ...]:
    notes = [f"{votes} candidates behave alike" if votes > 1 else "no other candidate behaves like it"]
    if not seen.known:
        notes.append("it could not be compared on generated inputs")
    elif seen.special:
        notes.append("it differs from the original on the failing tests' own inputs alone")
    elif seen.generated:
        notes.append(f"it differs from the original on {seen.changed:.0%} of {seen.generated} generated inputs")
    return tuple(notes)


def _behaviours(
    problem: RepairProblem, voters: Sequence[Candidate], workspace: Workspace, stop: threading.Event
) -> Behaviours:
    nothing = Behaviours((), frozenset(c.id for c in voters))
    plain = [c for c in voters if not c.created and not c.deleted]
    texts = _texts(problem, plain)
    plain = [c for c in plain if all(edit.path in texts for edit in c.edits)]
    if not plain or not problem.targets:
        return nothing
    related = related_tests(problem, frozenset(texts))
    trials = Trials(workspace, problem.harness, problem.targets, sources=texts, related=related, stop=stop)
    try:
        trials.open()
        seen = trials.behaviours(plain, samples=SAMPLES, cpu_seconds=CPU_SECONDS, wall_seconds=WALL_SECONDS)
    except SandboxError:
        # A comparison that cannot be made is no evidence either way.
        return nothing
    finally:
        trials.close()
    known = {c.id for c in plain}
    return Behaviours(seen.samples, seen.unknown | {c.id for c in voters if c.id not in known})


def _texts(problem: RepairProblem, candidates: Sequence[Candidate]) -> Mapping[str, str]:
    texts: dict[str, str] = {}
    for path in dict.fromkeys(edit.path for candidate in candidates for edit in candidate.edits):
        entry = problem.tree.get(path)
        if entry is None or entry.kind != "file" or not path.endswith(".py"):
            continue
        try:
            texts[path] = decode(entry.data).text
        except EditError:
            continue
    return texts
