"""The places that a coding task is about, as text for a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.observations import short
from agents.repair.units import MODULE, SourceFile
from agents.replies import TreeTexts, split_lines
from sandbox.tree import Tree

_FILE_LINES = 400
_FILES = 6
_LIMIT = 24_000


@dataclass(frozen=True, slots=True)
class Snippet:
    """Lines of a file that the task is about, or that show how it is done here."""

    path: str
    first: int
    """Line number of the text's first line, from 1."""
    text: str
    why: str = ""


def shown(tree: Tree, places: Sequence[str], snippets: Sequence[Snippet], *, whole: bool) -> str:
    """Return places and snippets; with `whole` the text of the places too, as a model without tools has to see it."""
    texts = TreeTexts(tree)
    pieces: list[str] = []
    seen: set[str] = set()
    for place in places[:_FILES]:
        path, _, function = place.partition("::")
        if path not in texts:
            pieces.append(f"{place} (to be made)")
        elif not whole:
            pieces.append(place)
        elif path not in seen:
            seen.add(path)
            pieces.append(_text_of(tree, texts, path, function))
    for snippet in snippets:
        if snippet.path not in seen:
            why = f" ({snippet.why})" if snippet.why else ""
            pieces.append(f"{snippet.path}, from line {snippet.first}{why}:\n{short(snippet.text, 200, 6_000)}")
    return "\n\n".join(pieces)[:_LIMIT]


def _text_of(tree: Tree, texts: TreeTexts, path: str, function: str) -> str:
    """Return a file whole where it is short, else the function with the file's head, never numbered: it is copied."""
    text = texts[path]
    lines = split_lines(text)
    if len(lines) <= _FILE_LINES:
        return f"{path}:\n{text}"
    file = SourceFile.parse(path, tree) if path.endswith(".py") else None
    unit = next((u for u in file.units if u.qualname == function), None) if file is not None and function else None
    if unit is None or unit.qualname == MODULE:
        return f"{path}, its first {_FILE_LINES} of {len(lines)} lines:\n" + "\n".join(lines[:_FILE_LINES])
    head = "\n".join(lines[:40])
    return f"{path}, its first 40 lines:\n{head}\n\n{path}, lines {unit.first_line} to {unit.last_line}:\n" + "\n".join(
        lines[unit.first_line - 1 : unit.last_line]
    )
