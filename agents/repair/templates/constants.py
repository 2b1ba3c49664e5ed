"""Wrong constants: numbers and truth values, and results that are off by one."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator

from agents.repair.guesses import NUMBERS
from agents.repair.templates.site import ARITH, Proposal, Site, Template


def numbers(site: Site) -> Iterator[Proposal]:
    """Replace number literals by near ones, typical ones, and others of the function and the module."""
    for node in site.expressions:
        if not isinstance(node, ast.Constant) or isinstance(node.value, (bool, str, bytes)):
            continue
        less = -0.4 if isinstance(site.parent(node), (ast.BinOp, ast.Slice)) else 0.0
        for name, score in site.variables(node, "int", limit=7) if node.value is not None else ():
            if name not in {"self", "cls"}:
                yield site.swap(node, name, "variable.for_constant", score + less)
        if isinstance(site.parent(node), ast.Assign) and node.value in {0, 1, -1, None}:
            yield from _starts(site, node)
        if isinstance(node.value, int):
            yield from _integers(site, node, node.value)
        elif isinstance(node.value, float):
            yield from _floats(site, node, node.value)


def _starts(site: Site, node: ast.Constant) -> Iterator[Proposal]:
    """Start from the first item, or from beyond all items, where a constant stands."""
    names = [n for n in site.names_at(node) if site.scope.guess_name(n) in {"list", "any", "tuple", "str"}]
    for index, name in enumerate(names[:3]):
        for text, score in (
            (f"{name}[0]", 0.0),
            (f"len({name})", -0.6),
            (f"{name}[-1]", -0.9),
            (f"len({name}) - 1", -0.8),
        ):
            yield site.swap(node, text, "constant.start", score - 0.3 * index, strength=11)
    for text, score in (("float('-inf')", -0.3), ("float('inf')", -0.4)):
        yield site.swap(node, text, "constant.start", score)


def _integers(site: Site, node: ast.Constant, value: int) -> Iterator[Proposal]:
    parent = site.parent(node)
    negative = isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.USub)
    target: ast.AST = parent if negative else node
    value = -value if negative else value
    options: dict[int, float] = {value + 1: 0.0, value - 1: -0.1}
    for typical, score in ((0, -0.4), (1, -0.3), (-1, -0.7), (2, -0.8)):
        options.setdefault(typical, score)
    options.setdefault(-value, -0.6)
    for text in site.hints.numbers:
        if re.fullmatch(r"-?\d{1,12}", text):
            options.setdefault(int(text), -2.2)
    for other, count in _other_integers(site).items():
        options.setdefault(other, -0.8 if count else -1.6)
    for derived, score in (
        (value * 2, -1.8),
        (value // 2, -1.8),
        (value * 10, -2.0),
        (value // 10, -2.0),
        (value + 2, -1.8),
        (value - 2, -1.8),
    ):
        options.setdefault(derived, score)
    hexadecimal = site.text(node)[:2].lower() in {"0x", "0b", "0o"}
    if hexadecimal and not negative:
        for bit in range(max(8, value.bit_length())):
            options.setdefault(value ^ (1 << bit), -1.5)
    for new, score in options.items():
        if new == value:
            continue
        rule = "constant.step" if abs(new - value) == 1 else "constant.number"
        if (
            isinstance(parent, ast.BinOp)
            and new == 0
            and isinstance(parent.op, (ast.Add, ast.Sub, ast.Div, ast.FloorDiv, ast.Mod))
        ):
            continue  # `x + 0` is left to the rule that drops operands; the others divide by zero
        yield site.swap(
            target, _written(new, site.text(node), hexadecimal), rule, score, strength=13 if new < 0 else 15
        )
    if isinstance(parent, (ast.Return, ast.Assign, ast.BinOp)) and not negative and value in {0, 1, 2}:
        yield site.swap(target, f"{value}.0", "constant.kind", -0.8)
    if isinstance(parent, (ast.Return, ast.Assign)) and value in {0, 1, -1}:
        for text in ("None", "True", "False", "float('inf')", "[]", "''"):
            yield site.swap(target, text, "constant.kind", -0.6)


def _written(value: int, old: str, hexadecimal: bool) -> str:
    if hexadecimal:
        return f"0{old[1]}{value:{old[1].lower()}}" if value >= 0 else str(value)
    return str(value)


def _other_integers(site: Site) -> dict[int, int]:
    """Integers of the unit (1) and then of the module's constants (0)."""
    found: dict[int, int] = {}
    for node in site.scope.nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, int) and not isinstance(node.value, bool):
            found[node.value] = 1
            if len(found) > 10:
                break
    for value in site.module.constants.values():
        if isinstance(value, ast.Constant) and isinstance(value.value, int) and not isinstance(value.value, bool):
            found.setdefault(value.value, 0)
    return dict(list(found.items())[:14])


def _floats(site: Site, node: ast.Constant, value: float) -> Iterator[Proposal]:
    options = [
        value + 1,
        value - 1,
        0.0,
        1.0,
        -value,
        value * 10,
        value / 10,
        value * 2,
        value / 2,
        value * 100,
        value / 100,
        1 - value,
    ]
    seen = {repr(value)}
    for index, new in enumerate(options):
        text = repr(new)
        if text not in seen and math.isfinite(new):
            seen.add(text)
            yield site.swap(node, text, "constant.number", -0.2 * index, strength=13 if new < 0 else 15)
    if value.is_integer():
        yield site.swap(node, str(int(value)), "constant.kind", -0.5, strength=15)


