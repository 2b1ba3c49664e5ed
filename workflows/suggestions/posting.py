"""Puts proved suggestions on a pull request: each once, only on lines that are there now, and never many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sandbox.tree import Tree
from workflows.forge.errors import ForgeError, Locked, OutsideDiff, Unclear
from workflows.forge.once import Mark, fitted, marks, own_comment, put_comment
from workflows.forge.protocol import Forge, LineComment, ReviewComment
from workflows.forge.words import harmless
from workflows.suggestions.pieces import Place, hunks_of, place_of
from workflows.suggestions.proving import Group, Proved

MOST_NEW: Final = 5
"""Blocks that one push gets."""
MOST_ALL: Final = 10
"""Blocks of greendiff's on one pull request, those that people answered or took included."""
_SHOWN_TESTS = 5
_WITHDRAWN: Final = "_Withdrawn: the lines that this was for have changed._"


class HeadMoved(ForgeError):
    """There is a newer push, on which other things may hold."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What was put on a pull request."""

    suggestions: int
    """Blocks that are new."""
    known: int
    """Blocks that were there already."""
    summary: bool
    """Whether there is something that only the summary comment says."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is told at most in the summary comment, as nothing proves it."""

    sentence: str
    diff: bytes = b""


def post(
    forge: Forge, number: int, head_commit: str, head: Tree, found: Proved | None, told: Sequence[Finding] = ()
) -> Posted:
    """Put what was proved on the pull request's lines, and the rest in one comment that is edited in place.

    Raises:
        HeadMoved: the pull request has another head by now; nothing was posted.
        Locked: it is locked.
        ForgeError: it was closed, or as the forge says.

    """
    request = forge.pull_request(number)
    if request.head_commit != head_commit:
        raise HeadMoved(f"pull request {number} has a newer push, which is looked at instead")
    if request.locked:
        raise Locked(f"pull request {number} is locked; unlock it for greendiff to answer there")
    if not request.open:
        raise ForgeError(f"pull request {number} was closed; there is nothing to suggest any more")
    hunks = {file.path: hunks_of(file.patch) for file in forge.changed_files(number)}
    own = _own(forge, number)
    _withdraw(forge, own)
    known = {digest for _, digest in own}
    fresh: list[LineComment] = []
    posted = before = 0
    findings = list(told)
    for group in found.groups if found else ():
        digests = [piece.digest for piece in group.pieces]
        if all(digest in known for digest in digests):
            before += len(digests)
            continue
        places = [place_of(piece, head, hunks) for piece in group.pieces]
        room = min(MOST_NEW - len(fresh), MOST_ALL - len(known) - len(fresh))
        if any(place is None for place in places) or len(places) > room:
            findings.append(Finding(_why_not(group, places), group.verified.patch))
            continue
        fresh += [
            LineComment(place.path, place.first, place.last, _body(forge, group, number_, place))
            for number_, place in enumerate(places) if place is not None
        ]  # fmt: skip
    if fresh:
        posted = _review(forge, number, head_commit, fresh)
        if posted < len(fresh):
            patch = found.together.patch if found else b""
            findings.append(Finding("A verified repair does not fit the lines of this pull request's diff:", patch))
    _summary(forge, number, findings)
    return Posted(posted, before, bool(findings))


def _own(forge: Forge, number: int) -> list[tuple[ReviewComment, str]]:
    """Return greendiff's own suggestions with their digests."""
    me = forge.viewer().login
    return [
        (comment, mark.fact("digest"))
        for comment in forge.review_comments(number) if comment.author == me
        for mark in marks(comment.body, "suggestion")
    ]  # fmt: skip


def _withdraw(forge: Forge, own: Sequence[tuple[ReviewComment, str]]) -> None:
    """Take back what stands on lines that have changed, so that nobody commits it by mistake."""
    for comment, digest in own:
        if comment.last is None and _WITHDRAWN not in comment.body:
            forge.edit_review_comment(comment.id, f"{_mark(digest)}\n{_WITHDRAWN}")


def _mark(digest: str) -> Mark:
    return Mark("suggestion", (("digest", digest),))


def _why_not(group: Group, places: Sequence[Place | None]) -> str:
    tests = _tests(group)
    if any(place is None for place in places):
        return f"{tests} with this change, which is (in part) outside of the lines that this pull request changes:"
    return f"{tests} with this change:"


def _tests(group: Group) -> str:
    shown = ", ".join(f"`{harmless(name).replace('`', '')}`" for name in group.targets[:_SHOWN_TESTS])
    more = f" and {len(group.targets) - _SHOWN_TESTS} more" if len(group.targets) > _SHOWN_TESTS else ""
    return f"{shown}{more} {'fails' if len(group.targets) == 1 else 'fail'} here, and {_passes(len(group.targets))}"


def _passes(count: int) -> str:
    return "passes" if count == 1 else "pass"


def _body(forge: Forge, group: Group, index: int, place: Place) -> str:
    """Return one block with what proves it."""
    several = len(group.pieces)
    part = f" **Part {index + 1} of {several}: they hold only together, so commit them as one batch.**"
    proof = (
        f"{_tests(group)} with this{' batch' if several > 1 else ''}; every other test that passed still does. "
        f"Verified in a fresh sandbox.{part if several > 1 else ''}"
    )
    return fitted(f"{_mark(group.pieces[index].digest)}\n{proof}\n\n{forge.suggestion(place.replacement)}")


def _review(forge: Forge, number: int, commit: str, fresh: Sequence[LineComment]) -> int:
    """Post the blocks together, once; return how many are there: all, or none where the diff has moved away."""
    wanted = {mark.fact("digest") for comment in fresh for mark in marks(comment.body, "suggestion")}
    for attempt in range(3):
        try:
            forge.create_review(number, commit=commit, body="", comments=fresh)
        except OutsideDiff:
            return 0
        except Unclear:
            # It may have arrived; what is there says so.
            if wanted <= {digest for _, digest in _own(forge, number)}:
                return len(fresh)
            if attempt == 2:
                raise
            continue
        return len(fresh)
    raise AssertionError("unreachable")


def _summary(forge: Forge, number: int, findings: Sequence[Finding]) -> None:
    """Write the one comment for what is no suggestion; where there is nothing, only an old one is changed."""
    mark = Mark("summary", (("pull", str(number)),))
    if not findings:
        if own_comment(forge, number, mark) is not None:
            put_comment(forge, number, mark, "greendiff has nothing to add to this pull request any more.")
        return
    lines = ["**greendiff** looked at this pull request:", ""]
    for finding in findings:
        lines.append(f"- {finding.sentence}")
        if finding.diff:
            text = finding.diff.decode("utf-8", "replace")
            fence = "`" * max(3, _longest_run(text) + 1)
            lines += ["", f"{fence}diff", text.rstrip("\n"), fence, ""]
    put_comment(forge, number, mark, "\n".join(lines))


def _longest_run(text: str) -> int:
    longest = run = 0
    for character in text:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    return longest
