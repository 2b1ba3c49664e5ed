"""The same replacement at several places: a name or a constant that is wrong wherever it stands."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import combinations

from agents.repair.guesses import compatible
from agents.repair.templates.site import Proposal, Site, Template
from agents.repair.units import FUNCTIONS, FunctionNode


def in_statement(site: Site) -> Iterator[Proposal]:
    """Replace a name that occurs several times in a statement by another, or by its successor, each time."""
    places: dict[str, list[ast.Name]] = {}
    for node in site.expressions:
        if isinstance(node, ast.Name) and node.id not in {"self", "cls"}:
            places.setdefault(node.id, []).append(node)
    for name, nodes in places.items():
        if len(nodes) < 2 or len(nodes) > 6:
            continue
        guess = site.scope.guess_name(name)
        if guess == "function":
            continue
        for other, score in site.variables(nodes[0], guess, limit=5):
            if other != name:
                yield _all(site, nodes, other, "everywhere.name", score)
        if guess in {"int", "any"} and all(isinstance(n.ctx, ast.Load) for n in nodes):
            plain = [n for n in nodes if isinstance(site.parent(n), (ast.Slice, ast.Subscript, ast.Call, ast.Compare))]
            if len(plain) == len(nodes):
                yield _all(site, nodes, f"{name} + 1", "everywhere.step", 0.0 if guess == "int" else -0.8)
                yield _all(site, nodes, f"{name} - 1", "everywhere.step", -0.3 if guess == "int" else -1.1)


def _all(site: Site, nodes: list[ast.Name], text: str, rule: str, score: float) -> Proposal:
    return Proposal(tuple((*site.file.span(n), text) for n in nodes), rule, score)


def in_function(site: Site) -> Iterator[Proposal]:
    """Use what the function does not use: a parameter in place of a constant or a name, wherever that stands."""
    node = site.statement
    if not isinstance(node, FUNCTIONS) or site.place.depth:
        return
    body = [n for statement in node.body for n in ast.walk(statement)]
    constants: dict[str, list[ast.AST]] = {}
    names: dict[str, list[ast.AST]] = {}
    for part in body:
        if isinstance(part, ast.Constant) and isinstance(part.value, (int, str)) and not isinstance(part.value, bool):
            try:
                constants.setdefault(site.file.segment(part), []).append(part)
            except (IndexError, UnicodeDecodeError):
                continue  # inside an f-string positions may be wrong
        elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
            names.setdefault(part.id, []).append(part)
    yield from _numbers(site, node, constants)
    for unused in sorted(site.scope.unused):
        for table, rule in ((constants, "everywhere.constant"), (names, "everywhere.name")):
            for text, places in table.items():
                if 2 <= len(places) <= 8 and text != unused and _fits(site, places[0], unused):
                    spans = sorted(site.file.span(p) for p in places)
                    edits = tuple((*span, unused) for span in spans if site.file.text[slice(*span)] == text)
                    if len(edits) == len(places):
                        yield Proposal(edits, rule, 0.0, f"write `{unused}` for `{text}` everywhere in `{node.name}`")


def _numbers(site: Site, function: FunctionNode, constants: dict[str, list[ast.AST]]) -> Iterator[Proposal]:
    """Replace a number wherever it stands by its neighbours, or by a parameter."""
    for text, places in constants.items():
        spans = sorted(site.file.span(p) for p in places)
        if not text.isdigit() or not 2 <= len(places) <= 4 or any(site.file.text[slice(*s)] != text for s in spans):
            continue
        value = int(text)
        if len(places) == 3 and value > 2:
            for pair in combinations(spans, 2):
                for other in (str(value - 1), str(value + 1)):
                    shown = f"write `{other}` for `{text}` at two places of `{function.name}`"
                    yield Proposal(tuple((*span, other) for span in pair), "everywhere.number", -0.6, shown)
        options = [(str(value + 1), 0.0), (str(value - 1), 0.0)] if value > 1 else []
        options += [(n, -0.4) for n in site.scope.parameters if n not in {"self", "cls"} and _fits(site, places[0], n)]
        for other, score in options:
            shown = f"write `{other}` for `{text}` everywhere in `{function.name}`"
            yield Proposal(tuple((*span, other) for span in spans), "everywhere.number", score, shown)


def _fits(site: Site, node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.expr) and compatible(site.guess(node), site.scope.guess_name(name))


TEMPLATES = (
    Template("everywhere in a statement", ("everywhere.name", "everywhere.step"), in_statement),
    Template("everywhere in a function", ("everywhere.constant", "everywhere.name", "everywhere.number"), in_function),
)
