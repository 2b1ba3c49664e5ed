"""A real local sandbox in which new tests are tried out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from agents.results import Candidate
from sandbox.backends import open_sandbox
from sandbox.protocol import Environment, EnvironmentDefinition, Sandbox
from sandbox.runners.detect import detect_harness
from sandbox.runners.report import TestReport
from sandbox.runners.run import run_tests
from sandbox.tree import Entry, Tree

TryOut = Callable[[Candidate], TestReport]


def tree_of(files: Mapping[str, str]) -> Tree:
    return Tree({path: Entry(text.encode()) for path, text in files.items()})


@pytest.fixture(scope="session")
def local() -> Iterator[Sandbox]:
    sandbox = open_sandbox("local")
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="session")
def environment(local: Sandbox) -> Environment:
    return local.prepare(EnvironmentDefinition(), lambda _: None)


@pytest.fixture
def trying(local: Sandbox, environment: Environment) -> Callable[[Tree], TryOut]:
    """Return what runs a candidate's new file on a base, in a fresh workspace each time."""

    def on(base: Tree) -> TryOut:
        def run(candidate: Candidate) -> TestReport:
            after = base.replaced({new.path: Entry(new.text.encode()) for new in candidate.created})
            with local.open(after, environment) as workspace:
                return run_tests(workspace, detect_harness(after), [candidate.created[0].path], wall_seconds=60)

        return run

    return on
