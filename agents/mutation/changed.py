"""Which lines of code a change touches."""

from __future__ import annotations

import difflib

from agents.edits import decode
from agents.errors import EditError
from agents.repair.localise import is_test_path
from sandbox.tree import Tree


def changed_lines(before: Tree, after: Tree) -> dict[str, frozenset[int]]:
    """Return path → lines of `after` that differ from `before`, of Python files that hold no tests.

    Where lines were only taken away, those on both sides of the gap count as changed.
    """
    found: dict[str, frozenset[int]] = {}
    for path in before.changed_paths(after):
        entry = after.get(path)
        if not path.endswith(".py") or is_test_path(path) or entry is None or entry.kind != "file":
            continue
        old = before.get(path)
        try:
            new_lines = decode(entry.data).text.splitlines()
            old_lines = decode(old.data).text.splitlines() if old is not None and old.kind == "file" else []
        except EditError:
            continue
        lines: set[int] = set()
        for kind, _, _, start, end in difflib.SequenceMatcher(None, old_lines, new_lines, autojunk=False).get_opcodes():
            if kind == "delete":
                lines |= {start, start + 1}
            elif kind != "equal":
                lines |= set(range(start + 1, end + 1))
        kept = frozenset(line for line in lines if 1 <= line <= len(new_lines))
        if kept:
            found[path] = kept
    return found
