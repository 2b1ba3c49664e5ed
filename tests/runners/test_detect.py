"""How tests are run, found out from a repository's files."""

from __future__ import annotations

import pytest

from sandbox.errors import TestsUnrunnable
from sandbox.runners.detect import configuration, detect_harness
from sandbox.runners.run import run_tests
from tests.runners.conftest import Open, make_tree

TEST = "import pkg\ndef test_a(): assert pkg.x == 1\n"
UNIT = "import unittest, pkg\nclass T(unittest.TestCase):\n    def test_a(self): self.assertEqual(pkg.x, 1)\n"
CODE = "x = 1\n"

LAYOUTS: dict[str, tuple[dict[str, str | bytes], tuple[str, ...]]] = {
    "flat": ({"pkg/__init__.py": CODE, "tests/test_a.py": TEST}, (".",)),
    "src": ({"src/pkg/__init__.py": CODE, "tests/test_a.py": TEST}, ("src", ".")),
    "root module": ({"pkg.py": CODE, "test_a.py": TEST}, (".",)),
    "tests in the package": (
        {"pkg/__init__.py": CODE, "pkg/tests/__init__.py": "", "pkg/tests/test_a.py": TEST},
        (".",),
    ),
    "setuptools package-dir": (
        {
            "pyproject.toml": '[tool.setuptools.package-dir]\n"" = "lib"\n',
            "lib/pkg/__init__.py": CODE,
            "tests/test_a.py": TEST,
        },
        ("lib", "."),
    ),
    "setuptools find": (
        {
            "pyproject.toml": '[tool.setuptools.packages.find]\nwhere = ["python"]\n',
            "python/pkg/__init__.py": CODE,
            "t/test_a.py": TEST,
        },
        ("python", "."),
    ),
    "poetry from": (
        {
            "pyproject.toml": '[tool.poetry]\npackages = [{include = "pkg", from = "code"}]\n',
            "code/pkg/__init__.py": CODE,
            "tests/test_a.py": TEST,
        },
        ("code", "."),
    ),
    "hatch packages": (
        {
            "pyproject.toml": '[tool.hatch.build.targets.wheel]\npackages = ["source/pkg"]\n',
            "source/pkg/__init__.py": CODE,
            "tests/test_a.py": TEST,
        },
        ("source", "."),
    ),
    "setup.cfg": (
        {
            "setup.cfg": "[options]\npackage_dir =\n    = lib\n[options.packages.find]\nwhere = lib\n",
            "lib/pkg/__init__.py": CODE,
            "tests/test_a.py": TEST,
        },
        ("lib", "."),
    ),
    "setup.py": (
        {
            "setup.py": 'from setuptools import *\nsetup(package_dir={"": "lib"}, packages=find_packages("lib"))\n',
            "lib/pkg/__init__.py": CODE,
            "tests/test_a.py": TEST,
        },
        ("lib", "."),
    ),
    "undeclared folder": ({"deep/er/pkg/__init__.py": CODE, "tests/test_a.py": TEST}, (".", "deep/er")),
    "undeclared module": ({"programs/pkg.py": CODE, "tests/test_a.py": TEST}, (".", "programs")),
    "configured in a folder": (
        {
            "backend/pytest.ini": "[pytest]\npython_files = check_*.py\n",
            "backend/pkg.py": CODE,
            "backend/checks/test_a.py": TEST,
            "backend/checks/check_a.py": TEST,
        },
        ("backend", "."),
    ),
    "unittest": ({"pkg.py": CODE, "test/test_a.py": UNIT}, (".",)),
    "unittest in files of other names": ({"pkg.py": CODE, "tests/__init__.py": "", "tests/all.py": UNIT}, (".",)),
    "unreadable": ({"pyproject.toml": "[broken", "setup.cfg": "broken", "pkg.py": CODE, "test_a.py": TEST}, (".",)),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_are_understood(open_tree: Open, name: str) -> None:
    files, folders = LAYOUTS[name]
    harness = detect_harness(make_tree(files))
    assert harness.kind == "pytest"
    assert harness.pythonpath == folders
    assert harness.source
    if name != "unreadable":
        assert len(run_tests(open_tree(files), harness).passed()) == 1


def test_configured_patterns_decide_which_files_hold_tests() -> None:
    for where, text in {
        "pyproject.toml": '[tool.pytest.ini_options]\npython_files = ["check_*.py"]\n',
        "pytest.ini": "[pytest]\npython_files = check_*.py *_spec.py\n",
        "setup.cfg": "[tool:pytest]\npython_files = check_*.py\n",
    }.items():
        tree = make_tree({where: text, "check_a.py": TEST, "code/pkg.py": CODE})
        assert configuration(tree) == where
        assert detect_harness(tree).pythonpath == (".", "code")
    assert configuration(make_tree({"pyproject.toml": "[tool.other]\n", "tox.ini": "[tox]\n"})) is None


def test_only_tests_that_pytest_cannot_see_are_left_to_unittest() -> None:
    made = "def load_tests(loader, tests, pattern): return tests\n"
    both = UNIT + made
    for files, kind in (
        ({"tests/test_a.py": UNIT, "tests/test_b.py": made}, "unittest"),
        ({"tests/test_a.py": UNIT, "tests/test_b.py": both}, "pytest"),
        ({"tests/test_a.py": TEST, "tests/test_b.py": made}, "pytest"),
        ({"tests/test_a.py": "import pytest\n" + UNIT, "tests/test_b.py": made}, "pytest"),
        ({"tests/test_a.py": UNIT, "tests/test_b.py": made, "pytest.ini": ""}, "pytest"),
    ):
        assert detect_harness(make_tree({**files, "pkg.py": CODE})).kind == kind


def test_what_is_given_is_taken() -> None:
    tree = make_tree({"src/pkg.py": CODE, "tests/test_a.py": TEST})
    harness = detect_harness(tree, paths=["tests"], pythonpath=["x"], plugins=["p"], env={"A": "b"})
    assert (harness.kind, harness.paths, harness.pythonpath, harness.plugins, harness.env) == (
        "pytest", ("tests",), ("x",), ("p",), {"A": "b"},
    )  # fmt: skip
    command = detect_harness(tree, command="tool --junit {report} {tests}")
    assert (command.kind, command.command) == ("command", ("tool", "--junit", "{report}", "{tests}"))
    assert command.pythonpath == ("src", ".")
    for given in ("pytest -q tests -k 'not slow'", ["python3", "-m", "pytest", "-q", "tests", "-k", "not slow"]):
        ours = detect_harness(tree, command=given)
        assert (ours.kind, ours.options, ours.paths) == ("pytest", ("-q", "-k", "not slow"), ("tests",))
    for wrong in ("make test", "python -m unittest", ""):
        with pytest.raises(TestsUnrunnable, match=r"\{report\}"):
            detect_harness(tree, command=wrong)


def test_a_tree_without_tests() -> None:
    harness = detect_harness(make_tree({"readme.md": "x"}))
    assert (harness.kind, harness.source) == ("pytest", "pytest: no tests seen")
