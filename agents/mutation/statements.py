"""Faults in statements, calls and definitions: left out, emptied, exchanged."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from agents.mutation.expressions import is_logging
from agents.mutation.left_out import is_import_error
from agents.repair.templates.site import Proposal, Site, Template, precedence
from agents.repair.units import FUNCTIONS

_AUGMENTED = {"+": "-", "-": "+", "*": "/", "/": "*", "//": "/", "%": "/", "**": "*", "<<": ">>", ">>": "<<", "&": "|",
              "|": "&", "^": "&", "@": "*"}  # fmt: skip
_AUGMENTED_TOKEN = re.compile(r"(\*\*|//|<<|>>|[-+*/%&|^@])=")


def deletions(site: Site) -> Iterator[Proposal]:
    """Leave a statement out."""
    node = site.statement
    kinds: dict[type[ast.stmt], str] = {ast.Raise: "raise", ast.AugAssign: "assignment", ast.Delete: "statement"}
    rule = kinds.get(type(node), "")
    if isinstance(node, ast.Expr) and isinstance(node.value, (ast.Call, ast.Await, ast.Yield, ast.YieldFrom)):
        if isinstance(node.value, ast.Call) and is_logging(node.value):
            return
        rule = "yield" if isinstance(node.value, (ast.Yield, ast.YieldFrom)) else "call"
    if isinstance(node, ast.Assign) and not all(isinstance(t, ast.Name) for t in node.targets):
        rule = "assignment"
    if rule:
        start, end = site.file.span(node)
        shown = " ".join(site.file.text[start:end].split())[:70]
        yield Proposal(((start, end, "pass"),), f"delete.{rule}", 0.0, f"leave out `{shown}`")


def results(site: Site) -> Iterator[Proposal]:
    """Return, yield or assign nothing."""
    node = site.statement
    value = getattr(node, "value", None)
    if isinstance(value, ast.Constant) and value.value is None:
        return
    if isinstance(node, ast.Return) and value is not None:
        yield site.swap(value, "None", "return.emptied")
    elif isinstance(node, (ast.Assign, ast.AnnAssign)) and value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if all(isinstance(t, (ast.Name, ast.Attribute)) for t in targets):
            yield site.swap(value, "None", "assign.emptied")
    for inner in site.expressions:
        if isinstance(inner, ast.Yield) and isinstance(inner.value, ast.expr) and inner.value in site.parents:
            if not (isinstance(inner.value, ast.Constant) and inner.value.value is None):
                yield site.swap(inner.value, "None", "yield.emptied")
        elif isinstance(inner, ast.Lambda) and not (isinstance(inner.body, ast.Constant) and inner.body.value is None):
            yield site.swap(inner.body, "None", "lambda.emptied")


def augmented(site: Site) -> Iterator[Proposal]:
    """Turn an augmented assignment round, or make it a plain one."""
    node = site.statement
    if not isinstance(node, ast.AugAssign):
        return
    start, end = site.file.span(node.target)[1], site.file.span(node.value)[0]
    found = _AUGMENTED_TOKEN.search(site.file.text, start, end)
    if found:
        yield Proposal(((found.start(1), found.end(1), _AUGMENTED[found.group(1)]),), "augmented.operator")
        yield Proposal(((found.start(1), found.end(1), ""),), "augmented.plain")


def jumps(site: Site) -> Iterator[Proposal]:
    """Exchange `break` and `continue`."""
    node = site.statement
    if isinstance(node, ast.Break):
        yield Proposal(((*site.file.span(node), "continue"),), "jump.exchanged")
    elif isinstance(node, ast.Continue):
        yield Proposal(((*site.file.span(node), "break"),), "jump.exchanged")


def loops(site: Site) -> Iterator[Proposal]:
    """Run a loop not at all."""
    node = site.statement
    if isinstance(node, ast.For):
        yield Proposal(((*site.file.span(node.iter), "()"),), "loop.skipped")
    elif isinstance(node, ast.While) and not (isinstance(node.test, ast.Constant) and not node.test.value):
        yield Proposal(((*site.file.span(node.test), "False"),), "loop.skipped")


_MESSAGES = (ast.Constant, ast.JoinedStr, ast.BinOp, ast.Call)
_OTHER = {"ValueError": "TypeError", "TypeError": "ValueError", "KeyError": "ValueError", "IndexError": "ValueError"}


def exceptions(site: Site) -> Iterator[Proposal]:
    """Raise something else, and catch nothing."""
    node = site.statement
    if isinstance(node, ast.Raise) and node.exc is not None:
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        call = node.exc if isinstance(node.exc, ast.Call) else None
        plain = call is None or (not call.keywords and all(isinstance(a, _MESSAGES) for a in call.args))
        if isinstance(raised, ast.Name) and raised.id[:1].isupper() and plain:
            new = _OTHER.get(raised.id, "RuntimeError" if raised.id != "RuntimeError" else "ValueError")
            yield Proposal(((*site.file.span(raised), new),), "raise.exchanged")
    if isinstance(node, ast.Try):
        for handler in node.handlers:
            if handler.type is not None and not is_import_error(handler.type):
                shown = site.text(handler.type)
                yield Proposal(
                    ((*site.file.span(handler.type), "()"),), "handler.never", 0.0, f"do not catch {shown[:60]}"
                )


def arguments(site: Site) -> Iterator[Proposal]:
    """Leave out an argument, exchange two neighbours, or give nothing in the place of one."""
    for node in site.expressions:
        if not isinstance(node, ast.Call) or _structural(node):
            continue
        parts: list[ast.expr | ast.keyword] = sorted(
            (*node.args, *node.keywords), key=lambda part: (part.lineno, part.col_offset)
        )
        if any(isinstance(a, ast.GeneratorExp) for a in node.args) and len(parts) == 1:
            continue
        last = len(node.args) - 1 if len(node.args) > 1 else None
        for index, part in enumerate(parts):
            if isinstance(part, ast.keyword) or (last is not None and part is node.args[last]):
                # A default may take its place; before the last one, others would move up.
                yield from _dropped(site, parts, index)
            elif not isinstance(part, (ast.Starred, ast.Constant)) and part in site.parents:
                yield site.swap(part, "None", "argument.emptied")
        for one, two in zip(node.args, node.args[1:], strict=False):
            if isinstance(one, ast.Starred) or isinstance(two, ast.Starred) or ast.dump(one) == ast.dump(two):
                continue
            first, second = site.text(one), site.text(two)
            yield Proposal(((*site.file.span(one), second), (*site.file.span(two), first)), "argument.exchanged")


def _structural(node: ast.Call) -> bool:
    """Whether exchanging or dropping arguments could only ever fail, or means nothing."""
    return isinstance(node.func, ast.Name) and node.func.id in {"super", "isinstance", "issubclass", "cast", "TypeVar"}


def _dropped(site: Site, parts: list[ast.expr | ast.keyword], index: int) -> Iterator[Proposal]:
    part = parts[index]
    shown = " ".join(site.text(part).split())[:60]
    start, end = site.file.span(part)
    if index + 1 < len(parts):
        end = site.file.span(parts[index + 1])[0]
    elif index > 0:
        start = site.file.span(parts[index - 1])[1]
    if not _separates(site.file.text[start:end], site.text(part)):
        return
    yield Proposal(((start, end, ""),), "argument.dropped", 0.0, f"leave out the argument `{shown}`")


def _separates(text: str, own: str) -> bool:
    """Whether what is removed holds the argument and separators alone: no bracket of its neighbours."""
    rest = text.replace(own, "", 1) if own in text else ""
    return not set(rest) & set("()[]{}#")


def wrappers(site: Site) -> Iterator[Proposal]:
    """Take a value as it was before a method or a function of one argument was applied to it."""
    for node in site.expressions:
        if not isinstance(node, ast.Call) or isinstance(site.parent(node), ast.Expr) or node is _called(site):
            continue
        if isinstance(node.func, ast.Attribute) and not node.args and not node.keywords:
            value = node.func.value
            if value in site.parents and not isinstance(value, ast.Name):
                yield site.swap(node, site.text(value), "call.unwrapped", strength=precedence(value))
            elif isinstance(value, ast.Name) and value.id not in {"self", "cls"} and value.id in site.scope.bindings:
                yield site.swap(node, site.text(value), "call.unwrapped")
        elif isinstance(node.func, ast.Name) and node.func.id in _PLAIN and len(node.args) == 1 and not node.keywords:
            value = node.args[0]
            if value in site.parents and not isinstance(value, (ast.Starred, ast.GeneratorExp)):
                yield site.swap(node, site.text(value), "call.unwrapped", strength=precedence(value))


_PLAIN = frozenset(
    ("abs", "sorted", "reversed", "list", "tuple", "set", "int", "float", "str", "bool", "round", "dict")
)


def _called(site: Site) -> ast.expr | None:
    return site.statement.value if isinstance(site.statement, ast.Expr) else None


_HARMLESS = {"overload", "abstractmethod", "override", "final", "cache", "lru_cache", "cached_property", "wraps",
             "runtime_checkable", "no_type_check", "setter", "getter", "deleter", "fixture"}  # fmt: skip


def decorator_name(node: ast.expr) -> str:
    """Return the last part of a decorator's name."""
    target = node.func if isinstance(node, ast.Call) else node
    return target.attr if isinstance(target, ast.Attribute) else target.id if isinstance(target, ast.Name) else ""


