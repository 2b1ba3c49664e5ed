"""How a repository's tests are run, found out from its files."""

from __future__ import annotations

import fnmatch
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from sandbox.errors import TestsUnrunnable
from sandbox.runners import layout
from sandbox.runners.report import Harness
from sandbox.tree import Tree

_NO_TESTS_IN = re.compile(r"(^|/)(\.[^/]*|node_modules|venv|build|dist|[^/]*\.egg|__pycache__|site-packages)/")
_TESTS = re.compile(r"^\s*(?:async\s+)?def test|^\s*class\s+\w*\(?[^)\n]*(?:TestCase|Test)", re.MULTILINE)
_CASES = re.compile(r"^\s*class\s+\w+\(.*TestCase", re.MULTILINE)
_FUNCTIONS = re.compile(r"^(?:async )?def test", re.MULTILINE)
_LOAD_TESTS = re.compile(r"^def load_tests\(", re.MULTILINE)
_PYTEST = re.compile(r"^\s*(?:import|from)\s+pytest\b", re.MULTILINE)
_CONFIGURATIONS = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")


def detect_harness(
    tree: Tree,
    *,
    command: str | Iterable[str] | None = None,
    paths: Iterable[str] | None = None,
    pythonpath: Iterable[str] | None = None,
    plugins: Iterable[str] | None = None,
    env: Mapping[str, str] | None = None,
) -> Harness:
    """Return how the tests are run; what is given is taken, the rest is found out.

    Pytest runs everything that it can collect, `unittest.TestCase` classes included. Test classes in files that
    pytest's patterns miss are named to it as `paths`. Unittest itself runs where some files hold nothing but tests that
    the `load_tests` protocol makes, and nothing is written for pytest. The repository's pytest configuration stays in
    force.

    Args:
        tree: the repository's files.
        command: a command that writes JUnit XML to `{report}`, or a pytest command, whose options are taken over.
        paths: test files or folders.
        pythonpath: folders to import from.
        plugins: pytest plugins to load by name.
        env: variables to set.

    Raises:
        TestsUnrunnable: `command` is neither.

    """
    if command is not None:
        harness = _from_command(tuple(shlex.split(command) if isinstance(command, str) else command))
    else:
        harness = Harness(kind="pytest")
    tests = _test_files(tree)
    folders = tuple(pythonpath) if pythonpath is not None else layout.import_folders(tree, tests)
    kind, found, source = harness.kind, harness.paths, harness.source
    if paths is not None:
        found, source = tuple(paths), "settings"
    elif harness.kind == "pytest" and not found:
        kind, found, source = _kind(tree, tests, source)
        if pythonpath is None and found and found[0] in _configured_folders(tree):
            folders = tuple(dict.fromkeys((found[0], *folders)))
    return Harness(
        kind=kind,
        paths=found,
        options=harness.options,
        pythonpath=folders,
        plugins=tuple(plugins or ()),
        command=harness.command,
        env=dict(env or {}),
        source=source,
    )


def configuration(tree: Tree) -> str | None:
    """Return the path of the file at the top that configures pytest, in the order in which pytest looks."""
    return next((name for name in _CONFIGURATIONS if _configures(tree, name)), None)


def _from_command(argv: tuple[str, ...]) -> Harness:
    if any("{report}" in part for part in argv):
        return Harness(kind="command", command=argv, source="settings: a command that writes JUnit XML")
    rest = _after_pytest(argv)
    if rest is None:
        raise TestsUnrunnable(
            f"The test command {shlex.join(argv)!r} must be a pytest command, or write JUnit XML to a file that it is "
            "given in place of {report}."
        )
    options: list[str] = []
    paths: list[str] = []
    for part in rest:
        # A word after an option may be its value; what looks like a path of its own is one.
        plain = not part.startswith("-") and (not options or "=" in options[-1] or _alone(options[-1]))
        (paths if plain else options).append(part)
    return Harness(kind="pytest", options=tuple(options), paths=tuple(paths), source="settings: a pytest command")


def _alone(option: str) -> bool:
    """Whether an option of pytest takes no value of its own."""
    return not option.startswith("-") or re.fullmatch(r"-[vqxsl]+|--(?!ignore|deselect|rootdir).*", option) is not None


