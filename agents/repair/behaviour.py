"""What candidates did on many inputs, as figures that they can be ranked by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.runners.trial_results import Behaviours, Sample


@dataclass(frozen=True, slots=True)
class Profile:
    """How a candidate's behaviour compares with the original's; all are shares between 0 and 1."""

    known: bool = False
    """Whether it could be run on inputs at all; everything else is 0 where not."""
    passing: float = 0.0
    """Inputs of passing tests on which it does something else than the original."""
    changed: float = 0.0
    """Generated inputs on which it does something else."""
    crashes: float = 0.0
    """Generated inputs on which it raises and the original does not."""
    cured: float = 0.0
    """Generated inputs on which the original raises and it does not."""
    hangs: float = 0.0
    """Inputs on which it runs out of time and the original does not."""
    special: bool = False
    """It differs from the original on the failing tests' own inputs and on nothing that was generated."""
    generated: int = 0
    """How many generated inputs there were."""


def profile(name: str, samples: Sequence[Sample]) -> Profile:
    """Return the profile of one candidate."""
    seen = [s for s in samples if s.outcomes.get(name, "-") != "-" and s.original != "-"]
    if not seen:
        return Profile()
    made = [s for s in seen if s.kind == "generated"]
    passing = [s for s in seen if s.kind == "passing"]
    failing = [s for s in seen if s.kind in {"failing", "earlier"}]

    def share(found: int, of: Sequence[Sample]) -> float:
        return found / len(of) if of else 0.0

    changed = [s for s in made if s.outcomes[name] != s.original]
    return Profile(
        known=True,
        passing=share(sum(s.outcomes[name] != s.original for s in passing), passing),
        changed=share(len(changed), made),
        crashes=share(sum(s.outcomes[name][0] == "!" and s.original[0] == "=" for s in made), made),
        cured=share(sum(s.outcomes[name][0] == "=" and s.original[0] == "!" for s in made), made),
        hangs=share(sum(s.outcomes[name] == "?" and s.original != "?" for s in seen), seen),
        special=len(made) >= 20 and not changed and any(s.outcomes[name] != s.original for s in failing),
        generated=len(made),
    )


def clusters(names: Sequence[str], behaviours: Behaviours) -> dict[str, int]:
    """Give candidates numbers, so that those that did the same on every input share a number.

    Candidates that could not be run this way stand alone.
    """
    numbers: dict[tuple[str, ...], int] = {}
    found: dict[str, int] = {}
    for name in names:
        if name in behaviours.unknown or not behaviours.samples:
            row: tuple[str, ...] = ("alone", name)
        else:
            row = tuple(s.outcomes.get(name, "-") for s in behaviours.samples)
        found[name] = numbers.setdefault(row, len(numbers))
    return found
