"""Wrong names: a variable, an attribute or a whole operand where another of the scope belongs."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from agents.repair.guesses import NUMBERS, Guess, compatible
from agents.repair.scopes import BUILTINS, PoolEntry
from agents.repair.templates.idioms import kin, opposites
from agents.repair.templates.site import Proposal, Site, Template, precedence


def names(site: Site) -> Iterator[Proposal]:
    """Replace a variable by another one that is in scope, for reading and for writing."""
    for node in site.expressions:
        if not isinstance(node, ast.Name):
            continue
        parent = site.parent(node)
        if isinstance(parent, ast.Call) and parent.func is node:
            continue
        if isinstance(node.ctx, ast.Store):
            yield from _targets(site, node)
            continue
        yield from _constants_for(site, node, parent)
        yield from _kin_of(site, node)
        want = _wanted(site, node, parent)
        hinted = 1.0 if node.id in site.hints.undefined else 0.0
        for name, score in site.variables(node, want):
            if name != node.id:
                likeness = 0.3 if _alike(name, node.id) else 0.0
                yield site.swap(node, name, "variable.read", score + likeness + hinted)


_PLAIN_VALUES: dict[Guess, tuple[str, ...]] = {
    "int": ("0", "1", "-1", "None"),
    "str": ('""', "None"),
    "list": ("[]", "None"),
    "dict": ("{}", "None"),
    "bool": ("False", "True"),
    "set": ("set()",),
}


def _constants_for(site: Site, node: ast.Name, parent: ast.AST) -> Iterator[Proposal]:
    """Write a constant where a variable stands."""
    guess = site.guess(node)
    if isinstance(parent, (ast.Attribute, ast.For, ast.comprehension, ast.Starred)):
        return
    if isinstance(parent, ast.Subscript) and parent.value is node:
        return
    if isinstance(parent, (ast.Assign, ast.Return, ast.keyword, ast.Yield)):
        options = _PLAIN_VALUES.get(guess, ("None", "0", "[]", "False", "True", "{}"))
    elif isinstance(parent, (ast.Compare, ast.BinOp, ast.Call, ast.Tuple, ast.Slice, ast.Subscript)):
        options = ("0", "1", "2", "-1") if guess in NUMBERS else ("0", "1", "None") if guess == "any" else ()
    else:
        return
    for index, text in enumerate(options):
        yield site.swap(node, text, "constant.for_variable", -0.25 * index, strength=13 if text == "-1" else 15)


def _kin_of(site: Site, node: ast.Name) -> Iterator[Proposal]:
    """Replace a built-in that is not called here (a key, a type), and a name by its opposite."""
    if node.id in BUILTINS and node.id not in site.scope.bindings:
        for index, name in enumerate(n for n in kin("functions").get(node.id, ()) if n in site.available):
            yield site.swap(node, name, "call.kin", -0.3 - 0.2 * index)
    for index, name in enumerate(opposites(node.id)):
        if name in site.available:
            yield site.swap(node, name, "variable.opposite", -0.2 * index)


def _wanted(site: Site, node: ast.Name, parent: ast.AST) -> Guess:
    guess = site.guess(node)
    if guess in {"any", "none", "function"} and isinstance(parent, (ast.BinOp, ast.Slice)):
        other = parent.right if isinstance(parent, ast.BinOp) and parent.left is node else getattr(parent, "left", None)
        if other is not None and site.guess(other) in NUMBERS:
            return "int"
    return "any" if guess in {"none", "function"} else guess


def _alike(one: str, other: str) -> bool:
    """Whether two names share a word or a beginning."""
    words = set(one.lower().split("_")) & set(other.lower().split("_"))
    return bool(words - {""}) or one[:3].lower() == other[:3].lower()


def _targets(site: Site, node: ast.Name) -> Iterator[Proposal]:
    guess = site.guess(node)
    statement = site.statement
    if isinstance(statement, (ast.For, ast.AsyncFor, ast.With)) or not isinstance(
        statement, (ast.Assign, ast.AugAssign)
    ):
        return
    for name, score in site.variables(None, guess, limit=8):
        if name != node.id and name in site.scope.bindings and name not in {"self", "cls"}:
            yield site.swap(node, name, "variable.written", score)


def attributes(site: Site) -> Iterator[Proposal]:
    """Replace an attribute by another one of the same object; a name by an attribute of `self` and back."""
    self_name = site.scope.self_name
    for node in site.expressions:
        if isinstance(node, ast.Attribute):
            parent = site.parent(node)
            if isinstance(parent, ast.Call) and parent.func is node:
                continue
            start, end = site.file.span(node)
            first = end - len(node.attr)
            if site.file.text[first:end] != node.attr:
                continue
            for name, score in _siblings(site, node):
                yield Proposal(((first, end, name),), "attribute.other", score)
            if isinstance(node.ctx, ast.Load) and isinstance(node.value, (ast.Name, ast.Attribute)):
                yield Proposal(((site.file.span(node.value)[1], end, ""),), "attribute.dropped", -0.5)
                yield Proposal(((end, end, f".{node.attr}"),), "attribute.added", -0.4)
                others = [a for a in site.scope.attributes_of.get(site.text(node), ()) if a != node.attr]
                for index, name in enumerate(others[:3]):
                    if name not in site.module.methods:
                        yield Proposal(((end, end, f".{name}"),), "attribute.added", -0.4 - 0.2 * index)
            if isinstance(node.value, ast.Name) and node.value.id == self_name and node.attr in site.names_at(node):
                yield Proposal(((start, end, node.attr),), "self.dropped")
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield from _attribute_of_name(site, node, self_name)
        elif isinstance(node, ast.Name) and self_name and isinstance(site.statement, (ast.Assign, ast.AugAssign)):
            known = site.scope.self_attributes
            if node.id in known:
                yield site.swap(node, f"{self_name}.{node.id}", "self.forgotten")


def _siblings(site: Site, node: ast.Attribute) -> Iterator[tuple[str, float]]:
    receiver = site.text(node.value)
    seen = {node.attr}
    known = site.scope.attributes_of.get(receiver, Counter())
    ranked = sorted(known, key=lambda a: (not _alike(a, node.attr), -known[a]))
    for index, name in enumerate(opposites(node.attr)):
        seen.add(name)
        known_name = name in site.module.attributes or name in known
        yield name, -0.2 * index - (0.0 if known_name else 1.2)
    for index, name in enumerate(ranked):
        if name not in seen and name not in site.scope.self_methods:
            seen.add(name)
            yield name, -0.15 * index
    if receiver == site.scope.self_name:
        return
    others = sorted(site.module.attributes, key=lambda a: (not _alike(a, node.attr), -site.module.attributes[a]))
    for index, name in enumerate(others[:12]):
        if name not in seen and name not in site.module.methods:
            yield name, -0.5 - 0.15 * index


def _attribute_of_name(site: Site, node: ast.Name, self_name: str) -> Iterator[Proposal]:
    if self_name and node.id != self_name:
        attributes_ = site.scope.self_attributes
        if node.id in attributes_ or f"_{node.id}" in attributes_:
            found = node.id if node.id in attributes_ else f"_{node.id}"
            yield site.swap(node, f"{self_name}.{found}", "self.forgotten")
    parent = site.parent(node)
    if isinstance(parent, ast.Attribute):
        return
    known = site.scope.attributes_of.get(node.id)
    if known and node.id != self_name:
        for index, name in enumerate(sorted(known, key=lambda a: -known[a])[:6]):
            if name not in site.module.methods:
                yield site.swap(node, f"{node.id}.{name}", "attribute.added", -0.2 * index)


def operands(site: Site) -> Iterator[Proposal]:
    """Replace an expression by another expression of the function that has the same rough type."""
    pool = expression_pool(site)
    for node in site.expressions:
        if isinstance(node, (ast.Constant, ast.Name)) and not _replaceable_leaf(site, node):
            continue
        if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load) or isinstance(
            node, (ast.Starred, ast.Slice, ast.Tuple, ast.Lambda, ast.GeneratorExp)
        ):
            continue
        parent = site.parent(node)
        if (isinstance(parent, ast.Call) and parent.func is node) or (
            isinstance(parent, (ast.Attribute, ast.Expr, ast.keyword)) and not isinstance(parent, ast.keyword)
        ):
            continue
        guess, own = site.guess(node), site.text(node)
        condition = isinstance(node, (ast.Compare, ast.BoolOp)) or (
            isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
        )
        if not isinstance(node, (ast.Name, ast.Constant)) and not condition:
            for name, score in site.variables(node, guess, limit=8):
                if name not in {"self", "cls"}:
                    inside = 0.2 if name in own else 0.0
                    yield site.swap(node, name, "variable.instead", score + inside)
        count = 0
        for text, other, strength, is_condition in pool:
            if (
                text == own
                or is_condition != condition
                or not compatible(guess, other)
                or (text in own and len(own) > 25)
            ):
                continue
            unsure = -0.5 if "any" in {guess, other} and guess != other else 0.0
            yield site.swap(node, text, "operand.replaced", -0.12 * count + unsure, strength=strength)
            count += 1
            if count >= 14:
                break


def _replaceable_leaf(site: Site, node: ast.expr) -> bool:
    return isinstance(getattr(node, "ctx", ast.Load()), ast.Load) and isinstance(
        site.parent(node),
        (
            ast.BinOp,
            ast.Compare,
            ast.Subscript,
            ast.Call,
            ast.Return,
            ast.Assign,
            ast.Slice,
            ast.For,
            ast.comprehension,
            ast.IfExp,
            ast.AugAssign,
        ),
    )


def expression_pool(site: Site) -> list[tuple[str, Guess, int, bool]]:
    """Return compound expressions of the function whose names are all available here, nearest first.

    Each comes with its rough type, binding strength, and whether it is a condition.
    """
    if site.pool is None:
        found: dict[str, tuple[int, PoolEntry]] = {}
        for entry in site.scope.pool:
            if entry.names <= site.available and not (isinstance(entry.node, ast.Call) and entry.guess == "none"):
                distance = abs(entry.start - site.start)
                if entry.text not in found or distance < found[entry.text][0]:
                    found[entry.text] = (distance, entry)
        ranked = [entry for _, entry in sorted(found.values(), key=lambda item: (item[0], item[1].text))[:40]]
        site.pool = [
            (e.text, e.guess, precedence(e.node), isinstance(e.node, (ast.Compare, ast.BoolOp))) for e in ranked
        ]
    return site.pool


TEMPLATES = (
    Template(
        "names", ("variable.read", "variable.written", "variable.opposite", "constant.for_variable", "call.kin"), names
    ),
    Template(
        "attributes",
        ("attribute.other", "attribute.dropped", "attribute.added", "self.dropped", "self.forgotten"),
        attributes,
    ),
    Template("operands", ("operand.replaced", "variable.instead"), operands),
)
