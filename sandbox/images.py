"""Base images: a root file system made of this host's own CPython, git and a few tools, as a tar stream."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import stat
import struct
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from sandbox.errors import EnvironmentFailed
from sandbox.furnishing import LAYOUT, Interpreter
from sandbox.protocol import WORK

HOME = "/opt/greendiff"
"""What greendiff puts into an image lies here."""
USER = 1000
DOCKERFILE = Path(__file__).with_name("base.Dockerfile")
RECIPE = Path(__file__)
"""Part of the digest of every environment that lies on an image made here."""

_TOOLS = """
    sh bash git ls cat cp mv rm mkdir rmdir ln chmod touch head tail wc sort uniq sed grep find env sleep true false
    timeout tar gzip gunzip id ps kill tee cut tr xargs dirname basename diff cmp patch date printf mktemp stat awk du
    df nohup setsid prlimit which readlink realpath seq expr test echo pwd uname hostname whoami ldconfig nproc
    chown chgrp install mkfifo mknod base64 sha1sum split nl tac nice shuf fold join tty stty yes
    comm paste od cksum md5sum sha256sum xz bzip2 unzip less
""".split()  # noqa: SIM905 (one list item a line would be 90 lines)
_PLACES = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LIBRARIES = """
    libgcc_s.so.1 libstdc++.so.6 libm.so.6 libdl.so.2 librt.so.1 libpthread.so.0 libutil.so.1 libresolv.so.2 libz.so.1
    libnss_files.so.2 libnss_dns.so.2 libgomp.so.1
