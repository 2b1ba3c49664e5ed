"""A worker that is ended by what it tries, by the sandbox or by its user: what was asked is answered all the same."""

from __future__ import annotations

import threading

import pytest

from sandbox.errors import SandboxBroken, TestsUnrunnable
from sandbox.protocol import Environment, Sandbox
from sandbox.runners.trials import Trials
from tests.trials.conftest import HARNESS, Bench, OpenBench, change, dedent, make_tree

CODE = """
    def double(x):
        return x + 1
    """
TESTS = """
    from code_here import double

    def test_double(): assert double(3) == 6
    def test_two(): assert double(1) == 2
    """
FILES = {"code_here.py": CODE, "tests/test_code.py": TESTS}
TARGET = "tests/test_code.py::test_double"
KILL = "import os, signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(60)\n"
"""Ends the process above a trial; `kill` is what a hostile module does when it is imported."""


@pytest.fixture
def one(bench: OpenBench) -> Bench:
    return bench(FILES, [TARGET])


def test_a_module_that_ends_the_worker_when_it_is_imported_is_a_crash(one: Bench) -> None:
    fresh = {"code_here.py": (KILL + dedent(CODE)).encode()}
    trial = one.trials.try_fresh("hostile", fresh)
    assert (trial.id, trial.verdict) == ("hostile", "crashed")
    good = {"code_here.py": dedent(CODE).replace("x + 1", "x + x").encode()}
    assert one.trials.try_fresh("good", good).verdict == "passed"
    assert one.trials.confirm("good", good, expected=["tests/test_code.py::test_two"]).complete


def test_behaviour_of_what_ends_the_worker_is_unknown(one: Bench) -> None:
    hostile = one.candidate(
        "return x + 1", "import os, signal, time; os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)", "code_here.py"
    )
    found = one.trials.behaviours([hostile], samples=10)
    assert found.samples == ()
    assert found.unknown == {hostile.id}
    assert [t.verdict for t in one.run(("x + 1", "x + x"), path="code_here.py")] == ["passed"], "it goes on"


def test_nothing_is_asked_of_a_worker_that_is_not_open(one: Bench) -> None:
    one.trials.close()
    one.trials.close()
    with pytest.raises(SandboxBroken, match="is not open"):
        one.run(("x + 1", "x + x"), path="code_here.py")


def test_a_worker_whose_sandbox_is_gone_cannot_be_kept_alive(one: Bench) -> None:
    one.workspace.close()
    with pytest.raises(SandboxBroken):
        one.run(("x + 1", "x + x"), path="code_here.py")


def test_what_is_stopped_ends_without_an_answer(local: Sandbox, environment: Environment) -> None:
    stop = threading.Event()
    texts = {"code_here.py": dedent(CODE)}
    good = change(texts["code_here.py"], "x + 1", "x + x", "code_here.py")
    with (
        local.open(make_tree(FILES), environment) as workspace,
        Trials(workspace, HARNESS, [TARGET], sources=texts, stop=stop) as trials,
    ):
        stop.set()
        assert trials.stopped
        assert list(trials.try_batch([good])) == []
        assert trials.behaviours([good]).unknown == {good.id}
        assert trials.try_fresh("good", {}).verdict == "crashed"


def test_a_test_that_does_not_exist_cannot_be_tried(local: Sandbox, environment: Environment) -> None:
    with local.open(make_tree(FILES), environment) as workspace:
        trials = Trials(workspace, HARNESS, ["tests/test_code.py::test_gone"], sources={})
        with pytest.raises(TestsUnrunnable, match=r"there is no test tests/test_code\.py::test_gone"):
            trials.open()
