"""A change of files as pieces that each stand for a run of lines, and where in a pull request's diff they can go."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from sandbox.tree import Entry, Tree

NEAR: Final = 1
"""Unchanged lines between two changes that are still one piece."""
_HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+(\d+)(?:,\d+)? @@")


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines `start` to `end` (from 0, without `end`) of a file become `new`; equal bounds insert before `start`."""

    path: str
    start: int
    end: int
    old: str
    new: str

    @property
    def digest(self) -> str:
        """Name of what it does, wherever in the file that is by now."""
        told = f"{self.path}\0{self.old}\0{self.new}"
        return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Place:
    """Lines of the pull request's head (from 1, both included) and what they become."""

    path: str
    first: int
    last: int
    replacement: str


def lines_of(entry: Entry) -> list[str] | None:
    """Return a file's lines with their ends; None for links, carriage returns and what is no UTF-8."""
    if entry.kind != "file" or b"\r" in entry.data:
        return None
    try:
        text = entry.data.decode()
    except UnicodeDecodeError:
        return None
    # Not `splitlines`, which also ends lines at form feeds and other characters that Git does not.
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def pieces_of(head: Tree, after: Tree) -> list[Piece] | None:
    """Return the change from one tree to the other; None where a part of it is no change of lines."""
    found: list[Piece] = []
    for path in head.changed_paths(after):
        old, new = head.get(path), after.get(path)
        if old is None or new is None or (old.kind, old.executable) != (new.kind, new.executable):
            return None
        before, behind = lines_of(old), lines_of(new)
        if before is None or behind is None:
            return None
        found += _of_file(path, before, behind)
    return found


def _of_file(path: str, before: Sequence[str], behind: Sequence[str]) -> Iterable[Piece]:
    spans: list[list[int]] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, before, behind, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        if spans and i1 - spans[-1][1] <= NEAR:
            spans[-1][1], spans[-1][3] = i2, j2
        else:
            spans.append([i1, i2, j1, j2])
    return [Piece(path, i1, i2, "".join(before[i1:i2]), "".join(behind[j1:j2])) for i1, i2, j1, j2 in spans]


def with_pieces(head: Tree, pieces: Iterable[Piece]) -> Tree:
    """Return the tree with only these pieces of the change made."""
    by_file: dict[str, list[Piece]] = {}
    for piece in pieces:
        by_file.setdefault(piece.path, []).append(piece)
    changes: dict[str, Entry | None] = {}
    for path, own in by_file.items():
        lines = lines_of(head[path]) or []
        for piece in sorted(own, key=lambda one: one.start, reverse=True):
            lines[piece.start : piece.end] = [piece.new]
        changes[path] = Entry("".join(lines).encode(), executable=head[path].executable)
    return head.replaced(changes)


def hunks_of(patch: str) -> list[range]:
    """Return the lines of the new side, from 1, that each hunk of a file's diff shows: there comments can be."""
    found: list[range] = []
    at = 0
    for line in patch.split("\n"):
        if match := _HUNK.match(line):
            at = int(match[1])
            found.append(range(at, at))
        elif found and line[:1] in {" ", "+"}:
            at += 1
            found[-1] = range(found[-1].start, at)
    return found


def place_of(piece: Piece, head: Tree, hunks: Mapping[str, Sequence[range]]) -> Place | None:
    """Return where in the pull request's diff a piece goes, None where all of it does not lie in one hunk."""
    lines = lines_of(head[piece.path]) or []
    for first, last, text in _anchored(piece, lines):
        touched = lines[first - 1 : last]
        # A block ends with a line's end; a last line without one cannot be written as a block.
        whole = all(line.endswith("\n") for line in touched) and (not text or text.endswith("\n"))
        if whole and any(first in hunk and last in hunk for hunk in hunks.get(piece.path, ())):
            return Place(piece.path, first, last, text)
    return None


def _anchored(piece: Piece, lines: Sequence[str]) -> Iterable[tuple[int, int, str]]:
    if piece.start < piece.end:
        yield piece.start + 1, piece.end, piece.new
        return
    # What is only inserted takes a line beside it along.
    if piece.start > 0:
        yield piece.start, piece.start, lines[piece.start - 1] + piece.new
    if piece.start < len(lines):
        yield piece.start + 1, piece.start + 1, piece.new + lines[piece.start]
