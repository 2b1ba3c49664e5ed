"""Tables of what is mistaken for what in Python programs, read from `idioms.toml`."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, cast

from agents.repair.guesses import Guess


@cache
def _tables() -> dict[str, Any]:
    with Path(__file__).with_name("idioms.toml").open("rb") as stream:
        return tomllib.load(stream)


@cache
def kin(table: str) -> dict[str, list[str]]:
    """Return name → names that it is mistaken for, likeliest first; `table` is `functions` or `methods`."""
    found: dict[str, list[str]] = {}
    for line in _tables()[table]:
        group = line.split()
        for name in group:
            known = found.setdefault(name, [])
            known.extend(n for n in group if n != name and n not in known)
    return found


@cache
def opposites(name: str) -> tuple[str, ...]:
    """Return the names that have the opposite word (`left_edge` for `right_edge`), likeliest first."""
    table = kin("opposites")
    found: dict[str, None] = {}
    words = re.split(r"(_|(?<=[a-z])(?=[A-Z]))", name)
    for index, word in enumerate(words):
        for other in table.get(word.lower(), ()):
            written = other.capitalize() if word[:1].isupper() else other
            found["".join([*words[:index], written, *words[index + 1 :]])] = None
    return tuple(found)


def _scored(table: str) -> tuple[tuple[str, frozenset[Guess], float], ...]:
    rows = _tables()[table].items()
    return tuple((name, cast("frozenset[Guess]", frozenset(types.split())), score) for name, (types, score) in rows)


@cache
def wrappers() -> tuple[tuple[str, frozenset[Guess], float], ...]:
    """Return functions that values are wrapped in: name, rough types of the values, log score."""
    return _scored("wrappers")


@cache
def suffixes() -> tuple[tuple[str, frozenset[Guess], float], ...]:
    """Return what is written behind values: text, rough types of the values, log score."""
    return _scored("suffixes")


@cache
def forgotten_arguments() -> dict[str, list[str]]:
    """Return function or method → arguments that are often forgotten."""
    table: dict[str, list[str]] = _tables()["arguments"]
    return table
