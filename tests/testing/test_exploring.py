"""What exploring a module finds, and what it leaves alone."""

from __future__ import annotations

from sandbox.runners.exploring import Exploration, Line, Scenario
from tests.testing.conftest import Explore


def of(found: Exploration, target: str) -> list[Scenario]:
    return [scenario for scenario in found.scenarios.values() if scenario.target == target]


def missing(found: Exploration) -> list[tuple[int, str]]:
    ran = set(found.imported).union(*(scenario.hits for scenario in found.scenarios.values()))
    return [(s.line, s.way) for n, s in enumerate(found.spots) if s.kind in {"line", "branch"} and n not in ran]


def test_both_sides_of_every_branch_are_reached_by_what_the_code_compares_with(
    explored: Explore,
) -> None:
    found = explored(
        """
        def grade(points: int, name: str) -> str:
            if points < 0 or points > 1234:
                raise ValueError("points are out of range")
            if points == 777:
                return "lucky"
            if name.startswith("Dr. "):
                return "doctor"
            return "high" if points > 600 else "low"
        """
    )
    assert not found.error
    assert missing(found) == []
    results = {line.want for scenario in of(found, "grade") for line in scenario.lines if line.operation == "eq"}
    assert {"'lucky'", "'doctor'", "'high'", "'low'"} <= results
    raising = [line for s in of(found, "grade") for line in s.lines if line.operation == "raises"]
    assert {(line.want, line.message) for line in raising} == {("ValueError", "points are out of range")}


def test_errors_that_the_code_does_not_raise_itself_are_no_contract(explored: Explore) -> None:
    found = explored("def double(items):\n    return [item * 2 for item in items.copy()]\n", seconds=1.0)
    assert of(found, "double")
    assert not [line for s in found.scenarios.values() for line in s.lines if line.operation == "raises"]


def test_objects_are_tested_by_sequences_of_calls(explored: Explore) -> None:
    found = explored(
        """
        class Stack:
            def __init__(self, limit=3):
                self._items = []
                self.limit = limit

            def push(self, item):
                if len(self._items) >= self.limit:
                    raise OverflowError("the stack is full")
                self._items.append(item)

            def pop(self):
                if not self._items:
                    raise IndexError("the stack is empty")
                return self._items.pop()

            def __len__(self):
                return len(self._items)
        """,
        seconds=3.0,
    )
    assert missing(found) == []
    texts = ["\n".join(line.text for line in scenario.lines) for scenario in of(found, "Stack")]
    assert any(text.count(".push(") and ".pop()" in text for text in texts)
    assert any(Line("eq", "len(stack)", "1", view=True) in scenario.lines for scenario in of(found, "Stack"))


def test_what_reaches_for_files_programs_clocks_or_chance_is_left_out_with_a_word(explored: Explore) -> None:
    found = explored(
        """
        import os
        import random
        import subprocess
        import time

        def clean(name: str) -> None:
            os.remove(name)

        def listing() -> bytes:
            return subprocess.check_output(["ls"])

        def stamp(name: str) -> str:
            return name + str(time.time())

        def dice() -> int:
            return random.randint(1, 6)

        def twice(number: int) -> int:
            return 2 * number
        """
    )
    assert {name: max(seen, key=lambda key: seen[key]) for name, seen in found.reached.items()} == {
        "clean": "files", "listing": "programs", "stamp": "clock", "dice": "random numbers",
    }  # fmt: skip
    assert {scenario.target for scenario in found.scenarios.values()} == {"twice"}


def test_loops_without_end_and_processes_that_die_do_not_keep_the_rest_from_being_explored(explored: Explore) -> None:
    found = explored(
        """
        import os

        def forever(number: int) -> int:
            while number > 2:
                number += 1
            return number

        def vanish(number: int) -> int:
            os._exit(3)

        def half(number: int) -> int:
            return number // 2
        """,
        seconds=6.0,
    )
    assert found.endless["forever"]
    assert found.left_out["vanish"] == "it ended the process while it was explored"
    assert of(found, "half")


def test_a_module_that_cannot_be_imported_is_left_out_with_the_reason(explored: Explore) -> None:
    assert explored("import nowhere_to_be_found\n").error == (
        "its import ends with ModuleNotFoundError: No module named 'nowhere_to_be_found'"
    )
    assert explored("open('made.txt', 'w')\n").error == "its import reaches for files"


def test_relations_are_found_and_kept_apart_from_those_that_only_mostly_hold(explored: Explore) -> None:
    found = explored(
        '''
        def encode(text: str) -> str:
            """Return the text with stars."""
            return "".join(letter + "*" for letter in text)

        def decode(text: str) -> str:
            return text[::2]
        '''
    )
    kept = [relation for relation in found.kept_relations.values() if relation.target == "encode"]
    assert [(relation.kind, relation.text) for relation in kept] == [("round trip", "decode(encode({}))")]
    assert found.scenarios[next(iter(found.kept_relations))].origin == "relation"


def test_examples_in_documentation_that_come_out_otherwise_are_told(explored: Explore) -> None:
    found = explored(
        '''
        def add(left, right):
            """Add.

            >>> add(2, 2)
            4
            """
            return left - right
        ''',
        seconds=1.0,
    )
    assert [(doubt.target, doubt.source, doubt.wanted, doubt.got) for doubt in found.doubts] == [
        ("add", "add(2, 2)", "4", "0")
    ]


def test_mutants_are_noticed_and_hunted(explored: Explore) -> None:
    text = "def over(number: int) -> bool:\n    return number > 41\n"
    at = text.index("> 41")
    mutants = [{"id": "at", "edits": [[at, at + 4, ">= 41"]], "reach": [2, 2], "unit": "over"}]
    found = explored(text, mutants=mutants, seconds=10.0)
    killers = [found.scenarios[number].lines[0].text for number in found.verdicts["at"].killers]
    assert killers
    assert all("41" in text for text in killers)


def test_functions_that_functions_give_are_called_decorators_included(explored: Explore) -> None:
    found = explored(
        """
        def twice(times=2):
            def decorate(function):
                def wrapper(*args):
                    result = None
                    for _ in range(times):
                        result = function(*args)
                    return result
                return wrapper
            return decorate
        """,
        seconds=4.0,
    )
    assert missing(found) == []
    assert {scenario.target for scenario in found.scenarios.values()} == {"twice.result"}


def test_calls_that_change_the_state_of_the_module_are_left_out_and_undone(explored: Explore) -> None:
    found = explored(
        """
        RULES = ["a"]
        count = 0

        def _add(rule: str) -> None:
            global count
            RULES.insert(0, rule)
            count += 1

        def first(number: int) -> str:
            return RULES[0] * number
        """
    )
    assert found.reached["_add"].keys() == {"the module's own state"}
    assert not found.unsteady
    assert {scenario.target for scenario in found.scenarios.values()} == {"first"}
