"""What a candidate changes is what the tests see, whatever kind of function it changes."""

from __future__ import annotations

import pytest

from tests.trials.conftest import OpenBench

CODE = '''
    """A module of many kinds of functions."""
    import asyncio
    import functools
    from contextlib import contextmanager

    LIMIT = 10
    TABLE = {}


    def plain(x):
        return x + 2


    def with_defaults(x, step=2, *, times=1, extra=[]):
        extra.append(x)
        return x + step * times


    def traced(function):
        @functools.wraps(function)
        def wrapper(*arguments):
            return function(*arguments) + 1
        return wrapper


    @traced
    def decorated(x):
        return x


    def make_adder(n):
        def add(x):
            return x + n + 1
        return add


    add_two = make_adder(2)


    class Base:
        def size(self):
            return 2


    class Derived(Base):
        rate = 3

        def size(self):
            return super().size() + 2

        @property
        def double(self):
            return self.rate * 3

        @classmethod
        def build(cls):
            return cls.rate + 2

        @staticmethod
        def fixed():
            return 8

        def __private(self):
            return 5

        def public(self):
            return self.__private()


    def numbers():
        yield 1
        yield 3


    @contextmanager
    def managed():
        yield 5


    async def late(x):
        await asyncio.sleep(0)
        return x + 2


    @functools.lru_cache(maxsize=None)
    def cached(x):
        return x + 2


    def fill():
        TABLE["one"] = 2


    fill()
    '''

TESTS = """
    import asyncio
    import code as standard
    import pytest
    from pack import code


    def test_plain(): assert code.plain(1) == 2
    def test_step(): assert code.with_defaults(1, times=2) == 3
    def test_decorated(): assert code.decorated(1) == 1
    def test_closure(): assert code.add_two(1) == 3
    def test_super(): assert code.Derived().size() == 3
    def test_property(): assert code.Derived().double == 6
    def test_classmethod(): assert code.Derived.build() == 4
    def test_staticmethod(): assert code.Derived.fixed() == 7
    def test_private(): assert code.Derived().public() == 4
    def test_generator(): assert list(code.numbers()) == [1, 2]
    def test_managed():
        with code.managed() as value:
            assert value == 4
    def test_async(): assert asyncio.run(code.late(1)) == 2
    def test_cached(): assert code.cached(1) == 2
    def test_constant(): assert code.LIMIT == 9
    def test_attribute(): assert code.Derived.rate == 2
    def test_import_time(): assert code.TABLE == {"one": 1}
    """

FILES = {"pack/__init__.py": "", "pack/code.py": CODE, "tests/test_code.py": TESTS}

SWAPPED = [
    ("plain", "def plain(x):\n    return x + 2", "def plain(x):\n    return x + 1"),
    ("step", "step=2", "step=1"),
    ("decorated", "return function(*arguments) + 1", "return function(*arguments)"),
    ("closure", "return x + n + 1", "return x + n"),
    ("super", "return super().size() + 2", "return super().size() + 1"),
    ("property", "self.rate * 3", "self.rate * 2"),
    ("classmethod", "cls.rate + 2", "cls.rate + 1"),
    ("staticmethod", "return 8", "return 7"),
    ("private", "return 5", "return 4"),
    ("generator", "yield 3", "yield 2"),
    ("managed", "yield 5", "yield 4"),
    ("async", "    await asyncio.sleep(0)\n    return x + 2", "    await asyncio.sleep(0)\n    return x + 1"),
    ("cached", "def cached(x):\n    return x + 2", "def cached(x):\n    return x + 1"),
    ("plain", "def plain(x):\n    return x + 2", "def plain(x):\n    y = x\n    return y + 1"),
    ("plain", "def plain(x):\n    return x + 2", "def plain(x, more=1):\n    return x + more"),
]


@pytest.mark.parametrize(("name", "old", "new"), SWAPPED)
def test_a_right_candidate_passes(bench: OpenBench, name: str, old: str, new: str) -> None:
    one = bench(FILES, [f"tests/test_code.py::test_{name}"])
    assert one.verdicts((old, new), path="pack/code.py") == ["passed"]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("constant", "LIMIT = 10", "LIMIT = 9"),
        ("attribute", "rate = 3", "rate = 2"),
        ("decorated", "@traced\n", ""),
        ("plain", "def plain(x):\n    return x + 2", "def plain(x):\n    return x + 1\n\n\nextra = 1"),
    ],
)
def test_what_cannot_be_exchanged_is_imported_afresh(bench: OpenBench, name: str, old: str, new: str) -> None:
    one = bench(FILES, [f"tests/test_code.py::test_{name}"])
    path = "pack/code.py"
    candidate = one.candidate(old, new, path)
    (trial,) = one.trials.try_batch([candidate])
    if trial.verdict == "import":
        overlay = {path: one.texts[path].replace(old, new).encode()}
        trial = one.trials.try_fresh(candidate.id, overlay)
        assert trial.way == "overlay"
    assert trial.verdict == "passed", trial


def test_a_function_that_ran_on_import_is_told(bench: OpenBench) -> None:
    one = bench(FILES, ["tests/test_code.py::test_import_time"])
    assert one.trials.opened is not None
    assert {"fill", "make_adder", "traced"} <= {name for _, _, name in one.trials.opened.imported}
    old, new = 'TABLE["one"] = 2', 'TABLE["one"] = 1'
    assert one.verdicts((old, new), path="pack/code.py") == ["failed"]
    overlay = {"pack/code.py": one.texts["pack/code.py"].replace(old, new).encode()}
    assert one.trials.try_fresh("x", overlay).good


def test_what_means_the_same_is_not_run(bench: OpenBench) -> None:
    one = bench(FILES, ["tests/test_code.py::test_plain"])
    assert one.verdicts(
        ("def plain(x):\n    return x + 2", "def plain(x):\n    return (x + 2)"), path="pack/code.py"
    ) == ["same"]
    assert one.verdicts(("return 8", "return ("), path="pack/code.py") == ["uncompilable"]
