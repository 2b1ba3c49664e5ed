"""Reads and writes files beneath a root for the resident, through no link and without waiting for anything."""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CHUNK = 1 << 18


class Refused(Exception):
    """A call that fails for a reason that the host names; the first argument is its kind."""


def folder(root: str, path: str, make: bool = False) -> tuple[int, str]:
    """Open the folder that `path` lies in, beneath `root` and through no link; return it and the last name."""
    parts = path.split("/")
    here = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                below = os.open(part, flags, dir_fd=here)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    raise
                if not make:
                    if error.errno != errno.ENOENT and stat.S_ISLNK(os.lstat(part, dir_fd=here).st_mode):
                        raise Refused("unsafe", "%r goes through a link" % path) from None
                    raise Refused("missing", "%r does not exist" % path) from None
                if error.errno != errno.ENOENT:
                    os.unlink(part, dir_fd=here)
                os.mkdir(part, 0o755, dir_fd=here)
                below = os.open(part, flags, dir_fd=here)
            os.close(here)
            here = below
    except BaseException:
        os.close(here)
        raise
    return here, parts[-1]


def read_file(root: str, path: str, limit: int) -> bytes:
    """Return a regular file's bytes; no link is followed and nothing is waited for."""
    here, name = folder(root, path)
    try:
        try:
            if not stat.S_ISREG(os.lstat(name, dir_fd=here).st_mode):
                raise Refused("unsafe", "%r is not a regular file" % path)
            opened = os.open(
                name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=here
            )
        except FileNotFoundError:
            raise Refused("missing", "%r does not exist" % path) from None
    finally:
        os.close(here)
    with os.fdopen(opened, "rb", buffering=0) as file:
        found = os.fstat(opened)
        if not stat.S_ISREG(found.st_mode):
            raise Refused("unsafe", "%r is not a regular file" % path)
        if found.st_size > limit:
            raise Refused("unsafe", "%r is larger than %d bytes" % (path, limit))
        data = bytearray()
        while len(data) <= limit:
            chunk = file.read(CHUNK)
            if not chunk:
                return bytes(data)
            data += chunk
    raise Refused("unsafe", "%r is larger than %d bytes" % (path, limit))


def remove(name: str, here: int) -> None:
    """Remove what `name` is in the open folder `here`, with everything in it; a missing name is well."""
    try:
        mode = os.lstat(name, dir_fd=here).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(mode):
        os.unlink(name, dir_fd=here)
        return
    if mode & 0o700 != 0o700:
        os.chmod(name, 0o700, dir_fd=here)
    below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
    try:
        for inner in os.listdir(below):
            remove(inner, below)
    finally:
        os.close(below)
    os.rmdir(name, dir_fd=here)


def write_file(root: str, entry: dict[str, Any], data: bytes) -> None:
    """Write, extend or delete one path; a new file is a new inode, so no link of an old one is written through."""
    path, kind = entry["path"], entry["kind"]
    try:
        here, name = folder(root, path, make=kind != "gone")
    except Refused:
        return
    try:
        if kind == "more":
            opened = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
        else:
            remove(name, here)
            if kind == "gone":
                return
            if kind == "symlink":
                os.symlink(data, os.fsencode(name), dir_fd=here)
                return
            mode = 0o755 if kind == "program" else 0o644
            opened = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode, dir_fd=here)
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(opened, view) :]
        finally:
            os.close(opened)
    finally:
        os.close(here)
