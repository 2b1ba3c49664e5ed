"""Verdicts that are remembered from one time to the next, in the user's cache folder."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, cast, get_args

from agents.mutation.mutant import Verdict

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS verdicts "
    "(key BLOB PRIMARY KEY, verdict TEXT NOT NULL, test TEXT NOT NULL, exception TEXT NOT NULL) WITHOUT ROWID"
)
_MOST = 400_000
"""Verdicts that are kept; beyond that the store begins anew."""
_AT_ONCE = 500
KEPT: frozenset[Verdict] = frozenset(("killed", "timed out", "survived", "broken", "equivalent"))
"""Verdicts worth keeping: the others are found again in no time, or may come out otherwise."""


class Known(NamedTuple):
    """A verdict as it was remembered."""

    verdict: Verdict
    test: str
    exception: str


class VerdictStore:
    """One database for all repositories; where it cannot be read or written, nothing is remembered."""

    def __init__(self, cache: Path | None) -> None:
        """Open or make the database in a cache folder; None remembers nothing."""
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        if cache is None:
            return
        path = cache / "mutants" / "verdicts.sqlite"
        for _ in range(2):
            with suppress(OSError, sqlite3.Error):
                path.parent.mkdir(parents=True, exist_ok=True)
                self._connection = self._opened(path)
                return
            with suppress(OSError):
                # A damaged store is worth nothing, and all that it held can be found again.
                path.unlink(missing_ok=True)

    @staticmethod
    def _opened(path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=5.0, check_same_thread=False, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute(_SCHEMA)
            if connection.execute("SELECT count(*) FROM verdicts").fetchone()[0] > _MOST:
                connection.execute("DELETE FROM verdicts")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def get(self, keys: Sequence[bytes]) -> Mapping[bytes, Known]:
        """Return what is known of mutants by their keys."""
        found: dict[bytes, Known] = {}
        with self._lock, suppress(sqlite3.Error):
            for at in range(0, len(keys) if self._connection is not None else 0, _AT_ONCE):
                some = keys[at : at + _AT_ONCE]
                marks = ",".join("?" * len(some))
                rows = cast("sqlite3.Connection", self._connection).execute(
                    f"SELECT key, verdict, test, exception FROM verdicts WHERE key IN ({marks})",  # noqa: S608 - marks
                    tuple(some),
                )
                for key, verdict, test, exception in rows:
                    if verdict in get_args(Verdict):
                        found[key] = Known(verdict, str(test), str(exception))
        return found

    def put(self, rows: Iterable[tuple[bytes, Known]]) -> None:
        """Remember verdicts."""
        kept = [(key, *known) for key, known in rows if known.verdict in KEPT]
        with self._lock, suppress(sqlite3.Error):
            if self._connection is not None and kept:
                self._connection.execute("BEGIN")
                self._connection.executemany("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?)", kept)
                self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the database; may be called again."""
        with self._lock, suppress(sqlite3.Error):
            if self._connection is not None:
                self._connection.close()
                self._connection = None
