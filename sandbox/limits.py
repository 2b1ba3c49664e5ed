"""Bounds on what runs in a workspace."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one workspace; every backend keeps them or says in `promises()` which it cannot.

    Sizes are in bytes, times in seconds.
    """

    wall_seconds: float = 300.0
    """Longest time of one command that names no limit of its own."""
    memory_bytes: int = 2048 * MIB
    """Memory of everything in the workspace together."""
    cpus: float = 2.0
    pids: int = 256
    disk_bytes: int = 1024 * MIB
    """What may be written to the work tree and the temporary folder together."""
    file_bytes: int = 512 * MIB
    """Largest single file (RLIMIT_FSIZE)."""
    open_files: int = 1024
    output_bytes: int = 1 * MIB
    """Kept of each of a command's two streams: the first and the last half; the middle is counted and dropped."""
