"""Missing operands, exchanged names, conditional values, and filters of comprehensions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import combinations

from agents.repair.guesses import NUMBERS, SEQUENCES, Guess, compatible
from agents.repair.templates.conditions import guards_about, relations
from agents.repair.templates.site import ARITH, ATOM, OR, POWER, TERM, TERNARY, Proposal, Site, Template, precedence
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
    count = 0
    for text, other, strength, condition in expression_pool(site):
        if condition or strength < ARITH or not compatible(guess, other) or len(text) > 40:
            continue
        yield text, -0.5 - 0.15 * count
        count += 1
        if count > 5:
            return


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
    for node in site.expressions:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            for argument in node.args:
                if (
                    isinstance(argument, ast.Call)
                    and isinstance(argument.func, ast.Name)
                    and argument.func.id != node.func.id
                ):
                    pair = tuple(
                        sorted(
                            (
                                (*site.file.span(node.func), argument.func.id),
                                (*site.file.span(argument.func), node.func.id),
                            )
                        )
                    )
                    yield Proposal(pair, "swap.calls")


def chains(site: Site) -> Iterator[Proposal]:
    """Reorder the operands of `a + b + c`."""
    for node in site.expressions:
        if not isinstance(node, ast.BinOp) or not isinstance(node.op, (ast.Add, ast.Sub, ast.Mult)):
            continue
        inner = node.left
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
            for _, good, score in list(guards_about(site, name))[:3]:
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


def filters(site: Site) -> Iterator[Proposal]:
    """Add a filter to a comprehension, or drop one."""
    for node in site.expressions:
        if not isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            continue
        for generator in node.generators:
            end = site.file.span(generator.ifs[-1] if generator.ifs else generator.iter)[1]
            while site.file.text[end : end + 1] == ")" and _opens(site, generator, end):
                end += 1
            for test in generator.ifs:
                start, stop = site.file.span(test)
                head = site.file.text.rfind("if", 0, start)
                before = head - (site.file.text[head - 1] == " ")
                yield Proposal(((before, stop, ""),), "filter.dropped")
            if generator.ifs:
                continue
            targets = [n.id for n in ast.walk(generator.target) if isinstance(n, ast.Name)]
            others = [n for n in site.names_at() if n not in {*targets, "self", "cls"}][:4]
            options = [
                (t, s + (0.0 if t == good else -0.5))
                for n in targets
                for bad, good, s in guards_about(site, n)
                for t in (good, bad)
            ]
            for bad, good, score in relations(site, [*targets, *others]):
                if set(targets) & set(good.replace("(", " ").replace(")", " ").split()):
                    options += [(good, score), (bad, score - 0.2)]
            for text, score in sorted(options, key=lambda o: -o[1])[:24]:
                yield Proposal(((end, end, f" if {text}"),), "filter.added", score)


def _opens(site: Site, generator: ast.comprehension, end: int) -> bool:
    """Whether the bracket at `end` closes one that was opened around the iterated expression itself."""
    start = site.file.span(generator.iter)[0]
    return site.file.text[:start].rstrip().endswith("(") and end == site.file.span(generator.iter)[1]


def elements(site: Site) -> Iterator[Proposal]:
    """Swap, add and drop the parts of a display; wrap a value as `[x]`; share no inner list."""
    for node in site.expressions:
        if (isinstance(node, (ast.List, ast.Set)) and _loaded(node)) or (isinstance(node, ast.Tuple) and _loaded(node)):
            yield from _display(site, node)
        elif (
            isinstance(node, ast.Name)
            and _loaded(node)
            and isinstance(site.parent(node), (ast.BinOp, ast.Return, ast.Call, ast.Yield))
        ):
            parent = site.parent(node)
            if not (isinstance(parent, ast.Call) and parent.func is node) and site.guess(node) != "function":
                less = 0.0 if isinstance(parent, (ast.BinOp, ast.Return)) else -0.8
                yield site.swap(node, f"[{node.id}]", "wrap.display", less)
                yield site.swap(node, f"({node.id},)", "wrap.display", less - 1.0)
                if isinstance(parent, ast.BinOp):
                    for name, score in site.variables(node, limit=4):
                        if name != node.id:
                            yield site.swap(node, f"[{name}]", "wrap.display", score - 0.8)
        if (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.Mult)
            and isinstance(node.left, ast.List)
            and len(node.left.elts) == 1
        ):
            item = node.left.elts[0]
            if not isinstance(item, ast.Constant):
                text = f"[{site.text(item)} for _ in range({site.text(node.right)})]"
                yield site.swap(node, text, "list.shared")


def _display(site: Site, node: ast.List | ast.Set | ast.Tuple) -> Iterator[Proposal]:
    items = node.elts
    if isinstance(site.parent(node), (ast.Subscript, ast.Compare)) and isinstance(node, ast.Tuple):
        return
    if isinstance(node, ast.List):
        for one, other in combinations(items[:5], 2):
            first, second = site.file.span(one), site.file.span(other)
            pair = ((*first, site.file.text[slice(*second)]), (*second, site.file.text[slice(*first)]))
            yield Proposal(pair, "argument.swapped", -0.4)
    present = {site.text(i) for i in items}
    for index, item in enumerate(items[:6]):
        start, end = site.file.span(item)
        if len(items) > 1 and not (len(items) == 2 and isinstance(node, ast.Tuple)):
            if index + 1 < len(items):
                end = site.file.span(items[index + 1])[0]
            else:
                start = site.file.span(items[index - 1])[1]
            yield Proposal(((start, end, ""),), "element.dropped")
    if isinstance(node, ast.List) and items:
        guess = site.guess(items[0])
        for name, score in site.variables(node, guess, limit=4):
            if name in present:
                continue
            for index, item in enumerate(items[:4]):
                at = site.file.span(item)[0]
                yield Proposal(((at, at, f"{name}, "),), "element.added", score - 0.1 * index)
            at = site.file.span(items[-1])[1]
            yield Proposal(((at, at, f", {name}"),), "element.added", score)


def kinds(site: Site) -> Iterator[Proposal]:
    """Check for another type, or for one more: `isinstance(x, list)` as `isinstance(x, (list, tuple))`."""
    usual = ("list", "tuple", "dict", "str", "int", "float", "bool", "set", "bytes")
    partners = {
        "list": "tuple",
        "int": "float",
        "tuple": "list",
        "float": "int",
        "str": "bytes",
        "set": "frozenset",
        "dict": "list",
        "bytes": "str",
    }
    for node in site.expressions:
        if not (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"isinstance", "issubclass"}
        ):
            continue
        if len(node.args) != 2:
            continue
        kind = node.args[1]
        names = (
            [e for e in kind.elts if isinstance(e, ast.Name)]
            if isinstance(kind, ast.Tuple)
            else [kind]
            if isinstance(kind, ast.Name)
            else []
        )
        present = {n.id for n in names}
        classes = [c for c in site.module.classes if c not in present][:4]
        for name in names:
            ranked = [t for t in (partners.get(name.id, ""), *usual, *classes) if t and t not in present]
            for index, other in enumerate(dict.fromkeys(ranked)):
                yield site.swap(name, other, "kind.other", -0.2 * index)
        ranked = [
            t for t in (*(partners.get(p, "") for p in sorted(present)), *usual, *classes) if t and t not in present
        ]
        for index, other in enumerate(dict.fromkeys(ranked)):
            text = ", ".join((*(n.id for n in names), other))
            if names:
                yield site.swap(kind, f"({text})", "kind.added", -0.25 * index, strength=ATOM)


def rounding(site: Site) -> Iterator[Proposal]:
    """Divide rounding up: `a // b` as `(a + b - 1) // b` or `-(-a // b)`."""
    for node in site.expressions:
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.FloorDiv, ast.Div)):
            a, b = site.tight(node.left, ARITH), site.tight(node.right, TERM + 1)
            yield site.swap(
                node, f"({a} + {site.tight(node.right, ARITH + 1)} - 1) // {b}", "division.ceiling", strength=TERM
            )
            yield site.swap(node, f"-(-{site.tight(node.left, POWER)} // {b})", "division.ceiling", -0.5, strength=13)
            yield site.swap(node, f"round({site.tight(node.left, TERM)} / {b})", "division.ceiling", -1.0)


TEMPLATES = (
    Template("operands added", ("operand.added", "operand.scaled", "operand.alternative"), added),
    Template("names exchanged", ("swap.names", "swap.calls"), exchanged),
    Template("chains", ("swap.operands",), chains),
    Template("conditional values", ("conditional.added", "conditional.dropped"), conditional),
    Template("filters", ("filter.added", "filter.dropped"), filters),
    Template(
        "elements", ("element.added", "element.dropped", "wrap.display", "argument.swapped", "list.shared"), elements
    ),
    Template("kinds", ("kind.other", "kind.added"), kinds),
    Template("rounding", ("division.ceiling",), rounding),
)
