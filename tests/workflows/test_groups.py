"""Candidates made one on top of the other, as one."""

from __future__ import annotations

from agents.edits import apply_candidate
from agents.results import Candidate, Edit
from sandbox.tree import Entry, Tree
from workflows.steps.groups import combined

BEFORE = Tree({"a.py": Entry(b"\xef\xbb\xbfx = 1\r\ny = 2\r\n"), "b.py": Entry(b"z = 3\n", executable=True)})


def test_both_changes_are_one_candidate_on_the_first_tree() -> None:
    first = Candidate((Edit("a.py", 4, 5, "10"),), "template:one", "a.py:1: ten", -1.0)
    tree = apply_candidate(BEFORE, first)
    second = Candidate((Edit("a.py", 12, 13, "20"), Edit("b.py", 4, 5, "30")), "template:two", "twenty", -2.0, tier=1)
    after = apply_candidate(tree, second)
    both = combined(BEFORE, after, [first, second])
    assert apply_candidate(BEFORE, both) == after
    assert after["a.py"].data == b"\xef\xbb\xbfx = 10\r\ny = 20\r\n"
    assert (both.origin, both.description) == ("sequence:template:one+template:two", "a.py:1: ten; then twenty")
    assert (both.prior, both.tier) == (-3.0, 1)


def test_changes_at_the_ends_of_a_file() -> None:
    for old, new in ((b"", b"x\n"), (b"aa", b"a"), (b"aba", b"ababa"), (b"x = 1\n", b"")):
        before, after = Tree({"a.py": Entry(old)}), Tree({"a.py": Entry(new)})
        made = combined(before, after, [Candidate((), "t", "d")])
        assert apply_candidate(before, made) == after
