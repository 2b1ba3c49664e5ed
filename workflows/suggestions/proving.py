"""Which pieces of a verified patch hold by themselves: each group that is offered passes the gate alone, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sandbox.protocol import Progress, Sandbox
from sandbox.workspace import diff
from workflows.steps.verify import VerifiedPatch, judge
from workflows.suggestions.pieces import Piece, with_pieces
from workflows.verdicts import GateCase, GateReport

MOST_PIECES: Final = 6
"""With more, they are one group: judging each would take too long, and nobody commits seven blocks one by one."""


@dataclass(frozen=True, slots=True)
class Group:
    """Pieces that were verified together, without any other."""

    pieces: tuple[Piece, ...]
    verified: VerifiedPatch
    targets: tuple[str, ...]
    """Tests that fail without it and pass with it."""


@dataclass(frozen=True, slots=True)
class Proved:
    """A patch in groups, each verified by itself and all of them together."""

    groups: tuple[Group, ...]
    together: VerifiedPatch


def proved(
    case: GateCase, verified: VerifiedPatch, pieces: Sequence[Piece], sandbox: Sandbox, progress: Progress
) -> Proved:
    """Return the patch of a case in as many groups as hold by themselves.

    A piece that alone repairs some of the targets is a group of its own; what is left is one group, if it repairs the
    other targets without them, or else everything stays together. A piece that nothing needs is left out.
    """
    targets = tuple(target.node_id for target in case.baseline.targets)
    whole = Proved((Group(tuple(pieces), verified, targets),), verified)
    if not 1 < len(pieces) <= MOST_PIECES or case.claim != "repairs" or case.added_targets:
        return whole
    groups: list[Group] = []
    left: list[Piece] = []
    for piece in pieces:
        alone = _of(case, (piece,))
        repaired = _repaired(alone, judge(alone, sandbox, progress))
        group = _judged(alone, (piece,), repaired, sandbox, progress) if repaired else None
        if group is None:
            left.append(piece)
        else:
            groups.append(group)
    open_targets = tuple(name for name in targets if not any(name in group.targets for group in groups))
    if open_targets:
        rest = _judged(_of(case, left), tuple(left), open_targets, sandbox, progress) if left else None
        if rest is None:
            return whole
        groups.append(rest)
    together = _judged(_of(case, [p for g in groups for p in g.pieces]), (), targets, sandbox, progress)
    return whole if together is None else Proved(tuple(groups), together.verified)


def _of(case: GateCase, pieces: Sequence[Piece]) -> GateCase:
    return replace(case, patch=diff(case.base, with_pieces(case.base, pieces)))


def _repaired(case: GateCase, report: GateReport) -> tuple[str, ...]:
    """Return the targets that passed in every run."""
    if not report.reports:
        return ()
    passed = frozenset.intersection(*(one.passed() for one in report.reports))
    return tuple(target.node_id for target in case.baseline.targets if target.node_id in passed)


def _judged(
    case: GateCase, pieces: tuple[Piece, ...], targets: Sequence[str], sandbox: Sandbox, progress: Progress
) -> Group | None:
    """Judge a part of the patch by the targets that it is for."""
    wanted = tuple(target for target in case.baseline.targets if target.node_id in targets)
    own = replace(case, baseline=replace(case.baseline, targets=wanted))
    report = judge(own, sandbox, progress)
    if not report.passed:
        return None
    return Group(pieces, VerifiedPatch.from_report(report, own), tuple(targets))
