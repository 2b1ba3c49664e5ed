"""Plain test functions are called directly; what needs pytest still gets it, and both say the same."""

from __future__ import annotations

from tests.trials.conftest import OpenBench

CODE = """
    def double(value):
        return value + 2


    def other(value):
        return value
    """

TESTS = """
    import pytest
    from code_under_test import double

    MADE = []


    @pytest.fixture
    def five():
        return 5


    @pytest.fixture
    def scaled(request):
        return request.param * 10


    def test_plain():
        assert double(5) == 10


    @pytest.mark.parametrize("values, expected", [([5, 7], [10, 14]), ([3], [6])])
    def test_given(values, expected):
        while values:
            assert double(values.pop()) == expected.pop()


    def test_fixture(five):
        assert double(five) == 10


    @pytest.mark.parametrize("scaled", [3], indirect=True)
    def test_indirect(scaled):
        assert scaled == 30 and double(scaled) == 60


    class TestPlain:
        size = 5

        def test_method(self):
            assert double(self.size) == 10


    class TestPrepared:
        def setup_method(self):
            self.size = 5

        def test_prepared(self):
            assert double(self.size) == 10


    @pytest.mark.xfail(strict=True)
    def test_strict():
        assert double(2) != 4 or double(5) == 10


    def test_waits():
        with pytest.raises(ZeroDivisionError):
            1 / (double(5) - 10)
    """
PATH = "code_under_test.py"
NAMES = (
    "test_plain", "test_given[values0-expected0]", "test_given[values1-expected1]", "test_fixture",
    "test_indirect[3]", "TestPlain::test_method", "TestPrepared::test_prepared", "test_waits",
)  # fmt: skip


def node(name: str) -> str:
    return f"tests/test_code.py::{name}"


def test_a_batch_and_a_trial_alone_agree(bench: OpenBench) -> None:
    one = bench({PATH: CODE, "tests/test_code.py": TESTS}, [node(name) for name in NAMES])
    texts = ("return value * 2", "return value + 4", "raise KeyError(value)", "raise SystemExit(0)")
    edits = [("return value + 2", text) for text in texts]
    together = one.run(*edits, path=PATH, thorough=True)
    alone = [one.run(edit, path=PATH, thorough=True)[0] for edit in edits]
    assert [t.verdict for t in together] == ["passed", "failed", "failed", "failed"]
    for batch, single in zip(together, alone, strict=True):
        assert (batch.verdict, batch.exception, batch.at, batch.passed, batch.moved) == (
            single.verdict, single.exception, single.at, single.passed, single.moved,
        )  # fmt: skip


def test_hooks_of_the_repository_are_heeded(bench: OpenBench) -> None:
    conftest = """
        import pytest
        import code_under_test

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_call(item):
            code_under_test.OFFSET = 1
        """
    code = """
        OFFSET = 0


        def shifted(value):
            return value - OFFSET
        """
    tests = "from code_under_test import shifted\n\n\ndef test_shifted():\n    assert shifted(5) == 6\n"
    one = bench({PATH: code, "tests/conftest.py": conftest, "tests/test_code.py": tests}, [node("test_shifted")])
    edits = [("value - OFFSET", "value + OFFSET"), ("value - OFFSET", "value * OFFSET")]
    assert one.verdicts(*edits, path=PATH) == ["passed", "failed"]


def test_direct_calls_leave_what_others_have_set_up(bench: OpenBench) -> None:
    tests = """
        import pytest
        from code_under_test import double


        @pytest.fixture(scope="module")
        def numbers():
            return [5]


        def test_first(numbers):
            assert double(numbers[0]) == 10

        def test_plain():
            assert double(4) == 8

        def test_last(numbers):
            assert double(numbers[0] + 1) == 12
        """
    targets = [node(f"test_{name}") for name in ("first", "plain", "last")]
    one = bench({PATH: CODE, "tests/test_code.py": tests}, targets)
    edits = [("return value + 2", "return value * 2"), ("return value + 2", "return value + 4")]
    assert one.verdicts(*edits, path=PATH) == ["passed", "failed"]
