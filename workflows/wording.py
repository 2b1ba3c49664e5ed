"""How counts and names are put into sentences."""

from __future__ import annotations

from collections.abc import Sequence

SHOWN = 5
"""How many names a sentence lists."""


def plural(count: int, noun: str) -> str:
    """Return "1 test" or "2 tests"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def passing_tests(count: int, still: str = "") -> str:
    """Return "1 test passes" or "2 tests pass"; `still` comes before the verb."""
    return f"{plural(count, 'test')} {still}{'passes' if count == 1 else 'pass'}"


def listed(names: Sequence[str]) -> str:
    """Return the first few names and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(printable(name) for name in names[:SHOWN]) + more


def printable(text: str) -> str:
    """Return text that any terminal takes: what is not UTF-8 is shown escaped."""
    return text.encode("utf-8", "backslashreplace").decode()
