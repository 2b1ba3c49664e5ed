"""Runs in forks of a server that has pytest loaded."""

from __future__ import annotations

import time
from pathlib import Path

import iniconfig
import pytest

from sandbox.errors import SandboxBroken, TestsUnrunnable
from sandbox.protocol import Command
from sandbox.runners.report import Harness, Outcome, TestReport
from sandbox.runners.run import run_tests
from sandbox.runners.warm import WarmRunner
from sandbox.tree import Entry
from tests.runners.conftest import Open
from tests.runners.test_run_pytest import MANY

PYTEST = Harness(kind="pytest", pythonpath=("src", "."))


def _table(report: TestReport) -> list[tuple[object, ...]]:
    return [(r.node_id, r.outcome, r.exception, r.message, r.frames) for r in report.results]


def test_warm_runs_say_what_cold_runs_say(open_tree: Open) -> None:
    workspace = open_tree(MANY)
    cold = run_tests(workspace, PYTEST, coverage=True)
    with WarmRunner(workspace, PYTEST) as warm:
        warm.start()
        warm.start()
        for _ in range(3):
            report = warm.run(coverage=True)
            assert _table(report) == _table(cold)
            assert report.coverage == cold.coverage
            assert (report.complete, report.exit_code, report.tampering) == (True, 1, ())
        one = warm.run(["tests/test_many.py::test_passes"])
        assert [result.node_id for result in one.results] == ["tests/test_many.py::test_passes"]
        assert one.coverage == {}


SOURCES = {
    "src/pkg/__init__.py": "",
    "src/pkg/part.py": "# before\ndef value():\n    return 1\n",
    "tests/test_part.py": """
        import importlib, inspect, linecache, subprocess, sys
        import pkg.part
        def test_value(): assert pkg.part.value() == 2
        def test_source(): assert "return 2" in inspect.getsource(pkg.part.value)
        def test_reload(): assert importlib.reload(pkg.part).value() == 2
        def test_lines(): assert linecache.getline(pkg.part.__file__, 1) == "# after é\\n"
        def test_error(): pkg.part.fails()
        def test_file(): assert "before" in open(pkg.part.__file__).read()
        """,
}


def test_an_overlay_is_seen_by_its_run_only(open_tree: Open) -> None:
    workspace = open_tree(SOURCES)
    after = "# after é\ndef value():\n    return 2\ndef fails():\n    raise ValueError\n".encode()
    with WarmRunner(workspace, PYTEST) as warm:
        assert [r.outcome for r in warm.run().results] == [Outcome.FAILED] * 5 + [Outcome.PASSED]
        changed = warm.run(overlay={"src/pkg/part.py": after})
        outcomes = {r.node_id.rpartition("::")[2]: r.outcome for r in changed.results}
        assert outcomes.pop("test_error") is Outcome.FAILED
        assert set(outcomes.values()) == {Outcome.PASSED}
        frames = next(r.frames for r in changed.results if r.exception == "ValueError")
        assert (frames[-1].path, frames[-1].line) == ("src/pkg/part.py", 5)
        test = b"def test_new(): assert True\n"
        assert [r.node_id for r in warm.run(overlay={"tests/test_part.py": test}).results] == [
            "tests/test_part.py::test_new"
        ]
        broken = warm.run(overlay={"src/pkg/part.py": b"def value(:\n"})
        assert [error.exception for error in broken.collection_errors] == ["SyntaxError"]
        assert [r.outcome for r in warm.run().results] == [Outcome.FAILED] * 5 + [Outcome.PASSED]
        with pytest.raises(TestsUnrunnable, match=r"src/pkg/gone\.py"):
            warm.run(overlay={"src/pkg/gone.py": b""})


def test_edits_of_files_are_seen(open_tree: Open) -> None:
    workspace = open_tree(SOURCES)
    with WarmRunner(workspace, PYTEST) as warm:
        for number, outcome in ((2, Outcome.PASSED), (3, Outcome.FAILED), (2, Outcome.PASSED)):
            workspace.write({"src/pkg/part.py": Entry(f"# before\ndef value():\n    return {number}\n".encode())})
            assert warm.run(["tests/test_part.py::test_value"]).results[0].outcome is outcome


def test_third_party_packages_are_loaded_once_and_the_projects_never(open_tree: Open) -> None:
    workspace = open_tree(
        {
            "src/ours/__init__.py": "import os\nloaded_in = os.getpid()\n",
            "tests/test_loads.py": """
                import os, sys
                before = "xml.dom.minidom" in sys.modules
                import xml.dom.minidom
                import ours
                def test_project(): assert ours.loaded_in == os.getpid()
                def test_third(): assert before
                def test_warns(): assert "imp" not in sys.modules
                """,
        }
    )
    with WarmRunner(workspace, PYTEST) as warm:
        first, later = warm.run(), warm.run()
        assert [str(r.outcome) for r in first.results] == ["passed", "failed", "passed"]
        assert [str(r.outcome) for r in later.results] == ["passed", "passed", "passed"]


