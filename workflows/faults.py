"""Kills the own process at a named point, for tests of what a crash leaves behind.

`GREENDIFF_DIE_AT=POINT` names the point: `NODE:before` and `NODE:after` for a node of the graph, `NAME:before`,
`NAME:done` and `NAME:after` for a recorded piece of work or side effect (before it, between it and its record, after
its record). `*` stands for any letters, and `POINT#2` means the second time. The kill is a real SIGKILL: nothing is
cleaned up.
"""

from __future__ import annotations

import fnmatch
import os
import signal
import threading

VARIABLE = "GREENDIFF_DIE_AT"
_lock = threading.Lock()
_seen: dict[str, int] = {}


def point(name: str) -> None:
    """Die here if the environment says so; otherwise do nothing."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    target, _, count = wanted.partition("#")
    if not fnmatch.fnmatchcase(name, target):
        return
    with _lock:
        _seen[name] = _seen.get(name, 0) + 1
        due = _seen[name] == int(count or "1")
    if due:
        os.kill(os.getpid(), signal.SIGKILL)
