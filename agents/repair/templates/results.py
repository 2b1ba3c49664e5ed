"""Results that are thrown away, returned wrongly, or bound one after the other instead of together."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from agents.repair.templates.conditions import guards_about, relations
from agents.repair.templates.site import Proposal, Site, Template
from agents.repair.templates.statements import called, movable


def results_kept(site: Site) -> Iterator[Proposal]:
    """Keep a result that is thrown away: `s.strip()` as `s = s.strip()`, `f(x)` as `return f(x)`."""
    statement = site.statement
    if (
        not isinstance(statement, ast.Expr)
        or site.place.depth == 0
        or isinstance(statement.value, (ast.Constant, ast.Yield))
    ):
        return
    start, _ = site.file.span(statement)
    value = statement.value.value if isinstance(statement.value, ast.Await) else statement.value
    if isinstance(value, ast.Call):
        yield from _rewritten(site, statement, value)
        recursive = site.function is not None and called(value) == site.function.name
        if site.function is not None:
            yield Proposal(((start, start, "return "),), "result.returned", 0.8 if recursive else 0.0)
        if isinstance(value.func, ast.Attribute):
            receiver = site.text(value.func.value)
            known = site.guess(value) != "none"
            yield Proposal(((start, start, f"{receiver} = "),), "result.assigned", 0.3 if known else -1.5)
        targets = [site.text(a) for a in value.args if isinstance(a, (ast.Name, ast.Attribute))][:2]
        for index, text in enumerate(targets):
            yield Proposal(((start, start, f"{text} = "),), "result.assigned", -0.4 - 0.2 * index)
        for name, score in site.variables(None, limit=4):
            if name in site.scope.bindings and name not in {"self", "cls", *targets}:
                yield Proposal(((start, start, f"{name} = "),), "result.assigned", score - 1.0)
                yield Proposal(((start, start, f"{name} += "),), "result.assigned", score - 1.0)
    end = site.file.span(statement)[1]
    for name in [n for n in (*site.names_at(), *site.scope.fields) if site.scope.guess_name(n) == "list"][:3]:
        yield Proposal(((start, start, f"{name}.append("), (end, end, ")")), "result.added")
        yield Proposal(((start, start, f"{name}.extend("), (end, end, ")")), "result.added", -0.8)


def _rewritten(site: Site, statement: ast.Expr, call: ast.Call) -> Iterator[Proposal]:
    """Write `x.update(y)` as `x = y`, `xs.insert(i, y)` as `xs[i] = y`, `xs.append(y)` as `xs += y`."""
    if not isinstance(call.func, ast.Attribute) or call.keywords or isinstance(statement.value, ast.Await):
        return
    span = site.file.span(statement)
    receiver, arguments = site.text(call.func.value), [site.text(a) for a in call.args]
    if len(arguments) == 1 and site.guess(call) in {"none", "any"}:
        yield Proposal(((*span, f"{receiver} = {arguments[0]}"),), "statement.rewritten", -0.3)
        yield Proposal(((*span, f"{receiver} += {arguments[0]}"),), "statement.rewritten", -0.5)
    elif len(arguments) == 2:
        yield Proposal(((*span, f"{receiver}[{arguments[0]}] = {arguments[1]}"),), "statement.rewritten")


def rewritten(site: Site) -> Iterator[Proposal]:
    """Write an assignment another way: into a container, as an update of what is there, or as a call."""
    statement = site.statement
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1 or site.place.depth == 0:
        return
    target = statement.targets[0]
    span = site.file.span(statement)
    left, right = site.text(target), site.text(statement.value)
    if isinstance(target, ast.Subscript) and not isinstance(target.slice, ast.Slice):
        base, key = site.text(target.value), site.text(target.slice)
        forms = (
            f"{left} = {base}.get({key}, 0) + {_operand(statement.value, right)}",
            f"{base}.setdefault({key}, {right})",
            f"{left}.append({right})",
            f"{base}.setdefault({key}, []).append({right})",
            f"{left}.add({right})",
        )
        for index, text in enumerate(forms):
            yield Proposal(((*span, text),), "statement.rewritten", -0.3 * index)
    elif isinstance(target, (ast.Name, ast.Attribute)):
        guess = site.guess(target)
        methods = {"list": ("append", "extend"), "set": ("add", "update"), "dict": ("update",)}.get(guess, ())
        for index, method in enumerate(methods):
            yield Proposal(((*span, f"{left}.{method}({right})"),), "statement.rewritten", -0.3 * index)


def together(site: Site) -> Iterator[Proposal]:
    """Make two assignments at once: `a = b; b = a + b` as `a, b = b, a + b`; one after the other, and back."""
    statement = site.statement
    if not movable(site) or not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return
    first, block, index = statement.targets[0], site.place.block, site.place.index
    if isinstance(first, ast.Tuple) and isinstance(statement.value, ast.Tuple) and len(first.elts) == 2:
        lines = [f"{site.text(t)} = {site.text(v)}" for t, v in zip(first.elts, statement.value.elts, strict=False)]
        joint = f"{site.file.newline}{site.indent}"
        for order in (lines, lines[::-1]):
            text = joint.join(order)
            yield Proposal(((*site.file.span(statement), text),), "assign.split", -0.3, structural=True)
        return
    following = block[index + 1] if index + 1 < len(block) else None
    if (
        not isinstance(following, ast.Assign)
        or len(following.targets) != 1
        or not isinstance(first, (ast.Name, ast.Attribute))
    ):
        return
    if statement.lineno != statement.end_lineno or following.lineno != following.end_lineno:
        return
    second = following.targets[0]
    if not isinstance(second, (ast.Name, ast.Attribute)) or site.text(first) not in site.file.segment(following.value):
        return
    targets = f"{site.text(first)}, {site.text(second)}"
    values = f"{site.text(statement.value)}, {site.text(following.value)}"
    if isinstance(statement.value, ast.Tuple) or isinstance(following.value, ast.Tuple):
        return
    span = (site.start, site.file.span(following)[1])
    yield Proposal(((*span, f"{targets} = {values}"),), "assign.joined", structural=True)


def returns(site: Site) -> Iterator[Proposal]:
    """Return something else: a variable, its truth, nothing; yield instead; assign instead of returning."""
    statement = site.statement
    if not isinstance(statement, ast.Return) or site.unit.kind == "module":
        return
    start, end = site.file.span(statement)
    for name, score in site.variables(None, limit=6):
        if name in {"self", "cls"} and site.unit.kind != "method":
            continue
        if statement.value is None or site.text(statement.value) != name:
            yield Proposal(((start, end, f"return {name}"),), "return.variable", score)
    if statement.value is not None:
        value = site.text(statement.value)
        yield Proposal(((start, start + 6, "yield"),), "yield.returned", -0.5, structural=True)
        for name, score in site.variables(None, site.guess(statement.value), limit=4):
            if name in site.scope.bindings and site.guess(statement.value) not in {"bool", "none"}:
                yield Proposal(
                    ((start, end, f"return {name} + {_operand(statement.value, value)}"),), "return.combined", score
                )
                if not isinstance(statement.value, ast.Constant):
                    yield Proposal(
                        ((start, end, f"return {_operand(statement.value, value)} + {name}"),),
                        "return.combined",
                        score - 0.2,
                    )
        for index, text in enumerate(_truths(site, statement)):
            yield Proposal(((start, end, f"return {text}"),), "return.truth", -0.15 * index)


def _operand(node: ast.expr, text: str) -> str:
    loose = isinstance(node, (ast.IfExp, ast.Lambda, ast.Compare, ast.BoolOp)) or (
        isinstance(node, ast.Tuple) and text[:1] != "("
    )
    return f"({text})" if loose else text


def _truths(site: Site, statement: ast.Return) -> Iterator[str]:
    """Conditions to return instead of a truth value, drawn from the variables."""
    if statement.value is None or site.guess(statement.value) not in {"bool", "int"}:
        return
    names = [n for n in site.names_at() if n not in {"self", "cls"}][:6]
    options = [(t, s) for n in names for bad, good, s in guards_about(site, n) for t in (bad, good)]
    options += [(t, s - 0.2) for bad, good, s in relations(site, names) for t in (good, bad)]
    yield from (text for text, _ in sorted(options, key=lambda o: -o[1])[:24])


TEMPLATES = (
    Template(
        "results kept", ("result.returned", "result.assigned", "result.added", "statement.rewritten"), results_kept
    ),
    Template("rewritten", ("statement.rewritten",), rewritten),
    Template("together", ("assign.joined", "assign.split"), together),
    Template("returns", ("return.variable", "return.combined", "return.truth", "yield.returned"), returns),
)
