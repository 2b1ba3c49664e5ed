"""Constants of modules and classes are exchanged in the running program where nothing else was made from them."""

from __future__ import annotations

import pytest

from tests.trials.conftest import Bench, OpenBench

CODE = """
    import enum
    import re

    SECONDS = {"m": 60, "h": 360}
    LONGEST = max(SECONDS.values())
    WORD = r"[a-z]+"
    PATTERN = re.compile(WORD)
    LIMIT = 3
    EARLY = []
    EARLY.append(LIMIT)


    class Clock:
        size = 12
        half: int = 55

        def hours(self):
            return self.size + self.half


    class Colour(enum.Enum):
        RED = 1


    def seconds(count, unit="h"):
        return count * SECONDS[unit]


    def longest():
        return LONGEST


    def words(text):
        return PATTERN.findall(text)


    def bounded(values, limit=LIMIT):
        return values[:limit]
    """
OTHER = """
    from constants import SECONDS

    def minutes(count):
        return count * SECONDS["m"]
    """
TESTS = """
    from constants import Clock, Colour, bounded, longest, seconds, words
    from other import minutes

    def test_seconds():
        assert seconds(2) == 7200

    def test_longest():
        assert longest() == 3600

    def test_words():
        assert words("A big Cat") == ["A", "big", "Cat"]

    def test_hours():
        assert Clock().hours() == 68

    def test_bounded():
        assert bounded([1, 2, 3, 4, 5]) == [1, 2, 3, 4]

    def test_colour():
        assert Colour.RED.value == 2

    def test_minutes():
        assert minutes(1) == 6
    """
PATH = "constants.py"
FILES = {PATH: CODE, "other.py": OTHER, "tests/test_constants.py": TESTS}


def opened(bench: OpenBench, *names: str) -> Bench:
    return bench(FILES, [f"tests/test_constants.py::test_{name}" for name in names])


def test_a_table_and_what_is_computed_from_it(bench: OpenBench) -> None:
    one = opened(bench, "seconds", "longest")
    trials = one.run(('"h": 360}', '"h": 3600}'), ('"h": 360}', '"h": 3601}'), ("60, ", "61, "), path=PATH)
    assert [(t.verdict, t.way) for t in trials] == [("passed", "swap"), ("failed", "swap"), ("failed", "swap")]
    assert one.verdicts(('"h": 360}', '"h": 3600}'), path=PATH) == ["passed"]


def test_patterns_class_attributes_and_names_imported_elsewhere(bench: OpenBench) -> None:
    assert opened(bench, "words").verdicts(("[a-z]+", "[A-Za-z]+"), ("[a-z]+", "[A-Z]+"), path=PATH) == [
        "passed", "failed",
    ]  # fmt: skip
    assert opened(bench, "hours").verdicts(("55", "56"), path=PATH) == ["passed"]
    assert opened(bench, "minutes").verdicts(('"m": 60', '"m": 6'), path=PATH) == ["passed"]


@pytest.mark.parametrize(
    ("test", "old", "new"),
    [
        ("bounded", "LIMIT = 3", "LIMIT = 4"),
        ("colour", "RED = 1", "RED = 2"),
        ("seconds", "import re", "import re, os"),
    ],
)
def test_what_else_is_made_on_import_needs_one(bench: OpenBench, test: str, old: str, new: str) -> None:
    assert opened(bench, test).verdicts((old + "\n", new + "\n"), path=PATH) == ["import"]


def test_a_value_that_cannot_be_computed_is_told(bench: OpenBench) -> None:
    one = opened(bench, "seconds")
    broken, wrong = one.run(('"h": 360}', '"h": 1 // 0}'), ('"h": 360}', '"h": missing}'), path=PATH)
    assert broken.verdict == wrong.verdict == "uncompilable"
