"""What the index knows and gives, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["function", "method", "class", "interface", "enum", "type", "constant", "variable", "module"]


@dataclass(frozen=True, slots=True)
class Symbol:
    """A definition."""

    path: str
    name: str
    qualified: str
    """Names of the enclosing definitions and its own, joined by dots; without the module."""
    kind: Kind
    first: int
    """First line, decorators included; lines count from 1."""
    line: int
    """The line that names it."""
    last: int


@dataclass(frozen=True, slots=True)
class Reference:
    """A line that uses a name, outside of strings and comments."""

    path: str
    line: int
    text: str
    """The line, stripped, at most 200 characters."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that a search found."""

    path: str
    first: int
    last: int
    symbol: str
    """Qualified name of the definition that it is (part of); "" outside of all."""
    score: float
    """Larger is better; comparable within one search."""
    text: str
    """The lines themselves, at most 4,000 characters."""


@dataclass(frozen=True, slots=True)
class Stats:
    """What an index holds, and what it took."""

    files: int
    """Files that were read; the tree's other files are in `skipped`."""
    lines: int
    symbols: int
    chunks: int
    seconds: float
    """Of building or refreshing it."""
    cached_share: float
    """Share of the files, between 0 and 1, that did not have to be read again."""
    languages: Mapping[str, int] = field(default_factory=dict)
    """Language → files."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Why files were left out → how many."""
    bytes_on_disk: int = 0
    """Size of the index's file; 0 where it is in memory only."""
    notes: tuple[str, ...] = ()
    """Sentences for a person: a cache that could not be used, and why."""


RawSymbol = tuple[str, str, str, int, int, int]
"""Name, qualified name, kind, first line, naming line, last line."""
RawChunk = tuple[int, int, str, str]
"""First line, last line, qualified name, words for the full-text search."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What one file's contents say; made of plain values, so that it can cross a pipe."""

    language: str
    lines: int
    symbols: tuple[RawSymbol, ...]
    imports: tuple[str, ...]
    """As written, relative ones with their leading dots."""
    uses: Mapping[str, tuple[int, ...]]
    """Identifier → lines that use it, sorted."""
    chunks: tuple[RawChunk, ...]
    skipped: str = ""
    """Why nothing was read; "" where it was."""
