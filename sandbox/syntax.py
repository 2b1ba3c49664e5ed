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
        SyntaxError, ValueError, RecursionError, MemoryError: it is not Python that this interpreter can read.

    """
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


def parse_expression(text: str) -> ast.expr:
    """Return the syntax tree of one expression; see `parse`."""
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text, mode="eval").body
