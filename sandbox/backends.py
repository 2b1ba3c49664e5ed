"""Which backend is used, and what each can do on this machine."""

from __future__ import annotations

from typing import Literal

from sandbox.errors import SandboxUnavailable
from sandbox.protocol import Sandbox

BackendName = Literal["auto", "docker", "bubblewrap", "local"]


def open_sandbox(name: BackendName = "auto") -> Sandbox:
    """Return the backend of that name; `auto` never means `local`.

    Raises:
        SandboxUnavailable: it cannot be used here; the message says what to install.

    """
    if name == "docker":
        from sandbox.docker import DockerSandbox

        return DockerSandbox()
    if name != "local":
        raise SandboxUnavailable(f"The backend {name} cannot be used here.")
    from sandbox.local import LocalSandbox

    return LocalSandbox()
