"""Small questions about syntax trees that the static review asks."""

from __future__ import annotations

import ast
from collections.abc import Iterable


def docstrings(module: ast.Module) -> set[int]:
    """Return the ids of the expressions that stand alone as documentation."""
    found = set()
    for node in ast.walk(module):
        for statement in getattr(node, "body", None) or [] if not isinstance(node, ast.Lambda | ast.IfExp) else []:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                found.add(id(statement.value))
    return found


def is_main_guard(node: ast.If) -> bool:
    """Return whether a condition asks if the module is run as a program."""
    return "__name__" in ast.unparse(node.test) and "__main__" in ast.unparse(node.test)


def folded(node: ast.expr) -> str | None:
    """Return the text of a sum of string literals, None for anything else."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            first, second = folded(left), folded(right)
            return first + second if first is not None and second is not None else None
    return None


def returns(function: ast.FunctionDef) -> list[ast.expr]:
    """Return what a function can return; an end without return gives None, which is not a truth."""
    return [n.value for n in ast.walk(function) if isinstance(n, ast.Return) and n.value is not None]


def import_time_nodes(module: ast.Module) -> set[int]:
    """Ids of the nodes that run while the module is imported, through local functions that are called then too."""
    functions = {n.name: n for n in ast.walk(module) if isinstance(n, ast.FunctionDef)}
    found: set[int] = set()
    called: set[str] = set()

    def walk(nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            found.add(id(node))
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    walk([*node.decorator_list, *node.args.defaults, *(d for d in node.args.kw_defaults if d)])
                    continue
                case ast.Lambda():
                    continue
                case ast.If() if is_main_guard(node):
                    walk(node.orelse)
                    continue
                case ast.Call(func=ast.Name(id=name)) | ast.Name(id=name) if name in functions and name not in called:
                    called.add(name)
                    walk(functions[name].body)
            walk(ast.iter_child_nodes(node))

    walk(module.body)
    return found
