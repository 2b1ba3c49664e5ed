"""Writing to a forge so that doing it again changes nothing: what is there already is found by a hidden mark first."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from workflows.forge.errors import Exists, Unclear
from workflows.forge.protocol import Comment, Forge, PullRequest

T = TypeVar("T")
MOST_TEXT = 65_000
"""Characters of a comment or description; GitHub takes 65,536."""
_MARK = re.compile(r"<!-- greendiff:([a-z-]{1,20})((?: [a-z]{1,20}=[A-Za-z0-9._:/-]{1,80}){0,8}) -->")


@dataclass(frozen=True, slots=True)
class Mark:
    """A line that people do not see, by which greendiff knows its own texts again."""

    kind: str
    """`status`, `pull-request`, `suggestion`, ..."""
    facts: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """Return it as an HTML comment."""
        text = f"<!-- greendiff:{self.kind}{''.join(f' {key}={value}' for key, value in self.facts)} -->"
        if not _MARK.fullmatch(text):
            raise ValueError(f"{text!r} is no mark")
        return text

    def fact(self, name: str) -> str:
        """Return what it says, "" for nothing."""
        return dict(self.facts).get(name, "")


def marks(text: str, kind: str) -> list[Mark]:
    """Return the marks of a kind in a text; who wrote it has to be asked, too, before they are believed."""
    found = []
    for match in _MARK.finditer(text):
        if match[1] == kind:
            facts = (fact.partition("=") for fact in match[2].split())
            found.append(Mark(kind, tuple((key, value) for key, _, value in facts)))
    return found


def fitted(text: str, most: int = MOST_TEXT) -> str:
    """Return a text that a forge takes, cut at a line's end where it is too long."""
    if len(text) <= most:
        return text
    kept = text[: most - 100].rpartition("\n")[0]
    fence = "\n```" if kept.count("```") % 2 else ""
    return f"{kept}{fence}\n\n… the rest is left out, as the forge takes no more."


def created(find: Callable[[], T | None], create: Callable[[], T], attempts: int = 3) -> T:
    """Return what `find` finds, or else what `create` makes; where that is unclear, look again before repeating it.

    Raises:
        ForgeError: as either says; `Unclear` where it stays unclear.

    """
    for attempt in range(attempts):
        found = find()
        if found is not None:
            return found
        try:
            return create()
        except Exists:
            found = find()
            if found is not None:
                return found
            raise
        except Unclear:
            if attempt == attempts - 1:
                found = find()
                if found is None:
                    raise
                return found
    raise AssertionError("unreachable")


def own_comment(forge: Forge, number: int, mark: Mark) -> Comment | None:
    """Return greendiff's own comment with a mark, the oldest where there are several."""
    me = forge.viewer().login
    for comment in forge.comments(number):
        if comment.author == me and str(mark) in comment.body:
            return comment
    return None


def put_comment(forge: Forge, number: int, mark: Mark, text: str) -> Comment:
    """Write a comment, or change the one with this mark; one that says the same already is left alone.

    Raises:
        Locked, Archived, NotThere, ForgeBusy: as the forge says.

    """
    body = fitted(f"{mark}\n{text}")
    comment = created(lambda: own_comment(forge, number, mark), lambda: forge.create_comment(number, body))
    if comment.body.replace("\r\n", "\n") == body:
        return comment
    return forge.edit_comment(comment.id, body)


def open_first(requests: Sequence[PullRequest]) -> PullRequest | None:
    """Return the pull request to go on with: an open one, else the newest."""
    return next((one for one in requests if one.open), requests[0] if requests else None)
