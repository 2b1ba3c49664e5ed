"""What an environment is made of, found on the host: base interpreter, packages, pip and its settings."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from packaging.requirements import Requirement

from sandbox.errors import EnvironmentFailed
from sandbox.owners import remove_folder
from sandbox.pip_settings import PipSettings
from sandbox.protocol import Environment, EnvironmentDefinition, Progress
from sandbox.resident import PROBE

LAYOUT = "3"
"""Part of every digest: raised when what an environment looks like changes."""

_ASK = """
import json, platform, site, sys, sysconfig
paths = sysconfig.get_paths()
sites = [paths["purelib"], paths["platlib"]]
if hasattr(site, "getsitepackages"):
    sites += site.getsitepackages()
base = getattr(sys, "_base_executable", None) or sys.executable
print(json.dumps({"base": base, "prefix": sys.base_prefix, "version": platform.python_version(),
                  "stdlib": paths["stdlib"], "platstdlib": paths["platstdlib"],
                  "sites": list(dict.fromkeys(sites)), "implementation": sys.implementation.name}))
"""


def cache_folder() -> Path:
    """Return the folder of everything that may be made again: `GREENDIFF_CACHE_DIR` or the user's own cache folder."""
    named = os.environ.get("GREENDIFF_CACHE_DIR")
    return Path(named) if named else platformdirs.user_cache_path("greendiff")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file `path`, which is made; it ends with the process, however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A CPython on this host."""

    base: str
    """The interpreter itself, outside of any virtual environment."""
    prefix: str
    version: str
    stdlib: str
    platstdlib: str
    sites: tuple[str, ...]
    """Its folders of packages that exist."""

    @property
    def identity(self) -> str:
        """Text that changes when the interpreter does."""
        return f"{self.base} {self.version} {Path(self.base).stat().st_mtime_ns}"

    @property
    def fingerprint(self) -> str:
        """Text that changes when the interpreter or what is installed for it does."""
        lines = [self.identity]
        for path in self.sites:
            found = Path(path)
            names = sorted(found.iterdir()) if found.is_dir() else [found]
            lines += [f"{name} {name.lstat().st_mtime_ns}" for name in names if name.name != "__pycache__"]
        return "\n".join(lines)


def inspect(python: str) -> Interpreter:
    """Ask an interpreter on the host about itself.

    Raises:
        EnvironmentFailed: it cannot be run, or is not a CPython of version 3.8 or later.

    """
    try:
        said = subprocess.run([python, "-I", "-c", _ASK], capture_output=True, timeout=60, check=True).stdout
        about = json.loads(said)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise EnvironmentFailed(f"{python} cannot be used as the repository's interpreter: {error}.") from error
    if about["implementation"] != "cpython" or tuple(map(int, about["version"].split(".")[:2])) < (3, 8):
        raise EnvironmentFailed(f"{python} is not a CPython of version 3.8 or later.")
    sites = tuple(path for path in about["sites"] if Path(path).is_dir())
    return Interpreter(
        str(Path(about["base"]).resolve()),
        about["prefix"],
        about["version"],
        about["stdlib"],
        about["platstdlib"],
        sites,
    )


def own_base() -> str:
    """Return the interpreter that greendiff itself runs on, outside of its virtual environment."""
    return str(getattr(sys, "_base_executable", None) or sys.executable)


# Supplies -----------------------------------------------------------------------------------------------------------


def _pip_package() -> Path | None:
    """Return pip as a folder or wheel that an interpreter can run."""
    spec = importlib.util.find_spec("pip")
    if spec is not None and spec.submodule_search_locations:
        return Path(spec.submodule_search_locations[0])
    bundled = importlib.util.find_spec("ensurepip")
    places = [Path("/usr/share/python-wheels")]
    if bundled is not None and bundled.submodule_search_locations:
        places.insert(0, Path(bundled.submodule_search_locations[0]) / "_bundled")
    return next((wheel for place in places for wheel in sorted(place.glob("pip-*.whl"))), None)


def supplies() -> Path:
    """Return a cached folder with `pip.whl` and `site` (pytest and its needs), from greendiff's own installation.

    Raises:
        EnvironmentFailed: greendiff is installed without them.

    """
    pip = _pip_package()
    names = _pytest_closure()
    versions = {name: importlib.metadata.version(name) for name in names}
    key = hashlib.sha256(json.dumps([LAYOUT, versions, str(pip), pip and pip.stat().st_mtime]).encode()).hexdigest()[
        :16
    ]
    target = cache_folder() / "supplies" / key
    if target.is_dir():
        return target
    with locked(cache_folder() / "supplies" / f"{key}.lock"):
        if not target.is_dir():
            making = target.with_name(f"{key}.making")
            shutil.rmtree(making, ignore_errors=True)
            (making / "site").mkdir(parents=True)
            for name in names:
                _copy_distribution(name, making / "site")
            if pip is not None:
                _pack(pip, making / "pip.whl")
            making.rename(target)
    return target


def _pack(pip: Path, target: Path) -> None:
    """Put pip into one file, which an interpreter can run as it is."""
    if pip.is_file():
        shutil.copyfile(pip, target)
        return
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(pip.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, Path("pip", path.relative_to(pip)))


def _pytest_closure() -> list[str]:
    """Return pytest and the distributions that it needs here, by their metadata."""
    names, todo = [], ["pytest"]
    while todo:
        name = todo.pop()
        try:
            requires = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        if name not in names:
            names.append(name)
            # What needs a marker is for other systems, older Pythons or extras.
            todo += [text.split(";")[0].split()[0] for text in map(_bare, requires) if ";" not in text]
    return sorted(names)


def _bare(requirement: str) -> str:
    for character in "<>=!~[(":
        requirement = requirement.replace(character, f" {character}", 1)
    return requirement


def _copy_distribution(name: str, target: Path) -> None:
    found = importlib.metadata.distribution(name)
    for file in found.files or ():
        if ".." in file.parts or "__pycache__" in file.parts or file.is_absolute():
            continue
        source = Path(str(found.locate_file(file)))
        if source.is_file():
            copy = target.joinpath(*file.parts)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)


# Orders -------------------------------------------------------------------------------------------------------------


def environment_digest(backend: str, definition: EnvironmentDefinition, interpreter: Interpreter, *more: str) -> str:
    """Return the SHA-256 of everything that the environment depends on."""
    parts = [
        LAYOUT,
        backend,
        sorted(definition.requirements),
        sorted(definition.hints),
        sorted(definition.constraints),
        definition.distribution,
        definition.entry_points,
        # Only a given interpreter's packages are seen, not those of the base that greendiff runs on.
        interpreter.fingerprint
        if definition.interpreter
        else f"{interpreter.base} {interpreter.version} {Path(interpreter.base).stat().st_mtime_ns}",
        (PROBE / "furnish.py").read_text("utf-8"),
        [importlib.metadata.version(name) for name in _pytest_closure()],
        *more,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def furnish_order(
    definition: EnvironmentDefinition, sites: Iterable[str], pip: PipSettings, *, folder: str, supplies_at: str
) -> bytes:
    """Return the order for `probe/furnish.py`: the environment goes to `folder`, supplies lie at `supplies_at`.

    `sites` are a given interpreter's folders of packages, by the names that they have where the order is carried out.
    """
    order = {
        "venv": f"{folder}/venv",
        "pycache": f"{folder}/pycache",
        "pip": f"{supplies_at}/pip.whl/pip",
        "pip_env": dict(pip.env),
        "supplies": f"{supplies_at}/site",
        "sites": list(sites) if definition.interpreter else [],
        "requirements": _without_own(definition.requirements),
        "hints": _without_own(definition.hints),
        "constraints": sorted(definition.constraints),
        "distribution": definition.distribution,
        "entry_points": definition.entry_points,
    }
    return json.dumps(order).encode() + b"\n"


def _without_own(requirements: Iterable[str]) -> list[str]:
    """Leave out a demand for pytest that the copy which greendiff brings fulfils: no network is needed for that."""
    version = importlib.metadata.version("pytest")

    def fulfilled(text: str) -> bool:
        wanted = Requirement(text)
        return wanted.name.lower() == "pytest" and not wanted.extras and wanted.specifier.contains(version)

    return sorted(text for text in requirements if not fulfilled(text))


def furnish(argv: list[str], order: bytes, progress: Progress, env: Mapping[str, str]) -> dict[str, str]:
    """Run `probe/furnish.py` by `argv` and return the versions that it says.

    Raises:
        EnvironmentFailed: with the end of the installer's output.

    """
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=dict(env)
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise AssertionError("pipes were asked for")
        process.stdin.write(order)
        process.stdin.close()
        last = relay(process.stdout, progress)
    return versions_from(last)


def relay(lines: Iterable[bytes], progress: Callable[[str], None]) -> list[str]:
    """Pass every line on but the last, and return the last ones."""
    kept: list[str] = []
    for raw in lines:
        line = raw.decode("utf-8", "replace").rstrip()
        if kept and not kept[-1].startswith("{"):
            progress(kept[-1])
        kept = [*kept[-50:], line]
    return kept


def versions_from(said: list[str]) -> dict[str, str]:
    """Return the versions in the last line of what `furnish.py` said.

    Raises:
        EnvironmentFailed: the line says so, or is none of its.

    """
    try:
        answer = json.loads(said[-1])
    except (IndexError, ValueError):
        raise EnvironmentFailed("The environment could not be made.", "\n".join(said)) from None
    if "error" in answer:
        raise EnvironmentFailed(answer["error"], answer["output"])
    return {str(name): str(version) for name, version in answer["versions"].items()}


def built_once(backend: str, digest: str, build: Callable[[Path], Mapping[str, str]]) -> Environment:
    """Return the environment of that digest in the cache folder; `build` fills its folder and returns the versions.

    One process builds, others wait. What was begun and not completed does not count and is made anew.

    Raises:
        EnvironmentFailed: from `build`, or the cache folder cannot be written.

    """
    folder = cache_folder() / "environments" / digest[:32]
    record = folder / "environment.json"
    try:
        with locked(folder.with_name(f"{folder.name}.lock")):
            if record.exists():
                return Environment(digest, backend, str(folder), json.loads(record.read_text("utf-8")))
            remove_folder(folder)
            folder.mkdir(parents=True)
            versions = dict(build(folder))
            making = record.with_suffix(".making")
            making.write_text(json.dumps(versions), "utf-8")
            making.rename(record)
    except OSError as error:
        raise EnvironmentFailed(f"The environment could not be made: {error}.") from error
    return Environment(digest, backend, str(folder), versions)
