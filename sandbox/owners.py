"""Who owns what is left in temporary folders and daemons, and whether that process still lives."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

PREFIX = "greendiff-"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")[:12]
    except OSError:
        return "0"


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return "0"


def _start_time(pid: int) -> str | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in {b"Z", b"X"} else fields[19].decode()


def owner() -> str:
    """Return the label of this process: process id, its start time, its namespace and the boot of the machine."""
    pid = os.getpid()
    return f"{pid}.{_start_time(pid)}.{_namespace()}.{_boot()}"


def is_dead(label: str, *, other_boots: bool = True) -> bool:
    """Return whether the process that wrote `label` is certainly gone; what cannot be judged counts as alive.

    `other_boots` says what a label from another boot means: its machine was started anew, or is another one.
    """
    parts = label.split(".")
    if len(parts) != 4 or not parts[0].isdecimal():
        return False
    pid, started, namespace, boot = parts
    if boot != _boot():
        return other_boots
    return namespace == _namespace() and _start_time(int(pid)) != started


def owned_folder() -> Path:
    """Make a private temporary folder whose name says who owns it."""
    folder = Path(tempfile.gettempdir()) / f"{PREFIX}{owner()}-{secrets.token_hex(6)}"
    folder.mkdir(mode=0o700)
    return folder


def remove_folder(folder: Path) -> None:
    """Remove a folder with all its contents, also where folders in it forbid that; a missing one is well."""
    tried: set[str] = set()

    def unlock(function: Callable[[str], object], path: str, _: object) -> None:
        if path in tried:
            return
        tried.add(path)
        try:
            Path(path).parent.chmod(stat.S_IRWXU)
            if not Path(path).is_symlink():
                Path(path).chmod(stat.S_IRWXU)
            if function in {os.unlink, os.rmdir}:
                function(path)
            else:
                # A folder that could not be read: what is in it may forbid its removal, too.
                shutil.rmtree(path, onerror=unlock)
        except OSError:
            pass

    if not folder.exists():
        return
    try:
        # rmtree's `onerror` is what Python 3.11 has; 3.12 renamed it.
        shutil.rmtree(folder, onerror=unlock)
        shutil.rmtree(folder, ignore_errors=True)
    except RecursionError:
        # Folders in folders, more than functions can call themselves: left there, they would end every later run.
        for command in (("chmod", "-R", "u+rwx", "--"), ("rm", "-rf", "--")):
            subprocess.run([*command, str(folder)], capture_output=True, check=False)


def reap_folders() -> int:
    """Remove the temporary folders of dead owners; return how many."""
    count = 0
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        if is_dead(folder.name.removeprefix(PREFIX).rpartition("-")[0]):
            remove_folder(folder)
            count += not folder.exists()
    return count
