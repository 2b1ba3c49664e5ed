"""Which faults are put where, and which are not."""

from __future__ import annotations

import pytest

from agents.mutation.generate import mutants_of, spread, survey
from agents.mutation.mutant import Mutant
from sandbox.patches import apply
from tests.mutation.conftest import make_tree


def changes(code: str, operator: str = "") -> list[str]:
    """Return the changed lines of all mutants of an operator."""
    tree = make_tree({"m.py": code})
    return [m.changed.strip() for m in mutants_of(tree, "m.py") if m.operator.startswith(operator)]


@pytest.mark.parametrize(
    ("line", "operator", "expected"),
    [
        ("return a < b", "compare", ["return a <= b", "return a >= b"]),
        ("return a is None", "compare", ["return a is not None"]),
        ("return a + b * 2", "arithmetic", ["return a - b * 2", "return a + b / 2"]),
        ("return a | b", "arithmetic", ["return (a & b)"]),
        ("return a and not b", "connective", ["return a or not b", "return not b", "return a"]),
        ("return a + 'x'", "arithmetic", ["return a"]),
        ("return -a", "unary", ["return a"]),
        ("return a[1:b]", "slice", ["return a[:b]", "return a[1:]"]),
        ("return f(a, b)", "argument", ["return f(None, b)", "return f(b, a)", "return f(a)"]),
        ("return f(a, key=b)", "argument", ["return f(None, key=b)", "return f(a)"]),
        ("return 'x'", "constant", ["return 'XXxXX'"]),
        ("return 5", "constant", ["return 6", "return 4"]),
        ("return True", "constant", ["return False"]),
        ("raise ValueError('no')", "raise", ["raise TypeError('no')"]),
        ("raise ValueError('no')", "delete", ["pass"]),
        ("a += b", "augmented", ["a -= b", "a = b"]),
        ("a.append(b)", "delete", ["pass"]),
        ("return [x for x in a if x]", "comprehension", ["return [x for x in a if True]"]),
        ("return min(a, b)", "call", ["return max(a, b)"]),
        ("return a.strip()", "call", ["return a"]),
        ("return a if b else 0", "condition", ["return a if not b else 0", "return a", "return 0"]),
        ("return lambda: a", "lambda", ["return lambda: None"]),
        ("yield a", "yield", ["yield None"]),
    ],
)
def test_an_operator_makes_the_faults_that_it_is_for(line: str, operator: str, expected: list[str]) -> None:
    assert sorted(changes(f"def f(a, b):\n    {line}\n", operator)) == sorted(expected)


MANY = '''
    """Says things."""
    import logging
    from typing import TYPE_CHECKING, TypeVar

    T = TypeVar("T")
    __version__ = "1.2"
    LIMIT = 3
    log = logging.getLogger("x")

    if TYPE_CHECKING:
        OTHER = 5


    class Shop:
        """A shop."""

        rate = 2

        @property
        def size(self, factor=4):
            """Return it."""
            log.debug("size %s", self.rate)
            try:
                return self.rate * factor
            except (TypeError, ValueError):
                raise KeyError("no size") from None

        def skipped(self):  # pragma: no cover
            return 1


    if __name__ == "__main__":
        print(Shop().size)
'''


def test_what_nobody_should_notice_is_left_out_with_a_reason() -> None:
    found = survey(make_tree({"m.py": MANY}), "m.py")
    lines = {m.first for m in found.mutants}
    reasons = {one.reason for one in found.left_out}
    assert lines == {7, 17, 19, 20, 24, 25, 26}
    assert "declares a type" in reasons
    assert "a line of a log" in reasons
    assert "marked with a pragma" in reasons
    assert "runs only as a program" in reasons
    assert "runs only for type checkers" in reasons
    assert {m.unit for m in found.mutants} == {"<module>", "Shop.size"}


def by_line(mutants: tuple[Mutant, ...], line: int) -> Mutant:
    return next(m for m in mutants if m.first == line)


def test_the_lines_that_can_notice_a_fault_are_those_that_run_it() -> None:
    found = mutants_of(make_tree({"m.py": MANY}), "m.py")
    assert by_line(found, 7).reach is None
    assert by_line(found, 17).reach is None
    assert by_line(found, 19).reach is None  # a decorator
    assert by_line(found, 20).reach == (19, 26)  # a default
    assert by_line(found, 24).reach == (24, 24)
    assert by_line(found, 25).reach == (25, 26)  # what a handler catches matters where it catches


def test_a_diff_makes_the_mutant_and_nothing_else() -> None:
    tree = make_tree({"m.py": MANY})
    for mutant in mutants_of(tree, "m.py"):
        assert apply(tree, mutant.diff.encode()) == mutant.applied(tree), mutant.description


def test_equal_meanings_are_made_once() -> None:
    found = survey(make_tree({"m.py": "def f(a):\n    return 1 + 1 + a\n"}), "m.py")
    texts = [m.changed for m in found.mutants]
    assert len(texts) == len(set(texts))
    assert any("compiles to" in one.reason for one in found.left_out)


def test_lines_and_limits_choose_and_the_order_is_always_the_same() -> None:
    tree = make_tree({"m.py": MANY})
    every = mutants_of(tree, "m.py")
    assert every == mutants_of(tree, "m.py")
    assert [m.first for m in every] == sorted(m.first for m in every)
    assert {m.first for m in mutants_of(tree, "m.py", {24})} == {24}
    few = spread(every, 5)
    assert len(few) == 5
    assert len({m.first for m in few}) == 5
    assert mutants_of(tree, "m.py", limit=5) == few


def test_odd_files_have_no_mutants() -> None:
    tree = make_tree({"broken.py": "def f(:\n", "notes.txt": "x = 1\n", "empty.py": ""})
    assert [mutants_of(tree, path) for path in ("broken.py", "notes.txt", "empty.py", "absent.py")] == [()] * 4


def test_line_endings_and_encodings_are_kept() -> None:
    from sandbox.tree import Entry, Tree

    data = "# -*- coding: latin-1 -*-\r\ndef f(a):\r\n    return a + 1  # é\r\n".encode("latin-1")
    tree = Tree({"m.py": Entry(data)})
    found = mutants_of(tree, "m.py")
    assert found
    for mutant in found:
        changed = mutant.applied(tree)["m.py"].data
        assert changed.count(b"\r\n") == 3
        assert b"\xe9" in changed


def test_what_stands_in_for_something_not_installed_is_left_out() -> None:
    code = """
        try:
            from fast import sort
        except ImportError:
            class Sorter:
                def size(self):
                    return 1

            def sort(values):
                return sorted(values)


        def top(values):
            return sort(values)[0]
    """
    found = survey(make_tree({"m.py": code}), "m.py")
    assert {m.unit for m in found.mutants} == {"top"}
    assert "runs only where something is not installed" in {one.reason for one in found.left_out}
