"""What a run with pytest reports: outcomes, words, frames, order."""

from __future__ import annotations

import pytest

from sandbox.errors import TestsUnrunnable
from sandbox.runners.detect import detect_harness
from sandbox.runners.report import Frame, Harness, Outcome, TestReport
from sandbox.runners.run import run_tests
from tests.runners.conftest import Open, make_tree

PYTEST = Harness(kind="pytest")

MANY = {
    "pyproject.toml": """
        [tool.setuptools.packages.find]
        where = ["src"]
        """,
    "src/pkg/__init__.py": "",
    "src/pkg/sums.py": """
        def add(a, b):
            if a > 3:
                return a - b
            return a + b

        def deep(a):
            return inner(a)

        def inner(a):
            try:
                return {}[a]
            except KeyError as error:
                raise LookupError(f"no {a} at {object()!r}") from error
        """,
    "tests/test_many.py": """
        import sys, unittest
        import pytest
        from pkg.sums import add, deep

        def test_passes():
            assert add(1, 2) == 3

        def test_fails():
            assert add(4, 2) == 6

        def test_raises(tmp_path):
            deep(str(tmp_path / "x"))

        @pytest.mark.parametrize("x", ["a/b", "é", "[x]", "a::b", "with space"])
        def test_parameters(x):
            assert x != "a::b"

        class TestUnits(unittest.TestCase):
            def test_unit(self):
                self.assertEqual(1, 2)

            def test_subtests(self):
                for i in range(3):
                    with self.subTest(i=i):
                        self.assertNotEqual(i, 1)

            @unittest.skip("because")
            def test_left_out(self):
                pass

        @pytest.fixture
        def broken():
            raise ValueError("set-up")

        @pytest.fixture
        def breaks():
            yield
            raise ValueError("tear-down")

        def test_set_up(broken):
            pass

        def test_tear_down(breaks):
            pass

        @pytest.mark.xfail(reason="known")
        def test_expected():
            assert 0

        @pytest.mark.xfail(strict=True)
        def test_strict():
            pass

        @pytest.mark.xfail
        def test_surprise():
            pass

        @pytest.mark.skip(reason="why")
        def test_skipped():
            pass

        async def test_async():
            pass

        def test_leaves():
            sys.exit(3)

        class Odd(Exception):
            def __str__(self):
                raise RuntimeError

        def test_odd():
            raise Odd

        def test_group():
            pytest.importorskip("builtins")
            if sys.version_info < (3, 11):
                pytest.skip("no groups")
            raise ExceptionGroup("two", [ValueError("first"), TypeError("second")])

        def test_recursion():
            def down(): down()
            down()

        def test_bytes():
            sys.stdout.buffer.write(b"\\xff\\xfe\\x00") ; print("\\udc80".encode("utf-8", "surrogateescape"))
            raise ValueError("\\udc80 \\0")
        """,
}


@pytest.fixture(scope="module")
def many(local: object, environment: object) -> TestReport:
    from sandbox.local import LocalSandbox
    from sandbox.protocol import Environment

    assert isinstance(local, LocalSandbox)
    assert isinstance(environment, Environment)
    tree = make_tree(MANY)
    with local.open(tree, environment) as workspace:
        return run_tests(workspace, detect_harness(tree), coverage=True)


def test_outcomes_are_pytests(many: TestReport) -> None:
    ids = [result.node_id.removeprefix("tests/test_many.py::") for result in many.results]
    assert dict(zip(ids, (str(r.outcome) for r in many.results), strict=True)) == {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_raises": "failed",
        "test_parameters[a/b]": "passed",
        "test_parameters[\\xe9]": "passed",
        "test_parameters[[x]]": "passed",
        "test_parameters[a::b]": "failed",
        "test_parameters[with space]": "passed",
        "TestUnits::test_unit": "failed",
        "TestUnits::test_subtests": "failed",
        "TestUnits::test_left_out": "skipped",
        "test_set_up": "error",
        "test_tear_down": "error",
        "test_expected": "xfailed",
        "test_strict": "failed",
        "test_surprise": "xpassed",
        "test_skipped": "skipped",
        "test_async": "failed",
        "test_leaves": "failed",
        "test_odd": "failed",
        "test_group": "failed",
        "test_recursion": "failed",
        "test_bytes": "failed",
    }
    assert many.complete
    assert (many.ended, many.exit_code, many.tampering, many.collection_errors) == ("exit", 1, (), ())
    assert many.argv[-1].endswith("run_tests.py")
    assert many.seconds > 0


