"""A real local sandbox in which small repositories' tests judge mutants of their code."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from agents.mutation.generate import mutants_of
from agents.mutation.judge import Bench, judge
from agents.mutation.mutant import Judged, Mutant
from agents.mutation.store import VerdictStore
from sandbox.backends import open_sandbox
from sandbox.protocol import Environment, EnvironmentDefinition, Sandbox
from sandbox.runners.report import Harness
from sandbox.runners.run import run_tests
from sandbox.tree import Entry, Tree

HARNESS = Harness("pytest", paths=("tests",))
Judging = Callable[..., tuple[Judged, ...]]


def make_tree(files: Mapping[str, str]) -> Tree:
    return Tree({path: Entry(textwrap.dedent(text).lstrip("\n").encode()) for path, text in files.items()})


@pytest.fixture(scope="session")
def local() -> Iterator[Sandbox]:
    sandbox = open_sandbox("local")
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="session")
def environment(local: Sandbox) -> Environment:
    return local.prepare(EnvironmentDefinition(), lambda _: None)


@pytest.fixture(scope="session")
def judging(local: Sandbox, environment: Environment) -> Judging:
    def run(
        tree: Tree, mutants: Sequence[Mutant] | None = None, *, harness: Harness = HARNESS,
        store: VerdictStore | None = None, seconds: float = 60.0, path: str = "code.py",
    ) -> tuple[Judged, ...]:  # fmt: skip
        with local.open(tree, environment) as workspace:
            report = run_tests(workspace, harness, coverage=True, seed=1)
            bench = Bench(tree, workspace, harness, report, environment.digest)
            chosen = mutants_of(tree, path) if mutants is None else mutants
            return judge(chosen, bench, seconds=seconds, store=store)

    return run
