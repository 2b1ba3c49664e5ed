"""Smaller and more usual forms of a candidate, and how large a candidate is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import combinations

from agents.edits import Source, apply_edits, decode
from agents.errors import EditError
from agents.repair.checks import meaning_of
from agents.repair.naturalness import changed_lines, naturalness, tokens
from agents.repair.units import SourceFile
from agents.results import Candidate, Edit
from sandbox.tree import Tree

__all__ = ["edit_size", "naturalness", "simplify"]


def edit_size(candidate: Candidate, tree: Tree) -> int:
    """Return how many tokens the candidate removes and adds.

    Raises:
        EditError: the candidate does not fit the tree.

    """
    total = 0
    for path in dict.fromkeys(e.path for e in candidate.edits):
        _, old, new, _ = changed_lines(candidate, _text(tree, path), path)
        matcher = SequenceMatcher(None, tokens(old), tokens(new), autojunk=False)
        total += sum((b - a) + (d - c) for tag, a, b, c, d in matcher.get_opcodes() if tag != "equal")
    return total


def _text(tree: Tree, path: str) -> str:
    entry = tree.get(path)
    if entry is None or entry.kind != "file":
        raise EditError(f"{path} is not a regular file of the tree")
    return decode(entry.data).text


def simplify(candidate: Candidate, tree: Tree) -> Iterator[Candidate]:
    """Give forms of the candidate that are smaller or more usual, smallest first; each must be tried before use.

    Parts of it (where it has several edits), and its changed lines with superfluous parentheses, double negations,
    additions of negative numbers and the like written plainly.
    """
    seen = {candidate.id}
    found: list[Candidate] = []
    for smaller in (*_parts(candidate), *_plainer(candidate, tree)):
        if smaller.id not in seen:
            seen.add(smaller.id)
            found.append(smaller)
    yield from sorted(found, key=lambda c: edit_size(c, tree))


def _parts(candidate: Candidate) -> Iterator[Candidate]:
    count = len(candidate.edits)
    for size in range(1, min(count, 4)):
        for edits in combinations(candidate.edits, size):
            yield Candidate(
                edits, candidate.origin, f"part of: {candidate.description}", candidate.prior, candidate.tier
            )


def _plainer(candidate: Candidate, tree: Tree) -> Iterator[Candidate]:
    paths = list(dict.fromkeys(e.path for e in candidate.edits))
    for path in paths:
        base = _text(tree, path)
        edits = [e for e in candidate.edits if e.path == path]
        text = apply_edits(base, edits)
        try:
            file = SourceFile(path, Source(text))
        except (SyntaxError, ValueError, RecursionError):
            return
        low, high = _changed_span(edits)
        for start, end, replacement in _rewrites(file, low, high):
            plain = text[:start] + replacement + text[end:]
            if meaning_of(plain) is None:
                continue
            others = tuple(e for e in candidate.edits if e.path != path)
            fresh = _difference(path, base, plain)
            if fresh is not None:
                joined = tuple(sorted((*others, fresh), key=lambda e: (e.path, e.start)))
                yield Candidate(joined, candidate.origin, candidate.description, candidate.prior, candidate.tier)


def _changed_span(edits: list[Edit]) -> tuple[int, int]:
    """Return the span, in the new text, that the edits of one file cover."""
    shift, low, high = 0, -1, 0
    for edit in sorted(edits, key=lambda e: e.start):
        low = edit.start if low < 0 else low
        high = edit.start + shift + len(edit.replacement)
        shift += len(edit.replacement) - (edit.end - edit.start)
    return low, high


def _difference(path: str, old: str, new: str) -> Edit | None:
    """Return the one edit that turns `old` into `new`; None where they are the same."""
    if old == new:
        return None
    start = 0
    limit = min(len(old), len(new))
    while start < limit and old[start] == new[start]:
        start += 1
    end = 0
    while end < limit - start and old[-1 - end] == new[-1 - end]:
        end += 1
    return Edit(path, start, len(old) - end, new[start : len(new) - end])


_OPPOSITE: dict[type[ast.cmpop], str] = {
    ast.Eq: "!=", ast.NotEq: "==", ast.Lt: ">=", ast.GtE: "<", ast.Gt: "<=", ast.LtE: ">",
    ast.In: "not in", ast.NotIn: "in", ast.Is: "is not", ast.IsNot: "is",
}  # fmt: skip


def _rewrites(file: SourceFile, low: int, high: int) -> Iterator[tuple[int, int, str]]:
    """Give plainer texts for the expressions that touch a span."""
    for node in ast.walk(file.tree):
        if not isinstance(node, ast.expr):
            continue
        try:
            start, end = file.span(node)
        except (IndexError, UnicodeDecodeError):
            continue  # inside an f-string, before Python 3.12, positions may be wrong
        if end < low or start > high:
            continue
        text = _plain(file, node)
        if text is not None:
            yield start, end, text
        if file.text[start - 1 : start] == "(" and file.text[end : end + 1] == ")" and _idle(file, start, end):
            yield start - 1, end + 1, file.text[start:end]


def _idle(file: SourceFile, start: int, end: int) -> bool:
    """Whether the parentheses around an expression mean nothing (they are no call's, and spare no regrouping)."""
    before = file.text[: start - 1].rstrip()
    if before[-1:].isalnum() or before[-1:] in {"_", ")", "]", "'", '"'}:
        word = before.split()[-1:] if before else []
        if not (
            word
            and word[0] in {"return", "if", "while", "not", "in", "and", "or", "is", "else", "yield", "assert", "elif"}
        ):
            return False
    if "\n" in file.text[start:end]:
        return False
    plain = file.text[: start - 1] + file.text[start:end] + file.text[end + 1 :]
    fresh = meaning_of(plain)
    return fresh is not None and fresh == meaning_of(file.text)


def _plain(file: SourceFile, node: ast.expr) -> str | None:
    """Return a plainer text of one expression, None where it is plain already."""
    piece = file.segment
    match node:
        case ast.UnaryOp(op=ast.Not(), operand=ast.Compare(left=left, ops=[op], comparators=[right])):
            return f"{piece(left)} {_OPPOSITE[type(op)]} {piece(right)}"
        case ast.UnaryOp(op=ast.Not(), operand=ast.UnaryOp(op=ast.Not(), operand=inner)):
            return piece(inner)
        case ast.UnaryOp(op=ast.USub(), operand=ast.UnaryOp(op=ast.USub(), operand=inner)):
            return piece(inner)
        case ast.BinOp(left=left, op=ast.Add(), right=ast.UnaryOp(op=ast.USub(), operand=right)):
            return f"{piece(left)} - {piece(right)}"
        case ast.BinOp(left=left, op=ast.Sub(), right=ast.UnaryOp(op=ast.USub(), operand=right)):
            return f"{piece(left)} + {piece(right)}"
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=ast.Constant(value=0)):
            return piece(left)
        case ast.BinOp(left=left, op=ast.Mult() | ast.Div() | ast.FloorDiv() | ast.Pow(), right=ast.Constant(value=1)):
            return piece(left)
        case ast.BinOp(
            left=ast.BinOp(left=left, op=one, right=ast.Constant(value=int(first))),
            op=two,
            right=ast.Constant(value=int(second)),
        ) if isinstance(one, (ast.Add, ast.Sub)) and isinstance(two, (ast.Add, ast.Sub)):
            total = (first if isinstance(one, ast.Add) else -first) + (second if isinstance(two, ast.Add) else -second)
            return piece(left) if total == 0 else f"{piece(left)} {'+' if total > 0 else '-'} {abs(total)}"
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[ast.Constant(value=True)]):
            return piece(left)
        case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq() as op], comparators=[ast.Constant(value=None)]):
            return f"{piece(left)} {'is' if isinstance(op, ast.Eq) else 'is not'} None"
        case ast.Compare(
            left=ast.Call(func=ast.Name(id="len"), args=[inner]), ops=[ast.Eq()], comparators=[ast.Constant(value=0)]
        ):
            return f"not {piece(inner)}"
        case ast.IfExp(test=test, body=ast.Constant(value=True), orelse=ast.Constant(value=False)):
            return piece(test)
        case ast.Call(func=ast.Name(id="list"), args=[ast.List() | ast.ListComp() as inner], keywords=[]):
            return piece(inner)
        case _:
            return None