""".split()  # noqa: SIM905 (see above)
"""What wheels for manylinux may take for granted, and what names are looked up with."""
_TREES = (
    "/usr/lib/git-core", "/usr/libexec/git-core", "/usr/share/git-core", "/usr/lib/locale/C.utf8",
    "/usr/share/zoneinfo", "/lib/terminfo", "/etc/terminfo",
)  # fmt: skip
_FILES = ("/etc/ld.so.cache", "/etc/services", "/etc/protocols", "/etc/ssl/openssl.cnf", "/etc/debian_version")
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
)  # fmt: skip
_COVERED = ("/tmp/", f"{WORK}/", "/proc/", "/dev/", "/sys/", "/run/", f"{HOME}/")  # noqa: S108 (only compared)
_FOLDERS = {
    "tmp": 0o1777, "var/tmp": 0o1777, "proc": 0o755, "sys": 0o755, "dev": 0o755, "etc": 0o755, "run": 0o755,
    "root": 0o755, "work": 0o755, "opt": 0o755, "opt/greendiff": 0o755, "opt/greendiff/probe": 0o755, "usr/bin": 0o755,
}  # fmt: skip
_TEXTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nagent:x:1000:1000::/tmp/home:/bin/sh\n"
    "nobody:x:65534:65534::/nonexistent:/bin/false\n",
    "etc/group": "root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n",
    "etc/resolv.conf": "",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/gitconfig": "[safe]\n\tdirectory = *\n[user]\n\tname = agent\n\temail = agent@localhost\n",
}


class RootFiles:
    """The host's files that go into an image, each at its own path, links kept and followed."""

    def __init__(self) -> None:
        self.files: dict[str, os.stat_result] = {}
        self.links: dict[str, str] = {}
        self.folders: set[str] = set()
        self.moved: dict[str, str] = {}
        """Folders that get another name in the image."""

    def placed(self, path: str) -> str:
        """Return the path in the image of a path on the host."""
        for old, new in self.moved.items():
            if path == old or path.startswith(f"{old}/"):
                return new + path[len(old) :]
        return path

    def add(self, path: str) -> bool:
        """Add a file or folder entry by its path and everything that links on the way lead to; False if absent."""
        done = Path("/")
        todo = list(PurePosixPath(os.path.normpath(path)).parts[1:])
        for _ in range(4096):
            if not todo:
                return True
            here = done / todo.pop(0)
            try:
                found = os.lstat(here)
            except OSError:
                return False
            if stat.S_ISLNK(found.st_mode):
                target = str(here.readlink())
                self.links[str(here)] = target
                parts = PurePosixPath(os.path.normpath(done / target)).parts[1:]
                done, todo = Path("/"), [*parts, *todo]
                continue
            if stat.S_ISDIR(found.st_mode):
                self.folders.add(str(here))
            elif stat.S_ISREG(found.st_mode):
                self.files[str(here)] = found
            else:
                return False
            done = here
        return False

    def add_tree(self, root: str, unwanted: Iterable[str] = ()) -> None:
        """Add everything below a folder but compiled files and the entries whose absolute paths match `unwanted`."""
        skip = [re.compile(pattern) for pattern in unwanted]
        for folder, names, files in os.walk(root):
            names[:] = [n for n in names if n != "__pycache__" and not any(s.fullmatch(f"{folder}/{n}") for s in skip)]
            for name in (*names, *files):
                path = f"{folder}/{name}"
                if not any(s.fullmatch(path) for s in skip):
                    self.add(path)

    def key(self) -> str:
        """Return a digest of what is in here, by names, sizes and times."""
        total = hashlib.sha256(LAYOUT.encode())
        for path, found in sorted(self.files.items()):
            total.update(f"{path} {found.st_size} {found.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
        for path, target in sorted(self.links.items()):
            total.update(f"{path} {target}\n".encode("utf-8", "surrogateescape"))
        total.update(repr(sorted(self.moved.items())).encode("utf-8", "surrogateescape"))
        return total.hexdigest()


def site_places(interpreter: Interpreter) -> dict[str, str]:
    """Return where an interpreter's folders of packages lie in an image: at no path that a workspace covers."""
    sites = (str(Path(site).resolve()) for site in interpreter.sites)
    return {site: f"/opt/sites/{number}" for number, site in enumerate(dict.fromkeys(sites))}


def _libraries(files: list[str]) -> set[str]:
    """Return what the dynamic linker loads for `files`, by `ldd`."""
    found: set[str] = set()
    for at in range(0, len(files), 200):
        said = subprocess.run(
            ["ldd", *files[at : at + 200]], capture_output=True, text=True, check=False, env={"LC_ALL": "C"} | _path()
        )
        found |= set(re.findall(r"(?:=> )?(/\S+) \(0x", said.stdout))
    return found


def _path() -> dict[str, str]:
    return {"PATH": _PLACES}


def _native(files: RootFiles) -> list[str]:
    """Return the files that are ELF programs or libraries."""
    found = []
    for path, about in files.files.items():
        if about.st_mode & 0o111 or ".so" in path:
            try:
                with Path(path).open("rb") as file:
                    if file.read(4) == b"\x7fELF":
                        found.append(path)
            except OSError:
                continue
    return found


def root_files(interpreter: Interpreter, *, with_sites: bool) -> RootFiles:
    """Collect an interpreter with its standard library, git, a few tools and all libraries that they load.

    Of Python's own test suite only `test.support` and its like go along. `with_sites` adds what is installed.

    Raises:
        EnvironmentFailed: `ldd` or the interpreter's standard library is missing.

    """
    if shutil.which("ldd", path=_PLACES) is None:
        raise EnvironmentFailed("No base image can be made on this host: `ldd` is missing; name one instead.")
    files = RootFiles()
    stdlib = re.escape(interpreter.stdlib)
    unwanted = [
        rf"{stdlib}/(site|dist)-packages", rf"{stdlib}/config-.*", r".*\.a",
        rf"{stdlib}/test/(?!support$|\w*\.py$).*", rf"{stdlib}/test/test_.*",
    ]  # fmt: skip
    if interpreter.base.startswith(_COVERED) or interpreter.stdlib.startswith(_COVERED):
        raise EnvironmentFailed(f"The interpreter {interpreter.base} lies where workspaces have their own files.")
    if not files.add(interpreter.base):
        raise EnvironmentFailed(f"The interpreter {interpreter.base} cannot be read.")
    for folder in {interpreter.stdlib, interpreter.platstdlib, f"{interpreter.platstdlib}/lib-dynload"}:
        files.add(folder)
        files.add_tree(folder, unwanted)
    if with_sites:
        files.moved = site_places(interpreter)
        for site in files.moved:
            files.add(site)
            files.add_tree(site)
    for tool in _TOOLS:
        if found := shutil.which(tool, path=_PLACES):
            files.add(found)
    for tree in _TREES:
        if Path(tree).is_dir():
            files.add(tree)
            files.add_tree(tree, [r".*/git-(svn|p4|cvs\w*|gui.*|instaweb)", r"/usr/share/zoneinfo/(right|posix)"])
    for path in (*_FILES, *_BUNDLES, "/bin/sh", "/usr/bin/env", "/usr/lib/ssl", "/lib", "/lib64", "/bin", "/sbin"):
        files.add(path)
    _add_libraries(files)
    return files


def _add_libraries(files: RootFiles) -> None:
    libraries = _libraries(_native(files))
    folders = {str(Path(path).parent) for path in libraries if Path(path).name.startswith("libc.so")}
    extra = {f"{folder}/{name}" for folder in folders for name in _LIBRARIES}
    for path in sorted(libraries | extra):
        files.add(path)


def _bytecode(files: RootFiles, interpreter: Interpreter) -> Iterator[tuple[str, bytes]]:
    """Yield the standard library's current bytecode for its place under the prefix, marked as not to be checked."""
    tag = f"cpython-{''.join(interpreter.version.split('.')[:2])}"
    for path, found in files.files.items():
        if not path.endswith(".py"):
            continue
        folder, name = os.path.split(path)
        try:
            data = Path(folder, "__pycache__", f"{name[:-3]}.{tag}.pyc").read_bytes()
        except OSError:
            continue
        stamp = int(found.st_mtime) & 0xFFFFFFFF, found.st_size & 0xFFFFFFFF
        if len(data) > 16 and struct.unpack_from("<III", data, 4) == (0, *stamp):
            yield (
                f"{HOME}/pycache{folder}/{name[:-3]}.{tag}.pyc",
                data[:4] + struct.pack("<I", 1) + bytes(8) + data[16:],
            )


def write_tar(files: RootFiles, interpreter: Interpreter, target: IO[bytes]) -> None:
    """Write the root file system, everything owned by root but the folders that an environment is made in."""
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 20) as tar:
        made: set[str] = set()

        def member(name: str, kind: bytes, mode: int, owner: int = 0) -> tarfile.TarInfo:
            info = tarfile.TarInfo(name.lstrip("/"))
            info.type, info.mode, info.uid, info.gid = kind, mode, owner, owner
            return info

        def folder(name: str, mode: int = 0o755, owner: int = 0) -> None:
            name = name.strip("/")
            if name not in {"", "."} and name not in made and f"/{name}" not in files.links:
                folder(str(PurePosixPath(name).parent))
                made.add(name)
                tar.addfile(member(name, tarfile.DIRTYPE, mode, owner))

        for path, target_of in ((files.placed(path), target) for path, target in files.links.items()):
            folder(str(PurePosixPath(path).parent))
            info = member(path, tarfile.SYMTYPE, 0o777)
            info.linkname = target_of
            tar.addfile(info)
        for name, mode in _FOLDERS.items():
            folder(name, mode, USER if name == "opt/greendiff" else 0)
        folder("sbin")
        folder("opt/greendiff/pycache", 0o755, USER)
        for path in sorted(map(files.placed, files.folders)):
            folder(path)
        for path, found in files.files.items():
            if path.lstrip("/") in _TEXTS:
                continue
            try:
                with Path(path).open("rb") as file:
                    folder(str(PurePosixPath(files.placed(path)).parent))
                    info = member(files.placed(path), tarfile.REGTYPE, 0o755 if found.st_mode & 0o111 else 0o644)
                    info.size, info.mtime = found.st_size, int(found.st_mtime)
                    tar.addfile(info, file)
            except PermissionError:
                continue
        texts = {name: text.encode() for name, text in _TEXTS.items()}
        for name, data in (*texts.items(), *_bytecode(files, interpreter)):
            owner = USER if "/pycache/" in name else 0
            parent = str(PurePosixPath(name).parent).strip("/")
            for at in range(parent.count("/") + 1):
                folder("/".join(parent.split("/")[: at + 1]), 0o755, owner)
            info = member(name, tarfile.REGTYPE, 0o644, owner)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
