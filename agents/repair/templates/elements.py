"""Conditions about single items of sequences, and conditions of the function with a name or operator exchanged."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from agents.repair.guesses import NUMBERS
from agents.repair.templates.conditions import joined, quoted, tests_of
from agents.repair.templates.site import AND, COMPARE, OR, Proposal, Site, Template, precedence

_MOST = 40


def facts(site: Site) -> list[tuple[str, float]]:
    """Return conditions over items that the code reads: `xs[-1] == x`, `s[i] != " "`, `i == len(xs) - 1`."""
    found: dict[str, float] = {}
    names = [n for n in site.names_at() if n not in {"self", "cls"}][:6]
    lists = [n for n in (*names, *site.scope.fields[:3]) if site.scope.guess_name(n) in {"list", "str", "tuple"}][:3]
    for index, group in enumerate(lists):
        spelt = site.scope.guess_name(group) == "str"
        for name in names[:5]:
            guess = site.scope.guess_name(name)
            if name != group and guess not in {"list", "dict", "set", "function", "bool"} and guess not in NUMBERS:
                found.setdefault(f"{group}[-1] == {name}", -0.2 * index)
                found.setdefault(f"{group}[-1] != {name}", -0.2 * index)
                found.setdefault(f"{group}[0] == {name}", -0.8 - 0.2 * index)
            elif guess == "int" and name != group:
                found.setdefault(f"{name} == len({group}) - 1", -0.6 - 0.2 * index)
                found.setdefault(f"{name} < len({group}) - 1", -0.8 - 0.2 * index)
                if spelt:
                    found.setdefault(f'{group}[{name}] != " "', -1.0)
    for name in (n for n in names if site.scope.guess_name(n) in {"str", "any"}):
        for rank, literal in enumerate(_own_strings(site)):
            found.setdefault(f"{quoted(site, literal)} not in {name}", -0.9 - 0.15 * rank)
            found.setdefault(f"{quoted(site, literal)} in {name}", -1.1 - 0.15 * rank)
    strings = [t for t, _ in site.module.strings.most_common() if len(t) <= 3][:5]
    for node in _items(site):
        text = site.text(node)
        for rank, literal in enumerate(strings):
            found.setdefault(f"{text} == {quoted(site, literal)}", -0.3 - 0.15 * rank)
            found.setdefault(f"{text} != {quoted(site, literal)}", -0.3 - 0.15 * rank)
    for text, score in _exchanged(site):
        found.setdefault(text, score)
    return sorted(found.items(), key=lambda item: -item[1])[:_MOST]


def _own_strings(site: Site) -> list[str]:
    """Return the function's own strings of one or two characters."""
    found = (n.value for n in site.scope.nodes if isinstance(n, ast.Constant) and isinstance(n.value, str))
    return list(dict.fromkeys(t for t in found if 0 < len(t) <= 2))[:3]


def _items(site: Site) -> list[ast.Subscript]:
    """Return the items that the function reads and that can be read here, each once."""
    found: dict[str, ast.Subscript] = {}
    for node in site.scope.nodes:
        if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice) and len(found) < 4:
            names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
            if names <= site.available and site.guess(node.value) != "dict" and node.lineno == node.end_lineno:
                found.setdefault(site.file.segment(node), node)
    return list(found.values())


def _exchanged(site: Site) -> Iterator[tuple[str, float]]:
    """Give comparisons of the function with one index or operand, and the operator, exchanged."""
    ints = [n for n in site.names_at() if site.scope.guess_name(n) == "int"][:3]
    count = 0
    for node in site.scope.nodes:
        if not isinstance(node, ast.Compare) or len(node.ops) != 1 or node.lineno != node.end_lineno:
            continue
        left, right = site.file.segment(node.left), site.file.segment(node.comparators[0])
        for item, other in ((node.left, right), (node.comparators[0], left)):
            if not isinstance(item, ast.Subscript) or not isinstance(item.slice, ast.Name) or count > 12:
                continue
            base = site.file.segment(item.value)
            needed = {n.id for part in (item.value, node) for n in ast.walk(part) if isinstance(n, ast.Name)}
            for name in ints:
                if (needed - {item.slice.id}) | {name} <= site.available:
                    yield f"{base}[{name}] == {other}", -0.2 - 0.1 * count
                    yield f"{base}[{name}] != {other}", -0.4 - 0.1 * count
                    count += 1


def _about_inner(site: Site, test: ast.expr) -> Iterator[tuple[str, float]]:
    """Give conditions on names that exist only around the test: of a comprehension, or a lambda's parameters."""
    used = {n.id for n in ast.walk(test) if isinstance(n, ast.Name)}
    for name in sorted(used & site.scope.inner.keys()):
        for rank, literal in enumerate(_own_strings(site)):
            yield f"{quoted(site, literal)} not in {name}", -0.2 - 0.15 * rank
            yield f"{quoted(site, literal)} in {name}", -0.4 - 0.15 * rank
        for other in [n for n in site.names_at() if n not in {"self", "cls", name}][:4]:
            yield f"{name} != {other}", -0.6
            yield f"{name} not in {other}", -0.7


def strengthened(site: Site) -> Iterator[Proposal]:
    """Add such a condition to another with `and` or `or`, in front of it or behind it."""
    for test in tests_of(site):
        if isinstance(test, ast.Constant):
            continue
        own = site.text(test)
        for text, score in (*facts(site), *_about_inner(site, test)):
            if text in own:
                continue
            for operator in ("and", "or"):
                yield joined(site, test, operator, text, "condition.fact", score, before=False)
            if precedence(test) in {AND, OR, COMPARE} and "[" in own:
                yield joined(site, test, "or", text, "condition.fact", score - 0.4, before=True)


def wrapped(site: Site) -> Iterator[Proposal]:
    """Put a simple statement under such a condition."""
    statement = site.statement
    if not isinstance(statement, (ast.Expr, ast.Assign, ast.AugAssign, ast.Return)) or site.place.depth == 0:
        return
    span = site.lines_span()
    if span is None or statement.lineno != statement.end_lineno or site.unit.kind == "module":
        return
    line = site.file.text[slice(*span)]
    body, ending = line.strip("\r\n"), site.file.newline
    tail = ending if line.endswith(("\n", "\r")) else ""
    for condition, score in facts(site)[:16]:
        text = f"{site.indent}if {condition}:{ending}{site.file.indent_unit}{body}{tail}"
        shown = f"put `{body.strip()}` under `if {condition}`"
        yield Proposal(((*span, text),), "guard.fact", score, shown, structural=True)


TEMPLATES = (
    Template("facts", ("condition.fact",), strengthened),
    Template("under facts", ("guard.fact",), wrapped),
)
