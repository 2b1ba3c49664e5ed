"""Faults in expressions: operators, comparisons, connectives, conditions, constants, slices, attributes of texts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from agents.repair.templates.site import AND, NOT, OR, TERM, TERNARY, UNARY, Proposal, Site, Template, precedence

_COMPARE: dict[type[ast.cmpop], tuple[str, ...]] = {
    ast.Lt: ("<=", ">="), ast.LtE: ("<", ">"), ast.Gt: (">=", "<="), ast.GtE: (">", "<"),
    ast.Eq: ("!=",), ast.NotEq: ("==",), ast.Is: ("is not",), ast.IsNot: ("is",),
    ast.In: ("not in",), ast.NotIn: ("in",),
}  # fmt: skip
_COMPARE_TOKEN = re.compile(r"<=|>=|==|!=|<|>|\bis\s+not\b|\bis\b|\bnot\s+in\b|\bin\b")
_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.FloorDiv: "/", ast.Mod: "/", ast.Pow: "*",
    ast.LShift: ">>", ast.RShift: "<<", ast.BitAnd: "|", ast.BitOr: "&", ast.BitXor: "&", ast.MatMult: "*",
}  # fmt: skip
BINARY_TOKEN = re.compile(r"\*\*|//|<<|>>|[-+*/%&|^@]")
_BOOL_TOKEN = re.compile(r"\b(?:and|or)\b")


def comparisons(site: Site) -> Iterator[Proposal]:
    """Move the boundary of a comparison, or turn it round."""
    for node in site.expressions:
        if not isinstance(node, ast.Compare):
            continue
        left: ast.expr = node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            span = site.between(left, right, _COMPARE_TOKEN)
            if span is not None:
                for number, new in enumerate(_COMPARE[type(operator)]):
                    kind = "boundary" if number == 0 and len(_COMPARE[type(operator)]) > 1 else "negated"
                    yield Proposal(((*span, new),), f"compare.{kind}")
            left = right


def text_like(node: ast.expr) -> bool:
    """Whether it is a text or a display, for which most operators only fail."""
    kinds = (ast.JoinedStr, ast.List, ast.ListComp, ast.Tuple, ast.Dict)
    return isinstance(node, kinds) or (isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)))


def arithmetic(site: Site) -> Iterator[Proposal]:
    """Exchange an operator for its opposite; where that could only fail, keep the left operand alone."""
    for node in site.expressions:
        if not isinstance(node, ast.BinOp):
            continue
        span = site.between(node.left, node.right, BINARY_TOKEN)
        if text_like(node.left) or text_like(node.right):
            if isinstance(node.op, ast.Add):
                kept = node.left if not text_like(node.left) else node.right
                yield site.swap(node, site.text(kept), "arithmetic.operand", strength=precedence(kept))
            elif isinstance(node.op, ast.Mult) and span is not None:
                kept = node.left if text_like(node.left) else node.right
                yield site.swap(node, site.text(kept), "arithmetic.operand", strength=precedence(kept))
            continue
        if span is None:
            continue
        new = _BINARY[type(node.op)]
        edits = [(*span, new)]
        if isinstance(node.op, (ast.Pow, ast.BitXor, ast.BitAnd, ast.BitOr, ast.LShift, ast.RShift)):
            # Another binding strength could regroup what stands around it.
            one, two = site.file.span(node)
            text = f"{site.tight(node.left, TERM + 1)} {new} {site.tight(node.right, UNARY)}"
            edits = [(one, two, f"({text})")]
        yield Proposal(tuple(edits), "arithmetic.operator")


def unary(site: Site) -> Iterator[Proposal]:
    """Leave out a sign, a complement or a negation."""
    for node in site.expressions:
        if isinstance(node, ast.UnaryOp) and not (
            isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant) and node.operand.value == 1
        ):
            yield site.swap(node, site.text(node.operand), "unary.dropped", strength=precedence(node.operand))


def connectives(site: Site) -> Iterator[Proposal]:
    """Exchange `and` and `or`, and leave out one operand."""
    for node in site.expressions:
        if not isinstance(node, ast.BoolOp):
            continue
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        parts = [site.tight(v, AND if new == "or" else NOT) for v in node.values]
        yield site.swap(
            node, f" {new} ".join(parts), "connective.exchanged", strength=OR if new == "or" else AND,
            why=f"`{old}` → `{new}`",
        )  # fmt: skip
        for index, value in enumerate(node.values):
            rest = [v for n, v in enumerate(node.values) if n != index]
            text = f" {old} ".join(site.tight(v, NOT if old == "and" else AND) for v in rest)
            strength = precedence(rest[0]) if len(rest) == 1 else precedence(node)
            shown = " ".join(site.text(value).split())[:60]
            yield site.swap(node, text, "connective.operand", strength=strength, why=f"leave out `{shown}`")


def conditions(site: Site) -> Iterator[Proposal]:
    """Negate a condition that no other operator turns round."""
    tests: list[ast.expr] = []
    if isinstance(site.statement, (ast.If, ast.While)):
        tests.append(site.statement.test)
    for node in site.parents:
        if isinstance(node, ast.IfExp):
            tests.append(node.test)
        elif isinstance(node, ast.comprehension):
            tests += node.ifs
    trusted = set(site.expressions)
    for test in tests:
        if test not in trusted or isinstance(test, ast.Constant):
            continue
        turned = isinstance(test, ast.Compare) and len(test.ops) == 1
        turned = turned or (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not))
        if not turned:
            text = f"not {site.tight(test, NOT)}"
            yield site.swap(test, text, "condition.negated", strength=NOT)


def filters(site: Site) -> Iterator[Proposal]:
    """Let a comprehension take everything."""
    trusted = set(site.expressions)
    for node in site.parents:
        if isinstance(node, ast.comprehension):
            for test in node.ifs:
                if test in trusted:
                    yield site.swap(test, "True", "comprehension.filter")


_PREFIX = re.compile(r"(?i)[rbuf]*")


def constants(site: Site) -> Iterator[Proposal]:
    """Change numbers by one, truths to their opposite, texts to others."""
    for node in site.expressions:
        if isinstance(node, ast.Constant):
            yield from _constant(site, node)


def _constant(site: Site, node: ast.Constant) -> Iterator[Proposal]:
    value = node.value
    if isinstance(value, bool):
        yield site.swap(node, str(not value), "constant.truth")
    elif isinstance(value, int):
        yield site.swap(node, str(value + 1), "constant.number")
        if value > 0:
            yield site.swap(node, str(value - 1), "constant.number")
    elif isinstance(value, float) and value == value and abs(value) < 1e300:
        yield site.swap(node, repr(value + 1.0), "constant.number")
    elif isinstance(value, (str, bytes)) and not isinstance(site.parent(node), ast.JoinedStr):
        yield from _text(site, node)


def _text(site: Site, node: ast.Constant) -> Iterator[Proposal]:
    segment = site.file.segment(node)
    found = _PREFIX.match(segment)
    prefix = found.group() if found else ""
    quote = segment[len(prefix) : len(prefix) + 3]
    quote = quote if quote in {"'''", '"""'} else quote[:1]
    rule = "constant.message" if _is_message(site, node) else "constant.text"
    head = len(prefix) + len(quote)
    if not quote or len(segment) < head + len(quote) or ("\n" in segment and len(quote) == 1):
        return  # several literals side by side
    body = segment[head : len(segment) - len(quote)]
    yield Proposal(((*site.file.span(node), f"{prefix}{quote}XX{body}XX{quote}"),), rule)


