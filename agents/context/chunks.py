"""Cuts a file into passages that follow its syntax."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agents.context.facts import RawChunk, RawSymbol
from agents.context.lexing import searchable

MOST_LINES = 60
"""Longer passages are cut, at blank lines where that can be done."""
_CONTAINERS = frozenset({"class", "interface", "enum", "module"})
_WHOLE = frozenset({"function", "method", "class", "interface", "enum", "type", "module"})


def cut(lines: Sequence[str], symbols: Sequence[RawSymbol]) -> tuple[RawChunk, ...]:
    """Return passages without overlap: functions whole, classes without their methods, and the lines between."""
    owners = [""] * (len(lines) + 2)
    starts: set[int] = set()
    for _, qualified, kind, first, _, last in sorted(symbols, key=lambda s: (s[3], -s[5])):
        if kind not in _WHOLE or (kind not in _CONTAINERS and _inside_function(owners, first)):
            continue
        mark = qualified if kind in _CONTAINERS else qualified + "()"
        owners[first : last + 1] = [mark] * (min(last, len(lines)) - first + 1)
        starts.add(first)
    found: list[RawChunk] = []
    first = 1
    for number in range(2, len(lines) + 2):
        if number > len(lines) or owners[number] != owners[first] or number in starts:
            found.extend(_pieces(lines, first, number - 1, owners[first].removesuffix("()")))
            first = number
    return tuple(found)


def _inside_function(owners: Sequence[str], line: int) -> bool:
    return line < len(owners) and owners[line].endswith("()")


def _pieces(lines: Sequence[str], first: int, last: int, symbol: str) -> Iterator[RawChunk]:
    while first <= last and not lines[first - 1].strip():
        first += 1
    while last >= first and not lines[last - 1].strip():
        last -= 1
    while first <= last:
        end = last if last - first < MOST_LINES else _break(lines, first)
        yield first, end, symbol, searchable("\n".join(lines[first - 1 : end]))
        first = end + 1


def _break(lines: Sequence[str], first: int) -> int:
    """Return the last line of a piece that begins at `first`: a blank one in its second half, or at the limit."""
    for number in range(first + MOST_LINES - 1, first + MOST_LINES // 2, -1):
        if not lines[number - 1].strip():
            return number
    return first + MOST_LINES - 1
