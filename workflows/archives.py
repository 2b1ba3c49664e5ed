"""Bundles as folders and archives; what is read is taken for hostile."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from workflows.errors import RecordError, Usage

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_TOTAL_BYTES = 128 * 1024 * 1024
MAX_MEMBERS = 32
_TAR = (".tar.gz", ".tgz")


class BundleUnsafe(RecordError):
    """A bundle holds what no bundle of ours holds: links, paths that lead elsewhere, too much, or other files."""


def write_files(target: Path, files: Mapping[str, bytes]) -> Path:
    """Write a bundle whole or not at all: a folder, or a `.tar.gz`, `.tgz` or `.zip` archive by the name's end.

    Equal files give equal archives to the byte. What stands there already must not.

    Raises:
        Usage: something is there already, or the folder it should go to is missing.

    """
    if os.path.lexists(target):
        raise Usage(f"{target} exists already; name another place for the bundle, or remove it")
    if not target.parent.is_dir():
        raise Usage(f"the folder {target.parent} does not exist")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        if target.name.endswith(_TAR):
            part.write_bytes(_as_tar(files))
        elif target.name.endswith(".zip"):
            part.write_bytes(_as_zip(files))
        else:
            part.mkdir()
            for name, data in files.items():
                (part / name).write_bytes(data)
        part.rename(target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        part.unlink(missing_ok=True)
        raise
    return target


def _as_tar(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            member = tarfile.TarInfo(f"bundle/{name}")
            member.size, member.mode, member.mtime = len(files[name]), 0o644, 0
            archive.addfile(member, io.BytesIO(files[name]))
    return gzip.compress(packed.getvalue(), 9, mtime=0)


def _as_zip(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            member = zipfile.ZipInfo(f"bundle/{name}", (1980, 1, 1, 0, 0, 0))
            member.external_attr = (stat.S_IFREG | 0o644) << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 3
            archive.writestr(member, files[name])
    return packed.getvalue()


def read_files(path: Path, known: frozenset[str]) -> dict[str, bytes]:
    """Return the files of a bundle by name; nothing is written anywhere.

    Args:
        path: a folder, or an archive as `write_files` makes them; archives may have one folder around the files.
        known: the only names that may occur.

    Raises:
        Usage: nothing there.
        BundleUnsafe: a link, another kind of file, an unknown name, a path that leads elsewhere, or too much.
        RecordError: it cannot be read.

    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            return _from_folder(path, known)
        if not stat.S_ISREG(status.st_mode):
            raise BundleUnsafe(f"{path} is neither a folder nor a file")
        with path.open("rb") as file:
            head = file.read(4)
            file.seek(0)
            if head[:2] == b"\x1f\x8b":
                return _from_tar(file, known)
            if head == b"PK\x03\x04":
                return _from_zip(file, known)
    except FileNotFoundError as error:
        raise Usage(f"there is no bundle at {path}") from error
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise RecordError(f"the bundle {path} cannot be read: {error}") from error
    raise RecordError(f"{path} is neither a folder nor a .tar.gz or .zip archive")


class _Bounded(io.RawIOBase):
    """A stream that ends with an error after so many bytes, so that no archive can unpack without end."""

    def __init__(self, inner: BinaryIO, limit: int) -> None:
        super().__init__()
        self._inner = inner
        self._left = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._inner.read(min(len(buffer), 1 << 20))
        self._left -= len(data)
        if self._left < 0:
            raise BundleUnsafe(f"the bundle unpacks to more than {MAX_TOTAL_BYTES >> 20} MiB")
        buffer[: len(data)] = data
        return len(data)


def _admit(found: Mapping[str, bytes], name: str, size: int, known: frozenset[str]) -> None:
    if name not in known:
        raise BundleUnsafe(f"the bundle holds {name!r}, which no bundle holds")
    if name in found:
        raise BundleUnsafe(f"the bundle holds {name} twice")
    if size > MAX_FILE_BYTES or size + sum(map(len, found.values())) > MAX_TOTAL_BYTES:
        raise BundleUnsafe(f"{name} in the bundle is too large")


def _inner_name(path: str, tops: set[str]) -> str:
    """Return the plain file name of a member; one folder around all of them is taken off."""
    folder, _, name = path.rpartition("/")
    tops.add(folder)
    if "/" in folder or folder in {"..", "."} or "\\" in path or len(tops) > 1:
        raise BundleUnsafe(f"the bundle holds {path!r}, which leads elsewhere")
    return name


def _from_folder(path: Path, known: frozenset[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        names = sorted(os.listdir(top))  # noqa: PTH208 - beneath a descriptor
        if len(names) > MAX_MEMBERS:
            raise BundleUnsafe(f"the bundle holds {len(names)} files")
        for name in names:
            _admit(found, name, 0, known)
            try:
                descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=top)
            except OSError as error:
                raise BundleUnsafe(f"{name} in the bundle is not a regular file") from error
            with os.fdopen(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise BundleUnsafe(f"{name} in the bundle is not a regular file")
                _admit(found, name, status.st_size, known)
                found[name] = file.read(MAX_FILE_BYTES + 1)
                del status
    finally:
        os.close(top)
    return found


def _from_tar(file: BinaryIO, known: frozenset[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    tops: set[str] = set()
    with gzip.open(file) as unpacked:
        bounded = io.BufferedReader(_Bounded(unpacked, MAX_TOTAL_BYTES + (1 << 20)))  # type: ignore[arg-type]
        with tarfile.open(fileobj=bounded, mode="r|") as archive:
            for count, member in enumerate(archive):
                if count >= MAX_MEMBERS:
                    raise BundleUnsafe("the bundle holds too many files")
                try:
                    tarfile.data_filter(member, "/bundle")
                except tarfile.FilterError as error:
                    raise BundleUnsafe(f"the bundle is not safe to unpack: {error}") from error
                if member.isdir() and "/" not in member.name.strip("/"):
                    continue
                if not member.isreg():
                    raise BundleUnsafe(f"{member.name} in the bundle is not a regular file")
                name = _inner_name(member.name, tops)
                _admit(found, name, member.size, known)
                content = archive.extractfile(member)
                found[name] = content.read() if content is not None else b""
    return found


def _from_zip(file: BinaryIO, known: frozenset[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    tops: set[str] = set()
    with zipfile.ZipFile(file) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) > MAX_MEMBERS:
            raise BundleUnsafe("the bundle holds too many files")
        for member in members:
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in {0, stat.S_IFREG} or member.flag_bits & 1:
                raise BundleUnsafe(f"{member.filename} in the bundle is not a regular file")
            name = _inner_name(member.filename, tops)
            _admit(found, name, member.file_size, known)
            with archive.open(member) as content:
                data = content.read(MAX_FILE_BYTES + 1)
            _admit(found, name, len(data), known)
            found[name] = data
    return found
