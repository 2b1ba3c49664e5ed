"""Modules laid out in a real local sandbox, and explored there."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import pytest

from sandbox.protocol import Environment, Sandbox
from sandbox.runners.exploring import Exploration, explore
from sandbox.runners.report import Harness
from sandbox.tree import Entry, Tree
from tests import local_backend

environment, local = local_backend.environment, local_backend.local

Explore = Callable[..., Exploration]


@pytest.fixture
def explored(local: Sandbox, environment: Environment) -> Explore:
    """Explore a module `things` with this text, for a second or two."""

    def run(text: str, *, seconds: float = 2.0, **more: object) -> Exploration:
        data = textwrap.dedent(text).lstrip("\n").encode()
        with local.open(Tree({"things.py": Entry(data)}), environment) as workspace:
            return explore(workspace, Harness("pytest"), "things", "things.py", seconds=seconds, **more)  # type: ignore[arg-type]

    return run
