"""A real local sandbox, and trees written as mappings of paths to text."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping

import pytest

from sandbox.protocol import Environment, Sandbox, Workspace
from sandbox.tree import Entry, Tree
from tests import local_backend

environment, local = local_backend.environment, local_backend.local

Open = Callable[[Mapping[str, str | bytes]], Workspace]


def make_tree(files: Mapping[str, str | bytes]) -> Tree:
    return Tree(
        {
            path: Entry(text if isinstance(text, bytes) else textwrap.dedent(text).lstrip("\n").encode())
            for path, text in files.items()
        }
    )


@pytest.fixture
def open_tree(local: Sandbox, environment: Environment) -> Iterator[Open]:
    opened: list[Workspace] = []

    def opening(files: Mapping[str, str | bytes]) -> Workspace:
        opened.append(local.open(make_tree(files), environment))
        return opened[-1]

    yield opening
    for workspace in opened:
        workspace.close()
