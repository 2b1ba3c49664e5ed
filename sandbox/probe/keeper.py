"""Holds one command: a "child subreaper" that outlives it and ends whatever it started, detached or not."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

STATUS = struct.Struct(">ci")
"""What a keeper writes: `X` and the wait status, or `E` (start) or `C` (folder) and an error number."""
SET_PDEATHSIG, SET_CHILD_SUBREAPER = 1, 36
BLOCKED = {signal.SIGCHLD, signal.SIGTERM}

prctl = ctypes.CDLL(None).prctl


def offspring(root: int) -> list[tuple[int, bytes]]:
    """Return every descendant of the process `root` with the letter of its state."""
    children: dict[int, list[tuple[int, bytes]]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/" + name + "/stat", "rb") as file:
                    data = file.read()
            except OSError:
                continue
            state, parent = data[data.rindex(b")") + 2 :].split(None, 2)[:2]
            children.setdefault(int(parent), []).append((int(name), state))
    found, todo = [], [root]
    while todo:
        for child in children.get(todo.pop(), ()):
            found.append(child)
            todo.append(child[0])
    return found


def signal_all(pids: list[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:  # noqa: PERF203 (each may have gone by itself)
            pass


def kill_descendants(spared: frozenset[int] = frozenset()) -> None:
    """Kill every descendant of this process; return when none is left but what descends from `spared`."""

    def victims() -> list[tuple[int, bytes]]:
        safe = set(spared)
        for pid in spared:
            safe.update(below for below, _ in offspring(pid))
        return [item for item in offspring(os.getpid()) if item[0] not in safe]

    # Stopped first, so that nothing can fork faster than it is found.
    for _ in range(64):
        moving = [pid for pid, state in victims() if state not in b"TtZX"]
        if not moving:
            break
        signal_all(moving, signal.SIGSTOP)
    pause = 0.0005
    while True:
        rest = victims()
        signal_all([pid for pid, _ in rest], signal.SIGKILL)
        if spared:
            if not rest:
                return
            for pid, state in rest:
                if state == b"Z":
                    try:
                        os.waitpid(pid, os.WNOHANG)
                    except OSError:
                        pass
        else:
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                return
        time.sleep(pause)
        pause = min(0.02, pause * 2)


def press(keeper: int, *, again: bool) -> float:
    """Have a keeper end what it holds; asked again, it was stopped from inside, and ends. Return when to ask again."""
    for number in (signal.SIGKILL,) if again else (signal.SIGTERM, signal.SIGCONT):
        signal_all([keeper], number)
    return time.monotonic() + 5.0


def keep(status: int, parent: int, child_main: Callable[[], None], fds: int) -> None:
    """Start the command, say how it ended, end its descendants; runs in a fork and does not return."""
    prctl(SET_CHILD_SUBREAPER, 1)
    prctl(SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != parent:
        os._exit(1)
    try:
        child = os.fork()
    except OSError as error:
        os.write(status, STATUS.pack(b"E", error.errno or 0))
        os._exit(0)
    if not child:
        child_main()
    os.closerange(0, status)
    os.closerange(status + 1, fds)
    ended = False
    while not ended:
        if signal.sigwait(BLOCKED) == signal.SIGTERM:
            break
        while True:
            try:
                pid, code = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            if pid == child:
                os.write(status, STATUS.pack(b"X", code))
                ended = True
    kill_descendants()
    os._exit(0)
