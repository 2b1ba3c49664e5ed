"""What candidates return is compared by what equality sees, and inputs are varied within what was seen."""

from __future__ import annotations

import collections
import enum
import random
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.probe.trial_inputs import Pool, generate, vary
from sandbox.probe.trial_record import Call, Recorder
from sandbox.probe.trial_values import canonical, fingerprint


def seeded() -> random.Random:
    return random.Random(1)  # noqa: S311 - the same every time


class Colour(enum.Enum):
    RED = 1


class Point:
    def __init__(self, x: object, y: object) -> None:
        self.x, self.y = x, y


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self) -> None:
        self.a = 1


class Bare:
    def __repr__(self) -> str:
        return "bare"


class Array:
    def tolist(self) -> list[int]:
        return [1, 2]


def text(value: object) -> str:
    return canonical(value)[0]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (1, True),
        (1, 1.0),
        (0.1 + 0.2, 0.3),
        (0.0, -0.0),
        ({1: 2, 3: 4}, {3: 4, 1: 2}),
        ({3, 1, 2}, frozenset({2, 1, 3})),
        (Point(1, [2]), Point(1, [2])),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (collections.deque([1]), collections.deque([1])),
        (ValueError("a"), ValueError("a")),
        (float("nan"), float("nan")),
        (iter([1, 2]), (n for n in (1, 2))),
        (Array(), Array()),
        (10**100, 10**100),
        (1 + 2j, 1 + 2j),
    ],
)
def test_equal_values_share_a_text(one: object, two: object) -> None:
    assert text(one) == text(two)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (1, 2),
        (1, "1"),
        (None, 0),
        ([1], (1,)),
        ("a", b"a"),
        (Point(1, 2), Point(2, 1)),
        (ValueError("a"), KeyError("a")),
        (float("inf"), float("-inf")),
        (collections.OrderedDict([(1, 1), (2, 2)]), collections.OrderedDict([(2, 2), (1, 1)])),
        (Colour.RED, 1),
        (int, float),
        (len, sys),
        (Slotted(), Bare()),
    ],
)
def test_unlike_values_do_not(one: object, two: object) -> None:
    assert text(one) != text(two)


def test_loops_depth_and_length_are_bounded() -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    deep: list[Any] = []
    for _ in range(50):
        deep = [deep]
    assert "up>" in text(loop)
    assert "<list>" in text(deep)
    assert "more" in text(list(range(5000)))
    assert canonical(list(range(10)))[1] == 11
    assert len(fingerprint("x" * 10**6)) == 12


def module_of(source: str, name: str = "recorded") -> types.ModuleType:
    module = types.ModuleType(name)
    exec(compile(source, f"/project/{name}.py", "exec"), vars(module))  # noqa: S102 - a module to be recorded
    return module


SOURCE = """
class Box:
    def __init__(self, size): self.size = size
    def grow(self, by, *more, factor=1, **rest):
        inner(by)
        self.size += by * factor
        return self.size

def inner(x): return x

def outer(items): return [inner(item) for item in items]

def lazy(items):
    for item in items:
        yield inner(item)

def alone(x): return x
"""


def recorded(units_only: bool = False) -> tuple[types.ModuleType, Recorder]:
    module = module_of(SOURCE)
    units = {id(module.inner.__code__)}
    recorder = Recorder(lambda code: code.co_filename.startswith("/project/"), units, units_only)
    recorder.begin("failing")
    try:
        items = [3, 1]
        module.outer(items)
        items.clear()
        module.Box(2).grow(5, 6, factor=2, extra="e")
        list(module.lazy([7, 8]))
        module.alone(object())
        module.outer([3, 1])
    finally:
        recorder.end()
    return module, recorder


def test_calls_from_outside_are_recorded_with_their_arguments_as_they_were() -> None:
    module, recorder = recorded()
    calls = {call.code.co_name: call for call in recorder.calls if call.relevant}
    assert set(calls) == {"outer", "grow", "lazy"}
    assert calls["outer"].arguments == ([[3, 1]], {})
    positional, keywords = calls["grow"].arguments
    assert (positional[0].size, positional[1:], keywords) == (2, [5, 6], {"factor": 2, "extra": "e"})
    assert calls["lazy"].arguments == ([[7, 8]], {})
    assert len([c for c in recorder.calls if c.code is module.outer.__code__]) == 1
    assert recorder.last is not None


def test_calls_of_the_changed_functions_themselves_can_be_asked_for() -> None:
    _, recorder = recorded(units_only=True)
    assert sorted(call.arguments[0][0] for call in recorder.calls) == [1, 3, 5, 7, 8]


def call(*positional: object, kind: str = "failing", **keywords: object) -> Call:
    code = module_of("def f(*a, **k): pass").f.__code__
    return Call(code, (list(positional), dict(keywords)), text([list(positional), keywords]), kind)


def test_made_inputs_are_new_all_different_and_the_same_every_time() -> None:
    origin = [call([1, 2, 3], "abc", {"k": 1.5}, (1, "x"), {4}, True, b"ab", other=7)]
    made = generate(origin, [10, "z"], 100)
    assert len(made) == 100
    keys = [one.key for one in made]
    assert len({*keys, origin[0].key}) == 101
    assert keys == [one.key for one in generate(origin, [10, "z"], 100)]
    for one in made:
        numbers, word, table, pair, group, flag, raw = one.arguments[0]
        kinds = (list, str, dict, tuple, set, bool, bytes)
        assert tuple(map(type, (numbers, word, table, pair, group, flag, raw))) == kinds
        assert type(one.arguments[1]["other"]) is int
        assert all(n >= 0 for n in numbers), "no negative number was seen"


def test_equal_values_are_changed_together_now_and_then() -> None:
    made = generate([call(Point(5, 5), 5)], [], 200)
    moved = [one.arguments[0] for one in made if one.arguments[0][1] != 5]
    assert any(point.x == point.y == other for point, other in moved)


def test_nothing_is_made_of_nothing() -> None:
    assert generate([], [], 10) == []
    assert generate([call(None)], [], 10) == []


@pytest.mark.parametrize("value", [0, -3, 1.5, -2.0, "", "word", [], [1, 2], (), (1, 2), set(), {1, 2}, {}, {"a": [1]}])
def test_a_variation_keeps_the_type(value: object) -> None:
    dice = seeded()
    pool = Pool([call(value, -7, 2.5, "seen", [4])], [3, 0.5, "c"])

    def tries() -> Iterator[object]:
        for _ in range(60):
            yield vary(value, pool, dice)

    found = list(tries())
    assert all(type(one) is type(value) for one in found)
    if value not in ([], (), set(), {}):
        assert any(one != value for one in found)


def test_what_cannot_be_varied_stays() -> None:
    thing = object()
    pool = Pool([], [])
    assert vary(thing, pool, seeded()) is thing
    assert vary({1, "a"}, pool, seeded()) is not None
