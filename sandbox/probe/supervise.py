"""The parent of the process that runs tests: it sees that process hang, crash or leave early, and says so."""

import os
import select
import signal
import sys
import time

from . import frames

SHORT_SECONDS = 0.4
"""Least processor time of one test after another one has hung."""
HANGING_RATIO = 20
"""How many times longer than the longest that ended a test may compute, after another one has hung."""
MAX_RESTARTS = 16
"""How often the tests are started again after one that hung or crashed."""
OUTPUT_HALF = 12_000
"""Bytes kept of both ends of what the tests printed to the process' own streams."""
GRACE_SECONDS = 3.0
"""How long a test process may take to end after it said that it had come to its end."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, NoReturn, Optional, Set, Tuple

    Message = Dict[str, Any]
    Send = Callable[[Message], None]
    # Runs in the child, sends messages, and returns the runner's exit code.
    Body = Callable[[Message, Send], int]


class Kept:
    """The first and the last bytes of a stream."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._first = bytearray()
        self._last = bytearray()
        self._dropped = 0

    def add(self, data: bytes) -> None:
        """Take more of the stream."""
        room = OUTPUT_HALF - len(self._first)
        self._first += data[:room] if room > 0 else b""
        self._last += data[max(room, 0) :]
        surplus = len(self._last) - OUTPUT_HALF
        if surplus > 0:
            self._dropped += surplus
            del self._last[:surplus]

    def text(self) -> str:
        """Return it as text, with a line in place of what was left out."""
        middle = "\n[{} bytes left out]\n".format(self._dropped).encode() if self._dropped else b""
        return (bytes(self._first) + middle + bytes(self._last)).decode("utf-8", "backslashreplace")


