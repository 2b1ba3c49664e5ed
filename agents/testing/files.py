"""Where tests of a module go, and the whole text of a file that holds them."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence

from agents.neighbour_tests import Neighbourhood, new_path
from agents.testing.formatting import formatted
from agents.testing.writing import Style, Written
from sandbox.syntax import parse
from sandbox.tree import Tree

_STANDARD = ("math", "collections", "itertools", "operator", "datetime", "decimal", "fractions", "copy", "asyncio",
             "re", "io", "uuid", "pathlib", "functools", "string", "sys")  # fmt: skip


def module_name(path: str, pythonpath: Sequence[str]) -> str:
    """Return the dotted name under which a file is imported."""
    folders = sorted((folder.strip("/") for folder in pythonpath), key=len, reverse=True)
    inside = path
    for folder in folders:
        if folder not in {"", "."} and path.startswith(f"{folder}/"):
            inside = path[len(folder) + 1 :]
            break
    return inside.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def test_path(tree: Tree, around: Neighbourhood, path: str, taken: Iterable[str]) -> str:
    """Return a path that is not in use for the tests of a module, named as the repository names its tests."""
    stem = posixpath.basename(path).removesuffix(".py").strip("_")
    parent = posixpath.basename(posixpath.dirname(path))
    if posixpath.basename(path) == "__init__.py":
        stem = parent or "package"
    known = {*tree, *taken}
    used = {posixpath.basename(one) for one in known}
    tries = [stem, f"{parent}_{stem}" if parent not in {"", "src", stem} else stem, f"{stem}_behaviour"]
    for one in tries:
        if around.pattern.format(one) not in used:
            return posixpath.join(around.folder, around.pattern.format(one))
    return new_path(known, around, f"{stem}_behaviour")


def file_text(module: str, path: str, tests: Sequence[Written], style: Style, tree: Tree) -> str:
    """Return a test file, in the repository's format."""
    body = "\n\n\n".join(test.text for test in tests)
    if style == "unittest":
        name = "".join(part[:1].upper() + part[1:] for part in re.split(r"\W|_", module) if part)
        inner = "\n\n".join(test.text for test in tests).replace("\n", "\n    ")
        body = f"class {name}Tests(unittest.TestCase):\n    {inner}"
    uses = {name: kind for test in tests for name, kind in test.uses.items()}
    imports = _imports(module, body, uses, style, local=_package(tree, path))
    return formatted(f"{imports}\n\n\n{body}\n", tree)


def _package(tree: Tree, path: str) -> str:
    return posixpath.dirname(path) if f"{posixpath.dirname(path)}/__init__.py" in tree else ""


def _imports(module: str, body: str, uses: Mapping[str, str], style: Style, local: str) -> str:  # noqa: ARG001
    tree = parse(body)
    loaded = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    standard: set[str] = set()
    own: list[str] = []
    third: set[str] = set()
    aliases: list[str] = []
    for name, kind in sorted(uses.items()):
        if name not in loaded:
            continue
        if kind == "own":
            own.append(name)
        else:
            real = kind.removeprefix("module:")
            if real == name:
                (standard if name in _STANDARD else third).add(f"import {name}")
            else:
                aliases.append(name)
    for name in ("re", "sys", "math", "io", "contextlib"):
        if name in loaded and uses.get(name) != "own":
            standard.add(f"import {name}")
    if style == "unittest":
        standard.add("import unittest.mock" if "unittest.mock" in body else "import unittest")
    elif re.search(r"\bpytest\.", body):
        third.add("import pytest")
    names = sorted({*own, *aliases}, key=lambda name: (not name.isupper(), not name[:1].isupper(), name))
    lines = ["\n".join(sorted(standard)), "\n".join(sorted(third))]
    if names:
        lines.append(f"from {module} import {', '.join(names)}")
    return "\n\n".join(line for line in lines if line)
