"""What looks like a bug: behaviour that contradicts documentation, a pair of functions, or itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.runners.exploring import Exploration
from sandbox.syntax import parse

_MOST = 0.34
"""Share of inputs on which a relation may fail that is still believed to be meant to hold."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """Behaviour that may be wrong; nothing is pinned about the function."""

    path: str
    line: int
    name: str
    """Qualified name of the function."""
    why: str
    example: str
    """Code that shows it, with what was said and what came."""


def suspects(found: Exploration, path: str, source: str) -> tuple[Suspect, ...]:
    """Return what looks like a bug in one module, with the smallest example that is known."""
    lines = definitions(source)
    made: dict[str, Suspect] = {}

    def add(name: str, why: str, example: str) -> None:
        known = name if name in lines else name.rpartition(".")[0]
        made.setdefault(name, Suspect(path, lines.get(known, 1), name, why, example))

    for doubt in found.doubts:
        example = f"{doubt.source}\n# the docstring says: {_short(doubt.wanted)}\n# it gives: {_short(doubt.got)}"
        add(doubt.target, "an example in its docstring comes out otherwise", example)
    for relation in found.relations:
        if (relation.kind == "agreement" and relation.failed) or (relation.kind == "round trip" and relation.failed):
            share = relation.failed / (relation.held + relation.failed)
        else:
            continue
        if share <= _MOST and relation.against:
            first = min(relation.against, key=lambda one: len(one.get("input", "")))
            text = relation.text.format(first.get("input", ""))
            example = f"{text}\n# expected: {first.get('wanted', '')}\n# it gives: {first.get('got', '')}"
            add(relation.target, _reason(relation.kind, relation.right), example)
    for target, inputs in found.endless.items():
        small = [text for text in inputs if not re.search(r"\d{4}", text)]
        # One slow run says little where the machine is busy, and large inputs may just take long.
        if len(small) >= 4 and "\n" not in small[0]:
            add(target, "it does not end on inputs that it seems to take", min(small, key=len))
    return tuple(made.values())


def _reason(kind: str, right: str) -> str:
    if kind == "round trip":
        return "going there and back again does not always give what went in, though it mostly does"
    return f"it does not always agree with {right.partition('(')[0]}, though it mostly does"


def _short(text: str) -> str:
    text = re.sub(r"\s+", " ", text)
    return text if len(text) <= 160 else f"{text[:157]}..."


def definitions(source: str) -> Mapping[str, int]:
    """Map the qualified names of a module's functions and classes to their lines."""
    try:
        tree = parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return {}
    found: dict[str, int] = {}

    def walk(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.setdefault(prefix + child.name, child.lineno)
                walk(child, f"{prefix}{child.name}.")
            else:
                walk(child, prefix)

    walk(tree, "")
    return found
