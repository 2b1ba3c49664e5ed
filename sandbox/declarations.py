"""Readers of the files in which Python repositories declare what they need; nothing of the repository is run."""

from __future__ import annotations

import configparser
import posixpath
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name, is_normalized_name
from packaging.version import InvalidVersion, Version

from sandbox.tree import Tree

_TESTING = re.compile(
    r"(?:.*[-_])?(?:tests?|testing|dev|develop|development|unittests?|ci|check|all)(?:[-_].*)?", re.IGNORECASE
)
_ONLY_TESTING = re.compile(r"(?:.*[-_])?(?:tests?|testing|unittests?)(?:[-_].*)?", re.IGNORECASE)


@dataclass(slots=True)
class Declared:
    """What one file declares, as far as it can be read without running anything."""

    name: str = ""
    version: str = ""
    required: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    """Wanted for tests or development."""
    others: list[str] = field(default_factory=list)
    """In further extras and groups: wanted where the code imports them."""
    entry_points: dict[str, dict[str, str]] = field(default_factory=dict)
    """Names and objects for each group."""
    attribute: str = ""
    """Dotted name of the attribute that holds the version, where it is said to."""


def text_of(tree: Tree, path: str) -> str:
    """Return a file's text, "" where there is none."""
    entry = tree.get(path)
    if entry is None or entry.kind != "file":
        return ""
    return entry.data.decode("utf-8", "replace").removeprefix("\ufeff").replace("\r\n", "\n")


def requirement_of(line: str) -> Requirement | None:
    """Return a line of a requirements file as a requirement; None for options, paths, comments and mistakes."""
    line = re.sub(r"(^|\s)#.*", "", line).split(" --hash", 1)[0].strip()
    if not line or line.startswith(("-", ".", "/", "{")) or "/" in line.split("@")[0].split(";")[0]:
        return None
    try:
        return Requirement(line)
    except InvalidRequirement:
        return None


def is_testing(name: str) -> bool:
    """Return whether a group, extra or file of that name is wanted for running tests."""
    return _TESTING.fullmatch(name) is not None


def preferred(names: Iterable[str]) -> list[str]:
    """Leave out what is for development at large where something is for tests alone."""
    found = list(names)
    stems = {
        name: re.split(r"[/.]", name.removesuffix(".txt"))[-1].replace("requirements", "").strip("-_") for name in found
    }
    if any(_ONLY_TESTING.fullmatch(stem) for stem in stems.values()):
        return [name for name in found if not is_testing(stems[name]) or _ONLY_TESTING.fullmatch(stems[name])]
    return found


def requirements_file(tree: Tree, path: str, seen: frozenset[str] = frozenset()) -> list[str]:
    """Return the lines of a requirements file that name distributions, with those of the files that it includes."""
    found: list[str] = []
    text = re.sub(r"\\\n", " ", text_of(tree, path))
    for line in text.splitlines():
        included = re.match(r"\s*(?:-r|--requirement)[ =]?\s*([^\s#]+)", line)
        if included:
            other = posixpath.normpath(posixpath.join(posixpath.dirname(path), included[1]))
            if other not in seen and other != path:
                found += requirements_file(tree, other, seen | {path})
        elif requirement_of(line):
            found.append(line)
    return found


# pyproject.toml -----------------------------------------------------------------------------------------------------


