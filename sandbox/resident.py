"""The host's side of the resident program: a workspace over any channel that reaches one."""

from __future__ import annotations

import functools
import json
import marshal
import queue
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self, cast

from sandbox.errors import SandboxBroken, SandboxError, UnsafePath
from sandbox.limits import Limits
from sandbox.protocol import Command, Completed, Ended, Workspace
from sandbox.tree import Entry, Tree, checked_path

PROBE = Path(__file__).parent / "probe"

_MODULES = ("resident_files", "keeper", "resident")
_BOOT = """import os,sys
b=b''
while len(b)<%d:b+=os.read(0,%d-len(b)) or sys.exit(1)
import marshal
for n,c in marshal.loads(b):
 m=sys.modules[n]=type(sys)(n)
 exec(c,m.__dict__)
sys.modules['resident'].main()"""

_HEAD = struct.Struct(">IcI")
_LENGTH = struct.Struct(">I")
_BATCH = 8 * 1024 * 1024
_WINDOW = 1024 * 1024
_GRACE = 30.0
"""Seconds beyond a command's own limit after which a silent resident counts as lost."""


@functools.cache
def program(python_version: str, bytecode: str | None = None) -> tuple[list[str], bytes]:
    """Return the arguments of the interpreter of that version which make it a resident, and what it must be sent first.

    It comes over standard input, so that nothing of it lies where commands could change it; as bytecode where the
    versions agree, which spares it some 20 ms. `bytecode` is the folder, there, of the standard library's own.
    """
    codes: list[tuple[str, Any]] = []
    same = python_version.split(".")[:2] == [str(part) for part in sys.version_info[:2]]
    for name in _MODULES:
        source = (PROBE / f"{name}.py").read_text("utf-8")
        codes.append((name, compile(source, f"{name}.py", "exec", dont_inherit=True) if same else source))
    # Version 2 of the format is the one that every Python reads.
    sent = marshal.dumps(codes, 2)
    prefix = ["-X", f"pycache_prefix={bytecode}"] if bytecode else []
    return ["-I", "-S", "-X", "utf8", *prefix, "-c", _BOOT % (len(sent), len(sent))], sent


class Channel(Protocol):
    """A duplex stream of bytes to a resident."""

    def send(self, *parts: bytes) -> None:
        """Write all parts; raises OSError where the other side has gone."""
        ...

    def receive(self) -> bytes:
        """Return the next bytes, b"" at the end."""
        ...

    def close(self) -> None:
        """Release the resident; it ends everything that it started."""
        ...

    def complaint(self) -> str:
        """Return what the resident said last on its error stream, for a message."""
        ...


@dataclass(slots=True)
class _Reply:
    header: dict[str, Any]
    body: bytes


class _Pending:
    """A call that waits for its reply, and what a started program has printed meanwhile."""

    def __init__(self) -> None:
        self.output: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.done = threading.Event()
        self.reply: _Reply | None = None
        self.credit = threading.Condition()
        self.owed = 0