def _is_message(site: Site, node: ast.AST) -> bool:
    """Whether a text is part of what an exception, a warning or a log says."""
    if isinstance(site.statement, (ast.Raise, ast.Assert)):
        return True
    above: ast.AST | None = node
    while (above := site.parents.get(above)) is not None:  # type: ignore[arg-type]
        if isinstance(above, ast.Call) and is_telling(above):
            return True
    return False


def is_telling(call: ast.Call) -> bool:
    """Whether a call only tells something to a person: a warning or a line of a log."""
    function = call.func
    if not isinstance(function, ast.Attribute) or not isinstance(function.value, (ast.Name, ast.Attribute)):
        return False
    owner = function.value.id if isinstance(function.value, ast.Name) else function.value.attr
    if owner == "warnings" and function.attr == "warn":
        return True
    return is_logging(call)


def is_logging(call: ast.Call) -> bool:
    """Whether a call writes a line of a log."""
    function = call.func
    if not isinstance(function, ast.Attribute) or not isinstance(function.value, (ast.Name, ast.Attribute)):
        return False
    owner = function.value.id if isinstance(function.value, ast.Name) else function.value.attr
    levels = {"debug", "info", "warning", "error", "exception", "critical", "log"}
    return owner.strip("_").lower() in {"log", "logger", "logging"} and function.attr in levels


