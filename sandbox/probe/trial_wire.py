"""Messages between the trial worker and those who use it, and children that are watched while they work."""

from __future__ import annotations

import os
import resource
import select
import signal
import time
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from . import frames

Message = Dict[str, Any]
Summary = Dict[str, Any]
"""How one test ended."""
_TICKS = os.sysconf("SC_CLK_TCK")


class OutOfTime(BaseException):
    """Raised inside a test that used up its CPU time; not an Exception, so that few handlers swallow it."""


class Broken(Exception):
    """The test machinery itself was hit: this process is not to be trusted with further candidates."""


class Channel:
    """Messages over two file descriptors."""

    def __init__(self, source: int, sink: int) -> None:
        self.source = source
        self.sink = sink
        self._decoder = frames.Decoder()
        self._ready: List[Message] = []

    def send(self, message: Message) -> None:
        frames.write_message_fd(self.sink, message)

    def waiting(self, seconds: float) -> bool:
        """Return whether something can be read, waiting up to so many seconds."""
        return bool(self._ready or select.select([self.source], [], [], seconds)[0])

    def fill(self) -> bool:
        """Read what is there; False at the end of the stream."""
        data = os.read(self.source, 1 << 16)
        self._ready += self._decoder.feed(data)
        return bool(data)

    def ready(self) -> Iterator[Message]:
        """Yield the whole messages read so far."""
        while self._ready:
            yield self._ready.pop(0)

    def receive(self) -> Optional[Message]:
        """Wait for the next message; None at the end of the stream."""
        while not self._ready:
            if not self.fill():
                return None
        return self._ready.pop(0)


def limit_memory(extra: int) -> None:
    """Let this process grow by so many bytes of address space, and leave no core files."""
    with open("/proc/self/statm", encoding="ascii") as stream:
        pages = int(stream.read().split()[0])
    limit = pages * resource.getpagesize() + extra
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far, 0 where it has gone."""
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as stream:
            fields = stream.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS
    except (OSError, IndexError, ValueError):
        return 0.0


def adopt_orphans() -> None:
    """Become the parent of whatever outlives its own parent below this process, so that it can be found."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    except (ImportError, OSError, AttributeError):
        pass


def children() -> List[int]:
    """Return the processes whose parent is this one."""
    found = []
    me = str(os.getpid())
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/" + name + "/stat", encoding="ascii", errors="replace") as stream:
                    if stream.read().rpartition(")")[2].split()[1] == me:
                        found.append(int(name))
            except (OSError, IndexError):
                continue
    return found


def kill(pid: int) -> None:
    """End a child that leads its own session, with everything that it started."""
    _signal(-pid)
    _signal(pid)
    try:
        os.waitpid(pid, 0)
    except OSError:
        pass


def _signal(target: int) -> None:
    try:
        os.kill(target, signal.SIGKILL)
    except OSError:
        pass


def sweep(keep: Tuple[int, ...] = ()) -> None:
    """End the orphans that were adopted, and theirs in turn."""
    for _ in range(50):
        strays = [pid for pid in children() if pid not in keep]
        if not strays:
            return
        for pid in strays:
            kill(pid)


def start(work: Callable[[Channel], None], memory: int, close: Tuple[int, ...] = ()) -> Tuple[int, Channel]:
    """Fork a child, in its own session and under limits, that does `work` with a channel to this process."""
    source, sink = os.pipe()
    for attempt in range(20):
        try:
            pid = os.fork()
            break
        except OSError:
            # A candidate may have filled the process table; its session is being killed.
            if attempt == 19:
                raise
            time.sleep(0.05)
    if pid:
        os.close(sink)
        return pid, Channel(source, -1)
    status = 70
    try:
        os.setsid()
        os.close(source)
        for descriptor in close:
            os.close(descriptor)
        limit_memory(memory)
        work(Channel(-1, sink))
        status = 0
    except BaseException:
        pass
    finally:
        os._exit(status)


def watch(
    pid: int, channel: Channel, take: Callable[[Message], None], limits: Callable[[], Tuple[float, float]]
) -> str:
    """Hand on a child's messages until it ends, and end it where it overstays; it is dead on return.

    `limits` gives the CPU and wall seconds that may pass between two messages, asked for after each.
    Returns "done", "died", "cpu" or "wall".
    """
    ended = ""
    since, used = time.monotonic(), cpu_seconds(pid)
    cpu, wall = limits()
    try:
        while not ended:
            # What a candidate started may hold the pipe open after the child itself has ended.
            last = _has_ended(pid)
            if channel.waiting(0.0 if last else 0.05):
                if not channel.fill():
                    break
                for message in channel.ready():
                    take(message)
                since, used = time.monotonic(), cpu_seconds(pid)
                cpu, wall = limits()
            elif last:
                break
            elif cpu_seconds(pid) - used > cpu:
                ended = "cpu"
            elif time.monotonic() - since > wall:
                ended = "wall"
    finally:
        os.close(channel.source)
        status = 0 if ended else _wait(pid)
        kill(pid)
    return ended or ("done" if status == 0 else "died")


def _has_ended(pid: int) -> bool:
    """Say whether a child has ended, and leave it to be waited for, so that its number is not given away."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except OSError:
        return True


def _wait(pid: int) -> int:
    """Return the exit status of a child that has closed its pipe; -1 where it does not end by itself."""
    for _ in range(100):
        if _has_ended(pid):
            try:
                found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except OSError:
                return -1
            return int(found.si_status) if found is not None and found.si_code == os.CLD_EXITED else -1
        time.sleep(0.002)
    return -1