def _after_pytest(argv: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the arguments to pytest, None where the command is not pytest."""
    if argv and PurePosixPath(argv[0]).name in {"pytest", "py.test"}:
        return argv[1:]
    if (
        len(argv) > 2
        and re.fullmatch(r"python[\d.]*", PurePosixPath(argv[0]).name)
        and argv[1] == "-m"
        and argv[2] == "pytest"
    ):
        return argv[3:]
    return None


def _kind(tree: Tree, tests: tuple[str, ...], source: str) -> tuple[str, tuple[str, ...], str]:
    """Return kind, paths and the reason."""
    configured = configuration(tree)
    uses_pytest = configured is not None or any(_PYTEST.search(layout.text(tree, path)) for path in tests)
    if not uses_pytest and not any(_FUNCTIONS.search(layout.text(tree, path)) for path in tests):
        # Where pytest sees tests in such a file, load_tests only adds to them or sorts them.
        made = [path for path in tests if not _TESTS.search(layout.text(tree, path))]
        if made:
            return "unittest", _tops(tests), f"unittest: {made[0]} makes tests by load_tests"
    if configured is not None:
        return "pytest", (), f"pytest: configured in {configured}"
    for folder in _configured_folders(tree):
        if tests and all(path.startswith(folder + "/") for path in tests):
            return "pytest", (folder,), f"pytest: configured in {folder}"
    if any(_pytest_name(path) for path in tests):
        return "pytest", (), "pytest: test files by name"
    if tests:
        return "pytest", tests, "pytest: unittest classes in files of other names"
    return "pytest", (), source if source != "default" else "pytest: no tests seen"


def _test_files(tree: Tree) -> tuple[str, ...]:
    """Return the files that hold tests: by pytest's patterns, or, where there are none, by unittest's classes."""
    patterns = _patterns(tree)
    files = [path for path in tree if path.endswith(".py") and not _NO_TESTS_IN.search(path)]
    named = [path for path in files if any(fnmatch.fnmatch(PurePosixPath(path).name, p) for p in patterns)]
    holding = tuple(path for path in named if _TESTS.search(layout.text(tree, path)))
    made = tuple(path for path in named if path not in holding and _LOAD_TESTS.search(layout.text(tree, path)))
    if holding or made:
        return tuple(sorted((*holding, *made)))
    return tuple(path for path in files if _CASES.search(layout.text(tree, path)))


def _patterns(tree: Tree) -> tuple[str, ...]:
    """Return the repository's patterns for test files, pytest's own where it has none."""
    value: object = None
    where = configuration(tree)
    if where is not None and where.endswith(".toml"):
        tables = layout.toml(tree, where)
        options = tables if where != "pyproject.toml" else layout.table(tables, "tool")
        pytest = layout.table(options, "pytest")
        value = layout.table(pytest, "ini_options").get("python_files") or pytest.get("python_files")
    elif where is not None:
        section = "tool:pytest" if where == "setup.cfg" else "pytest"
        value = layout.ini(tree, where).get(section, "python_files", fallback="")
    if isinstance(value, str) and value.strip():
        return tuple(value.split())
    if isinstance(value, list) and value:
        return tuple(str(item) for item in value)
    return ("test_*.py", "*_test.py")


def _pytest_name(path: str) -> bool:
    name = PurePosixPath(path).name
    return fnmatch.fnmatch(name, "test_*.py") or fnmatch.fnmatch(name, "*_test.py")


def _configures(tree: Tree, path: str) -> bool:
    name = PurePosixPath(path).name
    if path not in tree:
        return False
    if name == "pyproject.toml":
        return bool(layout.table(layout.toml(tree, path), "tool", "pytest"))
    if name in {"tox.ini", "setup.cfg"}:
        return layout.ini(tree, path).has_section("pytest" if name == "tox.ini" else "tool:pytest")
    return True


def _configured_folders(tree: Tree) -> tuple[str, ...]:
    """Return the folders below the top, at most two levels down, that configure pytest."""
    found = {
        str(PurePosixPath(path).parent)
        for path in tree
        if 1 <= path.count("/") <= 2 and PurePosixPath(path).name in _CONFIGURATIONS and _configures(tree, path)
    }
    return tuple(sorted(found, key=lambda folder: (folder.count("/"), folder)))


def _tops(tests: tuple[str, ...]) -> tuple[str, ...]:
    """Return the first folders of test files, for unittest's discovery."""
    tops = {path.partition("/")[0] if "/" in path else "." for path in tests}
    return (".",) if "." in tops else tuple(sorted(tops))
