"""Wrong conditions: negated, too weak, too strong, or about the wrong thing."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from agents.repair.guesses import NUMBERS, SIZED, Guess
from agents.repair.templates.idioms import kin
from agents.repair.templates.operators import negated
from agents.repair.templates.site import AND, BIT_OR, COMPARE, NOT, OR, Proposal, Site, Template, precedence
from agents.repair.templates.variables import expression_pool


def tests_of(site: Site) -> Iterator[ast.expr]:
    """Give the expressions of a statement that are asked for their truth."""
    statement = site.statement
    if isinstance(statement, (ast.If, ast.While, ast.Assert)):
        yield statement.test
    for node in site.expressions:
        if isinstance(node, ast.IfExp):
            yield node.test
        elif isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            for generator in node.generators:
                yield from generator.ifs
            if not isinstance(node, ast.DictComp) and _asked(site, node.elt):
                yield node.elt
        elif isinstance(node, ast.Lambda) and _asked(site, node.body):
            yield node.body


def _asked(site: Site, value: ast.expr) -> bool:
    """Whether a value that something else computes with is a condition by its form."""
    return isinstance(value, (ast.Compare, ast.BoolOp)) or site.guess(value) == "bool"


def _boolean_results(site: Site) -> Iterator[ast.expr]:
    statement = site.statement
    value = statement.value if isinstance(statement, (ast.Return, ast.Assign)) else None
    if value is not None and (isinstance(value, (ast.Compare, ast.BoolOp)) or site.guess(value) == "bool"):
        yield value


def negations(site: Site) -> Iterator[Proposal]:
    """Negate a condition."""
    for test in (*tests_of(site), *_boolean_results(site)):
        if isinstance(test, (ast.UnaryOp, ast.Constant)):
            continue
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            continue  # each other operator is tried there
        text = negated(site, test)
        yield site.swap(test, text, "condition.negated", strength=NOT)


def guards_about(site: Site, name: str) -> Iterator[tuple[str, str, float]]:
    """Give typical conditions that a value is unusable (empty, missing, out of range), each with its opposite."""
    guess = site.scope.guess_name(name)
    if guess in NUMBERS:
        yield f"{name} == 0", f"{name} != 0", -0.2
        yield f"{name} < 0", f"{name} >= 0", -0.2
        yield f"{name} <= 0", f"{name} > 0", -0.3
        yield f"{name} <= 1", f"{name} > 1", -0.6
        yield f"{name} < 1", f"{name} >= 1", -1.2
        yield f"not {name}", name, -0.6
        for number in _other_numbers(site)[:3]:
            yield f"{name} != {number}", f"{name} == {number}", -1.6
    elif guess in SIZED:
        yield f"not {name}", name, 0.0
        yield f"{name} is None", f"{name} is not None", -1.0
        yield f"len({name}) == 1", f"len({name}) != 1", -1.4
        yield f"len({name}) < 2", f"len({name}) >= 2", -1.4
        if guess == "str":
            for method, score in (
                ("isalnum", -1.0),
                ("isdigit", -1.0),
                ("isalpha", -1.1),
                ("isspace", -1.3),
                ("strip", -1.4),
            ):
                yield f"not {name}.{method}()", f"{name}.{method}()", score
    elif guess == "bool":
        yield f"not {name}", name, 0.0
    elif guess != "function":
        yield f"not {name}", name, -0.1
        yield f"{name} is None", f"{name} is not None", -0.1
        yield f"{name} == 0", f"{name} != 0", -1.6
        yield f"{name} < 0", f"{name} >= 0", -1.8


def _other_numbers(site: Site) -> list[int]:
    """Whole numbers of the function, other than the usual ones, the commonest first."""
    found = Counter(n.value for n in site.scope.nodes if isinstance(n, ast.Constant) and type(n.value) is int)
    return [n for n, _ in found.most_common() if n not in {0, 1}]


def relations(site: Site, names: list[str]) -> Iterator[tuple[str, str, float]]:
    """Give typical conditions between two names, each with its opposite."""
    for index, one in enumerate(names[:7]):
        first = site.scope.guess_name(one)
        if first == "function":
            continue
        for other in names[:7]:
            second = site.scope.guess_name(other)
            if one == other or second == "function":
                continue
            score = -0.8 - 0.1 * index
            if second in {"set", "dict", "list"} and first not in {"set", "dict", "list"}:
                yield f"{one} in {other}", f"{one} not in {other}", score
            if first in NUMBERS and second in SIZED:
                yield f"{one} >= len({other})", f"{one} < len({other})", score
                yield f"{one} == len({other})", f"{one} != len({other})", score - 0.6
            elif _ordered(first, second) and one < other:
                yield f"{one} == {other}", f"{one} != {other}", score
                yield f"{one} > {other}", f"{one} <= {other}", score - 0.2
                yield f"{one} < {other}", f"{one} >= {other}", score - 0.2
            elif one < other and (first == second or "any" in {first, second}):
                yield f"{one} == {other}", f"{one} != {other}", score - 0.5
                yield f"{one} is {other}", f"{one} is not {other}", score - 1.6


def _ordered(first: Guess, second: Guess) -> bool:
    """Whether two values can be told to be more or less, as far as is known."""
    return (first in NUMBERS and second in NUMBERS | {"any"}) or (first == "any" and second in NUMBERS)


def _used(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def strengthened(site: Site) -> Iterator[Proposal]:
    """Add `and X` or `or X` to a condition: typical guards, then conditions used elsewhere in the function."""
    for test in (*tests_of(site), *_boolean_results(site)):
        if isinstance(test, ast.Constant):
            continue
        own = site.text(test)
        used = _used(test)
        names = [n for n in site.names_at(test) if n not in {"self", "cls"}][:9]
        attributes = site.scope.fields[:4]
        count = 0
        for name in (*names, *attributes):
            near = 0.4 if name in used else -0.4
            for bad, good, score in guards_about(site, name):
                if bad in own or good in own.split():
                    continue
                for text, operator, first in (
                    (bad, "or", True),
                    (good, "and", True),
                    (bad, "and", False),
                    (good, "or", False),
                ):
                    typical = 0.0 if first else -1.0
                    yield _joined(site, test, operator, text, score + near + typical, before=first and name in used)
            count += 1
        for bad, good, score in relations(site, names):
            for text, penalty in ((good, 0.0), (bad, 0.0)):
                for operator in ("and", "or"):
                    if text not in own:
                        yield _joined(site, test, operator, text, score + penalty - 0.5, before=False)
        yield from _within(site, test)
        yield from _kin(site, test)
        yield from _from_pool(site, test, own)
        yield from _same_subject(site, test)


def _within(site: Site, test: ast.expr) -> Iterator[Proposal]:
    """Keep an index inside its sequence: `i + 1 < len(xs) and …`, `i > 0 and …`."""
    seen: set[str] = set()
    for node in ast.walk(test):
        if not isinstance(node, ast.Subscript) or isinstance(node.slice, (ast.Slice, ast.Constant, ast.UnaryOp)):
            continue
        base, index = site.text(node.value), site.tight(node.slice, BIT_OR)
        if site.guess(node.slice) not in NUMBERS | {"any"} or f"{base}[{index}]" in seen:
            continue
        seen.add(f"{base}[{index}]")
        if site.guess(node.value) != "dict":
            yield _joined(site, test, "and", f"{index} < len({base})", 0.2, before=True)
            yield _joined(site, test, "or", f"{index} >= len({base})", -0.4, before=True)
            if isinstance(node.slice, ast.BinOp):
                yield _joined(site, test, "and", f"{index} >= 0", -0.3, before=True)
        if site.guess(node.value) in {"dict", "any"}:
            yield _joined(site, test, "and", f"{index} in {base}", -0.2, before=True)


def _kin(site: Site, test: ast.expr) -> Iterator[Proposal]:
    """Ask the same of a sibling: `s.startswith(x) or s.endswith(x)`, `a == x or b == x`."""
    parts = test.values if isinstance(test, ast.BoolOp) else [test]
    for part in parts[:4]:
        text = site.text(part)
        variants: list[str] = []
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute):
            head = site.text(part.func.value)
            tail = text[len(head) + 1 + len(part.func.attr) :]
            variants += [f"{head}.{name}{tail}" for name in kin("methods").get(part.func.attr, ())[:3]]
        if isinstance(part, ast.Compare) and isinstance(part.comparators[0], ast.Constant) and len(part.ops) == 1:
            value = part.comparators[0].value
            left = site.tight(part.left, BIT_OR)
            operator = text[len(site.text(part.left)) :].strip()[: -len(site.text(part.comparators[0]))].strip()
            others = site.module.strings if isinstance(value, str) else ()
            ranked = [t for t in others if t != value and len(t) <= max(3, len(str(value)) + 4)][:6]
            variants += [f"{left} {operator} {quoted(site, t)}" for t in ranked]
        if not isinstance(part, ast.BoolOp):
            operators = (
                ("or", "and")
                if not isinstance(test, ast.BoolOp)
                else (("or",) if isinstance(test.op, ast.Or) else ("and",))
            )
            for rank, variant in enumerate(variants):
                for operator in operators:
                    yield _joined(site, test, operator, variant, -0.5 - 0.2 * rank, before=False)


def quoted(site: Site, text: str) -> str:
    """Write a string literal with the quotes that the file prefers."""
    plain = repr(text)
    if plain[0] == "'" and '"' not in text and site.file.text.count('"') > site.file.text.count("'"):
        return f'"{plain[1:-1]}"'
    return plain


def grouped(site: Site) -> Iterator[Proposal]:
    """Regroup `a or b and c` as `(a or b) and c`, and `(a or b) and c` as `a or b and c`."""
    for node in site.expressions:
        if not isinstance(node, ast.BoolOp):
            continue
        for index, value in enumerate(node.values):
            if not isinstance(value, ast.BoolOp):
                continue
            start, end = site.file.span(value)
            if site.file.text[start - 1 : start] == "(" and site.file.text[end : end + 1] == ")":
                yield Proposal(((start - 1, start, ""), (end, end + 1, "")), "boolean.grouping")
                continue
            low, high = site.file.span(node)
            if index:
                first = site.file.span(value.values[0])[1]
                yield Proposal(((low, low, "("), (first, first, ")")), "boolean.grouping")
            if index + 1 < len(node.values):
                last = site.file.span(value.values[-1])[0]
                yield Proposal(((last, last, "("), (high, high, ")")), "boolean.grouping")


def membership(site: Site) -> Iterator[Proposal]:
    """Compare with one more value: `x == "a"` as `x in ("a", "b")`; turn a membership into an equality and back."""
    for node in site.expressions:
        if not isinstance(node, ast.Compare) or len(node.ops) != 1 or not isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
            continue
        right = node.comparators[0]
        if (
            not isinstance(right, ast.Constant)
            or not isinstance(right.value, (str, int))
            or isinstance(right.value, bool)
        ):
            continue
        operator = "in" if isinstance(node.ops[0], ast.Eq) else "not in"
        left = site.tight(node.left, BIT_OR)
        others = [
            quoted(site, t) for t in (*site.module.strings, *site.hints.strings) if t != right.value and len(t) < 12
        ]
        if isinstance(right.value, int):
            others = [str(n) for n in (right.value + 1, right.value - 1, 0, 1) if n != right.value]
        else:
            others = [quoted(site, t) for t in ("", ".", " ") if t != right.value] + others
        for index, text in enumerate(dict.fromkeys(others[:9])):
            yield site.swap(
                node, f"{left} {operator} ({site.text(right)}, {text})", "compare.oneof", -0.2 * index, strength=COMPARE
            )


def _from_pool(site: Site, test: ast.expr, own: str) -> Iterator[Proposal]:
    count = 0
    for text, _, strength, is_condition in expression_pool(site):
        if not is_condition or text in own or own in text:
            continue
        for operator in ("and", "or"):
            bound = AND if operator == "and" else OR
            fitting = f"({text})" if strength < bound + 1 else text
            yield _joined(site, test, operator, fitting, -0.6 - 0.15 * count, before=False)
            inverse = f"not ({text})" if strength < NOT else f"not {text}"
            yield _joined(site, test, operator, inverse, -1.6 - 0.15 * count, before=False)
        count += 1
        if count > 6:
            return


def _same_subject(site: Site, test: ast.expr) -> Iterator[Proposal]:
    """For `x == 'a'`: `or x == 'b'` with other literals of the function, and comparisons of the same operands."""
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return
    left, right = site.tight(test.left, COMPARE + 1), site.tight(test.comparators[0], COMPARE + 1)
    if isinstance(test.ops[0], (ast.Lt, ast.Gt)):
        yield _joined(site, test, "or", f"{left} == {right}", -1.5, before=False)
    if isinstance(test.comparators[0], (ast.Name, ast.Attribute)) and isinstance(test.ops[0], (ast.Eq, ast.NotEq)):
        for name, score in site.variables(test, site.guess(test.comparators[0]), limit=5):
            if name != right:
                yield _joined(site, test, "or", f"{left} == {name}", score - 1.0, before=False)
                yield _joined(site, test, "and", f"{left} != {name}", score - 1.0, before=False)


def _joined(site: Site, test: ast.expr, operator: str, text: str, score: float, *, before: bool) -> Proposal:
    return joined(site, test, operator, text, f"condition.{operator}", score, before=before)


def joined(site: Site, test: ast.expr, operator: str, text: str, rule: str, score: float, *, before: bool) -> Proposal:
    """Propose to add `and text` or `or text` to a condition, in front of it or behind it."""
    bound = AND if operator == "and" else OR
    own = site.tight(test, bound)
    whole = f"{text} {operator} {own}" if before else f"{own} {operator} {text}"
    return site.swap(test, whole, rule, score, strength=bound)


def replaced(site: Site) -> Iterator[Proposal]:
    """Ask something else: the truth of a variable, emptiness, or None."""
    for test in tests_of(site):
        own = site.text(test)
        whole = isinstance(test, ast.Constant)
        names = [n for n in site.names_at(test) if n not in {"self", "cls"}][:8]
        used = _used(test)
        for name in names:
            near = (0.0 if name in used else -0.8) if not whole else 0.0
            for bad, good, score in guards_about(site, name):
                for text in (bad, good):
                    if text != own:
                        strength = NOT if text.startswith("not ") else COMPARE if " " in text else 16
                        yield site.swap(test, text, "condition.replaced", score + near, strength=strength)
        subjects = names if whole else [*(n for n in names if n in used), *(n for n in names if n not in used)]
        for bad, good, score in relations(site, subjects):
            near = 0.0 if whole or used & set(good.replace("(", " ").replace(")", " ").split()) else -1.0
            for text, less in ((good, 0.4), (bad, 0.6)):
                if text != own:
                    yield site.swap(test, text, "condition.replaced", score + near - less, strength=COMPARE)
        yield from _truth(site, test)
        if not whole and isinstance(site.statement, (ast.If, ast.While)):
            yield site.swap(test, "True", "condition.constant")
            yield site.swap(test, "False", "condition.constant", -0.3)


def _truth(site: Site, test: ast.expr) -> Iterator[Proposal]:
    """`x is not None` as `x` and back, also of compound subjects."""
    match test:
        case ast.Compare(left=left, ops=[ast.IsNot()], comparators=[ast.Constant(value=None)]):
            yield site.swap(test, site.text(left), "condition.truth", strength=precedence(left))
        case ast.Compare(left=left, ops=[ast.Is()], comparators=[ast.Constant(value=None)]):
            yield site.swap(test, f"not {site.tight(left, NOT)}", "condition.truth", strength=NOT)
        case ast.UnaryOp(op=ast.Not(), operand=operand) if isinstance(
            operand, (ast.Name, ast.Attribute, ast.Call, ast.Subscript)
        ):
            yield site.swap(test, f"{site.text(operand)} is None", "condition.truth", strength=COMPARE)
        case ast.Name() | ast.Attribute() | ast.Call() | ast.Subscript() if site.guess(test) != "bool":
            yield site.swap(test, f"{site.text(test)} is not None", "condition.truth", strength=COMPARE)
        case _:
            pass


def joint(site: Site) -> Iterator[Proposal]:
    """Replace operator and whole-number bound of a comparison together, as `== 0` by `<= 1`."""
    for node in site.expressions:
        if not isinstance(node, ast.Compare) or len(node.ops) != 1:
            continue
        right = node.comparators[0]
        if not isinstance(right, ast.Constant) or type(right.value) is not int:
            continue
        left = site.tight(node.left, COMPARE + 1)
        value = right.value
        options = []
        for new in dict.fromkeys((value + 1, value - 1, 0, 1, 2)):
            options += [
                (f"{operator} {new}", -0.25 * abs(new - value))
                for operator in ("<=", "<", ">", ">=", "==", "!=")
                if new != value
            ]
        for text, score in options:
            yield site.swap(node, f"{left} {text}", "compare.joint", score, strength=COMPARE)


TEMPLATES = (
    Template("negations", ("condition.negated",), negations),
    Template("strengthened", ("condition.and", "condition.or"), strengthened),
    Template("replaced", ("condition.replaced", "condition.truth", "condition.constant"), replaced),
    Template("grouped", ("boolean.grouping",), grouped),
    Template("membership", ("compare.oneof",), membership),
    Template("joint", ("compare.joint",), joint),
)
