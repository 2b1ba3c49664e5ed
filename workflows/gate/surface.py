"""Which paths of a repository are tests, configuration, or places where a new file would shadow a module."""

from __future__ import annotations

import ast
import fnmatch
import posixpath
import re
import sys
from collections.abc import Iterable

from sandbox.runners.report import Harness, TestReport
from sandbox.syntax import parse
from sandbox.tree import Tree

_TEST_FOLDERS = frozenset({"test", "tests", "testsuite", "testsuites", "unittests"})
_TEST_NAME = re.compile(r"(test_.*|.*_test|.*_tests|conftest)\.pyi?")
_CONFTEST = re.compile(r"conftest\.pyi?")
_DATA_FOLDERS = frozenset(
    {"testdata", "test_data", "test-data", "fixtures", "cassettes", "snapshots", "__snapshots__", "golden", "goldens"}
)
_CONFIGURATION = (
    "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini", "tox.toml", "setup.cfg", "setup.py",
    "pyproject.toml", "noxfile.py", "makefile", "gnumakefile", "justfile", "manage.py", ".coveragerc", "codecov.yml",
    "requirements*.txt", "requirements*.in", "constraints*.txt", "*.lock", "pylock*.toml", "pipfile", "environment.yml",
    "environment.yaml", ".env", "*.pth", "*._pth", "sitecustomize.py", "usercustomize.py", "pyvenv.cfg",
    ".python-version", "__editable__*", "dockerfile*", "containerfile*", "docker-compose*.yml", "compose*.yaml",
    ".gitlab-ci.yml", ".travis.yml", "appveyor.yml", ".appveyor.yml", "azure-pipelines*.yml", "jenkinsfile",
    ".pre-commit-config.yaml", "bitbucket-pipelines.yml", ".drone.yml", ".cirrus.yml", "conftest.cfg",
)  # fmt: skip
_CONFIGURATION_FOLDERS = (
    ".github", ".gitlab", ".circleci", ".ci", ".buildkite", ".azure-pipelines", ".husky", ".githooks", ".devcontainer",
    ".tox", ".nox", ".venv", "site-packages", "dist-packages", "requirements", "*.egg-info", "*.dist-info",
)  # fmt: skip
_RUNNERS = frozenset(
    {"pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "tomli", "exceptiongroup", "pygments", "unittest",
     "doctest", "nose", "nose2", "hypothesis", "coverage", "mock", "xdist", "pytest_cov", "pytest_asyncio", "attr",
     "attrs", "colorama", "typing_extensions", "pkg_resources", "setuptools", "distutils", "sitecustomize",
     "usercustomize", "site"}
)  # fmt: skip


def file_of(node_id: str) -> str:
    """Return the path part of a node id such as `tests/test_a.py::TestX::test_y`."""
    return node_id.split("::", 1)[0]


def _is_doctest(node_id: str) -> bool:
    parts = node_id.split("::")
    return len(parts) == 2 and "." in parts[1].split("[", 1)[0]


def _imported_names(source: bytes) -> set[str]:
    try:
        module = parse(source)
    except (SyntaxError, ValueError):
        return set()
    names: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


