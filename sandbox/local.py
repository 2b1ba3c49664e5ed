"""The local backend: plain processes in a temporary folder, for code that is trusted."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from sandbox import furnishing
from sandbox.errors import EnvironmentFailed, SandboxUnavailable
from sandbox.limits import Limits
from sandbox.owners import owned_folder, reap_folders, remove_folder
from sandbox.protocol import Environment, EnvironmentDefinition, Guarantee, Progress
from sandbox.resident import PROBE, Client, Place, ResidentWorkspace, program
from sandbox.tree import Entry, Tree

_NOT_HERE = "Local processes run with your own rights on this machine; use the docker or bubblewrap backend."


class PipeChannel:
    """A resident behind the pipes of a child process."""

    def __init__(self, process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
        """Take over `process`, whose error stream goes to the file `errors`."""
        if process.stdin is None or process.stdout is None:
            raise AssertionError("pipes were asked for")
        self._process = process
        self._errors = errors
        self._input, self._output = process.stdin, process.stdout
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
            try:
                self._process.wait(10.0)
            except subprocess.TimeoutExpired:
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


class LocalSandbox:
    """See `sandbox.protocol.Sandbox`; `promises` says how little this isolates."""

    name = "local"

    def __init__(self) -> None:
        self._open: dict[str, ResidentWorkspace] = {}

    def promises(self) -> Mapping[Guarantee, str | None]:
        kept: tuple[Guarantee, ...] = (
            "file-size", "wall-clock", "process-tree-killed", "output-bounded", "gone-after-sigkill",
        )  # fmt: skip
        lacking: tuple[Guarantee, ...] = (
            "no-network", "non-root", "read-only-root", "memory", "pids", "cpu", "disk", "host-files-hidden",
        )  # fmt: skip
        return dict.fromkeys(kept) | dict.fromkeys(lacking, _NOT_HERE)

    def prepare(self, definition: EnvironmentDefinition, progress: Progress) -> Environment:
        interpreter = furnishing.inspect(definition.interpreter or furnishing.own_base())
        digest = furnishing.environment_digest(self.name, definition, interpreter)
        folder = furnishing.cache_folder() / "environments" / digest[:32]
        if found := furnishing.finished(folder):
            return found
        try:
            with furnishing.locked(folder.with_name(f"{folder.name}.lock")):
                if found := furnishing.finished(folder):
                    return found
                remove_folder(folder)
                folder.mkdir(parents=True)
                pip = furnishing.pip_settings()
                supplies = str(furnishing.supplies())
                order = furnishing.furnish_order(definition, interpreter, pip, folder=str(folder), supplies_at=supplies)
                env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
                for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONPYCACHEPREFIX", "VIRTUAL_ENV"):
                    env.pop(name, None)
                argv = [interpreter.base, "-I", str(PROBE / "furnish.py")]
                versions = furnishing.furnish(argv, order, progress, env)
                return furnishing.finish(folder, Environment(digest, self.name, str(folder), versions))
        except OSError as error:
            raise EnvironmentFailed(f"The environment could not be made: {error}.") from error

    def open(self, tree: Tree, environment: Environment, limits: Limits | None = None) -> ResidentWorkspace:
        limits = limits or Limits()
        reap_folders()
        try:
            folder = owned_folder()
        except OSError as error:
            raise SandboxUnavailable(f"No temporary folder can be made: {error.strerror}.") from error
        try:
            return self._opened(folder, tree, environment, limits)
        except BaseException:
            remove_folder(folder)
            raise

    def _opened(self, folder: Path, tree: Tree, environment: Environment, limits: Limits) -> ResidentWorkspace:
        for name in ("work", "probe", "home", "tmp"):
            (folder / name).mkdir()
        for name, entry in probe_entries().items():
            (folder / "probe" / name).write_bytes(entry.data)
            (folder / "probe" / name).chmod(0o444)
        (folder / "probe").chmod(0o555)
        errors = (folder / "errors").open("w+b")
        arguments, sent = program(platform.python_version())
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=0,
            env={},
            start_new_session=True,
        )
        channel = PipeChannel(process, errors)
        channel.send(sent)
        client = Client(channel)
        venv = f"{environment.reference}/venv"
        place = Place(
            root=str(folder / "work"),
            probe=str(folder / "probe"),
            python=f"{venv}/bin/python",
            env=command_environment(
                venv, f"{environment.reference}/pycache", str(folder / "home"), str(folder / "tmp")
            ),
            remove=(str(folder),),
        )

        def closed() -> None:
            channel.release()
            self._open.pop(workspace.id, None)
            remove_folder(folder)

        workspace = ResidentWorkspace(
            folder.name, client, place, limits, again=lambda: self.open(tree, environment, limits), closed=closed
        )
        self._open[workspace.id] = workspace
        try:
            workspace.fill(tree, {})
        except BaseException:
            workspace.close()
            raise
        return workspace

    def reap(self) -> int:
        return reap_folders()

    def close(self) -> None:
        for workspace in list(self._open.values()):
            workspace.close()


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
