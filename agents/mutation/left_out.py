"""Where no fault is put in, because nobody could or should notice it."""

from __future__ import annotations

import ast
import re

from agents.mutation.expressions import is_logging
from agents.repair.units import FUNCTIONS, Place, SourceFile, Unit

_PRAGMA = re.compile(r"#\s*pragma:\s*no\s*(?:cover|mutate|branch)", re.IGNORECASE)
_TYPING = frozenset(("TypeVar", "ParamSpec", "TypeVarTuple", "NewType", "NamedTuple", "TypedDict", "namedtuple"))
_TYPE_NAMES = frozenset(("Any", "Union", "Optional", "Callable", "Literal", "Annotated"))


def why_left_out(file: SourceFile, unit: Unit, place: Place) -> str:
    """Return why a statement is left as it is, "" where faults may be put into it."""
    statement = place.statement
    if isinstance(statement, (ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal, ast.Pass)):
        return "nothing to change"
    if isinstance(statement, ast.Assert):
        return "an assertion says what holds anyway"
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return "a docstring"
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call) and is_logging(statement.value):
        return "a line of a log"
    if _marked(file, statement, place):
        return "marked with a pragma"
    for owner, inner in _tests_around(place):
        if (reason := _gate(owner)) and inner:
            return reason
    if isinstance(statement, ast.If) and (reason := _gate(statement)):
        return reason
    if unit.kind == "module" and (reason := _declaration(statement)):
        return reason
    return ""


def _tests_around(place: Place) -> list[tuple[ast.AST, bool]]:
    return [(owner, True) for owner in place.owners if isinstance(owner, ast.If)]


def _gate(node: ast.AST) -> str:
    """Return what an `if` asks for that no test decides."""
    text = ast.unparse(node.test) if isinstance(node, ast.If) else ""
    if "TYPE_CHECKING" in text:
        return "runs only for type checkers"
    if text.replace('"', "'") == "__name__ == '__main__'":
        return "runs only as a program"
    if text.startswith(("sys.version_info", "sys.platform", "os.name")):
        return "depends on the interpreter or the system"
    return ""


def _declaration(statement: ast.stmt) -> str:
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, (ast.AnnAssign, ast.AugAssign)):
        targets = [statement.target]
    if any(isinstance(t, ast.Name) and t.id.startswith("__") and t.id.endswith("__") for t in targets):
        return "says something about the module, not what it does"
    value = getattr(statement, "value", None)
    if isinstance(value, ast.Call):
        function = value.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if name in _TYPING:
            return "declares a type"
        if name == "getLogger":
            return "names a log"
    if isinstance(value, (ast.Subscript, ast.BinOp)):
        words = {n.attr if isinstance(n, ast.Attribute) else n.id
                 for n in ast.walk(value) if isinstance(n, (ast.Attribute, ast.Name))}  # fmt: skip
        if words & _TYPE_NAMES:
            return "declares a type"
    if isinstance(statement, ast.AnnAssign) and "TypeAlias" in ast.unparse(statement.annotation):
        return "declares a type"
    return ""


def _marked(file: SourceFile, statement: ast.stmt, place: Place) -> bool:
    if "pragma" not in file.text:
        return False
    lines = {statement.lineno, *(owner.lineno for owner in place.owners if hasattr(owner, "lineno"))}
    if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
        lines |= {d.lineno for d in statement.decorator_list}
    return any(_PRAGMA.search(file.line_text(line)) for line in lines)


def fallbacks(file: SourceFile) -> list[tuple[int, int]]:
    """Return the lines of the handlers that stand in for what is not installed: here it is, or it is not."""
    return [
        (node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(file.tree)
        if isinstance(node, ast.ExceptHandler) and node.type is not None and is_import_error(node.type)
    ]


def is_import_error(node: ast.expr) -> bool:
    """Whether a handler's type names a failed import."""
    return bool({"ImportError", "ModuleNotFoundError"} & {n.id for n in ast.walk(node) if isinstance(n, ast.Name)})