def strings(value: object) -> list[str]:
    """Return the strings in a list, nothing for anything else."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _table(value: object, *keys: str) -> dict[str, Any]:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _group(groups: Mapping[str, object], name: str, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    items = groups.get(name)
    for item in items if isinstance(items, list) else ():
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict) and (other := item.get("include-group")) not in seen:
            yield from _group(groups, str(other), seen | {name})


def pyproject(tree: Tree) -> Declared:
    """Read `pyproject.toml`: the standard tables, Poetry's, PDM's, Hatch's and Flit's."""
    try:
        data = tomllib.loads(text_of(tree, "pyproject.toml"))
    except tomllib.TOMLDecodeError:
        return Declared()
    project = _table(data, "project")
    found = Declared(str(project.get("name") or ""), str(project.get("version") or ""))
    found.required += strings(project.get("dependencies"))
    extras = _table(project, "optional-dependencies")
    wanted = preferred(filter(is_testing, extras))
    for extra in extras:
        (found.hints if extra in wanted else found.others).extend(strings(extras[extra]))
    groups = _table(data, "dependency-groups")
    wanted = preferred(filter(is_testing, groups))
    for name in groups:
        (found.hints if name in wanted else found.others).extend(_group(groups, name))
    for name, items in _table(data, "tool", "pdm", "dev-dependencies").items():
        if is_testing(name):
            found.hints += strings(items)
    for name, environment in _table(data, "tool", "hatch", "envs").items():
        if (is_testing(name) or name == "default") and isinstance(environment, dict):
            found.hints += strings(environment.get("dependencies")) + strings(environment.get("extra-dependencies"))
    found.hints += strings(_table(data, "tool", "uv").get("dev-dependencies"))
    found.entry_points = {
        group: {str(k): str(v) for k, v in items.items()}
        for group, items in {
            "console_scripts": _table(project, "scripts"),
            **_table(project, "entry-points"),
        }.items()
        if isinstance(items, dict) and items
    }
    found.attribute = str(_table(data, "tool", "setuptools", "dynamic", "version").get("attr") or "")
    _poetry(_table(data, "tool", "poetry"), found)
    flit = _table(data, "tool", "flit", "metadata")
    found.name = found.name or str(flit.get("dist-name") or flit.get("module") or "")
    found.required += strings(flit.get("requires"))
    return found


def _poetry(poetry: Mapping[str, Any], found: Declared) -> None:
    found.name = found.name or str(poetry.get("name") or "")
    found.version = found.version or str(poetry.get("version") or "")
    found.required += _poetry_requirements(_table(poetry, "dependencies"), optional=False)
    found.hints += _poetry_requirements(_table(poetry, "dependencies"), optional=True)
    found.hints += _poetry_requirements(_table(poetry, "dev-dependencies"), optional=False)
    for name, group in _table(poetry, "group").items():
        if is_testing(name):
            found.hints += _poetry_requirements(_table(group, "dependencies"), optional=False)
    for group, items in {"console_scripts": _table(poetry, "scripts"), **_table(poetry, "plugins")}.items():
        texts = {str(k): v for k, v in items.items() if isinstance(v, str)} if isinstance(items, dict) else {}
        if texts:
            found.entry_points.setdefault(group, {}).update(texts)


def _poetry_requirements(items: Mapping[str, Any], *, optional: bool) -> list[str]:
    found = []
    for name, value in items.items():
        table = value if isinstance(value, dict) else {"version": value}
        if name == "python" or bool(table.get("optional")) != optional or {"path", "git", "url"} & set(table):
            continue
        extras = f"[{','.join(strings(table.get('extras')))}]" if table.get("extras") else ""
        markers = f"; {table['markers']}" if isinstance(table.get("markers"), str) else ""
        versions = table.get("version")
        text = f"{name}{extras}{_poetry_version(versions if isinstance(versions, str) else '*')}{markers}"
        found.append(text if requirement_of(text) else name)
    return found


def _poetry_version(text: str) -> str:
    """Return Poetry's caret and tilde ranges in the standard's words; what can't be said so is left open."""
    parts = []
    if "|" in text:
        return ""
    for part in text.replace(" ", "").split(","):
        if part in {"", "*"}:
            continue
        matched = re.fullmatch(r"([\^~])(\d+(?:\.\d+)*)(.*)", part)
        if matched and not part.startswith("~="):
            sign, numbers = matched[1], [int(n) for n in matched[2].split(".")]
            if sign == "^":
                at = next((i for i, n in enumerate(numbers) if n), len(numbers) - 1)
            else:
                at = min(1, len(numbers) - 1)
            upper = ".".join(map(str, [*numbers[:at], numbers[at] + 1]))
            parts.append(f">={matched[2]}{matched[3]},<{upper}")
        else:
            parts.append(part if part[0] in "<>=!~" else f"=={part}")
    return ",".join(parts)


# setup.cfg, tox.ini, Pipfile ----------------------------------------------------------------------------------------


def ini(text: str) -> configparser.RawConfigParser:
    """Parse an INI file, names as they are written; an empty one where it has mistakes."""
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text)
    except configparser.Error:
        return configparser.RawConfigParser()
    return parser


