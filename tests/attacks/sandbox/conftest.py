"""Every backend, and a host around it: a secret file, somebody who listens, and a process that knows the secret."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sandbox.limits import MIB, Limits
from sandbox.protocol import Environment, Sandbox, Workspace
from sandbox.tree import Entry, Tree
from tests import every_backend

environment, sandbox = every_backend.environment, every_backend.sandbox

TREE = Tree({"a.py": Entry(b"x = 1\n")})
SMALL = Limits(
    wall_seconds=20.0, memory_bytes=160 * MIB, pids=40, disk_bytes=32 * MIB, file_bytes=8 * MIB, open_files=256,
    output_bytes=64 * 1024,
)  # fmt: skip
Open = Callable[..., Workspace]


@pytest.fixture(scope="session")
def shared(sandbox: Sandbox, environment: Environment) -> Iterator[Workspace]:
    with sandbox.open(TREE, environment, SMALL) as workspace:
        yield workspace


@pytest.fixture
def fresh(sandbox: Sandbox, environment: Environment) -> Iterator[Open]:
    with contextlib.ExitStack() as stack:

        def opened(limits: Limits = SMALL, tree: Tree = TREE) -> Workspace:
            return stack.enter_context(sandbox.open(tree, environment, limits))

        yield opened


@dataclass
class Host:
    """What is to be reached."""

    facts: dict[str, Any]
    sockets: list[socket.socket] = field(default_factory=list)

    def heard(self) -> bool:
        """Whether anybody came since the last time."""
        found = False
        for one in self.sockets:
            with contextlib.suppress(OSError):
                while True:
                    if one.type == socket.SOCK_DGRAM:
                        one.recv(100)
                    else:
                        one.accept()[0].close()
                    found = True
        return found


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder: Path = tmp_path_factory.mktemp("host")
    secret = f"secret-mark-{secrets.token_hex(8)}"
    (folder / "secret.txt").write_text(secret)
    abstract, unix = f"greendiff-attack-{os.getpid()}", f"/tmp/greendiff-attack-{os.getpid()}"
    tcp, udp = socket.create_server(("", 0)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("", 0))
    listeners = [tcp, udp]
    for address in (f"\0{abstract}", unix):
        one = socket.socket(socket.AF_UNIX)
        one.bind(address)
        one.listen()
        listeners.append(one)
    six = 0
    if socket.has_ipv6:
        with contextlib.suppress(OSError):
            listeners.append(socket.create_server(("::1", 0), family=socket.AF_INET6))
            six = listeners[-1].getsockname()[1]
    for one in listeners:
        one.setblocking(False)
    own = {str(found[4][0]) for found in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    with (folder / "secret.txt").open() as opened:
        other = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(3000)", secret],
            cwd=folder, env={"A": secret}, stdin=opened, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    facts = {
        "secret": secret, "file": str(folder / "secret.txt"), "abstract": abstract, "unix": unix, "pid": other.pid,
        "tcp": tcp.getsockname()[1], "udp": udp.getsockname()[1], "tcp6": six,
        "addresses": sorted({"127.0.0.1", "172.17.0.1", *own}),
    }  # fmt: skip
    yield Host(facts, listeners)
    other.kill()
    other.wait()
    for one in listeners:
        one.close()
    Path(unix).unlink()
