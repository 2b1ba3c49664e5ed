"""Modules laid out in a real local sandbox, and explored there."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator

import pytest

from sandbox.backends import open_sandbox
from sandbox.protocol import Environment, EnvironmentDefinition, Sandbox
from sandbox.runners.exploring import Exploration, explore
from sandbox.runners.report import Harness
from sandbox.tree import Entry, Tree

Explore = Callable[..., Exploration]


@pytest.fixture(scope="session")
def local() -> Iterator[Sandbox]:
    sandbox = open_sandbox("local")
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="session")
def environment(local: Sandbox) -> Environment:
    return local.prepare(EnvironmentDefinition(), lambda _: None)


@pytest.fixture
def explored(local: Sandbox, environment: Environment) -> Explore:
    """Explore a module `things` with this text, for a second or two."""

    def run(text: str, *, seconds: float = 2.0, **more: object) -> Exploration:
        data = textwrap.dedent(text).lstrip("\n").encode()
        with local.open(Tree({"things.py": Entry(data)}), environment) as workspace:
            return explore(workspace, Harness("pytest"), "things", "things.py", seconds=seconds, **more)  # type: ignore[arg-type]

    return run
