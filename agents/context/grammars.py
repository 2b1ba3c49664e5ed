"""Definitions and imports of languages that tree-sitter has grammars for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agents.context.facts import RawSymbol


@dataclass(frozen=True, slots=True)
class Grammar:
    """How one language is read."""

    read: Callable[[bytes], tuple[list[RawSymbol], list[str]]]
    """Source → symbols in order, and imports as written; source with errors is read as far as it can be."""
    reserved: frozenset[str]


GRAMMARS: dict[str, Callable[[], Grammar]] = {}
