"""Python files cut into the smallest parts that can be swapped while a program runs, with exact character positions."""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from agents.edits import Source, decode
from agents.errors import EditError
from sandbox.syntax import parse
from sandbox.tree import Tree

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
MODULE = "<module>"

_LINE_END = re.compile(r"\r\n|\r|\n")
_TRANSPARENT = (ast.If, ast.Try, ast.With, ast.For, ast.While, ast.ExceptHandler)


@dataclass(frozen=True, slots=True)
class Unit:
    """A top-level function, a method inside a nest of classes, or a whole module."""

    path: str
    qualname: str
    """Dotted, as `__qualname__` gives it; `<module>` for the module."""
    kind: Literal["function", "method", "module"]
    node: FunctionNode | ast.Module
    start: int
    """Offset of its first line, decorators included."""
    end: int
    """Offset of the line after its last one."""
    first_line: int
    last_line: int
    classes: tuple[ast.ClassDef, ...] = ()
    """The classes around a method, outermost first."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a statement stands: the block that holds it, and what holds the block."""

    statement: ast.stmt
    block: list[ast.stmt]
    index: int
    owner: ast.AST
    """The statement, handler, match case, function, class or module whose block it is."""
    field: str
    depth: int
    """How many blocks are around it inside its unit."""
    functions: tuple[FunctionNode, ...] = ()
    """Functions around it, outermost first (the unit's own and nested ones)."""
    loops: tuple[ast.stmt, ...] = ()
    """Loops around it within the innermost function, outermost first."""
    owners: tuple[ast.AST, ...] = ()
    """All owners, outermost first."""


class SourceFile:
    """A parsed file: its text, its units, and conversions between AST positions and character offsets."""

    def __init__(self, path: str, source: Source) -> None:
        """Parse; raises SyntaxError (or its kin ValueError, RecursionError) where the text is not Python."""
        self.path = path
        self.source = source
        self.text = source.text
        self.newline = source.newline
        self.tree = parse(self.text)
        self._starts = [0, *(m.end() for m in _LINE_END.finditer(self.text))]
        self._ascii = self.text.isascii()

    @classmethod
    def parse(cls, path: str, tree: Tree) -> SourceFile | None:
        """Return a tree's file, None where it is absent, not a regular file, or not Python that can be read here."""
        entry = tree.get(path)
        if entry is None or entry.kind != "file":
            return None
        try:
            return cls(path, decode(entry.data))
        except (EditError, SyntaxError, ValueError, RecursionError, MemoryError):
            return None

    def offset(self, line: int, column: int) -> int:
        """Return the character offset of a 1-based line and a column in UTF-8 bytes, as `ast` counts them."""
        start = self._starts[line - 1]
        if self._ascii:
            return start + column
        end = self._starts[line] if line < len(self._starts) else len(self.text)
        raw = self.text[start:end]
        if raw.isascii():
            return start + column
        return start + len(raw.encode("utf-8", "surrogatepass")[:column].decode("utf-8", "surrogatepass"))

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Return the offsets of a node's first character and of the one after its last."""
        return (
            self.offset(node.lineno, node.col_offset),  # type: ignore[attr-defined]
            self.offset(node.end_lineno, node.end_col_offset),  # type: ignore[attr-defined]
        )

    def segment(self, node: ast.AST) -> str:
        """Return a node's own text."""
        start, end = self.span(node)
        return self.text[start:end]

    def line_of(self, offset: int) -> int:
        """Return the 1-based line that holds a character offset."""
        return bisect_right(self._starts, offset)

    def line_start(self, line: int) -> int:
        """Return the offset of a line's first character; one past the last line gives the text's end."""
        return self._starts[line - 1] if line <= len(self._starts) else len(self.text)

    def line_text(self, line: int) -> str:
        """Return a line without its ending."""
        return self.text[self.line_start(line) : self.line_start(line + 1)].rstrip("\r\n")

    @cached_property
    def indent_unit(self) -> str:
        """One level of indentation as this file writes it."""
        for node in ast.walk(self.tree):
            body = getattr(node, "body", None)
            if isinstance(body, list) and body and isinstance(node, ast.stmt) and node.lineno != body[0].lineno:
                outer, inner = self.indentation(node), self.indentation(body[0])
                if inner.startswith(outer) and len(inner) > len(outer):
                    return inner[len(outer) :]
        return "    "

    def indentation(self, statement: ast.stmt) -> str:
        """Return the white space before a statement; before the line's first one where several share a line."""
        line = self.line_text(statement.lineno)
        return line[: len(line) - len(line.lstrip(" \t\f"))]

    def alone(self, statement: ast.stmt) -> bool:
        """Whether nothing but white space and a comment shares the statement's lines."""
        start, end = self.span(statement)
        decorators = getattr(statement, "decorator_list", None)
        if decorators:
            start = self.offset(decorators[0].lineno, 0)
        first = self.text[self.line_start(self.line_of(start)) : start]
        line_end = self.line_start(self.line_of(end) + 1) if end < len(self.text) else end
        rest = self.text[end:line_end].strip()
        return (not first.strip() or bool(decorators)) and (not rest or rest.startswith("#"))

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """All units in order of position, the module itself last."""
        found = list(self._find_units(self.tree, ()))
        found.append(Unit(self.path, MODULE, "module", self.tree, 0, len(self.text), 1, max(1, len(self._starts))))
        return tuple(found)

    def _find_units(self, node: ast.AST, classes: tuple[ast.ClassDef, ...]) -> Iterator[Unit]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, FUNCTIONS):
                first = min((child.lineno, *(d.lineno for d in child.decorator_list)))
                last = child.end_lineno or child.lineno
                start = self.line_start(first)
                end = self.line_start(last + 1)
                names = [*(c.name for c in classes), child.name]
                kind: Literal["function", "method"] = "method" if classes else "function"
                yield Unit(self.path, ".".join(names), kind, child, start, end, first, last, classes)
            elif isinstance(child, ast.ClassDef):
                yield from self._find_units(child, (*classes, child))
            elif isinstance(child, _TRANSPARENT):
                yield from self._find_units(child, classes)

    def unit_at_line(self, line: int) -> Unit:
        """Return the innermost unit that holds a line; the module where no function does."""
        return next((u for u in self.units if u.first_line <= line <= u.last_line), self.units[-1])

    def unit_at(self, offset: int) -> Unit:
        """Return the unit that holds a character."""
        return self.unit_at_line(self.line_of(offset))

    def function_at_line(self, line: int) -> str:
        """Return the qualified name of the innermost function or class at a line, `<module>` outside."""
        names: list[str] = []
        node: ast.AST = self.tree
        while True:
            inner = next((c for c in _definitions(node) if _covers(c, line)), None)
            if inner is None:
                return ".".join(names) or MODULE
            names.append(inner.name)
            node = inner


