"""Pairs of candidates, simpler forms, sizes and naturalness."""

from __future__ import annotations

from itertools import islice

import pytest

from agents.edits import apply_edits
from agents.errors import EditError
from agents.repair.checks import meaning_of
from agents.repair.generate import generate
from agents.repair.naturalness import LanguageModel, naturalness, tokens
from agents.repair.pairs import pairs
from agents.repair.simplify import edit_size, simplify
from agents.results import Candidate, Edit, Suspect
from sandbox.tree import Entry, Tree

TEXT = "def f(a, b):\n    x = a + 1\n    return x < b\n\n\ndef g(a):\n    return a - 1\n"
TREE = Tree({"a.py": Entry(TEXT.encode()), "b.py": Entry(TEXT.encode())})


def edit(old: str, new: str, prior: float = -1.0, path: str = "a.py", text: str = TEXT) -> Candidate:
    start = text.index(old)
    return Candidate((Edit(path, start, start + len(old), new),), f"template:{old}", f"{old} to {new}", prior)


PLUS, LESS, MINUS, NAME = edit("+ 1", "+ 2"), edit("<", "<="), edit("- 1", "+ 1", -0.1), edit("a + 1", "b + 1", -3.0)
OTHER = edit("+ 1", "+ 3", -0.1, "b.py")


@pytest.mark.parametrize("tree", [TREE, None])
def test_pairs_of_one_function_come_first_each_once(tree: Tree | None) -> None:
    found = list(pairs([PLUS, LESS], [PLUS, LESS, MINUS, NAME, OTHER], tree=tree))
    first = PLUS.edits[0].start, LESS.edits[0].start
    assert {e.start for e in found[0].edits} == set(first) or tree is None
    assert len({c.id for c in found}) == len(found)
    both = next(c for c in found if tuple(e.start for e in c.edits) == first)
    assert both.origin == "pair:+ 1+<"
    assert both.prior == PLUS.prior + LESS.prior
    assert any({e.path for e in c.edits} == {"a.py", "b.py"} for c in found)
    assert all(apply_edits(TEXT, [e for e in c.edits if e.path == "a.py"]) for c in found)
    assert not any(NAME.edits[0] in c.edits and PLUS.edits[0] in c.edits for c in found)


def test_pairs_that_do_not_parse_are_left_out() -> None:
    opened, closed = edit("(a, b)", "(a, b"), edit("x = ", "y = ")
    assert list(pairs([opened], [closed], tree=TREE)) == []
    assert len(list(pairs([opened], [closed]))) == 1


def test_pairs_across_functions_and_with_nothing() -> None:
    assert [c.edits for c in pairs([PLUS], [MINUS], tree=TREE)] == [(PLUS.edits[0], MINUS.edits[0])]
    assert list(pairs([], [PLUS])) == []
    assert list(pairs([PLUS], [])) == []


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("not a == b", "a != b"),
        ("not not a", "a"),
        ("a + -b", "a - b"),
        ("a - -b", "a + b"),
        ("a + 0", "a"),
        ("a * 1", "a"),
        ("a + 1 - 1", "a"),
        ("a + 1 + 1", "a + 2"),
        ("a == None", "a is None"),
        ("a == True", "a"),
        ("len(a) == 0", "not a"),
        ("(a + b)", "a + b"),
        ("True if a else False", "a"),
        ("list([a, b])", "[a, b]"),
    ],
)
def test_plainer_forms(written: str, plain: str) -> None:
    candidate = edit("x < b", written)
    forms = [apply_edits(TEXT, s.edits) for s in simplify(candidate, TREE)]
    assert TEXT.replace("x < b", plain) in forms


def test_parts_of_a_pair_are_tried_alone() -> None:
    (both,) = pairs([PLUS], [LESS], tree=TREE)
    assert {PLUS.edits, LESS.edits} <= {s.edits for s in simplify(both, TREE)}


def test_simpler_forms_of_real_candidates_parse() -> None:
    suspects = [Suspect("a.py", line, "", 1.0) for line in (2, 3)]
    for candidate in islice(generate(TREE, suspects), 120):
        for simpler in simplify(candidate, TREE):
            assert meaning_of(apply_edits(TEXT, simpler.edits)) is not None


def test_sizes_count_tokens() -> None:
    assert edit_size(LESS, TREE) == 2
    assert edit_size(edit("x < b", "x < b + 1"), TREE) == 2
    assert edit_size(OTHER, TREE) == 2
    with pytest.raises(EditError):
        edit_size(edit("<", ">", path="absent.py"), TREE)


def test_what_the_repository_writes_often_reads_better() -> None:
    body = "".join(
        f"def f{n}(items):\n    for item in items:\n        if item is None:\n            continue\n" for n in range(9)
    )
    last = "\n\ndef g(items):\n    for item in items:\n        if item:\n            continue\n"
    tree = Tree({"a.py": Entry((body + last).encode()), "b.py": Entry(b"\xff")})
    usual = edit("if item:", "if item is None:", text=body + last)
    odd = edit("if item:", "if items is item:", text=body + last)
    assert naturalness(usual, tree) > naturalness(odd, tree)
    with pytest.raises(EditError):
        naturalness(edit("<", ">", path="absent.py"), tree)


def test_tokens_leave_comments_out() -> None:
    assert tokens("x = 1  # one\n\n\ny != 'a long string that says nothing much'\n") == [
        "x", "=", "1", "\n", "y", "!=", "<string>", "\n",
    ]  # fmt: skip
    assert LanguageModel([]).bits([], ["x"]) > LanguageModel(["x = x\n"]).bits([], ["x"])
