"""Missing operands, exchanged names, conditional values, and filters of comprehensions."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from itertools import combinations

from agents.repair.guesses import NUMBERS, SEQUENCES, Guess, compatible
from agents.repair.templates.conditions import guards_about, quoted
from agents.repair.templates.site import ARITH, OR, POWER, TERM, TERNARY, Proposal, Site, Template, precedence
from agents.repair.templates.variables import expression_pool

_VALUES = (
    ast.Name,
    ast.Attribute,
    ast.Call,
    ast.Subscript,
    ast.BinOp,
    ast.List,
    ast.ListComp,
    ast.Constant,
    ast.JoinedStr,
)


def _loaded(node: ast.expr) -> bool:
    return isinstance(getattr(node, "ctx", ast.Load()), ast.Load)


def _places(site: Site) -> Iterator[tuple[ast.expr, float]]:
    """Give the expressions that an operand may be missing from, with how likely that is."""
    for node in site.expressions:
        if not isinstance(node, _VALUES) or not _loaded(node):
            continue
        parent = site.parent(node)
        match parent:
            case ast.Return() | ast.Assign() | ast.AugAssign():
                yield node, 0.3
            case ast.BinOp():
                yield node, 0.0
            case ast.Call(func=func) if func is not node:
                yield node, -0.2
            case ast.Compare() | ast.Tuple() | ast.IfExp() | ast.Yield() | ast.keyword():
                yield node, -0.4
            case ast.ListComp() | ast.GeneratorExp() | ast.Slice() | ast.Subscript(slice=ast.BinOp() | ast.Name()):
                if not (isinstance(parent, ast.Subscript) and parent.value is node):
                    yield node, -0.5
            case _:
                continue


def added(site: Site) -> Iterator[Proposal]:
    """Add an operand: `e + x`, `e - x`, `e * 2`, `e or x`, with variables and near expressions as `x`."""
    for node, near in _places(site):
        guess, own = site.guess(node), site.text(node)
        parent = site.parent(node)
        chained = isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Add)
        constant = isinstance(node, ast.Constant)
        if constant and not chained and guess not in NUMBERS:
            continue
        for name, score in _operands(site, node, guess):
            if name == own:
                continue
            yield from _with(site, node, name, guess, score + near - (1.0 if constant else 0.0))
        if not constant and isinstance(node, (ast.Name, ast.Call, ast.Attribute, ast.Subscript)):
            yield from _defaulted(site, node, guess, near)
        if guess in NUMBERS and not constant:
            strength = precedence(node)
            for text, less in (
                (f"{site.tight(node, POWER + 1)} ** 2", -0.4),
                (f"{site.tight(node, TERM)} * 2", -0.5),
                (f"{site.tight(node, TERM)} // 2", -0.7),
            ):
                if strength != POWER or " ** " not in text:
                    yield site.swap(node, text, "operand.scaled", near + less, strength=POWER if "**" in text else TERM)
        elif guess == "any" and isinstance(node, ast.Name) and isinstance(parent, (ast.BinOp, ast.Call)):
            yield site.swap(node, f"{own} ** 2", "operand.scaled", near - 1.0, strength=POWER)
            yield site.swap(node, f"{own} * 2", "operand.scaled", near - 1.2, strength=TERM)
        if guess in NUMBERS | {"any"} and isinstance(node, ast.Name):
            yield site.swap(node, f"2 ** {own}", "operand.scaled", near - 1.4, strength=POWER)


def _defaulted(site: Site, node: ast.expr, guess: Guess, near: float) -> Iterator[Proposal]:
    """Write `e or 0` and the like, and put a string of the function before or behind a text."""
    base = site.tight(node, OR)
    typical = {"int": ("0", "1"), "float": ("0",), "str": ('""',), "list": ("[]",), "dict": ("{}",), "set": ("set()",)}
    options = typical.get(guess, ("0", "[]", '""', "{}", "None") if guess == "any" else ())
    strings: list[str] = []
    if guess in {"str", "any"}:
        strings = [quoted(site, t) for t in _short_strings(site)]
    for index, text in enumerate((*options, *strings)):
        yield site.swap(node, f"{base} or {text}", "operand.alternative", near - 0.3 - 0.25 * index, strength=OR)
    for index, text in enumerate(strings if guess == "str" or len(strings) < 4 else ()):
        unsure = 0.0 if guess == "str" else -0.8
        yield site.swap(
            node, f"{text} + {site.tight(node, ARITH)}", "string.joined", near + unsure - 0.2 * index, strength=ARITH
        )
        yield site.swap(
            node, f"{site.tight(node, ARITH)} + {text}", "string.joined", near + unsure - 0.2 * index, strength=ARITH
        )


def _short_strings(site: Site) -> list[str]:
    """Short strings of the function, other than its docstring, the commonest first."""
    found = Counter(n.value for n in site.scope.nodes if isinstance(n, ast.Constant) and isinstance(n.value, str))
    return [t for t, _ in found.most_common() if 0 < len(t) <= 3][:6]


def _operands(site: Site, node: ast.expr, guess: Guess) -> Iterator[tuple[str, float]]:
    numeric = guess in NUMBERS or (guess == "any" and isinstance(node, ast.Call))
    if numeric and not isinstance(node, ast.Constant) and not _ends_with_number(node):
        yield "1", 0.0 if guess in NUMBERS else -0.3
    wanted: Guess = guess if guess != "none" else "any"
    for name, score in site.variables(node, wanted, limit=6):
        if name not in {"self", "cls"}:
            yield name, score
            if guess in SEQUENCES - {"str"} and site.scope.guess_name(name) not in SEQUENCES:
                continue
    if guess in {"list", "any"}:
        for name, score in site.variables(node, "any", limit=5):
            if site.scope.guess_name(name) not in {"list", "function", "dict", "set"} and name not in {"self", "cls"}:
                yield f"[{name}]", score - (0.5 if guess == "list" else 1.6)
    for text, score in _siblings(site, node):
        yield text, score
    count = 0
    for text, other, strength, condition in expression_pool(site):
        if condition or strength < ARITH or not compatible(guess, other) or len(text) > 40:
            continue
        yield text, -0.5 - 0.15 * count
        count += 1
        if count > 5:
            return


def _siblings(site: Site, node: ast.expr) -> Iterator[tuple[str, float]]:
    """Give the expression again with one name or number replaced, as in `len(a) + len(b)`."""
    if not isinstance(node, (ast.Call, ast.Subscript, ast.Attribute, ast.BinOp)) or node.lineno != node.end_lineno:
        return
    start = site.file.span(node)[0]
    own = site.text(node)
    if len(own) > 40:
        return
    for part in ast.walk(node):
        low, high = site.file.span(part) if isinstance(part, (ast.Name, ast.Constant)) else (0, 0)
        if isinstance(part, ast.Name) and site.guess(part) != "function" and part.id not in {"self", "cls"}:
            for name, score in site.variables(part, site.guess(part), limit=3):
                if name != part.id:
                    yield own[: low - start] + name + own[high - start :], score - 0.3
        elif isinstance(part, ast.Constant) and type(part.value) is int:
            for number in (part.value + 1, part.value - 1):
                if number >= 0:
                    yield own[: low - start] + str(number) + own[high - start :], -0.8


def _ends_with_number(node: ast.expr) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.right, ast.Constant)


def _with(site: Site, node: ast.expr, other: str, guess: Guess, score: float) -> Iterator[Proposal]:
    parent = site.parent(node)
    first_operand = not (isinstance(parent, ast.BinOp) and parent.left is not node)
    for operator, bound, less in _fitting_operators(guess, other):
        inner = f"({other})" if " " in other and (bound > ARITH or operator == "-") and other[0] != "(" else other
        yield _behind(site, node, f" {operator} {inner}", bound, score + less)
        if operator == "+" and guess in SEQUENCES | {"any"} and first_operand and _fits(site, node, bound):
            start, end = site.file.span(node)
            left, right = ("(", ")") if precedence(node) < bound else ("", "")
            edits = ((start, start, f"{inner} + {left}"), *(((end, end, right),) if right else ()))
            yield Proposal(edits, "operand.added", score + less - 0.1)
    if guess not in {"bool", "set"} and not isinstance(parent, ast.BinOp) and other[0] not in "[1":
        less = 0.6 if guess in NUMBERS else 0.0
        yield site.swap(node, f"{site.tight(node, OR)} or {other}", "operand.alternative", score - less, strength=OR)


def _fitting_operators(guess: Guess, other: str) -> Iterator[tuple[str, int, float]]:
    yield "+", ARITH, 0.0
    if guess in SEQUENCES:
        return
    yield "-", ARITH, -0.2 if other == "1" else -0.4
    if other != "1":
        yield "*", TERM, -0.8
        if guess in NUMBERS:
            yield from (("//", TERM, -1.6), ("%", TERM, -1.6), ("/", TERM, -1.6))


def _behind(site: Site, node: ast.expr, text: str, bound: int, score: float) -> Proposal:
    """Write an operator and an operand behind a node, with parentheses where they are needed."""
    start, end = site.file.span(node)
    loose = precedence(node) < bound
    if not _fits(site, node, bound):
        own = f"({site.text(node)})" if loose else site.text(node)
        return site.swap(node, own + text, "operand.added", score - 0.6, strength=bound)
    if loose:
        return Proposal(((start, start, "("), (end, end, f"){text}")), "operand.added", score)
    return Proposal(((end, end, text),), "operand.added", score)


def _fits(site: Site, node: ast.expr, bound: int) -> bool:
    """Whether an operator of that strength can stand beside the node without parentheses around both."""
    return site.fits(node, "x", bound) == "x"


def exchanged(site: Site) -> Iterator[Proposal]:
    """Exchange two names of a statement, everywhere in it or at one place each; exchange nested calls."""
    names: dict[str, list[ast.Name]] = {}
    for node in site.expressions:
        if (
            isinstance(node, ast.Name)
            and node.id not in {"self", "cls"}
            and site.scope.guess_name(node.id) != "function"
        ):
            names.setdefault(node.id, []).append(node)
    for one, other in combinations(list(names)[:6], 2):
        if not compatible(site.scope.guess_name(one), site.scope.guess_name(other)):
            continue
        places = [(n, other) for n in names[one]] + [(n, one) for n in names[other]]
        edits = tuple(sorted((*site.file.span(n), text) for n, text in places))
        yield Proposal(edits, "swap.names")
        if len(places) <= 8:
            for first in names[one][:4]:
                for second in names[other][:4]:
                    pair = tuple(sorted(((*site.file.span(first), other), (*site.file.span(second), one))))
                    yield Proposal(pair, "swap.names", -0.4)
    yield from _calls_exchanged(site)


def _calls_exchanged(site: Site) -> Iterator[Proposal]:
    """Exchange what is called outside and inside: `a(x, b(x, y))` as `b(x, a(x, y))`."""
    for node in site.expressions:
        if not isinstance(node, ast.Call) or not isinstance(node.func, (ast.Name, ast.Attribute)):
            continue
        outer = site.file.span(node.func)
        for argument in node.args:
            if not isinstance(argument, ast.Call) or not isinstance(argument.func, (ast.Name, ast.Attribute)):
                continue
            inner = site.file.span(argument.func)
            one, other = site.file.text[slice(*outer)], site.file.text[slice(*inner)]
            if one != other and outer[1] <= inner[0]:
                yield Proposal(((*outer, other), (*inner, one)), "swap.calls")


def chains(site: Site) -> Iterator[Proposal]:
    """Reorder the operands of `a + b + c`."""
    for node in site.expressions:
        if not isinstance(node, ast.BinOp) or not isinstance(
            node.op, (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv)
        ):
            continue
        inner = node.left
        if (
            isinstance(inner, ast.BinOp)
            and precedence(inner) == precedence(node)
            and type(inner.op) is not type(node.op)
        ):
            last, before = site.file.span(node.right), site.file.span(inner.right)
            pair = ((*before, site.file.segment(node.right)), (*last, site.file.segment(inner.right)))
            yield Proposal(pair, "swap.operands", -0.3)
        if isinstance(inner, ast.BinOp) and type(inner.op) is type(node.op) and site.guess(node) != "int":
            parts = [inner.left, inner.right, node.right]
            texts = [site.file.segment(p) for p in parts]
            for order in ((2, 1, 0), (1, 0, 2), (0, 2, 1), (2, 0, 1), (1, 2, 0)):
                edits = tuple(
                    (*site.file.span(p), texts[i]) for p, i in zip(parts, order, strict=True) if parts.index(p) != i
                )
                yield Proposal(edits, "swap.operands", -0.6 if order != (2, 1, 0) else -0.2)


def conditional(site: Site) -> Iterator[Proposal]:
    """Guard a value: `e` as `e if x else default`; drop such a guard, or use its test alone."""
    for node in site.expressions:
        if isinstance(node, ast.IfExp):
            for part, score in ((node.body, 0.0), (node.orelse, -0.4)):
                yield site.swap(node, site.text(part), "conditional.dropped", score, strength=precedence(part))
            continue
        if not isinstance(node, (ast.Call, ast.BinOp, ast.Subscript, ast.Attribute)) or not _loaded(node):
            continue
        parent = site.parent(node)
        if not isinstance(parent, (ast.Return, ast.Assign, ast.keyword, ast.Tuple, ast.Yield, ast.AugAssign)) and not (
            isinstance(parent, ast.Call) and parent.func is not node
        ):
            continue
        used = list(dict.fromkeys(n.id for n in ast.walk(node) if isinstance(n, ast.Name)))
        subjects = [
            n for n in used if (n in site.scope.bindings and n not in {"self", "cls"}) or n in site.scope.inner
        ][:3]
        near = 0.0 if isinstance(parent, (ast.Return, ast.Assign)) else -0.5
        for rank, name in enumerate(subjects):
            guards = [("", name, 0.0), *(g for g in guards_about(site, name) if g[1] != name)]
            for _, good, score in guards[:3]:
                for default, less in _defaults(site, node, name, used):
                    text = f"{site.tight(node, OR)} if {good} else {default}"
                    yield site.swap(node, text, "conditional.added", near + score + less - 0.2 * rank, strength=TERNARY)


def _defaults(site: Site, node: ast.expr, name: str, used: list[str]) -> Iterator[tuple[str, float]]:
    typical: dict[Guess, str] = {"int": "0", "str": '""', "list": "[]", "dict": "{}", "float": "0.0", "bool": "False"}
    guess = site.guess(node)
    if guess in typical:
        yield typical[guess], 0.0
    for text, score in (("0", -0.3), ("None", -0.3), (name, -0.3), ("[]", -0.9), ('""', -0.9)):
        if text != typical.get(guess):
            yield text, score
    for other in used[:3]:
        if other != name and site.scope.guess_name(other) != "function":
            yield other, -0.5


def rounding(site: Site) -> Iterator[Proposal]:
    """Divide rounding up: `a // b` as `(a + b - 1) // b` or `-(-a // b)`."""
    for node in site.expressions:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and isinstance(node.right, ast.Constant):
            inner = node.left
            if node.right.value == 1 and isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.FloorDiv):
                text = f"-(-{site.tight(inner.left, POWER)} // {site.tight(inner.right, TERM + 1)})"
                yield site.swap(node, text, "division.ceiling", strength=13)
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.FloorDiv, ast.Div)):
            a, b = site.tight(node.left, ARITH), site.tight(node.right, TERM + 1)
            yield site.swap(
                node, f"({a} + {site.tight(node.right, ARITH + 1)} - 1) // {b}", "division.ceiling", strength=TERM
            )
            yield site.swap(node, f"-(-{site.tight(node.left, POWER)} // {b})", "division.ceiling", -0.5, strength=13)
            yield site.swap(node, f"round({site.tight(node.left, TERM)} / {b})", "division.ceiling", -1.0)


TEMPLATES = (
    Template("operands added", ("operand.added", "operand.scaled", "operand.alternative", "string.joined"), added),
    Template("names exchanged", ("swap.names", "swap.calls"), exchanged),
    Template("chains", ("swap.operands",), chains),
    Template("conditional values", ("conditional.added", "conditional.dropped"), conditional),
    Template("rounding", ("division.ceiling",), rounding),
)
