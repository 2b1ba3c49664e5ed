"""Unified diffs in a model's reply: matched by their context, which must be there exactly."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from agents.replies import LINE_END, Draft, ReplyRefused, newline_of, split_lines
from agents.replies_blocks import is_fence, path_of

_OLD = re.compile(r"^--- (?:\"?a/)?(.+?)\"?(?:\t.*)?$")
_NEW = re.compile(r"^\+\+\+ (?:\"?b/)?(.+?)\"?(?:\t.*)?$")
_HUNK = re.compile(r"^@@(?: -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))?)?(?: [^@]*)? ?@@")
_BARE_HUNK = re.compile(r"^@@\s*$")
_GIT = re.compile(r"^(?:diff --git |index [0-9a-f]+\.\.|(?:new|deleted) file mode |old mode |new mode |similarity )")
_DIFF_FENCE = re.compile(r"^(?:`{3,}|~{3,})\s*(?:diff|patch|udiff)\b", re.IGNORECASE)
_REFUSED = re.compile(r"^(?:rename (?:from|to) |copy (?:from|to) |GIT binary patch|Binary files )")


@dataclass(slots=True)
class Hunk:
    """One hunk as it was written."""

    start: int | None
    """The line where it says the old lines begin, None where it does not."""
    sizes: tuple[int, int] | None
    old: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    blank_end: int = 0
    """How many empty lines at its end may belong to the reply's layout instead."""

    @property
    def consistent(self) -> bool:
        """Whether it has as many lines as its head says."""
        return self.sizes == (len(self.old), len(self.new))


@dataclass(slots=True)
class FileDiff:
    """The hunks of one file."""

    old: str
    new: str
    hunks: list[Hunk] = field(default_factory=list)


def found_in(reply: str) -> bool:
    """Return whether the reply has a unified diff."""
    lines = split_lines(reply)
    pairs = any(_OLD.match(one) and _NEW.match(two) for one, two in pairwise(lines))
    return pairs or any(_HUNK.match(line) or _REFUSED.match(line) for line in lines)


def diffs(reply: str, path: str | None) -> list[FileDiff]:
    """Return the diffs of a reply; hunks without a file's head are for `path`.

    Raises:
        ReplyRefused: a line is none of a diff's, or the diff renames, copies, is binary, or is cut off.

    """
    reader = _Reader(path)
    lines = [*split_lines(reply), "", ""]
    at = 0
    while at < len(lines) - 2:
        if reader.head(*lines[at : at + 3]):
            at += 2
            continue
        reader.line(lines[at])
        at += 1
    if reader.fence and reader.found:
        raise ReplyRefused("cut off", "the block with the diff is not closed: write the diff again, wholly")
    if not any(diff.hunks for diff in reader.found):
        raise ReplyRefused("malformed", "the diff has no hunk that begins with @@")
    return reader.found


@dataclass(slots=True)
class _Reader:
    """Reads a reply line by line."""

    path: str | None
    found: list[FileDiff] = field(default_factory=list)
    hunk: Hunk | None = None
    begun: bool = False
    """Whether lines with a sign have to belong to a hunk from here on."""
    fence: str = ""

    def head(self, line: str, following: str, third: str) -> bool:
        """Take the two lines of a file's head, where they are one."""
        # Inside a hunk they could be a removed `-- x` and an added `++ y`.
        pair = _OLD.match(line) and _NEW.match(following) and (self.hunk is None or third.startswith("@@"))
        if pair:
            self.found.append(FileDiff(_OLD.sub(r"\1", line).strip(), _NEW.sub(r"\1", following).strip()))
            self.hunk, self.begun = None, True
        return bool(pair)

    def line(self, line: str) -> None:
        """Take any other line."""
        head = _HUNK.match(line)
        lost = self.hunk is None or _is_lost_head(line)
        if _REFUSED.match(line):
            raise ReplyRefused("malformed", f"{line[:60]!r} cannot be applied: only changes of text can")
        if head is not None or _BARE_HUNK.match(line):
            self._begin(head)
        elif line.startswith("@@") or (line[:1] in {"+", "-"} and self.begun and lost):
            raise ReplyRefused(
                "malformed", f"this line has no hunk, as a head such as @@ -1,2 +1,3 @@ is missing: {line[:60]!r}"
            )
        elif line.startswith(("```", "~~~")) and is_fence(line):
            # Only from the first column: in a hunk, a fence of the file itself stands behind a sign.
            self.fence = "" if self.fence else line
            self.hunk, self.begun = None, bool(_DIFF_FENCE.match(self.fence))
        elif _GIT.match(line):
            self.hunk, self.begun = None, True
        elif self.hunk is not None and not line.startswith("\\") and not _take(self.hunk, line):
            self._end(self.hunk, line)

    def _begin(self, head: re.Match[str] | None) -> None:
        if not self.found:
            if self.path is None:
                raise ReplyRefused("unknown path", "the diff has no file: begin it with --- a/PATH and +++ b/PATH")
            self.found.append(FileDiff(self.path, self.path))
        start, old, new = (head[1], head[2], head[4]) if head is not None else (None, None, None)
        self.hunk = Hunk(int(start), (int(old or 1), int(new or 1))) if start else Hunk(None, None)
        self.found[-1].hunks.append(self.hunk)
        self.begun = True

    def _end(self, hunk: Hunk, line: str) -> None:
        """Let prose follow a hunk that is complete by its head or that a blank line ended."""
        self.hunk = None
        if line[0] in "+-" or not (hunk.consistent or hunk.blank_end):
            raise ReplyRefused(
                "malformed",
                f"this line does not belong to the hunk above it (each begins with a space, + or -): {line[:60]!r}",
            )


