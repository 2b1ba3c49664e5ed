"""`greendiff doctor`: what works on this machine, what does not, and how to mend it."""

from __future__ import annotations

import argparse
import os
import platform
from pathlib import Path
from typing import Literal

from sandbox.errors import SandboxUnavailable
from workflows.cli import version
from workflows.commands.session import guarded
from workflows.runs import RunStore, cache_folder, state_folder
from workflows.wording import plural, printable

BACKENDS: tuple[Literal["docker", "bubblewrap", "local"], ...] = ("docker", "bubblewrap", "local")
ISOLATING = ("docker", "bubblewrap")
ADVICE = {
    "docker": "start the Docker daemon, and let this user reach it (`docker info` must work)",
    "bubblewrap": "install the package `bubblewrap`, and allow unprivileged user namespaces",
    "local": "it needs nothing but Python",
}

CANNOT = {
    "docker": "a flaw of the kernel; installers of dependencies that use the network while an environment is built",
    "bubblewrap": "a flaw of the kernel; system calls of any kind, as they are not filtered",
    "local": "anything but what it keeps: programs run with your own rights",
}
"""What gets through; docs/sandbox.md says more."""


def size_of(folder: Path) -> int:
    """Return the bytes of the files below a folder; what cannot be read counts as nothing."""
    total = 0
    for top, _, names in os.walk(folder, onerror=lambda _: None):
        for name in names:
            try:
                total += os.lstat(os.path.join(top, name)).st_size  # noqa: PTH118 - tens of thousands of files
            except OSError:
                continue
    return total


def readable(size: int) -> str:
    """Return a size with its unit."""
    number = float(size)
    for unit in ("bytes", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"


def _programs() -> tuple[list[str], bool]:
    from sandbox.workspace import git_version

    lines = [f"greendiff {version()}, Python {platform.python_version()} on {platform.system()} {platform.release()}"]
    git = git_version()
    lines.append(f"git {git}" if git else "git: not found; install the package `git`")
    # Where they are not, no command starts at all.
    lines.append("packages: agents, sandbox and workflows are greendiff's own")
    return lines, bool(git)


def _folders() -> list[str]:
    state, cache = state_folder(), cache_folder()
    runs = plural(len(RunStore().all()), "run")
    return [
        f"state: {state} ({runs}, {readable(size_of(state))}); GREENDIFF_STATE_DIR names another",
        f"cache: {cache} ({readable(size_of(cache))}); may be removed at any time; GREENDIFF_CACHE_DIR names another",
        *(f"       {folder} cannot be written" for folder in (state, cache) if not _writable(folder)),
    ]


def _writable(folder: Path) -> bool:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)


def _backends() -> tuple[list[str], bool]:
    """Return the lines about every backend, and whether one that isolates can be used."""
    from sandbox.backends import open_sandbox

    lines, usable = [], False
    for name in BACKENDS:
        try:
            sandbox = open_sandbox(name)
        except SandboxUnavailable as error:
            lines += [f"{name}: cannot be used: {error}", f"    {ADVICE[name]}"]
            continue
        try:
            promises = sandbox.promises()
        finally:
            sandbox.close()
        usable = usable or name in ISOLATING
        lines.append(
            f"{name}: can be used" + ("" if name in ISOLATING else ", only with --sandbox local: trusted code")
        )
        lines.append(f"    keeps: {', '.join(promise for promise, reason in promises.items() if reason is None)}")
        reasons: dict[str, list[str]] = {}
        for promise, reason in promises.items():
            if reason is not None:
                reasons.setdefault(reason, []).append(promise)
        lines += [f"    lacks {', '.join(names)}: {reason}" for reason, names in reasons.items()]
        lines.append(f"    cannot stop: {CANNOT[name]}")
    return lines, usable


def _models() -> list[str]:
    """Return the lines about models; that one is missing or mute makes nothing unusable."""
    from workflows.commands.models import embedded_line, report, settings_of
    from workflows.errors import Usage

    try:
        lines, _ = report(settings_of(None), calls=False)
    except Usage as error:
        lines = [f"models: {error}"]
    return [*lines, embedded_line()]


def doctor(arguments: argparse.Namespace, started: float) -> int:  # noqa: ARG001 - every command has this shape
    """Print the findings; 0 if code can be run in isolation, 3 if not."""

    def work() -> int:
        programs, well = _programs()
        backends, usable = _backends()
        print(printable("\n".join([*programs, *_folders(), "", *backends, "", *_models()])))
        return 0 if well and usable else 3

    return guarded(work)
