"""From a repository's files to the definition of the environment that its tests need."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, is_normalized_name
from packaging.version import InvalidVersion, Version

from sandbox.declarations import (
    Declared,
    is_testing,
    locked_versions,
    pipfile,
    preferred,
    pyproject,
    requirement_of,
    requirements_file,
    setup_cfg,
    text_of,
    tox_ini,
)
from sandbox.errors import EnvironmentFailed
from sandbox.protocol import EnvironmentDefinition
from sandbox.setup_script import setup_script
from sandbox.tree import Tree

_NOT_FOR_TESTS = re.compile(
    r"(sphinx|mkdocs|flake8|pylint|types|jupyter|ipython|notebook|black|mypy|ruff|isort|tox|nox|virtualenv|pre-commit|"
    r"twine|build|bandit|codespell|pyupgrade|coveralls|codecov|check-manifest|bump2version|bumpversion|towncrier|furo|"
    r"docutils-stubs|doc8|docformatter|pydocstyle|pycodestyle|pyright|ty|basedpyright|commitizen|semantic-release|"
    r"python-semantic-release|zest-releaser|myst-parser|readme-renderer|safety|pip-tools|hatch|poetry|pdm|flit|portray|"
    r"cibuildwheel|detect-secrets|interrogate|vulture|radon|yapf|autopep8|autoflake|pip|setuptools|wheel|rstcheck|"
    r"blacken-docs|pytest-(black|flake8|mypy|pylint|isort|ruff|pep8|pycodestyle|codestyle|checkdocs|enabler|pyright|"
    r"pylama|runner))(-.*)?"
)
"""Linters, documentation and release tools; kept where the repository's code imports them."""

_WELL_KNOWN = {
    "hypothesis": "hypothesis", "mock": "mock", "six": "six", "yaml": "PyYAML", "dateutil": "python-dateutil",
    "pytz": "pytz", "freezegun": "freezegun", "parameterized": "parameterized", "attr": "attrs",
    "bs4": "beautifulsoup4",
    "requests": "requests", "numpy": "numpy", "pytest_mock": "pytest-mock", "pytest_asyncio": "pytest-asyncio",
    "pretend": "pretend", "sortedcontainers": "sortedcontainers", "jinja2": "Jinja2", "lxml": "lxml", "toml": "toml",
    "tomli": "tomli", "typing_extensions": "typing_extensions", "testfixtures": "testfixtures", "ddt": "ddt",
    "responses": "responses", "faker": "Faker", "simplejson": "simplejson", "chardet": "chardet", "pandas": "pandas",
    "packaging": "packaging", "setuptools": "setuptools", "pkg_resources": "setuptools<81", "html5lib": "html5lib",
    "click": "click", "colorama": "colorama", "trio": "trio", "anyio": "anyio", "sh": "sh", "pexpect": "pexpect",
}  # fmt: skip
"""Modules whose distributions are beyond doubt: hints where tests import them and nothing declares them."""

_TEST_PATH = re.compile(r"(^|/)(tests?|testing|testsuite)(/|$)|(^|/)(test_[^/]*|[^/]*_tests?|tests?|conftest)\.py$")
_IMPORT = re.compile(r"^[ \t]*(?:import|from)[ \t]+([A-Za-z_]\w*)", re.MULTILINE)
_VERSION = re.compile(r"""^__version__\s*(?::[^=\n]+)?=\s*["']([^"'\n]+)["']""", re.MULTILINE)
_ANY_VERSION = re.compile(_VERSION.pattern.replace("__version__", "(?:__)?version(?:__)?"), re.MULTILINE)
_MODERN_PYTESTS = ("7.4.4", "8.3.5", "8.4.2", "9.0.0")


