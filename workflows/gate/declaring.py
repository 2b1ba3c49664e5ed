"""What an upgrade may change of the files that declare what a repository needs: that, and nothing beside it."""

from __future__ import annotations

import ast
import configparser
import json
import posixpath
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from packaging.utils import canonicalize_name

from sandbox.declarations import requirement_of
from sandbox.protocol import EnvironmentDefinition
from sandbox.syntax import parse

_LISTS = (
    "project.dependencies", "project.optional-dependencies.*", "dependency-groups.*", "tool.pdm.dev-dependencies.*",
    "tool.uv.dev-dependencies", "tool.hatch.envs.*.dependencies", "tool.hatch.envs.*.extra-dependencies",
    "tool.flit.metadata.requires", "tool.flit.metadata.requires-extra.*",
)  # fmt: skip
_TABLES = (
    "tool.poetry.dependencies", "tool.poetry.dev-dependencies", "tool.poetry.group.*.dependencies", "packages",
    "dev-packages",
)  # fmt: skip
_WORDS = ("project.requires-python", "project.classifiers", "requires.python_version")
_OPTIONS = ("install_requires", "tests_require")
_SCRIPT = frozenset({"install_requires", "tests_require", "extras_require", "python_requires", "classifiers"})
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*://|\bfile:|\bgit@)[^\s\"'#,;\]}]*", re.IGNORECASE)
_PLACES = frozenset(
    {"git", "hg", "svn", "vcs", "path", "directory", "editable", "virtual", "file", "index", "source", "subdirectory"}
)
_LINE_ENDS = re.compile("[\v\f\x1c-\x1e\x85\u2028\u2029]|\r(?!\n)")
"""At these some programs begin another line, and others do not."""
_HASHES = re.compile(r"(?:^|\s)\s*--hash=\S+")
_CODING = re.compile(r"coding[:=]")


@dataclass(frozen=True, slots=True)
class _Said:
    """What one file says."""

    rest: object
    """Everything but what is needed."""
    needs: frozenset[tuple[str, str]]
    """The distribution's name, "" where none is told of, and what is said of it."""
    places: frozenset[str] = frozenset()
    """Where distributions come from."""


def other_than_needs(path: str, old: bytes | None, new: bytes | None, named: Collection[str] = ()) -> str | None:
    """Say what a changed file configures beside what the repository needs, in words that follow its path, or None.

    `path` must be one for which `agents.permissions.declares` holds; None stands for a file that is not there. Where
    `named` names distributions, what is needed of others may not change either; of a lock file that is told elsewhere.
    """
    if old is None or new is None:
        return "is added or taken away, which changes more than what is declared in it"
    try:
        before, after = old.decode("utf-8-sig"), new.decode("utf-8-sig")
        if len(_LINE_ENDS.findall(after)) > len(_LINE_ENDS.findall(before)):
            return "holds ends of lines that not every program reads as such"
        was, now = _said(path, before), _said(path, after)
    except (ValueError, SyntaxError, configparser.Error, RecursionError):
        return "cannot be read, so that more than what it declares may have changed"
    if fresh := sorted(now.places - was.places):
        return f"says where a distribution comes from ({fresh[0][:80]})"
    for name, text in sorted(now.needs - was.needs):
        found = requirement_of(text)
        if _ADDRESS.search(text) or (found is not None and found.url):
            return f"names an address that it did not name before ({text[:80]})"
        if name and not _NAME.fullmatch(name):
            return f"declares what is no distribution ({text[:80]})"
    if was.rest != now.rest:
        return "changes in more than what it declares as needed"
    wanted = {canonicalize_name(name) for name in named}
    others = sorted({canonicalize_name(name) for name, _ in was.needs ^ now.needs if name} - wanted) if wanted else ()
    return f"declares {others[0][:80]} anew, which the request does not ask for" if others else None


def from_addresses(before: EnvironmentDefinition, after: EnvironmentDefinition) -> tuple[str, ...]:
    """Return the requirements that are to be fetched from an address which was not declared before."""
    known = {*before.requirements, *before.hints}
    return tuple(
        text for text in (*after.requirements, *after.hints)
        if text not in known and (found := requirement_of(text)) is not None and found.url
    )  # fmt: skip


def new_names(before: EnvironmentDefinition, after: EnvironmentDefinition) -> tuple[str, ...]:
    """Return the names of the distributions that are declared now and were not before, sorted."""
    return tuple(sorted(_named_by(after) - _named_by(before)))


def _named_by(definition: EnvironmentDefinition) -> set[str]:
    texts = (*definition.requirements, *definition.hints)
    return {canonicalize_name(found.name) for text in texts if (found := requirement_of(text)) is not None}


def _said(path: str, text: str) -> _Said:
    """Read a file; raises ValueError, SyntaxError or configparser.Error where it cannot be read."""
    name = posixpath.basename(path).lower()
    if name == "pipfile.lock":
        return _lock(json.loads(text))
    if name.endswith(".lock") or name.startswith("pylock"):
        return _lock(tomllib.loads(text))
    if name in {"pyproject.toml", "pipfile"}:
        return _tables(tomllib.loads(text))
    if name == "setup.cfg":
        return _sections(text)
    if name == "setup.py":
        return _script(parse(text.encode()))
    return _list(text)


def _requirement(text: object) -> tuple[str, str]:
    found = requirement_of(text) if isinstance(text, str) else None
    if not isinstance(text, str) or found is None:
        raise ValueError(f"{text!r} is no requirement")
    return found.name, text


