"""Fixtures that several areas use: the local sandbox and its environment, opened once for the whole run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from sandbox.backends import open_sandbox
from sandbox.protocol import Environment, EnvironmentDefinition, Sandbox


@pytest.fixture(scope="session")
def local() -> Iterator[Sandbox]:
    with contextlib.closing(open_sandbox("local")) as opened:
        yield opened


@pytest.fixture(scope="session")
def environment(local: Sandbox) -> Environment:
    return local.prepare(EnvironmentDefinition(), lambda _: None)
