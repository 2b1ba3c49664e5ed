"""The trial worker as a plain program of this interpreter, and the parts of it that no tracer sees at work."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from sandbox.probe import frames, trial_wire
from sandbox.probe.trial_record import NODES, PER_FUNCTION, Call, Recorder
from sandbox.probe.trial_wire import Channel
from tests.trials.test_worker_inside import FILE, edit, order_for, project

__all__ = ["project"]
PROGRAM = Path(frames.__file__).with_name("trial.py")


def worker(folder: Path, *orders: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the program its orders and return its answers; it has ended well and left no folder behind."""
    temporary = folder / "temporary"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-B", str(PROGRAM)], input=b"".join(map(frames.encode, orders)), capture_output=True,
        check=True, cwd=folder, env={**os.environ, "TMPDIR": str(temporary)}, timeout=120,
    )  # fmt: skip
    assert list(temporary.glob("greendiff-trial-*")) == []
    return frames.Decoder().feed(done.stdout)


def test_a_worker_serves_until_it_is_told_to_close(project: Path) -> None:
    good = {"id": "good", "edits": edit(project, "item - by", "item + by")}
    wrong = {"id": "wrong", "edits": edit(project, "item - by", "item * by")}
    text = (project / "inside_module.py").read_text().replace("item - by", "item + by")
    overlay = {"op": "overlay", "id": "over", "overlay": {"inside_module.py": text}, "files": [FILE], "all": False,
               "tests": order_for(project)["tests"], "expect": [f"{FILE}::test_count"], "cpu": 1.0}  # fmt: skip
    opened, *answers = worker(
        project, order_for(project) | {"op": "open"}, {"op": "batch", "candidates": [wrong, good], "cpu": 0.2},
        {"op": "behave", "candidates": [good, wrong], "samples": 20, "cpu": 0.2, "wall": 6.0}, overlay,
        {"op": "close"},
    )  # fmt: skip
    assert opened["collected"] > len(opened["order"]) == 3
    verdicts = {a["id"]: a["verdict"] for a in answers if a["op"] == "trial"}
    assert verdicts == {"wrong": "failed", "good": "passed", "over": "passed"}
    (behaved,) = [a for a in answers if a["op"] == "behaviours"]
    assert behaved["unknown"] == []
    assert any(s["outcomes"]["good"] != s["outcomes"]["wrong"] for s in behaved["samples"])


def test_a_worker_without_orders_ends(project: Path) -> None:
    assert worker(project) == []


def test_a_worker_whose_tests_cannot_be_collected_says_so(project: Path) -> None:
    (project / "conftest.py").write_text("import nothing_of_this_name")
    (answer,) = worker(project, order_for(project) | {"op": "open"})
    assert answer["op"] == "unopened"
    assert answer["code"] != 0


def test_a_repository_with_a_module_of_the_runners_names_keeps_its_own(project: Path) -> None:
    (project / "py.py").write_text("class path:\n    local = mine = str\n")
    (project / FILE).write_text("import py\ndef test_mine(): assert py.path.mine\n")
    (answer,) = worker(project, order_for(project) | {"op": "open", "tests": [f"{FILE}::test_mine"]})
    assert [(test["test"], test["outcome"]) for test in answer["tests"]] == [(f"{FILE}::test_mine", "passed")]


# Children ---------------------------------------------------------------------------------------------------------


def watched(work: Callable[[Channel], None], cpu: float = 20.0, wall: float = 20.0) -> tuple[str, list[Any]]:
    found: list[Any] = []
    pid, channel = trial_wire.start(work, 1 << 30)
    ended = trial_wire.watch(pid, channel, found.append, lambda: (cpu, wall))
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, 0)
    return ended, found


def spin(out: Channel) -> None:
    out.send({"n": 1})
    while True:
        pass


def wait(out: Channel) -> None:
    out.send({"n": 1})
    time.sleep(600)


def leave(out: Channel) -> None:
    out.send({"n": 1})
    raise RuntimeError("a child's own mistake")


