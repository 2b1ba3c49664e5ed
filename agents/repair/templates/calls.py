"""Wrong calls: the function, the method, or the arguments."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import combinations

from agents.repair.guesses import NUMBERS
from agents.repair.scopes import signature
from agents.repair.templates.idioms import forgotten_arguments, kin
from agents.repair.templates.site import ARITH, Proposal, Site, Template

_FUNCTION_KIN, _METHOD_KIN = kin("functions"), kin("methods")


def functions(site: Site) -> Iterator[Proposal]:
    """Call another function or method: kin from tables, then those of the file that take as many arguments."""
    for node in site.expressions:
        if not isinstance(node, ast.Call):
            continue
        count = len(node.args) + len(node.keywords)
        if isinstance(node.func, ast.Name):
            yield from _other_function(site, node, node.func, count)
        elif isinstance(node.func, ast.Attribute):
            yield from _other_method(site, node.func, count)


def _other_function(site: Site, call: ast.Call, func: ast.Name, count: int) -> Iterator[Proposal]:
    index = 0
    for name in _FUNCTION_KIN.get(func.id, ()):
        if name in site.available:
            yield site.swap(func, name, "call.kin", -0.2 * index)
            index += 1
    yield from _imported_kin(site, func)
    names = [n for n in site.names_at(call) if site.scope.guess_name(n) == "function"]
    index = 0
    for name, definition in {**dict.fromkeys(names), **site.module.functions}.items():
        if name == func.id:
            continue
        if definition is not None:
            known = signature(definition, method=False)
            if not known.variable and not known.required <= count <= len(known.positional) + len(known.keyword):
                continue
        yield site.swap(func, name, "call.other", -0.15 * index)
        index += 1
        if index > 8:
            break
    if site.scope.self_name and func.id in site.scope.self_methods:
        yield site.swap(func, f"{site.scope.self_name}.{func.id}", "self.forgotten")
    for index, name in enumerate([n for n in site.module.classes if n != func.id][:5]):
        if func.id in site.module.classes:
            yield site.swap(func, name, "call.other", -0.3 * index)


def _imported_kin(site: Site, func: ast.Name) -> Iterator[Proposal]:
    """Import a relative of an imported function from the same module, and call that."""
    origin = next(
        (
            n
            for n in site.file.tree.body
            if isinstance(n, ast.ImportFrom)
            and n.lineno == n.end_lineno
            and any(a.name == func.id and a.asname is None for a in n.names)
        ),
        None,
    )
    if origin is None or func.id in site.scope.bindings:
        return
    span = site.file.span(origin)
    head, _, _ = site.file.text[slice(*span)].partition("import")
    once = site.module.names[func.id] == 1
    others = [site.file.segment(a) for a in origin.names if a.name != func.id or not once]
    for index, name in enumerate(n for n in _FUNCTION_KIN.get(func.id, ()) if n not in site.available):
        written = f"{head}import {', '.join((name, *others))}"
        yield Proposal(((*span, written), (*site.file.span(func), name)), "call.imported", -0.3 * index)


def _other_method(site: Site, func: ast.Attribute, count: int) -> Iterator[Proposal]:
    end = site.file.span(func)[1]
    start = end - len(func.attr)
    if site.file.text[start:end] != func.attr:
        return
    lacks = any(attribute == func.attr for _, attribute in site.hints.missing)
    seen = {func.attr}
    for index, name in enumerate(_METHOD_KIN.get(func.attr, ())):
        seen.add(name)
        yield Proposal(((start, end, name),), "method.kin", -0.2 * index + lacks)
    for index, name in enumerate(_FUNCTION_KIN.get(func.attr, ())):
        if name not in seen:
            seen.add(name)
            yield Proposal(((start, end, name),), "method.kin", -0.2 * index + lacks)
    index = 0
    own = isinstance(func.value, ast.Name) and func.value.id == site.scope.self_name
    pool = site.scope.self_methods if own else {n: f[0][1] for n, f in site.module.methods.items()}
    for name, definition in pool.items():
        known = signature(definition, method=True)
        fits = known.variable or known.required <= count <= len(known.positional) + len(known.keyword)
        if name in seen or not fits or name.startswith("__"):
            continue
        seen.add(name)
        yield Proposal(((start, end, name),), "method.other", -0.15 * index)
        index += 1
        if index > 8:
            break
    known_here = list(site.scope.attributes_of.get(site.text(func.value), ()))
    for index, name in enumerate(n for n in known_here if n not in seen):
        yield Proposal(((start, end, name),), "method.other", -0.4 - 0.15 * index)
    for index, name in enumerate(n for n in site.hints.suggested if n not in seen):
        yield Proposal(((start, end, name),), "method.other", 1.0 - index)


def arguments(site: Site) -> Iterator[Proposal]:
    """Swap, drop and add arguments; the same for the parts of tuples and subscripts."""
    for node in site.expressions:
        if isinstance(node, ast.Call):
            yield from _swapped(site, node.args, "argument.swapped")
            yield from _dropped(site, node)
            yield from _added(site, node)
            yield from _keyword_swaps(site, node)
        elif isinstance(node, ast.Tuple) and isinstance(getattr(node, "ctx", None), ast.Load):
            yield from _swapped(site, node.elts, "argument.swapped", -0.3)
        elif isinstance(node, ast.Tuple):
            yield from _swapped(site, node.elts, "argument.swapped", -0.8)
        elif isinstance(node, ast.IfExp):
            yield from _swapped(site, [node.body, node.orelse], "swap.branches")


def _swapped(site: Site, items: list[ast.expr], rule: str, base: float = 0.0) -> Iterator[Proposal]:
    plain = [i for i in items if not isinstance(i, ast.Starred)]
    for one, other in combinations(plain[:5], 2):
        first, second = site.file.span(one), site.file.span(other)
        adjacent = plain.index(other) - plain.index(one) == 1
        score = base if adjacent else base - 0.3
        if isinstance(one, ast.Constant) != isinstance(other, ast.Constant):
            score -= 0.3
        yield Proposal(
            ((*first, site.file.text[slice(*second)]), (*second, site.file.text[slice(*first)])), rule, score
        )
    if len(plain) == 3:
        a, b, c = plain
        for order in ((b, c, a), (c, a, b)):
            edits = tuple((*site.file.span(at), site.file.segment(new)) for at, new in zip(plain, order, strict=True))
            yield Proposal(edits, rule, base - 1.2)


def _keyword_swaps(site: Site, node: ast.Call) -> Iterator[Proposal]:
    named = [k for k in node.keywords if k.arg is not None]
    yield from _swapped(site, [k.value for k in named], "argument.swapped", -0.6)
    known = site.scope.signature_of(node)
    for keyword in named:
        start = site.file.span(keyword)[0]
        others = [n for n in (known.positional + known.keyword if known else ()) if n != keyword.arg]
        for index, name in enumerate(others[:6]):
            if keyword.arg and name not in {k.arg for k in node.keywords}:
                yield Proposal(((start, start + len(keyword.arg), name),), "keyword.other", -0.2 * index)


def _dropped(site: Site, node: ast.Call) -> Iterator[Proposal]:
    items: list[ast.expr | ast.keyword] = sorted([*node.args, *node.keywords], key=lambda n: site.file.span(n)[0])
    known = site.scope.signature_of(node)
    if known is not None and len(items) <= known.required and not known.variable:
        return
    for index, item in enumerate(items):
        start, end = site.file.span(item)
        if index + 1 < len(items):
            end = site.file.span(items[index + 1])[0]
        elif index:
            start = site.file.span(items[index - 1])[1]
        last = index == len(items) - 1
        yield Proposal(((start, end, ""),), "argument.dropped", 0.0 if last else -0.5)


def _added(site: Site, node: ast.Call) -> Iterator[Proposal]:
    at, comma = _end_of_arguments(site, node)
    if at is None:
        return
    known = site.scope.signature_of(node)
    given = len(node.args)
    if known is not None and not any(isinstance(a, ast.Starred) for a in node.args):
        passed = {k.arg for k in node.keywords}
        for index, parameter in enumerate(known.positional[given:]):
            if parameter in passed:
                continue
            named = bool(index or node.keywords)
            for name, score in _argument_values(site, node, parameter):
                text = f"{parameter}={name}" if named else name
                yield Proposal(((at, at, f"{comma}{text}"),), "argument.added", score - 0.4 * index)
        for parameter in known.keyword:
            if parameter not in passed:
                for name, score in _argument_values(site, node, parameter):
                    yield Proposal(((at, at, f"{comma}{parameter}={name}"),), "argument.added", score - 0.4)
        return
    function = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    for index, text in enumerate(_typical_arguments(function, node)):
        for filled, less in _filled(site, node, text):
            yield Proposal(((at, at, f"{comma}{filled}"),), "argument.typical", -0.2 * index + less)
    if given <= 2:
        for name, score in site.variables(node, limit=6):
            yield Proposal(((at, at, f"{comma}{name}"),), "argument.added", score - 1.2)


def _end_of_arguments(site: Site, node: ast.Call) -> tuple[int | None, str]:
    items: list[ast.AST] = [*node.args, *node.keywords]
    end = site.file.span(node)[1] - 1
    if not items:
        return end, ""
    if len(node.args) == 1 and not node.keywords and isinstance(node.args[0], ast.GeneratorExp):
        return None, ""
    last = max(site.file.span(i)[1] for i in items)
    while last < end and site.file.text[last] == ")":
        last += 1
    return last, ", "


def _argument_values(site: Site, node: ast.Call, parameter: str) -> Iterator[tuple[str, float]]:
    if parameter in site.names_at(node):
        yield parameter, 0.8
    if site.scope.self_name and parameter in site.scope.self_attributes:
        yield f"{site.scope.self_name}.{parameter}", 0.6
    for name, score in site.variables(node, limit=6):
        if name != parameter:
            yield name, score - 0.3
    for index, text in enumerate(("True", "False", "None", "0", "1")):
        yield text, -1.0 - 0.2 * index


def _filled(site: Site, node: ast.Call, text: str) -> Iterator[tuple[str, float]]:
    """Give an argument as it is, or with each variable in the place that it leaves open."""
    if "{}" not in text or text == "{}":
        yield text, 0.0
        return
    for name, score in site.variables(node, limit=4):
        yield text.format(name), score


def _typical_arguments(function: str, node: ast.Call) -> list[str]:
    given = {k.arg for k in node.keywords}
    return [t for t in forgotten_arguments().get(function, ()) if t.split("=")[0] not in given]


def argument_values(site: Site) -> Iterator[Proposal]:
    """Replace a recursive call's argument by a step of it, or the other part of the data."""
    function = site.function
    if function is None:
        return
    for node in site.expressions:
        if not isinstance(node, ast.Call):
            continue
        called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        recursive = called == function.name
        for argument in node.args[:4]:
            yield from _steps(site, argument, "recursion.step" if recursive else "argument.step", recursive=recursive)


