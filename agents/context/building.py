"""Makes or refreshes an index's database for a tree."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.context.store import Draft, known_files, open_existing
from agents.context.workers import read_all
from sandbox.tree import Tree


@dataclass(frozen=True, slots=True)
class Built:
    """A finished database."""

    connection: sqlite3.Connection
    read: int
    """Files that were read anew; the others were known."""
    size: int
    """Of its file in bytes, 0 where it is in memory."""
    notes: tuple[str, ...] = ()


class Stopped(Exception):
    """`stop` was set before the index was there."""


def digests_of(tree: Tree) -> dict[str, bytes]:
    """Return path → digest of kind and contents."""
    return {
        path: hashlib.blake2b(entry.data, digest_size=16, person=entry.kind.encode()).digest()
        for path, entry in tree.items()
    }


def build(tree: Tree, cache: Path | None, stop: threading.Event | None = None) -> Built:
    """Return a database that holds exactly this tree; what the cache folder knows is not read again.

    A cache that cannot be read or written makes it slower, never fail.

    Raises:
        Stopped: `stop` was set.

    """
    wanted = digests_of(tree)
    whole = hashlib.blake2b(digest_size=20)
    for path, digest in wanted.items():
        whole.update(path.encode("utf-8", "surrogateescape") + b"\0" + digest)
    name = whole.hexdigest()
    if cache is not None:
        existing = open_existing(cache, name)
        if existing is not None:
            return Built(existing, 0, _size(existing))
        try:
            return _draft(tree, wanted, cache, name, stop)
        except (OSError, sqlite3.Error) as error:
            note = f"the index is not kept: its cache folder {cache} cannot be used ({error})"
            built = _draft(tree, wanted, None, name, stop)
            return Built(built.connection, built.read, 0, (note,))
    return _draft(tree, wanted, None, name, stop)


def _draft(tree: Tree, wanted: dict[str, bytes], cache: Path | None, name: str, stop: threading.Event | None) -> Built:
    draft = Draft(cache, name, wanted)
    try:
        known = known_files(draft.connection)
        draft.remove(number for path, (number, digest) in known.items() if wanted.get(path) != digest)
        missing = [path for path, digest in wanted.items() if path not in known or known[path][1] != digest]
        _add(draft, tree, wanted, missing, stop)
        connection, size = draft.finish()
    except BaseException:
        draft.drop()
        raise
    return Built(connection, len(missing), size)


def _add(
    draft: Draft, tree: Tree, wanted: dict[str, bytes], missing: Sequence[str], stop: threading.Event | None
) -> None:
    for path, facts in read_all(tree, missing):
        if stop is not None and stop.is_set():
            raise Stopped("the index was not finished")
        draft.add(path, wanted[path], facts)


def _size(connection: sqlite3.Connection) -> int:
    pages, size = (connection.execute(f"PRAGMA {what}").fetchone()[0] for what in ("page_count", "page_size"))
    return int(pages) * int(size)
