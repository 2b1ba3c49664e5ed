"""Which lines a piece of code runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
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


def test_monitoring_events_one_by_one(tmp_path: Path) -> None:
    """Give the recorder the events of `sys.monitoring`, which older interpreters do not have."""
    names: dict[str, Any] = {}
    exec(compile(SOURCE, str(tmp_path / "ours.py"), "exec"), names)  # noqa: S102

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
    code = names["branch"].__code__
    for _ in range(2):
        assert recorder._function(code, 0) is Monitoring.DISABLE
    assert recorder._function(test_ranges.__code__, 0) is Monitoring.DISABLE
    for line in (3, 4):
        assert recorder._line(code, line) is Monitoring.DISABLE
    assert recorder.take() == {"ours.py": [3, 4]}
    recorder.stop()
    recorder.stop()
    asked = [entry[0] for entry in monitoring.taken if isinstance(entry, tuple)]
    assert [asked.count(name) for name in ("use_tool_id", "restart_events", "set_local_events", "free_tool_id")] == [
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
from sandbox.probe import failures, importing, spectrum
recorder = spectrum.recorder(failures.Places(sys.argv[2]).relative)
if isinstance(recorder, spectrum.MarkRecorder):
    importing.watch(recorder.mark)
recorder.start()
sys.path.insert(0, sys.argv[2])
import ours
recorder.take()
for call in (lambda: ours.branch(1), lambda: ours.branch(0), lambda: ours.loop(0), lambda: list(ours.generate(1)),
             lambda: ours.branch(1)):
    recorder.start(); call()
    print(recorder.take().get("ours.py"))
recorder.stop()
"""
    probe = str(Path(spectrum.__file__).parent.parent.parent)
    done = subprocess.run(
        [python, "-B", "-c", script, probe, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["[3, 4]", "[3, 5]", "[15, 16, 20, 21]", "[9, 10, 11]", "[3, 4]"]
