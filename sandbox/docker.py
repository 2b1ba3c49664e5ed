"""The Docker backend: one hardened container a workspace, with the resident as its first process."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests
from docker.utils import kwargs_from_env

from sandbox.containers import Images, container_settings, place_in_container
from sandbox.errors import SandboxBroken, SandboxUnavailable
from sandbox.images import HOME
from sandbox.limits import Limits
from sandbox.owners import is_dead
from sandbox.pipes import probe_entries
from sandbox.protocol import Environment, EnvironmentDefinition, Guarantee, Progress
from sandbox.resident import Client, ResidentWorkspace, program
from sandbox.tree import Tree

_FRAME = struct.Struct(">BxxxI")
_LABEL = "greendiff.owner"
_FIRST_ASKED = "1.24"
"""The oldest version of the daemon's interface that the SDK speaks; only asks for the daemon's own."""


class AttachedChannel:
    """A resident behind a container's attached streams, which Docker multiplexes on one socket."""

    def __init__(self, attached: Any) -> None:
        """Take over what `attach_socket` returned."""
        self._attached = attached
        self._socket: Any = getattr(attached, "_sock", attached)
        self._socket.settimeout(None)
        self._buffer = bytearray()
        self._said = b""

    def send(self, *parts: bytes) -> None:
        data = b"".join(parts) if sum(map(len, parts)) < 65536 else None
        for part in parts if data is None else (data,):
            self._socket.sendall(part)

    def receive(self) -> bytes:
        while True:
            data = self._socket.recv(1 << 18)
            if not data:
                return b""
            self._buffer += data
            if taken := self._demultiplexed():
                return taken

    def _demultiplexed(self) -> bytes:
        parts, at = [], 0
        with memoryview(self._buffer) as view:
            while len(view) - at >= _FRAME.size:
                kind, length = _FRAME.unpack_from(view, at)
                end = at + _FRAME.size + length
                if end > len(view):
                    break
                part = bytes(view[at + _FRAME.size : end])
                if kind == 2:
                    self._said = (self._said + part)[-4096:]
                else:
                    parts.append(part)
                at = end
        del self._buffer[:at]
        return b"".join(parts)

    def close(self) -> None:
        # Shut down, not only closed: Docker's side of a half-closed stream otherwise stays.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Close what is left when nothing reads any more."""
        with contextlib.suppress(OSError):
            self._socket.close()
        with contextlib.suppress(OSError, AttributeError, ValueError):
            self._attached.close()
            # The SDK keeps the answer alive through the socket.
            self._attached._response.close()  # noqa: SLF001

    def complaint(self) -> str:
        return self._said.decode("utf-8", "replace")


class Daemon:
    """The daemon's interface for several threads, with the SDK's errors turned into ours."""

    def __init__(self) -> None:
        self._idle: list[docker.APIClient] = []
        self._lock = threading.Lock()
        self._version: str | None = None

    @contextmanager
    def client(self, timeout: int = 120) -> Iterator[docker.APIClient]:
        """Lend a client.

        Raises:
            SandboxUnavailable: no daemon answers.
            SandboxBroken: it answers with an error.

        """
        with self._lock:
            client = self._idle.pop() if self._idle else None
        try:
            if client is None:
                client = self._new(timeout)
            client.timeout = timeout
            yield client
        except (requests.exceptions.RequestException, docker.errors.DockerException) as error:
            if client is not None:
                client.close()
                client = None
            raise translated(error) from error
        finally:
            if client is not None:
                with self._lock:
                    self._idle.append(client)

    def _new(self, timeout: int) -> docker.APIClient:
        settings: dict[str, Any] = {**kwargs_from_env()}
        rootless = Path(os.environ.get("XDG_RUNTIME_DIR", "/nowhere"), "docker.sock")
        if "base_url" not in settings and not Path("/var/run/docker.sock").exists() and rootless.exists():
            settings["base_url"] = f"unix://{rootless}"
        if self._version is None:
            _reach(str(settings.get("base_url") or "unix:///var/run/docker.sock"), timeout)
            # Asked here and not by the SDK's `auto`, which leaves its connection open where that fails.
            with contextlib.closing(docker.APIClient(version=_FIRST_ASKED, timeout=timeout, **settings)) as asking:
                answer: dict[str, Any] = asking.version(api_version=False)
                self._version = str(answer["ApiVersion"])
        return docker.APIClient(version=self._version, timeout=timeout, **settings)

    def close(self) -> None:
        """Close the clients that nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for client in idle:
            client.close()


_DENIED = "You may not use the Docker daemon: add yourself to the group docker, or use rootless."
_ABSENT = "No Docker daemon answers: start one, or set DOCKER_HOST."


def _reach(url: str, timeout: float) -> None:
    """Connect to a local daemon and hang up: the SDK would leave its socket open where nobody answers.

    Raises:
        SandboxUnavailable: nobody does, or not to this user.

    """
    if not url.startswith(("unix://", "http+unix://")):
        return
    with socket.socket(socket.AF_UNIX) as trial:
        trial.settimeout(timeout)
        try:
            trial.connect(url.partition("://")[2])
        except PermissionError as error:
            raise SandboxUnavailable(_DENIED) from error
        except OSError as error:
            raise SandboxUnavailable(_ABSENT) from error


def translated(error: Exception) -> SandboxUnavailable | SandboxBroken:
    """Return the SDK's error as one of ours, in a sentence that says what to do."""
    if isinstance(error, docker.errors.APIError):
        return SandboxBroken(f"The Docker daemon refused: {error.explanation or error}.")
    causes = str(error)
    if "Permission denied" in causes or "PermissionError" in causes:
        return SandboxUnavailable(
            "You may not use the Docker daemon: add yourself to the group docker, or use rootless."
        )
    if isinstance(error, requests.exceptions.Timeout) or "timed out" in causes:
        return SandboxUnavailable("The Docker daemon does not answer in time.")
    return SandboxUnavailable(_ABSENT)


