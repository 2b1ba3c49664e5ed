"""Loops that end too early, are nested the wrong way round, forget their last item, or keep the last for the best."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from agents.repair.templates.copies import donors, names_read
from agents.repair.templates.site import ATOM, COMPARE, Proposal, Site, Template
from agents.repair.templates.statements import movable

_LOOPS = (ast.For, ast.AsyncFor, ast.While)


def decided(site: Site) -> Iterator[Proposal]:
    """Return from a loop only what decides: `return f(x)` as `if f(x): return True`, and its kin."""
    statement = site.statement
    if not isinstance(statement, ast.Return) or statement.value is None or not movable(site):
        return
    if not site.place.loops or isinstance(statement.value, ast.Constant):
        return
    value, unit, ending = site.text(statement.value), site.file.indent_unit, site.file.newline
    negated = f"not {site.tight(statement.value, COMPARE)}"
    forms = (
        (f"if {value}:", "return True", 0.0),
        (f"if {negated}:", "return False", -0.1),
        (f"if {value}:", f"return {value}", -0.5),
        (f"if {value}:", "return False", -1.2),
        (f"if {negated}:", "return True", -1.2),
    )
    span = site.file.span(statement)
    for condition, action, score in forms:
        text = f"{condition}{ending}{site.indent}{unit}{action}"
        shown = f"return only on a decision: `{condition} {action}`"
        yield Proposal(((*span, text),), "return.decided", score, shown, structural=True)


def nested(site: Site) -> Iterator[Proposal]:
    """Exchange the headers of two loops of which one holds nothing but the other."""
    outer = site.statement
    if not isinstance(outer, _LOOPS) or len(outer.body) != 1 or site.place.depth == 0:
        return
    inner = outer.body[0]
    if not isinstance(inner, _LOOPS) or outer.orelse or inner.orelse:
        return
    one, two = _header(site, outer), _header(site, inner)
    if one is None or two is None:
        return
    text = site.file.text
    edits = ((*one, text[slice(*two)]), (*two, text[slice(*one)]))
    yield Proposal(edits, "loop.nested", 0.0, f"exchange the loops of lines {outer.lineno} and {inner.lineno}", True)


def _header(site: Site, loop: ast.For | ast.AsyncFor | ast.While) -> tuple[int, int] | None:
    """Return where a loop's header stands, its colon left out."""
    last = loop.test if isinstance(loop, ast.While) else loop.iter
    start, end = site.file.span(loop)[0], site.file.span(last)[1]
    colon = site.file.text.find(":", end)
    gap = site.file.text[end:colon] if colon >= 0 else "\n"
    return None if set(gap) - set(") \t") else (start, colon)


def best(site: Site) -> Iterator[Proposal]:
    """Keep the best, not the last: `x = v` under `if x is None or v < x`, `if v > x` and the like."""
    statement = site.statement
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1 or not site.place.loops:
        return
    target, span = statement.targets[0], site.lines_span()
    if not isinstance(target, (ast.Name, ast.Subscript, ast.Attribute)) or span is None or not movable(site):
        return
    if statement.lineno != statement.end_lineno or isinstance(statement.value, ast.Constant):
        return
    old, new = site.text(target), site.tight(statement.value, COMPARE + 1)
    if isinstance(target, ast.Name) and target.id in names_read(statement.value):
        return
    empty = any(isinstance(n, ast.Constant) and n.value is None for n in site.scope.nodes)
    line = site.file.text[slice(*span)]
    for rank, sign in enumerate(("<", ">", "<=", ">=")):
        conditions = [(f"{new} {sign} {old}", 0.0), (f"{old} is None or {new} {sign} {old}", 0.4 if empty else -0.8)]
        if isinstance(target, ast.Subscript):
            key, group = site.text(target.slice), site.text(target.value)
            if not isinstance(target.slice, (ast.Slice, ast.Tuple)):
                conditions.append((f"{key} not in {group} or {new} {sign} {old}", -0.4))
        for condition, score in conditions:
            text = f"{site.indent}if {condition}:{site.file.newline}{site.file.indent_unit}{line}"
            shown = f"put `{line.strip()}` under `if {condition}`"
            yield Proposal(((*span, text),), "guard.best", score - 0.2 * rank, shown, structural=True)


def left_over(site: Site) -> Iterator[Proposal]:
    """Before what follows a loop, do once more what the loop does when something is complete: `if line: …`."""
    place = site.place
    if not movable(site) or place.index == 0 or not isinstance(place.block[place.index - 1], _LOOPS):
        return
    loop = place.block[place.index - 1]
    inside = {site.file.segment(n) for n in ast.walk(loop) if isinstance(n, ast.Expr) and n.lineno == n.end_lineno}
    for rank, (text, names, _) in enumerate(d for d in donors(site) if d[0] in inside):
        if not names <= site.available or rank > 3:
            continue
        plain = site.insertion([text], "insert.last", -0.3 - 0.2 * rank)
        if plain is not None:
            yield plain
        for index, name in enumerate(sorted(names & site.scope.bindings.keys(), key=lambda n: -text.rfind(n))[:3]):
            if site.scope.guess_name(name) in {"function", "bool"}:
                continue
            proposal = site.insertion(
                [f"if {name}:", f"{site.file.indent_unit}{text}"], "insert.last", -0.2 * rank - 0.2 * index
            )
            if proposal is not None:
                yield proposal


def absent(site: Site) -> Iterator[Proposal]:
    """Return something definite in place of None: `return x` as `return v if x is None else x`."""
    statement = site.statement
    if not isinstance(statement, ast.Return) or statement.value is None or site.unit.kind == "module":
        return
    if not isinstance(statement.value, (ast.Name, ast.Subscript, ast.Attribute, ast.Call)):
        return
    value = site.text(statement.value)
    expected = [text for text in site.hints.expected if len(text) < 20]
    for rank, text in enumerate(dict.fromkeys((*expected, "-1", "0", '""', "[]", "False"))):
        if text != "None":
            form = f"{text} if {value} is None else {value}"
            yield site.swap(statement.value, form, "return.absent", -0.25 * rank, strength=ATOM)


TEMPLATES = (
    Template("decided", ("return.decided",), decided),
    Template("nested loops", ("loop.nested",), nested),
    Template("best", ("guard.best",), best),
    Template("last item", ("insert.last",), left_over),
    Template("absent", ("return.absent",), absent),
)