def _steps(site: Site, argument: ast.expr, rule: str, *, recursive: bool) -> Iterator[Proposal]:
    guess = site.guess(argument)
    base = site.tight(argument, ARITH)
    if isinstance(argument, ast.Name):
        if recursive and guess in NUMBERS | {"any"}:
            for text, score in ((f"{base} - 1", 0.0), (f"{base} + 1", 0.0), (f"{base} // 2", -0.8)):
                yield site.swap(argument, text, rule, score - (0.5 if guess == "any" else 0), strength=ARITH)
            for name, score in site.variables(argument, guess, limit=6):
                if name != argument.id:
                    for operator, less in (("-", 0.0), ("+", -0.4), ("%", -1.2)):
                        yield site.swap(argument, f"{base} {operator} {name}", rule, score + less - 0.6, strength=ARITH)
        if guess not in NUMBERS | {"bool", "none", "function", "dict", "set"}:
            unsure = -0.6 if guess == "any" else 0.0
            for text, score in (
                ("[1:]", 0.0),
                ("[:-1]", -0.4),
                ("[:]", -0.8),
                ("[::-1]", -1.2),
                ("[0]", -0.8),
                ("[-1]", -1.0),
            ):
                less = 0.0 if recursive else -0.8
                yield site.swap(argument, f"{base}{text}", "slice.added", score + unsure + less)


TEMPLATES = (
    Template(
        "functions",
        ("call.kin", "call.other", "call.imported", "method.kin", "method.other", "self.forgotten"),
        functions,
    ),
    Template(
        "arguments",
        (
            "argument.swapped",
            "argument.dropped",
            "argument.added",
            "argument.typical",
            "swap.branches",
            "keyword.other",
        ),
        arguments,
    ),
    Template("argument values", ("recursion.step", "argument.step", "slice.added"), argument_values),
)
