"""Runs with unittest itself, for tests that pytest would not find."""

from __future__ import annotations

import pytest

from sandbox.errors import TestsUnrunnable
from sandbox.runners.detect import detect_harness
from sandbox.runners.report import Outcome
from sandbox.runners.run import run_tests
from tests.runners.conftest import Open, make_tree

FILES: dict[str, str | bytes] = {
    "pkg/__init__.py": "",
    "pkg/part.py": '''
        def double(x):
            """Twice.

            >>> double(2)
            5
            """
            return 2 * x
        ''',
    "tests/__init__.py": "",
    "tests/test_made.py": """
        import os, unittest
        import pkg.part

        class TestOne(unittest.TestCase):
            def test_passes(self):
                self.assertEqual(pkg.part.double(2), 4)
            def test_fails(self):
                self.assertEqual(pkg.part.double(2), 5)
            def test_raises(self):
                raise KeyError("x")
            def test_subtests(self):
                for i in range(3):
                    with self.subTest(i=i):
                        self.assertNotEqual(i, 1)
            @unittest.skip("because")
            def test_skipped(self): pass
            @unittest.expectedFailure
            def test_expected(self): self.fail()
            @unittest.expectedFailure
            def test_surprise(self): pass
            def test_leaves(self): os._exit(0)

        class TestSetUp(unittest.TestCase):
            @classmethod
            def setUpClass(cls): raise ValueError("set-up")
            def test_never(self): pass

        class TestAsync(unittest.IsolatedAsyncioTestCase):
            async def test_async(self): self.assertTrue(False)
        """,
    "tests/test_docs.py": """
        import doctest
        import pkg.part
        def load_tests(loader, tests, ignore):
            tests.addTests(doctest.DocTestSuite(pkg.part))
            return tests
        """,
    "tests/test_broken.py": "import pkg.part\nimport nowhere_at_all\n",
}


def test_results_are_named_like_pytests(open_tree: Open) -> None:
    harness = detect_harness(make_tree(FILES))
    assert (harness.kind, harness.paths) == ("unittest", ("tests",))
    workspace = open_tree(FILES)
    report = run_tests(workspace, harness, coverage=True)
    found = {r.node_id.removeprefix("tests/test_made.py::"): r for r in report.results}
    assert {name: str(r.outcome) for name, r in found.items()} == {
        "TestOne::test_passes": "passed",
        "TestOne::test_fails": "failed",
        "TestOne::test_raises": "failed",
        "TestOne::test_subtests": "failed",
        "TestOne::test_skipped": "skipped",
        "TestOne::test_expected": "xfailed",
        "TestOne::test_surprise": "failed",
        "TestOne::test_leaves": "error",
        "TestSetUp::test_never": "error",
        "TestAsync::test_async": "failed",
        "pkg/part.py::pkg.part.double": "failed",
    }
    assert found["TestOne::test_fails"].message == "4 != 5"
    assert found["TestOne::test_raises"].exception == "KeyError"
    assert found["TestOne::test_subtests"].message == "1 == 1"
    assert found["TestOne::test_skipped"].message == "because"
    assert found["TestSetUp::test_never"].message == "set-up"
    assert [(frame.path, frame.line) for frame in found["TestOne::test_fails"].frames] == [("tests/test_made.py", 8)]
    assert report.complete
    assert report.tampering == ()
    (error,) = report.collection_errors
    assert (error.node_id, error.exception, error.message) == (
        "tests/test_broken.py", "ModuleNotFoundError", "No module named 'nowhere_at_all'",
    )  # fmt: skip
    assert [(frame.path, frame.line) for frame in error.frames] == [("tests/test_broken.py", 2)]
    assert report.coverage["tests/test_made.py::TestOne::test_passes"]["pkg/part.py"] == (7,)
    assert report.coverage[""]["pkg/part.py"] == (1,)
    one = run_tests(workspace, harness, ["tests/test_made.py::TestOne::test_fails"])
    assert [r.outcome for r in one.results] == [Outcome.FAILED]
    with pytest.raises(TestsUnrunnable, match=r"There is no test tests/test_made\.py::TestOne::test_gone"):
        run_tests(workspace, harness, ["tests/test_made.py::TestOne::test_gone"])


def test_changed_machinery_is_named(open_tree: Open) -> None:
    test = """
        import unittest
        class TestOne(unittest.TestCase):
            def test_a(self):
                unittest.TestCase.assertEqual = lambda *_: None
                self.assertEqual(1, 2)
        """
    made = "def load_tests(loader, tests, pattern): return tests\n"
    files: dict[str, str | bytes] = {"test_a.py": test, "test_b.py": made}
    harness = detect_harness(make_tree(files))
    assert harness.kind == "unittest"
    report = run_tests(open_tree(files), harness)
    assert any("control test_equal" in sentence for sentence in report.tampering)
    assert any("unittest.case.TestCase.assertEqual" in sentence for sentence in report.tampering)