def detect_environment(
    tree: Tree, *, requirements: Iterable[str] | None = None, interpreter: str | None = None
) -> EnvironmentDefinition:
    """Return what the repository's tests need, as far as its files say.

    `requirements` (specifiers, or paths of requirements files in the tree) replace what is declared; `interpreter`, a
    path on the host, replaces any installation. Nothing of the repository is run: what only running would tell is not
    found. What is declared for development or by tox is a hint: installed where it can be had.

    Raises:
        EnvironmentFailed: one of `requirements` is none.

    """
    declared = _declared(tree)
    name, version = _distribution(tree, declared)
    points = _entry_points(declared)
    own = canonicalize_name(name) if name else ""
    distribution = (name, version) if name else None
    if interpreter is not None:
        return EnvironmentDefinition(
            interpreter=interpreter, distribution=distribution, entry_points=points, source=interpreter
        )
    if requirements is not None:
        return EnvironmentDefinition(
            tuple(sorted(set(_given(tree, requirements)))),
            distribution=distribution,
            entry_points=points,
            source="settings",
        )
    imported = _imports(tree, only_tests=False)
    required, hints, sources = _wanted(tree, declared, imported)
    known = {own, *(canonicalize_name(r.name) for text in (*required, *hints) if (r := requirement_of(text)))}
    hints += [
        dist for module, dist in _WELL_KNOWN.items()
        if module in _imports(tree, only_tests=True)
        and canonicalize_name(Requirement(dist).name) not in known
        and not _has_module(tree, module)
    ]  # fmt: skip
    pins = {name: version for name, version in locked_versions(tree).items() if name not in {own, "pip", "pytest"}}
    chosen = tuple(sorted(_clean(required, own, set(), imported, tools=True)))
    taken: set[str] = {canonicalize_name(Requirement(text).name) for text in chosen}
    return EnvironmentDefinition(
        requirements=chosen,
        hints=tuple(sorted(_clean(hints, own, taken, imported, tools=False))),
        distribution=distribution,
        entry_points=points,
        constraints=tuple(sorted(f"{name}=={version}" for name, version in pins.items())) if chosen else (),
        source=", ".join(sources) or "nothing declared",
    )


def _given(tree: Tree, requirements: Iterable[str]) -> Iterator[str]:
    """Yield the requirements that the settings name, and those of the files that they name."""
    for item in requirements:
        for line in requirements_file(tree, item) if item in tree else [item]:
            requirement = requirement_of(line)
            if requirement is None:
                # Nothing else may reach the installer: an option could send it anywhere.
                raise EnvironmentFailed(
                    f"The setting requirements holds {item[:200]!r}, which is neither a requirement nor a file of the "
                    "repository.", "",
                )  # fmt: skip
            yield str(requirement)


def _declared(tree: Tree) -> dict[str, Declared]:
    readers = {"pyproject.toml": pyproject, "setup.cfg": setup_cfg, "setup.py": setup_script, "Pipfile": pipfile}
    return {path: read(tree) for path, read in readers.items() if path in tree}


def _wanted(tree: Tree, declared: dict[str, Declared], imported: set[str]) -> tuple[list[str], list[str], list[str]]:
    required: list[str] = []
    hints: list[str] = []
    sources = []
    for path, found in declared.items():
        if path == "Pipfile" and required:
            found.hints += found.required
            found.required = []
        required += found.required
        hints += found.hints
        hints += [text for text in found.others if (r := requirement_of(text)) and _modules_of(r.name) & imported]
        if found.required or found.hints:
            sources.append(path)
    packaged = any(path != "Pipfile" and (found.name or found.required) for path, found in declared.items())
    for path in preferred(_requirement_files(tree)):
        lines = requirements_file(tree, path)
        if lines:
            sources.append(path)
        if packaged or posixpath.basename(path) != "requirements.txt" or "/" in path:
            hints += lines
        else:
            required += lines
    if lines := tox_ini(tree):
        sources.append("tox.ini")
        hints += lines
    return required, hints, sources


def _modules_of(name: str) -> set[str]:
    """Return the names under which what a distribution holds is likely to be imported."""
    known = {module for module, dist in _WELL_KNOWN.items() if canonicalize_name(dist) == canonicalize_name(name)}
    return {canonicalize_name(name).replace("-", "_"), *known}


def _requirement_files(tree: Tree) -> Iterator[str]:
    for path in tree:
        folder, name = posixpath.split(path)
        stem, extension = posixpath.splitext(name)
        if extension not in {".txt", ".in"} or path.count("/") > 1:
            continue
        folder_fits = folder in {"", "requirements", "requirement", "reqs", "tests", "test", "testing", "ci"}
        if path == "requirements.txt":
            yield path
        elif folder_fits and "require" in path and extension == ".txt":
            words = re.sub(r"_?-?requirements?_?-?", "", stem)
            if is_testing(words) or (not words and is_testing(folder)) or words in {"base", "main", "common", "core"}:
                yield path


