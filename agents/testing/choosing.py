"""Which scenarios become tests: the few that together run all and notice all that any of them does."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sandbox.runners.exploring import Exploration, Scenario

_WEIGHT = 400.0
"""Characters that one more thing that is run or noticed is worth."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A scenario that earned its place, and by what."""

    scenario: Scenario
    spots: frozenset[int]
    """Lines and branches that nothing ran before it."""
    mutants: frozenset[str]
    """Mutants that nothing noticed before it."""

    @property
    def adds(self) -> str:
        """Say what it adds, in a few words."""
        parts = []
        if self.spots:
            parts.append(f"{len(self.spots)} lines or branches")
        if self.mutants:
            parts.append(f"{len(self.mutants)} mutants")
        return " and ".join(parts)


def choose(
    found: Exploration,
    *,
    ran: Collection[int] = (),
    noticed: Collection[str] = (),
    without: Collection[int] = (),
    doubted: Collection[str] = (),
) -> tuple[Chosen, ...]:
    """Return scenarios that add something, those that add most first; nothing is chosen that the others make idle.

    Args:
        found: what the exploration gave.
        ran: spots that the existing tests run.
        noticed: mutants that the existing tests notice.
        without: scenarios that must not be chosen.
        doubted: targets whose behaviour is in doubt, so that nothing is pinned about them.

    """
    open_spots = {n for n, spot in enumerate(found.spots) if spot.kind in {"line", "branch"}}
    open_spots -= found.imported | set(ran)
    kills = _kills(found, noticed)
    pool = {
        number: scenario for number, scenario in found.scenarios.items()
        if number not in set(without) and scenario.target.split(".")[0] not in set(doubted)
    }  # fmt: skip
    left, dead = set(open_spots), {m for killers in kills.values() for m in killers}
    chosen: list[Chosen] = []
    while pool:
        best, worth = None, 0.0
        for number, scenario in pool.items():
            gain = len(scenario.hits & left) + 1.5 * len(kills.get(number, frozenset()) & dead)
            value = gain * _WEIGHT / (_WEIGHT / 4 + cost(scenario)) if gain else 0.0
            if value > worth:
                best, worth = scenario, value
        if best is None:
            break
        mutants = kills.get(best.id, frozenset()) & dead
        chosen.append(Chosen(best, frozenset(best.hits & left), frozenset(mutants)))
        left -= best.hits
        dead -= mutants
        del pool[best.id]
    return _needed(chosen, open_spots, kills)


def _kills(found: Exploration, noticed: Collection[str]) -> Mapping[int, frozenset[str]]:
    kills: dict[int, set[str]] = {}
    for mutant, verdict in found.verdicts.items():
        if mutant not in noticed:
            for number in verdict.killers:
                kills.setdefault(number, set()).add(mutant)
    return {number: frozenset(mutants) for number, mutants in kills.items()}


def _needed(chosen: Sequence[Chosen], spots: set[int], kills: Mapping[int, frozenset[str]]) -> tuple[Chosen, ...]:
    """Leave out what later choices made idle."""
    kept = list(chosen)
    for one in sorted(chosen, key=lambda c: -cost(c.scenario)):
        others = [other for other in kept if other is not one]
        ran: set[int] = set().union(*(other.scenario.hits for other in others))
        dead: set[str] = set().union(*(kills.get(other.scenario.id, frozenset()) for other in others))
        if (one.scenario.hits & spots) <= ran and kills.get(one.scenario.id, frozenset()) <= dead:
            kept = others
    return tuple(kept)


def cost(scenario: Scenario) -> float:
    """Return how much there is to read, in characters; what people wrote, and relations, are read gladly."""
    total = sum(len(line.text) + len(line.want) + 12 for line in scenario.lines)
    if scenario.origin == "relation":
        return total * 0.3
    if scenario.target.rpartition(".")[2].startswith("_"):
        total *= 2
    return total * (0.6 if scenario.origin == "call" else 1.0)
