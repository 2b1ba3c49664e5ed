"""Every backend, opened once for the whole run, and workspaces in it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from sandbox.limits import MIB, Limits
from sandbox.protocol import Command, Completed, Environment, Guarantee, Sandbox, Workspace
from sandbox.tree import Entry, Tree
from tests import every_backend

environment, sandbox = every_backend.environment, every_backend.sandbox

TREE = Tree(
    {
        "a/b.py": Entry(b"print('hello from b')\n"),
        "link": Entry(b"a/b.py", kind="symlink"),
        "folder-link": Entry(b"a", kind="symlink"),
        "run.sh": Entry(b"#!/bin/sh\necho started\n", executable=True),
        "n\udce9e.bin": Entry(bytes(range(256))),
    }
)
SMALL = Limits(
    wall_seconds=20.0,
    memory_bytes=160 * MIB,
    cpus=2.0,
    pids=40,
    disk_bytes=32 * MIB,
    file_bytes=8 * MIB,
    open_files=256,
    output_bytes=64 * 1024,
)

Open = Callable[..., Workspace]
Promised = Callable[[Guarantee], None]


@pytest.fixture(scope="session")
def shared(sandbox: Sandbox, environment: Environment) -> Iterator[Workspace]:
    """Return a workspace for tests that leave nothing behind that could matter to others."""
    with sandbox.open(TREE, environment) as workspace:
        yield workspace


@pytest.fixture
def fresh(sandbox: Sandbox, environment: Environment) -> Iterator[Open]:
    """Return a function that opens workspaces, which end with the test."""
    with contextlib.ExitStack() as stack:

        def opened(limits: Limits = SMALL, tree: Tree = TREE) -> Workspace:
            return stack.enter_context(sandbox.open(tree, environment, limits))

        yield opened


@pytest.fixture
def promised(sandbox: Sandbox, request: pytest.FixtureRequest) -> Promised:
    """Return a function that expects the test to fail, for the backend's own reason, if a guarantee is not given."""

    def check(guarantee: Guarantee) -> None:
        if (reason := sandbox.promises()[guarantee]) is not None:
            request.applymarker(pytest.mark.xfail(strict=True, reason=f"{guarantee}: {reason}"))

    return check


def python(workspace: Workspace, program: str, *arguments: str, seconds: float | None = None) -> Completed:
    """Run a Python program in a workspace."""
    return workspace.run(Command((workspace.python, "-c", program, *arguments), wall_seconds=seconds))
