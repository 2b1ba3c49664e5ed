"""What models write, as exact changes to files: read strictly, applied exactly or not at all.

A reply may hold search-and-replace blocks, a unified diff, whole functions or whole files; `read_changes` finds out
which. Whatever is not certain is an error whose message is written for the model, to be sent back to it.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from agents.edits import apply_changes, apply_edits, decode
from agents.errors import EditError
from agents.results import Edit, NewFile
from sandbox.errors import UnsafePath
from sandbox.syntax import parse
from sandbox.tree import Tree, checked_path

Reason = Literal[
    "no edit", "malformed", "cut off", "unknown path", "unmatched", "ambiguous", "elided", "unparsable", "no change",
    "read-only",
]  # fmt: skip
LINE_END = re.compile(r"\r\n|\r|\n")
MAX_REPLY = 2_000_000
"""Characters; nothing that a model writes in earnest is longer."""


class ReplyRefused(EditError):
    """A reply that cannot be applied exactly; the message tells the model what to do differently."""

    def __init__(self, reason: Reason, message: str) -> None:
        """Keep the reason apart from its explanation."""
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Changes:
    """What a reply asks for, checked: it applies, and every Python file parses afterwards."""

    edits: tuple[Edit, ...] = ()
    """Not overlapping, sorted by path and start; offsets into the decoded texts of the base."""
    created: tuple[NewFile, ...] = ()
    deleted: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths that are touched, sorted."""
        return tuple(sorted({e.path for e in self.edits} | {n.path for n in self.created} | set(self.deleted)))

    def apply(self, tree: Tree) -> Tree:
        """Return the tree with the changes made.

        Raises:
            EditError: the tree is not the one that the reply was read against.

        """
        return apply_changes(tree, self.edits, self.created, self.deleted)


