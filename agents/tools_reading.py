"""What the reading tools show of a tree: numbered lines, outlines, places where a text or a name stands."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from agents.repair.units import FUNCTIONS
from agents.replies import Draft, ReplyRefused, TreeTexts, parsed, split_lines
from sandbox.tree import Tree

LINE = 300
"""Characters shown of one line."""
_PER_FILE = 6
_LARGE = 2_000_000
"""Bytes; larger files are not searched."""


class Found(Protocol):
    """A place that an index found."""

    @property
    def path(self) -> str: ...
    @property
    def first(self) -> int: ...
    @property
    def last(self) -> int: ...
    @property
    def symbol(self) -> str: ...


class Index(Protocol):
    """What the tools ask of an index of the base tree; files edited since are searched as they are now."""

    def search(self, query: str, limit: int, /) -> Sequence[Found]: ...
    def outline(self, tokens: int, /) -> str: ...
    def file_outline(self, path: str, /) -> str: ...


def numbered(lines: Sequence[str], first: int) -> str:
    """Return lines with their numbers, the first one's being `first`; long lines are cut, and say so."""
    width = len(str(first + len(lines)))
    return "".join(f"{number:>{width}}| {cut(line)}\n" for number, line in enumerate(lines, first))


def cut(line: str) -> str:
    """Return a line, cut where it is too long to show."""
    return line if len(line) <= LINE else f"{line[:LINE]} [{len(line) - LINE} characters left out]"


def show(tree: Tree, texts: TreeTexts, written: str, first: int, last: int, limit: int) -> str:
    """Return lines `first` to `last` of a file (0 for as many as fit into `limit`), or what a folder holds.

    Raises:
        ReplyRefused: there is no such file, or it is no text.

    """
    path = _trimmed(written)
    if path not in tree and (inside := _inside(tree, path)):
        return folder(path, inside, limit)
    if path in tree and path not in texts:
        raise ReplyRefused("unknown path", f"{path} is {_what(tree, path)}, which cannot be shown as text")
    path = Draft(texts).existing(path)
    lines = split_lines(texts[path])
    if not lines:
        return f"{path} is empty.\n"
    if first > len(lines):
        raise ReplyRefused("malformed", f"{path} has only {len(lines)} lines")
    end = min(len(lines), last if last >= first else first + limit - 1, first + limit - 1)
    head = f"{path}, lines {first} to {end} of {len(lines)}:\n"
    return head + numbered(lines[first - 1 : end], first)


def _what(tree: Tree, path: str) -> str:
    entry = tree[path]
    return "a symbolic link" if entry.kind == "symlink" else f"a file of {len(entry.data):,} bytes"


def _trimmed(written: str) -> str:
    path = written.strip().rstrip("/")
    while path.startswith("./"):
        path = path[2:]
    return "" if path == "." else path


def _inside(tree: Tree, path: str) -> list[str]:
    return [p for p in tree if not path or p.startswith(f"{path}/")]


def folder(path: str, inside: Sequence[str], limit: int) -> str:
    """Return what a folder holds: its files, and its folders with the number of files in them."""
    start = len(path) + 1 if path else 0
    counts: dict[str, int] = {}
    for one in inside:
        name, slash, _ = one[start:].partition("/")
        counts[name + slash] = counts.get(name + slash, 0) + 1
    rows = [f"{name} ({count} files)" if name.endswith("/") else name for name, count in sorted(counts.items())]
    more = f"[{len(rows) - limit} more]\n" if len(rows) > limit else ""
    return f"{path or 'The repository'} holds:\n" + "".join(f"  {row}\n" for row in rows[:limit]) + more


def outline(tree: Tree, texts: TreeTexts, written: str, limit: int) -> str:
    """Return the classes and functions of a file with their lines, or of a folder's Python files those at the top.

    Raises:
        ReplyRefused: there is no such file or folder.

    """
    path = _trimmed(written)
    if path not in tree and (inside := _inside(tree, path)):
        rows = [row for one in inside if one in texts for row in _brief(one, texts)]
        if len(rows) > limit:
            return folder(path, inside, limit)
        return "".join(f"{row}\n" for row in rows)
    path = Draft(texts).existing(path)
    text = texts[path]
    module = parsed(text) if path.endswith((".py", ".pyi")) else ""
    if isinstance(module, str):
        why = f" (it does not parse: {module})" if module else ""
        return f"{path} has {len(split_lines(text))} lines{why}.\n"
    rows = [f"{'  ' * depth}{_title(node)}  {_lines(node)}" for depth, node in _definitions(module, 0)]
    more = f"[{len(rows) - limit} more]\n" if len(rows) > limit else ""
    return f"{path}, {len(split_lines(text))} lines:\n" + "".join(f"  {row}\n" for row in rows[:limit]) + more


