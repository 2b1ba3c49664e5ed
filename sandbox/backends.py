"""Which backend is used, and what each can do on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sandbox.errors import SandboxUnavailable
from sandbox.protocol import Guarantee, Sandbox

BackendName = Literal["auto", "docker", "bubblewrap", "local"]
BACKENDS: tuple[BackendName, ...] = ("docker", "bubblewrap", "local")
"""In the order in which `auto` prefers them; the last one never by itself."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one backend can do here."""

    backend: BackendName
    usable: bool
    reason: str
    """One sentence: why it cannot be used, or that it can."""
    lacking: tuple[tuple[Guarantee, str], ...] = ()
    """Guarantees that it cannot keep here, each with the reason."""


def open_sandbox(name: str = "auto") -> Sandbox:
    """Return the backend of that name; `auto` is Docker where a daemon answers, else bubblewrap, never `local`.

    Raises:
        SandboxUnavailable: it cannot be used here; the message says what to install.

    """
    match name:
        case "docker":
            try:
                from sandbox.docker import DockerSandbox
            except ImportError as error:
                raise SandboxUnavailable("The Docker SDK is missing: install the Python package docker.") from error
            return DockerSandbox()
        case "bubblewrap":
            from sandbox.bubblewrap import BubblewrapSandbox

            return BubblewrapSandbox()
        case "local":
            from sandbox.local import LocalSandbox

            return LocalSandbox()
        case "auto":
            return _best()
    raise SandboxUnavailable(f"There is no backend {name!r}: choose auto, docker, bubblewrap or local.")


def _best() -> Sandbox:
    reasons = []
    for name in BACKENDS[:-1]:
        try:
            return open_sandbox(name)
        except SandboxUnavailable as unavailable:
            reasons.append(str(unavailable))
    raise SandboxUnavailable(
        f"No sandbox can be used here: install and start Docker, or install bubblewrap. ({' '.join(reasons)})"
    )


def diagnose() -> tuple[Finding, ...]:
    """Try every backend and say what it can and cannot do on this machine."""
    return tuple(_finding(name) for name in BACKENDS)


def _finding(name: BackendName) -> Finding:
    try:
        sandbox = open_sandbox(name)
    except SandboxUnavailable as unavailable:
        return Finding(name, usable=False, reason=str(unavailable))
    try:
        lacking = tuple((promise, why) for promise, why in sandbox.promises().items() if why is not None)
    finally:
        sandbox.close()
    reason = "Works, and keeps every guarantee." if not lacking else "Works, with fewer guarantees."
    return Finding(name, usable=True, reason=reason, lacking=lacking)
