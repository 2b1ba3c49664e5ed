"""Questions to the index's database."""

from __future__ import annotations

import difflib
import math
import re
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, cast

from agents.context.facts import Kind, Symbol
from agents.context.lexing import name_words, words
from agents.context.store import decoded

_WEIGHTS = (1.5, 3.0, 1.0)
"""Of path, symbol and body."""
_MOST_WORDS = 48
"""Of a query; the rarest are kept."""
_COMMON = 0.4
"""A word in more than this share of the passages says nothing, unless the query has no other."""
_NUMBER = re.compile(r"\d+\Z")
STOP_WORDS = frozenset((
    "the", "a", "an", "and", "or", "of", "to", "in", "is", "it", "its", "this", "that", "for", "with", "as",
    "be", "are", "was", "not", "on", "by", "at", "from", "if", "when", "should", "would", "can", "could", "has",
    "have", "had", "but", "we", "you", "they", "he", "she", "do", "does", "did", "will", "which", "there",
    "here", "what", "how", "why", "so", "than", "then", "them", "these", "those", "one", "two", "no", "yes",
    "use", "using", "used", "also", "any", "all", "some", "only", "into", "up", "out", "about", "been", "being",
    "were", "more", "most", "other", "such", "same", "via", "just", "like", "very", "may", "might", "must",
    "shall", "get", "set", "make",
))  # fmt: skip


def last_part(name: str) -> str:
    """Return the last identifier of a qualified name."""
    parts = re.findall(r"[^\W\d]\w*", name.partition("(")[0])
    return parts[-1] if parts else name.strip()


def symbols(db: sqlite3.Connection, path_of: Callable[[int], str], name: str, limit: int) -> tuple[Symbol, ...]:
    """Return symbols as `Index.symbols` promises."""
    parts = re.findall(r"[^\W\d]\w*", name.partition("(")[0])
    if not parts:
        return ()
    rows = _rows(db, "name=?", (parts[-1],))
    ranked = []
    for row in rows:
        symbol = Symbol(path_of(row[0]), row[1], row[2], cast("Kind", row[3]), *row[4:])
        own = symbol.qualified.split(".")
        module = re.findall(r"\w+", symbol.path.rpartition(".")[0].removesuffix("/__init__"))
        whole = [*module, *own]
        if own == parts:
            rank = 0
        elif len(parts) == 1 or parts in (own[-len(parts) :], whole[-len(parts) :]):
            rank = 1
        else:
            rank = 2
        ranked.append((rank, _order(symbol), symbol))
    ranked.sort(key=lambda item: item[:2])
    meant = [symbol for rank, _, symbol in ranked if rank < 2]
    found = meant or [symbol for _, _, symbol in ranked]
    if not meant and len(found) < limit:
        found += _similar(db, path_of, parts[-1], limit)
    return tuple(dict.fromkeys(found))[:limit]


def _order(symbol: Symbol) -> tuple[Any, ...]:
    in_tests = "test" in symbol.path.lower()
    return in_tests, symbol.kind in {"variable", "constant"}, symbol.qualified.count("."), symbol.path, symbol.line


def _rows(db: sqlite3.Connection, where: str, values: tuple[Any, ...]) -> list[Any]:
    query = f"SELECT file, name, qualified, kind, first, line, last FROM symbols WHERE {where} LIMIT 5000"  # noqa: S608
    return db.execute(query, values).fetchall()


def _similar(db: sqlite3.Connection, path_of: Callable[[int], str], name: str, limit: int) -> list[Symbol]:
    """Return symbols whose names are spelled alike, or made of the same words."""
    wanted = set(name_words(name))
    folded = name.lower().replace("_", "")
    scored = []
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(folded)
    for (other,) in db.execute("SELECT DISTINCT name FROM symbols"):
        short = other.lower().replace("_", "")
        matcher.set_seq1(short)
        if matcher.real_quick_ratio() < 0.6 and folded not in short:
            continue
        score = 0.9 if short == folded else 0.85 if len(folded) > 3 and folded in short else 0.0
        if not score and matcher.quick_ratio() >= 0.7:
            score = matcher.ratio()
        shared = wanted & set(name_words(other)) if len(wanted) > 1 else set()
        score = max(score, 0.9 * len(shared) / len(wanted) if len(shared) > 1 else 0.0)
        if score >= 0.7:
            scored.append((-score, other))
    found: list[Symbol] = []
    for _, other in sorted(scored)[:limit]:
        some = [Symbol(path_of(r[0]), r[1], r[2], cast("Kind", r[3]), *r[4:]) for r in _rows(db, "name=?", (other,))]
        found += sorted(some, key=_order)
        if len(found) >= limit:
            break
    return found


def users(db: sqlite3.Connection, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield the files that may use a name with their packed uses, by path."""
    if not re.fullmatch(r"\w+", name):
        return
    query = """SELECT path, uses FROM files WHERE id IN (SELECT rowid FROM identifiers WHERE identifiers MATCH ?)
               ORDER BY path"""
    yield from db.execute(query, (f'"{name}"',))


def weighed_words(db: sqlite3.Connection, query: str) -> list[str]:
    """Return the words to search for: the rarest of the query's, without those that nearly every passage has."""
    total = db.execute("SELECT count(*) FROM chunks").fetchone()[0] or 1
    counts: dict[str, int] = {}
    for word in words(query[:100_000]):
        if word not in STOP_WORDS and len(word) <= 40 and not _NUMBER.match(word):
            counts[word] = counts.get(word, 0) + 1
    scored = []
    # A word's stem is the tokenizer's secret: how often it occurs is asked for by a search.
    for word, count in sorted(counts.items(), key=lambda item: -item[1])[: 4 * _MOST_WORDS]:
        seen = db.execute("SELECT count(*) FROM (SELECT 1 FROM passages WHERE passages MATCH ? LIMIT ?)",
                          (f'"{word}"', int(_COMMON * total) + 2)).fetchone()[0]  # fmt: skip
        if seen:
            scored.append((math.log(1 + total / seen) * (1 + math.log(count)), seen, word))
    scored.sort(key=lambda item: (-item[0], item[2]))
    telling = [word for _, seen, word in scored if seen <= _COMMON * total or total < 10]
    return (telling or [word for _, _, word in scored])[:_MOST_WORDS]


def passages(db: sqlite3.Connection, query: str, limit: int) -> list[tuple[str, int, int, str, float]]:
    """Return (path, first line, last line, symbol, score) of the passages that fit best."""
    chosen = weighed_words(db, query)
    if not chosen or limit < 1:
        return []
    match = " OR ".join(f'"{word}"' for word in chosen)
    statement = """SELECT files.path, chunks.first, chunks.last, chunks.symbol, -found.score FROM
        (SELECT rowid AS id, bm25(passages, ?, ?, ?) AS score FROM passages WHERE passages MATCH ?
         ORDER BY score LIMIT ?) AS found
        JOIN chunks ON chunks.id = found.id JOIN files ON files.id = chunks.file"""
    rows = db.execute(statement, (*_WEIGHTS, match, limit + 50)).fetchall()
    ranked = sorted(((decoded(p), first, last, s, round(score, 6)) for p, first, last, s, score in rows),
                    key=lambda row: (-row[4], row[0], row[1]))  # fmt: skip
    return ranked[:limit]
