"""Runs commands and moves files in a sandbox for the host, over length-prefixed frames on its standard streams.

A frame is a header (payload length, kind, call number) and a payload. The host sends calls (`c`: the length of a JSON
header, the header, bytes), more standard input (`i`), kills (`k`) and credit for streamed output (`a`); replies are
`r` (as a call), streamed output `o` and credit for standard input `s`. The end of its own input ends everything.

Every command gets a keeper: a fork of this program that is a "child subreaper", so that whatever the command starts,
however it detaches itself, stays the keeper's descendant and dies with the command, and no other command's process.
"""

from __future__ import annotations

import errno
import fcntl
import gc
import json
import os
import select
import signal
import struct
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from sandbox.probe.keeper import BLOCKED, SET_CHILD_SUBREAPER, STATUS, keep, kill_descendants, prctl, press
    from sandbox.probe.resident_files import CHUNK, Refused, read_file, remove, write_file
    from sandbox.probe.resident_jobs import Job, become, ooms

    Result = TypeVar("Result")
else:
    from keeper import BLOCKED, SET_CHILD_SUBREAPER, STATUS, keep, kill_descendants, prctl, press
    from resident_files import CHUNK, Refused, read_file, remove, write_file
    from resident_jobs import Job, become, ooms

HEAD = struct.Struct(">IcI")
LENGTH = struct.Struct(">I")
PIPE = 1 << 20
SET_DUMPABLE = 4
F_SETPIPE_SZ = 1031