class Client:
    """Calls to one resident, from any number of threads."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._sending = threading.Lock()
        self._pending: dict[int, _Pending] = {}
        self._numbers = 0
        self._lost: str | None = None
        self._reader = threading.Thread(target=self._listen, name="greendiff-resident", daemon=True)
        self._reader.start()

    @property
    def lost(self) -> bool:
        """Whether the resident has gone."""
        return self._lost is not None

    def call(self, header: dict[str, Any], *body: bytes) -> tuple[int, _Pending]:
        """Send a call and return its number and the place of its reply."""
        pending = _Pending()
        with self._sending:
            self._numbers += 1
            number = self._numbers
            self._pending[number] = pending
            if self._lost is not None:
                raise SandboxBroken(self._lost)
            text = json.dumps(header).encode()
            self._write(b"c", number, _LENGTH.pack(len(text)) + text, *body)
        return number, pending

    def post(self, kind: bytes, number: int, payload: bytes = b"") -> None:
        """Send a frame that has no reply."""
        with self._sending:
            if self._lost is not None:
                raise SandboxBroken(self._lost)
            self._write(kind, number, payload)

    def _write(self, kind: bytes, number: int, *parts: bytes) -> None:
        try:
            self._channel.send(_HEAD.pack(sum(map(len, parts)), kind, number), *parts)
        except OSError as error:
            raise SandboxBroken(self._gone(str(error))) from error

    def wait(self, pending: _Pending, seconds: float) -> _Reply:
        """Return the reply.

        Raises:
            SandboxBroken: the resident has gone, or said nothing for `seconds`.
            UnsafePath, FileNotFoundError: as the resident says.

        """
        if not pending.done.wait(seconds):
            self._give_up(f"The sandbox did not answer within {seconds:.0f} seconds.")
        reply = pending.reply
        if reply is None:
            raise SandboxBroken(self._lost or "The sandbox has gone.")
        match reply.header.get("error"):
            case None:
                return reply
            case "missing":
                raise FileNotFoundError(reply.header["message"])
            case "unsafe":
                raise UnsafePath(reply.header["message"])
            case _:
                raise SandboxError(f"The sandbox could not do it: {reply.header['message']}")

    def ask(self, header: dict[str, Any], *body: bytes, seconds: float = 120.0) -> _Reply:
        """Call and wait; raises as `wait` does."""
        return self.wait(self.call(header, *body)[1], seconds)

    def close(self) -> None:
        """Let the resident go; calls that still wait are told that it has gone."""
        self._give_up("The workspace is closed.")

    def _give_up(self, reason: str) -> None:
        if self._lost is None:
            self._lost = reason
        self._channel.close()
        if threading.current_thread() is not self._reader:
            self._reader.join(10.0)

    def _gone(self, cause: str) -> str:
        said = self._channel.complaint().strip().splitlines()
        detail = said[-1] if said else cause
        return f"The sandbox went away while it was in use{': ' + detail if detail else ''}."

    def _listen(self) -> None:
        cause = ""
        try:
            for kind, number, payload in self._frames():
                self._take(kind, number, payload)
        except (OSError, ValueError) as error:
            cause = str(error)
        if self._lost is None:
            self._lost = self._gone(cause)
        for pending in list(self._pending.values()):
            self._settle(pending)

    def _frames(self) -> Iterator[tuple[bytes, int, bytes]]:
        buffer = bytearray()
        while data := self._channel.receive():
            buffer += data
            while len(buffer) >= _HEAD.size:
                length, kind, number = _HEAD.unpack_from(buffer)
                end = _HEAD.size + length
                if len(buffer) < end:
                    break
                yield kind, number, bytes(memoryview(buffer)[_HEAD.size : end])
                del buffer[:end]

    def _take(self, kind: bytes, number: int, payload: bytes) -> None:
        pending = self._pending.get(number)
        if pending is None:
            return
        if kind == b"o":
            pending.output.put(payload)
        elif kind == b"s":
            with pending.credit:
                pending.owed -= _LENGTH.unpack(payload)[0]
                pending.credit.notify_all()
        else:
            size = _LENGTH.unpack_from(payload)[0]
            header = json.loads(payload[_LENGTH.size : _LENGTH.size + size])
            pending.reply = _Reply(header, payload[_LENGTH.size + size :])
            self._pending.pop(number, None)
            self._settle(pending)

    @staticmethod
    def _settle(pending: _Pending) -> None:
        pending.output.put(b"")
        with pending.credit:
            pending.done.set()
            pending.credit.notify_all()


def _completed(reply: _Reply, *, streamed: bool) -> Completed:
    header, cut = reply.header, reply.header["out"]
    return Completed(
        exit_code=header["code"],
        stdout=b"" if streamed else reply.body[:cut],
        stderr=reply.body[cut:],
        ended=cast(Ended, header["ended"]),
        seconds=header["seconds"],
        stdout_dropped=header["out_dropped"],
        stderr_dropped=header["err_dropped"],
    )


class ResidentProcess:
    """A started program; see `sandbox.protocol.Process`."""

    def __init__(self, client: Client, number: int, pending: _Pending) -> None:
        self._client = client
        self._number = number
        self._pending = pending
        self._finished = False
        self._completed: Completed | None = None

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            with self._pending.credit:
                while self._pending.owed >= _WINDOW and not self._pending.done.is_set():
                    self._pending.credit.wait()
                if self._pending.done.is_set():
                    if self._client.lost:
                        raise SandboxBroken("The sandbox went away while it was in use.")
                    return
                part = view[:_WINDOW]
                self._pending.owed += len(part)
            self._client.post(b"i", self._number, bytes(part))
            view = view[len(part) :]

    def receive(self, timeout: float) -> bytes:
        if self._finished:
            return b""
        try:
            data = self._pending.output.get(timeout=max(0.0, timeout))
        except queue.Empty:
            raise TimeoutError(f"nothing was printed for {timeout:.3g} seconds") from None
        if data:
            if not self._pending.done.is_set():
                self._client.post(b"a", self._number, _LENGTH.pack(len(data)))
            return data
        self._finished = True
        if self._pending.reply is None:
            self._client.wait(self._pending, 0)
        return b""

    def close(self) -> Completed:
        if self._completed is None:
            if not self._pending.done.is_set():
                self._client.post(b"k", self._number)
            self._completed = _completed(self._client.wait(self._pending, _GRACE), streamed=True)
        return self._completed


Kind = Literal["file", "program", "symlink", "gone", "more"]


def _parts(changes: Mapping[str, Entry | None]) -> Iterator[tuple[dict[str, Any], memoryview]]:
    for path, entry in changes.items():
        kind: Kind = "gone"
        data = memoryview(b"")
        if entry is not None:
            data = memoryview(entry.data)
            kind = "symlink" if entry.kind == "symlink" else "program" if entry.executable else "file"
        while True:
            yield {"path": path, "kind": kind, "size": len(data[:_BATCH])}, data[:_BATCH]
            data, kind = data[_BATCH:], "more"
            if not data:
                break


def batches(changes: Mapping[str, Entry | None]) -> Iterator[tuple[list[dict[str, Any]], bytes]]:
    """Cut `changes`, deletions first, into calls of bounded size."""
    entries: list[dict[str, Any]] = []
    bodies: list[memoryview] = []
    size = 0
    for entry, data in _parts(dict(sorted(changes.items(), key=lambda item: item[1] is not None))):
        if entries and (size + len(data) > _BATCH or len(entries) >= 4096):
            yield entries, b"".join(bodies)
            entries, bodies, size = [], [], 0
        entries.append(entry)
        bodies.append(data)
        size += len(data)
    if entries:
        yield entries, b"".join(bodies)


@dataclass(frozen=True, slots=True)
class Place:
    """Where things lie in a workspace, and what its commands' environment is."""

    root: str
    probe: str
    python: str
    env: Mapping[str, str]
    uid: int | None = None
    """Whom commands run as where the resident is root; None leaves everyone as they are."""
    ooms: tuple[str | int, ...] = ()
    """Files, or inherited descriptors, in one of which the kernel counts kills for memory."""
    rlimits: Mapping[str, int] = field(default_factory=dict)
    """Further limits of every process, by the part of their names after `RLIMIT_`."""
    folders: tuple[str, ...] = ()
    """Made at the start, as commands' own."""
    remove: tuple[str, ...] = ()
    """What the resident removes when it ends."""


