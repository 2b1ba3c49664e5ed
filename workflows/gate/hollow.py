"""Empties the functions that a patch adds or changes: a test that passes even then does not depend on what they do."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Final

from sandbox.syntax import parse
from sandbox.tree import Entry, Tree

Emptied = ast.FunctionDef | ast.AsyncFunctionDef
WAYS: Final = ("raise NotImplementedError('emptied')", "return None")
"""What stands in place of a function's body: a test must fail with at least one of them."""


def _functions(nodes: Iterable[ast.AST], prefix: str = "") -> Iterator[tuple[str, Emptied]]:
    """Yield functions and methods with their qualified names; what stands inside a function belongs to it."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{node.name}", node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node.body, f"{prefix}{node.name}.")
        else:
            for name in ("body", "orelse", "finalbody", "handlers"):
                yield from _functions(getattr(node, name, ()), prefix)


def _parsed(data: bytes | None) -> ast.Module | None:
    try:
        return parse(data) if data is not None else None
    except (SyntaxError, ValueError, RecursionError):
        return None


def changed_functions(before: bytes | None, after: bytes) -> tuple[tuple[str, int, int], ...]:
    """Return the functions that are new or changed, as (qualified name, first line, last line), in order."""
    new = _parsed(after)
    return tuple((n, f.lineno, f.end_lineno or f.lineno) for n, f in _changed(_parsed(before), new)) if new else ()


def _changed(old: ast.Module | None, new: ast.Module) -> list[tuple[str, Emptied]]:
    known: dict[str, set[str]] = {}
    for name, function in _functions(old.body) if old is not None else ():
        known.setdefault(name, set()).add(ast.dump(function))
    return [(name, f) for name, f in _functions(new.body) if ast.dump(f) not in known.get(name, ())]


def _emptied(before: bytes | None, after: bytes, way: str) -> bytes | None:
    """Return the file with its changed functions emptied, None where there are none."""
    module = _parsed(after)
    if module is None:
        return None
    functions = _changed(_parsed(before), module)
    for _, function in functions:
        function.body = parse(f"def f():\n    {way}\n").body[0].body  # type: ignore[attr-defined]
    if not functions:
        return None
    try:
        return ast.unparse(ast.fix_missing_locations(module)).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return None


def hollow_tree(base: Tree, after: Tree, products: Iterable[str], way: str) -> Tree | None:
    """Return the patched tree with every function that the patch adds or changes emptied, None where there is none."""
    changes: dict[str, Entry | None] = {}
    for path in products:
        if path.endswith(".py") and path in after:
            data = _emptied(base[path].data if path in base else None, after[path].data, way)
            if data is not None:
                changes[path] = Entry(data, executable=after[path].executable)
    return after.replaced(changes) if changes else None
