"""Positions, units, blocks and scopes of Python files."""

from __future__ import annotations

import ast

import pytest

from agents.edits import Source
from agents.repair.guesses import compatible
from agents.repair.scopes import ModuleScope, UnitScope
from agents.repair.units import SourceFile, Unit, header_lines, own_expressions, places
from sandbox.tree import Entry, Tree

TEXT = '''\
"""Doc."""
import os
LIMIT = 10


@staticmethod
def först(größe, x=LIMIT):
    "doc"
    total = 0
    for i in range(größe):
        if i > x:  # é
            total += i; x = "ü" + str(i)
        elif i == 1:
            continue
    return [total for total in (1, 2)]


class Outer:
    kind = "é"

    class Inner:
        def method(self):
            self.count = 0
            return self.count

        async def later(self):
            async with os.thing() as t, os.other():
                await t


if LIMIT:
    def hidden():
        def inner(a):
            return a
        return inner
'''


def parsed(text: str = TEXT) -> SourceFile:
    return SourceFile("a.py", Source(text))


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_segments_are_the_nodes_own_text(ending: str) -> None:
    file = parsed(TEXT.replace("\n", ending))
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Name):
            assert file.segment(node) == node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
            assert ast.literal_eval(file.segment(node)) == node.value
        if isinstance(node, ast.stmt):
            assert file.line_of(file.span(node)[0]) == node.lineno


def test_units_are_functions_and_methods_then_the_module() -> None:
    units = parsed().units
    assert [(u.qualname, u.kind) for u in units] == [
        ("först", "function"), ("Outer.Inner.method", "method"), ("Outer.Inner.later", "method"),
        ("hidden", "function"), ("<module>", "module"),
    ]  # fmt: skip
    assert TEXT[units[0].start :].startswith("@staticmethod")
    assert TEXT[units[0].start : units[0].end].endswith("(1, 2)]\n")


@pytest.mark.parametrize(
    ("line", "unit", "function"),
    [(1, "<module>", "<module>"), (6, "först", "först"), (10, "först", "först"), (19, "<module>", "Outer"),
     (23, "Outer.Inner.method", "Outer.Inner.method"), (34, "hidden", "hidden.inner")],
)  # fmt: skip
def test_lines_belong_to_units(line: int, unit: str, function: str) -> None:
    file = parsed()
    assert file.unit_at_line(line).qualname == unit
    assert file.unit_at(file.line_start(line)).qualname == unit
    assert file.function_at_line(line) == function


def unit_named(file: SourceFile, name: str) -> Unit:
    return next(u for u in file.units if u.qualname == name)


def test_places_know_their_blocks() -> None:
    file = parsed()
    found = list(places(unit_named(file, "först")))
    kinds = [type(p.statement).__name__ for p in found]
    assert kinds == ["FunctionDef", "Expr", "Assign", "For", "If", "AugAssign", "Assign", "If", "Continue", "Return"]
    added = found[5]
    assert [type(loop).__name__ for loop in added.loops] == ["For"]
    assert added.depth == 3
    assert added.block[added.index] is added.statement
    assert not file.alone(added.statement)
    assert file.alone(found[9].statement)


def test_module_places_leave_function_bodies_out() -> None:
    file = parsed()
    lines = [p.statement.lineno for p in places(file.units[-1])]
    assert lines == [1, 2, 3, 7, 18, 19, 21, 22, 26, 31, 32]


def test_headers_and_own_expressions() -> None:
    file = parsed()
    by_line = {p.statement.lineno: p.statement for unit in file.units[:3] for p in places(unit)}
    assert header_lines(by_line[7]) == (6, 7)
    assert header_lines(by_line[10]) == (10, 10)
    assert header_lines(by_line[15]) == (15, 15)
    assert [file.segment(e) for e in own_expressions(by_line[27])] == ["os.thing()", "t", "os.other()"]
    assert [file.segment(e) for e in own_expressions(by_line[7])] == ["LIMIT"]


def test_indentation_is_the_files_own() -> None:
    assert parsed("if 1:\n  x = 1\n").indent_unit == "  "
    assert parsed("def f():\n\treturn 1\n").indent_unit == "\t"
    assert parsed("x = 1\n").indent_unit == "    "


def test_only_readable_python_is_parsed() -> None:
    tree = Tree(
        {"a.py": Entry(b"x = ("), "b.py": Entry(b"x = 1"), "c.py": Entry(b"b.py", "symlink"), "d.py": Entry(b"\xff")}
    )
    assert SourceFile.parse("a.py", tree) is None
    assert SourceFile.parse("c.py", tree) is None
    assert SourceFile.parse("d.py", tree) is None
    assert SourceFile.parse("absent.py", tree) is None
    file = SourceFile.parse("b.py", tree)
    assert file is not None
    assert file.units[-1].qualname == "<module>"


SCOPED = """\
from os import path as where
SIZE = 3
def helper(a, *, key=None):
    return a
class Box:
    def __init__(self, items):
        self.items = list(items)
        self.count = 0
        self.name: str = ""
    def grow(self, more, text: str, n=1):
        for item in more:
            seen = set()
            size = len(text)
            if item in seen:
                self.count += n
            late = size // 2
            table = {}
            table[item] = table.get(item, 0)
        flag = not more
        return [x for x in self.items if x]
"""


def scoped(name: str) -> tuple[SourceFile, UnitScope]:
    file = parsed(SCOPED)
    return file, UnitScope(file, ModuleScope(file), unit_named(file, name))


def test_names_are_known_where_they_are_bound() -> None:
    file, scope = scoped("Box.grow")
    found = {p.statement.lineno: p for p in places(scope.unit)}
    inside = scope.locals_at(found[14], file.span(found[14].statement)[0])
    assert {"more", "text", "n", "item", "seen", "size", "late"} <= set(inside)
    assert "flag" not in inside
    assert "x" not in inside
    before = scope.locals_at(found[11], file.span(found[11].statement)[0])
    assert "seen" not in before
    assert scope.unused == {"late", "flag"}
    assert scope.fields == ("self.count", "self.items", "self.name") or set(scope.fields) == {
        "self.items", "self.count", "self.name",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "guess"),
    [("text", "str"), ("n", "int"), ("seen", "set"), ("size", "int"), ("late", "int"), ("table", "dict"),
     ("flag", "bool"), ("more", "any"),
     ("SIZE", "int"), ("helper", "function"), ("self.items", "list"), ("self.count", "int")],
)  # fmt: skip
def test_types_are_guessed_from_use(name: str, guess: str) -> None:
    assert scoped("Box.grow")[1].guess_name(name) == guess


def test_signatures_of_what_the_file_defines() -> None:
    _, scope = scoped("Box.grow")
    call = ast.parse("helper(1)").body[0].value  # type: ignore[attr-defined]
    known = scope.signature_of(call)
    assert known is not None
    assert (known.positional, known.required, known.keyword) == (("a",), 1, ("key",))
    method = scope.signature_of(ast.parse("self.grow(1)").body[0].value)  # type: ignore[attr-defined]
    assert method is not None
    assert method.positional == ("more", "text", "n")
    made = scope.signature_of(ast.parse("Box(1)").body[0].value)  # type: ignore[attr-defined]
    assert made is not None
    assert made.positional == ("items",)
    assert scope.signature_of(ast.parse("print(1)").body[0].value) is None  # type: ignore[attr-defined]


def test_compatible_types() -> None:
    assert compatible("int", "float")
    assert compatible("any", "str")
    assert compatible("list", "iter")
    assert not compatible("int", "str")
    assert not compatible("list", "dict")
