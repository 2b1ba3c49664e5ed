"""Fixtures that several areas use: every backend in turn and its environment, opened once for the whole run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from sandbox.backends import open_sandbox
from sandbox.protocol import Environment, EnvironmentDefinition, Sandbox


@pytest.fixture(
    scope="session",
    params=[
        pytest.param("docker", marks=pytest.mark.docker),
        pytest.param("bubblewrap", marks=pytest.mark.bubblewrap),
        "local",
    ],
)
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with contextlib.closing(open_sandbox(request.param)) as opened:
        yield opened


@pytest.fixture(scope="session")
def environment(sandbox: Sandbox) -> Environment:
    return sandbox.prepare(EnvironmentDefinition(), print)