# Lists of requirements ----------------------------------------------------------------------------------------------


def _list(text: str) -> _Said:
    """Read a requirements file: what is no requirement, comment or digest is an option to the installer."""
    rest, needs = [], set()
    for line in text.splitlines():
        bare = _HASHES.sub("", line.rstrip().removesuffix("\\")).strip()
        if not bare or (bare.startswith("#") and not _CODING.search(bare)):
            continue
        # A comment behind a requirement that ends in a backslash takes the next line away.
        hides = "#" in bare and line.rstrip().endswith("\\")
        if bare.startswith("#") or hides or "--" in bare or requirement_of(bare) is None:
            rest.append(line)
        else:
            needs.add(_requirement(bare))
    return _Said(sorted(rest), frozenset(needs))


# TOML ---------------------------------------------------------------------------------------------------------------


def _tables(data: dict[str, Any]) -> _Said:
    needs: set[tuple[str, str]] = set()
    places: set[str] = set()
    for items in _taken(data, _LISTS):
        if not isinstance(items, list):
            raise ValueError("what should be a list of requirements is none")
        needs |= {("", repr(item)) if isinstance(item, dict) else _requirement(item) for item in items}
    for table in _taken(data, _TABLES):
        if not isinstance(table, dict):
            raise ValueError("what should be a table of requirements is none")
        for name, value in table.items():
            needs.add((name, f"{name} {value!r}"))
            places |= {f"{name}: {key} = {found}" for key, found in _scalars(value) if key in {*_PLACES, "url"}}
    needs |= {("", repr(value)) for value in _taken(data, _WORDS)}
    return _Said(data, frozenset(needs), frozenset(places))


def _taken(data: dict[str, Any], paths: Iterable[str]) -> Iterator[object]:
    for path in paths:
        yield from _take(data, path.split("."))


def _take(table: dict[str, Any], keys: list[str]) -> Iterator[object]:
    """Take values out, and the tables that hold nothing else."""
    for key in list(table) if keys[0] == "*" else [keys[0]]:
        if len(keys) == 1:
            if key in table:
                yield table.pop(key)
        elif isinstance(inner := table.get(key), dict):
            yield from _take(inner, keys[1:])
            if not inner:
                del table[key]


def _scalars(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Give everything that is no table and no list, with the key that it stands at."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _scalars(inner, str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _scalars(inner, key)
    else:
        yield key, str(value)


def _lock(data: object) -> _Said:
    """Read a lock file, in which versions and digests change, and not the servers that they are fetched from."""
    if not isinstance(data, dict):
        raise ValueError("a lock file is a table")
    places = set()
    for key, text in _scalars(data):
        if (address := _ADDRESS.search(text)) and key not in _PLACES - {"index", "source"}:
            places.add("/".join(address[0].split("/")[:4]))
        elif key in {*_PLACES, "url"} and not (key == "file" and _NAME.match(text) and "/" not in text):
            places.add(f"{key} = {text}")
    return _Said(None, frozenset(), frozenset(places))


# setup.cfg, setup.py ------------------------------------------------------------------------------------------------


def _sections(text: str) -> _Said:
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(text)
    found = {section: dict(parser.items(section)) for section in parser.sections()}
    options, extras = found.get("options", {}), found.pop("options.extras_require", {})
    lists = [*extras.values(), *(options.pop(name) for name in _OPTIONS if name in options)]
    needs = {_requirement(line) for value in lists for line in map(str.strip, value.splitlines()) if line}
    words = [options.pop("python_requires", ""), found.get("metadata", {}).pop("classifiers", "")]
    rest = {section: values for section, values in found.items() if values}
    return _Said((rest, dict(parser.defaults())), frozenset(needs | {("", word) for word in words}))


def _script(module: ast.Module) -> _Said:
    """Read the arguments of `setup(…)` that are written out, in it or in a name that is used for nothing else."""
    assigned: dict[str, list[ast.Assign]] = {}
    loaded: dict[str, int] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            assigned.setdefault(node.targets[0].id, []).append(node)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            loaded[node.id] = loaded.get(node.id, 0) + 1
    needs: set[tuple[str, str]] = set()
    for node in ast.walk(module):
        if not (isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "setup"):
            continue
        for keyword in node.keywords:
            if keyword.arg not in _SCRIPT:
                continue
            holder: ast.keyword | ast.Assign = keyword
            if isinstance(keyword.value, ast.Name) and loaded.get(keyword.value.id) == 1:
                places = assigned.get(keyword.value.id, [])
                holder = places[0] if len(places) == 1 else keyword
            texts = list(_literals(holder.value))
            if None not in texts:
                plain = keyword.arg in {"python_requires", "classifiers"}
                needs |= {("", text) if plain else _requirement(text) for text in texts if text}
                holder.value = ast.Constant("what is needed")
    return _Said(ast.dump(module), frozenset(needs))


def _literals(node: ast.expr) -> Iterator[str | None]:
    """Give the lines of text that an expression holds, None where it is more than a literal; keys are left out."""
    match node:
        case ast.Constant(value=str() as text):
            yield from (line.strip() for line in text.splitlines() if line.strip())
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            for part in parts:
                yield from _literals(part)
        case ast.Dict(keys=keys, values=values):
            for key in keys:
                if not (isinstance(key, ast.Constant) and isinstance(key.value, str)):
                    yield None
            for value in values:
                yield from _literals(value)
        case _:
            yield None