def test_variables_that_conftest_sets_keep_packages_from_being_loaded_early(open_tree: Open) -> None:
    workspace = open_tree(
        {
            "conftest.py": "import os\nos.environ['MODE'] = 'test'\n",
            "test_loads.py": """
                import sys
                before = "xml.dom.minidom" in sys.modules
                import xml.dom.minidom
                def test_early(): assert not before
                """,
        }
    )
    with WarmRunner(workspace, PYTEST) as warm:
        for _ in range(2):
            assert len(warm.run().passed()) == 1


def test_a_repository_that_is_a_package_of_pytests_own_is_what_runs(open_tree: Open) -> None:
    files: dict[str, str | bytes] = {
        f"src/iniconfig/{path.name}": path.read_bytes() for path in Path(iniconfig.__file__).parent.glob("*.py")
    }
    files["src/iniconfig/ours.py"] = "here = True\n"
    files["test_own.py"] = "import iniconfig.ours\ndef test_own(): assert iniconfig.ours.here\n"
    workspace = open_tree(files)
    assert len(run_tests(workspace, PYTEST).passed()) == 1
    with WarmRunner(workspace, PYTEST) as warm:
        for _ in range(2):
            assert len(warm.run().passed()) == 1


def test_what_a_run_leaves_behind_is_gone_before_the_next(open_tree: Open) -> None:
    workspace = open_tree(
        {
            "test_leaves.py": """
                import os, subprocess, sys
                def test_daemon(tmp_path):
                    code = "import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(60)"
                    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
                    raise ValueError(process.stdout.readline().strip())
                """
        }
    )
    with WarmRunner(workspace, PYTEST) as warm:
        left = int(warm.run().results[0].message)
        warm.run()
        assert not Path(f"/proc/{left}").exists()


def test_hangs_and_crashes_do_not_hurt_the_server(open_tree: Open) -> None:
    workspace = open_tree(
        {"test_a.py": "import os, time\ndef test_a(): os._exit(0)\ndef test_b(): time.sleep(60)\ndef test_c(): pass\n"}
    )
    with WarmRunner(workspace, PYTEST) as warm:
        for _ in range(2):
            report = warm.run(test_seconds=1.0)
            assert [r.outcome for r in report.results] == [Outcome.ERROR, Outcome.ERROR, Outcome.PASSED]
            assert report.complete
        short = warm.run(["test_a.py::test_b", "test_a.py::test_c"], wall_seconds=1.0, test_seconds=30)
        assert (short.complete, short.ended) == (False, "timeout")
        assert len(warm.run(["test_a.py::test_c"]).passed()) == 1


def test_a_server_that_was_killed_is_started_again(open_tree: Open) -> None:
    workspace = open_tree(
        {
            "test_a.py": """
                import os, signal
                def test_a():
                    if os.path.exists("kill"):
                        os.remove("kill")
                        os.kill(os.getppid(), signal.SIGKILL)
                        import time; time.sleep(5)
                """
        }
    )
    with WarmRunner(workspace, PYTEST) as warm:
        assert len(warm.run().passed()) == 1
        workspace.write({"kill": Entry(b"")})
        report = warm.run()
        assert not report.complete
        assert report.results == ()
        assert len(warm.run().passed()) == 1


def test_unittest_harness(open_tree: Open) -> None:
    test = "import unittest\nclass A(unittest.TestCase):\n    def test_a(self): self.assertEqual(1, 2)\n"
    workspace = open_tree({"tests/__init__.py": "", "tests/test_a.py": test})
    with WarmRunner(workspace, Harness(kind="unittest", paths=("tests",))) as warm:
        for _ in range(2):
            report = warm.run()
            assert [(r.node_id, r.outcome) for r in report.results] == [("tests/test_a.py::A::test_a", Outcome.FAILED)]
            assert report.tampering == ()


def test_closing(open_tree: Open) -> None:
    workspace = open_tree({"test_a.py": "def test_a(): pass\n"})
    with pytest.raises(ValueError, match="warm"):
        WarmRunner(workspace, Harness(kind="command", command=("x",)))
    warm = WarmRunner(workspace, PYTEST)
    warm.start()
    warm.close()
    warm.close()
    with pytest.raises(SandboxBroken):
        warm.run()
    time.sleep(0.1)
    left = workspace.run(Command(argv=("/bin/sh", "-c", "ps ax -o args | grep run_tests.py | grep -v grep"), env={}))
    assert workspace.root.rpartition("/")[0].encode() not in left.stdout
