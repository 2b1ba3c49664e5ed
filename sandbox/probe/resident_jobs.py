"""What the resident knows of a running command, and how one of its forks becomes that command."""

from __future__ import annotations

import errno
import os
import resource
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sandbox.probe.keeper import STATUS, prctl
    from sandbox.probe.resident_files import CHUNK
else:
    from keeper import STATUS, prctl
    from resident_files import CHUNK

WINDOW = 1 << 20
"""How much streamed output the host may owe an answer for."""
SET_NO_NEW_PRIVS = 38


class Kept:
    """The first and the last bytes of a stream, and how many were dropped between them."""

    def __init__(self, limit: int) -> None:
        self.half = limit // 2
        self.first = bytearray()
        self.last = bytearray()
        self.dropped = 0

    def add(self, data: bytes) -> None:
        room = self.half - len(self.first)
        if room > 0:
            self.first += data[:room]
            data = data[room:]
        self.last += data
        if len(self.last) > 2 * self.half + CHUNK:
            self.trim()

    def trim(self) -> None:
        over = len(self.last) - self.half
        if over > 0:
            self.dropped += over
            del self.last[:over]

    def value(self) -> bytes:
        self.trim()
        return bytes(self.first + self.last)


class Job:
    """A command that runs."""

    def __init__(self, call: int, streams: bool, limit: int) -> None:
        self.call = call
        self.streams = streams
        self.credit = WINDOW
        self.out = Kept(limit)
        self.err = Kept(limit)
        self.keeper = 0
        self.fds: dict[str, int] = {}
        self.input = bytearray()
        self.acknowledge = 0
        self.code: int | None = None
        self.failure = 0
        self.reason = ""
        self.alone = True
        self.ooms = 0
        self.started = time.monotonic()
        self.deadline = 0.0


def become(config: dict[str, Any], header: dict[str, Any], source: int, out: int, err: int, status: int) -> None:
    """Turn this fork into the command; does not return."""
    step = "start"
    try:
        os.setsid()
        for fd, number in ((source, 0), (out, 1), (err, 2)):
            os.dup2(fd, number)
        for name, value in config["rlimits"].items():
            which = getattr(resource, "RLIMIT_" + name)
            hard = resource.getrlimit(which)[1]
            if hard != resource.RLIM_INFINITY:
                value = min(value, hard)
            resource.setrlimit(which, (value, value))
        try:
            # What runs here is what the kernel should take first when memory is short.
            with open("/proc/self/oom_score_adj", "w") as file:
                file.write("500")
        except OSError:
            pass
        uid = config["uid"]
        if uid is not None:
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        os.umask(0o022)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        step = "cwd"
        os.chdir(header["cwd"])
        step = "start"
        os.execvpe(  # noqa: S606 (that is the purpose)
            header["argv"][0], header["argv"], header["env"]
        )
    except OSError as error:
        code = error.errno or errno.EIO
        os.write(status, STATUS.pack(b"C" if step == "cwd" else b"E", code))
    finally:
        os._exit(127)


def ooms(sources: list[int | str]) -> int:
    """Return how often the kernel has killed for memory here, 0 where that cannot be known."""
    for source in sources:
        try:
            if isinstance(source, int):
                text = os.pread(source, 4096, 0)
            else:
                with open(source, "rb") as file:
                    text = file.read()
        except OSError:
            continue
        for line in text.splitlines():
            if line.startswith(b"oom_kill "):
                return int(line.split()[1])
    return 0
