"""The index's database: one file for each tree, never changed once it is there, so that no process disturbs another."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path

from agents.context.facts import FileFacts

VERSION = 1
"""Of the schema and of what is read out of files; another number makes older caches useless."""
_APPLICATION = 0x67646978
_SCHEMA = """
CREATE TABLE files (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, digest BLOB NOT NULL, language TEXT NOT NULL,
    lines INTEGER NOT NULL, skipped TEXT NOT NULL, imports TEXT NOT NULL, uses BLOB NOT NULL
);
CREATE TABLE symbols (
    file INTEGER NOT NULL, name TEXT NOT NULL, qualified TEXT NOT NULL, kind TEXT NOT NULL,
    first INTEGER NOT NULL, line INTEGER NOT NULL, last INTEGER NOT NULL
);
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY, file INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, symbol TEXT NOT NULL
);
CREATE VIRTUAL TABLE passages USING fts5(path, symbol, body, detail=column, tokenize="porter unicode61");
CREATE VIRTUAL TABLE identifiers USING fts5(
    names, content='', detail=none, columnsize=0, tokenize="unicode61 remove_diacritics 0 tokenchars '_'"
);
CREATE VIRTUAL TABLE words USING fts5vocab(passages, row);
CREATE VIRTUAL TABLE mentions USING fts5vocab(identifiers, row);
"""
_INDEXES = """
CREATE INDEX symbols_file ON symbols(file);
CREATE INDEX symbols_name ON symbols(name);
CREATE INDEX chunks_file ON chunks(file);
"""
_MOST_FILES = 12
_MOST_BYTES = 4 * 1024 * 1024 * 1024

Known = Mapping[str, bytes]
"""Path → digest."""


class Damaged(Exception):
    """A database is not one of ours, or not whole."""


def _name(tree_digest: str, checksum: int) -> str:
    return f"{tree_digest[:40]}-v{VERSION}-{checksum:08x}.sqlite"


def _checksum(path: Path) -> int:
    total = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total = zlib.crc32(block, total)
    return total


def _is_whole(path: Path) -> bool:
    """Whether a database holds what was written, by the checksum in its name: SQLite itself hardly notices damage."""
    try:
        return path.stem.endswith(f"-{_checksum(path):08x}")
    except OSError:
        return False


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _connect(path: Path | None, *, readonly: bool) -> sqlite3.Connection:
    if path is None:
        return sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    mode = "?mode=ro&immutable=1" if readonly else "?mode=rwc"
    uri = path.absolute().as_uri() + mode
    connection = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
    if not readonly:
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA cache_size=-65536")
    return connection


def _checked(connection: sqlite3.Connection) -> None:
    """Raise `Damaged` unless the database is ours and was finished."""
    try:
        head = connection.execute("PRAGMA application_id").fetchone()[0], connection.execute(
            "PRAGMA user_version").fetchone()[0]  # fmt: skip
        if head != (_APPLICATION, VERSION):
            raise Damaged("it was made by something else")
        # Touches each table once; deeper damage shows when it is met.
        for table in ("files", "symbols", "chunks", "words", "mentions"):
            connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()  # noqa: S608 - our names
    except sqlite3.DatabaseError as error:
        raise Damaged(str(error)) from error


def open_existing(folder: Path, tree_digest: str) -> sqlite3.Connection | None:
    """Return the finished database of exactly this tree, read only, or None; one that is damaged is removed."""
    for path in folder.glob(f"{tree_digest[:40]}-v{VERSION}-*.sqlite"):
        connection = None
        try:
            if not _is_whole(path):
                raise Damaged("it is not what was written")
            connection = _connect(path, readonly=True)
            _checked(connection)
            with suppress(OSError):
                os.utime(path)
            return connection
        except (Damaged, sqlite3.Error):
            if connection is not None:
                connection.close()
            _remove(path)
    return None


def known_files(connection: sqlite3.Connection) -> dict[str, tuple[int, bytes]]:
    """Return path → (id, digest)."""
    return {decoded(path): (number, digest)
            for number, path, digest in connection.execute("SELECT id, path, digest FROM files")}  # fmt: skip


def encoded(path: str) -> str:
    """Return a path as text that SQLite takes: one that is not Unicode becomes NUL and hexadecimal digits."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return "\0" + path.encode("utf-8", "surrogateescape").hex()
    return path


def decoded(path: str) -> str:
    """Undo `encoded`."""
    return bytes.fromhex(path[1:]).decode("utf-8", "surrogateescape") if path.startswith("\0") else path


