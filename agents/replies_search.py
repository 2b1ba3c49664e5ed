"""Search-and-replace blocks in a model's reply."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from agents.replies import LINE_END, Draft, ReplyRefused, newline_of, split_lines
from agents.replies_blocks import path_in

_HEAD = re.compile(r"^\s{0,3}<{5,9} ?(?:SEARCH|ORIGINAL)\b:?[ \t]*(.*)$")
_DIVIDER = re.compile(r"^\s{0,3}={7}[ \t]*$")
_TAIL = re.compile(r"^\s{0,3}>{5,9} ?(?:REPLACE|UPDATED)\b[ \t]*$")
_TRIPLE = re.compile(r"\"\"\"|'''")
_EXAMPLE = """path/to/file.py
<<<<<<< SEARCH
lines as they are in the file
=======
lines as they shall be
>>>>>>> REPLACE"""


@dataclass(frozen=True, slots=True)
class Block:
    """One block as it was written."""

    path: str
    """As written; empty where none was."""
    search: tuple[str, ...]
    replace: tuple[str, ...]


def found_in(reply: str) -> bool:
    """Return whether the reply has such a block, or the beginning of one."""
    return any(_HEAD.match(line) or _TAIL.match(line) for line in split_lines(reply))


def blocks(reply: str) -> list[Block]:
    """Return the blocks of a reply.

    Raises:
        ReplyRefused: one is not complete, or it is not clear where its parts end.

    """
    found: list[Block] = []
    above: list[str] = []
    search: list[str] | None = None
    replace: list[str] | None = None
    path = named = ""
    for line in split_lines(reply):
        head = _HEAD.match(line)
        if search is None:
            if head is not None:
                search, named = [], head[1].strip()
                path = path_in([named]) or path_in(above) or path
                above = []
            elif _TAIL.match(line):
                raise ReplyRefused(
                    "malformed", f"a block ends without having begun; write blocks like this:\n{_EXAMPLE}"
                )
            else:
                above.append(line)
        elif head is not None:
            raise ReplyRefused("malformed", f"a block begins inside another; write blocks like this:\n{_EXAMPLE}")
        elif _DIVIDER.match(line):
            if replace is not None:
                raise ReplyRefused(
                    "ambiguous",
                    "a block has more than one line =======; change these lines as a whole function instead",
                )
            replace = []
        elif _TAIL.match(line):
            if replace is None:
                raise ReplyRefused("malformed", f"a block has no line =======; write blocks like this:\n{_EXAMPLE}")
            found.append(Block(path, tuple(search), tuple(replace)))
            search = replace = None
        else:
            (search if replace is None else replace).append(line)
    if search is not None:
        raise ReplyRefused("cut off", "the last block has no line >>>>>>> REPLACE: write it again, wholly")
    return found


def apply(reply: str, draft: Draft, path: str | None) -> None:
    """Make the reply's blocks in their order, each on the text that the ones before it left.

    Raises:
        ReplyRefused: a block is not complete, or does not fit exactly one place.

    """
    for number, block in enumerate(blocks(reply), 1):
        if not block.path and not path:
            raise ReplyRefused(
                "unknown path", f"block {number} has no file: write its path in the line above <<<<<<< SEARCH"
            )
        apply_block(block, draft, block.path or path or "", f"block {number}")


def apply_block(block: Block, draft: Draft, written: str, name: str) -> None:
    """Make one block's change to the file that `written` names; `name` is what messages call the block.

    Raises:
        ReplyRefused: it does not fit exactly one place.

    """
    if not any(line.strip() for line in block.search):
        _create(draft, written, block, name)
        return
    target = draft.existing(written)
    text = draft.text(target) or ""
    draft.write(target, replaced(text, block.search, block.replace, f"{name} ({target})"))


def _create(draft: Draft, written: str, block: Block, name: str) -> None:
    text = draft.text(written)
    if text is None:
        written = draft.absent(written)
    elif text.strip():
        raise ReplyRefused(
            "ambiguous", f"{name} searches for nothing, but {written} is there: write the lines to be replaced"
        )
    body = "".join(f"{line}\n" for line in block.replace)
    if not body.strip():
        raise ReplyRefused("no change", f"{name} searches for nothing and puts in nothing")
    draft.write(written, body)


def replaced(text: str, search: Sequence[str], replace: Sequence[str], name: str) -> str:
    """Return the text with the one place where the searched lines stand replaced.

    They match as they are; or, where they stand nowhere so, with trailing white space, blank lines at their ends and
    one common indentation more or less, which the replacement is then given, too.

    Raises:
        ReplyRefused: they stand nowhere, or in more than one place.

    """
    lines = split_lines(text)
    exact = [at for at in range(len(lines) - len(search) + 1) if lines[at : at + len(search)] == list(search)]
    if len(exact) == 1:
        return _put(text, exact[0], len(search), replace)
    if len(exact) > 1:
        raise _several(name, exact)
    wanted, new = _without_blank_ends(search, replace)
    found = [
        (at, shift)
        for at in range(len(lines) - len(wanted) + 1)
        if (shift := _shift(lines[at : at + len(wanted)], wanted)) is not None
    ]
    if len(found) > 1:
        raise _several(name, [at for at, _ in found])
    if not found:
        raise ReplyRefused("unmatched", f"{name}: the lines under SEARCH are not in the file{_nearest(lines, wanted)}")
    at, shift = found[0]
    return _put(text, at, len(wanted), _shifted(new, shift, name))


def _several(name: str, places: Sequence[int]) -> ReplyRefused:
    where = ", ".join(str(at + 1) for at in places[:6])
    return ReplyRefused(
        "ambiguous",
        f"{name}: the lines under SEARCH stand in {len(places)} places (lines {where}): add lines around them",
    )


def _without_blank_ends(search: Sequence[str], replace: Sequence[str]) -> tuple[list[str], list[str]]:
    wanted, new = list(search), list(replace)
    for end in (0, -1):
        while wanted and not wanted[end].strip():
            wanted.pop(end)
            if new and not new[end].strip():
                new.pop(end)
    return wanted, new


@dataclass(frozen=True, slots=True)
class _Shift:
    """Indentation that the file has more (`add`) or less (`drop`) than the reply."""

    add: str = ""
    drop: str = ""


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _shift(there: Sequence[str], wanted: Sequence[str]) -> _Shift | None:
    """Return the shift under which the lines are alike, None where they are not."""
    shift: _Shift | None = None
    for have, want in zip(there, wanted, strict=True):
        if have.rstrip() == "" == want.rstrip():
            continue
        if have.strip() != want.strip():
            return None
        mine, theirs = _indent(have), _indent(want)
        if mine.endswith(theirs):
            this = _Shift(add=mine[: len(mine) - len(theirs)])
        elif theirs.endswith(mine):
            this = _Shift(drop=theirs[: len(theirs) - len(mine)])
        else:
            return None
        if shift is not None and this != shift:
            return None
        shift = this
    return shift


def _shifted(lines: Sequence[str], shift: _Shift, name: str) -> list[str]:
    if shift != _Shift() and _hangs_out(lines):
        raise ReplyRefused(
            "unmatched", f"{name}: with a text of several lines in it, the indentation has to be exactly the file's"
        )
    result = []
    for line in lines:
        if not line.strip():
            result.append("")
        elif line.startswith(shift.drop):
            result.append(shift.add + line[len(shift.drop) :])
        else:
            raise ReplyRefused(
                "unmatched",
                f"{name}: SEARCH and REPLACE are not indented alike, nor like the file: copy the file's lines exactly",
            )
    return result


def _hangs_out(lines: Sequence[str]) -> bool:
    """Return whether shifting the lines would change a string; docstrings that keep in line may move."""
    quote, edge, docstring = "", 0, False
    for line in lines:
        if quote and line.strip() and (not docstring or len(_indent(line)) < edge):
            return True
        for mark in _TRIPLE.findall(line):
            if not quote:
                quote, edge, docstring = mark, len(_indent(line)), line.strip().lstrip("rRuU").startswith(mark)
            elif mark == quote:
                quote = ""
    return False


def _put(text: str, first: int, count: int, replace: Sequence[str]) -> str:
    """Return the text with `count` lines from `first` replaced, in the text's own line ends."""
    ends = [found.span() for found in LINE_END.finditer(text)]
    start = ends[first - 1][1] if first else 0
    last = first + count - 1
    newline = newline_of(text)
    if not replace:
        return text[:start] + text[ends[last][1] if last < len(ends) else len(text) :]
    end = ends[last][0] if last < len(ends) else len(text)
    # A last line without an end stays so, but an empty one would not be there at all.
    closing = newline if end == len(text) and not replace[-1] else ""
    return text[:start] + newline.join(replace) + closing + text[end:]


def _nearest(lines: Sequence[str], wanted: Sequence[str]) -> str:
    """Show the place that is most like the searched lines, never applied."""
    first = next((line.strip() for line in wanted if line.strip()), "")
    near = difflib.get_close_matches(first, {line.strip() for line in lines[:20_000]}, n=1, cutoff=0.6) if first else []
    if not near:
        return ": copy them from the file exactly"
    at = next(number for number, line in enumerate(lines) if line.strip() == near[0])
    shown = "\n".join(lines[at : at + min(len(wanted), 12)])
    return f": copy them from the file exactly; nearest are these, from line {at + 1}:\n{shown}"
