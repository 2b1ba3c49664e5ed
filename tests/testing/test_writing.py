"""How scenarios are chosen and written down."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from agents.testing import names
from agents.testing.choosing import choose
from agents.testing.files import file_text, module_name
from agents.testing.suspicions import suspects
from agents.testing.writing import Style, Writer
from sandbox.runners.exploring import Call, Doubt, Exploration, Line, Scenario, Spot, Verdict
from sandbox.tree import Entry, Tree

TREE = Tree({"things.py": Entry(b"")})


def call(number: int, argument: str, line: Line, hits: Sequence[int]) -> Scenario:
    return Scenario(number, "double", (line,), frozenset(hits), "search", {"double": "own"},
                    Call("double", (argument,), ()))  # fmt: skip


def exploration() -> Exploration:
    spots = tuple(Spot("line", line, "", "double") for line in range(1, 6))
    found = Exploration(spots=spots, parameters={"double": ("number",)})
    found.scenarios = {
        1: call(1, "2", Line("eq", "double(2)", "4"), [0, 1]),
        2: call(2, "-3", Line("eq", "double(-3)", "-6"), [0, 2]),
        3: call(3, "22222222222", Line("eq", "double(22222222222)", "44444444444"), [0, 1]),
        4: call(4, "None", Line("raises", "double(None)", "ValueError", "no number"), [3]),
        5: Scenario(5, "Box", (Line("do", "box = Box()"), Line("do", "box.put(1)", alone="box.put(1)"),
                               Line("eq", "box.take()", "1")), frozenset([4]), "search", {"Box": "own"}),
    }  # fmt: skip
    return found


def written(style: Style) -> str:
    found = exploration()
    tests = Writer(style, found.parameters, {}).tests(choose(found))
    return file_text("things", "tests/test_things.py", tests, style, TREE)


def test_only_what_adds_something_is_chosen_and_the_shorter_of_equals() -> None:
    assert {one.scenario.id for one in choose(exploration())} == {1, 2, 4, 5}
    assert {one.scenario.id for one in choose(exploration(), ran=[0, 1, 4])} == {2, 4}
    assert {one.scenario.id for one in choose(exploration(), doubted=["double"])} == {5}
    assert choose(exploration(), ran=range(5)) == ()


def test_a_mutant_that_only_one_notices_keeps_it() -> None:
    found = exploration()
    found.verdicts = {"m": Verdict("judged", frozenset([3]))}
    chosen = {one.scenario.id: one for one in choose(found)}
    assert chosen[3].adds == "2 lines or branches and 1 mutants"
    assert 1 not in chosen
    assert 3 not in {one.scenario.id for one in choose(found, noticed=["m"])}


def test_calls_of_one_function_become_a_table_in_the_style_of_pytest() -> None:
    assert written("pytest") == (
        "import pytest\n\nfrom things import Box, double\n\n\n"
        '@pytest.mark.parametrize(\n    ("number", "expected"),\n    [\n        (2, 4),\n        (-3, -6),\n    ],\n)\n'
        "def test_double(number, expected):\n    assert double(number) == expected\n\n\n"
        "def test_double_raises_value_error_for_none():\n"
        '    with pytest.raises(ValueError, match="no number"):\n        double(None)\n\n\n'
        "def test_box_put_take():\n    box = Box()\n    box.put(1)\n    assert box.take() == 1\n"
    )


def test_and_a_loop_of_sub_tests_in_the_style_of_unittest() -> None:
    text = written("unittest")
    assert "class ThingsTests(unittest.TestCase):" in text
    assert "        for number, expected in [\n            (2, 4),\n            (-3, -6),\n        ]:\n" in text
    assert "                self.assertEqual(double(number), expected)" in text
    assert 'with self.assertRaisesRegex(ValueError, "no number"):' in text


def test_the_repository_formats() -> None:
    tree = Tree({"pyproject.toml": Entry(b'[tool.ruff.format]\nquote-style = "single"\n')})
    found = exploration()
    tests = Writer("pytest", found.parameters, {}).tests(choose(found, ran=[0, 1, 2, 4]))
    assert "match='no number'" in file_text("things", "tests/test_things.py", tests, "pytest", tree)


@pytest.mark.parametrize(
    ("source", "words"),
    [("''", "empty_string"), ("[]", "empty_list"), ("0", "zero"), ("-5", "minus_5"), ("None", "none"),
     ("[1, 2]", "list_of_2"), ("'Hello World'", "hello_world"), ("lambda x: x", ""), ("len", "len")],
)  # fmt: skip
def test_values_are_described_in_names(source: str, words: str) -> None:
    assert names.described(source) == words


def test_modules_are_named_as_they_are_imported() -> None:
    assert module_name("src/shop/prices.py", ["src", "."]) == "shop.prices"
    assert module_name("shop/__init__.py", ["."]) == "shop"


def test_what_contradicts_its_documentation_is_a_suspect() -> None:
    found = exploration()
    found.doubts = [Doubt("double", "double(2)", "4", "5")]
    (one,) = suspects(found, "things.py", "x = 1\n\n\ndef double(number):\n    return 5\n")
    assert (one.path, one.line, one.name) == ("things.py", 4, "double")
    assert one.example == "double(2)\n# the docstring says: 4\n# it gives: 5"
