"""What every sandbox backend provides: workspaces that run what nobody trusts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Protocol, Self

from sandbox.limits import Limits
from sandbox.tree import Entry, Tree

Ended = Literal["exit", "signal", "timeout", "memory", "killed"]
"""How a command ended: by itself, by a signal, by its time limit, by the memory limit, or by `Process.close`."""

Guarantee = Literal[
    "no-network",
    "non-root",
    "read-only-root",
    "memory",
    "pids",
    "cpu",
    "disk",
    "file-size",
    "wall-clock",
    "process-tree-killed",
    "output-bounded",
    "host-files-hidden",
    "gone-after-sigkill",
]
"""What a backend may promise; the conformance suite has at least one test for each."""

WORK = "/work"
"""Where the repository lies in a workspace of the isolating backends; use `Workspace.root`, not this."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run in a workspace; never interpreted by a shell."""

    argv: tuple[str, ...]
    cwd: str = "."
    """Relative to the work tree."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to the workspace's own small, fixed environment; nothing is inherited from the host."""
    stdin: bytes = b""
    wall_seconds: float | None = None
    """None takes the workspace's limit."""


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended. No process that it started is alive."""

    exit_code: int
    """As the kernel gave it; minus the signal's number where a signal ended it."""
    stdout: bytes
    stderr: bytes
    ended: Ended
    seconds: float
    stdout_dropped: int = 0
    """Bytes left out in the middle of `stdout` because of the output limit."""
    stderr_dropped: int = 0


class Process(Protocol):
    """A program that goes on running in a workspace, spoken to over its standard streams."""

    def send(self, data: bytes) -> None:
        """Write to its standard input; raises SandboxBroken where the workspace has gone."""
        ...

    def receive(self, timeout: float) -> bytes:
        """Return the next bytes of its standard output, b"" at its end.

        Raises:
            TimeoutError: nothing came within `timeout` seconds.
            SandboxBroken: the workspace has gone.

        """
        ...

    def close(self) -> Completed:
        """Kill it with all its descendants if it is alive, and say how it ended; may be called again.

        `stdout` of the result is empty: it went through `receive`.
        """
        ...


class Workspace(Protocol):
    """A private copy of a tree, in which commands run under limits."""

    @property
    def id(self) -> str: ...

    @property
    def root(self) -> str:
        """Absolute path of the work tree as commands in the workspace see it."""
        ...

    @property
    def probe(self) -> str:
        """Absolute path, in the workspace, of the read-only folder that holds `sandbox/probe/*.py`."""
        ...

    @property
    def python(self) -> str:
        """Absolute path, in the workspace, of the interpreter of the repository's environment."""
        ...

    def run(self, command: Command) -> Completed:
        """Run to the end or to the limit; when it returns, nothing that the command started is alive.

        Several threads may run commands in one workspace at the same time.

        Raises:
            SandboxBroken: the workspace has gone.

        """
        ...

    def start(self, command: Command) -> Process:
        """Start a program and return while it runs; `stdin` is sent first, and standard input stays open."""
        ...

    def read(self, path: str, limit: int = 64 * 1024 * 1024) -> bytes:
        """Return a regular file's bytes.

        Raises:
            UnsafePath: a link, a device, a folder, larger than `limit`, or outside the tree.
            FileNotFoundError: nothing there.

        """
        ...

    def write(self, changes: Mapping[str, Entry | None]) -> None:
        """Write or delete (None) files of the work tree; parent folders are made."""
        ...

    def fork(self) -> Workspace:
        """Return a second workspace with the same environment and the tree as this one was opened with."""
        ...

    def close(self) -> None:
        """End everything in it and remove it; may be called again."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class EnvironmentDefinition:
    """What a repository needs installed; equal definitions share one prepared environment."""

    requirements: tuple[str, ...] = ()
    """Requirement specifiers, sorted; pytest is always there."""
    interpreter: str | None = None
    """Path, on the host, of an existing interpreter whose installed packages are used instead of an installation."""
    distribution: tuple[str, str] | None = None
    """Name and version of the repository's own distribution, for `importlib.metadata`; it is not installed."""
    source: str = "nothing declared"
    """Which files the definition was read from, for a person."""
    hints: tuple[str, ...] = ()
    """Requirements that are installed where they can be had, and left out otherwise."""
    constraints: tuple[str, ...] = ()
    """Exact versions from a lock file, kept to unless the installation fails with them."""
    entry_points: str = ""
    """The repository's own entry points in the format of `entry_points.txt`, for plugins that are found by them."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A prepared, sealed environment; every workspace that is opened with it sees the same packages."""

    digest: str
    """SHA-256 of everything that defines it (definition, base, probe, backend)."""
    backend: str
    reference: str
    """What the backend opens it by: an image id with digest, or a folder."""
    versions: Mapping[str, str]
    """`python` and every installed distribution with its version."""


Progress = Callable[[str], None]
"""Takes one plain line about what is being done."""


class Sandbox(Protocol):
    """A backend."""

    @property
    def name(self) -> str: ...

    def promises(self) -> Mapping[Guarantee, str | None]:
        """Map every guarantee to None where it is kept here, or to one sentence that says why it is not."""
        ...

    def prepare(self, definition: EnvironmentDefinition, progress: Progress) -> Environment:
        """Build (online) or find the environment, then seal it.

        Raises:
            EnvironmentFailed: with the end of the installer's output.
            SandboxUnavailable: the backend does not answer.

        """
        ...

    def open(self, tree: Tree, environment: Environment, limits: Limits | None = None) -> Workspace:
        """Return a fresh workspace holding `tree`, with no network.

        Raises:
            SandboxUnavailable, SandboxBroken: the backend does not answer, or lost the workspace at once.

        """
        ...

    def reap(self) -> int:
        """Remove what runs that are no longer alive left behind; return how many things were removed."""
        ...

    def close(self) -> None:
        """Close every workspace that is still open."""
        ...
