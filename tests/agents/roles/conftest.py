"""A real local sandbox in which new tests are tried out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from agents.results import Candidate
from sandbox.protocol import Environment, Sandbox
from sandbox.runners.detect import detect_harness
from sandbox.runners.report import TestReport
from sandbox.runners.run import run_tests
from sandbox.tree import Entry, Tree
from tests import local_backend

environment, local = local_backend.environment, local_backend.local

TryOut = Callable[[Candidate], TestReport]


def tree_of(files: Mapping[str, str]) -> Tree:
    return Tree({path: Entry(text.encode()) for path, text in files.items()})


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
