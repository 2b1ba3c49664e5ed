"""Fenced blocks and file names in a model's reply."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agents.replies import ReplyRefused, split_lines

_FENCE = re.compile(r"^(\s{0,3})(`{3,}|~{3,})[ \t]*([^`]*)$")
_PATH = re.compile(r"^[\w.@+-]+(?:/[\w.@+-]+)*$")
_EXTENSION = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,9}$")
_BARE = frozenset({"Makefile", "Dockerfile", "LICENSE", "README", "Jenkinsfile", "Procfile"})
_LABEL = re.compile(
    r"^(?:#+|//|--|\*|-|\d+[.)])?\s*(?:(?:in|the)?\s*(?:file(?:name|path)?|path)\s*:?\s*)?", re.IGNORECASE
)
_INSIDE = re.compile(r"`([^`\s]+)`|\*\*([^*\s]+)\*\*")


@dataclass(frozen=True, slots=True)
class Fenced:
    """A fenced block."""

    info: str
    """What stands behind the opening fence."""
    lines: tuple[str, ...]
    above: tuple[str, ...]
    """The lines between the block before and this one."""

    @property
    def text(self) -> str:
        """Its lines, each with a line feed."""
        return "".join(f"{line}\n" for line in self.lines)


def is_fence(line: str) -> bool:
    """Return whether the line opens or closes a fenced block."""
    return bool(_FENCE.match(line))


def fenced(reply: str) -> list[Fenced]:
    """Return the reply's fenced blocks.

    Raises:
        ReplyRefused: the last one is not closed.

    """
    found: list[Fenced] = []
    above: list[str] = []
    body: list[str] | None = None
    mark = info = ""
    for line in split_lines(reply):
        fence = _FENCE.match(line)
        if body is None:
            if fence is None:
                above.append(line)
            else:
                body, mark, info = [], fence[2], fence[3].strip()
        elif fence is not None and fence[2].startswith(mark) and not fence[3].strip():
            found.append(Fenced(info, tuple(body), tuple(above)))
            body, above = None, []
        else:
            body.append(line)
    if body is not None:
        raise ReplyRefused("cut off", f"the last block is not closed by {mark}: write it again, wholly")
    return found


def path_in(lines: Sequence[str]) -> str:
    """Return the path that the last line with anything but a fence names, empty where it names none."""
    for line in reversed(lines):
        fence = _FENCE.match(line)
        text = fence[3].strip() if fence else line.strip()
        if fence and not text:
            continue
        if text:
            name = path_of_info(text) if fence else path_of(text)
            if name or not fence:
                return name
    return ""


def path_of_info(info: str) -> str:
    """Return the path behind an opening fence, as in `python src/a.py` or `python:src/a.py`, empty where there is none.

    It needs an extension: `text/plain` is none.
    """
    words = info.split()
    for word in (words[-1], words[0].partition(":")[2]) if words else ():
        name = path_of(word)
        if name and _EXTENSION.search(name):
            return name
    return ""


def path_of(text: str) -> str:
    """Return the path that a line such as `### File: src/a.py` or `**a.py**:` is, empty where it is none."""
    quoted = [one or two for one, two in _INSIDE.findall(text)]
    if len(quoted) == 1 and (name := _as_path(quoted[0])):
        return name
    bare = _LABEL.sub("", text.strip(), count=1)
    return _as_path(bare.strip().strip("`*\"'<>").rstrip(":").strip("`*\"'"))


def _as_path(text: str) -> str:
    text = text.strip().rstrip(":")
    if "/" not in text and _EXTENSION.search(text):
        text = text.replace("\\", "/")
    while text.startswith("./"):
        text = text[2:]
    if not _PATH.match(text) or ".." in text.split("/"):
        return ""
    return text if "/" in text or _EXTENSION.search(text) or text in _BARE else ""
