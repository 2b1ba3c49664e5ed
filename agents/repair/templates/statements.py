"""Statements that are superfluous or in the wrong place, and keywords that are mistaken for each other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from agents.repair.templates.guards import is_docstring
from agents.repair.templates.site import AWAIT, Proposal, Site, Template
from agents.repair.units import FUNCTIONS

_SIMPLE = (ast.Expr, ast.Assign, ast.AugAssign, ast.Return, ast.Break, ast.Continue, ast.Raise, ast.Delete)
_COMPOUND = (ast.If, ast.For, ast.While, ast.With, ast.Try)


def movable(site: Site) -> bool:
    """Whether the statement is inside a function and its lines are its own."""
    return (
        site.place.depth > 0
        and site.unit.kind != "module"
        and not is_docstring(site.statement)
        and _span(site) is not None
    )


def _span(site: Site) -> tuple[int, int] | None:
    if isinstance(site.statement, ast.If) and site.file.text.startswith("elif", site.start):
        return None
    return site.lines_span()


def reindented(text: str, old: str, new: str) -> str | None:
    """Return lines with their margin changed; None where that would change a string's content."""
    if '"""' in text or "'''" in text:
        return None
    lines = re.split(r"(?<=\n)|(?<=\r)(?!\n)", text)
    moved = [new + line[len(old) :] if line.startswith(old) else line for line in lines]
    return "".join(moved)


def deleted(site: Site) -> Iterator[Proposal]:
    """Delete a statement; replace it by `pass` where it is the only one of its block; keep only a block's body."""
    if not movable(site) or isinstance(site.statement, (ast.Pass, *FUNCTIONS, ast.ClassDef)):
        return
    span = _span(site)
    assert span is not None  # noqa: S101 - movable() has asked
    lines = (site.statement.end_lineno or 0) - site.statement.lineno
    score = -0.25 * min(lines, 8) - (1.0 if isinstance(site.statement, ast.Return) else 0.0)
    shown = f"delete `{_first_line(site)}`"
    if len(site.place.block) == 1:
        start, end = site.file.span(site.statement)
        yield Proposal(((start, end, "pass"),), "statement.deleted", score - 0.6, shown, structural=True)
    else:
        yield Proposal(((*span, ""),), "statement.deleted", score, shown, structural=True)
    if isinstance(site.statement, (ast.If, ast.For, ast.While, ast.With)):
        yield from _unwrapped_block(site, span)


def _first_line(site: Site) -> str:
    return site.file.line_text(site.statement.lineno).strip()


def _unwrapped_block(site: Site, span: tuple[int, int]) -> Iterator[Proposal]:
    body: list[ast.stmt] = site.statement.body  # type: ignore[attr-defined]
    if getattr(site.statement, "orelse", None) or body[0].lineno == site.statement.lineno:
        return
    start = site.file.line_start(body[0].lineno)
    text = reindented(site.file.text[start : span[1]], site.file.indentation(body[0]), site.indent)
    if text is not None:
        shown = f"run the body of `{_first_line(site)}` always"
        yield Proposal(((*span, text),), "statement.unwrapped", 0.0, shown, structural=True)


def moved(site: Site) -> Iterator[Proposal]:
    """Swap a statement with its neighbour, or move it into or out of a loop, an `if` or the like."""
    if not movable(site):
        return
    span = _span(site)
    assert span is not None  # noqa: S101 - movable() has asked
    text = site.file.text[slice(*span)]
    if not text.endswith(("\n", "\r")):
        text += site.file.newline
    block, index = site.place.block, site.place.index
    yield from _swapped(site, span, text)
    if index:
        yield from _into(site, block[index - 1], span, text)
    if index + 1 < len(block):
        yield from _into_next(site, block[index + 1], span, text)
    yield from _out(site, span, text)


