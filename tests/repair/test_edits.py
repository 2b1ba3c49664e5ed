"""Edits are applied exactly, and files come back to the byte."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.edits import Source, apply_candidate, apply_edits, compose, decode, edited_files, encode
from agents.errors import EditError
from agents.results import Candidate, Edit
from sandbox.tree import Entry, Tree

TEXTS = st.text(st.sampled_from("ab é\t\f\r\n#'\"=()0"), max_size=60)


@st.composite
def texts_with_edits(draw: st.DrawFn) -> tuple[str, list[Edit]]:
    text = draw(TEXTS)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8, unique=True)))
    pairs = list(zip(cuts[::2], cuts[1::2], strict=False))
    return text, [Edit("a.py", low, high, draw(TEXTS)) for low, high in pairs]


@given(texts_with_edits())
def test_what_no_edit_touches_stays(case: tuple[str, list[Edit]]) -> None:
    text, edits = case
    result = apply_edits(text, edits)
    at, rest = 0, result
    for edit in edits:
        kept = text[at : edit.start]
        assert rest.startswith(kept + edit.replacement)
        rest = rest[len(kept) + len(edit.replacement) :]
        at = edit.end
    assert rest == text[at:]


@given(texts_with_edits(), st.randoms())
def test_order_does_not_matter(case: tuple[str, list[Edit]], random: object) -> None:
    text, edits = case
    mixed = list(edits)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert apply_edits(text, mixed) == apply_edits(text, edits)


@given(texts_with_edits())
def test_composing_parts_gives_the_whole(case: tuple[str, list[Edit]]) -> None:
    text, edits = case
    joined = compose(edits[::2], edits[1::2])
    assert apply_edits(text, joined) == apply_edits(text, edits)


@pytest.mark.parametrize(
    "edits",
    [
        [Edit("a.py", 0, 3, "x"), Edit("a.py", 2, 4, "y")],
        [Edit("a.py", 1, 1, "x"), Edit("a.py", 1, 1, "y")],
        [Edit("a.py", 3, 2, "x")],
        [Edit("a.py", -1, 2, "x")],
        [Edit("a.py", 0, 99, "x")],
    ],
)
def test_overlapping_or_outside_is_refused(edits: list[Edit]) -> None:
    with pytest.raises(EditError):
        apply_edits("abcdef", edits)


def test_composing_overlaps_is_refused_and_equal_edits_count_once() -> None:
    one = Edit("a.py", 0, 3, "x")
    assert compose([one], [one]) == (one,)
    with pytest.raises(EditError):
        compose([one], [Edit("a.py", 2, 4, "y")])
    with pytest.raises(EditError):
        compose([one], [Edit("a.py", 0, 3, "y")])
    assert len(compose([one], [Edit("b.py", 2, 4, "y")])) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x = 1",
        b"x = 1\r\ny = 2\r\n",
        b"x = 1\ry = 2\r",
        b"x = 1\r\ny = 2\n",
        b"\x0cx = 1\n\x0c\ny = '\x0b'\n",
        codecs.BOM_UTF8 + "é = 'ü'\n".encode(),
        "# -*- coding: latin-1 -*-\nx = 'é'\n".encode("latin-1"),
        "# vim: set fileencoding=cp1252 :\nx = '€'\n".encode("cp1252"),
        "\tx = '\u2028'\n".encode(),
    ],
)
def test_bytes_come_back(data: bytes) -> None:
    assert encode(decode(data)) == data


@pytest.mark.parametrize("data", [b"x = '\xff'\n", b"# coding: nonsense\n", b"# coding: utf-7\nx = '+AGEAYg-'\n"])
def test_what_cannot_be_kept_is_refused(data: bytes) -> None:
    with pytest.raises(EditError):
        decode(data)


def test_a_character_that_the_encoding_lacks_is_refused() -> None:
    source = decode("# coding: latin-1\nx = 'é'\n".encode("latin-1"))
    with pytest.raises(EditError):
        encode(Source(source.text.replace("é", "€"), source.encoding, source.bom))


@pytest.mark.parametrize(
    ("text", "newline"),
    [("a\nb\n", "\n"), ("a\r\nb\r\n", "\r\n"), ("a\rb\r", "\r"), ("", "\n"), ("a\r\nb\nc\r\n", "\r\n")],
)
def test_newline_is_what_the_file_uses_most(text: str, newline: str) -> None:
    assert Source(text).newline == newline


def test_candidates_change_only_their_files_and_keep_modes() -> None:
    tree = Tree({"a.py": Entry(b"x = 1\r\n", executable=True), "b.py": Entry(b"y = 2\n"), "c": Entry(b"\xff")})
    candidate = Candidate((Edit("a.py", 4, 5, "3"), Edit("b.py", 4, 5, "4")), "test", "")
    changed = apply_candidate(tree, candidate)
    assert changed["a.py"] == Entry(b"x = 3\r\n", executable=True)
    assert changed["b.py"].data == b"y = 4\n"
    assert tree.changed_paths(changed) == ("a.py", "b.py")


@pytest.mark.parametrize("path", ["absent.py", "link.py"])
def test_only_regular_files_are_edited(path: str) -> None:
    tree = Tree({"link.py": Entry(b"a.py", "symlink")})
    with pytest.raises(EditError):
        edited_files(tree, [Edit(path, 0, 0, "x")])
