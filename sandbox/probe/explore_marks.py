"""Marks which lines and branches of one module run, and what its comparisons compare."""

from __future__ import annotations

import ast
import builtins
import operator
from typing import Any, Callable, Dict, List, Sequence, Tuple

MARKS, KEEP, COMPARE = "__greendiff_marks__", "__greendiff_keep__", "__greendiff_compare__"
_OPERATORS: Dict[type, Tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Eq: ("==", operator.eq),
    ast.NotEq: ("!=", operator.ne),
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
}
_BY_SIGN = dict(_OPERATORS.values())
_SIMPLE = (int, float, str, bytes)
COMPARED = 60
"""Pairs of operands that are kept of one run."""

Spot = Tuple[str, int, str, str]
"""What one mark stands for: `line` or `branch`, the line, which way, and the function or class that it lies in."""


class Marks:
    """The marks of the module that is explored, and what was compared since `clear`."""

    def __init__(self) -> None:
        """Nothing is marked yet."""
        self.spots: List[Spot] = []
        self.hits = bytearray()
        self.compared: List[Tuple[Any, Any]] = []
        self.listening = True

    def mark(self, tree: ast.Module) -> None:
        """Let the module mark what it runs, when its tree is compiled and run."""
        _Writer(self.spots).module(tree)
        ast.fix_missing_locations(tree)
        self.hits = bytearray(len(self.spots))
        setattr(builtins, MARKS, self.hits)
        setattr(builtins, KEEP, self.keep)
        setattr(builtins, COMPARE, self.compare)

    def keep(self, index: int, value: Any) -> Any:
        """Mark that an expression was come to."""
        self.hits[index] = 1
        return value

    def compare(self, sign: str, left: Any, right: Any) -> Any:
        """Compare, and remember what was compared where that is simple."""
        if (
            self.listening
            and len(self.compared) < COMPARED
            and type(left) in _SIMPLE
            and type(right) in _SIMPLE
            and left is not right
        ):
            self.compared.append((left, right))
        return _BY_SIGN[sign](left, right)

    def clear(self) -> None:
        """Forget what ran."""
        self.hits[:] = bytes(len(self.hits))
        del self.compared[:]

    def taken(self) -> List[int]:
        """Return the marks that were hit since `clear`, sorted."""
        found = []
        at = self.hits.find(1)
        while at >= 0:
            found.append(at)
            at = self.hits.find(1, at + 1)
        return found


class _Writer:
    def __init__(self, spots: List[Spot]) -> None:
        self._spots = spots
        self._owner: List[str] = []
        self._deep = 0

    def module(self, tree: ast.Module) -> None:
        tree.body = self._block(tree.body, documented=True)

    def _spot(self, kind: str, line: int, way: str = "") -> int:
        self._spots.append((kind, line, way, ".".join(self._owner)))
        return len(self._spots) - 1

    def _hit(self, index: int) -> ast.stmt:
        place: ast.expr = ast.Constant(index)
        if not hasattr(ast, "unparse"):
            place = ast.Index(place)  # type: ignore[arg-type, unused-ignore]
        target = ast.Subscript(ast.Name(MARKS, ast.Load()), place, ast.Store())
        return ast.Assign([target], ast.Constant(1))

    def _block(self, statements: Sequence[ast.stmt], documented: bool = False) -> List[ast.stmt]:
        out: List[ast.stmt] = []
        for number, statement in enumerate(statements):
            text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
            if not (future or (text and documented and number == 0)):
                hit = self._hit(self._spot("line", statement.lineno))
                out.append(ast.copy_location(hit, statement))
            self._inside(statement)
            out.append(statement)
        return out

    def _branch(self, line: int, way: str, beside: ast.stmt) -> ast.stmt:
        return ast.copy_location(self._hit(self._spot("branch", line, way)), beside)

    def _inside(self, node: ast.stmt) -> None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            self._owner.append(node.name)
            self._deep += not isinstance(node, ast.ClassDef)
            node.body = self._block(node.body, documented=True)
            self._deep -= not isinstance(node, ast.ClassDef)
            self._owner.pop()
            return
        endless = isinstance(node, ast.While) and isinstance(node.test, ast.Constant)
        fields: Any = dict(ast.iter_fields(node))
        self._expressions(node)
        for name in ("body", "orelse", "finalbody"):
            if isinstance(fields.get(name), list) and fields[name]:
                setattr(node, name, self._block(fields[name]))
        if isinstance(node, (ast.If, ast.While, ast.For, ast.AsyncFor)) and not endless:
            node.body = [self._branch(node.lineno, "true", node), *node.body]
            node.orelse = [self._branch(node.lineno, "false", node), *node.orelse]
        for handler in getattr(node, "handlers", ()):
            handler.body = [
                ast.copy_location(self._hit(self._spot("line", handler.lineno)), handler.body[0]),
                *self._block(handler.body),
            ]
        for number, case in enumerate(getattr(node, "cases", ())):
            line = case.pattern.lineno
            case.body = [self._branch(line, "case %d" % number, case.body[0]), *self._block(case.body)]

    def _expressions(self, node: ast.stmt) -> None:
        """Put marks into the expressions that a statement runs itself."""
        for name, value in ast.iter_fields(node):
            if name in ("body", "orelse", "finalbody", "handlers", "cases", "annotation", "returns"):
                continue
            if isinstance(value, ast.expr) and not isinstance(getattr(value, "ctx", None), (ast.Store, ast.Del)):
                setattr(node, name, _Expressions(self._spot, self._deep > 0).visit(value))
            elif isinstance(value, list):
                for item in value:
                    if isinstance(item, (ast.expr, ast.withitem)):
                        _Expressions(self._spot, self._deep > 0).generic_visit(item)


class _Expressions(ast.NodeTransformer):
    """Marks both ways of conditional expressions, bodies of lambdas, and comparisons."""

    def __init__(self, spot: Callable[[str, int, str], int], inside: bool) -> None:
        self._spot = spot
        self._inside = inside

    def _kept(self, node: ast.expr, way: str) -> ast.expr:
        index = self._spot("expression", node.lineno, way)
        call = ast.Call(ast.Name(KEEP, ast.Load()), [ast.Constant(index), node], [])
        # Evaluated in this order: the mark says that the value was come to, so it need not be marked before.
        return ast.copy_location(call, node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        self.generic_visit(node)
        node.body = self._kept(node.body, "true")
        node.orelse = self._kept(node.orelse, "false")
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        self.generic_visit(node)
        node.values[1:] = [self._kept(value, "operand") for value in node.values[1:]]
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        self.generic_visit(node)
        node.body = self._kept(node.body, "lambda")
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        if not self._inside or len(node.ops) != 1 or type(node.ops[0]) not in _OPERATORS:
            return node
        sign = ast.Constant(_OPERATORS[type(node.ops[0])][0])
        call = ast.Call(ast.Name(COMPARE, ast.Load()), [sign, node.left, node.comparators[0]], [])
        return ast.copy_location(call, node)
