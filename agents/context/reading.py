"""One file's bytes as facts, whatever the bytes are."""

from __future__ import annotations

import re

from agents.context.chunks import cut
from agents.context.facts import FileFacts
from agents.context.languages import grammar_of, language_of
from agents.context.lexing import code_of, uses
from agents.context.python_source import RESERVED, read_python
from sandbox.tree import Entry

MOST_BYTES = 2 * 1024 * 1024
"""Larger files are data or generated."""
LONGEST_LINE, LONGEST_AVERAGE = 20_000, 500
"""Files with a longer line, or longer ones on average, are minified or data."""
_BOM = "\ufeff"


def read_file(path: str, entry: Entry) -> FileFacts:
    """Return the facts of a file; never raises for what its contents are."""
    if entry.kind != "file":
        return _left_out("link")
    return read_bytes(path, entry.data)


def read_bytes(path: str, data: bytes) -> FileFacts:
    """Return the facts of a file's contents; see `read_file`."""
    language = language_of(path)
    if not language:
        return _left_out("not source or text")
    if len(data) > MOST_BYTES:
        return _left_out("large")
    if b"\0" in data[:8192]:
        return _left_out("binary")
    text = decode(data)
    if text is None:
        return _left_out("not UTF-8")
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    longest = max(map(len, lines), default=0)
    if longest > LONGEST_LINE or len(text) > max(LONGEST_LINE, LONGEST_AVERAGE * len(lines)):
        return _left_out("minified")
    if language == "text":
        return FileFacts(language, len(lines), (), (), {}, cut(lines, ()))
    if language == "python":
        symbols, imports, _ = read_python(text)
        reserved = RESERVED
    else:
        symbols, imports = grammar_of(language).read(data)
        reserved = grammar_of(language).reserved
    found = uses(code_of(text, language), reserved)
    for name, _, _, _, line, _ in symbols:
        at = found.get(name)
        if at is not None and line in at:
            at.remove(line)
            if not at:
                del found[name]
    return FileFacts(
        language, len(lines), tuple(symbols), tuple(dict.fromkeys(imports)),
        {name: tuple(at) for name, at in found.items()}, cut(lines, symbols),
    )  # fmt: skip


def decode(data: bytes) -> str | None:
    """Return the text with all line ends as line feeds, or None where it is not UTF-8 (nor declared Latin-1 Python)."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        if not re.search(rb"coding[:=]\s*(?:latin-?1|iso-8859-\d+|cp125\d)\b", data[:200], re.IGNORECASE):
            return None
        text = data.decode("latin-1")
    return text.removeprefix(_BOM).replace("\r\n", "\n").replace("\r", "\n").replace("\f", " ").replace("\v", " ")


def _left_out(why: str) -> FileFacts:
    return FileFacts("", 0, (), (), {}, (), why)
