"""Where the functions of a source file lie, and how one of them is compiled alone."""

from __future__ import annotations
import __future__  # the flags of future statements, looked up by name

import ast
import re
import types
import warnings
from typing import Iterator, List, Optional, Sequence, Tuple

_NEWLINE = re.compile(r"\r\n|\r|\n")
Splice = Tuple[int, int, str]
"""Replace the characters from the first offset to the second by the text."""


class Uncompilable(Exception):
    """The changed text is not Python."""


class NotSwappable(Exception):
    """The change cannot be made by exchanging code objects; the message says why."""


class Unit:
    """A function or method that is not nested in another function, with everything inside it."""

    __slots__ = ("body", "classes", "end", "head", "indent", "line", "name", "start")

    def __init__(self, name: str, classes: Tuple[str, ...], line: int, indent: str) -> None:
        self.name = name
        self.classes = classes
        self.line = line
        """First line, decorators included; this is what `co_firstlineno` holds."""
        self.indent = indent
        self.start = 0
        """Offset of the first line."""
        self.head = 0
        """Offset of the line with `def`."""
        self.body = 0
        """Offset of the first statement of the body."""
        self.end = 0
        """Offset after the last line and its newline."""

    @property
    def qualname(self) -> str:
        return ".".join((*self.classes, self.name))


class Source:
    """A file's text with its units.

    Raises:
        Uncompilable: the text itself is not Python.

    """

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self._shift = 1 if text.startswith("\ufeff") else 0
        try:
            self.tree = ast.parse(text[self._shift :])
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise Uncompilable(str(error)) from None
        self._lines = [self._shift] + [match.end() for match in _NEWLINE.finditer(text, self._shift)]
        self.flags = 0
        for node in self.tree.body:
            if isinstance(node, ast.ImportFrom) and node.module == "__future__":
                for name in node.names:
                    self.flags |= getattr(__future__, name.name).compiler_flag
        self.units = list(self._find(self.tree.body, ()))

    def _line_start(self, line: int) -> int:
        return self._lines[line - 1] if line <= len(self._lines) else len(self.text)

    def offset(self, line: int, column: int) -> int:
        """Turn a syntax tree's position (columns in UTF-8 bytes) into an offset."""
        start = self._line_start(line)
        row = self.text[start : self._line_start(line + 1)]
        return start + (column if row.isascii() else len(row.encode()[:column].decode("utf-8", "ignore")))

    def _find(self, body: Sequence[ast.stmt], classes: Tuple[str, ...]) -> Iterator[Unit]:
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield self._unit(node, classes)
            elif isinstance(node, ast.ClassDef):
                yield from self._find(node.body, (*classes, node.name))
            else:
                for field in ("body", "orelse", "finalbody"):
                    yield from self._find(getattr(node, field, None) or (), classes)
                for handler in getattr(node, "handlers", ()):
                    yield from self._find(handler.body, classes)

    def _unit(self, node: ast.FunctionDef | ast.AsyncFunctionDef, classes: Tuple[str, ...]) -> Unit:
        line = min([node.lineno] + [decorator.lineno for decorator in node.decorator_list])
        start = self._line_start(line)
        indent = re.match(r"[ \t\f]*", self.text[start:]).group()  # type: ignore[union-attr]
        unit = Unit(node.name, classes, line, indent)
        unit.start = start
        unit.head = self._line_start(node.lineno)
        unit.body = self.offset(node.body[0].lineno, node.body[0].col_offset)
        unit.end = self._line_start((node.end_lineno or node.lineno) + 1)
        return unit

    def unit_of(self, splice: Splice) -> Unit:
        """Return the unit that holds a change wholly.

        Raises:
            NotSwappable: the change is at the top level, in a class body or in a decorator.

        """
        start, end, replacement = splice
        for unit in self.units:
            if unit.start <= start and end <= unit.end:
                if start == end == unit.start or (start == end == unit.end and not self._deeper(unit, replacement)):
                    continue
                if start < unit.head:
                    raise NotSwappable("a decorator is changed")
                return unit
        raise NotSwappable("the change is outside functions")

    @staticmethod
    def _deeper(unit: Unit, replacement: str) -> bool:
        rows = [row for row in _NEWLINE.split(replacement) if row.strip()]
        return bool(rows) and all(
            row.startswith(unit.indent) and len(row) - len(row.lstrip()) > len(unit.indent) for row in rows
        )

    def changed_text(self, unit: Unit, splices: Sequence[Splice]) -> str:
        return splice_text(
            self.text[unit.start : unit.end], [(s - unit.start, e - unit.start, r) for s, e, r in splices]
        )

    def compile_unit(self, unit: Unit, text: str, filename: str) -> types.CodeType:
        """Compile a unit's new text as if it stood in its file.

        Raises:
            Uncompilable: it is not Python.
            NotSwappable: the function's name is gone, so that callers would not find it.

        """
        rows = [" " * depth + "class " + name + ":\n" for depth, name in enumerate(unit.classes)]
        if not rows and unit.indent:
            rows = ["if 1:\n"]
        # Blank lines in front give the right line numbers for less than walking the syntax tree would cost.
        source = "\n" * (unit.line - 1 - len(rows)) + "".join(rows) + text
        code: Optional[types.CodeType] = compile_text(source, filename, self.flags)
        for name in unit.classes:
            code = next((c for c in code_constants(code) if c.co_name == name), None)
        code = next((c for c in code_constants(code) if c.co_name == unit.name and c.co_firstlineno == unit.line), None)
        if code is None:
            raise NotSwappable("the function is renamed")
        return code

    def arguments(self, unit: Unit, text: str) -> ast.arguments:
        """Return the parameters as the unit's text (unchanged or changed) gives them."""
        rows = ["class " + name + ":\n" for name in unit.classes[:1]] or (["if 1:\n"] if unit.indent else [])
        try:
            tree = ast.parse("".join(rows) + text)
        except (SyntaxError, ValueError) as error:
            raise Uncompilable(str(error)) from None
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == unit.name:
                return node.args
        raise NotSwappable("the function is renamed")


