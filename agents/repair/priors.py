"""How likely each kind of change is to be a repair, before anything is run."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

Priors = dict[str, float]

UNKNOWN = -4.5
"""Log prior of a rule that the table lacks."""


@cache
def default_priors() -> Priors:
    """Return rule → natural logarithm of its prior, from `priors.toml`; read once."""
    with Path(__file__).with_name("priors.toml").open("rb") as stream:
        table = tomllib.load(stream)
    return {f"{family}.{name}": float(value) for family, rules in table.items() for name, value in rules.items()}
