"""Where a repository keeps its importable code, as its build files and its tests' imports say."""

from __future__ import annotations

import ast
import configparser
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from sandbox.syntax import parse
from sandbox.tree import Tree

MAX_FILES = 400
"""Test files whose imports are read."""
_SETUP_PY = re.compile(r"package_dir\s*=\s*(?:\{\s*|dict\s*\(\s*)['\"]{2}\s*[:=]\s*['\"]([\w./-]+)['\"]")
_WHERE = re.compile(r"find(?:_namespace)?_packages\(\s*(?:where\s*=\s*)?['\"]([\w./-]+)['\"]")


def text(tree: Tree, path: str) -> str:
    """Return a file as text, "" where there is none; bytes that are no UTF-8 are replaced."""
    entry = tree.get(path)
    return entry.data.decode("utf-8-sig", "replace") if entry is not None and entry.kind == "file" else ""


def toml(tree: Tree, path: str) -> dict[str, Any]:
    """Return a TOML file's tables, none where it cannot be read."""
    try:
        return tomllib.loads(text(tree, path))
    except tomllib.TOMLDecodeError:
        return {}


def ini(tree: Tree, path: str) -> configparser.ConfigParser:
    """Return an ini file's sections, none where it cannot be read."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text(tree, path))
    except configparser.Error:
        return configparser.ConfigParser(interpolation=None)
    return parser


def table(value: object, *keys: str) -> Any:
    """Walk down nested tables; {} where the way ends."""
    for key in keys:
        if not isinstance(value, Mapping):
            return {}
        value = value.get(key, {})
    return value


def import_folders(tree: Tree, tests: Iterable[str]) -> tuple[str, ...]:
    """Return the folders, relative, from which the repository's code is imported; the tree's top is always one.

    Declared folders come first, then `src`, then those in which modules lie that the `tests` import and that are found
    nowhere else.
    """
    folders = [folder for folder in _declared(tree) if _holds_code(tree, folder)]
    if "src" not in folders and _holds_code(tree, "src") and "src/__init__.py" not in tree:
        folders.append("src")
    folders = [folder for folder in dict.fromkeys(folders) if folder != "."]
    return (*folders, ".", *_needed(tree, tuple(tests), [*folders, "."]))


def _declared(tree: Tree) -> Iterator[str]:
    project = toml(tree, "pyproject.toml")
    setuptools = table(project, "tool", "setuptools")
    found: list[object] = [table(setuptools, "package-dir").get("", "") if table(setuptools, "package-dir") else ""]
    where = table(setuptools, "packages", "find")
    if isinstance(where, Mapping):
        found += where.get("where", []) if isinstance(where.get("where", []), list) else [where["where"]]
    packages = table(project, "tool", "poetry", "packages")
    if isinstance(packages, list):
        found += [package.get("from", "") for package in packages if isinstance(package, Mapping)]
    wheel = table(project, "tool", "hatch", "build", "targets", "wheel")
    if isinstance(wheel, Mapping):
        found += [str(PurePosixPath(str(package)).parent) for package in wheel.get("packages", ())]
        found += wheel.get("sources", ()) if isinstance(wheel.get("sources"), list) else ()
    found.append(table(project, "tool", "pdm", "build").get("package-dir", ""))
    found.append(table(project, "tool", "maturin").get("python-source", ""))
    found.append(table(project, "tool", "uv", "build-backend").get("module-root", ""))
    setup = ini(tree, "setup.cfg")
    for line in setup.get("options", "package_dir", fallback="").splitlines():
        name, separator, folder = line.partition("=")
        if separator and not name.strip():
            found.append(folder)
    found += setup.get("options.packages.find", "where", fallback="").splitlines()
    script = text(tree, "setup.py")
    found += _SETUP_PY.findall(script) + _WHERE.findall(script)
    for value in found:
        if isinstance(value, str) and value.strip():
            yield str(PurePosixPath(value.strip()))


def _holds_code(tree: Tree, folder: str) -> bool:
    if folder == ".":
        return True
    prefix = folder.rstrip("/") + "/"
    return any(path.startswith(prefix) and path.endswith((".py", ".pyi", ".so")) for path in tree)


def _needed(tree: Tree, tests: tuple[str, ...], folders: list[str]) -> list[str]:
    """Return further folders in which modules lie that tests import."""
    holders = _holders(tree)
    found: list[str] = []
    for test in tests[:MAX_FILES]:
        beside = str(PurePosixPath(test).parent)
        for name in sorted(_imports(text(tree, test))):
            here = holders.get(name)
            # The folder of a test file is on the path anyway, as far as it is no package.
            if not here or name in sys.stdlib_module_names or {beside, *folders, *found} & here:
                continue
            plain = [folder for folder in here if f"{folder}/__init__.py" not in tree]
            found.append(min(plain or here, key=lambda folder: (folder.count("/"), len(folder), folder)))
    return found


def _holders(tree: Tree) -> dict[str, set[str]]:
    """Map top-level names to the folders from which they could be imported."""
    holders: dict[str, set[str]] = {}
    for path in tree:
        pure = PurePosixPath(path)
        if pure.suffix != ".py" or any(part.startswith(".") for part in pure.parts):
            continue
        module = pure.parent if pure.name == "__init__.py" else pure
        if str(module) != ".":
            holders.setdefault(module.stem if module is pure else module.name, set()).add(str(module.parent))
    return holders


def _imports(source: str) -> set[str]:
    """Return the top-level names of absolute imports."""
    try:
        tree = parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names
