"""Inputs for comparing behaviour, made from recorded ones by the types of what was seen."""

from __future__ import annotations

import copy
import random
import types
from typing import Any, Dict, Iterator, List, Sequence, Set, Tuple

from .trial_record import NODES, Call
from .trial_values import canonical


class Pool:
    """What was seen, by type, so that variations stay in the range of the plausible."""

    def __init__(self, calls: Sequence[Call], constants: Sequence[Any]) -> None:
        self.ints: List[int] = [c for c in constants if type(c) is int and abs(c) < 10**6]
        self.floats: List[float] = [c for c in constants if type(c) is float]
        self.texts: List[str] = [c for c in constants if type(c) is str and 0 < len(c) < 20]
        self.negative = False
        self.largest = 4
        for call in calls:
            for value in _leaves(call.arguments, 6):
                if type(value) is int:
                    if len(self.ints) < 400:
                        self.ints.append(value)
                    self.negative = self.negative or value < 0
                    self.largest = max(self.largest, abs(value))
                elif type(value) is float and len(self.floats) < 200:
                    self.floats.append(value)
                    self.negative = self.negative or value < 0
                elif type(value) is str and len(value) < 200 and len(self.texts) < 200:
                    self.texts.append(value)


def _leaves(value: Any, depth: int) -> Iterator[Any]:
    if isinstance(value, dict):
        if depth:
            for key, inner in list(value.items()):
                yield from _leaves(key, depth - 1)
                yield from _leaves(inner, depth - 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        if depth:
            for inner in list(value):
                yield from _leaves(inner, depth - 1)
    else:
        yield value


def vary(value: Any, pool: Pool, dice: random.Random, depth: int = 5) -> Any:
    """Return a value of the same type that differs from `value` in one place, as a rule."""
    kind = type(value)
    if kind is bool:
        return not value
    if kind is int:
        return _vary_int(value, pool, dice)
    if kind is float:
        return _vary_float(value, pool, dice)
    if kind is str:
        return _vary_text(value, pool, dice)
    if kind is bytes:
        return bytes(_vary_sequence(list(value), pool, dice, 0))
    if kind is list:
        return _vary_sequence(value, pool, dice, depth)
    if kind is tuple:
        if depth and value and dice.random() < 0.8:
            # Tuples are records more often than sequences: keep their length.
            at = dice.randrange(len(value))
            return (*value[:at], vary(value[at], pool, dice, depth - 1), *value[at + 1 :])
        return tuple(_vary_sequence(list(value), pool, dice, depth))
    if kind is set or kind is frozenset:
        try:
            return kind(_vary_sequence(sorted(value, key=repr), pool, dice, 0))
        except TypeError:
            return value
    if isinstance(value, dict):
        return _vary_dict(value, pool, dice, depth)
    return value


def _vary_int(value: int, pool: Pool, dice: random.Random) -> int:
    choice = dice.randrange(7)
    if choice == 0:
        found = value + 1
    elif choice == 1:
        found = value - 1
    elif choice == 2:
        found = 0
    elif choice == 3:
        found = dice.choice(pool.ints) if pool.ints else 1
    elif choice == 4:
        found = dice.choice(pool.ints or [1]) + dice.choice((-1, 1))
    elif choice == 5:
        found = dice.randint(0, min(2 * pool.largest, 1000))
    else:
        found = -value if pool.negative else value * 2
    if found < 0 and not pool.negative and dice.random() < 0.8:
        return abs(found)
    return found if abs(found) <= max(1000, 4 * pool.largest) else value


def _vary_float(value: float, pool: Pool, dice: random.Random) -> float:
    choice = dice.randrange(5)
    if choice == 0:
        return 0.0
    if choice == 1:
        return value + dice.choice((-1.0, 1.0, 0.5))
    if choice == 2 and pool.floats:
        return dice.choice(pool.floats)
    if choice == 3:
        return value / 2
    return -value if pool.negative else value * 1.5


def _vary_text(value: str, pool: Pool, dice: random.Random) -> str:
    choice = dice.randrange(8)
    at = dice.randrange(len(value) + 1)
    if choice == 0:
        return ""
    if choice == 1 and value:
        at = dice.randrange(len(value))
        return value[:at] + value[at + 1 :]
    if choice == 2 and value:
        at = dice.randrange(len(value))
        return value[: at + 1] + value[at:]
    if choice == 3:
        return value[::-1]
    if choice == 4 and pool.texts:
        return dice.choice(pool.texts)
    if choice == 5:
        return value[at:] + value[:at]
    if choice == 6:
        return value[:at] + dice.choice(dice.choice(pool.texts or ["a"]) or "a") + value[at:]
    return value.swapcase() if value.swapcase() != value else value + value


def _vary_sequence(value: List[Any], pool: Pool, dice: random.Random, depth: int) -> List[Any]:
    choice = dice.randrange(9)
    items = list(value)
    if not items:
        return [dice.choice(pool.ints)] if pool.ints and depth == 5 and dice.random() < 0.3 else items
    at = dice.randrange(len(items))
    if choice == 0:
        return []
    if choice == 1:
        return [items[at]]
    if choice == 2:
        return items[:at] + items[at + 1 :]
    if choice == 3:
        return items[: at + 1] + items[at:]
    if choice == 4:
        items.reverse()
        return items
    if choice == 5:
        dice.shuffle(items)
        return items
    if choice == 6 and len(items) > 1:
        items[at] = copy.deepcopy(items[at - 1])
        return items
    if depth:
        items[at] = vary(items[at], pool, dice, depth - 1)
    elif type(items[at]) is int:
        items[at] = min(255, max(0, items[at] + dice.choice((-1, 1))))
    return items


def _vary_dict(value: Dict[Any, Any], pool: Pool, dice: random.Random, depth: int) -> Dict[Any, Any]:
    changed = copy.copy(value)
    if not changed:
        return changed
    key = dice.choice(list(changed))
    choice = dice.randrange(4)
    if choice == 0:
        del changed[key]
    elif choice == 1 and depth:
        fresh = vary(key, pool, dice, 0)
        try:
            changed[fresh] = copy.deepcopy(changed[key])
        except TypeError:
            pass
    elif depth:
        changed[key] = vary(changed[key], pool, dice, depth - 1)
    return changed


def generate(calls: Sequence[Call], constants: Sequence[Any], wanted: int, seed: int = 7) -> List[Call]:
    """Return calls made from the recorded ones, all different from those and from one another.

    Half of them come from calls in failing tests: near those, candidates differ most.
    """
    dice = random.Random(seed)  # noqa: S311 - must be the same every time
    pool = Pool(calls, constants)
    seen = {(id(call.code), call.key) for call in calls}
    by_code: Dict[int, List[Call]] = {}
    for call in calls:
        by_code.setdefault(id(call.code), []).append(call)
    telling = [call for call in calls if call.kind != "passing"] or list(calls)
    made: List[Call] = []
    for attempt in range(wanted * 6):
        if len(made) >= wanted or not calls:
            break
        origins = telling if attempt % 2 else calls
        origin = origins[attempt // 2 % len(origins)]
        try:
            positional, keywords = copy.deepcopy(origin.arguments)
            for _ in range(dice.choice((1, 1, 1, 2, 3))):
                _vary_arguments(positional, keywords, by_code[id(origin.code)], pool, dice)
            key, nodes = canonical([positional, keywords])
        except Exception:  # noqa: S112 - a value that cannot be copied or written down makes no input
            continue
        if nodes > NODES or (id(origin.code), key) in seen:
            continue
        seen.add((id(origin.code), key))
        made.append(Call(origin.code, (positional, keywords), key, "generated"))
    return made


Place = Tuple[Any, Any]
"""A list or dictionary and the index or key of a value in it."""


def _vary_arguments(
    positional: List[Any], keywords: Dict[str, Any], others: Sequence[Call], pool: Pool, dice: random.Random
) -> None:
    top: List[Place] = [(positional, i) for i, v in enumerate(positional) if _plain(v)]
    top += [(keywords, name) for name, value in keywords.items() if _plain(value)]
    choice = dice.random()
    if top and choice < 0.5:
        holder, key = dice.choice(top)
        if choice < 0.08 and holder is positional:
            other = dice.choice(others).arguments[0]
            if key < len(other) and type(other[key]) is type(holder[key]):
                holder[key] = copy.deepcopy(other[key])
                return
        holder[key] = vary(holder[key], pool, dice)
        return
    deep: List[Place] = []
    _places([positional, keywords], 6, deep, set())
    if not deep:
        return
    holder, key = dice.choice(deep)
    value = holder[key]
    if choice < 0.7 or not _atom(value):
        holder[key] = vary(value, pool, dice)
    elif choice < 0.88 or type(value) is not int:
        # The same value in several places often has to stay the same, and a boundary has to stay one.
        fresh = vary(value, pool, dice)
        for holder, key in deep:
            if type(holder[key]) is type(value) and holder[key] == value:
                holder[key] = fresh
    else:
        step = dice.choice((1, -1, 2, 10))
        for holder, key in deep:
            if type(holder[key]) is int and (holder[key] + step >= 0 or pool.negative):
                holder[key] += step


def _places(value: Any, depth: int, found: List[Place], seen: Set[int]) -> None:
    """Collect where plain values stand inside containers and objects, those of objects included."""
    if id(value) in seen or depth < 0 or len(found) > 200:
        return
    seen.add(id(value))
    pairs: Any = ()
    holder: Any = None
    if isinstance(value, list):
        pairs, holder = list(enumerate(value)), value
    elif isinstance(value, dict):
        pairs, holder = list(value.items()), value
    elif isinstance(value, tuple):
        for inner in value:
            _places(inner, depth - 1, found, seen)
    elif type(getattr(value, "__dict__", None)) is dict and not isinstance(value, (type, types.FunctionType)):
        holder = vars(value)
        pairs = list(holder.items())
    for key, inner in pairs:
        if _plain(inner) and depth < 6:
            found.append((holder, key))
        if not _atom(inner):
            _places(inner, depth - 1, found, seen)


def _atom(value: Any) -> bool:
    return isinstance(value, (bool, int, float, str, bytes))


def _plain(value: Any) -> bool:
    return isinstance(value, (bool, int, float, str, bytes, list, tuple, set, frozenset, dict))
