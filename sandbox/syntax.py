"""Reads Python source into syntax trees, from any thread."""

from __future__ import annotations

import ast
import threading
import warnings

_ONE_AT_A_TIME = threading.Lock()
"""Before Python 3.13 all threads share the counter that bounds the depth of a tree while it is made, so that two at the
same time end in "AST constructor recursion depth mismatch"; and filters of warnings are the whole process's."""


def parse(source: str | bytes) -> ast.Module:
    """Return the syntax tree of a module; what its text is warned about is not printed.

    Raises:
        SyntaxError, ValueError: it is not Python that this interpreter can read, or is nested too deeply for it.

    """
    tree = _parsed(source, "exec")
    assert isinstance(tree, ast.Module)  # noqa: S101 - by the mode
    return tree


def parse_expression(text: str) -> ast.expr:
    """Return the syntax tree of one expression; see `parse`."""
    tree = _parsed(text, "eval")
    assert isinstance(tree, ast.Expression)  # noqa: S101 - by the mode
    return tree.body


def _parsed(source: str | bytes, mode: str) -> ast.AST:
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source, mode=mode)
        except (RecursionError, MemoryError):
            # A few kilobytes of minus signs are enough for either. There is as much memory as before.
            raise SyntaxError("it is nested more deeply than Python can read", ("<text>", 1, 1, None)) from None
