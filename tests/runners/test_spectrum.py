"""Which lines a piece of code runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from sandbox.probe import failures, spectrum

SOURCE = """
def branch(x):
    if x:
        return 1
    return 2


def generate(n):
    for i in range(n):
        yield i
    yield "end"


def loop(n):
    total = 0
    while n:
        total += n
        n -= 1
    else:
        total = -total
    return total


def one(x): return x


class Holder:
    attribute = one(1)

    @property
    def value(self):
        return [
            one(i)
            for i in range(3)
        ]


def catches():
    try:
        raise ValueError
    except ValueError:
        return "caught"
    finally:
        one(2)
"""


class Recorded:
    """A module in a temporary repository, and what of it was run."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ours.py"
        self.path.write_text(SOURCE, "utf-8")
        self.recorder = spectrum.recorder(failures.Places(str(folder)).relative)
        self.names: dict[str, Any] = {}

    def lines(self, action: Callable[[], object]) -> list[int]:
        self.recorder.start()
        self.recorder.resume()
        try:
            action()
        finally:
            self.recorder.pause()
        return self.recorder.take().get("ours.py", [])

    def load(self) -> None:
        exec(compile(SOURCE, str(self.path), "exec"), self.names)  # noqa: S102


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Recorded]:
    # Whatever measures this test run makes room meanwhile.
    former = sys.gettrace()
    sys.settrace(None)
    recorded = Recorded(tmp_path)
    recorded.load()
    yield recorded
    recorded.recorder.stop()
    sys.settrace(former)


def test_import_runs_the_top_level(ours: Recorded) -> None:
    assert ours.lines(ours.load) == [2, 8, 14, 24, 27, 28, 30, 31, 38]


def test_branches(ours: Recorded) -> None:
    assert ours.lines(lambda: ours.names["branch"](1)) == [3, 4]
    assert ours.lines(lambda: ours.names["branch"](0)) == [3, 5]
    assert ours.lines(lambda: None) == []


def test_loops_and_exceptions(ours: Recorded) -> None:
    assert ours.lines(lambda: ours.names["loop"](0)) == [15, 16, 20, 21]
    assert ours.lines(lambda: ours.names["loop"](3)) == [15, 16, 17, 18, 20, 21]
    assert set(ours.lines(ours.names["catches"])) >= {24, 39, 40, 41, 42, 44}
    assert set(ours.lines(lambda: ours.names["Holder"]().value)) >= {24, 32, 33, 34}


def test_a_generator_that_goes_on_in_the_next_test(ours: Recorded) -> None:
    numbers = ours.names["generate"](1)
    assert ours.lines(lambda: next(numbers)) == [9, 10]
    assert set(ours.lines(lambda: next(numbers))) >= {9, 11}


def test_threads(ours: Recorded) -> None:
    def in_thread() -> None:
        thread = threading.Thread(target=ours.names["branch"], args=(1,))
        thread.start()
        thread.join()

    assert ours.lines(in_thread) == [3, 4]


def test_pauses_nest(ours: Recorded) -> None:
    def nested() -> None:
        ours.recorder.resume()
        ours.recorder.pause()
        ours.names["branch"](1)

    assert ours.lines(nested) == [3, 4]


def test_events_one_by_one(tmp_path: Path) -> None:
    """Give the tracer what the interpreter gives it, under the eyes of whatever measures this test run."""
    ours = Recorded(tmp_path)
    ours.load()
    recorder = spectrum.TraceRecorder(failures.Places(str(tmp_path)).relative)

    class Event:
        f_code = ours.names["branch"].__code__
        f_lineno = 3
        f_trace_lines = True

    class Other(Event):
        f_code = test_events_one_by_one.__code__

    call: Any = recorder._call
    assert call(Other, "call", None) is None
    assert call(Other, "call", None) is None
    local = call(Event, "call", None)
    for line in (3, 4):
        Event.f_lineno = line
        assert local(Event, "line", None) is local
    assert call(Event, "call", None) is not None
    Event.f_lineno = 5
    assert local(Event, "line", None) is local
    assert not Event.f_trace_lines
    assert call(Event, "call", None) is None
    assert recorder.take() == {"ours.py": [3, 4, 5]}
    assert recorder.take() == {}


