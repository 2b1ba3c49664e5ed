"""What changed between two trees, file by file and line by line, as a reader of the diff sees it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from agents.replies import split_lines
from sandbox.tree import Entry, Tree

Status = Literal["added", "deleted", "changed"]
_MAX_CELLS = 4_000_000
"""Lines of one side times lines of the other, beyond which a file counts as replaced as a whole."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file of a diff."""

    path: str
    status: Status
    added: tuple[tuple[int, str], ...] = ()
    """Line number in the new file, and text."""
    removed: tuple[tuple[int, str], ...] = ()
    """Line number in the old file, and text."""
    shown: tuple[str, ...] = ()
    """Lines as in a unified diff, three lines of context around."""
    binary: bool = False
    odd: str = ""
    """In a few words, where more than the text changes: a link, an executable bit."""


def changed_files(before: Tree, after: Tree) -> tuple[FileChange, ...]:
    """Return the changed files in the order of their paths."""
    return tuple(_changed(path, before.get(path), after.get(path)) for path in before.changed_paths(after))


def _changed(path: str, old: Entry | None, new: Entry | None) -> FileChange:
    status: Status = "added" if old is None else "deleted" if new is None else "changed"
    odd = ""
    if new is not None:
        if new.kind == "symlink":
            odd = "is a symbolic link now"
        elif new.executable and not (old is not None and old.executable):
            odd = "is executable now"
    data = [entry.data if entry is not None else b"" for entry in (old, new)]
    if any(b"\0" in one for one in data):
        return FileChange(path, status, binary=True, odd=odd)
    lines = [split_lines(one.decode("utf-8", "replace")) for one in data]
    return _compared(path, status, lines[0], lines[1], odd)


def _compared(path: str, status: Status, old: list[str], new: list[str], odd: str) -> FileChange:
    added: list[tuple[int, str]] = []
    removed: list[tuple[int, str]] = []
    shown: list[str] = []
    for group in _groups(old, new):
        first, last = group[0], group[-1]
        shown.append(f"@@ -{first[1] + 1},{last[2] - first[1]} +{first[3] + 1},{last[4] - first[3]} @@")
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                shown += [f" {line}" for line in old[i1:i2]]
                continue
            removed += [(i + 1, old[i]) for i in range(i1, i2)]
            added += [(j + 1, new[j]) for j in range(j1, j2)]
            shown += [f"-{line}" for line in old[i1:i2]] + [f"+{line}" for line in new[j1:j2]]
    return FileChange(path, status, tuple(added), tuple(removed), tuple(shown), odd=odd)


_Code = tuple[str, int, int, int, int]


def _groups(old: list[str], new: list[str]) -> Iterator[list[_Code]]:
    if len(old) * len(new) <= _MAX_CELLS:
        yield from difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(3)
        return
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    inner = difflib.SequenceMatcher[str](None, [], [], autojunk=False)
    if (len(old) - head - tail) * (len(new) - head - tail) <= _MAX_CELLS:
        inner.set_seqs(old[head : len(old) - tail], new[head : len(new) - tail])
        for group in inner.get_grouped_opcodes(3):
            yield [(tag, i1 + head, i2 + head, j1 + head, j2 + head) for tag, i1, i2, j1, j2 in group]
        return
    yield [("replace", head, len(old) - tail, head, len(new) - tail)]
