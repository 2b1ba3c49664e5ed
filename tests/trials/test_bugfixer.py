"""Small bugs of many kinds are repaired from a report to a ranked repair, in a real workspace."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import replace

import pytest

from agents.bugfixer import RepairEvent, RepairProblem, repair
from agents.edits import apply_candidate
from agents.repair.problem import RepairProblem as Problem
from agents.results import RepairResult, Suspect
from sandbox.errors import TestsUnrunnable
from sandbox.protocol import Environment, Sandbox
from sandbox.runners.report import Harness
from sandbox.runners.run import run_tests
from sandbox.tree import Tree
from tests.trials.conftest import HARNESS, make_tree


def problem_of(local: Sandbox, environment: Environment, files: Mapping[str, str]) -> tuple[Tree, RepairProblem]:
    tree = make_tree(files)
    with local.open(tree, environment) as workspace:
        report = run_tests(workspace, HARNESS, coverage=True, wall_seconds=60, test_seconds=2.0)
    return tree, RepairProblem(tree, HARNESS, report, tuple(r.node_id for r in report.failed()))


def fixed(
    local: Sandbox, environment: Environment, files: Mapping[str, str], budget: float = 40.0
) -> tuple[Tree, RepairResult, list[RepairEvent]]:
    """Return the tree with the first repair made, the result, and the events."""
    tree, problem = problem_of(local, environment, files)
    assert problem.targets
    events: list[RepairEvent] = []
    with local.open(tree, environment) as workspace:
        result = repair(problem, workspace, budget_seconds=budget, on_event=events.append)
    found = result.repairs or result.doubtful
    return (apply_candidate(tree, found[0].candidate) if found else tree), result, events


OPERATOR = {
    "mean.py": '''
        """Averages."""


        def mean(numbers):
            """Return the arithmetic mean; 0 for nothing."""
            total = 0
            for number in numbers:   # keep this comment
                total -= number
            return total / len(numbers) if numbers else 0
        ''',
    "tests/test_mean.py": """
        import pytest
        from mean import mean

        @pytest.mark.parametrize("numbers, expected", [([], 0), ([2], 2), ([1, 2, 6], 3), ([-1, 1], 0)])
        def test_mean(numbers, expected):
            assert mean(numbers) == expected
        """,
}

HANGS = {
    "search.py": """
        def find(items, wanted):
            low, high = 0, len(items)
            while low < high:
                middle = (low + high) // 2
                if items[middle] < wanted:
                    low = middle
                else:
                    high = middle
            return low
        """,
    "tests/test_search.py": """
        import pytest
        from search import find

        @pytest.mark.parametrize("items, wanted, expected", [([], 1, 0), ([1], 1, 0), ([1, 3], 3, 1), ([1, 3], 4, 2),
                                                             ([1, 3, 5, 7], 6, 3), ([1, 3, 5, 7], 0, 0)])
        def test_find(items, wanted, expected):
            assert find(items, wanted) == expected
        """,
}

CONSTANT = {
    "limits.py": """
        LARGEST = 9


        class Jar:
            size = LARGEST

            def fits(self, amount):
                return amount <= self.size
        """,
    "tests/test_limits.py": """
        from limits import Jar

        def test_ten(): assert Jar().fits(10)
        def test_eleven(): assert not Jar().fits(11)
        """,
}

METHOD = {
    "stack.py": """
        class Stack:
            def __init__(self, items=()):
                self.items = list(items)

            def push(self, item):
                self.items.append(item)

            def peek(self):
                return self.items[0]

            def __len__(self):
                return len(self.items)
        """,
    "tests/test_stack.py": """
        import unittest
        from stack import Stack

        class StackCase(unittest.TestCase):
            def setUp(self):
                self.stack = Stack([1])

            def test_peek_one(self):
                self.assertEqual(self.stack.peek(), 1)

            def test_peek(self):
                self.stack.push(2)
                self.assertEqual(self.stack.peek(), 2)
                self.assertEqual(len(self.stack), 2)
        """,
}

GUARD = {
    "names.py": """
        def initials(name):
            if name is None:
                return ""
            return "".join(part[0].upper() for part in name.split(" "))
        """,
    "tests/test_names.py": """
        from names import initials

        def test_plain(): assert initials("ada lovelace") == "AL"
        def test_spaces(): assert initials("ada  lovelace") == "AL"
        def test_none(): assert initials(None) == ""
        def test_empty(): assert initials("") == ""
        """,
}


@pytest.mark.parametrize(
    ("files", "path", "expected"),
    [
        (OPERATOR, "mean.py", ["total += number"]),
        (HANGS, "search.py", ["low = middle + 1"]),
        (CONSTANT, "limits.py", ["LARGEST = 10", "size = 10", "amount <= self.size + 1", "LARGEST + 1"]),
        (METHOD, "stack.py", ["return self.items[-1]"]),
        (GUARD, "names.py", ["name.split()", "if part"]),
    ],
    ids=["operator", "hangs", "constant", "method", "guard"],
)
def test_a_bug_is_repaired(
    local: Sandbox, environment: Environment, files: Mapping[str, str], path: str, expected: list[str]
) -> None:
    tree, result, events = fixed(local, environment, files)
    text = tree[path].data.decode()
    assert any(piece in text for piece in expected), (text, result)
    best = (result.repairs or result.doubtful)[0]
    assert best.notes
    assert 0 < best.confidence <= 1
    assert result.tried <= result.generated
    assert result.first_trial_seconds is not None
    assert events[0].kind == "suspects"
    assert {"opened", "passed", "ranking", "confirmed", "ended"} <= {e.kind for e in events}
    with local.open(tree, environment) as workspace:
        assert not run_tests(workspace, HARNESS).failed()


def test_comments_and_formatting_outside_the_change_stay(local: Sandbox, environment: Environment) -> None:
    tree, _, _ = fixed(local, environment, OPERATOR)
    before = make_tree(OPERATOR)["mean.py"].data.decode()
    assert tree["mean.py"].data.decode() == before.replace("total -= number", "total += number")


def test_two_changes_are_found_together(local: Sandbox, environment: Environment) -> None:
    files = {
        "span.py": """
            def span(numbers):
                low = max(numbers)
                high = min(numbers)
                return high - low, len(numbers) - 1
            """,
        "tests/test_span.py": """
            from span import span

            def test_width(): assert span([3, 9, 5])[0] == 6
            def test_count(): assert span([3, 9, 5])[1] == 3
            def test_one(): assert span([4]) == (0, 1)
            def test_many(): assert span([1, 2, 8, 5]) == (7, 4)
            """,
    }
    tree, result, _ = fixed(local, environment, files, budget=40.0)
    assert result.repairs, result
    with local.open(tree, environment) as workspace:
        assert not run_tests(workspace, HARNESS).failed()
    assert result.repairs[0].candidate.origin.startswith("pair:")


def test_nothing_is_offered_where_nothing_passes_and_paths_are_kept_to(
    local: Sandbox, environment: Environment
) -> None:
    tree, problem = problem_of(local, environment, OPERATOR)
    with local.open(tree, environment) as workspace:
        result = repair(replace(problem, allowed=("other/*.py",)), workspace, budget_seconds=5.0)
        assert (result.repairs, result.generated, result.stopped) == ((), 0, "exhausted")
        result = repair(problem, workspace, budget_seconds=0.0)
        assert (result.repairs, result.stopped) == ((), "budget")


def test_a_search_can_be_stopped(local: Sandbox, environment: Environment) -> None:
    tree, problem = problem_of(local, environment, OPERATOR)
    stop = threading.Event()
    begun = time.monotonic()

    def tell(event: RepairEvent) -> None:
        if event.kind == "opened":
            stop.set()

    with local.open(tree, environment) as workspace:
        result = repair(problem, workspace, budget_seconds=60.0, on_event=tell, stop=stop)
    assert result.stopped == "interrupted"
    assert time.monotonic() - begun < 20


def test_targets_that_cannot_be_collected_are_an_error(local: Sandbox, environment: Environment) -> None:
    tree, problem = problem_of(local, environment, OPERATOR)
    suspects = (Suspect("mean.py", 8, "mean", 1.0),)
    with local.open(tree, environment) as workspace:
        gone = replace(problem, targets=("tests/test_gone.py::test_x",), suspects=suspects)
        with pytest.raises(TestsUnrunnable):
            repair(gone, workspace, budget_seconds=5.0)
        odd = replace(problem, harness=Harness("pytest", options=("--no-such-option=1",)), suspects=suspects)
        assert repair(odd, workspace, budget_seconds=20.0).repairs


def test_a_problem_knows_what_passed_steadily(local: Sandbox, environment: Environment) -> None:
    _, problem = problem_of(local, environment, OPERATOR)
    assert isinstance(problem, Problem)
    assert problem.steady == ("tests/test_mean.py::test_mean[numbers0-0]", "tests/test_mean.py::test_mean[numbers3-0]")
    assert replace(problem, flaky=frozenset(problem.steady)).steady == ()
    assert problem.permits("anything.py")
    assert not replace(problem, allowed=("src/*",)).permits("mean.py")
