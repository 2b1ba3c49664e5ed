"""Wrong slices, subscripts and ranges."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from agents.repair.guesses import NUMBERS
from agents.repair.templates.site import ARITH, ATOM, LAMBDA, Proposal, Site, Template, precedence


def _loaded(node: ast.expr) -> bool:
    return isinstance(getattr(node, "ctx", ast.Load()), ast.Load)


def bounds(site: Site) -> Iterator[Proposal]:
    """Exchange, drop and add the parts of a slice; make its end relative to its start."""
    for node in site.expressions:
        if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Slice):
            continue
        start, end = site.file.span(node.slice)
        for text, score in (*_reordered(site, node.slice), *_stepped(site, node.slice), *_completed(site, node.slice)):
            yield Proposal(((start, end, text),), "slice.bounds", score)


def _parts(site: Site, cut: ast.Slice) -> tuple[str, str, str]:
    low, high, step = (site.tight(p, LAMBDA) if p else "" for p in (cut.lower, cut.upper, cut.step))
    return low, high, step


def _reordered(site: Site, cut: ast.Slice) -> Iterator[tuple[str, float]]:
    low, high, step = _parts(site, cut)
    tail = f":{step}" if step else ""
    if low or high:
        yield f"{high}:{low}{tail}", 0.0 if not (low and high) else -0.8
    if cut.lower and cut.upper:
        first, last = site.tight(cut.lower, ARITH), site.tight(cut.upper, ARITH + 1)
        yield f"{low}:{tail}", -0.3
        yield f":{high}{tail}", -0.3
        yield f"{low}:{first} + {last}{tail}", 0.0
        yield f"{low}:{high} - {site.tight(cut.lower, ARITH + 1)}{tail}", -1.2


def _stepped(site: Site, cut: ast.Slice) -> Iterator[tuple[str, float]]:
    low, high, step = _parts(site, cut)
    if not step:
        yield f"{low}:{high}:-1", -0.6 if low or high else 0.0
        yield f"{low}:{high}:2", -1.6
        if high == "-1" and not low:
            yield "::-1", 0.0
        return
    yield f"{low}:{high}", 0.0
    yield f"{low}:{high}:-{step}" if step[0] != "-" else f"{low}:{high}:{step[1:]}", -0.4
    if not low and not high:
        yield "1:", -1.0
        yield ":-1", -0.6


def _completed(site: Site, cut: ast.Slice) -> Iterator[tuple[str, float]]:
    low, high, step = _parts(site, cut)
    tail = f":{step}" if step else ""
    for text, less in (("1", -0.6), ("-1", -0.9)):
        if not low:
            yield f"{text}:{high}{tail}", less
        if not high:
            yield f"{low}:{text}{tail}", less - 0.3 * (text == "1")
    for name, score in site.variables(cut, "int", limit=6):
        if not low:
            yield f"{name}:{high}{tail}", score - 0.4
        if not high:
            yield f"{low}:{name}{tail}", score - 0.4
            yield f"{low}:{name} + 1{tail}", score - 1.4


def added(site: Site) -> Iterator[Proposal]:
    """Take a part of a sequence by a variable: `xs[i:]`, `xs[:i]`, `xs[i]`, `xs[key]`."""
    for node in site.expressions:
        if not isinstance(node, (ast.Name, ast.Attribute)) or not _loaded(node):
            continue
        parent = site.parent(node)
        if isinstance(parent, (ast.Attribute, ast.Call)) and getattr(parent, "func", node) is node:
            continue
        if isinstance(parent, ast.Subscript) and parent.value is node:
            continue
        guess = site.guess(node)
        if guess in NUMBERS | {"bool", "none", "function", "set", "iter"} or (
            guess == "any" and not _subscripted(site, node)
        ):
            continue
        base = site.text(node)
        near = 0.0 if guess != "any" else -0.4
        for name, score in site.variables(node, limit=6):
            other = site.scope.guess_name(name)
            if name == base:
                continue
            if guess == "dict":
                yield site.swap(node, f"{base}[{name}]", "index.added", score - 0.2)
                continue
            yield site.swap(node, f"{base}[{name}]", "index.added", score + near - (0.3 if other == "any" else 0.0))
            if other in NUMBERS or other == "any":
                unsure = -0.5 if other == "any" else 0.0
                for text, less in (
                    (f"{name}:", 0.0),
                    (f":{name}", 0.0),
                    (f"{name} + 1:", -0.8),
                    (f":{name} + 1", -0.8),
                ):
                    yield site.swap(node, f"{base}[{text}]", "slice.variable", score + near + unsure + less)


def _subscripted(site: Site, node: ast.expr) -> bool:
    """Whether the function subscripts or measures the same name elsewhere."""
    text = site.text(node)
    return text in _subscripted_names(site)


def _subscripted_names(site: Site) -> frozenset[str]:
    cache: frozenset[str] | None = getattr(site.scope, "subscripted", None)
    if cache is None:
        found = set()
        for node in site.scope.nodes:
            if isinstance(node, ast.Subscript) and isinstance(node.value, (ast.Name, ast.Attribute)):
                found.add(site.file.segment(node.value))
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len" and node.args:
                found.add(site.file.segment(node.args[0]))
        cache = frozenset(found)
        site.scope.subscripted = cache
    return cache


def looked_up(site: Site) -> Iterator[Proposal]:
    """Look a value up in a container of the scope (`e` as `table[e]`), or take the key instead of what it finds."""
    containers = [
        n for n in site.names_at() if site.scope.guess_name(n) in {"list", "dict"} or n in _subscripted_names(site)
    ]
    for node in site.expressions:
        if (
            isinstance(node, ast.Subscript)
            and _loaded(node)
            and not isinstance(node.slice, (ast.Slice, ast.Constant, ast.UnaryOp))
        ):
            yield site.swap(node, site.text(node.slice), "index.removed", strength=precedence(node.slice))
        if not isinstance(node, (ast.Name, ast.Subscript)) or not _loaded(node):
            continue
        parent = site.parent(node)
        if (isinstance(parent, (ast.Call, ast.Attribute)) and getattr(parent, "func", node) is node) or isinstance(
            parent, ast.Slice
        ):
            continue
        if isinstance(parent, ast.Subscript) and parent.value is node:
            continue
        base = site.text(node)
        for index, name in enumerate(containers[:4]):
            if name != base and name not in base.split("["):
                yield site.swap(node, f"{name}[{base}]", "index.wrapped", -0.2 * index)


def positions(site: Site) -> Iterator[Proposal]:
    """Count positions from the other end, or take the first or last item."""
    for node in site.expressions:
        if not isinstance(node, ast.Subscript) or isinstance(node.slice, (ast.Slice, ast.Constant)):
            continue
        if site.guess(node.slice) in NUMBERS and isinstance(node.slice, (ast.Name, ast.BinOp)):
            text = site.tight(node.slice, ATOM) if isinstance(node.slice, ast.Name) else f"({site.text(node.slice)})"
            yield site.swap(node.slice, f"-{text}", "index.negated")
            yield site.swap(node.slice, f"-{text} - 1", "index.negated", -0.4)
            if isinstance(node.slice, ast.BinOp) and isinstance(node.slice.op, (ast.Add, ast.Sub)):
                text = f"({site.text(node.slice)}) % len({site.text(node.value)})"
                yield site.swap(node.slice, text, "index.cyclic")
            for constant in ("0", "-1"):
                yield site.swap(node.slice, constant, "index.constant")


def ranges(site: Site) -> Iterator[Proposal]:
    """Change where a `range` starts, ends and which way it runs; run over the items instead, and back."""
    for node in site.expressions:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range" and node.args:
            yield from _range(site, node)
    iterated: list[ast.expr] = [site.statement.iter] if isinstance(site.statement, (ast.For, ast.AsyncFor)) else []
    for node in site.expressions:
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            iterated += [g.iter for g in node.generators]
    for value in iterated:
        guess = site.guess(value)
        base = site.text(value)
        if isinstance(value, (ast.Name, ast.Attribute)):
            if guess in NUMBERS | {"any"}:
                yield site.swap(value, f"range({base})", "range.other", -0.6)
            yield site.swap(value, f"range(len({base}))", "range.other", -0.4)
            yield site.swap(value, f"{base}[1:]", "slice.added", 0.3)
            yield site.swap(value, f"reversed({base})", "wrap.call", -0.3)
            if guess in {"dict", "any"}:
                for index, suffix in enumerate((".items()", ".values()", ".keys()")):
                    yield site.swap(value, f"{base}{suffix}", "wrap.method", -0.4 - 0.3 * index)
        if isinstance(value, ast.Call):
            yield site.swap(value, f"reversed({base})", "wrap.call", -0.4)


def _range(site: Site, node: ast.Call) -> Iterator[Proposal]:
    texts = [site.text(a) for a in node.args]
    options: list[tuple[str, float]] = []
    if len(texts) == 1:
        (stop,) = texts
        options += [
            (f"1, {stop}", 0.3),
            (f"1, {stop} + 1", -0.1),
            (f"2, {stop}", -1.0),
            (f"{stop} - 1, -1, -1", -0.5),
            (f"{stop}, 0, -1", -0.8),
            (f"0, {stop}, 2", -1.4),
        ]
        for name, score in site.variables(node, "int", limit=6):
            if name != stop:
                options += [
                    (f"{name}, {stop}", score - 0.1),
                    (f"{name} + 1, {stop}", score - 0.3),
                    (f"{stop}, {name}", score - 1.0),
                    (f"0, {stop}, {name}", score - 0.9),
                ]
    elif len(texts) == 2:
        start, stop = texts
        options += [
            (stop, 0.0),
            (f"0, {stop}", 0.0),
            (f"{stop} - 1, {start} - 1, -1", -0.8),
            (f"{start}, {stop}, -1", -0.4),
            (f"{stop}, {start}, -1", -0.6),
            (f"{start}, {stop}, 2", -1.0),
            (f"{start} + 1, {stop} + 1", -0.4),
            (f"{start} - 1, {stop} - 1", -0.8),
        ]
        for name, score in site.variables(node, "int", limit=5):
            options.append((f"{start}, {stop}, {name}", score - 0.8))
    elif len(texts) == 3:
        start, stop, step = texts
        options += [
            (f"{start}, {stop}", 0.0),
            (f"{start}, -1, {step}" if step == "-1" else f"0, {stop}, {step}", 0.0),
            (f"{start} - 1, {stop}, {step}", -0.3),
            (f"{stop}, {start}, {step}", -0.6),
        ]
        options.append((f"{start}, {stop}, {step[1:]}" if step[0] == "-" else f"{start}, {stop}, -{step}", -0.3))
    first, last = site.file.span(node.args[0])[0], site.file.span(node.args[-1])[1]
    if site.file.text[first - 1] != "(" or site.file.text[last : last + 1] not in {")", ","}:
        return
    for text, score in options:
        yield Proposal(((first, last, text),), "range.bounds", score)


TEMPLATES = (
    Template("slice bounds", ("slice.bounds",), bounds),
    Template("parts", ("index.added", "slice.variable"), added),
    Template("looked up", ("index.wrapped", "index.removed"), looked_up),
    Template("positions", ("index.negated", "index.constant", "index.cyclic"), positions),
    Template("ranges", ("range.bounds", "range.other", "slice.added", "wrap.call", "wrap.method"), ranges),
)