def choices(site: Site) -> Iterator[Proposal]:
    """Take one branch of a conditional expression always."""
    for node in site.expressions:
        if isinstance(node, ast.IfExp):
            for kept in (node.body, node.orelse):
                yield site.swap(node, site.tight(kept, TERNARY + 1), "condition.branch", strength=TERNARY + 1)


def slices(site: Site) -> Iterator[Proposal]:
    """Leave out a bound or the step of a slice."""
    for node in site.parents:
        if not isinstance(node, ast.Slice):
            continue
        parts = [(node.lower, ""), (node.upper, ""), (node.step, "")]
        for index, (part, _) in enumerate(parts):
            if part is None or part not in site.parents:
                continue
            texts = [site.text(p) if p is not None and n != index else "" for n, (p, _) in enumerate(parts)]
            text = f"{texts[0]}:{texts[1]}" + (f":{texts[2]}" if texts[2] else "")
            start, end = site.file.span(node)
            yield Proposal(((start, end, text),), "slice.bound")


_WAYS = (
    ("lower", "upper"), ("lstrip", "rstrip"), ("find", "rfind"), ("index", "rindex"), ("startswith", "endswith"),
    ("split", "rsplit"), ("partition", "rpartition"), ("ljust", "rjust"), ("removeprefix", "removesuffix"),
    ("union", "intersection"), ("appendleft", "append"), ("popleft", "pop"),
)  # fmt: skip
_METHODS = {a: b for pair in _WAYS for a, b in (pair, pair[::-1]) if a not in {"append", "pop", "index"}}
_FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any"}


def names(site: Site) -> Iterator[Proposal]:
    """Exchange a method or a function for its mirror image."""
    for node in site.expressions:
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS:
            end = site.file.span(node.func)[1]
            start = end - len(node.func.attr)
            if site.file.text[start:end] == node.func.attr:
                yield Proposal(((start, end, _METHODS[node.func.attr]),), "call.mirrored")
        elif isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS:
            start, end = site.file.span(node.func)
            yield Proposal(((start, end, _FUNCTIONS[node.func.id]),), "call.mirrored")


TEMPLATES = (
    Template("compare", ("compare.boundary", "compare.negated"), comparisons),
    Template("arithmetic", ("arithmetic.operator", "arithmetic.operand"), arithmetic),
    Template("unary", ("unary.dropped",), unary),
    Template("connective", ("connective.exchanged", "connective.operand"), connectives),
    Template("condition", ("condition.negated",), conditions),
    Template("comprehension", ("comprehension.filter",), filters),
    Template("constant", ("constant.number", "constant.truth", "constant.text", "constant.message"), constants),
    Template("choice", ("condition.branch",), choices),
    Template("slice", ("slice.bound",), slices),
    Template("name", ("call.mirrored",), names),
)
