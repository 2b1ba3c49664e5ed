"""Control groups, where they can be written: bounds on memory, processes and CPU of everything in a workspace."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.limits import Limits
from sandbox.owners import PREFIX, is_dead, owner
from sandbox.protocol import Guarantee

_MOUNTS = Path("/proc/self/mounts")
_OWN = Path("/proc/self/cgroup")
_CONTROLLERS: tuple[Guarantee, ...] = ("memory", "pids", "cpu")


def _hierarchies() -> tuple[dict[str, Path], Path | None]:
    """Return where the controllers of version 1 are mounted, and where version 2 is."""
    first: dict[str, Path] = {}
    second: Path | None = None
    try:
        lines = _MOUNTS.read_text().splitlines()
    except OSError:
        return first, second
    for _, mount, kind, options, *_ in map(str.split, lines):
        if kind == "cgroup2":
            second = Path(mount)
        elif kind == "cgroup":
            first |= {name: Path(mount) for name in options.split(",") if name in _CONTROLLERS}
    return first, second


def _own_paths() -> dict[str, str]:
    """Return this process's group in each hierarchy, by controller; "" is version 2."""
    found: dict[str, str] = {}
    try:
        lines = _OWN.read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        _, controllers, path = line.split(":", 2)
        found |= dict.fromkeys(controllers.split(","), path)
    return found


def _parents() -> Iterator[tuple[str, Path]]:
    """Yield the folders in which a group may be made, by controller ("" for all, version 2), best first."""
    first, second = _hierarchies()
    own = _own_paths()
    for controller, mount in first.items():
        for path in dict.fromkeys((own.get(controller, "/"), "/")):
            yield controller, mount / path.lstrip("/")
    if second is not None and "memory" not in first:
        here = second / own.get("", "/").lstrip("/")
        # A group with processes in it cannot hand controllers on, but its parent can.
        yield from (("", path) for path in dict.fromkeys((here.parent, here, second)) if path.is_relative_to(second))


@dataclass(frozen=True, slots=True)
class Cgroup:
    """A group, in one or several hierarchies; processes join it by writing to `cgroup.procs` of each folder."""

    folders: tuple[Path, ...]
    bounds: frozenset[Guarantee]
    """What it bounds."""

    @property
    def ooms(self) -> Path | None:
        """The file in which the kernel counts kills for memory."""
        for folder in self.folders:
            for name in ("memory.oom_control", "memory.events"):
                if (folder / name).exists():
                    return folder / name
        return None

    def remove(self) -> bool:
        """Kill what is in it and remove it; False where that did not work."""
        removed = [_remove(folder) for folder in self.folders]
        return all(removed)


def create(limits: Limits) -> Cgroup:
    """Make a group with as many of the bounds as this process may set, perhaps none."""
    name = f"{PREFIX}{owner()}-{secrets.token_hex(6)}"
    folders: list[Path] = []
    bounds: set[Guarantee] = set()
    for controller, parent in _parents():
        if controller in bounds or (not controller and bounds):
            continue
        folder = parent / name
        try:
            if not controller:
                with contextlib.suppress(OSError):
                    (parent / "cgroup.subtree_control").write_text("+memory +pids +cpu")
            folder.mkdir()
        except OSError:
            continue
        kept = _bound(folder, limits)
        if kept and os.access(folder / "cgroup.procs", os.W_OK):
            folders.append(folder)
            bounds |= kept
        else:
            _remove(folder)
    return Cgroup(tuple(folders), frozenset(bounds))


def _bound(folder: Path, limits: Limits) -> set[Guarantee]:
    """Write the limits into a new group and return which of them it has."""
    period = 100_000
    memory, quota = str(limits.memory_bytes), int(limits.cpus * period)
    files: Mapping[str, tuple[Guarantee, str]] = {
        "memory.limit_in_bytes": ("memory", memory),
        "memory.max": ("memory", memory),
        "pids.max": ("pids", str(limits.pids + 8)),
        "cpu.cfs_quota_us": ("cpu", str(quota)),
        "cpu.max": ("cpu", f"{quota} {period}"),
    }
    kept: set[Guarantee] = set()
    for name, (guarantee, value) in files.items():
        try:
            if (folder / name).exists():
                (folder / name).write_text(value)
                kept.add(guarantee)
        except OSError:
            continue
    for name, value in (("memory.memsw.limit_in_bytes", memory), ("memory.swap.max", "0")):
        with contextlib.suppress(OSError):
            if (folder / name).exists():
                (folder / name).write_text(value)
    return kept


def _remove(folder: Path) -> bool:
    deadline = time.monotonic() + 5.0
    while True:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            if time.monotonic() > deadline:
                return False
            with contextlib.suppress(OSError, ValueError):
                for pid in (folder / "cgroup.procs").read_text().split():
                    if int(pid) not in {0, os.getpid()}:
                        os.kill(int(pid), signal.SIGKILL)
            time.sleep(0.01)
        else:
            return True


def reap_cgroups() -> int:
    """Remove the groups of dead owners, with what runs in them; return how many."""
    count = 0
    for parent in dict.fromkeys(path for _, path in _parents()):
        with contextlib.suppress(OSError):
            for folder in parent.glob(f"{PREFIX}*-*"):
                if is_dead(folder.name.removeprefix(PREFIX).rpartition("-")[0]):
                    count += _remove(folder)
    return count
