"""Source files as exact text, and edits applied to them to the byte."""

from __future__ import annotations

import codecs
import io
import tokenize
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from agents.errors import EditError
from agents.results import Candidate, Edit, NewFile
from sandbox.tree import Entry, Tree


@dataclass(frozen=True, slots=True)
class Source:
    """A Python file's text with what is needed to give the same bytes back."""

    text: str
    """Decoded, with the file's own line endings; without the byte order mark."""
    encoding: str = "utf-8"
    bom: bool = False

    @property
    def newline(self) -> str:
        """The line ending that the file uses most, a line feed where it has none."""
        crlf = self.text.count("\r\n")
        lf = self.text.count("\n") - crlf
        cr = self.text.count("\r") - crlf
        if crlf > lf and crlf >= cr:
            return "\r\n"
        return "\r" if cr > lf else "\n"


def decode(data: bytes) -> Source:
    """Decode a Python file by its byte order mark or encoding cookie (PEP 263), newlines untouched.

    Raises:
        EditError: the encoding is unknown, the bytes do not fit it, or it would not give the same bytes back.

    """
    bom = data.startswith(codecs.BOM_UTF8)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        name = "utf-8" if encoding == "utf-8-sig" else encoding
        text = (data[len(codecs.BOM_UTF8) :] if bom else data).decode(name)
        faithful = text.encode(name) == (data[len(codecs.BOM_UTF8) :] if bom else data)
    except (SyntaxError, UnicodeError, LookupError) as error:
        raise EditError(f"the file cannot be decoded as Python source: {error}") from error
    if not faithful:
        raise EditError(f"the file's encoding {name} does not give the same bytes back, so it is not edited")
    return Source(text, name, bom)


def encode(source: Source) -> bytes:
    """Return the file's bytes; the inverse of `decode`.

    Raises:
        EditError: the text has a character that the file's encoding lacks.

    """
    try:
        data = source.text.encode(source.encoding)
    except UnicodeError as error:
        raise EditError(f"the change does not fit the file's encoding {source.encoding}: {error}") from error
    return codecs.BOM_UTF8 + data if source.bom else data


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """Return `text` with all `edits` made at once; offsets refer to `text`. The edits' paths are not looked at.

    Raises:
        EditError: an edit is out of range, overlaps another, or inserts where another inserts.

    """
    pieces: list[str] = []
    done, last = 0, -1
    for edit in sorted(edits, key=lambda e: (e.start, e.end)):
        if not 0 <= edit.start <= edit.end <= len(text):
            raise EditError(
                f"an edit of {edit.path} at {edit.start} to {edit.end} is outside its {len(text)} characters"
            )
        if edit.start < done or (edit.start == edit.end == last):
            raise EditError(f"two edits of {edit.path} overlap at character {edit.start}")
        pieces += (text[done : edit.start], edit.replacement)
        done = edit.end
        last = edit.start if edit.start == edit.end else -1
    pieces.append(text[done:])
    return "".join(pieces)


def compose(first: Sequence[Edit], second: Sequence[Edit]) -> tuple[Edit, ...]:
    """Return both candidates' edits (made against the same text) as one sorted tuple, equal ones once.

    Raises:
        EditError: they overlap, or both insert at the same place.

    """
    edits = tuple(sorted({*first, *second}, key=lambda e: (e.path, e.start, e.end)))
    for one, two in pairwise(edits):
        if one.path == two.path and (two.start < one.end or (one.start == two.start and one.end == two.end)):
            raise EditError(f"two edits of {one.path} overlap at character {two.start}")
    return edits


def edited_files(tree: Tree, edits: Iterable[Edit]) -> dict[str, bytes]:
    """Return path → new bytes for every file that `edits` change.

    Raises:
        EditError: a path is not a regular file of the tree, or an edit cannot be made exactly.

    """
    changed: dict[str, bytes] = {}
    for path, group in groupby(sorted(edits, key=lambda e: (e.path, e.start, e.end)), key=lambda e: e.path):
        entry = tree.get(path)
        if entry is None or entry.kind != "file":
            raise EditError(f"{path} is not a regular file of the tree")
        source = decode(entry.data)
        changed[path] = encode(Source(apply_edits(source.text, group), source.encoding, source.bom))
    return changed


def apply_changes(
    tree: Tree, edits: Iterable[Edit], created: Iterable[NewFile] = (), deleted: Iterable[str] = ()
) -> Tree:
    """Return the tree with files edited, added and removed, every other byte and mode as it was.

    Raises:
        EditError: see `edited_files`; also a file to add that is there already, or one to remove that is not.

    """
    changed: dict[str, Entry | None] = {
        path: Entry(data, "file", tree[path].executable) for path, data in edited_files(tree, edits).items()
    }
    for new in created:
        if new.path in tree:
            raise EditError(f"{new.path} is there already")
        changed[new.path] = Entry(new.text.encode("utf-8"))
    for path in deleted:
        if path not in tree:
            raise EditError(f"{path} is not there")
        changed[path] = None
    return tree.replaced(changed)


def apply_candidate(tree: Tree, candidate: Candidate) -> Tree:
    """Return the tree with the candidate's changes made; see `apply_changes`."""
    return apply_changes(tree, candidate.edits, candidate.created, candidate.deleted)
