"""A verified change is made in the working tree: all of it or nothing, and only where nothing has changed meanwhile."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sandbox.tree import Entry, Tree
from workflows.errors import NoDiff

PART = ".greendiff-part"
"""End of the names of files that are written before all of them are renamed; a resumed run writes the same names."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What lies on the disk at a path."""

    entry: Entry
    status: os.stat_result


@contextmanager
def _folder(top: Path, path: str, *, make: bool) -> Iterator[tuple[int, bytes] | None]:
    """Yield a descriptor of the folder that holds `path`, reached without following links, and the file's own name.

    None where there is no such folder and `make` is false.
    """
    *parents, name = os.fsencode(path).split(b"/")
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    here = os.open(top, flags)
    try:
        for part in parents:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=here)
            try:
                there = os.open(part, flags | os.O_NOFOLLOW, dir_fd=here)
            except FileNotFoundError:
                yield None
                return
            except OSError as error:
                raise NoDiff(
                    f"{path} cannot be changed: {os.fsdecode(part)} is not a folder ({error.strerror})"
                ) from error
            os.close(here)
            here = there
        yield here, name
    finally:
        os.close(here)


def _read(top: Path, path: str) -> _Found | None:
    with _folder(top, path, make=False) as place:
        if place is None:
            return None
        folder, name = place
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if stat.S_ISLNK(status.st_mode):
            return _Found(Entry(os.readlink(name, dir_fd=folder), kind="symlink"), status)
        if not stat.S_ISREG(status.st_mode):
            raise NoDiff(f"{path} is no longer a regular file, so nothing was changed")
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        with os.fdopen(descriptor, "rb") as file:
            return _Found(Entry(file.read(), executable=bool(status.st_mode & stat.S_IXUSR)), status)


def _with_crlf(entry: Entry) -> Entry:
    return Entry(entry.data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), entry.kind, entry.executable)


@dataclass(frozen=True, slots=True)
class _Change:
    path: str
    found: _Found | None
    wanted: Entry | None


def _planned(top: Path, path: str, before: Entry | None, after: Entry | None) -> _Change | None:
    """Return what must be done at a path; None where it is done already.

    Raises:
        NoDiff: the file is neither as it was nor as it is to be.

    """
    found = _read(top, path)
    disk = found.entry if found else None
    if disk == after:
        return None
    if disk == before:
        return _Change(path, found, after)
    # Where Git converts line ends, the snapshot holds the committed form and the disk another.
    if disk and before and after and before.kind == "file" and disk == _with_crlf(before):
        return _Change(path, found, _with_crlf(after))
    if disk and after and after.kind == "file" and b"\r\n" not in after.data and disk == _with_crlf(after):
        return None
    what = "is gone" if disk is None else "has appeared" if before is None else "has changed"
    raise NoDiff(
        f"{path} {what} since the repair was made, so nothing was changed; "
        "run `greendiff fix` again, or apply the diff yourself with `git apply --3way`"
    )


def _write_part(top: Path, change: _Change) -> None:
    wanted = change.wanted
    if wanted is None:
        return
    with _folder(top, change.path, make=True) as place:
        assert place is not None  # noqa: S101 - made just now
        folder, name = place
        part = name + os.fsencode(PART)
        with suppress(FileNotFoundError):
            os.unlink(part, dir_fd=folder)
        if wanted.kind == "symlink":
            os.symlink(wanted.data, part, dir_fd=folder)
            return
        new = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=folder)
        with os.fdopen(new, "wb") as file:
            file.write(wanted.data)
            old = change.found.status if change.found and change.found.entry.kind == "file" else None
            mode = stat.S_IMODE(old.st_mode if old else os.fstat(new).st_mode)
            readable = (mode & 0o444) >> 2
            mode = mode | readable if wanted.executable else mode & ~0o111
            if old and (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
                _keep_owner(new, old)
            os.fchmod(new, mode)


def _keep_owner(descriptor: int, old: os.stat_result) -> None:
    try:
        os.fchown(descriptor, old.st_uid, old.st_gid)
    except PermissionError:
        # Only root may give files away; for everybody else a rewritten file is their own, as with any editor.
        return


def _remove_parts(top: Path, changes: list[_Change]) -> None:
    for change in changes:
        with _folder(top, change.path, make=False) as place:
            if place is not None:
                with suppress(FileNotFoundError):
                    os.unlink(place[1] + os.fsencode(PART), dir_fd=place[0])


def _finish(top: Path, change: _Change) -> None:
    with _folder(top, change.path, make=True) as place:
        assert place is not None  # noqa: S101 - made when the part was written
        folder, name = place
        if change.wanted is None:
            os.unlink(name, dir_fd=folder)
        else:
            os.replace(name + os.fsencode(PART), name, src_dir_fd=folder, dst_dir_fd=folder)


def _same(found: _Found | None, now: _Found | None) -> bool:
    return (found.entry if found else None) == (now.entry if now else None)


def make_change(repository: Path, before: Tree, after: Tree) -> Literal["changed", "already"]:
    """Change the working tree at `repository` from `before` to `after`; modes and line ends are kept.

    All new contents are written beside the old ones first and then renamed, so a full disk changes nothing, and after a
    crash between two renames a second call finishes the work.

    Raises:
        NoDiff: a file that would be changed is neither as in `before` nor as in `after`; nothing was changed.
        OSError: the files cannot be written; nothing was changed.

    """
    planned = (_planned(repository, path, before.get(path), after.get(path)) for path in before.changed_paths(after))
    changes = [change for change in planned if change is not None]
    try:
        for change in changes:
            _write_part(repository, change)
        for change in changes:
            if not _same(change.found, _read(repository, change.path)):
                raise NoDiff(f"{change.path} was changed by another program at this moment, so nothing was changed")
    except BaseException:
        _remove_parts(repository, changes)
        raise
    for change in changes:
        _finish(repository, change)
    return "changed" if changes else "already"