def decorators(site: Site) -> Iterator[Proposal]:
    """Leave out a decorator that changes what a function or class does."""
    node = site.statement
    if not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        return
    for one in node.decorator_list:
        if decorator_name(one) in _HARMLESS:
            continue
        start = site.file.line_start(one.lineno)
        end = site.file.line_start((one.end_lineno or one.lineno) + 1)
        row = site.file.text[start:end].lstrip()
        if row.startswith("@") and (one.lineno < node.lineno):
            yield Proposal(((start, end, ""),), "decorator.dropped", 0.0, f"leave out @{site.text(one)[:60]}", True)


TEMPLATES = (
    Template("delete", ("delete.call", "delete.raise", "delete.assignment", "delete.yield"), deletions),
    Template("result", ("return.emptied", "assign.emptied", "yield.emptied", "lambda.emptied"), results),
    Template("augmented", ("augmented.operator", "augmented.plain"), augmented),
    Template("jump", ("jump.exchanged",), jumps),
    Template("loop", ("loop.skipped",), loops),
    Template("exception", ("raise.exchanged", "handler.never"), exceptions),
    Template("argument", ("argument.dropped", "argument.exchanged", "argument.emptied"), arguments),
    Template("wrapper", ("call.unwrapped",), wrappers),
    Template("decorator", ("decorator.dropped",), decorators),
)