def _brief(path: str, texts: TreeTexts) -> list[str]:
    module = parsed(texts[path]) if path.endswith(".py") else ""
    if isinstance(module, str):
        return [path]
    return [path, *(f"  {_title(node)}  {_lines(node)}" for depth, node in _definitions(module, 0) if depth == 0)]


Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _definitions(node: ast.AST, depth: int) -> Iterator[tuple[int, Definition]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*FUNCTIONS, ast.ClassDef)):
            yield depth, child
            if isinstance(child, ast.ClassDef):
                yield from _definitions(child, depth + 1)
        elif isinstance(child, (ast.If, ast.Try, ast.With)):
            yield from _definitions(child, depth)


def _title(node: Definition) -> str:
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        return f"class {node.name}({bases})" if bases else f"class {node.name}"
    kind = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    return cut(f"{kind} {node.name}({ast.unparse(node.args)}){returns}")


def _lines(node: Definition) -> str:
    return f"[{node.lineno}-{node.end_lineno or node.lineno}]"


def search(
    tree: Tree, query: str, within: str, limit: int, index: Index | None = None, base: Tree | None = None
) -> str:
    """Return the lines that hold a text; where none does, those that hold all of its words; an index's places first.

    Upper and lower case are told apart only where the query has upper case. `base` is what the index was made of.
    """
    query, scope = query.strip(), _trimmed(within)
    paths = [p for p in tree if not scope or p == scope or p.startswith(f"{scope}/")]
    if not paths:
        raise ReplyRefused("unknown path", f"there is no file or folder {scope!r}")
    inside = frozenset(paths)
    ranked = [
        f"{hit.path}:{hit.first}-{hit.last}  {hit.symbol}".rstrip()
        for hit in (index.search(query, 8) if index is not None else ())
        if hit.path in inside and (base is None or base.get(hit.path) == tree.get(hit.path))
    ]
    head = "Places that fit best:\n" + "".join(f"  {row}\n" for row in ranked) + "\n" if ranked else ""
    rows, files = _places(tree, paths, (query,), limit)
    if not rows and not ranked:
        words = tuple(dict.fromkeys(re.findall(r"\w+", query)))
        if len(words) > 1:
            rows, files = _places(tree, paths, words, limit)
            head = f"{query!r} stands nowhere; lines with all of its words:\n" if rows else ""
    if not rows:
        return head or f"{query!r} stands nowhere in {scope or 'the repository'}.\n"
    return head + f"{len(rows)} lines in {files} files:\n" + "".join(rows)


def references(tree: Tree, name: str, limit: int) -> str:
    """Return where a name is defined and then where else it stands, as a word of its own."""
    last = name.rpartition(".")[2]
    define = re.compile(
        rf"^\s*(?:async\s+)?(?:def|class|func|function|fn|type|interface|struct)\s+{last}\b|^\s*{last}\s*(?::[^=]+)?=[^=]"
    )
    rows: list[str] = []
    defined: list[str] = []
    for path, number, line in _hits(tree, list(tree), (re.compile(rf"\b{last}\b"),)):
        row = f"{path}:{number}: {cut(line.strip())}\n"
        (defined if define.search(line) else rows).append(row)
        if len(rows) + len(defined) >= 20 * limit:
            break
    if not rows and not defined:
        return f"{last} stands nowhere in the repository.\n"
    parts = []
    for title, found, most in (("Defined", defined, limit // 2), ("Used", rows, limit)):
        if found:
            more = f"[{len(found) - most} more]\n" if len(found) > most else ""
            parts.append(f"{title}:\n" + "".join(f"  {row}" for row in found[:most]) + more)
    return "".join(parts)


def _places(tree: Tree, paths: Sequence[str], words: Sequence[str], limit: int) -> tuple[list[str], int]:
    """Return rows for the lines that hold all words, and in how many files they stand."""
    flags = 0 if any(word != word.lower() for word in words) else re.IGNORECASE
    rows: list[str] = []
    counts: dict[str, int] = {}
    for path, number, line in _hits(tree, paths, [re.compile(re.escape(word), flags) for word in words]):
        counts[path] = counts.get(path, 0) + 1
        if counts[path] <= _PER_FILE:
            rows.append(f"{path}:{number}: {cut(line.strip())}\n")
        elif counts[path] == _PER_FILE + 1:
            rows.append(f"{path}: more lines\n")
        if len(rows) >= limit:
            rows.append("[more left out: search for something narrower, or within a folder]\n")
            break
    return rows, len(counts)


def _hits(tree: Tree, paths: Sequence[str], patterns: Sequence[re.Pattern[str]]) -> Iterator[tuple[str, int, str]]:
    """Give path, number and text of the lines in which all patterns stand."""
    for path in paths:
        entry = tree[path]
        if entry.kind != "file" or len(entry.data) > _LARGE or b"\0" in entry.data[:8_000]:
            continue
        text = entry.data.decode("utf-8", "replace")
        if not all(pattern.search(text) for pattern in patterns):
            continue
        for number, line in enumerate(split_lines(text), 1):
            if all(pattern.search(line) for pattern in patterns):
                yield path, number, line