class Surface:
    """What the paths of one repository mean; built from the base tree, never from a patched one."""

    def __init__(
        self, base: Tree, harness: Harness, reports: Iterable[TestReport], distributions: Iterable[str] = ()
    ) -> None:
        """Learn from `reports` (runs on the base) in which files tests were found."""
        self.base = self._base = base
        self._distributions = {re.sub(r"[-.]+", "_", name).lower() for name in distributions}
        ids = [r.node_id for report in reports for r in (*report.results, *report.collection_errors)]
        self.test_files = frozenset(
            file_of(i) for i in ids if file_of(i) in base and not (_is_doctest(i) and file_of(i).endswith(".py"))
        )
        self.doctest_files = frozenset(file_of(i) for i in ids if _is_doctest(i) and file_of(i).endswith(".py"))
        self._homes = self._find_homes(harness)
        self.roots = self._find_roots(harness)
        self._foreign: set[str] | None = None

    def _find_homes(self, harness: Harness) -> frozenset[str]:
        """Folders everything beneath which belongs to the tests."""
        homes = {p.strip("/") for p in harness.paths if p.strip("/") in self._folders() and p.strip("/") != "."}
        homes = {h for h in homes if not any(f.startswith(f"{h}/") and f in self.doctest_files for f in self._base)}
        homes -= {h for h in homes if f"{h}/__init__.py" in self._base and posixpath.basename(h) not in _TEST_FOLDERS}
        known = [*self.test_files, *(p for p in self._base if _CONFTEST.fullmatch(posixpath.basename(p)))]
        for path in self._base:
            parts = path.split("/")
            for depth, part in enumerate(parts[:-1]):
                folder = "/".join(parts[: depth + 1])
                # `django/test/` and its like are products: a folder counts where tests were found, or at the top.
                if part.lower() in _TEST_FOLDERS and (
                    depth == 0 or folder in homes or any(k.startswith(f"{folder}/") for k in known)
                ):
                    homes.add(folder)
                    break
        return frozenset(homes)

    def _folders(self) -> set[str]:
        return {posixpath.dirname(p) for p in self._base} | {
            "/".join(p.split("/")[:n]) for p in self._base for n in range(1, p.count("/") + 1)
        }

    def _find_roots(self, harness: Harness) -> frozenset[str]:
        """Folders from which a top-level module can be imported ("" is the top of the tree)."""
        roots = {"", "src", "lib", *(p.strip("/").removeprefix("./").rstrip(".") for p in harness.pythonpath)}
        for path in self.test_files:
            folder = posixpath.dirname(path)
            while f"{folder}/__init__.py" in self._base:
                folder = posixpath.dirname(folder)
            roots.add(folder)
        return frozenset(root for root in roots if not root.startswith(("/", "..")))

    def test_reason(self, path: str) -> str | None:
        """Say in a few words why a path belongs to the tests, or None."""
        name = posixpath.basename(path)
        parts = path.split("/")
        if path in self.test_files:
            return "is a test file"
        if _CONFTEST.fullmatch(name):
            return "is a conftest file"
        if any(path.startswith(f"{home}/") for home in self._homes):
            return "is in a folder of tests"
        if any("/".join(parts[:n]) not in self._folders() and parts[n - 1].lower() in _TEST_FOLDERS
               for n in range(1, len(parts))):  # fmt: skip
            return "is in a new folder of tests"
        if _TEST_NAME.fullmatch(name):
            return "is named like a test file"
        if not name.endswith(".py") and any(part.lower() in _DATA_FOLDERS for part in parts[:-1]):
            return "is test data"
        return None

    def place_of(self, node_id: str, tree: Tree | None = None) -> tuple[str | None, str]:
        """Return the test file of a node id and the name of its test function, (None, name) where there is none.

        Files are looked for in `tree`; None stands for the base.
        """
        files = self._base if tree is None else tree
        head = node_id.split("[", 1)[0]
        if "::" in head:
            path, _, rest = head.partition("::")
            return (path if path in files else None), rest.split("::")[-1].split(" ")[0]
        if head in files:
            return head, ""
        # Dotted, as unittest writes it: the longest prefix that is a module.
        parts = head.split(".")
        for length in range(len(parts) - 1, 0, -1):
            for root in sorted(self.roots, key=len):
                path = posixpath.join(root, *parts[:length]) + ".py"
                if path in files:
                    return path, parts[-1]
        return None, parts[-1]

    def adds_plain_test(self, path: str) -> bool:
        """Whether a new file at `path` is nothing but a file of tests (no conftest, package file or data)."""
        name = posixpath.basename(path)
        return bool(_TEST_NAME.fullmatch(name)) and not _CONFTEST.fullmatch(name) and path not in self._base

    def is_conftest(self, path: str) -> bool:
        """Whether pytest would load the file as a local plugin."""
        return bool(_CONFTEST.fullmatch(posixpath.basename(path)))

    def configuration_reason(self, path: str) -> str | None:
        """Say in a few words why a path is configuration of tests, build or CI, or None."""
        *folders, name = path.lower().split("/")
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in _CONFIGURATION):
            return "configures the tests, the build or the start of Python"
        for folder in folders:
            if any(fnmatch.fnmatchcase(folder, pattern) for pattern in _CONFIGURATION_FOLDERS):
                return f"lies in {folder}/, which configures the build, CI or installed packages"
        return None

    def shadow_reason(self, path: str) -> str | None:
        """Say which module a new file would take the place of, or None."""
        for root in self.roots:
            inside = path[len(root) + 1 :] if root and path.startswith(f"{root}/") else path if not root else ""
            first, _, rest = inside.partition("/")
            if rest:
                name = first
                known = any(p.startswith(f"{root}/{first}/" if root else f"{first}/") for p in self._base)
            else:
                name, known = first.split(".")[0] if first.endswith((".py", ".pyc", ".so", ".pyd")) else "", False
            if not name or known:
                continue
            if name in sys.stdlib_module_names:
                return f"would shadow the standard library's `{name}`"
            if name in _RUNNERS or name.lower() in self._distributions or name in self._foreign_imports():
                return f"would shadow the installed package `{name}`"
        return None

    def _foreign_imports(self) -> set[str]:
        """Top-level names that the base imports and does not hold."""
        if self._foreign is None:
            names = {n for p, e in self._base.items() if p.endswith(".py") for n in _imported_names(e.data)}
            own = {part.removesuffix(".py") for p in self._base for part in p.split("/")}
            self._foreign = names - own
        return self._foreign

    def test_modules(self) -> frozenset[str]:
        """Dotted names, and their last parts, under which product code could import tests."""
        names: set[str] = set()
        for path in self.test_files:
            parts = path.removesuffix(".py").split("/")
            names.update(".".join(parts[n:]) for n in range(len(parts)))
        names.update(home.replace("/", ".") for home in self._homes)
        return frozenset(names)