class ResidentWorkspace:
    """A workspace whose every operation is a call to a resident; see `sandbox.protocol.Workspace`."""

    def __init__(
        self,
        identifier: str,
        client: Client,
        place: Place,
        limits: Limits,
        *,
        again: Callable[[], Workspace],
        closed: Callable[[], None],
    ) -> None:
        self._id = identifier
        self._client = client
        self._place = place
        self._limits = limits
        self._again = again
        self._closed = closed
        self._closing = threading.Lock()
        self._is_closed = False

    @property
    def id(self) -> str:
        return self._id

    @property
    def root(self) -> str:
        return self._place.root

    @property
    def probe(self) -> str:
        return self._place.probe

    @property
    def python(self) -> str:
        return self._place.python

    def fill(self, tree: Tree, probe: Mapping[str, Entry]) -> None:
        """Greet the resident and write the tree and, as its own, the files of the probe folder."""
        place, limits = self._place, self._limits
        rlimits = {"CORE": 0, "FSIZE": limits.file_bytes, "NOFILE": limits.open_files, **place.rlimits}
        hello: dict[str, Any] = {"op": "hello", "uid": place.uid, "rlimits": rlimits}
        hello |= {"ooms": place.ooms, "remove": place.remove, "folders": place.folders}
        calls = [self._client.call(hello)[1]]
        for own, root, changes in ((True, place.probe, probe), (False, place.root, tree)):
            for entries, body in batches(changes):
                header = {"op": "write", "root": root, "entries": entries, "own": own}
                calls.append(self._client.call(header, body)[1])
        for call in calls:
            self._client.wait(call, 120.0)

    def _call(self, command: Command, *, streams: bool) -> tuple[int, _Pending, float]:
        cwd = self._place.root if command.cwd == "." else f"{self._place.root}/{checked_path(command.cwd)}"
        seconds = self._limits.wall_seconds if command.wall_seconds is None else command.wall_seconds
        header = {
            "op": "run",
            "argv": list(command.argv),
            "cwd": cwd,
            "env": {**self._place.env, **command.env},
            "streams": streams,
            "output": self._limits.output_bytes,
            "seconds": seconds,
        }
        return (*self._client.call(header, command.stdin), seconds)

    def run(self, command: Command) -> Completed:
        number, pending, seconds = self._call(command, streams=False)
        try:
            return _completed(self._client.wait(pending, seconds + _GRACE), streamed=False)
        except BaseException:
            if not pending.done.is_set() and not self._client.lost:
                self._client.post(b"k", number)
            raise

    def start(self, command: Command) -> ResidentProcess:
        number, pending, _ = self._call(command, streams=True)
        return ResidentProcess(self._client, number, pending)

    def read(self, path: str, limit: int = 64 * 1024 * 1024) -> bytes:
        header = {"op": "read", "root": self._place.root, "path": checked_path(path), "limit": limit}
        return self._client.ask(header).body

    def write(self, changes: Mapping[str, Entry | None]) -> None:
        for path in changes:
            checked_path(path)
        for entries, body in batches(changes):
            self._client.ask({"op": "write", "root": self._place.root, "entries": entries, "own": False}, body)

    def fork(self) -> Workspace:
        return self._again()

    def close(self) -> None:
        with self._closing:
            if not self._is_closed:
                self._is_closed = True
                self._client.close()
                self._closed()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()