def compile_text(source: str, filename: str, flags: int) -> types.CodeType:
    """Compile without warnings and without this file's own future statements."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            code: types.CodeType = compile(source, filename, "exec", flags, dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
            raise Uncompilable(str(error)) from None
    return code


def code_constants(code: Optional[types.CodeType]) -> List[types.CodeType]:
    """Return the code objects of what is defined directly in `code`."""
    return [c for c in code.co_consts if isinstance(c, types.CodeType)] if code is not None else []


def splice_text(text: str, splices: Sequence[Splice]) -> str:
    """Apply changes that do not overlap."""
    parts = []
    at = 0
    for start, end, replacement in sorted(splices, key=lambda s: (s[0], s[1])):
        if start < at or end < start or end > len(text):
            raise Uncompilable("the changes overlap or lie outside the file")
        parts.append(text[at:start])
        parts.append(replacement)
        at = end
    parts.append(text[at:])
    return "".join(parts)


_MEANING = (
    "co_name",
    "co_code",
    "co_names",
    "co_varnames",
    "co_freevars",
    "co_cellvars",
    "co_flags",
    "co_argcount",
    "co_posonlyargcount",
    "co_kwonlyargcount",
    "co_exceptiontable",
)


def same_meaning(one: types.CodeType, two: types.CodeType) -> bool:
    """Say whether two code objects do the same, wherever their text stands."""
    if any(getattr(one, name, None) != getattr(two, name, None) for name in _MEANING):
        return False
    if len(one.co_consts) != len(two.co_consts):
        return False
    for left, right in zip(one.co_consts, two.co_consts):
        if isinstance(left, types.CodeType) and isinstance(right, types.CodeType):
            if not same_meaning(left, right):
                return False
        elif type(left) is not type(right) or repr(left) != repr(right):
            return False
    return True


def pair_codes(old: types.CodeType, new: types.CodeType) -> Iterator[Tuple[types.CodeType, Optional[types.CodeType]]]:
    """Yield each code object inside `old` (itself first) with its counterpart in `new`, or None where there is none."""
    yield old, new
    names = [c.co_name for c in code_constants(old)]
    fresh = code_constants(new)
    same_shape = names == [c.co_name for c in fresh]
    taken = 0
    for index, inner in enumerate(code_constants(old)):
        other: Optional[types.CodeType] = None
        if same_shape:
            other = fresh[index]
        else:
            found = [i for i in range(taken, len(fresh)) if fresh[i].co_name == inner.co_name]
            if found:
                other = fresh[found[0]]
                taken = found[0] + 1
        if other is None:
            yield inner, None
        else:
            yield from pair_codes(inner, other)
