"""The choice among verified candidates, by evidence alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.results import Repair
from workflows.verdicts import GateReport


@dataclass(frozen=True, slots=True)
class Contender:
    """A candidate that the gate let pass."""

    repair: Repair
    report: GateReport


@dataclass(frozen=True, slots=True)
class Selection:
    """The candidate to deliver, and why."""

    chosen: Contender
    order: tuple[str, ...]
    """Ids of all contenders, best first."""
    reasons: tuple[str, ...]


def changed_lines(patch: bytes) -> int:
    """Return how many lines a patch adds and removes."""
    body = [line for line in patch.splitlines() if not line.startswith((b"+++ ", b"--- "))]
    return sum(line[:1] in {b"+", b"-"} for line in body)


def select(verified: Sequence[Contender]) -> Selection:
    """Return the best of several verified candidates; the order in which they come does not matter.

    Those that a person should look at come last; then the search's own rank, the votes of candidates that behave
    alike, and the size of the diff decide, and the candidate's id where all of these are equal.

    Raises:
        ValueError: there is none, or one did not pass the gate.

    """
    if not verified:
        raise ValueError("there is no verified candidate to select from")
    for contender in verified:
        if not contender.report.passed:
            raise ValueError(f"candidate {contender.repair.candidate.id} did not pass the gate")
    order = sorted(verified, key=_key)
    best = order[0]
    flags = len(best.report.flagged)
    lines, votes = changed_lines(best.report.patch), best.repair.votes
    reasons = [
        f"best of {len(verified)} verified candidates" if len(verified) > 1 else "the only verified candidate",
        f"{lines} changed lines" if lines != 1 else "one changed line",
        f"{votes} candidates behave alike" if votes > 1 else "no other candidate behaves like it",
        f"{flags} of its checks should be looked at" if flags else "nothing about it was flagged",
    ]
    return Selection(best, tuple(c.repair.candidate.id for c in order), tuple(reasons))


def _key(contender: Contender) -> tuple[int, float, int, int, str]:
    repair, report = contender.repair, contender.report
    return len(report.flagged), -repair.score, -repair.votes, changed_lines(report.patch), repair.candidate.id
