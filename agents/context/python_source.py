"""Definitions and imports of Python source, from its syntax tree; by line patterns where it does not parse."""

from __future__ import annotations

import ast
import keyword
import re

from agents.context.facts import RawSymbol
from sandbox.syntax import parse

RESERVED = frozenset(keyword.kwlist) | {"self", "cls", "_"}
_HEAD = re.compile(r"^([ \t]*)(?:async[ \t]+)?(def|class)[ \t]+([^\W\d]\w*)", re.MULTILINE)
_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+([.\w]+)[ \t]+import\b|import[ \t]+([\w.]+))", re.MULTILINE)
_BODIES = ("body", "orelse", "finalbody", "handlers", "cases")
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def read_python(text: str) -> tuple[list[RawSymbol], list[str], list[int]]:
    """Return symbols in the order of the lines, imports as written, and the lines on which top-level code begins."""
    try:
        module = parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _by_lines(text)
    reader = _Reader()
    reader.statements(module.body, (), "module")
    starts = [min([s.lineno, *(d.lineno for d in getattr(s, "decorator_list", ()))]) for s in module.body]
    return reader.symbols, reader.imports, starts


class _Reader:
    def __init__(self) -> None:
        self.symbols: list[RawSymbol] = []
        self.imports: list[str] = []

    def statements(self, body: list[ast.stmt], outer: tuple[str, ...], inside: str) -> None:
        # A stack of its own: deeply nested statements must not end in a RecursionError.
        waiting = [(statement, outer, inside) for statement in reversed(body)]
        while waiting:
            node, names, scope = waiting.pop()
            if isinstance(node, _DEFINITIONS):
                self._definition(node, names, scope)
                inner = "class" if isinstance(node, ast.ClassDef) else "function"
                waiting += [(s, (*names, node.name), inner) for s in reversed(node.body)]
            elif isinstance(node, ast.Import):
                self.imports += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                self._imported(node)
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                if scope != "function":
                    self._assignment(node, names)
            else:
                for field in _BODIES:
                    waiting += [(s, names, scope) for s in reversed(getattr(node, field, ()))]

    def _definition(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, names: tuple[str, ...], scope: str
    ) -> None:
        kind = "class" if isinstance(node, ast.ClassDef) else "method" if scope == "class" else "function"
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        last = node.end_lineno or node.lineno
        self.symbols.append((node.name, ".".join((*names, node.name)), kind, first, node.lineno, last))

    def _imported(self, node: ast.ImportFrom) -> None:
        base = "." * node.level + (node.module or "")
        self.imports.append(base)
        joint = "" if base.endswith(".") else "."
        self.imports += [f"{base}{joint}{alias.name}" for alias in node.names if alias.name != "*"]

    def _assignment(self, node: ast.Assign | ast.AnnAssign, names: tuple[str, ...]) -> None:
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            for element in target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]:
                if isinstance(element, ast.Name):
                    kind = "constant" if element.id.isupper() else "variable"
                    place = (node.lineno, node.lineno, node.end_lineno or node.lineno)
                    self.symbols.append((element.id, ".".join((*names, element.id)), kind, *place))


def _by_lines(text: str) -> tuple[list[RawSymbol], list[str], list[int]]:
    """Read what does not parse: a definition ends where the next line is indented no deeper."""
    lines = text.split("\n")
    symbols: list[RawSymbol] = []
    outer: list[tuple[int, str, str]] = []
    for found in _HEAD.finditer(text):
        depth = len(found[1].expandtabs())
        first = text.count("\n", 0, found.start(2)) + 1
        outer = [level for level in outer if level[0] < depth]
        kind = "class" if found[2] == "class" else "method" if outer and outer[-1][2] == "class" else "function"
        outer.append((depth, found[3], kind))
        symbols.append(
            (found[3], ".".join(name for _, name, _ in outer), kind, first, first, _end(lines, first, depth))
        )
        if len(symbols) >= 20_000:
            break
    imports = [found[1] or found[2] for found in _IMPORT.finditer(text)]
    return symbols, imports, [first for _, qualified, _, first, _, _ in symbols if "." not in qualified]


def _end(lines: list[str], first: int, depth: int) -> int:
    last = first
    for number in range(first, min(len(lines), first + 2000)):
        line = lines[number].expandtabs()
        if not line.strip():
            continue
        if len(line) - len(line.lstrip()) <= depth and line.lstrip()[0] not in ")]}":
            break
        last = number + 1
    return last
