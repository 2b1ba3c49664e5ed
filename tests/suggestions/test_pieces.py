"""Changes as pieces, and the lines of a diff that they can go on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.tree import Entry, Tree
from workflows.suggestions.pieces import hunks_of, pieces_of, place_of, with_pieces

OLD = "a\nb\nc\nd\ne\nf\n"


def tree(text: str | bytes, path: str = "x.py") -> Tree:
    return Tree({path: Entry(text if isinstance(text, bytes) else text.encode())})


def applied(text: str, first: int, last: int, replacement: str) -> str:
    """Do what a forge does when a suggestion is committed."""
    lines = text.splitlines(keepends=True)
    return "".join([*lines[: first - 1], replacement, *lines[last:]])


texts = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "\n"]), min_size=1, max_size=12).map("".join)


@given(texts, texts)
def test_all_pieces_together_are_the_change(old: str, new: str) -> None:
    pieces = pieces_of(tree(old), tree(new))
    assert pieces is not None
    assert with_pieces(tree(old), pieces) == tree(new)


@given(texts, texts)
def test_blocks_that_are_committed_from_the_last_to_the_first_are_the_change(old: str, new: str) -> None:
    head = tree(old)
    count = old.count("\n")
    text = old
    for piece in sorted(pieces_of(head, tree(new)) or [], key=lambda p: p.start, reverse=True):
        place = place_of(piece, head, {"x.py": [range(1, count + 1)]})
        assert place is not None
        text = applied(text, place.first, place.last, place.replacement)
    assert text == new


def test_only_lines_of_one_hunk_are_taken() -> None:
    head, after = tree(OLD), tree("a\nB\nc\nd\ne\nF\n")
    pieces = pieces_of(head, after) or []
    places = [place_of(piece, head, {"x.py": [range(1, 4)]}) for piece in pieces]
    assert [place and (place.first, place.last, place.replacement) for place in places] == [(2, 2, "B\n"), None]


def test_an_insertion_goes_on_the_line_that_the_diff_shows() -> None:
    head = tree(OLD)
    (piece,) = pieces_of(head, tree("a\nb\nc\nX\nd\ne\nf\n")) or []
    before = place_of(piece, head, {"x.py": [range(1, 4)]})
    behind = place_of(piece, head, {"x.py": [range(4, 7)]})
    assert before is not None
    assert behind is not None
    assert (before.first, before.replacement) == (3, "c\nX\n")
    assert (behind.first, behind.replacement) == (4, "X\nd\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"a\r\nb\r\n", b"a\r\nc\r\n"), (b"\xff\n", b"a\n")],
)
def test_what_a_block_cannot_say_is_none(old: bytes, new: bytes) -> None:
    assert pieces_of(tree(old), tree(new)) is None
    assert pieces_of(Tree({}), tree("a\n")) is None
    assert pieces_of(tree("a\n"), Tree({"x.py": Entry(b"a\n", executable=True)})) is None


def test_a_last_line_without_an_end_is_left_to_the_summary() -> None:
    head = tree("a\nb")
    (piece,) = pieces_of(head, tree("a\nc")) or []
    assert place_of(piece, head, {"x.py": [range(1, 3)]}) is None


def test_hunks_are_read_as_they_are_shown() -> None:
    patch = "@@ -1,3 +1,4 @@ def x\n a\n-b\n+B\n+C\n c\n@@ -20 +21 @@\n-q\n+r\n\\ No newline at end of file"
    assert hunks_of(patch) == [range(1, 5), range(21, 22)]


def test_the_same_change_has_the_same_name_wherever_it_is() -> None:
    (one,) = pieces_of(tree("a\nb\n"), tree("a\nX\n")) or []
    (two,) = pieces_of(tree("q\nq\na\nb\n"), tree("q\nq\na\nX\n")) or []
    (three,) = pieces_of(tree("a\nb\n", "y.py"), tree("a\nX\n", "y.py")) or []
    assert one.digest == two.digest != three.digest