def test_words_and_frames(many: TestReport) -> None:
    by_name = {result.node_id.rpartition("::")[2]: result for result in many.results}
    fails = by_name["test_fails"]
    assert (fails.exception, fails.message) == ("AssertionError", "assert 2 == 6\n +  where 2 = add(4, 2)")
    assert fails.frames == (Frame("tests/test_many.py", 9, "test_fails"),)
    raises = by_name["test_raises"]
    assert raises.exception == "LookupError"
    assert raises.message.startswith("no <tmp>/test_raises0/x at <object object at 0x…>")
    assert [(frame.path, frame.line) for frame in raises.frames] == [
        ("tests/test_many.py", 12),
        ("src/pkg/sums.py", 7),
        ("src/pkg/sums.py", 13),
        ("src/pkg/sums.py", 11),
    ]
    assert by_name["test_subtests"].message == "1 == 1"
    assert by_name["test_set_up"].message == "set-up"
    assert by_name["test_tear_down"].message == "tear-down"
    assert by_name["test_strict"].message.startswith("[XPASS(strict)]")
    assert by_name["test_skipped"].message == "why"
    assert (by_name["test_skipped"].exception, by_name["test_skipped"].frames) == ("", ())
    assert "not natively supported" in by_name["test_async"].message
    assert by_name["test_leaves"].exception == "SystemExit"
    assert by_name["test_odd"].exception == "test_many.Odd"
    assert by_name["test_odd"].message == "<RuntimeError in __str__>"
    assert "ValueError: first" in by_name["test_group"].message
    assert by_name["test_recursion"].exception == "RecursionError"
    assert 10 < len(by_name["test_recursion"].frames) <= 60
    assert by_name["test_bytes"].message == "\\udc80 \\0"


def test_lines_belong_to_tests(many: TestReport) -> None:
    def lines(name: str) -> tuple[int, ...]:
        return many.coverage[f"tests/test_many.py::{name}"].get("src/pkg/sums.py", ())

    assert lines("test_passes") == (2, 4)
    assert lines("test_fails") == (2, 3)
    assert lines("test_raises") == (7, 10, 11, 12, 13)
    assert "tests/test_many.py::test_skipped" not in many.coverage
    assert many.coverage[""]["src/pkg/sums.py"] == (1, 6, 9)


def test_selection_is_to_the_letter(open_tree: Open) -> None:
    workspace = open_tree({"test_a.py": MANY["tests/test_many.py"], "pkg/sums.py": MANY["src/pkg/sums.py"]})
    asked = (
        "test_a.py::test_parameters[a::b]",
        "./test_a.py::TestUnits",
        "test_a.py::test_gone",
        "gone/test_b.py",
        "test_a.py::test_passes",
    )
    report = run_tests(workspace, PYTEST, asked)
    assert [result.node_id.partition("::")[2] for result in report.results] == [
        "test_passes",
        "test_parameters[a::b]",
        "TestUnits::test_left_out",
        "TestUnits::test_subtests",
        "TestUnits::test_unit",
    ]
    assert report.complete
    whole = run_tests(workspace, PYTEST, ["test_a.py::test_parameters"])
    assert len(whole.results) == 5
    for nothing in ("test_a.py::test_gone", "gone.py::test_x", "gone.py"):
        with pytest.raises(TestsUnrunnable, match=r"There is no test .*gone"):
            run_tests(workspace, PYTEST, [nothing])


