"""Wrong operators: comparison, arithmetic, bitwise, boolean, unary, and in augmented assignments."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from agents.repair.guesses import NUMBERS, SEQUENCES
from agents.repair.templates.site import COMPARE, NOT, TERM, UNARY, Proposal, Site, Template, needed, precedence

_COMPARE_TEXT: dict[type[ast.cmpop], str] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
_COMPARE_TOKEN = re.compile(r"<=|>=|==|!=|<|>|\bis\s+not\b|\bis\b|\bnot\s+in\b|\bin\b")
# What each comparison is most often mistaken for: first the neighbour that differs on equality only.
_COMPARE_SWAPS: dict[str, tuple[tuple[str, str, float], ...]] = {
    "<": (("<=", "compare.boundary", 0), (">", "compare.direction", 0), (">=", "compare.direction", -0.3),
          ("!=", "compare.other", 0), ("==", "compare.other", -0.7)),
    "<=": (("<", "compare.boundary", 0), (">=", "compare.direction", 0), (">", "compare.direction", -0.3),
           ("==", "compare.other", -0.7), ("!=", "compare.other", -0.7)),
    ">": ((">=", "compare.boundary", 0), ("<", "compare.direction", 0), ("<=", "compare.direction", -0.3),
          ("!=", "compare.other", 0), ("==", "compare.other", -0.7)),
    ">=": ((">", "compare.boundary", 0), ("<=", "compare.direction", 0), ("<", "compare.direction", -0.3),
           ("==", "compare.other", -0.7), ("!=", "compare.other", -0.7)),
    "==": (("!=", "compare.equality", 0), ("<=", "compare.widened", 0), (">=", "compare.widened", 0),
           ("<", "compare.other", -0.7), (">", "compare.other", -0.7), ("is", "compare.identity", -0.5),
           ("in", "compare.membership", -1.0)),
    "!=": (("==", "compare.equality", 0), ("<", "compare.other", 0), (">", "compare.other", 0),
           ("<=", "compare.other", -1.5), (">=", "compare.other", -1.5), ("is not", "compare.identity", -0.5),
           ("not in", "compare.membership", -1.0)),
    "is": (("is not", "compare.equality", 0), ("==", "compare.identity", 0)),
    "is not": (("is", "compare.equality", 0), ("!=", "compare.identity", 0)),
    "in": (("not in", "compare.membership", 0), ("==", "compare.membership", -0.5)),
    "not in": (("in", "compare.membership", 0), ("!=", "compare.membership", -0.7)),
}  # fmt: skip


def _literal(*nodes: ast.expr) -> bool:
    """Whether one of them is a literal, whose identity means nothing."""
    return any(
        isinstance(n, (ast.List, ast.Dict, ast.Set, ast.Tuple, ast.JoinedStr))
        or (isinstance(n, ast.Constant) and n.value is not None and not isinstance(n.value, bool))
        or isinstance(n, ast.UnaryOp)
        for n in nodes
    )


def _sized_test(node: ast.Compare) -> bool:
    """Whether the comparison is with None, True or False, where order makes no sense."""
    return any((isinstance(c, ast.Constant) and c.value in {None, True, False} and not isinstance(c.value, int))
               or (isinstance(c, ast.Constant) and c.value is None) for c in node.comparators)  # fmt: skip


def comparisons(site: Site) -> Iterator[Proposal]:
    """Replace each comparison operator by each other that can stand there."""
    for node in site.expressions:
        if not isinstance(node, ast.Compare):
            continue
        left: ast.expr = node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            span = site.between(left, right, _COMPARE_TOKEN)
            old = _COMPARE_TEXT[type(operator)]
            if span is None:
                left = right
                continue
            unordered = _sized_test(node) or site.guess(right) in {"bool", "none", "dict"}
            for new, rule, score in _COMPARE_SWAPS[old]:
                if unordered and rule in {"compare.other", "compare.widened", "compare.membership"}:
                    continue
                if rule == "compare.identity" and new[:2] == "is" and _literal(left, right):
                    continue
                if rule == "compare.membership" and "=" in old and site.guess(right) in NUMBERS:
                    continue
                yield Proposal(((*span, new),), rule, score)
            left = right
        yield from _operands_swapped(site, node)


def _operands_swapped(site: Site, node: ast.Compare) -> Iterator[Proposal]:
    if len(node.ops) == 1 and isinstance(node.ops[0], (ast.In, ast.NotIn)):
        left, right = node.left, node.comparators[0]
        one, two = site.file.span(left), site.file.span(right)
        yield Proposal(
            ((*one, site.tight(right, COMPARE + 1)), (*two, site.tight(left, COMPARE + 1))), "compare.operands", -0.5
        )


_ARITH_TEXT: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.LShift: "<<", ast.RShift: ">>", ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^", ast.MatMult: "@",
}  # fmt: skip
_ARITH_TOKEN = re.compile(r"\*\*|//|<<|>>|[-+*/%&|^@]")
_ARITH_SWAPS: dict[str, tuple[tuple[str, str, float], ...]] = {
    "+": (("-", "arithmetic.sign", 0), ("*", "arithmetic.other", -0.3), ("|", "arithmetic.other", -1.5),
          ("//", "arithmetic.other", -2), ("%", "arithmetic.other", -2), ("/", "arithmetic.other", -2)),
    "-": (("+", "arithmetic.sign", 0), ("*", "arithmetic.other", -1), ("//", "arithmetic.other", -1.5),
          ("/", "arithmetic.other", -1.5), ("%", "arithmetic.other", -1.5), ("**", "arithmetic.other", -3)),
    "*": (("**", "arithmetic.other", -0.5), ("+", "arithmetic.other", 0), ("/", "arithmetic.other", -0.5),
          ("//", "arithmetic.other", -0.7), ("-", "arithmetic.other", -1), ("%", "arithmetic.other", -1.5)),
    "/": (("//", "arithmetic.division", 0), ("*", "arithmetic.other", 0), ("%", "arithmetic.division", -1),
          ("-", "arithmetic.other", -1.5), ("+", "arithmetic.other", -2)),
    "//": (("/", "arithmetic.division", 0), ("%", "arithmetic.division", -0.2), ("*", "arithmetic.other", -0.7),
           ("-", "arithmetic.other", -1.5), ("+", "arithmetic.other", -2), (">>", "arithmetic.other", -2)),
    "%": (("//", "arithmetic.division", 0), ("/", "arithmetic.division", -0.7), ("*", "arithmetic.other", -1.2),
          ("-", "arithmetic.other", -1.5), ("+", "arithmetic.other", -2)),
    "**": (("*", "arithmetic.other", 0), ("+", "arithmetic.other", -2), ("//", "arithmetic.other", -2)),
    "<<": ((">>", "bitwise.shift", 0), ("*", "arithmetic.other", -1), ("+", "arithmetic.other", -2)),
    ">>": (("<<", "bitwise.shift", 0), ("//", "arithmetic.other", -1), ("&", "arithmetic.other", -1.5)),
    "&": (("|", "bitwise.logic", 0), ("^", "bitwise.logic", -0.3), ("-", "bitwise.logic", -0.7),
          (">>", "arithmetic.other", -2)),
    "|": (("&", "bitwise.logic", 0), ("^", "bitwise.logic", -0.3), ("+", "bitwise.logic", -1),
          ("-", "bitwise.logic", -1)),
    "^": (("&", "bitwise.logic", 0), ("|", "bitwise.logic", -0.1), ("**", "arithmetic.other", 0)),
    "@": (("*", "arithmetic.other", 0),),
}  # fmt: skip


def arithmetic(site: Site) -> Iterator[Proposal]:
    """Replace binary operators, swap their operands, regroup them, or drop one operand."""
    for node in site.expressions:
        if not isinstance(node, ast.BinOp):
            continue
        span = site.between(node.left, node.right, _ARITH_TOKEN)
        old = _ARITH_TEXT[type(node.op)]
        left, right = site.guess(node.left), site.guess(node.right)
        if span is not None and not (old == "%" and left in {"str", "bytes"}):
            for new, rule, score in _ARITH_SWAPS[old]:
                if left in SEQUENCES or right in SEQUENCES:
                    continue
                if (left == "set" or right == "set") and new not in {"-", "&", "|", "^"}:
                    continue
                yield from _operator(site, node, span, new, rule, score)
        commutes = (
            isinstance(node.op, (ast.Add, ast.Mult, ast.BitAnd, ast.BitOr, ast.BitXor)) and {left, right} & NUMBERS
        )
        if not commutes and ast.dump(node.left) != ast.dump(node.right):
            one, two = site.file.span(node.left), site.file.span(node.right)
            first = site.tight(node.right, precedence(node) + isinstance(node.op, ast.Pow))
            second = site.tight(node.left, precedence(node) + 1)
            score = 0.0 if left not in NUMBERS or right not in NUMBERS else -0.3
            yield Proposal(((*one, first), (*two, second)), "swap.operands", score)
        for kept, lost, score in ((node.left, node.right, 0.0), (node.right, node.left, -0.2)):
            if isinstance(node.op, ast.Mod) and left == "str":
                continue
            literal = 0.2 if isinstance(lost, ast.Constant) else 0.0
            yield site.swap(node, site.text(kept), "operand.dropped", score + literal, strength=precedence(kept))
        yield from _regrouped(site, node)


def _operator(
    site: Site, node: ast.BinOp, span: tuple[int, int], new: str, rule: str, score: float
) -> Iterator[Proposal]:
    """Write another operator with its operands kept as they are grouped."""
    fresh = ast.BinOp(node.left, _OPERATORS[new](), node.right)
    strength = precedence(fresh)
    if strength == precedence(node):
        yield Proposal(((*span, new),), rule, score)
        return
    head, tail = site.file.span(node)
    one, two = site.file.span(node.left), site.file.span(node.right)
    text = site.file.text
    left = text[head : span[0]]
    right = text[span[1] : tail]
    fresh_left, fresh_right = needed(fresh, node.left), needed(fresh, node.right)
    if precedence(node.left) < fresh_left and left.strip() == text[slice(*one)]:
        left = f"({left.rstrip()}) "
    if precedence(node.right) < fresh_right and right.strip() == text[slice(*two)]:
        right = f" ({right.lstrip()})"
    yield Proposal(((head, tail, site.fits(node, left + new + right, strength)),), rule, score)


_OPERATORS: dict[str, type[ast.operator]] = {text: kind for kind, text in _ARITH_TEXT.items()}


def _regrouped(site: Site, node: ast.BinOp) -> Iterator[Proposal]:
    """Write `a + b * c` as `(a + b) * c` and back, and `a - b - c` as `a - (b - c)`."""
    inner = node.right
    if isinstance(inner, ast.BinOp) and not _wrapped(site, inner) and precedence(inner) > precedence(node):
        op, inner_op = _ARITH_TEXT[type(node.op)], _ARITH_TEXT[type(inner.op)]
        text = f"({site.text(node.left)} {op} {site.tight(inner.left, precedence(node) + 1)}) {inner_op} "
        text += site.tight(inner.right, precedence(inner) + 1)
        yield site.swap(node, text, "arithmetic.grouping", strength=precedence(inner))
    inner = node.left
    if (
        isinstance(inner, ast.BinOp)
        and not _wrapped(site, inner)
        and isinstance(node.op, (ast.Sub, ast.Add, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod))
    ):
        op, inner_op = _ARITH_TEXT[type(node.op)], _ARITH_TEXT[type(inner.op)]
        if inner_op != "+" or op in {"*", "/", "//", "%"}:
            tail = f"{site.text(inner.right)} {op} {site.tight(node.right, precedence(node) + 1)}"
            text = f"{site.tight(inner.left, precedence(inner))} {inner_op} ({tail})"
            yield site.swap(node, text, "arithmetic.grouping", -0.3, strength=precedence(inner))
    yield from _first_operand(site, node)
    for one in (node.left, node.right):
        if isinstance(one, ast.BinOp) and _wrapped(site, one) and precedence(one) < precedence(node):
            start, end = site.file.span(one)
            yield Proposal(((start - 1, start, ""), (end, end + 1, "")), "arithmetic.grouping")


def _first_operand(site: Site, node: ast.BinOp) -> Iterator[Proposal]:
    """Write `a - b * c / d` as `(a - b) * c / d`."""
    inner = node.right
    if isinstance(inner, ast.BinOp) and not _wrapped(site, inner) and isinstance(inner.left, ast.BinOp):
        if precedence(inner) <= precedence(node):
            return
        first: ast.expr = inner
        while isinstance(first, ast.BinOp) and not _wrapped(site, first):
            first = first.left
        start, end = site.file.span(node.left)[0], site.file.span(first)[1]
        yield Proposal(((start, start, "("), (end, end, ")")), "arithmetic.grouping")


def _wrapped(site: Site, node: ast.expr) -> bool:
    start, end = site.file.span(node)
    return site.file.text[start - 1 : start] == "(" and site.file.text[end : end + 1] == ")"


_AUGMENTED_TOKEN = re.compile(r"(?:\*\*|//|<<|>>|[-+*/%&|^@])=")
_AUGMENTED: dict[str, tuple[tuple[str, float], ...]] = {
    "+=": (("-=", 0), ("=", -0.2), ("*=", -0.7), ("|=", -1.5)),
    "-=": (("+=", 0), ("=", -0.3), ("//=", -1), ("%=", -1.5), ("/=", -1.5), ("*=", -1.5)),
    "*=": (("+=", 0), ("/=", -0.3), ("//=", -0.5), ("=", -0.7), ("-=", -1), ("**=", -1)),
    "/=": (("//=", 0), ("*=", 0), ("-=", -1), ("=", -1)),
    "//=": (("/=", 0), ("-=", -0.5), ("*=", -0.5), ("%=", -0.5), ("=", -1), (">>=", -1.5)),
    "%=": (("//=", 0), ("-=", -0.7), ("/=", -0.7), ("=", -1)),
    "&=": (("|=", 0), ("^=", 0), ("-=", -0.5), ("=", -1)),
    "|=": (("&=", 0), ("^=", -0.3), ("=", -0.7), ("+=", -0.7)),
    "^=": (("&=", 0), ("|=", -0.1), ("=", -1), ("+=", -1)),
    "<<=": ((">>=", 0), ("*=", -1), ("=", -1)),
    ">>=": (("<<=", 0), ("//=", -1), ("=", -1)),
}


def augmented(site: Site) -> Iterator[Proposal]:
    """Replace the operator of an augmented assignment, or turn a plain assignment into one and back."""
    node = site.statement
    if isinstance(node, ast.AugAssign):
        span = site.between(node.target, node.value, _AUGMENTED_TOKEN)
        if span is None:
            return
        sequence = site.guess(node.value) in SEQUENCES
        for new, score in _AUGMENTED.get(site.file.text[slice(*span)], ()):
            if not sequence or new == "=":
                yield Proposal(((*span, new),), "augmented.operator", score)
        if isinstance(node.op, ast.Add) and isinstance(node.target, ast.Name):
            target, value = site.text(node.target), site.tight(node.value, TERM)
            kind = site.guess(node.value)
            if kind not in NUMBERS:
                start, end = site.file.span(node)
                yield Proposal(((start, end, f"{target} = {value} + {target}"),), "augmented.reversed")
    elif isinstance(node, ast.Assign) and len(node.targets) == 1:
        target_node = node.targets[0]
        if isinstance(target_node, (ast.Tuple, ast.List)):
            return
        simple = isinstance(target_node, ast.Name)
        if simple and not site.scope.bound_before(target_node.id, site.start - 1) and not site.place.loops:  # type: ignore[attr-defined]
            return
        span = site.between(target_node, node.value, re.compile(r"="))
        if span is None:
            return
        kind = site.guess(node.value)
        for new, score in (
            ("+=", 0.0),
            ("-=", -1.0),
            ("*=", -1.5),
            ("%=", -1.5),
            ("//=", -1.8),
            ("|=", -1.5),
            ("&=", -2.5),
        ):
            if kind in {"bool", "none", "dict", "function"} and new != "|=":
                continue
            if kind in SEQUENCES and new != "+=":
                continue
            yield Proposal(((*span, new),), "augmented.added", score)


def boolean(site: Site) -> Iterator[Proposal]:
    """Swap `and` and `or`, all of a chain or one of its places; drop operands; regroup."""
    for node in site.expressions:
        if not isinstance(node, ast.BoolOp):
            continue
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        token = re.compile(rf"\b{old}\b")
        spans = [site.between(a, b, token) for a, b in zip(node.values, node.values[1:], strict=False)]
        found = [s for s in spans if s is not None]
        if len(found) != len(spans):
            continue
        parent = site.parent(node)
        grouped = isinstance(parent, ast.BoolOp) and not _wrapped(site, node)
        if not grouped:
            yield Proposal(tuple((*s, new) for s in found), "boolean.operator")
        if len(found) > 1:
            yield from (Proposal(((*s, new),), "boolean.operator", -0.7) for s in found)
        for index in range(len(node.values)):
            rest = [v for i, v in enumerate(node.values) if i != index]
            start, end = site.file.span(node)
            if len(rest) == 1:
                yield site.swap(node, site.text(rest[0]), "condition.conjunct", strength=precedence(rest[0]))
            elif index == 0:
                cut = site.file.span(node.values[1])[0]
                yield Proposal(((start, _open(site, start, cut), ""),), "condition.conjunct")
            else:
                text = f" {old} ".join(site.tight(v, precedence(node) + 1) for v in rest)
                yield Proposal(((start, end, site.fits(node, text, precedence(node))),), "condition.conjunct")


def _open(site: Site, start: int, cut: int) -> int:
    """Move a cut left over the opening parentheses that belong to what follows."""
    text = site.file.text
    while cut > start and text[cut - 1] == "(":
        cut -= 1
    return cut


def unary(site: Site) -> Iterator[Proposal]:
    """Remove `not`, `-` and `~`; put a minus sign before numbers."""
    for node in site.expressions:
        if isinstance(node, ast.UnaryOp):
            rule = "condition.negated" if isinstance(node.op, ast.Not) else "unary.removed"
            if not isinstance(node.operand, ast.Constant) or isinstance(node.op, ast.Not):
                yield site.swap(node, site.text(node.operand), rule, strength=precedence(node.operand))
        elif isinstance(node, (ast.Name, ast.Call, ast.Attribute, ast.Subscript)) and _signed(site, node):
            parent = site.parent(node)
            if isinstance(
                parent,
                (
                    ast.Return,
                    ast.Assign,
                    ast.Call,
                    ast.keyword,
                    ast.Tuple,
                    ast.IfExp,
                    ast.Lambda,
                    ast.Slice,
                    ast.Subscript,
                ),
            ):
                yield site.swap(node, f"-{site.tight(node, UNARY)}", "unary.minus", -0.3, strength=UNARY)


def _signed(site: Site, node: ast.expr) -> bool:
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return False
    return site.guess(node) in NUMBERS or isinstance(site.parent(node), ast.Lambda)


def negated(site: Site, node: ast.expr) -> str:
    """Return the text of a condition's negation as a person would write it."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return site.text(node.operand)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        new = _NEGATED[type(node.ops[0])]
        return f"{site.tight(node.left, COMPARE + 1)} {new} {site.tight(node.comparators[0], COMPARE + 1)}"
    return f"not {site.tight(node, NOT)}"


_NEGATED: dict[type[ast.cmpop], str] = {
    ast.Lt: ">=", ast.LtE: ">", ast.Gt: "<=", ast.GtE: "<", ast.Eq: "!=", ast.NotEq: "==",
    ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in",
}  # fmt: skip

TEMPLATES = (
    Template(
        "comparisons",
        ("compare.boundary", "compare.direction", "compare.other", "compare.equality", "compare.widened",
         "compare.identity", "compare.membership", "compare.operands"),
        comparisons,
    ),
    Template(
        "arithmetic",
        ("arithmetic.sign", "arithmetic.division", "arithmetic.other", "arithmetic.grouping", "bitwise.shift",
         "bitwise.logic", "swap.operands", "operand.dropped"),
        arithmetic,
    ),
    Template("augmented", ("augmented.operator", "augmented.reversed", "augmented.added"), augmented),
    Template("boolean", ("boolean.operator", "condition.conjunct"), boolean),
    Template("unary", ("condition.negated", "unary.removed", "unary.minus"), unary),
)  # fmt: skip