def _lines(parser: configparser.RawConfigParser, section: str, option: str) -> list[str]:
    value = parser.get(section, option, fallback="") or ""
    return [line.strip() for line in value.splitlines() if line.strip()]


def setup_cfg(tree: Tree) -> Declared:
    """Read `setup.cfg`."""
    parser = ini(text_of(tree, "setup.cfg"))
    found = Declared(parser.get("metadata", "name", fallback="") or "")
    version = parser.get("metadata", "version", fallback="") or ""
    if version.startswith("attr:"):
        found.attribute = version.removeprefix("attr:").strip()
    elif version.startswith("file:"):
        found.version = text_of(tree, version.removeprefix("file:").strip()).strip()
    else:
        found.version = version
    found.required += _lines(parser, "options", "install_requires")
    found.hints += _lines(parser, "options", "tests_require")
    if parser.has_section("options.extras_require"):
        extras = parser.options("options.extras_require")
        wanted = preferred(filter(is_testing, extras))
        for extra in extras:
            lines = _lines(parser, "options.extras_require", extra)
            (found.hints if extra in wanted else found.others).extend(lines)
    if parser.has_section("options.entry_points"):
        for group in parser.options("options.entry_points"):
            found.entry_points[group] = entry_points_of(_lines(parser, "options.entry_points", group))
    return found


def entry_points_of(lines: list[str]) -> dict[str, str]:
    """Return `name = object` lines as a mapping."""
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {name.strip(): target.strip() for name, target in pairs}


def tox_ini(tree: Tree) -> list[str]:
    """Return the dependencies of tox's plain and testing environments that name no other factor."""
    found: list[str] = []
    for path, prefix in (("tox.ini", "testenv"), ("setup.cfg", "tox:testenv")):
        parser = ini(text_of(tree, path))
        for section in parser.sections():
            kind, _, name = section.removeprefix("tox:").partition(":")
            if kind != "testenv" or section.startswith("tox:") != prefix.startswith("tox:"):
                continue
            if name and not (_ONLY_TESTING.fullmatch(name) or re.fullmatch(r"py(\{.*\}|\d+)?", name)):
                continue
            for line in (parser.get(section, "deps", fallback="") or "").splitlines():
                text = re.sub(r"^\s*[\w{},.!-]+:\s+", "", line)
                if text != line and not re.match(r"\s*(py3\d*|test\w*)\s*:", line):
                    continue
                included = re.match(r"\s*-r\s*(?:\{toxinidir\}/)?(\S+)", text)
                found += requirements_file(tree, included[1]) if included else [text] if requirement_of(text) else []
    return found


def pipfile(tree: Tree) -> Declared:
    """Read `Pipfile`."""
    try:
        data = tomllib.loads(text_of(tree, "Pipfile"))
    except tomllib.TOMLDecodeError:
        return Declared()
    found = Declared()
    found.required += _poetry_requirements(_table(data, "packages"), optional=False)
    found.hints += _poetry_requirements(_table(data, "dev-packages"), optional=False)
    return found


def _pinned(name: object, version: object) -> tuple[str, str] | None:
    """Return what a lock file holds if it is a name and a version: a line of another kind would lead pip elsewhere."""
    name = str(name or "").lower()
    try:
        return (name, str(Version(str(version)))) if is_normalized_name(canonicalize_name(name)) else None
    except InvalidVersion:
        return None


def locked_versions(tree: Tree) -> dict[str, str]:
    """Return the versions that `uv.lock`, `poetry.lock` or `pdm.lock` hold, of what they hold once."""
    found: dict[str, set[str]] = {}
    for path in ("uv.lock", "poetry.lock", "pdm.lock"):
        try:
            packages = tomllib.loads(text_of(tree, path)).get("package")
        except tomllib.TOMLDecodeError:
            continue
        for package in packages if isinstance(packages, list) else ():
            if isinstance(package, dict) and (pinned := _pinned(package.get("name"), package.get("version"))):
                found.setdefault(pinned[0], set()).add(pinned[1])
    return {name: versions.pop() for name, versions in found.items() if len(versions) == 1}