class TreeTexts(Mapping[str, str]):
    """A tree's files as decoded texts; those that cannot be decoded are as good as not there."""

    def __init__(self, tree: Tree) -> None:
        """Decode lazily."""
        self._tree = tree
        self._known: dict[str, str | None] = {}

    def _text(self, path: str) -> str | None:
        if path not in self._known:
            entry = self._tree.get(path)
            try:
                self._known[path] = decode(entry.data).text if entry is not None and entry.kind == "file" else None
            except EditError:
                self._known[path] = None
        return self._known[path]

    def __getitem__(self, path: str) -> str:
        text = self._text(path)
        if text is None:
            raise KeyError(path)
        return text

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self._text(path) is not None

    def __iter__(self) -> Iterator[str]:
        return (path for path in self._tree if self._text(path) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Draft:
    """Texts on their way from what they were to what a reply makes of them."""

    def __init__(self, texts: Mapping[str, str], paths: Callable[[], Iterator[str]] | None = None) -> None:
        """Begin with the base; `paths` lists all paths where iterating `texts` is dear."""
        self._base = texts
        self._paths = paths or (lambda: iter(texts))
        self._now: dict[str, str | None] = {}

    def text(self, path: str) -> str | None:
        """Return the text as it is now, None where there is no such file."""
        return self._now[path] if path in self._now else self._base.get(path)

    def write(self, path: str, text: str | None) -> None:
        """Set the text; None deletes the file."""
        self._now[path] = text

    def existing(self, written: str) -> str:
        """Return the path of an existing file that a model means by `written`.

        Raises:
            ReplyRefused: there is none, or several could be meant.

        """
        if self.text(written) is not None:
            return written
        likely = self.likely(written)
        if len(likely) == 1:
            return likely[0]
        if likely:
            raise ReplyRefused("ambiguous", f"{written!r} could be any of {', '.join(likely[:5])}: give the whole path")
        near = difflib.get_close_matches(written, list(self._paths()), n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ReplyRefused("unknown path", f"there is no file {written!r}{hint}")

    def likely(self, written: str) -> list[str]:
        """Return the existing paths that end with what was written."""
        return [path for path in self._paths() if path.endswith(f"/{written}")] if written else []

    def absent(self, written: str) -> str:
        """Return `written` as the path of a new file.

        Raises:
            ReplyRefused: it is no path inside the tree, or one that ends alike is there.

        """
        try:
            path = checked_path(written)
        except UnsafePath as error:
            raise ReplyRefused("unknown path", f"{error}: give a path relative to the repository's top") from None
        if not path.isprintable():
            raise ReplyRefused(
                "unknown path", f"{path!r} is no name for a new file: it holds characters without a shape"
            )
        likely = self.likely(path)
        if likely:
            raise ReplyRefused(
                "ambiguous", f"there is no file {path!r}, but {likely[0]}: give its whole path to change it"
            )
        parents = path.split("/")[:-1]
        for depth in range(1, len(parents) + 1):
            if self.text("/".join(parents[:depth])) is not None:
                raise ReplyRefused("unknown path", f"{'/'.join(parents[:depth])} is a file, so {path} cannot be made")
        return path

    def changes(self) -> Changes:
        """Return what changed, after checking that the results parse and leave nothing out.

        Raises:
            ReplyRefused: nothing changed, a Python file does not parse, or code was replaced by a placeholder.

        """
        edits: list[Edit] = []
        created: list[NewFile] = []
        deleted: list[str] = []
        for path, text in sorted(self._now.items()):
            before = self._base.get(path)
            if text is None:
                if before is not None:
                    deleted.append(path)
                continue
            if text == before:
                continue
            check_result(path, before or "", text)
            if before is None:
                created.append(NewFile(path, text))
            else:
                edits += edits_between(path, before, text)
        if not edits and not created and not deleted:
            raise ReplyRefused("no change", "the reply changes nothing: what it puts in is what is there already")
        return Changes(tuple(edits), tuple(created), tuple(deleted))


def split_lines(text: str) -> list[str]:
    """Return the lines without their ends; a text that ends with a line end has no empty line after it."""
    lines = LINE_END.split(text)
    if lines and not lines[-1]:
        lines.pop()
    return lines


def newline_of(text: str) -> str:
    """Return the line end that the text uses most, a line feed where it has none."""
    crlf = text.count("\r\n")
    lf, cr = text.count("\n") - crlf, text.count("\r") - crlf
    if crlf > lf and crlf >= cr:
        return "\r\n"
    return "\r" if cr > lf else "\n"


def edits_between(path: str, before: str, after: str) -> list[Edit]:
    """Return edits of whole lines that turn one text into the other."""
    old, new = _lines_with_ends(before), _lines_with_ends(after)
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    offsets = [0]
    for line in old:
        offsets.append(offsets[-1] + len(line))
    inner_old, inner_new = old[head : len(old) - tail], new[head : len(new) - tail]
    if len(inner_old) * len(inner_new) > 4_000_000:
        return [Edit(path, offsets[head], offsets[len(old) - tail], "".join(inner_new))]
    matcher = difflib.SequenceMatcher(None, inner_old, inner_new, autojunk=False)
    return [
        Edit(path, offsets[head + i1], offsets[head + i2], "".join(inner_new[j1:j2]))
        for tag, i1, i2, j1, j2 in matcher.get_opcodes()
        if tag != "equal"
    ]


def _lines_with_ends(text: str) -> list[str]:
    lines, start = [], 0
    for found in LINE_END.finditer(text):
        lines.append(text[start : found.end()])
        start = found.end()
    return [*lines, text[start:]] if start < len(text) else lines


_PLACEHOLDER = re.compile(
    r"""(?:
    \b(?:rest|remainder)\ of\ (?:the\ |your\ |this\ )?(?:\w+\ )?
        (?:code|file|function|class|method|module|body|script|implementation)\b
    | \b(?:existing|original|previous|other|remaining)[ ]
        (?:code|methods?|functions?|implementation|logic|lines?|content)\b
        .{0,40}(?:\.\.\.|…|\bhere\b|unchanged|remain|same)
    | (?:\.\.\.|…).{0,40}\b(?:existing|original|previous|other|remaining|rest|unchanged|omitted|same)\b
    | \b(?:code|implementation|logic|function|method|body|lines?|everything\ else)\b
        .{0,30}\b(?:unchanged|omitted|remains?\ the\ same|goes\ here)\b
    | \bsame\ as\ (?:before|above|the\ original)\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_COMMENT = re.compile(r"^\s*(?:#|//|/\*|<!--|--|;)\s*(.*)$")


def check_result(path: str, before: str, after: str) -> None:
    """Check a file's text as a reply has left it.

    Raises:
        ReplyRefused: it is Python that does not parse, or a placeholder stands where code was left out.

    """
    known = set(split_lines(before))
    for line in split_lines(after):
        comment = _COMMENT.match(line)
        if comment is not None and line not in known and _PLACEHOLDER.search(comment[1]):
            raise ReplyRefused(
                "elided", f"{path}: {line.strip()!r} stands for code that was left out; write all of the code"
            )
    if not path.endswith((".py", ".pyi")):
        return
    tree = parsed(after)
    if isinstance(tree, str):
        raise ReplyRefused("unparsable", f"with this change {path} would not be valid Python: {tree}")
    old = parsed(before)
    if not path.endswith(".pyi") and not isinstance(old, str) and _ellipses(tree) > _ellipses(old):
        raise ReplyRefused("elided", f"{path}: a line `...` stands for code that was left out; write all of the code")


def _ellipses(tree: ast.Module) -> int:
    """Count the statements `...` that stand beside other code, where they can only mean that something is missing."""
    count = 0
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if not isinstance(block, list):
                continue
            code = [s for s in block if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
            dots = [
                s
                for s in block
                if isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) and s.value.value is ...
            ]
            count += len(dots) if code else 0
    return count


def parsed(text: str) -> ast.Module | str:
    """Return the syntax tree, or in one line what is wrong."""
    try:
        return parse(text)
    except SyntaxError as error:
        line = (
            split_lines(text)[error.lineno - 1].strip()
            if error.lineno and error.lineno <= len(split_lines(text))
            else ""
        )
        return f"line {error.lineno}: {error.msg}" + (f" ({line[:80]!r})" if line else "")
    except (ValueError, RecursionError, MemoryError) as error:
        return str(error) or type(error).__name__


def read_changes(
    reply: str,
    texts: Mapping[str, str],
    *,
    path: str | None = None,
    function: str | None = None,
    paths: Callable[[], Iterator[str]] | None = None,
) -> Changes:
    """Return what a model's reply asks for, in whichever of the four forms it is written.

    `path` is the file that is meant where the reply names none. `function`, a qualified name in it, allows the reply to
    be that function alone. Every edit is exact: a search text has to occur once (first as it is, then with another
    indentation and trailing white space, which the replacement then follows); a diff's context has to be there as it
    is.

    Raises:
        ReplyRefused: anything is uncertain; nothing is applied then.

    """
    from agents import replies_code, replies_diff, replies_search

    if len(reply) > MAX_REPLY:
        raise ReplyRefused("malformed", f"the reply has more than {MAX_REPLY:,} characters")
    draft = Draft(texts, paths)
    searches, diffs = replies_search.found_in(reply), replies_diff.found_in(reply)
    if searches and diffs:
        raise ReplyRefused("malformed", "the reply mixes SEARCH blocks and a unified diff: use one of them")
    if searches:
        replies_search.apply(reply, draft, path)
    elif diffs:
        replies_diff.apply(reply, draft, path)
    elif function is not None and path is not None:
        replies_code.apply_functions(reply, draft, path, function)
    else:
        replies_code.apply_files(reply, draft, path)
    return draft.changes()


def applied(text: str, changes: Changes, path: str) -> str:
    """Return one file's text with the changes made, for tests and previews.

    Raises:
        EditError: the text is not the one that the reply was read against.

    """
    return apply_edits(text, [edit for edit in changes.edits if edit.path == path])
