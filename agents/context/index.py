"""The index of a repository: symbols, references, imports, search, outlines, and what changed together."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast

from agents.context import searching
from agents.context.building import Stopped, build
from agents.context.facts import Hit, Kind, Reference, Stats, Symbol
from agents.context.history import History
from agents.context.modules import Modules
from agents.context.outline import Outliner
from agents.context.reading import decode
from agents.context.store import decoded, encoded, unpacked
from sandbox.tree import Tree

__all__ = ["History", "Hit", "Index", "Reference", "Stats", "Stopped", "Symbol"]

T = TypeVar("T")
_LINE = 200
_HIT_TEXT = 4000


class Index:
    """What agents know of one tree; for use from any thread. Results are the same for the same tree, cached or not."""

    def __init__(self, tree: Tree, connection: sqlite3.Connection, history: History | None, stats: Stats) -> None:
        """Use `Index.build`."""
        self.tree = tree
        self.history = history or History()
        self._connection = connection
        self._lock = threading.RLock()
        self._stats = stats
        self._numbers: dict[int, str] = {}
        self._modules: Modules | None = None
        self._imports: dict[str, tuple[str, ...]] | None = None
        self._importers: dict[str, list[str]] | None = None
        self._lines: dict[str, list[str]] = {}
        self._outliner: Outliner | None = None

    @classmethod
    def build(
        cls,
        tree: Tree,
        *,
        cache: Path | None = None,
        history: History | None = None,
        stop: threading.Event | None = None,
    ) -> Index:
        """Index a tree; only files that the folder `cache` does not know are read.

        The folder may be shared by repositories and by processes. Damage to it costs time, never an exception.

        Raises:
            Stopped: `stop` was set before the index was there.

        """
        begun = time.monotonic()
        built = build(tree, cache, stop)
        index = cls(tree, built.connection, history, Stats(0, 0, 0, 0, 0.0, 0.0))
        index._stats = index._count(built.read, built.size, built.notes, begun)
        return index

    def _count(self, read: int, size: int, notes: tuple[str, ...], begun: float) -> Stats:
        one = self._connection.execute
        languages = dict(one("SELECT language, count(*) FROM files WHERE skipped='' GROUP BY 1 ORDER BY 1"))
        skipped = dict(one("SELECT skipped, count(*) FROM files WHERE skipped!='' GROUP BY 1 ORDER BY 1"))
        return Stats(
            files=sum(languages.values()),
            lines=one("SELECT coalesce(sum(lines), 0) FROM files").fetchone()[0],
            symbols=one("SELECT count(*) FROM symbols").fetchone()[0],
            chunks=one("SELECT count(*) FROM chunks").fetchone()[0],
            seconds=time.monotonic() - begun,
            cached_share=1.0 - read / len(self.tree) if self.tree else 1.0,
            languages=languages,
            skipped=skipped,
            bytes_on_disk=size,
            notes=notes,
        )

    def _ask(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Work with the database; where it turns out to be damaged, index the tree anew, in memory."""
        with self._lock:
            try:
                return work(self._connection)
            except (sqlite3.DatabaseError, ValueError, KeyError, zlib.error):
                # The others are what values of a damaged page end in.
                self._connection.close()
                self._connection = build(self.tree, None).connection
                self._numbers = {}
                return work(self._connection)

    def stats(self) -> Stats:
        """Return what the index holds."""
        return self._stats

    def symbols(self, name: str, limit: int = 20) -> tuple[Symbol, ...]:
        """Return definitions by name: exact, then those whose qualified name ends with it, then similar ones.

        `name` may be qualified (`Class.method`, `Class::method`), may begin with the module (`package.module.function`)
        and may end with `()`.
        """
        return self._ask(lambda db: searching.symbols(db, self.path_of, name, limit))

    def symbols_of(self, path: str) -> tuple[Symbol, ...]:
        """Return a file's definitions in the order of its lines; () for one that is not indexed."""
        query = """SELECT name, qualified, kind, first, line, last FROM symbols
                   WHERE file=(SELECT id FROM files WHERE path=?) ORDER BY first, last DESC"""
        rows = self._ask(lambda db: db.execute(query, (encoded(path),)).fetchall())
        return tuple(Symbol(path, n, q, cast("Kind", k), first, line, last) for n, q, k, first, line, last in rows)

    def symbol_at(self, path: str, line: int) -> Symbol | None:
        """Return the innermost definition (no variable) that holds a line."""
        holding = [s for s in self.symbols_of(path) if s.first <= line <= s.last and s.kind not in
                   {"variable", "constant"}]  # fmt: skip
        return max(holding, key=lambda s: (s.first, -s.last), default=None)

    def references(self, name: str, limit: int = 50) -> tuple[Reference, ...]:
        """Return the lines that use a name (the last part of a qualified one), in the order of paths and lines."""
        name = searching.last_part(name)

        def work(db: sqlite3.Connection) -> list[tuple[str, list[int]]]:
            found = []
            for path, uses in searching.users(db, name):
                lines = unpacked(uses).get(name)
                if lines:
                    found.append((decoded(path), lines))
                if sum(len(some) for _, some in found) >= limit:
                    break
            return found

        places = [(path, line) for path, lines in self._ask(work) for line in lines][:limit]
        return tuple(Reference(path, line, self.line(path, line).strip()[:_LINE]) for path, line in places)

    def search(self, query: str, limit: int = 10) -> tuple[Hit, ...]:
        """Return the passages that fit a text best; identifiers are taken apart in both."""
        found = self._ask(lambda db: searching.passages(db, query, limit))
        hits = []
        for path, first, last, symbol, score in found:
            text = "\n".join(self.lines(path)[first - 1 : last])[:_HIT_TEXT]
            hits.append(Hit(path, first, last, symbol, score, text))
        return tuple(hits)

    def outline(self, tokens: int, focus: Sequence[str] = ()) -> str:
        """Return the tree's most central definitions within about `tokens` tokens (3 characters each).

        What `focus` names (paths, symbols, or words of a request) and what is near to it comes first.
        """
        return self._outlined().outline(tokens, focus)

    def file_outline(self, path: str) -> str:
        """Return a file's definitions with their lines; "" for one that is not indexed or has none."""
        return self._outlined().file_outline(path)

    def _outlined(self) -> Outliner:
        with self._lock:
            if self._outliner is None:
                self._outliner = Outliner(self)
            return self._outliner

    def imports(self, path: str) -> tuple[str, ...]:
        """Return the tree's files that a file imports, as far as names tell."""
        return self._import_graph().get(path, ())

    def importers(self, path: str) -> tuple[str, ...]:
        """Return the tree's files that import a file, sorted."""
        with self._lock:
            if self._importers is None:
                self._importers = {}
                for importer, imported in self._import_graph().items():
                    for target in imported:
                        self._importers.setdefault(target, []).append(importer)
            return tuple(sorted(self._importers.get(path, ())))

    def imported_names(self, path: str) -> tuple[str, ...]:
        """Return what a file imports as written, members too (`package.module.function`)."""
        query = "SELECT imports FROM files WHERE path=?"
        row = self._ask(lambda db: db.execute(query, (encoded(path),)).fetchone())
        return tuple(row[0].split("\n")) if row and row[0] else ()

    def _import_graph(self) -> dict[str, tuple[str, ...]]:
        with self._lock:
            if self._imports is None:
                rows = self._ask(
                    lambda db: db.execute("SELECT path, language, imports FROM files WHERE skipped=''").fetchall()
                )
                modules = Modules({decoded(path): language for path, language, _ in rows})
                self._imports = {
                    decoded(path): modules.resolve(decoded(path), imports.split("\n"))
                    for path, _, imports in rows
                    if imports
                }
            return self._imports

    def cochanged(self, path: str, limit: int = 10) -> tuple[tuple[str, float], ...]:
        """Return files of the tree that commits changed together with a file, each with a share between 0 and 1."""
        every = self.history.cochanged(path, limit * 4)
        return tuple(pair for pair in every if pair[0] in self.tree)[:limit]

    def paths(self) -> tuple[str, ...]:
        """Return the files that were read, sorted."""
        return tuple(sorted(p for p in self.languages()))

    def languages(self) -> dict[str, str]:
        """Return path → language of the files that were read."""
        rows = self._ask(lambda db: db.execute("SELECT path, language FROM files WHERE skipped=''").fetchall())
        return {decoded(path): language for path, language in rows}

    def mentions(self) -> dict[str, int]:
        """Return identifier, in lower case, → how many files use it."""
        return dict(self._ask(lambda db: db.execute("SELECT term, doc FROM mentions").fetchall()))

    def all_symbols(self) -> list[tuple[str, str, str, str, int]]:
        """Return (path, name, qualified name, kind, line) of every definition."""
        rows = self._ask(
            lambda db: db.execute(
                "SELECT file, name, qualified, kind, line FROM symbols ORDER BY file, line"
            ).fetchall()
        )
        return [(self.path_of(file), *rest) for file, *rest in rows]

    def path_of(self, number: int) -> str:
        """Return the path of a file by its number in the database."""
        with self._lock:
            if not self._numbers:
                self._numbers = {n: decoded(p) for n, p in self._connection.execute("SELECT id, path FROM files")}
            return self._numbers[number]

    def lines(self, path: str) -> list[str]:
        """Return a file's lines as the index counts them; [] for one that is no text."""
        known = self._lines.get(path)
        if known is None:
            entry = self.tree.get(path)
            text = decode(entry.data) if entry is not None and entry.kind == "file" else None
            known = text.split("\n") if text else []
            if len(self._lines) > 200:
                self._lines.clear()
            self._lines[path] = known
        return known

    def line(self, path: str, number: int) -> str:
        """Return one line, "" where there is none."""
        lines = self.lines(path)
        return lines[number - 1] if 0 < number <= len(lines) else ""


def index_folder(cache: Path) -> Path:
    """Return where indexes are kept in a cache folder; shared by all repositories and processes."""
    return Path(os.path.normpath(cache)) / "index"
