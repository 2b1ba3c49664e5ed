"""What an agent may change in a repository, told to it before the gate would have to refuse it."""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Callable
from dataclasses import dataclass

from agents.repair.localise import is_test_path
from agents.replies import Changes, ReplyRefused
from agents.results import Candidate
from sandbox.tree import Tree

_CONFIGURATION = (
    "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini", "setup.cfg", "setup.py", "pyproject.toml",
    "noxfile.py", "makefile", "manage.py", ".coveragerc", "requirements*.txt", "requirements*.in", "constraints*.txt",
    "*.lock", "pylock*.toml", "pipfile", "environment.y*ml", "*.pth", "sitecustomize.py", "usercustomize.py",
    ".python-version", "dockerfile*", "docker-compose*.yml", "compose*.yaml", ".gitlab-ci.yml", ".travis.yml",
    "appveyor.yml", "azure-pipelines*.yml", "jenkinsfile", ".pre-commit-config.yaml", "greendiff.toml",
)  # fmt: skip
_DECLARING = (
    "pyproject.toml", "setup.cfg", "setup.py", "pipfile", "requirements*.txt", "requirements*.in", "constraints*.txt",
    "uv.lock", "poetry.lock", "pdm.lock", "pipfile.lock", "pylock*.toml",
)  # fmt: skip
_CONFIGURATION_FOLDERS = frozenset(
    {".github", ".gitlab", ".circleci", ".ci", ".buildkite", ".husky", ".githooks", ".tox", ".nox", ".venv",
     "site-packages", "dist-packages", ".greendiff"}
)  # fmt: skip

Reason = Callable[[str], str | None]
"""Says in a few words why a path may not be changed, or None."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """What the task allows beyond source files; the gate judges by its own, stricter rules."""

    tests: bool = False
    """Existing tests, conftest files and test data may change."""
    new_tests: bool = True
    """Files of tests may be added."""
    configuration: bool = False
    """Configuration of tests, build and CI may change."""
    declarations: bool = False
    """Where it may not, files may change that say what the repository needs, and in nothing else that they say."""
    paths: tuple[str, ...] = ()
    """Glob patterns of the only paths that may change; empty allows all others."""


def declares(path: str) -> bool:
    """Whether a path is that of a file that says which distributions a repository needs."""
    *folders, name = path.lower().split("/")
    if folders and not _CONFIGURATION_FOLDERS.isdisjoint(folders):
        return False
    listed = folders[-1:] == ["requirements"] and name.endswith((".txt", ".in"))
    return listed or any(fnmatch.fnmatchcase(name, pattern) for pattern in _DECLARING)


class Guard:
    """Says which paths of one base tree may not be changed, and why."""

    def __init__(self, base: Tree, permissions: Permissions = Permissions(), more: Reason | None = None) -> None:
        """Judge by `permissions`, and then by `more`, which may know the repository's own layout."""
        self._base = base
        self._permissions = permissions
        self._more = more

    def reason(self, path: str) -> str | None:
        """Say in a few words why the path may not be changed, or None where it may."""
        allowed = self._permissions
        if allowed.paths and not any(fnmatch.fnmatchcase(path, pattern) for pattern in allowed.paths):
            return "is not among the paths that this task may change"
        entry = self._base.get(path)
        if entry is not None and entry.kind != "file":
            return "is a symbolic link"
        parts = path.split("/")
        if any("/".join(parts[:depth]) in self._base for depth in range(1, len(parts))):
            return "lies under something that is no folder"
        if entry is None and any(part.startswith(("~", "-")) for part in parts):
            return "has a name that a shell takes for a home folder or an option"
        name = posixpath.basename(path).lower()
        open_ = allowed.configuration or (allowed.declarations and declares(path))
        if not open_ and (
            any(fnmatch.fnmatchcase(name, pattern) for pattern in _CONFIGURATION)
            or not _CONFIGURATION_FOLDERS.isdisjoint(path.lower().split("/")[:-1])
        ):
            return "configures the tests, the build or CI, and is read-only for this task"
        if not allowed.tests and (why := self._test_reason(path, name, exists=entry is not None)):
            return why
        return self._more(path) if self._more is not None else None

    def _test_reason(self, path: str, name: str, *, exists: bool) -> str | None:
        if not is_test_path(path) and not name.startswith("conftest."):
            return None
        if exists:
            return "is an existing test or test data, and is read-only for this task"
        plain = name.endswith(".py") and not name.startswith(("conftest.", "__init__."))
        if not self._permissions.new_tests or not plain:
            return "would be part of the tests' set-up, which is read-only for this task"
        return None

    def check(self, changes: Changes | Candidate) -> None:
        """Raise ReplyRefused, with a sentence for the model, where a path may not be changed."""
        created = {new.path for new in changes.created}
        touched = sorted({edit.path for edit in changes.edits} | created | set(changes.deleted))
        for path in touched:
            if (why := self.reason(path)) is not None:
                raise ReplyRefused("read-only", f"{path} {why}: leave it as it is and change the source instead")
