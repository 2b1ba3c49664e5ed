"""The same replacement at several places: a name or a constant that is wrong wherever it stands."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from agents.repair.guesses import compatible
from agents.repair.templates.site import Proposal, Site, Template
from agents.repair.units import FUNCTIONS


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
    if not isinstance(node, FUNCTIONS) or site.place.depth or not site.scope.unused:
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
    for unused in sorted(site.scope.unused):
        for table, rule in ((constants, "everywhere.constant"), (names, "everywhere.name")):
            for text, places in table.items():
                if 2 <= len(places) <= 8 and text != unused and _fits(site, places[0], unused):
                    spans = sorted(site.file.span(p) for p in places)
                    edits = tuple((*span, unused) for span in spans if site.file.text[slice(*span)] == text)
                    if len(edits) == len(places):
                        yield Proposal(edits, rule, 0.0, f"write `{unused}` for `{text}` everywhere in `{node.name}`")


def _fits(site: Site, node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.expr) and compatible(site.guess(node), site.scope.guess_name(name))


TEMPLATES = (
    Template("everywhere in a statement", ("everywhere.name", "everywhere.step"), in_statement),
    Template("everywhere in a function", ("everywhere.constant", "everywhere.name"), in_function),
)