class DockerSandbox:
    """See `sandbox.protocol.Sandbox`."""

    name = "docker"

    def __init__(self, answer_seconds: int = 5) -> None:
        """Connect.

        Raises:
            SandboxUnavailable: no daemon answers within `answer_seconds`.

        """
        self._daemon = Daemon()
        with self._daemon.client(answer_seconds) as client:
            self._info: Mapping[str, Any] = client.info()
        self._images = Images(self._daemon.client, self._workspace)
        self._open: dict[str, ResidentWorkspace] = {}

    def promises(self) -> Mapping[Guarantee, str | None]:
        kept: tuple[Guarantee, ...] = (
            "no-network", "non-root", "read-only-root", "disk", "file-size", "wall-clock", "process-tree-killed",
            "output-bounded", "host-files-hidden", "gone-after-sigkill",
        )  # fmt: skip
        bounded: dict[Guarantee, str] = {"memory": "MemoryLimit", "pids": "PidsLimit", "cpu": "CpuCfsQuota"}
        lacking = {
            name: None if self._info.get(key) else f"This daemon cannot bound it: the kernel or cgroups lack {key}."
            for name, key in bounded.items()
        }
        return dict.fromkeys(kept) | lacking

    def prepare(self, definition: EnvironmentDefinition, progress: Progress) -> Environment:
        return self._images.prepare(definition, progress)

    def open(self, tree: Tree, environment: Environment, limits: Limits | None = None) -> ResidentWorkspace:
        limits = limits or Limits()
        self.reap()
        settings = container_settings(limits, sealed=True)
        return self._workspace(environment.reference, self._images.python(environment), settings, limits, tree)

    def _workspace(
        self, image: str, python: tuple[str, str], settings: Mapping[str, Any], limits: Limits, tree: Tree
    ) -> ResidentWorkspace:
        place = place_in_container()
        arguments, sent = program(python[1], f"{HOME}/pycache")
        with self._daemon.client() as client:
            made: dict[str, Any] = client.create_container_from_config(  # type: ignore[no-untyped-call]
                {**settings, "Image": image, "Cmd": [python[0], *arguments], "Entrypoint": None}
            )
            name = made["Id"]
            try:
                attached = client.attach_socket(
                    name, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1, "logs": 0}
                )
                client.start(name)
            except BaseException:
                self._remove(client, name)
                raise
        channel = AttachedChannel(attached)
        resident: Client

        def closed() -> None:
            channel.release()
            with self._daemon.client() as client:
                self._remove(client, name)
            self._open.pop(name, None)

        try:
            channel.send(sent)
        except OSError as error:
            closed()
            raise SandboxBroken("The container ended at once.") from error
        resident = Client(channel)
        again: Callable[[], ResidentWorkspace] = lambda: self._workspace(image, python, settings, limits, tree)  # noqa: E731
        workspace = ResidentWorkspace(name[:12], resident, place, limits, again=again, closed=closed)
        self._open[name] = workspace
        try:
            workspace.fill(tree, probe_entries())
        except BaseException:
            workspace.close()
            raise
        return workspace

    @staticmethod
    def _remove(client: docker.APIClient, name: str) -> bool:
        try:
            client.remove_container(name, force=True, v=True)
        except docker.errors.NotFound:
            return False
        except docker.errors.APIError as error:
            # Its own automatic removal came first.
            if error.status_code != 409:
                raise
        return True

    def reap(self) -> int:
        count = 0
        with self._daemon.client() as client:
            for found in client.containers(all=True, filters={"label": _LABEL}):
                # A daemon may serve several machines: only those of this one can be judged.
                if is_dead(found["Labels"][_LABEL], other_boots=False):
                    count += self._remove(client, found["Id"])
        return count

    def close(self) -> None:
        for workspace in list(self._open.values()):
            workspace.close()
        self._daemon.close()