def test_monitoring_events_one_by_one(tmp_path: Path) -> None:
    """Do the same with the events of `sys.monitoring`, which older interpreters do not have."""
    ours = Recorded(tmp_path)
    ours.load()

    class Monitoring:
        DISABLE = object()
        taken: ClassVar[list[object]] = []

        class events:  # noqa: N801
            LINE, PY_START = 1, 2

        def __getattr__(self, name: str) -> Any:
            return lambda *given: self.taken.append((name, *given[:3]))

    monitoring = Monitoring()
    recorder = spectrum.MonitoringRecorder(failures.Places(str(tmp_path)).relative, monitoring, 4)
    recorder.start()
    recorder.start()
    code = ours.names["branch"].__code__
    for _ in range(2):
        assert recorder._function(code, 0) is Monitoring.DISABLE
    assert recorder._function(test_branches.__code__, 0) is Monitoring.DISABLE
    for line in (3, 4):
        assert recorder._line(code, line) is Monitoring.DISABLE
    assert recorder.take() == {"ours.py": [3, 4]}
    recorder.stop()
    recorder.stop()
    names = [entry[0] for entry in monitoring.taken if isinstance(entry, tuple)]
    assert [names.count(name) for name in ("use_tool_id", "restart_events", "set_local_events", "free_tool_id")] == [
        1, 2, 1, 1,
    ]  # fmt: skip


def test_other_files_are_left_out(tmp_path: Path) -> None:
    places = failures.Places(str(tmp_path))
    assert places.relative(f"{tmp_path}/a/b.py") == "a/b.py"
    assert places.relative(f"{tmp_path}/a/../b.py") == "b.py"
    assert places.relative("a.py") == "a.py"
    for other in ("/usr/lib/a.py", "<string>", "", f"{tmp_path}x/a.py", f"{tmp_path}/.venv/lib/site-packages/a.py"):
        assert places.relative(other) is None


def test_ranges() -> None:
    assert spectrum.ranges([]) == []
    assert spectrum.ranges([1, 2, 3, 5, 7, 8]) == [1, 3, 5, 5, 7, 8]


def _interpreter(version: str) -> str | None:
    """Find another interpreter on the path, or beside this one, where pyenv puts them."""
    beside = sorted(Path(sys.base_prefix).parent.glob(f"{version}.*/bin/python3"))
    for python in (shutil.which(f"python{version}"), *map(str, beside)):
        if python and not subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode:
            return python
    return None


@pytest.mark.parametrize("version", ["3.8", "3.10", "3.12", "3.13"])
def test_other_versions_of_python_say_the_same(tmp_path: Path, version: str) -> None:
    """Ask the recorder of another interpreter, `sys.monitoring` from 3.12 on."""
    python = _interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    (tmp_path / "ours.py").write_text(SOURCE, "utf-8")
    script = """
import sys
sys.path.insert(0, sys.argv[1])
from sandbox.probe import failures, spectrum
recorder = spectrum.recorder(failures.Places(sys.argv[2]).relative)
recorder.start(); recorder.resume()
sys.path.insert(0, sys.argv[2])
import ours
recorder.pause(); recorder.take()
for call in (lambda: ours.branch(1), lambda: ours.branch(0), lambda: ours.loop(0), lambda: list(ours.generate(1)),
             lambda: ours.branch(1)):
    recorder.start(); recorder.resume(); call(); recorder.pause()
    print(recorder.take().get("ours.py"))
recorder.stop()
"""
    probe = str(Path(spectrum.__file__).parent.parent.parent)
    done = subprocess.run(
        [python, "-B", "-c", script, probe, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["[3, 4]", "[3, 5]", "[15, 16, 20, 21]", "[9, 10, 11]", "[3, 4]"]