class Resident:
    """The event loop: one thread, no blocking but in `poll`."""

    def __init__(self) -> None:
        self.incoming = bytearray()
        self.outgoing: list[memoryview] = []
        self.jobs: dict[int, Job] = {}
        self.polled: dict[int, tuple[Job, str]] = {}
        self.poller = select.poll()
        self.config: dict[str, Any] = {}
        self.open_fds = 64
        self.ended = False

    # The channel

    def reply(self, kind: bytes, call: int, header: dict[str, Any] | None, *parts: bytes) -> None:
        if header is not None:
            text = json.dumps(header).encode()
            parts = (LENGTH.pack(len(text)), text, *parts)
        self.outgoing.append(memoryview(HEAD.pack(sum(map(len, parts)), kind, call)))
        self.outgoing.extend(memoryview(part) for part in parts if part)
        self.flush()

    def flush(self) -> None:
        while self.outgoing:
            try:
                # Joined while small: one frame is then one write, and one wake-up of the host.
                if len(self.outgoing[0]) < 4096 and len(self.outgoing) > 1:
                    self.outgoing[:2] = [memoryview(b"".join(self.outgoing[:2]))]
                    if len(self.outgoing) > 1:
                        continue
                sent = os.write(1, self.outgoing[0][:CHUNK])
            except BlockingIOError:
                break
            except OSError:
                self.ended = True
                self.outgoing = []
                return
            self.outgoing[0] = self.outgoing[0][sent:]
            if not self.outgoing[0]:
                del self.outgoing[0]
        if self.outgoing:
            self.poller.register(1, select.POLLOUT)
        else:
            try:
                self.poller.unregister(1)
            except KeyError:
                pass

    def take(self) -> None:
        try:
            data = os.read(0, PIPE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.ended = True
            return
        self.incoming += data
        while len(self.incoming) >= HEAD.size:
            length, kind, call = HEAD.unpack_from(self.incoming)
            if len(self.incoming) < HEAD.size + length:
                return
            payload = bytes(self.incoming[HEAD.size : HEAD.size + length])
            del self.incoming[: HEAD.size + length]
            self.handle(kind, call, payload)

    def handle(self, kind: bytes, call: int, payload: bytes) -> None:
        job = self.jobs.get(call)
        if kind == b"c":
            size = LENGTH.unpack_from(payload)[0]
            header = json.loads(payload[LENGTH.size : LENGTH.size + size])
            self.call(call, header, payload[LENGTH.size + size :])
        elif job is not None and kind == b"i":
            job.input += payload
            job.acknowledge += len(payload)
            self.feed(job)
        elif job is not None and kind == b"k":
            self.kill(job, "killed")
        elif job is not None and kind == b"a":
            job.credit += LENGTH.unpack(payload)[0]
            if "out" in job.fds:
                self.poller.register(job.fds["out"], select.POLLIN)

    def call(self, call: int, header: dict[str, Any], body: bytes) -> None:
        try:
            if header["op"] == "run":
                self.start(call, header, body)
                return
            data = b""
            answer: dict[str, Any] = {}
            if header["op"] == "hello":
                self.config = header
                for source in header["ooms"]:
                    if isinstance(source, int):
                        os.set_inheritable(source, False)
                if header["uid"] is not None:
                    os.setgroups([])
                for path in header["folders"]:
                    self.as_user(lambda: os.makedirs(path, exist_ok=True))  # noqa: B023 (called at once)
                answer = {"python": sys.version.split()[0], "pid": os.getpid()}
            elif header["op"] == "read":
                data = self.as_user(lambda: read_file(header["root"], header["path"], header["limit"]))
            elif header["own"]:
                self.write(header["root"], header["entries"], body)
            else:
                self.as_user(lambda: self.write(header["root"], header["entries"], body))
        except Refused as refused:
            self.reply(b"r", call, {"error": refused.args[0], "message": refused.args[1]})
        except OSError as error:
            self.reply(b"r", call, {"error": "os", "message": str(error), "errno": error.errno})
        else:
            self.reply(b"r", call, answer, data)

    def as_user(self, work: Callable[[], Result]) -> Result:
        """Do file work with the rights of the commands, never with more."""
        uid = self.config["uid"]
        if uid is None:
            return work()
        os.setegid(uid)
        os.seteuid(uid)
        try:
            return work()
        finally:
            os.seteuid(0)
            os.setegid(0)

    def write(self, root: str, entries: list[dict[str, Any]], body: bytes) -> None:
        at = 0
        for entry in entries:
            write_file(root, entry, body[at : at + entry["size"]])
            at += entry["size"]

    # Commands

    def start(self, call: int, header: dict[str, Any], body: bytes) -> None:
        job = Job(call, header["streams"], header["output"])
        job.deadline = job.started + header["seconds"]
        job.ooms = ooms(self.config["ooms"])
        job.alone = not self.jobs
        for other in self.jobs.values():
            other.alone = False
        pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(3)]
        (out, out_end), (err, err_end), (status, status_end) = pipes
        ends = [out_end, err_end, status_end]
        job.fds = {"out": out, "err": err, "status": status}
        if body or job.streams:
            source, job.fds["in"] = os.pipe2(os.O_CLOEXEC)
        else:
            source = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        ends.append(source)
        self.open_fds = max(self.open_fds, max(ends) + 1, max(job.fds.values()) + 1)
        for name, fd in job.fds.items():
            os.set_blocking(fd, False)
            if name != "status":
                try:
                    fcntl.fcntl(fd, F_SETPIPE_SZ, PIPE)
                except OSError:
                    pass
        parent = os.getpid()
        signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
        try:
            job.keeper = os.fork()
        except OSError as error:
            job.failure = error.errno or errno.EAGAIN
        else:
            if not job.keeper:
                try:
                    ends_of_child = (source, out_end, err_end, status_end)
                    keep(status_end, parent, lambda: become(self.config, header, *ends_of_child), self.open_fds)
                finally:
                    os._exit(1)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED)
            for end in ends:
                os.close(end)
        self.jobs[call] = job
        for name, fd in job.fds.items():
            self.polled[fd] = (job, name)
            if name != "in":
                self.poller.register(fd, select.POLLIN)
        job.input += body
        self.feed(job)

    def feed(self, job: Job) -> None:
        """Write what is due to standard input, as much as it takes now."""
        if "in" not in job.fds:
            return
        fd = job.fds["in"]
        try:
            while job.input:
                del job.input[: os.write(fd, memoryview(job.input)[:CHUNK].tobytes())]
        except BlockingIOError:
            self.poller.register(fd, select.POLLOUT)
            return
        except OSError:
            job.input.clear()
            self.shut(job, "in")
        if job.acknowledge:
            self.reply(b"s", job.call, None, LENGTH.pack(job.acknowledge))
            job.acknowledge = 0
        if "in" in job.fds:
            if job.streams:
                try:
                    self.poller.unregister(fd)
                except KeyError:
                    pass
            else:
                self.shut(job, "in")

    def shut(self, job: Job, name: str) -> None:
        fd = job.fds.pop(name)
        self.polled.pop(fd, None)
        try:
            self.poller.unregister(fd)
        except KeyError:
            pass
        os.close(fd)

    def pull(self, job: Job, name: str, final: bool = False) -> bool:
        """Take once from a stream; return whether there may be more."""
        size = CHUNK if final or name == "err" or not job.streams else min(CHUNK, job.credit)
        if not size:
            self.poller.unregister(job.fds[name])
            return False
        try:
            data = os.read(job.fds[name], size)
        except BlockingIOError:
            return False
        if not data:
            self.shut(job, name)
            return False
        if name == "err" or not job.streams:
            (job.err if name == "err" else job.out).add(data)
        else:
            job.credit = max(0, job.credit - len(data))
            self.reply(b"o", job.call, None, data)
        return True

    def hear(self, job: Job) -> None:
        """Take what the keeper says; its silence ends the job."""
        data = os.read(job.fds["status"], STATUS.size)
        if not data:
            self.finish(job)
            return
        kind, code = STATUS.unpack(data)
        if kind == b"X":
            job.code = code
        else:
            job.failure = code
            if kind == b"C":
                job.reason = "cwd"

    def kill(self, job: Job, reason: str) -> None:
        """Have the keeper end a job; where that takes too long, end the keeper: what is left comes to this process."""
        if job.keeper and (not job.reason or job.deadline <= time.monotonic()):
            job.deadline = press(job.keeper, again=bool(job.reason))
            job.reason = job.reason or reason

    def finish(self, job: Job) -> None:
        for name in ("out", "err"):
            # Bounded: another command might have been handed the pipe and write on.
            for _ in range(3 * PIPE // CHUNK):
                if name not in job.fds or not self.pull(job, name, final=True):
                    break
        for name in list(job.fds):
            self.shut(job, name)
        self.jobs.pop(job.call, None)
        if job.keeper:
            code = os.waitpid(job.keeper, 0)[1]
            if code:
                # Only a keeper that was killed from inside leaves something to this process.
                kill_descendants(frozenset(other.keeper for other in self.jobs.values() if other.keeper))
        self.answer(job)

    def answer(self, job: Job) -> None:
        exit_code, ended = 0, "exit"
        killed = ooms(self.config["ooms"]) - job.ooms
        if job.failure:
            exit_code = 127 if job.failure == errno.ENOENT and job.reason != "cwd" else 126
            what = "enter the folder" if job.reason == "cwd" else "start"
            job.err.add(("cannot %s: %s\n" % (what, os.strerror(job.failure))).encode())
        elif job.code is None or os.WIFSIGNALED(job.code):
            exit_code = -int(signal.SIGKILL) if job.code is None else -os.WTERMSIG(job.code)
            ended = job.reason or ("memory" if killed and exit_code == -int(signal.SIGKILL) else "signal")
        else:
            exit_code = os.WEXITSTATUS(job.code)
            if exit_code and killed and job.alone:
                ended = "memory"
        out, err = job.out.value(), job.err.value()
        header = {"code": exit_code, "ended": ended, "seconds": time.monotonic() - job.started, "out": len(out)}
        header.update(out_dropped=job.out.dropped, err_dropped=job.err.dropped)
        self.reply(b"r", job.call, header, out, err)

    # The loop

    def serve(self) -> None:
        self.poller.register(0, select.POLLIN)
        while not self.ended:
            waits = [job.deadline for job in self.jobs.values() if job.deadline != float("inf")]
            wait = max(0.0, min(waits) - time.monotonic()) * 1000 + 1 if waits else None
            for fd, event in self.poller.poll(wait):
                if fd == 0:
                    self.take()
                elif fd == 1:
                    self.flush()
                elif fd in self.polled:
                    job, name = self.polled[fd]
                    if name == "status":
                        self.hear(job)
                    elif name == "in":
                        if event & select.POLLERR:
                            job.input.clear()
                        self.feed(job)
                    else:
                        self.pull(job, name)
            now = time.monotonic()
            for job in list(self.jobs.values()):
                if not job.keeper:
                    self.finish(job)
                elif job.deadline <= now:
                    self.kill(job, "timeout")

    def end(self) -> None:
        kill_descendants()
        for path in self.config.get("remove", ()):
            at, name = os.path.split(path)
            try:
                here = os.open(at, os.O_PATH | os.O_DIRECTORY)
                remove(name, here)
            except OSError:
                pass


def main() -> None:
    prctl(SET_DUMPABLE, 0, 0, 0, 0)
    prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for fd in (0, 1):
        os.set_blocking(fd, False)
        os.set_inheritable(fd, False)
    gc.freeze()
    resident = Resident()
    try:
        resident.serve()
    finally:
        resident.end()


if __name__ == "__main__":
    main()
