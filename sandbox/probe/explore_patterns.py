"""Texts that a regular expression matches, and near misses of them."""

from __future__ import annotations

import random
import re
from typing import Any, List, Pattern

try:
    from re import _parser as parser  # type: ignore[attr-defined, unused-ignore]
except ImportError:
    import sre_parse as parser  # type: ignore[no-redef, unused-ignore]

_CLASSES = {
    "CATEGORY_DIGIT": "0123456789", "CATEGORY_NOT_DIGIT": "ab-",
    "CATEGORY_SPACE": " ", "CATEGORY_NOT_SPACE": "ab1", "CATEGORY_WORD": "abz019_", "CATEGORY_NOT_WORD": " -.",
}  # fmt: skip
LENGTH = 60


def examples(pattern: Pattern[Any], dice: random.Random, count: int = 12) -> List[str]:
    """Return up to `count` short texts, most of which the pattern matches; none where it cannot be read."""
    if not isinstance(pattern.pattern, str):
        return []
    try:
        tree = parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    except Exception:
        return []
    found: List[str] = []
    for _ in range(3 * count):
        try:
            text = _Maker(dice).sequence(tree)
        except (RecursionError, ValueError, IndexError, TypeError):
            continue
        if len(text) <= LENGTH and text not in found:
            found.append(text)
        if len(found) >= count:
            break
    return found


class _Maker:
    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._groups: Any = {}

    def sequence(self, items: Any) -> str:
        return "".join(self._one(str(code), value) for code, value in items)

    def _one(self, code: str, value: Any) -> str:
        dice = self._dice
        if code == "LITERAL":
            return chr(value)
        if code == "NOT_LITERAL":
            return "a" if value != ord("a") else "b"
        if code == "ANY":
            return dice.choice("ab1 ")
        if code == "IN":
            return self._set(value)
        if code == "BRANCH":
            return self.sequence(dice.choice(value[1]))
        if code == "SUBPATTERN":
            text = self.sequence(value[-1])
            self._groups[value[0]] = text
            return text
        if code == "ATOMIC_GROUP":
            return self.sequence(value)
        if code in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            least, most, inner = value
            times = dice.randint(least, min(int(most), least + 3))
            return "".join(self.sequence(inner) for _ in range(times))
        if code == "GROUPREF":
            return str(self._groups.get(value, ""))
        return ""

    def _set(self, items: Any) -> str:
        dice = self._dice
        negative = str(items[0][0]) == "NEGATE"
        letters: List[str] = []
        for code, value in items:
            name = str(code)
            if name == "LITERAL":
                letters.append(chr(value))
            elif name == "RANGE":
                low, high = value
                letters += [chr(low), chr(high), chr(dice.randint(low, high))]
            elif name == "CATEGORY":
                letters += _CLASSES.get(str(value), "a")
        if negative:
            others = [letter for letter in "ab1 -_.Z" if letter not in letters]
            return dice.choice(others or ["~"])
        return dice.choice(letters)
