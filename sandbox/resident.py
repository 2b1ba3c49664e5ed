"""The host's side of the resident program: a workspace over any channel that reaches one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self, cast

from sandbox.client import LENGTH, PROBE, Channel, Client, Pending, Reply, program
from sandbox.errors import SandboxBroken
from sandbox.limits import Limits
from sandbox.protocol import Command, Completed, Ended, Workspace
from sandbox.tree import Entry, Tree, checked_path

__all__ = ["PROBE", "Channel", "Client", "Place", "ResidentProcess", "ResidentWorkspace", "batches", "program"]

_BATCH = 8 * 1024 * 1024
_WINDOW = 1024 * 1024
_GRACE = 30.0
"""Seconds beyond a command's own limit after which a silent resident counts as lost."""


def _completed(reply: Reply, *, streamed: bool) -> Completed:
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

    def __init__(self, client: Client, number: int, pending: Pending) -> None:
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
                self._client.post(b"a", self._number, LENGTH.pack(len(data)))
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

    def _call(self, command: Command, *, streams: bool) -> tuple[int, Pending, float]:
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
