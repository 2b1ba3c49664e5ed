"""The embedded local model: a GGUF served by llama.cpp in a child of this process."""

from __future__ import annotations

import importlib.util
import json
import os
import queue
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import IO, Self

from agents.models.errors import CallCancelled, LocalModelError
from agents.models.tiers import Capabilities, Prices, Tier

_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "OMP_NUM_THREADS")
"""All that the server's process gets of ours; no key among it."""
_GGUF = b"GGUF"
_FREE = Decimal(0)


def available() -> str | None:
    """Return why no local model can be served here, None where one can."""
    if importlib.util.find_spec("xllamacpp") is None:
        return "the package xllamacpp is not installed: pip install 'greendiff[local]'"
    return None


class LocalServer:
    """A model served in a child process, which ends when this process does; a context manager."""

    def __init__(
        self, file: Path, *, name: str = "local", context: int = 16_384, parallel: int = 1, threads: int = 0
    ) -> None:
        """Serve `file`, with `context` tokens for each of `parallel` calls; 0 threads leaves it to llama.cpp."""
        self._file = file
        self._name = name
        self._context = context
        self._parallel = parallel
        self._threads = threads
        self._key = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._address = ""

    def __enter__(self) -> Self:
        """Start it; see `start`."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self.close()

    def start(self, *, seconds: float = 300.0, stop: Event | None = None) -> None:
        """Start the child and wait until the model is read into memory.

        Raises:
            LocalModelError: the package is missing, the file is none, or the child ended or did not answer in time.
            CallCancelled: `stop` was set.

        """
        missing = available()
        if missing is not None:
            raise LocalModelError(missing)
        try:
            with self._file.open("rb") as file:
                head = file.read(4)
        except OSError as error:
            raise LocalModelError(f"the model {self._file} cannot be read: {error.strerror}") from error
        if head != _GGUF:
            raise LocalModelError(f"{self._file} is not a GGUF model")
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        script = Path(__file__).with_name("local_server.py")
        self._process = subprocess.Popen(
            # -P keeps the script's folder, which is ours, off the child's path.
            [sys.executable, "-P", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            # Ctrl-C at the terminal is for us; the child ends by its pipe.
            start_new_session=True,
        )
        try:
            self._greet(self._process, seconds, stop)
        except BaseException:
            self.close()
            raise

    def _greet(self, process: subprocess.Popen[bytes], seconds: float, stop: Event | None) -> None:
        told = {
            "model": str(self._file),
            "alias": self._name,
            "context": self._context,
            "parallel": self._parallel,
            "threads": self._threads,
            "key": self._key,
        }
        if process.stdin is None or process.stdout is None:
            raise LocalModelError("the local model's process has no pipes")
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(told).encode() + b"\n")
            process.stdin.flush()
        line = _first_line(process.stdout, time.monotonic() + seconds, stop)
        if line is None:
            raise LocalModelError(f"the local model was not ready within {seconds:g} seconds")
        try:
            self._address = str(json.loads(line)["address"])
        except (ValueError, KeyError):
            process.wait(5)
            raise LocalModelError(f"the local model cannot be served: {self.log_end()}") from None

    def log_end(self) -> str:
        """Return the last lines of what the child said about itself."""
        if self._log is None:
            return "it says nothing"
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - 4000))
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        return " / ".join(lines[-3:]) or "it says nothing"

    @property
    def alive(self) -> bool:
        """Whether the child runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def tier(self) -> Tier:
        """The tier that it serves: free of charge, one call at a time for each slot.

        Raises:
            LocalModelError: it does not run.

        """
        if not self.alive:
            raise LocalModelError(f"the local model does not run: {self.log_end()}")
        return Tier(
            "local",
            f"{self._address}/v1",
            self._name,
            key=self._key,
            prices=Prices(_FREE, _FREE),
            capabilities=Capabilities(context=self._context, reasoning=False, json_schema=True),
            context_enforced=True,
            parallel=self._parallel,
        )

    def close(self) -> None:
        """End the child, by force where it does not go within two seconds."""
        process, self._process = self._process, None
        if process is not None:
            if process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if self._log is not None:
            self._log.close()
            self._log = None


def _first_line(stream: IO[bytes], end: float, stop: Event | None) -> bytes | None:
    """Return the first line, empty at the stream's end, None when the time is over."""
    box: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=lambda: box.put(_readline(stream)), daemon=True).start()
    while time.monotonic() < end:
        if stop is not None and stop.is_set():
            raise CallCancelled("starting the local model was cancelled")
        with suppress(queue.Empty):
            return box.get(timeout=0.1)
    return None


def _readline(stream: IO[bytes]) -> bytes:
    try:
        return stream.readline()
    except ValueError:
        return b""
