"""The modules that tests are written for: parts of published packages, and small algorithm modules of our own."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engines import cache_folder

OWN = Path(__file__).with_name("modules")
PYPROJECT = """\
[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["."]
"""
"""No distribution is named, so that all subjects share one prepared environment."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One module, with what it needs around it."""

    module: str
    """As it is imported, like `toolz.dicttoolz`."""
    wheel: str = ""
    """Distribution and version, like `toolz==1.2.0`; "" for a module of our own."""
    sha256: str = ""
    """Digest of the wheel."""

    @property
    def name(self) -> str:
        return self.module

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]

    def files(self) -> dict[str, bytes]:
        """Return the sources of the whole package by path, without tests.

        Raises:
            RuntimeError: the wheel cannot be had, or is not the one that was chosen.

        """
        if not self.wheel:
            name = f"{self.module}.py"
            return {name: (OWN / name).read_bytes()}
        with zipfile.ZipFile(fetched(self.wheel, self.sha256)) as archive:
            names = [name for name in archive.namelist() if name.startswith(f"{self.package}/")]
            wanted = [name for name in names if name.endswith((".py", ".pyi", "py.typed")) and "/tests/" not in name]
            return {name: archive.read(name) for name in wanted}

    def path_among(self, files: Iterable[str]) -> str:
        """Return the path of the module itself."""
        stem = self.module.replace(".", "/")
        return next(path for path in (f"{stem}.py", f"{stem}/__init__.py") if path in set(files))

    def make(self, folder: Path) -> str:
        """Write the repository, without tests, into a folder that is not there yet; return the module's path."""
        files = self.files()
        for path, content in {**files, "pyproject.toml": PYPROJECT.encode()}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        _git(folder, "init", "--quiet", "--initial-branch=main")
        _git(folder, "add", "--all")
        _git(folder, "commit", "--quiet", "--message", "Start")
        return self.path_among(files)


SUBJECTS = (
    Subject(
        "toolz.dicttoolz", "toolz==1.2.0", "890f820b1cb8152785aaf9386d8707770110809035800985ca65cb24ce1120ef"
    ),
    Subject("inflection", "inflection==0.5.1", "f38b2b640938a4f35ade69ac3d053042959b62a0f1076a5bbaa1b9526605a8a2"),
    Subject("roman", "roman==5.2", "89d3b47400388806d06ff77ea77c79ab080bc127820dea6bf34e1f1c1b8e676e"),
    Subject(
        "sortedcontainers.sorteddict", "sortedcontainers==2.4.0",
        "a163dcaede0f1c021485e957a39245190e74249897e2ae4b2aa38595db237ee0",
    ),
    Subject("cachetools", "cachetools==5.5.2", "d26a22bcc62eb95c3beabd9f1ee5e820d3d2704fe2967cbe350e20c8ffcd3f0a"),
    Subject(
        "wcwidth.wcwidth", "wcwidth==0.2.13", "3da69048e4540d84af32131829ff948f1e022c1c6bdb8d6102117aac784f6859"
    ),
    Subject("semver.version", "semver==3.0.4", "9c824d87ba7f7ab4a1890799cec8596f15c1241cb473404ea1cb0c55e4b04746"),
    Subject("interval_set"),
    Subject("expiring_cache"),
    Subject("arithmetic"),
    Subject("matrix"),
    Subject("date_ranges"),
)  # fmt: skip


def chosen(names: Iterable[str], limit: int | None = None) -> list[Subject]:
    """Return the subjects of these names (of modules or packages), or all where none is given."""
    wanted = set(names)
    found = [
        one for one in SUBJECTS if not wanted or wanted & {one.module, one.package, "own" if not one.wheel else ""}
    ]
    return found[:limit]


def fetched(requirement: str, sha256: str) -> Path:
    """Return the wheel, fetched once into the cache and checked every time.

    Raises:
        RuntimeError: it cannot be had, or is not the one that was chosen.

    """
    folder = cache_folder() / "unit-tests" / "wheels"
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob(f"{requirement.partition('==')[0]}-*.whl"):
        if hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
            return path
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(f"{requirement} --hash=sha256:{sha256}\n")
        file.flush()
        argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        argv += ["--require-hashes", "--requirement", file.name, "--dest", str(folder)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    for path in folder.glob("*.whl"):
        if hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
            return path
    raise RuntimeError(f"{requirement} could not be fetched: {done.stderr.strip()[-300:]}")


def _git(folder: Path, *arguments: str) -> None:
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_AUTHOR_NAME": "Subjects", "GIT_AUTHOR_EMAIL": "subjects@example.org",
        "GIT_COMMITTER_NAME": "Subjects", "GIT_COMMITTER_EMAIL": "subjects@example.org",
        "GIT_AUTHOR_DATE": "2024-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2024-01-01T00:00:00Z",
    }  # fmt: skip
    subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, timeout=60)
