"""Doctests in product files: their examples are tests, though they stand in documentation."""

from __future__ import annotations

import ast
import doctest
from collections import Counter

from sandbox.syntax import parse


def _examples(data: bytes) -> Counter[tuple[str, str]]:
    try:
        module = parse(data)
    except (SyntaxError, ValueError, RecursionError):
        return Counter()
    found: Counter[tuple[str, str]] = Counter()
    parser = doctest.DocTestParser()
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            try:
                examples = parser.get_examples(ast.get_docstring(node) or "")
            except ValueError:
                continue
            found.update((example.source, example.want) for example in examples)
    return found


def changed_doctests(path: str, before: bytes, after: bytes) -> list[str]:
    """Return one phrase for each doctest example of the file that the patch changes or removes."""
    lost = _examples(before) - _examples(after)
    return [f"{path} changes the doctest `{source.strip().splitlines()[0]}`" for source, _ in lost]
