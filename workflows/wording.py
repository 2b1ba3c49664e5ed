"""How counts and names are put into sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence

SHOWN = 5
"""How many names a sentence lists."""
_ACTED_ON = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]"
)
"""What a terminal acts on, does not show, or shows in another order than it stands there."""


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
    """Return text that any terminal shows as it is: escape sequences, hidden text and what is not UTF-8 are escaped."""
    plain = text.encode("utf-8", "backslashreplace").decode()
    return _ACTED_ON.sub(lambda found: found[0].encode("unicode_escape").decode(), plain)
