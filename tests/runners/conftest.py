"""A real local sandbox, and trees written as mappings of paths to text."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping

import pytest

from sandbox.backends import open_sandbox
from sandbox.protocol import Environment, EnvironmentDefinition, Sandbox, Workspace
from sandbox.tree import Entry, Tree

Open = Callable[[Mapping[str, str | bytes]], Workspace]


def make_tree(files: Mapping[str, str | bytes]) -> Tree:
    return Tree(
        {
            path: Entry(text if isinstance(text, bytes) else textwrap.dedent(text).lstrip("\n").encode())
            for path, text in files.items()
        }
    )


@pytest.fixture(scope="session")
def local() -> Iterator[Sandbox]:
    sandbox = open_sandbox("local")
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="session")
def environment(local: Sandbox) -> Environment:
    return local.prepare(EnvironmentDefinition(), lambda _: None)


@pytest.fixture
def open_tree(local: Sandbox, environment: Environment) -> Iterator[Open]:
    opened: list[Workspace] = []

    def opening(files: Mapping[str, str | bytes]) -> Workspace:
        opened.append(local.open(make_tree(files), environment))
        return opened[-1]

    yield opening
    for workspace in opened:
        workspace.close()