class Run:
    """One run of a set of tests, in as many processes as it takes."""

    def __init__(self, plan: "Message", emit: "Send", body: "Body", private: "List[int]") -> None:
        """Take the plan, where messages go, what runs in the child, and descriptors that the child must not have."""
        self._plan = plan
        self._emit = emit
        self._body = body
        self._private = private
        self._kept = Kept()
        self._began = time.monotonic()
        wall = plan.get("wall_seconds")
        self._deadline = self._began + wall if wall else float("inf")
        self._limit: float = plan.get("test_seconds") or float("inf")
        self._longest = 0.0
        self._short = float("inf")
        self._collected: "Set[str]" = set()
        self._reported: "Set[str]" = set()
        self._skip: "List[str]" = []
        self._ignore: "List[str]" = []
        self._synthetic = False
        self._problem: "Optional[Message]" = None
        self.loaded: "List[str]" = []
        self._reset()

    def _reset(self) -> None:
        self._current: "Optional[str]" = None
        self._collecting: "Optional[str]" = None
        self._since = 0.0
        self._used = 0.0
        self._pid = 0
        self._exit: "Optional[int]" = None
        self._decoder = frames.Decoder()
        self._garbled = False

    def go(self) -> None:
        """Run to the end; the last message is `finished`."""
        restarts = 0
        while True:
            why, status = self._attempt()
            if why in ("end", "wall") or restarts >= self._plan.get("restarts", MAX_RESTARTS):
                break
            if not self._blamed(why, status):
                break
            restarts += 1
        ended, code = _how(status)
        complete = why == "end" and self._exit in (0, 1, 5) and self._collected <= self._reported
        if why == "end" and self._exit is not None:
            ended, code = "exit", self._exit
            if self._synthetic and code in (0, 5):
                code = 1
        elif why == "wall":
            ended = "timeout"
        self._emit(
            {
                "t": "finished",
                "complete": complete and self._problem is None,
                "ended": ended,
                "exit_code": code,
                "seconds": time.monotonic() - self._began,
                "output": self._kept.text(),
                "problem": self._problem,
            }
        )

    def _blamed(self, why: str, status: int) -> bool:
        """Name the test or file during which the process went away; return whether the rest can still be run."""
        if why == "test":
            words = "did not end within {:g} s".format(self._limit)
            self._hurry()
        elif why == "short":
            words = "did not end within {:.1f} s of computing, after another test had hung".format(self._short)
        else:
            words = "the test process " + _words(status)
        seconds = time.monotonic() - self._since
        if self._current is not None:
            self._skip.append(self._current)
            self._result("result", self._current, words + (" during this test" if why == "gone" else ""), seconds)
            return True
        if self._collecting is not None and why == "gone":
            self._ignore.append(self._collecting)
            self._result("collection_error", self._collecting, words + " while this file was collected", seconds)
            return True
        return False

    def _hurry(self) -> None:
        """Give the rest less time: tests that hang seldom come alone, and each would cost the whole limit again."""
        self._short = max(SHORT_SECONDS, HANGING_RATIO * self._longest, 2 * (self._plan.get("hang_seconds") or 0.0))

    def _result(self, kind: str, node_id: str, words: str, seconds: float) -> None:
        self._synthetic = True
        self._reported.add(node_id)
        self._emit({"t": kind, "id": node_id, "outcome": "error", "seconds": round(seconds, 3), "message": words})

    def _attempt(self) -> "Tuple[str, int]":
        """Start the tests and listen until their process is gone; return why it ended and its wait status."""
        self._reset()
        messages, messages_in = os.pipe()
        output, output_in = os.pipe()
        wake, wake_in = os.pipe()
        for fd in (messages, wake, wake_in):
            os.set_blocking(fd, False)
        former = signal.signal(signal.SIGCHLD, lambda *_: None)
        former_fd = signal.set_wakeup_fd(wake_in)
        plan = dict(self._plan, skip=sorted(self._reported) + self._skip, ignore=self._ignore)
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for fd in [messages, output, wake, wake_in, *self._private]:
                os.close(fd)
            _child(plan, self._body, messages_in, output_in)
        os.close(messages_in)
        os.close(output_in)
        try:
            return self._listen(pid, messages, output, wake)
        finally:
            signal.set_wakeup_fd(former_fd)
            signal.signal(signal.SIGCHLD, former)
            for fd in (messages, output, wake, wake_in):
                os.close(fd)

    def _listen(self, pid: int, messages: int, output: int, wake: int) -> "Tuple[str, int]":
        poll = select.poll()
        for fd in (messages, output, wake):
            poll.register(fd, select.POLLIN)
        grace = float("inf")
        self._pid = pid
        while True:
            limit = self._since + self._limit if self._current is not None else float("inf")
            wait = min(limit, grace, self._deadline) - time.monotonic()
            if self._short < self._limit:
                wait = min(wait, max(0.1, self._short / 5))
            events = poll.poll(max(0.0, min(wait, 60.0)) * 1000)
            for fd, what in events:
                if fd == output:
                    data = os.read(output, 65536)
                    self._kept.add(data)
                    if not data:
                        poll.unregister(output)
                elif fd == messages:
                    self._read(messages)
                    if what & select.POLLHUP:
                        poll.unregister(messages)
                elif fd == wake:
                    os.read(wake, 4096)
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                self._read(messages)
                os.set_blocking(output, False)
                _drain(output, self._kept)
                try:
                    os.killpg(pid, signal.SIGKILL)
                except OSError:
                    pass
                return ("end" if self._exit is not None else "gone"), status
            if self._exit is not None and grace == float("inf"):
                grace = time.monotonic() + GRACE_SECONDS
            why = self._overdue(grace, pid)
            if why:
                kill_group(pid)
                _, status = os.waitpid(pid, 0)
                self._read(messages)
                # What had come by then counts: it may have ended while it was being killed.
                return ("end" if self._exit is not None else why), status

    def _overdue(self, grace: float, pid: int) -> str:
        now = time.monotonic()
        if now >= grace:
            return "end"
        if now >= self._deadline:
            return "wall"
        if self._current is not None and now >= self._since + self._limit:
            return "test"
        # By processor time, which a busy machine does not take from a test that is only slow to get its turn.
        if self._current is not None and now >= self._since + self._short:
            return "short" if processor_seconds(pid) - self._used >= self._short else ""
        return ""

    def _read(self, messages: int) -> None:
        """Take what the child has sent so far."""
        while not self._garbled:
            try:
                data = os.read(messages, 1 << 18)
            except OSError:
                return
            if not data:
                return
            try:
                found = self._decoder.feed(data)
            except frames.FrameError as error:
                self._garbled = True
                self._problem = {"t": "problem", "kind": "garbled", "message": str(error)}
                return
            for message in found:
                self._take(message)

    def _take(self, message: "Message") -> None:
        kind = message.get("t")
        if kind == "start":
            self._current, self._since = message["id"], time.monotonic()
            self._used = processor_seconds(self._pid) if self._short < float("inf") else 0.0
            return
        if kind == "collecting":
            self._collecting, self._since = message["id"], time.monotonic()
            return
        if kind == "loaded":
            self.loaded = message["modules"]
            return
        if kind == "end":
            self._exit = int(message["exit"])
            return
        if kind == "collected":
            self._collecting = None
            self._collected.update(message["ids"])
        elif kind == "result":
            if message.pop("hung", False):
                # It was ended from within; the next one may be one that can only be ended from here.
                self._hurry()
            elif self._current is not None:
                self._longest = max(self._longest, time.monotonic() - self._since)
            self._current = None
            self._reported.add(message["id"])
        elif kind == "collection_error":
            # Said once, however often the tests are started.
            self._reported.add(message["id"])
        elif kind == "problem":
            self._problem = message
        self._emit(message)


def _child(plan: "Message", body: "Body", messages: int, output: int) -> "NoReturn":
    """Become the process that runs the tests; never returns."""
    code = 70
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(null)
        os.close(output)
        me, getpid = os.getpid(), os.getpid

        def send(message: "Message") -> None:
            # A test that forks and comes back here twice must not report twice.
            if getpid() == me:
                frames.write_message_fd(messages, message)

        code = body(plan, send)
        send({"t": "end", "exit": code})
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except BaseException:
            pass
        # Not sys.exit: neither threads nor exit handlers of strangers may hold up or change the end.
        os._exit(code if 0 <= code < 256 else 70)


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used, 0 where the system does not say."""
    try:
        with open("/proc/{}/stat".format(pid), "rb") as stream:
            fields = stream.read().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0


def _drain(fd: int, kept: Kept) -> None:
    for _ in range(64):
        try:
            data = os.read(fd, 65536)
        except OSError:
            return
        if not data:
            return
        kept.add(data)


def kill_group(pid: int) -> None:
    """Kill a child that has not been waited for, and its process group."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        # It has no group of its own yet.
        os.kill(pid, signal.SIGKILL)


def _how(status: int) -> "Tuple[str, int]":
    if os.WIFSIGNALED(status):
        return "signal", -os.WTERMSIG(status)
    return "exit", os.WEXITSTATUS(status)


def _words(status: int) -> str:
    ended, code = _how(status)
    if ended == "signal":
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = "signal {}".format(-code)
        return "was ended by " + name
    return "left with exit code {}".format(code)
