"""Residents behind the pipes of a child process, and what every backend gives to commands."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import tempfile
import threading
from collections.abc import Mapping

from sandbox.errors import SandboxUnavailable
from sandbox.resident import PROBE
from sandbox.tree import Entry


class _Handle:
    """A descriptor that is readable when a process has ended."""

    def __init__(self, pid: int) -> None:
        self._fd = os.pidfd_open(pid)

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        os.close(self._fd)


class PipeChannel:
    """A resident behind the pipes of a child process."""

    def __init__(self, argv: list[str], keep: tuple[int, ...] = ()) -> None:
        """Start `argv` with an empty environment in a session of its own; it inherits the descriptors `keep`.

        Raises:
            SandboxUnavailable: it cannot be started.

        """
        # Without a name: nothing of it is left, however this process ends.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `release`)
        try:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,
                env={},
                start_new_session=True,
                pass_fds=keep,
            )
        except OSError as error:
            self._errors.close()
            raise SandboxUnavailable(f"{argv[0]} cannot be started: {error.strerror}.") from error
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("pipes were asked for")
        self._input, self._output = self._process.stdin, self._process.stdout
        self._closing = threading.Lock()

    def send(self, *parts: bytes) -> None:
        try:
            for part in parts:
                view = memoryview(part)
                while view:
                    view = view[os.write(self._input.fileno(), view) :]
        except ValueError as error:
            raise BrokenPipeError("closed") from error

    def receive(self) -> bytes:
        try:
            return os.read(self._output.fileno(), 1 << 20)
        except ValueError:
            return b""

    def close(self) -> None:
        with self._closing:
            with contextlib.suppress(OSError):
                self._input.close()
            if self._process.returncode is None:
                # `wait` with a limit would look only every so often. It may be gone and collected already.
                with contextlib.suppress(ProcessLookupError), contextlib.closing(_Handle(self._process.pid)) as handle:
                    if not select.select([handle], [], [], 10.0)[0]:
                        self._process.kill()
            self._process.wait()

    def release(self) -> None:
        """Close what is left when nothing reads any more."""
        self._output.close()
        self._errors.close()

    def complaint(self) -> str:
        try:
            size = os.fstat(self._errors.fileno()).st_size
            return os.pread(self._errors.fileno(), 4096, max(0, size - 4096)).decode("utf-8", "replace")
        except (OSError, ValueError):
            return ""


def probe_entries() -> Mapping[str, Entry]:
    """Return the files of the probe folder, which every workspace gets read-only."""
    return {path.name: Entry(path.read_bytes()) for path in sorted(PROBE.glob("*.py"))}


def command_environment(venv: str, pycache: str, home: str, temporary: str) -> dict[str, str]:
    """Return the whole environment of commands: small, fixed, nothing inherited."""
    return {
        "PATH": f"{venv}/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": home,
        "TMPDIR": temporary,
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "VIRTUAL_ENV": venv,
        "PYTHONDONTWRITEBYTECODE": "1",
        # Sealed bytecode of the environment's own modules and of nothing else, so that none can be stale or planted.
        "PYTHONPYCACHEPREFIX": pycache,
    }
