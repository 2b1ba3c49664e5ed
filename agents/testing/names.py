"""Names of tests that say what is checked."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterable, Sequence

from sandbox.runners.exploring import Scenario
from sandbox.syntax import parse

_OPERATIONS = {
    ast.Subscript: "getitem", ast.In: "contains", ast.Eq: "equals", ast.NotEq: "differs", ast.Lt: "less_than",
    ast.LtE: "at_most", ast.Gt: "greater_than", ast.GtE: "at_least", ast.Add: "add", ast.Sub: "subtract",
    ast.Mult: "multiply", ast.BitAnd: "and", ast.BitOr: "or", ast.BitXor: "xor", ast.USub: "negate",
}  # fmt: skip
_LENGTH = 70


def snake(name: str) -> str:
    """Return a name in lower case with underscores."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"\W+|_+", "_", name).strip("_").lower()


def described(source: str) -> str:
    """Return a word or two for a value's source, "" where nothing short says it."""
    try:
        value = ast.literal_eval(source)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return snake(source) if re.fullmatch(r"[\w.]{1,24}", source) else ""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        if value == 0:
            return "zero"
        text = re.sub(r"\W", "_", f"{abs(value):g}" if isinstance(value, float) else str(abs(value)))
        return f"minus_{text}" if value < 0 else text
    if isinstance(value, str):
        if not value:
            return "empty_string"
        if not value.strip():
            return "blank"
        return snake(value)[:24].strip("_")
    if isinstance(value, bytes):
        return "empty_bytes" if not value else "bytes"
    kind = type(value).__name__
    return f"empty_{kind}" if not value else f"{kind}_of_{len(value)}"


def of_arguments(arguments: Iterable[str]) -> str:
    """Return words for a call's arguments, "" where there are none to say."""
    words = [word for word in map(described, arguments) if word]
    return "_and_".join(words[:2])


def operation(text: str, subject: str) -> str:
    """Return a word for what a line does with an object."""
    try:
        node = parse(text).body[0]
    except (SyntaxError, ValueError, IndexError, RecursionError):
        return ""
    if isinstance(node, ast.Delete):
        return "delete"
    if isinstance(node, ast.Assign):
        target = node.targets[0]
        if isinstance(target, ast.Subscript):
            return "setitem"
        if isinstance(target, ast.Attribute):
            return f"set_{target.attr}"
        return _expression(node.value, subject)
    if isinstance(node, ast.AugAssign):
        return f"update_by_{_OPERATIONS.get(type(node.op), 'operation')}"
    return _expression(node.value, subject) if isinstance(node, ast.Expr) else ""


def _expression(node: ast.expr, subject: str) -> str:
    if isinstance(node, ast.Call):
        function = node.func
        if isinstance(function, ast.Attribute):
            return snake(function.attr)
        if isinstance(function, ast.Name):
            inner = node.args[0] if node.args else None
            if function.id in {"list", "dict", "sorted"} and isinstance(inner, ast.Call):
                return _expression(inner, subject)
            return "call" if function.id == subject else {"list": "iterate"}.get(function.id, snake(function.id))
        return "call"
    if isinstance(node, ast.Attribute):
        return snake(node.attr)
    if isinstance(node, ast.Compare):
        return _OPERATIONS.get(type(node.ops[0]), "compare")
    if isinstance(node, ast.BinOp):
        return _OPERATIONS.get(type(node.op), "combine")
    return _OPERATIONS.get(type(node.op) if isinstance(node, ast.UnaryOp) else type(node), "")


def of_sequence(scenario: Scenario) -> str:
    """Return a test's name for a scenario of several lines, without `test_`."""
    lines = [line for line in scenario.lines if line.operation not in {"argv", "printed"}]
    subject = ""
    if lines and lines[0].operation == "do":
        subject = lines[0].text.partition(" = ")[0]
    words: list[str] = []
    for line in lines[1:] if subject.isidentifier() and len(lines) > 1 else lines:
        word = "" if line.view else operation(line.text, subject)
        if word and word not in words[-1:]:
            words.append(word)
    head = snake(scenario.target)
    raised = next((line.want for line in lines if line.operation == "raises"), "")
    tail = [word for word in words if word != head][-3:]
    if raised:
        tail = [*tail[-2:], "raises", snake(raised.rpartition(".")[2])]
    if not tail:
        tail = ["is_made"]
    if scenario.lines[0].operation == "argv":
        tail = ["with", of_arguments(map(repr, scenario.lines[0].words[1:])) or "no_arguments"]
        tail += ["raises", snake(raised)] if raised else []
    return "_".join([head, *tail])


def unique(name: str, taken: set[str]) -> str:
    """Return a name that is an identifier and not in use, and take it."""
    name = re.sub(r"\W+", "_", name)[:_LENGTH].strip("_") or "behaviour"
    if keyword.iskeyword(name):
        name += "_"
    wanted, number = f"test_{name}", 1
    while wanted in taken:
        number += 1
        wanted = f"test_{name}_{number}"
    taken.add(wanted)
    return wanted


def columns(names: Sequence[str], forbidden: set[str]) -> tuple[str, ...]:
    """Return names for the columns of a table of arguments, all different."""
    made: list[str] = []
    for name in names:
        column = name if name.isidentifier() and not keyword.iskeyword(name) else "value"
        while column in forbidden or column in made or column in {"request", "self"}:
            column += "_"
        made.append(column)
    return tuple(made)
