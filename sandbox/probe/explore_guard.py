"""Keeps strangers' code from files, programs and the network while it is explored, and says what it reached for."""

from __future__ import annotations

import io
import os
import random
import signal
import sys
import time
from types import FrameType
from typing import Any, Callable, Dict, Optional

from .trial_wire import OutOfTime

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_EVENTS = {
    "os.remove": "files", "os.rename": "files", "os.rmdir": "files", "os.mkdir": "files", "os.chmod": "files",
    "os.chown": "files", "os.link": "files", "os.symlink": "files", "os.truncate": "files", "os.utime": "files",
    "os.chdir": "files", "shutil.rmtree": "files", "shutil.move": "files", "shutil.copyfile": "files",
    "shutil.copytree": "files", "tempfile.mkstemp": "files", "tempfile.mkdtemp": "files", "sqlite3.connect": "files",
    "subprocess.Popen": "programs", "os.system": "programs", "os.exec": "programs", "os.posix_spawn": "programs",
    "os.fork": "programs", "os.forkpty": "programs", "os.kill": "programs", "os.killpg": "programs",
    "os.spawn": "programs", "pty.spawn": "programs", "signal.pthread_kill": "programs",
    "os.putenv": "environment", "os.unsetenv": "environment", "webbrowser.open": "network",
    "time.sleep": "clock", "input": "standard input", "builtins.input": "standard input",
    "ctypes.dlopen": "native code", "_thread.start_new_thread": "threads",
    "resource.setrlimit": "machine limits", "syslog.syslog": "the system log", "code.__new__": "",
}  # fmt: skip
_PREFIXES = {"socket.": "network", "urllib.": "network", "http.": "network", "ftplib.": "network",
             "smtplib.": "network", "ctypes.": "native code"}  # fmt: skip
_QUIET = ("socket.__new__", "socket.gethostname")


class Forbidden(BaseException):
    """Raised where explored code does what no generated test should; not an Exception, so that few swallow it."""


class Guard:
    """Watches what the process does while it is armed."""

    def __init__(self) -> None:
        self.armed = False
        self.reached: Optional[str] = None
        """What was reached for since `arm`, in a word or two."""
        self._dice: Any = None
        sys.addaudithook(self._audit)
        self._wrap_clocks()

    def arm(self) -> None:
        """Begin to refuse."""
        self.reached = None
        self._dice = random.getstate()
        self.armed = True

    def disarm(self) -> None:
        """Stop refusing."""
        self.armed = False
        if self.reached is None and random.getstate() != self._dice:
            self.reached = "random numbers"
        random.setstate(self._dice)

    def _audit(self, event: str, args: Any) -> None:
        if not self.armed:
            return
        what = _EVENTS.get(event)
        if event == "open":
            name, mode, flags = (*args, None, None, None)[:3]
            writes = (isinstance(mode, str) and any(c in mode for c in "wax+")) or (
                isinstance(flags, int) and bool(flags & _WRITING)
            )
            if not writes or (isinstance(name, str) and name == os.devnull):
                return
            what = "files"
        elif what is None and event not in _QUIET:
            what = next((kind for prefix, kind in _PREFIXES.items() if event.startswith(prefix)), None)
        if what:
            self.reached = what
            raise Forbidden(what)

    def _wrap_clocks(self) -> None:
        """Notice who reads the clock; who took the function before is not seen here, but found by repetition."""
        for name in ("time", "time_ns", "localtime", "gmtime", "ctime", "strftime"):
            original = getattr(time, name)
            setattr(time, name, self._noticing(original, "clock", 0 if name.startswith("time") else 1))
        read = os.getenv
        os.getenv = self._noticing(read, "environment", 9)

    def _noticing(self, original: Callable[..., Any], what: str, free: int) -> Callable[..., Any]:
        def noticed(*args: Any, **named: Any) -> Any:
            if (self.armed and len(args) + len(named) <= free) or (self.armed and what == "environment"):
                self.reached = what
            return original(*args, **named)

        return noticed


class Timer:
    """Ends what takes too long, from within."""

    def __init__(self) -> None:
        signal.signal(signal.SIGALRM, self._ring)

    def _ring(self, _number: int, _frame: Optional[FrameType]) -> None:
        raise OutOfTime

    def start(self, seconds: float) -> None:
        """Raise OutOfTime in so many seconds, and again and again after."""
        signal.setitimer(signal.ITIMER_REAL, seconds, 0.05)

    def stop(self) -> None:
        """Do not."""
        signal.setitimer(signal.ITIMER_REAL, 0)


class Quiet:
    """Takes what is printed."""

    def __init__(self) -> None:
        self.out = io.StringIO()
        self._before: Dict[str, Any] = {}

    def __enter__(self) -> Quiet:  # noqa: PYI034 - `Self` is younger than the oldest Python here
        self._before = {"stdout": sys.stdout, "stderr": sys.stderr, "stdin": sys.stdin, "argv": sys.argv}
        sys.stdout, sys.stderr, sys.stdin = self.out, io.StringIO(), io.StringIO()
        return self

    def __exit__(self, *_error: object) -> None:
        for name, value in self._before.items():
            setattr(sys, name, value)