def close_only(out: Channel) -> None:
    """Close the pipe and live on."""
    out.send({"n": 1})
    os.close(out.sink)
    time.sleep(600)


@pytest.mark.parametrize(
    ("work", "limits", "ending"),
    [(spin, (1.0, 60.0), "cpu"), (wait, (60.0, 3.0), "wall"), (leave, (60.0, 60.0), "died"),
     (close_only, (60.0, 60.0), "died"), (lambda out: out.send({"n": 1}), (60.0, 60.0), "done")],
)  # fmt: skip
def test_how_a_child_ends(work: Callable[[Channel], None], limits: tuple[float, float], ending: str) -> None:
    assert watched(work, *limits) == (ending, [{"n": 1}])


# Recorded calls ---------------------------------------------------------------------------------------------------


told: list[Recorder] = []
"""Who is told of the calls below."""


def tell(event: str) -> None:
    """Report the caller's frame, as the profile function would be told of it: nothing can trace that one."""
    told[-1]._profile(sys._getframe(1), event, None)


def plain(a: object, *rest: object, key: object = 1, **more: object) -> None:
    tell("call")
    tell("return")


def outer(value: int) -> None:
    tell("call")
    inner(value + 1)
    tell("return")


def inner(value: int) -> None:
    tell("call")
    tell("c_call")
    tell("return")


def counting(start: int) -> Any:
    tell("call")
    yield start
    tell("call")
    yield start + 1


def stranger() -> None:
    tell("call")


def recorder_of(*units: Any, units_only: bool = False) -> Recorder:
    codes = {function.__code__ for function in (plain, outer, inner, counting)}
    told[:] = [Recorder(codes.__contains__, {id(unit.__code__) for unit in units}, units_only)]
    return told[0]


def names(calls: list[Call]) -> list[str]:
    return [call.code.co_name for call in calls]


def test_calls_are_recorded_with_their_arguments_as_they_were() -> None:
    recorder = recorder_of()
    items = [1, 2]
    plain(items, 3, key=4, other=5)
    items.append(9)
    stranger()
    (call,) = recorder.calls
    assert call.arguments == ([[1, 2], 3], {"key": 4, "other": 5})
    assert (call.kind, call.relevant) == ("passing", False)


def test_the_same_call_is_recorded_once_and_big_or_uncopied_ones_not_at_all() -> None:
    recorder = recorder_of()
    for _ in range(3):
        plain(1)
    plain([[[n, m] for n in range(40)] for m in range(NODES // 40)])
    with Path(__file__).open("rb") as stream:
        plain(stream)
    assert [call.arguments for call in recorder.calls] == [([1], {"key": 1})]
    for number in range(PER_FUNCTION + 10):
        plain(number)
    assert len(recorder.calls) == PER_FUNCTION


def test_only_the_outermost_call_from_a_test_counts_and_what_leads_to_a_unit_is_relevant() -> None:
    recorder = recorder_of(inner)
    outer(1)
    plain(2)
    inner(3)
    assert list(zip(names(recorder.calls), [call.relevant for call in recorder.calls], strict=True)) == [
        ("outer", True), ("plain", False), ("inner", True),
    ]  # fmt: skip
    recorder = recorder_of(inner, units_only=True)
    outer(1)
    assert names(recorder.calls) == ["inner"]
    assert recorder.calls[0].relevant


def test_a_generator_that_goes_on_is_not_called_anew() -> None:
    recorder = recorder_of(counting, units_only=True)
    assert list(counting(1)) == [1, 2]
    assert len(recorder.calls) <= 1


def test_a_recorder_takes_and_gives_back_the_profile_function() -> None:
    def watched_call(value: int) -> int:
        return value

    def mine(code: CodeType) -> bool:
        return code is watched_call.__code__

    recorder = Recorder(mine, set(), False)
    recorder.begin("failing")
    watched_call(5)
    recorder.end()
    watched_call(6)
    assert [(call.kind, call.arguments) for call in recorder.calls] == [("failing", ([5], {}))]
    assert recorder.last is recorder.calls[0]
    assert sys.getprofile() is None
