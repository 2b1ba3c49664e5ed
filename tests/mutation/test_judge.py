"""What tests say of mutants: real tests in a real, local sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.mutation.generate import mutants_of
from agents.mutation.mutant import Judged, share
from agents.mutation.store import VerdictStore
from sandbox.runners.report import Harness
from tests.mutation.conftest import Judging, make_tree

CODE = """
    import functools

    LIMIT = 10
    TABLE = {"a": 1}


    def clamp(x, low=0):
        if x > LIMIT:
            return LIMIT
        if x < low:
            return low
        return x


    def count(n):
        total = 0
        while n > 0:
            total += 1
            n -= 1
        return total


    def twice(function):
        @functools.wraps(function)
        def wrapper(x):
            return function(function(x))
        return wrapper


    @twice
    def plus(x):
        return x + 1


    def never(x):
        return x - 1


    def remember(key, value):
        TABLE[key] = value
        return TABLE[key]
"""
TESTS = """
    import code


    def test_clamp():
        assert code.clamp(11) == 10
        assert code.clamp(-1) == 0
        assert code.clamp(5) == 5


    def test_count():
        assert code.count(3) == 3


    def test_plus():
        assert code.plus(1) == 3


    def test_remember():
        assert code.remember("b", 2) == 2


    def test_nothing():
        code.clamp(3)
