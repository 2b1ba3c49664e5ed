"""Wrong constants: numbers, strings, truth values, and results that are off by one."""

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
        if isinstance(node.value, int):
            yield from _integers(site, node, node.value)
        elif isinstance(node.value, float):
            yield from _floats(site, node, node.value)


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
    for node in ast.walk(site.unit.node):
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


def strings(site: Site) -> Iterator[Proposal]:
    """Replace string literals by others that the module or the failing test uses, and by small variations."""
    for node in site.expressions:
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        parent = site.parent(node)
        if isinstance(parent, (ast.Expr, ast.JoinedStr)) or len(node.value) > 300:
            continue
        quote = Quote.of(site.text(node))
        if quote is None:
            continue
        for text, rule, score in _other_strings(site, node.value):
            if text != node.value:
                yield site.swap(node, quote.write(text), rule, score)


def _other_strings(site: Site, value: str) -> Iterator[tuple[str, str, float]]:
    seen: set[str] = set()
    for text in site.hints.strings:
        likeness = _likeness(text, value)
        if text not in seen and likeness > 0.5:
            seen.add(text)
            yield text, "string.expected", 2.0 * (likeness - 1.0)
    for text, score in (
        ("", -0.5),
        (" ", -0.6),
        (value + " ", -1.2),
        (" " + value, -1.4),
        (value.strip(), -0.8),
        (value.lower(), -0.6),
        (value.upper(), -0.8),
        (value.capitalize(), -1.0),
        (value[:-1], -0.9),
        (value[1:], -1.0),
        (value + "\n", -1.5),
        (value.rstrip("\n"), -0.8),
    ):
        if text not in seen:
            seen.add(text)
            yield text, "string.varied", score
    for index, (text, score) in enumerate(_patterns(value)):
        yield text, "string.pattern", score - 0.05 * index
    ranked = sorted(site.module.strings, key=lambda t: (-_likeness(t, value), -site.module.strings[t]))
    for index, text in enumerate(ranked[:14]):
        if text not in seen and len(text) <= 40:
            yield text, "string.other", -0.15 * index + (_likeness(text, value) - 0.5)


_PATTERN_EDITS: tuple[tuple[str, str, float], ...] = (
    ("+", "*", 0), ("*", "+", 0), ("+?", "+", -0.5), ("*?", "*", -0.5), (".*", ".*?", 0), (".+", ".+?", 0),
    ("$", "", -0.5), ("^", "", -0.5), (r"\w", r"\S", -0.7), (r"\d", r"\w", -0.7), (r"\d", r"\d+", 0),
    (r"\w", r"\w+", 0),
    (r"\s", r"\s*", 0), (r"\s", r"\s+", 0), ("a-z", "a-zA-Z", 0), ("a-zA-Z", "a-zA-Z0-9", 0), ("A-Z", "A-Za-z", 0),
    ("0-9", "0-9.", -0.7), (".", r"\.", 0), ("?", "", -0.5), (r"\b", "", -1), ("(", "(?:", -1), ("|", "", -1.5),
)  # fmt: skip


def _patterns(value: str) -> Iterator[tuple[str, float]]:
    """Small changes of what looks like a regular expression, a format or a date pattern."""
    if re.search(r"\\[wdsbS.]|\[[^\]]+\]|\.[*+]|\(\?|^\^|\$$", value):
        for old, new, score in _PATTERN_EDITS:
            for found in list(re.finditer(re.escape(old), value))[:3]:
                yield value[: found.start()] + new + value[found.end() :], score
        if not value.startswith("^"):
            yield "^" + value, -0.5
        if not value.endswith("$"):
            yield value + "$", -0.3
        yield value + "?", -1.0
    if "%" in value:
        for old, new in (
            ("%d", "%s"),
            ("%s", "%r"),
            ("%s", "%d"),
            ("%r", "%s"),
            ("%m", "%M"),
            ("%M", "%m"),
            ("%y", "%Y"),
            ("%H", "%I"),
            ("%I", "%H"),
            ("%Y", "%y"),
        ):
            if old in value:
                yield value.replace(old, new, 1), -0.2


def _likeness(one: str, other: str) -> float:
    """Share of characters (in any order) and affixes that two strings have in common, 0 to 1; cheap."""
    if not one or not other:
        return 0.0
    longest = max(len(one), len(other))
    prefix = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    rest = min(len(one), len(other)) - prefix
    suffix = next((i for i in range(rest) if one[-1 - i] != other[-1 - i]), rest)
    return (prefix + suffix) / longest


class Quote:
    """How a string literal is written: prefix and quotes."""

    def __init__(self, prefix: str, mark: str) -> None:
        """Keep both."""
        self.prefix, self.mark = prefix, mark

    @classmethod
    def of(cls, literal: str) -> Quote | None:
        """Read them off a literal; None for implicit concatenations and what is not a plain string."""
        found = re.fullmatch(r"([rRuU]?)('''|\"\"\"|'|\")(.*)\2", literal, re.DOTALL)
        if found is None:
            return None
        mark, body = found.group(2), found.group(3)
        return cls(found.group(1), mark) if not re.search(rf"(?<!\\){mark}", body) else None

    def write(self, value: str) -> str:
        """Write a value in the same manner where that is possible."""
        mark = self.mark
        if "r" in self.prefix.lower() and mark not in value and not value.endswith("\\") and "\n" not in value:
            return f"{self.prefix}{mark}{value}{mark}"
        if self.mark in {"'", '"'}:
            body = (
                value.replace("\\", "\\\\")
                .replace(mark, "\\" + mark)
                .replace("\n", "\\n")
                .replace("\r", "\\r")
                .replace("\t", "\\t")
            )
            if body.isprintable():
                return f"{mark}{body}{mark}"
        return repr(value)


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
        if guess == "any" and kind in {"return", "argument", "assign", "operand"}:
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
    Template("numbers", ("constant.step", "constant.number", "constant.kind"), numbers),
    Template("truths", ("constant.truth", "constant.kind", "constant.empty"), truths),
    Template("strings", ("string.expected", "string.varied", "string.pattern", "string.other"), strings),
    Template(
        "off by one",
        ("offbyone.slice", "offbyone.index", "offbyone.range", "offbyone.argument", "offbyone.compare",
         "offbyone.return", "offbyone.assign", "offbyone.operand"),
        off_by_one,
    ),
)  # fmt: skip