def test_collection_errors_are_named_and_the_rest_runs(open_tree: Open) -> None:
    workspace = open_tree(
        {
            "code.py": "def f(:\n",
            "name.py": "x = undefined\n",
            "tests/test_good.py": "def test_good(): pass\n",
            "tests/test_syntax.py": "import code_of_ours\n",
            "code_of_ours.py": "def f(:\n",
            "tests/test_name.py": "import name\n",
            "tests/test_exit.py": "import sys\nsys.exit(0)\n",
            "tests/test_hard.py": "import os\nos._exit(0)\n",
            "tests/test_missing.py": "import not_there_at_all\n",
            "tests/test_args.py": "def test_needs(nothing): pass\n",
        }
    )
    report = run_tests(workspace, PYTEST)
    assert {r.node_id: r.outcome for r in report.results} == {
        "tests/test_args.py::test_needs": Outcome.ERROR,
        "tests/test_good.py::test_good": Outcome.PASSED,
    }
    errors = {error.node_id: error for error in report.collection_errors}
    assert set(errors) == {f"tests/test_{n}.py" for n in ("syntax", "name", "exit", "hard", "missing")}
    assert errors["tests/test_syntax.py"].exception == "SyntaxError"
    assert errors["tests/test_syntax.py"].frames[-1] == Frame("code_of_ours.py", 1, "<module>")
    assert errors["tests/test_name.py"].exception == "NameError"
    assert errors["tests/test_name.py"].frames[-1] == Frame("name.py", 1, "<module>")
    assert errors["tests/test_exit.py"].exception == "SystemExit"
    assert errors["tests/test_hard.py"].message == (
        "the test process left with exit code 0 while this file was collected"
    )
    assert errors["tests/test_missing.py"].exception == "ModuleNotFoundError"
    assert all(error.outcome is Outcome.ERROR for error in errors.values())
    assert report.complete
    assert report.exit_code == 1


def test_a_source_that_cannot_be_imported_is_no_reason_to_give_up(open_tree: Open) -> None:
    workspace = open_tree({"ours.py": "x = undefined\n", "test_a.py": "import ours\ndef test_a(): pass\n"})
    report = run_tests(workspace, PYTEST)
    assert report.results == ()
    assert [error.node_id for error in report.collection_errors] == ["test_a.py"]
    assert report.complete


def test_prints_are_bounded(open_tree: Open) -> None:
    workspace = open_tree(
        {
            "test_loud.py": """
                import os, sys
                def test_much():
                    for _ in range(300):
                        print("x" * 1_000_000)
                    sys.stdout.write("y" * 200_000_000)
                def test_bytes(capfd):
                    os.write(1, b"\\xff" * 1000)
                    assert capfd.readouterr()
                def test_seen(capsys):
                    print("é" * 10)
                    assert capsys.readouterr().out == "é" * 10 + "\\n"
                def test_unbuffered(capfd):
                    os.system("head -c 3000000 /dev/zero")
                    assert len(capfd.readouterr().out) == 3_000_000
                """
        }
    )
    report = run_tests(workspace, PYTEST)
    assert [str(r.outcome) for r in report.results] == ["passed"] * 4
    direct = run_tests(workspace, Harness(kind="pytest", options=("-s",)), ["test_loud.py::test_much"])
    assert direct.complete
    assert len(direct.passed()) == 1


def test_order_and_seed_repeat(open_tree: Open) -> None:
    workspace = open_tree(
        {
            "test_chance.py": """
                import random
                def test_number(): raise ValueError(f"{random.random()} {hash('x')}")
                """
        }
    )
    first, again, other = (run_tests(workspace, PYTEST, seed=seed).results[0].message for seed in (1, 1, 2))
    assert first == again != other
    free = {run_tests(workspace, PYTEST).results[0].message for _ in range(2)}
    assert len(free) == 2


def test_nothing_to_run_is_an_empty_report(open_tree: Open) -> None:
    report = run_tests(open_tree({"code.py": "x = 1\n"}), PYTEST)
    assert report.results == ()
    assert (report.complete, report.exit_code) == (True, 5)
