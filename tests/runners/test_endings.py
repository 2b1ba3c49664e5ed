"""Test processes that hang, crash or leave early."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from sandbox.errors import TestsUnrunnable
from sandbox.probe import frames
from sandbox.runners.report import Harness, Outcome
from sandbox.runners.run import run_tests
from tests.runners.conftest import Open

PYTEST = Harness(kind="pytest")


def test_the_test_during_which_the_process_goes_is_named_and_the_rest_runs(open_tree: Open) -> None:
    workspace = open_tree(
        {
            "test_ends.py": """
                import ctypes, os, signal, threading, time
                def test_first(): pass
                def test_exit(): os._exit(0)
                def test_kill(): os.kill(os.getpid(), signal.SIGKILL)
                def test_crash(): ctypes.string_at(0)
                def test_hang():
                    lock = threading.Lock()
                    lock.acquire()
                    lock.acquire()
                def test_fork():
                    if os.fork() == 0:
                        raise ValueError("in the child")
                    os.wait()
                def test_thread(): threading.Thread(target=time.sleep, args=(60,)).start()
                def test_last(): pass
                """
        }
    )
    report = run_tests(workspace, PYTEST, test_seconds=1.5)
    assert {r.node_id.partition("::")[2]: (r.outcome, r.message) for r in report.results} == {
        "test_first": (Outcome.PASSED, ""),
        "test_exit": (Outcome.ERROR, "the test process left with exit code 0 during this test"),
        "test_kill": (Outcome.ERROR, "the test process was ended by SIGKILL during this test"),
        "test_crash": (Outcome.ERROR, "the test process was ended by SIGSEGV during this test"),
        "test_hang": (Outcome.ERROR, "did not end within 1.5 s"),
        "test_fork": (Outcome.PASSED, ""),
        "test_thread": (Outcome.PASSED, ""),
        "test_last": (Outcome.PASSED, ""),
    }
    assert report.complete
    assert (report.ended, report.exit_code, report.tampering) == ("exit", 1, ())


def test_after_one_that_hangs_the_others_get_less_time_to_compute(open_tree: Open) -> None:
    workspace = open_tree(
        {
            "test_ends.py": """
                import time
                def spin():
                    while True: pass
                def test_quick(): pass
                def test_first(): spin()
                def test_second(): spin()
                def test_third(): spin()
                def test_sleeps(): time.sleep(2)
                def test_last(): pass
                """
        }
    )
    report = run_tests(workspace, PYTEST, test_seconds=5)
    words = "did not end within 0.4 s of computing, after another test had hung"
    assert {r.node_id.partition("::")[2]: r.message for r in report.results} == {
        "test_quick": "",
        "test_first": "did not end within 5 s",
        "test_second": words,
        "test_third": words,
        "test_sleeps": "",
        "test_last": "",
    }
    assert report.complete
    assert sum(r.seconds for r in report.results) < 20


def test_one_that_computes_for_ever_is_ended_from_within_and_shows_where(open_tree: Open) -> None:
    workspace = open_tree(
        {
            "spinning.py": """
                def spin(catching):
                    while True:
                        try:
                            sum(range(100))
                        except Exception:
                            pass
                """,
            "test_ends.py": """
                import os, unittest
                from spinning import spin
                def test_first(): spin(1)
                def test_between(): assert os.getpid() == PID
                PID = os.getpid()
                def test_swallows():
                    try:
                        spin(2)
                    except BaseException:
                        spin(3)
                class Case(unittest.TestCase):
                    def setUp(self): spin(4)
                    def test_case(self): pass
                def test_last(): assert os.getpid() == PID
                """,
        }
    )
    report = run_tests(workspace, PYTEST, coverage=True, hang_seconds=0.3)
    found = {r.node_id.rpartition("::")[2]: r for r in report.results}
    bad = {name for name, result in found.items() if result.hung}
    assert bad == {"test_first", "test_swallows", "test_case"}
    assert {name for name, result in found.items() if result.outcome is Outcome.PASSED} == {"test_between", "test_last"}
    assert found["test_first"].message == "did not end within 0.3 s of computing"
    assert found["test_swallows"].message == "did not end within 0.12 s of computing, after another test had hung"
    assert all(found[name].exception == "" for name in bad)
    assert all("spinning.py" in {frame.path for frame in found[name].frames} for name in bad)
    assert set(report.coverage["test_ends.py::test_first"]["spinning.py"]) >= {2, 3, 4}
    assert (report.complete, report.tampering) == (True, ())


def test_too_many_that_crash_end_the_run_incomplete(tmp_path: Path) -> None:
    """Drive the entry program itself, with a limit that is soon reached."""
    (tmp_path / "test_crash.py").write_text(
        "import os\n" + "\n".join(f"def test_{i}(): os._exit({i})" for i in range(5)), "utf-8"
    )
    plan = {"nonce": "n", "root": str(tmp_path), "kind": "pytest", "autoload": False, "restarts": 2}
    argv = [sys.executable, "-B", str(Path(frames.__file__).with_name("run_tests.py"))]
    done = subprocess.run(argv, input=frames.encode(plan), capture_output=True, check=True, timeout=100)
    messages = frames.Decoder().feed(done.stdout)
    assert len([message for message in messages if message["t"] == "result"]) == 2
    assert not messages[-1]["complete"]


def test_leaving_between_tests_is_no_complete_run(open_tree: Open) -> None:
    early = """
        import os, pytest
        @pytest.hookimpl(trylast=True)
        def pytest_sessionfinish(session): os._exit(0)
        """
    report = run_tests(open_tree({"conftest.py": early, "test_a.py": "def test_a(): pass\n"}), PYTEST)
    assert [result.outcome for result in report.results] == [Outcome.PASSED]
    assert not report.complete
    assert (report.ended, report.exit_code) == ("exit", 0)
    assert "test session starts" in report.output


@pytest.mark.parametrize(
    "how", ["pytest.exit('enough', returncode=0)", "raise KeyboardInterrupt", "request.session.shouldstop = 'now'"]
)
def test_breaking_off_is_no_complete_run(open_tree: Open, how: str) -> None:
    workspace = open_tree({"test_a.py": f"import pytest\ndef test_a(request): {how}\ndef test_b(): pass\n"})
    report = run_tests(workspace, PYTEST)
    assert not report.complete


def test_the_whole_run_has_a_limit(open_tree: Open) -> None:
    workspace = open_tree({"test_a.py": "import time\ndef test_a(): pass\ndef test_b(): time.sleep(60)\n"})
    began = time.monotonic()
    report = run_tests(workspace, PYTEST, wall_seconds=2.0, test_seconds=50)
    assert time.monotonic() - began < 10
    assert [result.outcome for result in report.results] == [Outcome.PASSED]
    assert (report.complete, report.ended) == (False, "timeout")


def test_tests_that_are_never_collected(open_tree: Open) -> None:
    workspace = open_tree({"test_a.py": "import time\ntime.sleep(60)\n"})
    with pytest.raises(TestsUnrunnable, match="not collected within 2 s"):
        run_tests(workspace, PYTEST, wall_seconds=2.0)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"conftest.py": "import not_there_at_all\n"}, r"conftest.py cannot be loaded because module not_there_at_all"),
        ({"conftest.py": "def broken(:\n"}, r"conftest.py cannot be loaded: SyntaxError"),
        ({"conftest.py": "import os\nos._exit(0)\n"}, r"ended before it ran a test \(exit, exit code 0\)"),
        ({"conftest.py": "raise SystemExit(4)\n"}, r"conftest.py cannot be loaded: SystemExit: 4|exit code 70"),
        ({"test_b.py": "import absent.part\n", "test_a.py": "import absent\n"}, r"test_a.py and 1 more files import "),
        ({"pytest.ini": "[pytest]\naddopts = -p absent_plugin\n"}, r"cannot be started: .*absent_plugin"),
        ({"pytest.ini": "[pytest]\nminversion = 99\n"}, r"cannot be started: .*requires pytest-99"),
        ({"pytest.ini": "[pytest]\naddopts = --maxfail=many\n"}, r"cannot be started: .*--maxfail"),
        ({"pyproject.toml": "[tool.pytest\n"}, r"cannot be started: .*pyproject.toml"),
        ({"conftest.py": "def pytest_collection(session): 1 / 0\n"}, r"itself failed .*: ZeroDivisionError: division"),
    ],
)
def test_what_keeps_all_tests_from_running_is_said(open_tree: Open, files: dict[str, str], words: str) -> None:
    workspace = open_tree({"test_a.py": "def test_a(): pass\n", **files})
    with pytest.raises(TestsUnrunnable, match=words) as caught:
        run_tests(workspace, PYTEST)
    assert "\n" not in str(caught.value)
