"""Notices code that answers the target tests' own inputs: literals that a patch adds and the tests contain."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sandbox.syntax import parse

_TRIVIAL = frozenset(map(repr, (None, True, False, 0, 1, -1, 0.0, 1.0, -1.0, "", b"", (), [], {}, ...)))


@dataclass(frozen=True, slots=True)
class Literal:
    """A literal at a place where it decides or is the answer."""

    role: str
    """`decides` (it is compared with, looked up or matched) or `answers` (it is returned)."""
    text: str
    path: str
    line: int

    def __str__(self) -> str:
        """Return the place and what stands there."""
        what = "asks for" if self.role == "decides" else "returns"
        return f"{self.path}:{self.line}: {what} the literal {self.text}, which a target test contains"


def _value(node: ast.AST) -> str | None:
    """Return the text of a literal expression, None for any other."""
    if not isinstance(node, ast.Constant | ast.UnaryOp | ast.Tuple | ast.List | ast.Set | ast.Dict | ast.BinOp):
        return None
    try:
        return repr(ast.literal_eval(node))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _literals(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        text = _value(inner)
        if text is not None:
            yield text


def literals_of_tests(source: bytes, functions: Iterable[str]) -> frozenset[str]:
    """Return the literals in the named test functions, their decorators, and the module's constants that they name.

    Args:
        source: the test file.
        functions: names of test functions or methods, without parameters.

    """
    try:
        module = parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return frozenset()
    wanted = set(functions)
    tests = [n for n in ast.walk(module) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and n.name in wanted]
    named = {n.id for t in tests for n in ast.walk(t) if isinstance(n, ast.Name)}
    shared = [n for n in module.body if isinstance(n, ast.Assign | ast.AnnAssign)
              and named.intersection(i.id for i in ast.walk(n) if isinstance(i, ast.Name))]  # fmt: skip
    helpers = [n for n in ast.walk(module) if isinstance(n, ast.FunctionDef) and n.name in named]
    return frozenset(text for n in (*tests, *shared, *helpers) for text in _literals(n)) - _TRIVIAL


def _compared(node: ast.Compare) -> list[ast.AST]:
    found: list[ast.AST] = []
    for operator, left, right in zip(node.ops, [node.left, *node.comparators], node.comparators, strict=False):
        if isinstance(operator, ast.Eq | ast.NotEq | ast.Is | ast.IsNot):
            found += [left, right]
        elif isinstance(operator, ast.In | ast.NotIn):
            found += [left, *(right.elts if isinstance(right, ast.Tuple | ast.List | ast.Set) else [right])]
    return found


def _asked(node: ast.AST) -> list[ast.AST]:
    """Return the expressions with which something is compared, looked up or matched in one node."""
    match node:
        case ast.Compare():
            return _compared(node)
        case ast.MatchValue(value=value):
            return [value]
        case ast.Dict(keys=keys):
            return [key for key in keys if key is not None]
        case ast.Call(func=ast.Attribute(attr="get" | "startswith" | "endswith" | "__eq__"), args=arguments):
            return list(arguments[:1])
    return []


def _answered(node: ast.AST) -> Iterator[str]:
    """Yield the literals that a return statement can give."""
    answers = [node.value] if isinstance(node, ast.Return) and node.value is not None else []
    while answers:
        answer = answers.pop()
        if isinstance(answer, ast.IfExp):
            answers += [answer.body, answer.orelse]
        text = _value(answer)
        if text is not None:
            yield text


def _deciding(module: ast.AST) -> Iterator[tuple[str, str, int]]:
    for node in ast.walk(module):
        for text in _answered(node):
            yield "answers", text, getattr(node, "lineno", 1)
        parts = _asked(node)
        for part in parts:
            if isinstance(part, ast.Tuple | ast.List):
                parts.extend(part.elts)
            asked = _value(part)
            if asked is not None:
                yield "decides", asked, getattr(node, "lineno", getattr(part, "lineno", 1))


def special_cases(
    before: Mapping[str, bytes], after: Mapping[str, bytes], tests: frozenset[str]
) -> tuple[Literal, ...]:
    """Return literals that the patched files newly decide by, or answer with, and that the target tests contain.

    What the base's versions of the files contained anywhere in the same role does not count.
    """
    known: Counter[tuple[str, str]] = Counter()
    for data in before.values():
        known.update((role, text) for role, text, _ in _parsed(data))
    found = []
    for path, data in after.items():
        for role, text, line in _parsed(data):
            if text in tests and text not in _TRIVIAL:
                if known[role, text] > 0:
                    known[role, text] -= 1
                else:
                    found.append(Literal(role, text if len(text) <= 60 else f"{text[:57]}...", path, line))
    return tuple(dict.fromkeys(found))


def _parsed(data: bytes) -> list[tuple[str, str, int]]:
    try:
        return list(_deciding(parse(data)))
    except (SyntaxError, ValueError, RecursionError):
        return []
