"""A real local sandbox with a trial worker in it, and small repositories written as text."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest

from agents.results import Candidate, Edit
from sandbox.backends import open_sandbox
from sandbox.protocol import Environment, EnvironmentDefinition, Sandbox, Workspace
from sandbox.runners.report import Harness
from sandbox.runners.trial_results import Trial
from sandbox.runners.trials import Trials
from sandbox.tree import Entry, Tree

HARNESS = Harness("pytest", paths=("tests",))


def dedent(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")


def make_tree(files: Mapping[str, str]) -> Tree:
    return Tree({path: Entry(dedent(text).encode()) for path, text in files.items()})


def change(text: str, old: str, new: str, path: str = "code.py", name: str = "") -> Candidate:
    """Return a candidate that replaces the one occurrence of `old`."""
    assert text.count(old) == 1, old
    start = text.index(old)
    return Candidate((Edit(path, start, start + len(old), new),), "template:test", name or f"{old} → {new}")


@dataclass
class Bench:
    """A worker with the texts that candidates are made from."""

    workspace: Workspace
    trials: Trials
    texts: Mapping[str, str]

    def candidate(self, old: str, new: str, path: str = "code.py") -> Candidate:
        return change(self.texts[path], old, new, path)

    def run(
        self, *edits: tuple[str, str], path: str = "code.py", cpu: float = 0.05, thorough: bool = False
    ) -> list[Trial]:
        """Try replacements in one batch and return the last word on each, in order."""
        batch = [self.candidate(old, new, path) for old, new in edits]
        found = {trial.id: trial for trial in self.trials.try_batch(batch, cpu_seconds=cpu, thorough=thorough)}
        return [found[candidate.id] for candidate in batch]

    def verdicts(self, *edits: tuple[str, str], path: str = "code.py", cpu: float = 0.05) -> list[str]:
        return [trial.verdict for trial in self.run(*edits, path=path, cpu=cpu)]


OpenBench = Callable[..., Bench]


@pytest.fixture(scope="session")
def local() -> Iterator[Sandbox]:
    sandbox = open_sandbox("local")
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="session")
def environment(local: Sandbox) -> Environment:
    return local.prepare(EnvironmentDefinition(), lambda _: None)


@pytest.fixture(scope="module")
def bench(local: Sandbox, environment: Environment) -> Iterator[OpenBench]:
    opened: list[Bench] = []

    def opening(
        files: Mapping[str, str], targets: Sequence[str], related: Sequence[str] = (), harness: Harness = HARNESS
    ) -> Bench:
        texts = {path: dedent(text) for path, text in files.items()}
        workspace = local.open(make_tree(files), environment)
        sources = {p: t for p, t in texts.items() if p.endswith(".py") and not p.startswith("tests/")}
        paces = dict.fromkeys(related, 0.01)
        trials = Trials(workspace, harness, targets, sources=sources, related=related, paces=paces)
        opened.append(Bench(workspace, trials, texts))
        trials.open()
        return opened[-1]

    yield opening
    for one in opened:
        one.trials.close()
        one.workspace.close()
