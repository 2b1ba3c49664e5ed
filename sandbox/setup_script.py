"""Reads the arguments of `setup(…)` in a `setup.py` from its syntax tree, without running it."""

from __future__ import annotations

import ast
import posixpath
from typing import Any

from sandbox.declarations import (
    Declared,
    entry_points_of,
    ini,
    is_testing,
    preferred,
    requirements_file,
    strings,
    text_of,
)
from sandbox.syntax import parse
from sandbox.tree import Tree


class _Unknown(Exception):
    """An expression whose value cannot be told without running the program."""


class _Values:
    """Values of simple expressions in a module, from literals and names that are assigned once."""

    def __init__(self, tree: Tree, module: ast.Module) -> None:
        self._tree = tree
        self._names: dict[str, ast.expr] = {}
        for node in ast.walk(module):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                self._names[node.targets[0].id] = node.value

    def of(self, node: ast.expr, depth: int = 0) -> Any:
        """Return the value; raises `_Unknown`."""
        if depth > 20:
            raise _Unknown
        match node:
            case ast.Constant():
                return node.value
            case ast.List() | ast.Tuple() | ast.Set():
                return [item for part in node.elts for item in self._item(part, depth)]
            case ast.Dict():
                return self._mapping(node, depth)
            case ast.Name() if node.id in self._names:
                return self.of(self._names[node.id], depth + 1)
            case ast.BinOp(op=ast.Add()):
                try:
                    return self.of(node.left, depth + 1) + self.of(node.right, depth + 1)
                except TypeError:
                    raise _Unknown from None
            case ast.Subscript():
                return self._subscript(node, depth)
            case ast.Call():
                return self._call(node, depth)
        raise _Unknown

    def _item(self, node: ast.expr, depth: int) -> list[Any]:
        try:
            if isinstance(node, ast.Starred):
                value = self.of(node.value, depth + 1)
                return value if isinstance(value, list) else []
            return [self.of(node, depth + 1)]
        except _Unknown:
            return []

    def _mapping(self, node: ast.Dict, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            try:
                if key is None:
                    found |= self.of(value, depth + 1)
                else:
                    found[self.of(key, depth + 1)] = self.of(value, depth + 1)
            except (_Unknown, TypeError):
                continue
        return found

    def _subscript(self, node: ast.Subscript, depth: int) -> Any:
        try:
            return self.of(node.value, depth + 1)[self.of(node.slice, depth + 1)]
        except (LookupError, TypeError):
            raise _Unknown from None

    def _call(self, node: ast.Call, depth: int) -> Any:
        """Follow the ways in which requirement files are read: `open(…).read().splitlines()` and the like."""
        files = [
            part.value
            for part in ast.walk(node)
            if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value.endswith(".txt")
        ]
        if len(files) == 1 and "require" in files[0]:
            return requirements_file(self._tree, posixpath.normpath(files[0]))
        if (
            isinstance(node.func, ast.Attribute)
            and node.func.attr in {"split", "splitlines", "strip"}
            and not node.args
        ):
            value = self.of(node.func.value, depth + 1)
            if isinstance(value, str):
                return getattr(value, node.func.attr)()
        if isinstance(node.func, ast.Name) and node.func.id == "dict":
            return {k.arg: self.of(k.value, depth + 1) for k in node.keywords if k.arg}
        if isinstance(node.func, ast.Name) and node.func.id in {"list", "sorted", "tuple"} and node.args:
            return self.of(node.args[0], depth + 1)
        raise _Unknown


def setup_script(tree: Tree) -> Declared:
    """Read the literals among the arguments of `setup(…)` in `setup.py`."""
    found = Declared()
    try:
        module = parse(text_of(tree, "setup.py"))
    except (SyntaxError, ValueError, RecursionError):
        return found
    values = _Values(tree, module)
    given: dict[str, Any] = {}
    for node in ast.walk(module):
        name = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
        if name != "setup" or not isinstance(node, ast.Call):
            continue
        for keyword in node.keywords:
            try:
                value = values.of(keyword.value)
            except _Unknown:
                continue
            given |= {keyword.arg: value} if keyword.arg else value if isinstance(value, dict) else {}
    found.name = given["name"] if isinstance(given.get("name"), str) else ""
    found.version = given["version"] if isinstance(given.get("version"), str) else ""
    found.required += _listed(given.get("install_requires"))
    found.hints += _listed(given.get("tests_require"))
    extras = given.get("extras_require")
    if isinstance(extras, dict):
        wanted = preferred(extra for extra in extras if isinstance(extra, str) and is_testing(extra))
        for extra, items in extras.items():
            (found.hints if extra in wanted else found.others).extend(_listed(items))
    points = given.get("entry_points")
    if isinstance(points, str):
        parser = ini(points)
        points = {section: [f"{k}={v}" for k, v in parser.items(section)] for section in parser.sections()}
    for group, items in points.items() if isinstance(points, dict) else ():
        found.entry_points[str(group)] = entry_points_of(_listed(items))
    return found


def _listed(value: object) -> list[str]:
    if isinstance(value, str):
        return [line.strip() for line in value.splitlines() if line.strip()]
    return strings(value)