"""
FILES = {
    "shop/__init__.py": "",
    "shop/code.py": CODE,
    "tests/test_shop.py": TESTS.replace("import code", "from shop import code"),
}


@pytest.fixture(scope="module")
def judged(judging: Judging) -> dict[str, Judged]:
    found = judging(make_tree(FILES), path="shop/code.py")
    return {f"{one.mutant.operator} {one.mutant.changed.strip()}".strip(): one for one in found}


def test_each_kind_of_verdict_is_given(judged: dict[str, Judged]) -> None:
    told = {name: one.verdict for name, one in judged.items()}
    assert told["compare.negated if x <= LIMIT:"] == "killed"
    assert told["compare.boundary if x >= LIMIT:"] == "survived"
    assert told["arithmetic.operator return x + 1"] == "not covered"
    assert told["augmented.operator n += 1"] == "timed out"
    assert told["loop.skipped while False:"] == "killed"
    assert told["decorator.dropped"] == "killed"
    assert told["constant.number LIMIT = 11"] == "killed"
    assert told["constant.number def clamp(x, low=1):"] == "killed"
    assert told["argument.emptied return function(function(None))"] == "killed"


def test_it_is_said_which_test_noticed(judged: dict[str, Judged]) -> None:
    one = judged["compare.negated if x <= LIMIT:"]
    assert (one.test, one.exception, one.covering) == ("tests/test_shop.py::test_clamp", "AssertionError", 2)
    assert judged["arithmetic.operator return x - 1"].test == "tests/test_shop.py::test_plus"


def test_the_share_counts_what_can_be_judged(judged: dict[str, Judged]) -> None:
    every = tuple(judged.values())
    caught = sum(one.verdict in {"killed", "timed out"} for one in every)
    missed = sum(one.verdict in {"survived", "not covered"} for one in every)
    assert share(every) == caught / (caught + missed)
    assert share(()) is None


def test_a_verdict_does_not_depend_on_the_mutants_before(judging: Judging, judged: dict[str, Judged]) -> None:
    tree = make_tree(FILES)
    alone = [judging(tree, [one.mutant])[0].verdict for one in list(judged.values())[::9]]
    assert alone == [one.verdict for one in list(judged.values())[::9]]


def test_what_is_remembered_is_asked_once(judging: Judging, tmp_path: Path) -> None:
    store = VerdictStore(tmp_path)
    first = judging(make_tree(FILES), store=store, path="shop/code.py")
    again = judging(make_tree(FILES), store=store, path="shop/code.py")
    assert [one.verdict for one in again] == [one.verdict for one in first]
    assert all(one.known for one in again if one.verdict != "not covered")
    # A function that changes is judged anew, with whatever its tests run; the others are known.
    changed = {**FILES, "shop/code.py": CODE.replace("return TABLE[key]", "return TABLE.get(key)")}
    third = judging(make_tree(changed), store=store, path="shop/code.py")
    told = {one.mutant.unit: one.known for one in third if one.mutant.unit != "<module>" and one.verdict == "killed"}
    assert told == {"clamp": True, "count": True, "twice": True, "plus": True, "remember": False}
    # A test that changes has its mutants judged anew.
    tests = {**FILES, "tests/test_shop.py": FILES["tests/test_shop.py"].replace("== 3", "in (3,)")}
    fourth = judging(make_tree(tests), store=store, path="shop/code.py")
    assert not [one for one in fourth if one.mutant.unit == "count" and one.known]
    assert [one for one in fourth if one.mutant.unit == "clamp" and one.known]
    store.close()


def test_a_damaged_store_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "mutants" / "verdicts.sqlite"
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 100)
    store = VerdictStore(tmp_path)
    assert store.get([b"x"]) == {}
    store.close()
    assert VerdictStore(None).get([b"x"]) == {}


def test_state_that_a_mutant_leaves_behind_convicts_no_other(judging: Judging) -> None:
    code = """
        import os
        SEEN = os.environ


        def mark(x):
            if x > 1:
                with open("left", "w") as out:
                    out.write("x")
            return x


        def look(x):
            return x if not os.path.exists("left") else -1
    """
    tests = """
        from shop import code


        def test_look():
            assert code.look(1) == 1


        def test_mark():
            assert code.mark(1) == 1
    """
    tree = make_tree({"shop/__init__.py": "", "shop/code.py": code, "tests/test_shop.py": tests})
    found = judging(tree, path="shop/code.py")
    # The file that a mutant of `mark` leaves makes `test_look` fail with and without any mutant.
    wrong = [one for one in found if one.mutant.unit == "mark" and one.test.endswith("test_look")]
    assert not wrong


def test_faults_that_end_the_process_or_hang_in_c_are_survived(judging: Judging) -> None:
    code = """
        import os
        import re


        def leave(x):
            if x > 3:
                os._exit(0)
            return x


        def match(n):
            return bool(re.match("(a+)+b", "a" * n + ("b" if n > 2 else "")))
    """
    tests = """
        from shop import code


        def test_leave():
            assert code.leave(2) == 2


        def test_match():
            assert code.match(40)
    """
    tree = make_tree({"shop/__init__.py": "", "shop/code.py": code, "tests/test_shop.py": tests})
    told = {one.mutant.changed.strip(): one.verdict for one in judging(tree, path="shop/code.py")}
    assert told["if x <= 3:"] == "killed"
    assert "timed out" in {verdict for line, verdict in told.items() if "re.match" in line}


def test_no_time_leaves_them_untried(judging: Judging) -> None:
    found = judging(make_tree(FILES), path="shop/code.py", seconds=0.0)
    assert {one.verdict for one in found} <= {"untried", "not covered"}


def test_unittest_and_parameters_judge_as_well(judging: Judging) -> None:
    tests = """
        import unittest
        import pytest
        from shop.code import clamp, count


        class Clamp(unittest.TestCase):
            def setUp(self):
                self.top = 10

            def test_top(self):
                self.assertEqual(clamp(12), self.top)


        @pytest.mark.parametrize("n", [0, 1, 2])
        def test_count(n):
            assert count(n) == n
    """
    tree = make_tree({"shop/__init__.py": "", "shop/code.py": CODE, "tests/test_shop.py": tests})
    found = judging(tree, path="shop/code.py")
    tests_seen = {one.test for one in found if one.verdict == "killed"}
    assert "tests/test_shop.py::Clamp::test_top" in tests_seen
    assert any("test_count[" in test for test in tests_seen)


def test_a_command_cannot_judge(judging: Judging) -> None:
    from agents.mutation.judge import Bench, judge
    from sandbox.runners.report import TestReport

    tree = make_tree(FILES)
    report = TestReport((), (), True, "exit", 0, 0.0, ())
    bench = Bench(tree, None, Harness("command", command=("true",)), report)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not a command"):
        judge(mutants_of(tree, "shop/code.py"), bench)