def truths(site: Site) -> Iterator[Proposal]:
    """Replace True, False and None by each other and by empty values."""
    for node in site.expressions:
        if not isinstance(node, ast.Constant):
            continue
        if node.value is True or node.value is False:
            yield site.swap(node, str(not node.value), "constant.truth")
            if isinstance(site.parent(node), (ast.Return, ast.Assign, ast.keyword)):
                yield site.swap(node, "None", "constant.kind", -1.0)
        elif node.value is None:
            parent = site.parent(node)
            if isinstance(parent, ast.Compare):
                continue
            for name, score in site.variables(node, limit=6):
                yield site.swap(node, name, "variable.for_constant", score - 0.2)
            for index, text in enumerate(("[]", "''", "0", "False", "True", "{}", "()", "-1")):
                yield site.swap(node, text, "constant.kind", -0.15 * index, strength=13 if text == "-1" else 16)
    if isinstance(site.statement, (ast.Return, ast.Assign)) and site.statement.value is not None:
        yield from _empty(site, site.statement.value)


def _empty(site: Site, value: ast.expr) -> Iterator[Proposal]:
    """`return []` as `return [[]]`, `return [x]`, `return None` and so on."""
    literal = site.text(value)
    kinds = {
        "[]": ("[[]]", "None", "{}", "()", "set()", "''", "0"),
        "{}": ("[]", "None", "set()", "[{}]"),
        "set()": ("[]", "{}"),
        "''": ("None", "[]", "' '", "['']"),
        '""': ("None", "[]", '" "', '[""]'),
        "()": ("[]", "None", "((),)"),
    }
    for index, text in enumerate(kinds.get(literal, ())):
        yield site.swap(value, text, "constant.empty", -0.25 * index)
    if literal in {"[]", "()", "set()"}:
        pattern = {"[]": "[{}]", "()": "({},)", "set()": "{{{}}}"}[literal]
        for name, score in site.variables(value, limit=8):
            yield site.swap(value, pattern.format(name), "constant.empty", score - 0.4)


def off_by_one(site: Site) -> Iterator[Proposal]:
    """Write `e + 1` or `e - 1` where a whole number `e` is an index, a bound, an argument or a result."""
    for node in site.expressions:
        if isinstance(node, ast.Constant) or not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            continue
        kind = _position(site, node)
        if kind is None:
            continue
        guess = site.guess(node)
        if guess not in NUMBERS and guess != "any":
            continue
        unsure = -1.2 if guess == "any" else 0.0
        counted = kind == "assign" and isinstance(site.statement, ast.AugAssign)
        if guess == "any" and kind in {"return", "argument", "assign", "operand"} and not counted:
            continue
        if (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, (ast.Add, ast.Sub))
            and isinstance(node.right, ast.Constant)
        ):
            continue
        base = site.tight(node, ARITH)
        for sign, score in (("+", 0.0), ("-", 0.0)) if kind != "index" else (("-", 0.0), ("+", -0.1)):
            yield site.swap(node, f"{base} {sign} 1", f"offbyone.{kind}", score + unsure, strength=ARITH)


def _position(site: Site, node: ast.expr) -> str | None:
    parent = site.parent(node)
    match parent:
        case ast.Slice():
            return "slice"
        case ast.Subscript(slice=inner) if inner is node and isinstance(
            node, (ast.Name, ast.BinOp, ast.Call, ast.Attribute)
        ):
            return "index"
        case ast.Call(func=ast.Name(id="range")):
            return "range"
        case ast.Call(func=func) if func is not node:
            return "argument"
        case ast.Compare():
            return "compare"
        case ast.Return():
            return "return"
        case ast.Assign(value=value) if value is node:
            return "assign"
        case ast.AugAssign(value=value) if value is node:
            return "assign"
        case ast.Tuple() if isinstance(site.parents.get(parent), ast.Subscript):
            return "index"
        case ast.Tuple():
            return "argument"
        case ast.BinOp(op=ast.Mult() | ast.FloorDiv() | ast.Mod() | ast.Pow() | ast.Div()):
            return "operand"
        case ast.BinOp(op=ast.Add() | ast.Sub(), left=left, right=ast.Name()) if left is node and not isinstance(
            site.parents.get(parent), ast.BinOp
        ):
            return "operand"
        case ast.IfExp(test=test) if test is not node:
            return "return"
        case _:
            return None


TEMPLATES = (
    Template(
        "numbers",
        ("constant.step", "constant.number", "constant.kind", "constant.start", "variable.for_constant"),
        numbers,
    ),
    Template("truths", ("constant.truth", "constant.kind", "constant.empty", "variable.for_constant"), truths),
    Template(
        "off by one",
        ("offbyone.slice", "offbyone.index", "offbyone.range", "offbyone.argument", "offbyone.compare",
         "offbyone.return", "offbyone.assign", "offbyone.operand"),
        off_by_one,
    ),
)  # fmt: skip