def _clean(texts: Iterable[str], own: str, taken: set[str], imported: set[str], *, tools: bool) -> Iterator[str]:
    """Yield the requirements worth an installation, one for each distribution, the first that is said."""
    seen = set(taken)
    for text in texts:
        requirement = requirement_of(text)
        if requirement is None:
            continue
        name = canonicalize_name(requirement.name)
        if name in {own, "python"} or (name in seen and requirement.marker is None):
            continue
        if not tools and _NOT_FOR_TESTS.fullmatch(name) and not _modules_of(name) & imported:
            continue
        if name == "pytest" and not any(requirement.specifier.contains(v) for v in _MODERN_PYTESTS):
            # An old pin would not run on a Python of today.
            requirement = Requirement("pytest")
        if requirement.marker is None:
            seen.add(name)
        yield str(requirement)


def _imports(tree: Tree, *, only_tests: bool) -> set[str]:
    found: set[str] = set()
    for path, entry in tree.items():
        if not path.endswith(".py") or entry.kind != "file" or path.startswith(("doc/", "docs/", "examples/")):
            continue
        if not only_tests or _TEST_PATH.search(path):
            found |= set(_IMPORT.findall(entry.data.decode("utf-8", "replace")))
    return found


def _has_module(tree: Tree, name: str) -> bool:
    return any(
        f"{prefix}{name}{end}" in tree for prefix in ("", "src/", "lib/", "tests/") for end in (".py", "/__init__.py")
    )


# The repository's own distribution ----------------------------------------------------------------------------------


def _distribution(tree: Tree, declared: dict[str, Declared]) -> tuple[str, str]:
    """Return the name and version of the repository's distribution, ("", "") where it has no name; 0 if unknown."""
    name = next((found.name for found in declared.values() if found.name), "")
    version = next((found.version for found in declared.values() if found.version), "")
    told = _package_information(tree)
    name = name or told.get("name", "")
    # It becomes the name of a folder, beside those of the packages that are installed.
    if not is_normalized_name(canonicalize_name(name)):
        return "", ""
    attribute = next((found.attribute for found in declared.values() if found.attribute), "")
    for candidate in (version, told.get("version", ""), _version_in(tree, attribute, name), "0"):
        try:
            return name, str(Version(candidate))
        except InvalidVersion:
            continue
    raise AssertionError("0 is a version")


def _package_information(tree: Tree) -> dict[str, str]:
    """Return the fields of the `PKG-INFO` that source distributions carry."""
    paths = ["PKG-INFO", *(p for p in tree if p.endswith(".egg-info/PKG-INFO"))]
    text = next((text for path in paths if (text := text_of(tree, path))), "")
    head = text.split("\n\n", 1)[0]
    return {key.lower(): value.strip() for key, value in re.findall(r"^([\w-]+):(.*)$", head, re.MULTILINE)}


def _version_in(tree: Tree, attribute: str, name: str) -> str:
    """Return the version that a module of the distribution assigns to `__version__`, or to `attribute`."""
    module, _, variable = attribute.rpartition(".")
    if module:
        pattern = re.compile(rf"""^{re.escape(variable)}\s*(?::[^=\n]+)?=\s*["']([^"'\n]+)["']""", re.MULTILINE)
        for path in (f"{module.replace('.', '/')}.py", f"{module.replace('.', '/')}/__init__.py"):
            for prefix in ("", "src/"):
                if found := pattern.search(text_of(tree, prefix + path)):
                    return found[1]
    package = name.lower().replace("-", "_").replace(".", "/")
    places = [p for p in tree if p.count("/") <= 3 and p.endswith(".py") and not _TEST_PATH.search(p)]
    places.sort(key=lambda p: (f"{package}/" not in p.lower() and package not in p.lower(), p.count("/"), p))
    for path in places:
        if posixpath.basename(path) in {
            "__init__.py",
            "_version.py",
            "version.py",
            "__about__.py",
            "__version__.py",
        } or (path.lower().removeprefix("src/") == f"{package}.py"):
            pattern = _ANY_VERSION if "version" in posixpath.basename(path) else _VERSION
            found = pattern.search(text_of(tree, path))
            if found:
                return found[1]
    return ""


def _entry_points(declared: dict[str, Declared]) -> str:
    """Return the declared entry points in the format of `entry_points.txt`."""
    groups: dict[str, dict[str, str]] = {}
    for found in declared.values():
        for group, items in found.entry_points.items():
            groups.setdefault(group, {}).update(items)
    parts = []
    for group, items in sorted(groups.items()):
        lines = [
            f"{name} = {target}" for name, target in sorted(items.items()) if re.match(r"[\w.]+(:[\w.]+)?", target)
        ]
        if lines and re.fullmatch(r"[\w.-]+", group):
            parts.append("\n".join((f"[{group}]", *lines, "")))
    return "\n".join(parts)