def _definitions(node: ast.AST) -> Iterator[FunctionNode | ast.ClassDef]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*FUNCTIONS, ast.ClassDef)):
            yield child
        elif isinstance(child, (*_TRANSPARENT, ast.match_case)):
            yield from _definitions(child)


def _covers(node: FunctionNode | ast.ClassDef, line: int) -> bool:
    first = min((node.lineno, *(d.lineno for d in node.decorator_list)))
    return first <= line <= (node.end_lineno or node.lineno)


def blocks(node: ast.AST) -> Iterator[tuple[ast.AST, str, list[ast.stmt]]]:
    """Give every list of statements directly under `node`, handlers and match cases included, with its owner."""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
            yield node, name, block
    for handler in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        yield handler, "body", handler.body


def places(unit: Unit) -> Iterator[Place]:
    """Give every statement of a unit in order of position, the function's own definition first.

    For a module these are the statements that run on import, class bodies included, function bodies left out (a
    function's definition is given for its decorators and defaults).
    """
    if isinstance(unit.node, ast.Module):
        yield from _places(unit.node, 0, (), (), (unit.node,), into_functions=False)
        return
    whole: list[ast.stmt] = [unit.node]
    yield Place(unit.node, whole, 0, ast.Module(body=whole, type_ignores=[]), "body", 0)
    yield from _places(unit.node, 1, (unit.node,), (), (unit.node,), into_functions=True)


def _places(
    node: ast.AST,
    depth: int,
    functions: tuple[FunctionNode, ...],
    loops: tuple[ast.stmt, ...],
    owners: tuple[ast.AST, ...],
    *,
    into_functions: bool,
) -> Iterator[Place]:
    for owner, name, block in blocks(node):
        inner_loops = loops
        if isinstance(node, (ast.For, ast.AsyncFor, ast.While)) and name == "body":
            inner_loops = (*loops, node)
        around = owners if owner is node else (*owners, owner)
        for index, statement in enumerate(block):
            yield Place(statement, block, index, owner, name, depth, functions, inner_loops, around)
            if isinstance(statement, FUNCTIONS):
                if into_functions:
                    deeper = (*functions, statement)
                    yield from _places(statement, depth + 1, deeper, (), (*around, statement), into_functions=True)
            else:
                yield from _places(
                    statement, depth + 1, functions, inner_loops, (*around, statement), into_functions=into_functions
                )


def own_expressions(statement: ast.stmt) -> Iterator[ast.expr]:
    """Give the expressions of a statement itself: a compound statement's header, not what its blocks hold."""
    for name, value in ast.iter_fields(statement):
        if name in {"body", "orelse", "finalbody", "annotation", "returns", "type_params"}:
            continue
        if name == "decorator_list":
            for call in value:
                yield from (*call.args, *(k.value for k in call.keywords)) if isinstance(call, ast.Call) else ()
            continue
        if name == "handlers":
            continue  # what a handler catches is no value
        if name == "cases":
            yield from (part.guard for part in value if part.guard is not None)
            continue
        for item in value if isinstance(value, list) else [value]:
            yield from _expressions(item)


def _expressions(item: object) -> Iterator[ast.expr]:
    if isinstance(item, ast.expr):
        yield item
    elif isinstance(item, ast.withitem):
        yield item.context_expr
        if item.optional_vars is not None:
            yield item.optional_vars
    elif isinstance(item, ast.arguments):
        yield from item.defaults
        yield from (d for d in item.kw_defaults if d is not None)
    elif isinstance(item, ast.keyword):
        yield item.value


def header_lines(statement: ast.stmt) -> tuple[int, int]:
    """Return the first and last line of a simple statement, or of a compound one's header (decorators included)."""
    first = min((statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", ()))))
    last = statement.end_lineno or statement.lineno
    body = getattr(statement, "body", None) or getattr(statement, "cases", None)
    if isinstance(body, list) and body:
        start: int = getattr(body[0], "lineno", 0) or body[0].pattern.lineno
        last = max(statement.lineno, start - 1)
        ends = [e.end_lineno or e.lineno for e in own_expressions(statement) if (e.end_lineno or 0) < start]
        if ends:
            last = min(last, max(ends))
    return first, last