def _swapped(site: Site, span: tuple[int, int], text: str) -> Iterator[Proposal]:
    block, index = site.place.block, site.place.index
    at = span[1]
    for distance, other in enumerate(block[index + 1 : index + 4]):
        if not site.file.alone(other) or not site.file.text[:at].endswith(("\n", "\r")):
            return
        end = _line_after(site, other)
        tail = site.file.text[span[1] : end]
        if isinstance(site.statement, _COMPOUND) and isinstance(other, _COMPOUND) and distance:
            return
        moved_text = tail if tail.endswith(("\n", "\r")) else tail + site.file.newline
        shown = f"move `{_first_line(site)}` behind line {other.end_lineno}"
        last = text if tail.endswith(("\n", "\r")) else text.rstrip("\r\n")
        yield Proposal(
            ((span[0], end, moved_text + last),), "statement.swapped", -0.7 * distance, shown, structural=True
        )
        at = end


def _line_after(site: Site, statement: ast.stmt) -> int:
    end = site.file.span(statement)[1]
    line = site.file.line_of(end)
    return site.file.line_start(line + 1)


def _tail_blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("orelse", "body"):
        block = getattr(statement, name, None)
        if isinstance(statement, (ast.If, ast.For, ast.While, ast.With)) and block:
            yield block


def _into(site: Site, before: ast.stmt, span: tuple[int, int], text: str) -> Iterator[Proposal]:
    """Move a statement to the end of a block before it, at any depth."""
    pending = [(b, 0) for b in _tail_blocks(before)]
    while pending:
        block, depth = pending.pop(0)
        last = block[-1]
        if last.lineno == before.lineno:
            continue
        inner = reindented(text, site.indent, site.file.indentation(last))
        at = _line_after(site, last)
        if inner is not None and at <= span[0] and site.file.text[:at].endswith(("\n", "\r")):
            shown = f"move `{_first_line(site)}` into the block that ends at line {last.end_lineno}"
            edits = ((span[0], span[1], inner),) if at == span[0] else ((at, at, inner), (*span, ""))
            yield Proposal(edits, "statement.indented", -0.6 * depth, shown, structural=True)
        if depth < 2:
            pending += [(b, depth + 1) for b in _tail_blocks(last)]


def _into_next(site: Site, after: ast.stmt, span: tuple[int, int], text: str) -> Iterator[Proposal]:
    """Move a statement to the start of the block after it."""
    body = getattr(after, "body", None)
    if not isinstance(after, (ast.If, ast.For, ast.While, ast.With)) or not body or body[0].lineno == after.lineno:
        return
    inner = reindented(text, site.indent, site.file.indentation(body[0]))
    if inner is not None and len(site.place.block) > 1:
        at = site.file.line_start(body[0].lineno)
        shown = f"move `{_first_line(site)}` into `{site.file.line_text(after.lineno).strip()}`"
        yield Proposal(((*span, ""), (at, at, inner)), "statement.indented", -0.3, shown, structural=True)


def _out(site: Site, span: tuple[int, int], text: str) -> Iterator[Proposal]:
    """Move the last statement of a block behind it, or the first one before it; also out of two blocks."""
    place = site.place
    last = place.index == len(place.block) - 1
    alone = len(place.block) == 1
    owners = [o for o in place.owners if isinstance(o, ast.stmt)]
    around = [o for o in owners if not isinstance(o, FUNCTIONS)]
    for distance, owner in enumerate(reversed(around)):
        if distance and isinstance(owner, FUNCTIONS):
            return
        outer = reindented(text, site.indent, site.file.indentation(owner))
        if outer is None or site.file.text.startswith("elif", site.file.span(owner)[0]):
            return
        rule = "statement.dedented"
        score = -0.8 * distance - (0.6 if alone else 0.0)
        gone: tuple[int, int, str] = (*span, "")
        if alone:
            gone = (*site.file.span(site.statement), "pass")
        end = _line_after(site, owner)
        if site.file.text[:end].endswith(("\n", "\r")):
            shown = f"move `{_first_line(site)}` behind the block that starts at line {owner.lineno}"
            edits = ((gone[0], end, outer),) if last and not alone and end == span[1] else (gone, (end, end, outer))
            yield Proposal(edits, rule, score if last else score - 1.0, shown, structural=True)
        if not isinstance(site.statement, (ast.Return, ast.Break, ast.Continue, ast.Raise)):
            start = site.file.line_start(owner.lineno)
            shown = f"move `{_first_line(site)}` before line {owner.lineno}"
            first = score - (0.2 if place.index == 0 else 1.2)
            yield Proposal(((start, start, outer), gone), rule, first, shown, structural=True)


