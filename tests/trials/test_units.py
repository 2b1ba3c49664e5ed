"""One function out of a file is compiled as if the whole file had been."""

from __future__ import annotations

import pytest

from sandbox.probe.trial_units import (
    NotSwappable,
    Source,
    Uncompilable,
    Unit,
    code_constants,
    compile_text,
    pair_codes,
    splice_text,
)
from tests.trials.conftest import dedent

TEXT = dedent(
    '''
    from __future__ import annotations
    """Not a docstring."""
    import functools


    @functools.lru_cache(
        maxsize=None
    )
    def top(a, b=1):
        """Grüße."""
        return a + b


    class Outer:
        limit = 3

        class Inner:
            @property
            def value(self) -> int:
                def deeper():
                    return self.__hidden
                return deeper()

        if limit:
            async def late(self): return 1

    try:
        def guarded():
            return 1
    except NameError:
        def guarded():
            return 2
    '''
)


def unit_at(source: Source, text: str) -> Unit:
    start = source.text.index(text)
    return source.unit_of((start, start + len(text), text))


def same_code(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


def test_every_function_outside_functions_is_a_unit() -> None:
    names = [unit.qualname for unit in Source("code.py", TEXT).units]
    assert names == ["top", "Outer.Inner.value", "Outer.late", "guarded", "guarded"]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_unit_alone_compiles_to_the_code_that_its_module_has(ending: str, mark: str) -> None:
    text = mark + TEXT.replace("\n", ending)
    source = Source("code.py", text)
    module = compile_text(text.lstrip("\ufeff"), "/code.py", 0)
    whole = {}

    def walk(code: object) -> None:
        for inner in code_constants(code):  # type: ignore[arg-type]
            whole[inner.co_name, inner.co_firstlineno] = inner
            walk(inner)

    walk(module)
    for unit in source.units:
        code = source.compile_unit(unit, text[unit.start : unit.end], "/code.py")
        assert same_code(code, whole[unit.name, unit.line])
        assert list(code.co_lines()) == list(whole[unit.name, unit.line].co_lines())


def test_private_names_and_future_statements_count() -> None:
    source = Source("code.py", TEXT)
    unit = unit_at(source, "deeper()")
    code = source.compile_unit(unit, source.changed_text(unit, []), "/code.py")
    inner = code_constants(code)[0]
    assert "_Inner__hidden" in inner.co_names
    assert source.flags


def test_changes_outside_a_functions_lines_are_not_swappable() -> None:
    source = Source("code.py", TEXT)
    for text, why in (("limit = 3", "outside"), ("maxsize=None", "decorator"), ("import functools", "outside")):
        with pytest.raises(NotSwappable, match=why):
            unit_at(source, text)


def test_an_insertion_after_the_last_line_belongs_to_the_function_it_is_indented_for() -> None:
    source = Source("code.py", "def f(x):\n    y = x\ndef g():\n    pass\n")
    end = source.units[0].end
    assert source.unit_of((end, end, "    return y\n")).name == "f"
    with pytest.raises(NotSwappable):
        source.unit_of((end, end, "limit = 3\n"))


def test_a_renamed_function_and_broken_text_are_told_apart() -> None:
    source = Source("code.py", TEXT)
    unit = unit_at(source, "return a + b")
    with pytest.raises(NotSwappable, match="renamed"):
        source.compile_unit(unit, "def other(): pass\n", "/code.py")
    with pytest.raises(Uncompilable):
        source.compile_unit(unit, "def top(:\n", "/code.py")
    with pytest.raises(Uncompilable):
        source.arguments(unit, "def top(:\n")
    with pytest.raises(NotSwappable):
        source.arguments(unit, "def other(): pass\n")
    with pytest.raises(Uncompilable):
        Source("code.py", "def f(:\n")


def test_columns_are_bytes_and_offsets_are_characters() -> None:
    source = Source("code.py", "def f(): s = 'ßß'; return s\n")
    assert source.text[source.offset(1, source.tree.body[0].body[1].col_offset) :].startswith("return")  # type: ignore[attr-defined]


def test_changes_must_fit_the_text() -> None:
    assert splice_text("abcd", [(3, 4, "X"), (0, 1, "YY")]) == "YYbcX"
    for splices in ([(0, 2, ""), (1, 3, "")], [(3, 9, "")]):
        with pytest.raises(Uncompilable):
            splice_text("abcd", splices)


def test_inner_functions_are_paired_by_place_or_by_name() -> None:
    def code(text: str) -> object:
        return code_constants(compile_text(text, "/code.py", 0))[0]

    old = code("def f():\n    def a(): pass\n    def b(): pass\n")
    same = code("def f():\n    def a(): return 1\n    def b(): pass\n")
    more = code("def f():\n    def c(): pass\n    def b(): pass\n    def d(): pass\n")
    named = [(x.co_name, y and y.co_name) for x, y in pair_codes(old, same)]  # type: ignore[arg-type]
    assert named == [("f", "f"), ("a", "a"), ("b", "b")]
    named = [(x.co_name, y and y.co_name) for x, y in pair_codes(old, more)]  # type: ignore[arg-type]
    assert named == [("f", "f"), ("a", None), ("b", "b")]
