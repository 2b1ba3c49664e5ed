"""Arithmetic in text: tokens, a parser by operator precedence, and evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Kind = Literal["number", "name", "operator", "open", "close"]
PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2, "^": 4}
NEGATION = 3
RIGHT = {"^"}


class Token(NamedTuple):
    """A piece of an expression, with its place in the text."""

    kind: Kind
    text: str
    position: int


class ExpressionError(ValueError):
    """An expression that is not well formed, or has no value."""


def tokenize(text: str) -> list[Token]:
    """Return the tokens of an expression.

    >>> [token.text for token in tokenize("2*(x+1.5)")]
    ['2', '*', '(', 'x', '+', '1.5', ')']

    Raises:
        ExpressionError: a character that belongs to no token.

    """
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        char = text[position]
        if char.isspace():
            position += 1
            continue
        start = position
        if char.isdigit() or char == ".":
            while position < len(text) and (text[position].isdigit() or text[position] == "."):
                position += 1
            if text[start:position].count(".") > 1 or text[start:position] == ".":
                raise ExpressionError(f"bad number {text[start:position]!r} at {start}")
            tokens.append(Token("number", text[start:position], start))
            continue
        if char.isalpha() or char == "_":
            while position < len(text) and (text[position].isalnum() or text[position] == "_"):
                position += 1
            tokens.append(Token("name", text[start:position], start))
            continue
        position += 1
        if char in PRECEDENCE:
            tokens.append(Token("operator", char, start))
        elif char == "(":
            tokens.append(Token("open", char, start))
        elif char == ")":
            tokens.append(Token("close", char, start))
        else:
            raise ExpressionError(f"unexpected {char!r} at {start}")
    return tokens


def apply(operator: str, left: float, right: float) -> float:
    """Return the value of one operation.

    Raises:
        ExpressionError: division by zero, an operator that is not known, or a power that is no real number.

    """
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if operator in {"/", "%"}:
        if right == 0:
            raise ExpressionError("division by zero")
        return left / right if operator == "/" else left % right
    if operator != "^":
        raise ExpressionError(f"unknown operator {operator!r}")
    if left < 0 and right != int(right):
        raise ExpressionError("root of a negative number")
    return float(left**right)


def evaluate(text: str, names: Mapping[str, float] | None = None) -> float:
    """Return the value of an expression; `names` gives the values of its names.

    `^` binds tighter than a sign before it, and to the right: `-2^2` is -4, `2^3^2` is 512.

    >>> evaluate("1 + 2 * x", {"x": 3})
    7.0

    Raises:
        ExpressionError: not well formed, a name without a value, or no value.

    """
    tokens = tokenize(text)
    value, end = _expression(tokens, 0, 0, names or {})
    if end < len(tokens):
        raise ExpressionError(f"unexpected {tokens[end].text!r} at {tokens[end].position}")
    return value


def _expression(tokens: list[Token], at: int, least: int, names: Mapping[str, float]) -> tuple[float, int]:
    value, at = _operand(tokens, at, names)
    while at < len(tokens) and tokens[at].kind == "operator" and PRECEDENCE[tokens[at].text] >= least:
        operator = tokens[at].text
        next_least = PRECEDENCE[operator] + (operator not in RIGHT)
        right, at = _expression(tokens, at + 1, next_least, names)
        value = apply(operator, value, right)
    return value, at


def _operand(tokens: list[Token], at: int, names: Mapping[str, float]) -> tuple[float, int]:
    if at >= len(tokens):
        raise ExpressionError("unexpected end")
    token = tokens[at]
    if token.kind == "number":
        return float(token.text), at + 1
    if token.kind == "name":
        if token.text not in names:
            raise ExpressionError(f"unknown name {token.text!r}")
        return float(names[token.text]), at + 1
    if token.kind == "open":
        value, at = _expression(tokens, at + 1, 0, names)
        if at >= len(tokens) or tokens[at].kind != "close":
            raise ExpressionError(f"the bracket at {token.position} is not closed")
        return value, at + 1
    if token.text in {"+", "-"}:
        value, at = _expression(tokens, at + 1, NEGATION, names)
        return (-value if token.text == "-" else value), at
    raise ExpressionError(f"unexpected {token.text!r} at {token.position}")
