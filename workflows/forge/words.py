"""Texts for people on a forge: what others wrote can neither call anybody, nor close anything, nor hide anything."""

from __future__ import annotations

import re

from agents.results import Kind
from workflows.wording import printable

_MENTION = re.compile(r"@(?=[A-Za-z0-9_])")
_REFERENCE = re.compile(r"(?:#|\bGH-)(?=\d)|(?<=[\w.-])#(?=\d)", re.IGNORECASE)
_ISSUE_ADDRESS = re.compile(r"(https?)://(?=\S+/(?:issues|pull|merge_requests)/\d)")
_EXCHANGED = re.compile(r"(?:\S+:\d+: )?`([^`\n]+)` → ")
_TYPES: dict[Kind, str] = {
    "fix": "fix", "security": "fix", "feature": "feat", "refactor": "refactor", "test": "test", "upgrade": "build",
    "question": "docs",
}  # fmt: skip
SUBJECT = 72
"""Characters of a commit's first line."""


def harmless(text: str) -> str:
    """Return text that reads the same in Markdown, but mentions nobody and refers to (so closes) nothing."""
    plain = printable(text.replace("<!--", "<\\!--"))
    plain = _MENTION.sub("@\u200b", plain)
    plain = _ISSUE_ADDRESS.sub("\\1:\u200b//", plain)
    return _REFERENCE.sub(lambda found: found[0] + "\u200b", plain)


def plain_line(text: str, most: int) -> str:
    """Return one bounded line for a commit message or title, without mentions and references."""
    line = " ".join(printable(text).split())
    line = _MENTION.sub("", _REFERENCE.sub("no. ", _ISSUE_ADDRESS.sub("", line)))
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def subject(kind: Kind, files: tuple[str, ...], what: str) -> str:
    """Return a commit's first line as Conventional Commits have it."""
    scope = ""
    if len(files) == 1:
        stem = files[0].rpartition("/")[2].partition(".")[0]
        scope = f"({stem})" if re.fullmatch(r"[A-Za-z0-9_-]{1,24}", stem) else ""
    head = f"{_TYPES[kind]}{scope}: "
    # What the search without a model did is told as place and code, which is no sentence.
    if code := _EXCHANGED.match(what):
        what = f"correct `{code[1]}`"
    words = plain_line(what, 400).rstrip(".") or "make the failing tests pass"
    words = words if words[1:2].isupper() else words[:1].lower() + words[1:]
    return head + plain_line(words, SUBJECT - len(head))


def quoted(text: str, most: int = 600) -> str:
    """Return what somebody else wrote as a bounded quotation."""
    cut = text.strip()
    cut = cut if len(cut) <= most else cut[:most].rstrip() + " …"
    return "\n".join(f"> {line}" for line in harmless(cut).replace("\r\n", "\n").split("\n"))