class Draft:
    """A database that is being made; `finish` gives it its name, `drop` forgets it."""

    def __init__(self, folder: Path | None, tree_digest: str, wanted: Known) -> None:
        """Begin with the database in `folder` that shares most files with `wanted`, or with an empty one.

        Raises:
            OSError, sqlite3.Error: the folder cannot be written.

        """
        self._folder, self._tree_digest = folder, tree_digest
        self._part: Path | None = None
        self.connection: sqlite3.Connection
        base = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._part = folder / f".{tree_digest[:16]}.{os.getpid()}.{threading.get_ident()}.part"
            base = _nearest(folder, wanted)
        if base is None or not self._take_over(base):
            self._begin_empty()
        self._cold = not known_files(self.connection)

    def _take_over(self, base: Path) -> bool:
        if self._part is None:
            return False
        if not _is_whole(base):
            _remove(base)
            return False
        try:
            shutil.copyfile(base, self._part)
            self.connection = _connect(self._part, readonly=False)
            _checked(self.connection)
        except (OSError, sqlite3.Error, Damaged):
            return False
        self.connection.execute("BEGIN")
        return True

    def _begin_empty(self) -> None:
        if self._part is not None:
            self._part.unlink(missing_ok=True)
        self.connection = _connect(self._part, readonly=False)
        self.connection.executescript(f"PRAGMA application_id={_APPLICATION};{_SCHEMA}")
        self.connection.execute("BEGIN")

    def remove(self, numbers: Iterable[int]) -> None:
        """Forget files by their ids."""
        for number in numbers:
            row = self.connection.execute("SELECT uses FROM files WHERE id=?", (number,)).fetchone()
            if row is None:
                continue
            self.connection.execute(
                "INSERT INTO identifiers(identifiers, rowid, names) VALUES('delete', ?, ?)",
                (number, " ".join(unpacked(row[0]))),
            )
            chunks = self.connection.execute("SELECT id FROM chunks WHERE file=?", (number,)).fetchall()
            self.connection.executemany("DELETE FROM passages WHERE rowid=?", chunks)
            for table, column in (("chunks", "file"), ("symbols", "file"), ("files", "id")):
                self.connection.execute(f"DELETE FROM {table} WHERE {column}=?", (number,))  # noqa: S608 - our names

    def add(self, path: str, digest: bytes, facts: FileFacts) -> None:
        """Take in a file that is not in it."""
        cursor = self.connection.execute(
            "INSERT INTO files(path, digest, language, lines, skipped, imports, uses) VALUES(?, ?, ?, ?, ?, ?, ?)",
            (encoded(path), digest, facts.language, facts.lines, facts.skipped, "\n".join(facts.imports),
             packed(facts.uses)),
        )  # fmt: skip
        number = cursor.lastrowid or 0
        names = " ".join(facts.uses)
        self.connection.execute("INSERT INTO identifiers(rowid, names) VALUES(?, ?)", (number, names))
        self.connection.executemany(
            "INSERT INTO symbols VALUES(?, ?, ?, ?, ?, ?, ?)", ((number, *symbol) for symbol in facts.symbols)
        )
        top = self.connection.execute("SELECT max(id) FROM chunks").fetchone()[0] or 0
        rows = list(enumerate(facts.chunks, top + 1))
        self.connection.executemany(
            "INSERT INTO chunks VALUES(?, ?, ?, ?, ?)", ((n, number, c[0], c[1], c[2]) for n, c in rows)
        )
        spaced = _spaced(path)
        self.connection.executemany(
            "INSERT INTO passages(rowid, path, symbol, body) VALUES(?, ?, ?, ?)",
            ((n, spaced, _spaced(c[2]), c[3]) for n, c in rows),
        )

    def finish(self) -> tuple[sqlite3.Connection, int]:
        """Make it readable, under its name where there is a folder; return a connection and the file's size."""
        self.connection.execute("COMMIT")
        if self._cold:
            self.connection.executescript(_INDEXES)
        # Written last: a database without it was not finished.
        self.connection.execute(f"PRAGMA user_version={VERSION}")
        if self._part is None or self._folder is None:
            return self.connection, 0
        self.connection.close()
        size = self._part.stat().st_size
        final = self._folder / _name(self._tree_digest, _checksum(self._part))
        self._part.replace(final)
        connection = _connect(final, readonly=True)
        _checked(connection)
        _clean(final)
        return connection, size

    def drop(self) -> None:
        """Forget everything."""
        with suppress(sqlite3.Error, AttributeError):
            self.connection.close()
        if self._part is not None:
            with suppress(OSError):
                self._part.unlink(missing_ok=True)


def _spaced(name: str) -> str:
    from agents.context.lexing import searchable

    return searchable(name.encode("utf-8", "replace").decode())


def packed(uses: Mapping[str, tuple[int, ...]]) -> bytes:
    """Return uses as compressed JSON; names that are not Unicode are left out."""
    return zlib.compress(json.dumps(uses, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace"), 1)


def unpacked(data: bytes) -> dict[str, list[int]]:
    """Undo `packed`."""
    found: dict[str, list[int]] = json.loads(zlib.decompress(data))
    return found


def _databases(folder: Path) -> Iterator[tuple[float, Path]]:
    with suppress(OSError):
        for path in folder.glob(f"*-v{VERSION}-*.sqlite"):
            with suppress(OSError):
                yield path.stat().st_mtime, path


def _nearest(folder: Path, wanted: Known) -> Path | None:
    """Return the newest database that shares at least half of its files, and of those wanted."""
    best: tuple[int, Path] | None = None
    for _, path in sorted(_databases(folder), reverse=True)[:_MOST_FILES]:
        try:
            with closing(_connect(path, readonly=True)) as connection:
                _checked(connection)
                known = known_files(connection)
        except (sqlite3.Error, Damaged, ValueError):
            _remove(path)
            continue
        shared = sum(1 for p, digest in wanted.items() if p in known and known[p][1] == digest)
        if shared * 2 >= max(len(known), len(wanted)) and (best is None or shared > best[0]):
            best = shared, path
        if best is not None and best[0] >= len(wanted) - 3:
            break
    return best[1] if best else None


def _clean(newest: Path) -> None:
    """Remove the oldest databases beyond what may be kept, and what killed processes left."""
    kept = size = 0
    for _, path in sorted(_databases(newest.parent), reverse=True):
        with suppress(OSError):
            kept, size = kept + 1, size + path.stat().st_size
            if path != newest and (kept > _MOST_FILES or size > _MOST_BYTES):
                _remove(path)
    for pattern in (".*.part", f"*-v[!{VERSION}]-*.sqlite"):
        with suppress(OSError):
            for path in newest.parent.glob(pattern):
                with suppress(OSError):
                    if time.time() - path.stat().st_mtime > 3600:
                        path.unlink()
