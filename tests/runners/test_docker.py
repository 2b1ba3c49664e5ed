"""The probe in a container: other paths, another user, limits that hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from sandbox.backends import open_sandbox
from sandbox.limits import MIB, Limits
from sandbox.protocol import Environment, EnvironmentDefinition, Sandbox
from sandbox.runners.detect import detect_harness
from sandbox.runners.report import Outcome
from sandbox.runners.run import run_tests
from sandbox.runners.warm import WarmRunner
from tests.runners.conftest import make_tree
from tests.runners.test_run_pytest import MANY

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def docker() -> Iterator[Sandbox]:
    sandbox = open_sandbox("docker")
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="module")
def sealed(docker: Sandbox) -> Environment:
    return docker.prepare(EnvironmentDefinition(), lambda _: None)


def test_cold_and_warm_say_the_same(docker: Sandbox, sealed: Environment) -> None:
    tree = make_tree(MANY)
    harness = detect_harness(tree)
    with docker.open(tree, sealed) as workspace:
        cold = run_tests(workspace, harness, coverage=True)
        assert len(cold.results) == 23
        assert cold.complete
        assert cold.tampering == ()
        assert cold.coverage["tests/test_many.py::test_passes"]["src/pkg/sums.py"] == (2, 4)
        with WarmRunner(workspace, harness) as warm:
            for _ in range(2):
                again = warm.run(coverage=True)
                assert [replace(r, seconds=0.0) for r in again.results] == [
                    replace(r, seconds=0.0) for r in cold.results
                ]
                assert again.coverage == cold.coverage


def test_a_test_that_takes_all_memory_and_one_that_prints_a_gigabyte(docker: Sandbox, sealed: Environment) -> None:
    tree = make_tree(
        {
            "test_greedy.py": """
                def test_prints():
                    for _ in range(1000): print("x" * 1_000_000)
                def test_eats():
                    kept = []
                    while True: kept.append(bytearray(16_000_000))
                def test_last(): pass
                """
        }
    )
    with docker.open(tree, sealed, Limits(memory_bytes=512 * MIB)) as workspace:
        report = run_tests(workspace, detect_harness(tree), wall_seconds=120)
    outcomes = {r.node_id.partition("::")[2]: r.outcome for r in report.results}
    assert outcomes.get("test_prints") is Outcome.PASSED
    assert outcomes.get("test_eats") is not Outcome.PASSED
    # Either the test alone went, and the rest was run, or the sandbox ended everything; nothing else.
    assert (report.complete and outcomes["test_last"] is Outcome.PASSED) or report.ended in {"memory", "killed"}
