import ast
import gc
import inspect
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox.syntax import parse, parse_expression


@pytest.fixture
def eager_switching() -> Iterator[None]:
    """Make threads take turns as often as they can, also inside the parser, whose objects start collections."""
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(50)
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*thresholds)


def test_several_threads_can_parse_at_the_same_time(eager_switching: None) -> None:
    class Loop:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            for _ in range(20):
                pass

    def work(_: int) -> int:
        [Loop() for _ in range(20)]
        return len(parse(source).body)

    source = inspect.getsource(ast)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(work, range(400))) == {len(ast.parse(source).body)}


def test_warnings_of_a_text_are_nobody_elses() -> None:
    # All warnings are errors in these tests.
    assert isinstance(parse(r"x = '\d'").body[0], ast.Assign)
    assert isinstance(parse_expression(r"'\d' is 1"), ast.Compare)


@pytest.mark.parametrize("text", ["x = ", "x = '\0'", b"# coding: nothing\n"])
def test_what_is_not_python_is_a_syntax_error_or_a_value_error(text: str | bytes) -> None:
    with pytest.raises((SyntaxError, ValueError)):
        parse(text)


@pytest.mark.parametrize("text", ["-" * 100_000 + "1", "(" * 1_000 + ")" * 1_000, "f(" * 100_000, "1" + "+1" * 100_000])
def test_what_is_nested_without_end_is_a_syntax_error(text: str) -> None:
    """Of minus signs, Python's own parser says that there is no memory, which would end the program."""
    for read in (parse, parse_expression):
        with pytest.raises(SyntaxError):
            read(text)
