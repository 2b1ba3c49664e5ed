"""The repository's own pytest configuration stays in force, without what a run by a machine cannot have."""

from __future__ import annotations

import pytest

from sandbox.runners.report import Frame, Harness, Outcome
from sandbox.runners.run import run_tests
from tests.runners.conftest import Open

PYTEST = Harness(kind="pytest")
TESTS = {
    "checks/check_it.py": "def check_one(): pass\ndef test_two(): pass\n",
    "test_else.py": "def test_else(): pass\n",
}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "pyproject.toml",
            """
            [tool.pytest.ini_options]
            testpaths = ["checks"]
            python_files = "check_*.py"
            python_functions = "check_*"
            """,
        ),
        (
            "pytest.ini",
            "[pytest]\ntestpaths = checks\npython_files = check_*.py\npython_functions = check_*\n",
        ),
        ("tox.ini", "[pytest]\ntestpaths = checks\npython_files = check_*.py\npython_functions = check_*\n"),
        ("setup.cfg", "[tool:pytest]\ntestpaths = checks\npython_files = check_*.py\npython_functions = check_*\n"),
    ],
)
def test_every_kind_of_file_is_obeyed(open_tree: Open, name: str, text: str) -> None:
    report = run_tests(open_tree({**TESTS, name: text}), PYTEST)
    assert [result.node_id for result in report.results] == ["checks/check_it.py::check_one"]
    assert report.complete


def test_options_of_absent_plugins_are_left_out(open_tree: Open) -> None:
    ini = """
        [pytest]
        addopts = --cov=pkg --cov-report term-missing -n auto --timeout=3 --black --asyncio-mode auto
            -x --strict-config --strict-markers --doctest-modules --pdb -p no:randomly
        asyncio_mode = auto
        timeout = 20
        markers = slow: takes time
        filterwarnings = error
        """
    workspace = open_tree(
        {
            "pytest.ini": ini,
            "pkg/__init__.py": "",
            "pkg/part.py": '''
                def double(x):
                    """
                    >>> double(2)
                    4
                    >>> double(3)
                    7
                    """
                    return 2 * x
                ''',
            "tests/test_a.py": """
                import warnings
                import pytest
                def test_fails(): assert 0
                @pytest.mark.slow
                def test_after(): pass
                def test_warns(): warnings.warn("strict", UserWarning)
                """,
        }
    )
    report = run_tests(workspace, PYTEST)
    assert {r.node_id: r.outcome for r in report.results} == {
        "pkg/part.py::pkg.part.double": Outcome.FAILED,
        "tests/test_a.py::test_fails": Outcome.FAILED,
        "tests/test_a.py::test_after": Outcome.PASSED,
        "tests/test_a.py::test_warns": Outcome.FAILED,
    }
    assert report.complete
    assert report.tampering == ()
    double = report.results[0]
    assert double.message == "double(3)\nExpected:\n7\nGot:\n6"
    assert double.frames == (Frame("pkg/part.py", 5, "pkg.part.double"),)


def test_a_path_after_an_unknown_flag_stays(open_tree: Open) -> None:
    workspace = open_tree(
        {"pytest.ini": "[pytest]\naddopts = --flake8 checks\n", "checks/test_a.py": "def test_a(): 1\n"}
    )
    report = run_tests(workspace, PYTEST)
    assert [result.node_id for result in report.results] == ["checks/test_a.py::test_a"]


def test_options_that_conftest_files_add_are_known(open_tree: Open) -> None:
    workspace = open_tree(
        {
            "pytest.ini": "[pytest]\naddopts = --ours here\nour_key = 1\n",
            "conftest.py": """
                def pytest_addoption(parser):
                    parser.addoption("--ours")
                    parser.addini("our_key", "a key")
                """,
            "test_a.py": "def test_a(pytestconfig): assert pytestconfig.getoption('--ours') == 'here'\n",
        }
    )
    assert len(run_tests(workspace, PYTEST).passed()) == 1


def test_harness_options_plugins_variables_and_folders(open_tree: Open) -> None:
    workspace = open_tree(
        {
            "lib/ours.py": "x = 1\n",
            "lib/plug.py": "import pytest\n@pytest.fixture\ndef plugged(): return 5\n",
            "test_a.py": """
                import os, subprocess, sys
                def test_a(plugged):
                    import ours
                    assert plugged == 5 and os.environ["OURS"] == "yes"
                    subprocess.run([sys.executable, "-c", "import ours"], check=True)
                def test_b(): pass
                """,
        }
    )
    harness = Harness(
        kind="pytest",
        options=("-k", "not test_b"),
        pythonpath=("lib",),
        plugins=("plug",),
        autoload=False,
        env={"OURS": "yes"},
    )
    report = run_tests(workspace, harness)
    assert [(result.node_id, result.outcome) for result in report.results] == [("test_a.py::test_a", Outcome.PASSED)]


def test_modules_of_the_repository_hide_nothing_of_the_probe_and_nothing_hides_them(open_tree: Open) -> None:
    names = ("frames", "spectrum", "service", "selection", "warm", "failures", "controls", "captured", "run_tests")
    files: dict[str, str | bytes] = {f"{name}.py": f"own = {name!r}\n" for name in names}
    files["test_a.py"] = "\n".join(
        ["import sys, pytest", *(f"import {name}" for name in names), "def test_a():"]
        + [f"    assert {name}.own == {name!r}" for name in names]
        + ["    assert sys.path[0].endswith('/work')", "    assert not any('probe' in path for path in sys.path)"]
    )
    assert len(run_tests(open_tree(files), PYTEST).passed()) == 1


def test_stale_bytecode_is_never_run(open_tree: Open) -> None:
    import importlib.util
    import marshal

    code = marshal.dumps(compile("x = 'planted'", "ours.py", "exec"))
    # Flags 1: never compared with the source.
    planted = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + b"\0" * 8 + code
    tag = f"__pycache__/ours.cpython-{__import__('sys').version_info[0]}{__import__('sys').version_info[1]}.pyc"
    workspace = open_tree(
        {
            "ours.py": "x = 'source'\n",
            tag: planted,
            "test_a.py": "import ours\ndef test_a(): assert ours.x == 'source'\n",
        }
    )
    assert len(run_tests(workspace, PYTEST).passed()) == 1
