"""Reads many files, in child processes where there are enough of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agents.context.facts import FileFacts
from agents.context.reading import read_file
from sandbox.tree import Tree


def read_all(tree: Tree, paths: Sequence[str]) -> Iterator[tuple[str, FileFacts]]:
    """Yield each path with its facts, in any order."""
    for path in paths:
        yield path, read_file(path, tree[path])
