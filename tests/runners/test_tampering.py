"""Code under test that changes what judges it is noticed; what restores itself is not."""

from __future__ import annotations

import textwrap

import pytest

from sandbox.runners.report import Harness
from sandbox.runners.run import run_tests
from tests.runners.conftest import Open

PYTEST = Harness(kind="pytest")
TEST = """
    import unittest
    import pytest
    import ours
    class TestIt(unittest.TestCase):
        def test_unit(self):
            ours.go()
            self.assertEqual(1, 2)
    def test_plain():
        ours.go()
        assert 1 == 2
    def test_raises():
        ours.go()
        with pytest.raises(ValueError):
            pass
    """

HOSTILE = {
    "TestCase.assertEqual": """
        import unittest
        unittest.TestCase.assertEqual = lambda *_: None
        """,
    "control test_true": """
        import unittest
        for name in dir(unittest.TestCase):
            if name.startswith("assert"):
                setattr(unittest.TestCase, name, lambda *a, **k: None)
        """,
    "TestCase.run": """
        import unittest
        unittest.TestCase.run = lambda self, result=None: result.addSuccess(self)
        """,
    "control control_assert": """
        from _pytest.reports import TestReport
        make = TestReport.from_item_and_call.__func__
        def lie(cls, item, call):
            report = make(cls, item, call)
            report.outcome = "passed"
            return report
        TestReport.from_item_and_call = classmethod(lie)
        """,
    "Function.runtest": """
        import _pytest.python
        _pytest.python.Function.runtest = lambda self: None
        """,
    "python.Function.runtest": """
        import _pytest.python
        def nothing(self): pass
        _pytest.python.Function.runtest.__code__ = nothing.__code__
        """,
    "_pytest.outcomes": """
        import _pytest.outcomes
        _pytest.outcomes.fail.__class__.__call__ = lambda *a, **k: None
        """,
    "builtins.AssertionError": """
        import builtins
        class Weak(Exception): pass
        builtins.AssertionError = Weak
        """,
    "pytest_probe._outcome": """
        import sys
        for module in list(sys.modules.values()):
            if module.__name__.endswith("pytest_probe"):
                module._outcome = lambda report: "passed"
        """,
    "failures.described": """
        import sys
        for module in list(sys.modules.values()):
            if module.__name__.endswith(".failures"):
                module.described = lambda *a: {}
        """,
}


@pytest.mark.parametrize("words", HOSTILE)
def test_changed_machinery_is_named(open_tree: Open, words: str) -> None:
    source = "def go():\n" + textwrap.indent(textwrap.dedent(HOSTILE[words]), "    ")
    report = run_tests(open_tree({"ours.py": source, "test_it.py": TEST}), PYTEST)
    assert any(words in sentence for sentence in report.tampering), report.tampering


def test_the_same_change_gives_the_same_sentences(open_tree: Open) -> None:
    source = "def go():\n" + textwrap.indent(textwrap.dedent(HOSTILE["control test_true"]), "    ")
    workspace = open_tree({"ours.py": source, "test_it.py": TEST})
    assert run_tests(workspace, PYTEST).tampering == run_tests(workspace, PYTEST).tampering


def test_changes_at_import_are_named_too(open_tree: Open) -> None:
    source = "import unittest\nunittest.TestCase.assertEqual = lambda *_: None\ndef go(): pass\n"
    files = {"ours.py": source, "conftest.py": "import ours\n", "test_it.py": TEST}
    report = run_tests(open_tree(files), PYTEST)
    assert any("TestCase.assertEqual" in sentence for sentence in report.tampering)


def test_a_test_that_takes_others_out_is_named(open_tree: Open) -> None:
    source = """
        import gc
        def go():
            import _pytest.main
            for thing in gc.get_objects():
                if isinstance(thing, _pytest.main.Session):
                    thing.items.clear()
        """
    report = run_tests(open_tree({"ours.py": source, "test_it.py": TEST}), PYTEST)
    assert not report.complete
    assert any("gave no result" in sentence for sentence in report.tampering)


def test_forged_messages_are_named(open_tree: Open) -> None:
    source = """
        import json, os, struct
        def go():
            body = json.dumps({"t": "result", "id": "x", "outcome": "passed", "nonce": "guess"}).encode()
            for fd in range(3, 60):
                try:
                    os.write(fd, struct.pack(">I", len(body)) + body)
                except OSError:
                    pass
        """
    report = run_tests(open_tree({"ours.py": source, "test_it.py": TEST}), PYTEST)
    assert report.tampering or not report.complete


def test_patches_that_are_taken_back_are_not_named(open_tree: Open) -> None:
    test = """
        import builtins, unittest
        from unittest import mock
        import pytest
        @pytest.fixture(autouse=True)
        def patched(monkeypatch):
            monkeypatch.setattr(builtins, "print", lambda *a: None)
            monkeypatch.setattr(unittest.TestCase, "assertEqual", lambda *a: None)
            yield
        @pytest.fixture(scope="session", autouse=True)
        def session_wide():
            with mock.patch("os.getcwd", return_value="/nowhere"), mock.patch("time.time", return_value=0):
                yield
        pytestmark = pytest.mark.filterwarnings("error")
        def test_one(): print()
        def test_two(mocker=None):
            with mock.patch.object(builtins, "open"), mock.patch("os.write"), mock.patch("json.dumps"):
                assert open("x")
        class TestIt(unittest.TestCase):
            def test_unit(self): pass
        """
    report = run_tests(open_tree({"test_it.py": test}), PYTEST)
    assert report.tampering == ()
    assert len(report.passed()) == 3
    assert report.complete


def test_hooks_of_conftest_files_do_not_see_the_controls(open_tree: Open) -> None:
    hooks = """
        import pytest
        seen = []
        @pytest.hookimpl(hookwrapper=True)
        def pytest_runtest_makereport(item, call):
            outcome = yield
            setattr(item, "rep_" + call.when, outcome.get_result())
            item.module.__name__, item.cls, item.path, item.location, item.function.__name__
        def pytest_runtest_logreport(report): seen.append(report.nodeid)
        def pytest_sessionfinish(session, exitstatus):
            assert exitstatus == 0, exitstatus
            assert set(seen) == {"test_a.py::test_a"}, seen
        """
    report = run_tests(open_tree({"conftest.py": hooks, "test_a.py": "def test_a(): pass\n"}), PYTEST)
    assert (report.complete, report.tampering, report.exit_code) == (True, (), 0)