def exchanged(site: Site) -> Iterator[Proposal]:
    """Exchange `break`, `continue`, `pass`, `return`; `if` and `while`; make an `if` an `elif` and back."""
    statement = site.statement
    if site.place.depth == 0 or site.unit.kind == "module":
        return
    start, end = site.file.span(statement)
    if isinstance(statement, (ast.Break, ast.Continue, ast.Pass)):
        for index, text in enumerate(("break", "continue", "pass", "return")):
            if text != site.file.text[start:end] and (site.place.loops or text in {"pass", "return"}):
                yield Proposal(((start, end, text),), "statement.exchanged", -0.4 * (index == 3), structural=True)
    elif isinstance(statement, ast.Return) and site.place.loops:
        for text in ("break", "continue"):
            yield Proposal(((start, end, text),), "statement.exchanged", -1.2, structural=True)
    elif isinstance(statement, ast.While):
        yield Proposal(((start, start + 5, "if"),), "statement.exchanged", -0.5, structural=True)
    elif isinstance(statement, ast.If):
        if site.file.text.startswith("elif", start):
            yield Proposal(((start, start + 4, "if"),), "branch.split", structural=True)
        else:
            if not statement.orelse:
                yield Proposal(((start, start + 2, "while"),), "statement.exchanged", -0.3, structural=True)
            before = site.place.block[site.place.index - 1] if site.place.index else None
            if isinstance(before, ast.If) and not before.orelse:
                yield Proposal(((start, start + 2, "elif"),), "branch.joined", structural=True)


def called(call: ast.Call) -> str:
    """Return the last part of the name of what is called."""
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def yields(site: Site) -> Iterator[Proposal]:
    """Exchange `yield` and `yield from`, add and drop `await`, yield instead of returning or appending."""
    asynchronous = isinstance(site.function, ast.AsyncFunctionDef)
    for node in site.expressions:
        start, end = site.file.span(node)
        if isinstance(node, ast.Yield) and node.value is not None:
            yield Proposal(((start, start + 5, "yield from"),), "yield.delegated", structural=True)
        elif isinstance(node, ast.YieldFrom):
            at = site.file.span(node.value)[0]
            yield Proposal(((start, at, "yield "),), "yield.delegated")
        elif isinstance(node, ast.Await):
            yield Proposal(((start, end, site.text(node.value)),), "await.dropped")
        elif isinstance(node, ast.Call) and asynchronous and not isinstance(site.parent(node), ast.Await):
            likely = called(node) in _asynchronous(site)
            yield site.swap(node, f"await {site.text(node)}", "await.added", 0.5 if likely else -1.5, strength=AWAIT)
    if isinstance(site.statement, (ast.For, ast.With)) and asynchronous:
        yield Proposal(((site.start, site.start, "async "),), "await.added", -0.8)


def _asynchronous(site: Site) -> set[str]:
    names = {n for n, f in site.module.functions.items() if isinstance(f, ast.AsyncFunctionDef)}
    return names | {
        n for n, fs in site.module.methods.items() if any(isinstance(f, ast.AsyncFunctionDef) for _, f in fs)
    }


TEMPLATES = (
    Template("deleted", ("statement.deleted", "statement.unwrapped"), deleted),
    Template("moved", ("statement.swapped", "statement.indented", "statement.dedented"), moved),
    Template("exchanged", ("statement.exchanged", "branch.split", "branch.joined"), exchanged),
    Template("yields", ("yield.delegated", "await.dropped", "await.added"), yields),
)
