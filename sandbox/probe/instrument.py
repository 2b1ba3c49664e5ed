"""Code that marks which lines it has run: for Python before 3.12, where tracing them takes several times as long.

Every statement is preceded by `NAME[LINE] = 1`, where NAME is a byte array among the built-in names. Code is compiled
so only in runs that record lines, never in runs by which a patch is judged.
"""

import ast
import builtins
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Sequence, Set, Tuple

_BODIES = ("body", "orelse", "finalbody")
_OLD_INDEX = sys.version_info < (3, 9)


class Marks:
    """The lines of all files that were compiled here, and which of them ran."""

    def __init__(self) -> None:
        """Nothing is compiled yet."""
        self._seen: "Dict[str, List[bytearray]]" = {}
        self._spans: "Dict[str, Dict[int, int]]" = {}
        self._count = 0

    def mark(self, tree: "ast.Module", path: str) -> None:
        """Let a module mark its lines, when its tree is compiled and run."""
        self._count += 1
        name = "__greendiff_{}__".format(self._count)
        writer = _Writer(name)
        writer.block(tree)
        marks = bytearray(writer.last + 1)
        # Found from wherever the code is run, and by no `import *`.
        setattr(builtins, name, marks)
        # A module may be loaded again while frames of its former self still run.
        self._seen.setdefault(path, []).append(marks)
        self._spans.setdefault(path, {}).update(writer.spans)

    def take(self) -> "Dict[str, List[int]]":
        """Return path → lines that ran since the last call, and begin anew."""
        found: "Dict[str, List[int]]" = {}
        for path, arrays in self._seen.items():
            lines: "Set[int]" = set()
            spans = self._spans[path]
            for marks in arrays:
                at = marks.find(1)
                while at >= 0:
                    marks[at] = 0
                    lines.update(range(at, spans.get(at, at) + 1))
                    at = marks.find(1, at + 1)
            if lines:
                found[path] = sorted(lines)
        return found


class _Writer:
    """Puts marks into a syntax tree."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.last = 0
        self.spans: "Dict[int, int]" = {}

    def block(self, node: "ast.AST") -> None:
        """Mark the statements of all blocks of a node, and of those within."""
        for field in _BODIES:
            statements = getattr(node, field, None)
            if isinstance(statements, list) and statements and isinstance(statements[0], ast.stmt):
                setattr(node, field, self._marked(statements, field == "body" and isinstance(node, _DOCUMENTED)))
        heads: "List[int]" = []
        for holder in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            # Whoever gets here has gone past the heads before it.
            heads.append(holder.lineno if isinstance(holder, ast.ExceptHandler) else holder.pattern.lineno)
            self.block(holder)
            holder.body[:0] = [self._mark(head, head, holder.body[0]) for head in heads]

    def _marked(self, statements: "List[ast.stmt]", documented: bool) -> "List[ast.stmt]":
        marked: "List[ast.stmt]" = []
        for number, statement in enumerate(statements):
            plain = documented and number == 0 and _is_text(statement)
            if not plain and not (isinstance(statement, ast.ImportFrom) and statement.module == "__future__"):
                for first, last in _spans(statement):
                    marked.append(self._mark(first, last, statement))
            marked.append(statement)
            self.block(statement)
        return marked

    def _mark(self, first: int, last: int, beside: "ast.stmt") -> "ast.stmt":
        self.last = max(self.last, first)
        if last > first:
            self.spans[first] = max(last, self.spans.get(first, 0))
        index: "ast.expr" = ast.Constant(first)
        if _OLD_INDEX:
            index = ast.Index(index)
        place = ast.Subscript(ast.Name(self._name, ast.Load()), index, ast.Store())
        mark = ast.Assign([place], ast.Constant(1))
        for node in ast.walk(mark):
            if isinstance(node, (ast.expr, ast.stmt)):
                ast.copy_location(node, beside)
                node.lineno = node.end_lineno = first
                node.end_col_offset = node.col_offset
        return mark


_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def _is_text(statement: "ast.stmt") -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _spans(statement: "ast.stmt") -> "Sequence[Tuple[int, int]]":
    """Return first and last lines of what a statement runs itself, without the blocks that it holds."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        decorators = [(node.lineno, node.end_lineno or node.lineno) for node in statement.decorator_list]
        return [*decorators, (statement.lineno, statement.lineno)]
    inside = getattr(statement, "body", None) or getattr(statement, "cases", None)
    if not inside:
        return [(statement.lineno, statement.end_lineno or statement.lineno)]
    last = statement.lineno
    for field in ("test", "iter", "subject"):
        node = getattr(statement, field, None)
        if node is not None:
            last = max(last, node.end_lineno or last)
    for item in getattr(statement, "items", ()):
        last = max(last, item.context_expr.end_lineno or last)
    return [(statement.lineno, last)]
