"""Reads many files, in child processes where there are enough of them."""

from __future__ import annotations

import contextlib
import marshal
import os
import queue
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from agents.context.facts import FileFacts
from agents.context.reading import read_bytes, read_file
from sandbox.tree import Tree

WORTH_BYTES = 3_000_000
"""Sources smaller than this together are read before children would have started."""
_BATCH = 400_000
_MOST_WORKERS = 4
_LENGTH = struct.Struct(">Q")
_ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from agents.context.workers import serve; serve()"


def read_all(tree: Tree, paths: Sequence[str]) -> Iterator[tuple[str, FileFacts]]:
    """Yield each path with its facts, always in the order of `paths`.

    Children are only a matter of speed: where they cannot be started or end early, the files are read here.
    """
    workers = min(_MOST_WORKERS, len(os.sched_getaffinity(0)))
    if workers < 2 or sum(len(tree[path].data) for path in paths) < WORTH_BYTES:
        for path in paths:
            yield path, read_file(path, tree[path])
        return
    batches = _batches(tree, paths)
    with contextlib.closing(_Team(tree, batches, workers)) as team:
        for number, batch in enumerate(batches):
            facts = team.result(number)
            for place, path in enumerate(batch):
                yield path, facts[place] if facts is not None else read_file(path, tree[path])


def _batches(tree: Tree, paths: Sequence[str]) -> list[list[str]]:
    batches: list[list[str]] = [[]]
    size = 0
    for path in paths:
        size += len(tree[path].data) + 200
        batches[-1].append(path)
        if size > _BATCH:
            batches.append([])
            size = 0
    return [batch for batch in batches if batch]


class _Team:
    """Children that read batches ahead, a bounded number of them, and threads that talk to the children."""

    def __init__(self, tree: Tree, batches: Sequence[Sequence[str]], workers: int) -> None:
        self._tree, self._batches = tree, batches
        self._waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(len(batches)):
            self._waiting.put(number)
        self._done: dict[int, list[FileFacts] | None] = {}
        self._changed = threading.Condition()
        self._ahead = threading.Semaphore(4 * workers)
        self._closed = False
        self._children: list[subprocess.Popen[bytes]] = []
        self._threads = [threading.Thread(target=self._talk, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def result(self, number: int) -> list[FileFacts] | None:
        """Return a batch's facts, or None where it has to be read here."""
        with self._changed:
            while number not in self._done:
                # Threads that have all ended cannot deliver any more.
                if not self._changed.wait(1.0) and not any(thread.is_alive() for thread in self._threads):
                    return self._done.pop(number, None)
            self._ahead.release()
            return self._done.pop(number)

    def close(self) -> None:
        """End the children."""
        self._closed = True
        for _ in self._threads:
            self._ahead.release()
        for child in list(self._children):
            with contextlib.suppress(OSError):
                child.kill()
        for thread in self._threads:
            thread.join(5.0)

    def _talk(self) -> None:
        child: subprocess.Popen[bytes] | None = None
        try:
            while True:
                self._ahead.acquire()
                if self._closed:
                    return
                try:
                    number = self._waiting.get_nowait()
                except queue.Empty:
                    return
                facts: list[FileFacts] | None = None
                try:
                    child = child or self._start()
                    facts = self._exchange(child, number)
                except (OSError, EOFError, ValueError, TypeError):
                    # This child is of no more use; the batch is read by who asks for it.
                    if child is not None:
                        child.kill()
                        _end(child)
                    child = None
                with self._changed:
                    self._done[number] = facts
                    self._changed.notify_all()
        finally:
            if child is not None:
                _end(child)

    def _start(self) -> subprocess.Popen[bytes]:
        # Isolated: neither the working folder nor PYTHON* variables say what is imported.
        argv = [sys.executable, "-I", "-c", _PROGRAM, str(_ROOT)]
        child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._children.append(child)
        return child

    def _exchange(self, child: subprocess.Popen[bytes], number: int) -> list[FileFacts]:
        if child.stdin is None or child.stdout is None:
            raise EOFError
        batch = [(os.fsencode(path), self._tree[path].data, self._tree[path].kind) for path in self._batches[number]]
        _send(child.stdin, batch)
        rows = _receive(child.stdout)
        facts = [FileFacts(*row) for row in rows]
        if len(facts) != len(batch):
            raise EOFError
        return facts


def _end(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        if child.stdin is not None:
            child.stdin.close()
    try:
        child.wait(5.0)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdout is not None:
        child.stdout.close()


def _send(stream: IO[bytes], value: Any) -> None:
    data = marshal.dumps(value)
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def _receive(stream: IO[bytes]) -> Any:
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    # Only our own children write here: they read sources, and run nothing of them.
    return marshal.loads(data)  # noqa: S302


def serve() -> None:
    """Read batches from standard input and answer with facts, until the input ends."""
    source, target = sys.stdin.buffer, sys.stdout.buffer
    # Nothing else may write into the answers.
    sys.stdout = sys.stderr
    while True:
        try:
            batch = _receive(source)
        except EOFError:
            return
        rows = []
        for path, data, kind in batch:
            name = os.fsdecode(path)
            facts = read_bytes(name, data) if kind == "file" else FileFacts("", 0, (), (), {}, (), "link")
            rows.append((facts.language, facts.lines, facts.symbols, facts.imports, dict(facts.uses), facts.chunks,
                         facts.skipped))  # fmt: skip
        _send(target, rows)
