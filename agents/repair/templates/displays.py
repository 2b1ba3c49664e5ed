"""Comprehensions that lack a filter, displays with wrong parts, and checks for the wrong types."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import combinations

from agents.repair.templates.conditions import guards_about, relations
from agents.repair.templates.site import ATOM, Proposal, Site, Template


def _loaded(node: ast.expr) -> bool:
    return isinstance(getattr(node, "ctx", ast.Load()), ast.Load)


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


TEMPLATES = (
    Template("filters", ("filter.added", "filter.dropped"), filters),
    Template(
        "elements",
        ("element.added", "element.dropped", "wrap.display", "argument.swapped", "list.shared"),
        elements,
    ),
    Template("kinds", ("kind.other", "kind.added"), kinds),
)
