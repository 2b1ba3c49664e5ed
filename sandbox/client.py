"""Calls from the host to the resident program over any channel that reaches one."""

from __future__ import annotations

import functools
import json
import marshal
import queue
import struct
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sandbox.errors import SandboxBroken, SandboxError, UnsafePath

PROBE = Path(__file__).parent / "probe"

HEAD = struct.Struct(">IcI")
LENGTH = struct.Struct(">I")
_MODULES = ("resident_files", "keeper", "resident_jobs", "resident")
_BOOT = """import os,sys
b=b''
while len(b)<%d:b+=os.read(0,%d-len(b)) or sys.exit(1)
import marshal
for n,c in marshal.loads(b):
 m=sys.modules[n]=type(sys)(n)
 exec(c,m.__dict__)
sys.modules['resident'].main()"""

HEAD = struct.Struct(">IcI")
LENGTH = struct.Struct(">I")


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
class Reply:
    header: dict[str, Any]
    body: bytes


class Pending:
    """A call that waits for its reply, and what a started program has printed meanwhile."""

    def __init__(self) -> None:
        self.output: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.done = threading.Event()
        self.reply: Reply | None = None
        self.credit = threading.Condition()
        self.owed = 0


class Client:
    """Calls to one resident, from any number of threads."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._sending = threading.Lock()
        self._pending: dict[int, Pending] = {}
        self._numbers = 0
        self._lost: str | None = None
        self._reader = threading.Thread(target=self._listen, name="greendiff-resident", daemon=True)
        self._reader.start()

    @property
    def lost(self) -> bool:
        """Whether the resident has gone."""
        return self._lost is not None

    def call(self, header: dict[str, Any], *body: bytes) -> tuple[int, Pending]:
        """Send a call and return its number and the place of its reply."""
        pending = Pending()
        with self._sending:
            self._numbers += 1
            number = self._numbers
            self._pending[number] = pending
            if self._lost is not None:
                raise SandboxBroken(self._lost)
            text = json.dumps(header).encode()
            self._write(b"c", number, LENGTH.pack(len(text)) + text, *body)
        return number, pending

    def post(self, kind: bytes, number: int, payload: bytes = b"") -> None:
        """Send a frame that has no reply."""
        with self._sending:
            if self._lost is not None:
                raise SandboxBroken(self._lost)
            self._write(kind, number, payload)

    def _write(self, kind: bytes, number: int, *parts: bytes) -> None:
        try:
            self._channel.send(HEAD.pack(sum(map(len, parts)), kind, number), *parts)
        except OSError as error:
            raise SandboxBroken(self._gone(str(error))) from error

    def wait(self, pending: Pending, seconds: float) -> Reply:
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

    def ask(self, header: dict[str, Any], *body: bytes, seconds: float = 120.0) -> Reply:
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
            while len(buffer) >= HEAD.size:
                length, kind, number = HEAD.unpack_from(buffer)
                end = HEAD.size + length
                if len(buffer) < end:
                    break
                yield kind, number, bytes(memoryview(buffer)[HEAD.size : end])
                del buffer[:end]

    def _take(self, kind: bytes, number: int, payload: bytes) -> None:
        pending = self._pending.get(number)
        if pending is None:
            return
        if kind == b"o":
            pending.output.put(payload)
        elif kind == b"s":
            with pending.credit:
                pending.owed -= LENGTH.unpack(payload)[0]
                pending.credit.notify_all()
        else:
            size = LENGTH.unpack_from(payload)[0]
            header = json.loads(payload[LENGTH.size : LENGTH.size + size])
            pending.reply = Reply(header, payload[LENGTH.size + size :])
            self._pending.pop(number, None)
            self._settle(pending)

    @staticmethod
    def _settle(pending: Pending) -> None:
        pending.output.put(b"")
        with pending.credit:
            pending.done.set()
            pending.credit.notify_all()