def _is_lost_head(line: str) -> bool:
    """Return whether a line in a hunk is rather half of a file's head."""
    return line.startswith(("+++ ", "--- ")) and (line[4:].strip() == "/dev/null" or bool(path_of(line[4:])))


def _take(hunk: Hunk, line: str) -> bool:
    if line == "":
        # A context line that lost its space, or a line of the reply's layout.
        hunk.old.append("")
        hunk.new.append("")
        hunk.blank_end += 1
        return True
    sign, rest = line[0], line[1:]
    complete = hunk.blank_end and hunk.sizes == (len(hunk.old) - hunk.blank_end, len(hunk.new) - hunk.blank_end)
    if sign not in " +-" or complete:
        return False
    hunk.blank_end = 0
    if sign in " -":
        hunk.old.append(rest)
    if sign in " +":
        hunk.new.append(rest)
    return True


def apply(reply: str, draft: Draft, path: str | None) -> None:
    """Make the reply's diffs.

    Raises:
        ReplyRefused: a hunk's context is not there exactly, or it is not clear which place is meant.

    """
    for diff in diffs(reply, path):
        if diff.new == "/dev/null":
            _delete(draft, diff)
        elif diff.old == "/dev/null":
            _create(draft, diff)
        else:
            if diff.old != diff.new and draft.text(diff.new) is None:
                raise ReplyRefused(
                    "malformed", f"the diff renames {diff.old} to {diff.new}, which is not possible here"
                )
            target = draft.existing(diff.new)
            draft.write(target, patched(draft.text(target) or "", diff.hunks, target))


def _create(draft: Draft, diff: FileDiff) -> None:
    if draft.text(diff.new) is not None:
        raise ReplyRefused("ambiguous", f"the diff creates {diff.new}, which is there already")
    if any(hunk.blank_end < len(hunk.old) for hunk in diff.hunks):
        raise ReplyRefused("malformed", f"the diff of the new file {diff.new} has lines that do not begin with +")
    lines = [line for hunk in diff.hunks for line in hunk.new[: len(hunk.new) - hunk.blank_end]]
    draft.write(draft.absent(diff.new), "".join(f"{line}\n" for line in lines))


def _delete(draft: Draft, diff: FileDiff) -> None:
    target = draft.existing(diff.old)
    left = patched(draft.text(target) or "", diff.hunks, target)
    if left.strip():
        raise ReplyRefused("unmatched", f"the diff deletes {target} but leaves lines of it")
    draft.write(target, None)


def patched(text: str, hunks: Sequence[Hunk], path: str) -> str:
    """Return the text with the hunks made, each after the one before it.

    A hunk whose old lines stand in one place only is made there, whatever line it says; among several places the line
    decides, and only where the hunk's head agrees with its body.

    Raises:
        ReplyRefused: see above.

    """
    lines = split_lines(text)
    ends = [found.span() for found in LINE_END.finditer(text)]
    newline = newline_of(text)
    result: list[str] = []
    position = done = 0
    for number, hunk in enumerate(hunks, 1):
        name = f"hunk {number} of {path}"
        old, new = _trimmed(hunk, lines, done)
        at = _place(lines, old, done, hunk, name)
        if not old and at > len(ends):
            raise ReplyRefused("unmatched", f"{name} adds lines after a last line without an end: give it some context")
        start = ends[at - 1][1] if at else 0
        last = at + len(old) - 1
        open_end = last >= len(ends)
        stop = start if not old else len(text) if open_end else ends[last][1]
        result.append(text[position:start])
        body = newline.join(new)
        # A last line without an end stays so, but an empty one would not be there at all.
        if new and not (open_end and old and new[-1]):
            body += newline
        result.append(body)
        position, done = stop, at + len(old)
    result.append(text[position:])
    return "".join(result)


def _trimmed(hunk: Hunk, lines: Sequence[str], done: int) -> tuple[list[str], list[str]]:
    """Return the hunk's lines without the empty ones at its end that are not in the file."""
    old, new = list(hunk.old), list(hunk.new)
    for _ in range(hunk.blank_end):
        if _places(lines, old, done):
            break
        old.pop()
        new.pop()
    return old, new


def _places(lines: Sequence[str], old: Sequence[str], done: int) -> list[int]:
    return [at for at in range(done, len(lines) - len(old) + 1) if list(lines[at : at + len(old)]) == list(old)]


def _place(lines: Sequence[str], old: Sequence[str], done: int, hunk: Hunk, name: str) -> int:
    if not old:
        # `@@ -3,0 +4 @@` adds after line 3; only an exact head can say where.
        if hunk.start is not None and hunk.consistent and done <= hunk.start <= len(lines):
            return hunk.start
        raise ReplyRefused("ambiguous", f"{name} has no context: add unchanged lines around the new ones")
    places = _places(lines, old, done)
    if len(places) == 1:
        return places[0]
    if not places:
        first = next((line for line in old if line.strip()), "")
        raise ReplyRefused(
            "unmatched",
            f"{name} does not fit: its lines are not in the file as they are written, from {first.strip()[:60]!r} on",
        )
    if hunk.start is not None and hunk.consistent and hunk.start - 1 in places:
        return hunk.start - 1
    where = ", ".join(str(at + 1) for at in places[:6])
    raise ReplyRefused("ambiguous", f"{name} fits {len(places)} places (lines {where}): add unchanged lines around it")
