"""LangGraph's checkpoints in the run's own SQLite file, written with our own closed list of types."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

from langgraph.checkpoint.sqlite import SqliteSaver

from workflows.errors import RecordError
from workflows.records import decode, encode

FORMAT = "greendiff-1"


class RecordSerializer:
    """What LangGraph writes checkpoints with: nothing but `workflows.records`, so nothing unlisted is ever built."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Return the format's name and the bytes."""
        return FORMAT, encode(obj)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Return the value.

        Raises:
            RecordError: damaged, of another format, or of a type that is not listed.

        """
        kind, content = data
        if kind != FORMAT:
            raise RecordError(f"a checkpoint is written as {kind!r}, which this version of greendiff does not read")
        return decode(content)


class RunSaver(SqliteSaver):
    """A saver whose list of types is its own and is not widened."""

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> Self:  # noqa: ARG002 - closed on purpose
        """Return itself."""
        return self


@contextmanager
def open_saver(path: Path) -> Iterator[RunSaver]:
    """Yield the saver of one run; its file is made if need be."""
    # One process at a time holds the run's lock, and LangGraph's own threads share the saver's.
    with closing(sqlite3.connect(path, check_same_thread=False)) as connection:
        saver = RunSaver(connection, serde=RecordSerializer())
        saver.setup()
        connection.execute("PRAGMA synchronous=NORMAL")
        yield saver
