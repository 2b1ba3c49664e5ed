"""Values that are wrapped in a call, clamped, sliced or looked up the wrong way."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from agents.repair.guesses import NUMBERS, Guess
from agents.repair.scopes import signature
from agents.repair.templates.idioms import suffixes, wrappers
from agents.repair.templates.site import ATOM, TUPLE, Proposal, Site, Template, precedence

MOST_COMPARED = 4
"""Compared expressions that a number may be clamped by."""


def wrapping(site: Site) -> Iterator[Proposal]:
    """Wrap a value in a call, put a method or slice behind it, or take such a call away."""
    for node in site.expressions:
        yield from _unwrapped(site, node)
        if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            continue
        if isinstance(site.parent(node), ast.Attribute) and isinstance(node, (ast.Name, ast.Call, ast.Subscript)):
            yield from _inserted_method(site, node)
        if not _wrappable(site, node):
            continue
        guess = site.guess(node)
        base = site.text(node)
        for name, accepted, score in wrappers():
            if guess in accepted and not base.startswith(f"{name}("):
                yield site.swap(node, f"{name}({base})", "wrap.call", score - (0.7 if guess == "any" else 0.0))
        tight = site.tight(node, ATOM)
        for suffix, accepted, score in suffixes():
            if guess in accepted and not base.endswith(suffix):
                rule = "slice.added" if suffix[0] == "[" else "wrap.method"
                yield site.swap(node, f"{tight}{suffix}", rule, score - (0.7 if guess == "any" else 0.0))


def _inserted_method(site: Site, node: ast.expr) -> Iterator[Proposal]:
    """Put a method before the one that is called on a text, as in `s.lower().split()`."""
    if site.guess(node) not in {"str", "any"}:
        return
    parent = site.parent(node)
    text_like = isinstance(parent, ast.Attribute) and parent.attr in _TEXT_METHODS
    if site.guess(node) == "str" or text_like:
        end = site.file.span(node)[1]
        for index, method in enumerate(("strip", "lower", "upper", "rstrip", "lstrip")):
            if not site.text(node).endswith(f".{method}()"):
                yield Proposal(((end, end, f".{method}()"),), "wrap.method", -0.2 - 0.3 * index)


_TEXT_METHODS = frozenset(
    {"split", "strip", "lower", "upper", "replace", "startswith", "endswith", "title", "join", "splitlines", "encode",
     "rpartition", "removeprefix", "removesuffix", "casefold", "isdigit", "isalpha",
     "find", "count", "rstrip", "lstrip", "capitalize", "format", "isalnum", "rsplit",
     "partition"}
)  # fmt: skip


def _wrappable(site: Site, node: ast.expr) -> bool:
    if isinstance(node, ast.Constant) or not isinstance(
        node, (ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.BinOp, ast.ListComp, ast.IfExp)
    ):
        return False
    parent = site.parent(node)
    if isinstance(parent, ast.Call) and parent.func is node:
        return False
    if isinstance(parent, (ast.Attribute, ast.Expr, ast.Delete, ast.Await)) or (
        isinstance(parent, ast.Subscript) and parent.value is node
    ):
        return False
    return not (isinstance(node, ast.Name) and site.scope.guess_name(node.id) == "function")


def _plain_calls() -> frozenset[str]:
    return frozenset(name for name, _, _ in wrappers()) | {"frozenset", "copy", "deepcopy", "next", "filter"}


def _unwrapped(site: Site, node: ast.expr) -> Iterator[Proposal]:
    if isinstance(node, ast.Call):
        func = node.func
        if (
            isinstance(func, ast.Name)
            and len(node.args) == 1
            and not isinstance(node.args[0], (ast.Starred, ast.GeneratorExp))
        ):
            argument = node.args[0]
            score = 0.0 if func.id in _plain_calls() else -0.6
            if not isinstance(site.parent(node), ast.Expr) or score:
                yield site.swap(node, site.text(argument), "unwrap.call", score, strength=precedence(argument))
        elif isinstance(func, ast.Attribute) and len(node.args) <= 1 and not isinstance(site.parent(node), ast.Expr):
            score = 0.0 if not node.args else -0.6
            yield site.swap(node, site.text(func.value), "unwrap.method", score, strength=precedence(func.value))
        if isinstance(func, ast.Name) and func.id in {"min", "max"} and len(node.args) == 2:
            for argument in node.args:
                yield site.swap(node, site.text(argument), "unwrap.call", -0.3, strength=precedence(argument))
    elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        score = 0.0 if isinstance(node.slice, ast.Slice) else -0.3
        yield site.swap(node, site.text(node.value), "slice.removed", score, strength=precedence(node.value))


def _clampable(site: Site) -> Iterator[tuple[ast.expr, float]]:
    statement = site.statement
    if isinstance(statement, (ast.Assign, ast.Return)) and statement.value is not None:
        yield statement.value, 0.0
    for node in site.expressions:
        parent = site.parent(node)
        if isinstance(parent, (ast.ListComp, ast.GeneratorExp, ast.SetComp)) and parent.elt is node:
            yield node, -0.2
        elif isinstance(node, ast.Call) and isinstance(parent, ast.Call) and parent.func is not node:
            yield node, -0.8
        elif isinstance(parent, ast.Tuple) and isinstance(node, (ast.Name, ast.BinOp)):
            yield node, -1.2
        inside = isinstance(parent, ast.Slice) or (isinstance(parent, ast.Call) and parent.func is not node)
        if (
            inside
            and isinstance(node, (ast.BinOp, ast.Name))
            and isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
        ):
            yield node, -1.0


_COPIES: dict[Guess, tuple[str, ...]] = {
    "list": ("list({})", "{}[:]", "{}.copy()", "sorted({})"),
    "dict": ("dict({})", "{}.copy()"),
    "set": ("set({})", "{}.copy()"),
}


def copied(site: Site) -> Iterator[Proposal]:
    """Take a copy where a name that is changed afterwards is bound to what another name holds."""
    statement = site.statement
    if not isinstance(statement, ast.Assign):
        return
    value = statement.value
    guess = site.guess(value)
    if not isinstance(value, (ast.Name, ast.Attribute, ast.Subscript)) or guess in _UNSHARED:
        return
    target = statement.targets[0]
    unsure = 0.0 if isinstance(target, ast.Name) and target.id in _changed_names(site) else -1.8
    for index, text in enumerate(_COPIES.get(guess, ("dict({})", "list({})", "{}.copy()", "set({})", "{}[:]"))):
        yield site.swap(value, text.format(site.text(value)), "copy.taken", unsure - 0.2 * index)


def _changed_names(site: Site) -> set[str]:
    """Names whose objects the function changes in place."""
    found: set[str] = set()
    for node in site.scope.nodes:
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
            found.update(n.id for n in (node.value,) if isinstance(n, ast.Name))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGING:
            found.update(n.id for n in (node.func.value,) if isinstance(n, ast.Name))
    return found


_UNSHARED: frozenset[Guess] = frozenset({*NUMBERS, "str", "none", "function", "tuple", "bytes"})
_CHANGING = frozenset(
    {"append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse", "add", "discard", "update",
     "setdefault", "popitem", "appendleft", "popleft"}
)  # fmt: skip


def _numeric(node: ast.expr) -> bool:
    """Whether an expression of unknown type is more likely a number than not."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in {"min", "max", "int", "sum", "abs", "round", "len"}
    return isinstance(node, ast.BinOp)


def bounded(site: Site) -> Iterator[Proposal]:
    """Clamp a number: `max(0, e)`, `min(e, x)`, `max(x, e)` with variables of the scope."""
    assigned = site.statement.targets[0] if isinstance(site.statement, ast.Assign) else None
    target = assigned.id if isinstance(assigned, ast.Name) else site.text(assigned) if assigned is not None else ""
    readable = not isinstance(assigned, ast.Name) or site.scope.bound_before(target, site.start - 1)
    for value, near in _clampable(site):
        guess = site.guess(value)
        if guess != "any" and guess not in NUMBERS:
            continue
        if guess == "any" and not _numeric(value):
            near -= 0.8
        base = site.text(value)
        yield site.swap(value, f"max(0, {base})", "wrap.bounded", near)
        yield site.swap(value, f"max({base}, 1)", "wrap.bounded", near - 1.0)
        names = [(n, s) for n, s in site.variables(value, guess, limit=8) if n != target]
        if not _numeric(value) and guess == "any":
            names = names[:3]
        if target and readable:
            names.insert(0, (target, 0.2))
        names += [(f"{n} - 1", s - 0.5) for n, s in names[:8] if site.scope.guess_name(n) in NUMBERS | {"any"}]
        names += [(f"len({n}) - 1", -1.0) for n in site.names_at(value)[:6] if site.scope.guess_name(n) == "list"]
        compared = _compared(site)
        names += [(text, -0.2 - 0.15 * index) for index, text in enumerate(compared)]
        for name, score in names:
            if name != base:
                pair = f"{name}, {base}" if name == target or name in compared else f"{base}, {name}"
                yield site.swap(value, f"max({pair})", "wrap.bounded", near + score - 0.2)
                yield site.swap(value, f"min({pair})", "wrap.bounded", near + score - 0.2)


def _compared(site: Site) -> dict[str, None]:
    """Return compound expressions that the unit compares with something, and that can be read here: natural bounds."""
    found: dict[str, None] = {}
    for node in site.scope.nodes:
        if not isinstance(node, ast.Compare):
            continue
        for side in (node.left, *node.comparators):
            if not isinstance(side, (ast.Subscript, ast.Attribute)) or site.guess(side) not in NUMBERS | {"any"}:
                continue
            names = {inner.id for inner in ast.walk(side) if isinstance(inner, ast.Name)}
            if names <= site.available and len(found) < MOST_COMPARED:
                found[site.text(side)] = None
    return found


def dictionary(site: Site) -> Iterator[Proposal]:
    """Read `d[k]` as `d.get(k)` or `d.get(k, default)` and back; `x in d` against its values and keys."""
    for node in site.expressions:
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.ctx, ast.Load)
            and not isinstance(node.slice, (ast.Slice, ast.UnaryOp))
        ):
            guess = site.guess(node.value)
            if guess in {"str", "list", "tuple", "int"} or (
                isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int)
            ):
                continue
            base, key = site.tight(node.value, ATOM), site.text(node.slice)
            for index, default in enumerate(("", ", 0", ", []", ', ""', ", None", f", {key}")):
                text = f"{base}.get({key}{default})"
                yield site.swap(node, text, "dict.get", -0.3 * index - (0.5 if guess == "any" else 0.0))
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in {"get", "pop"}
            and node.args
        ):
            yield site.swap(node, f"{site.text(node.func.value)}[{site.text(node.args[0])}]", "dict.subscript")
            if len(node.args) == 2:
                for index, default in enumerate(
                    ("0", "[]", "None", '""', "{}", "1", "False", "True", site.text(node.args[0]))
                ):
                    yield site.swap(node.args[1], default, "dict.default", -0.2 * index, strength=TUPLE + 1)


def helper(site: Site) -> Iterator[Proposal]:
    """Apply a known helper of the file to a value: `x` as `helper(x)`."""
    known = {
        **site.module.functions,
        **({site.function.name: site.function} if site.function and not site.unit.classes else {}),
    }
    helpers = [n for n, f in known.items() if signature(f, method=False).required == 1][:5]
    for node in site.expressions if helpers else ():
        if not isinstance(node, (ast.Name, ast.Subscript, ast.Attribute, ast.Call)) or not _wrappable(site, node):
            continue
        if isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            for index, name in enumerate(helpers):
                if not site.text(node).startswith(f"{name}("):
                    yield site.swap(node, f"{name}({site.text(node)})", "wrap.helper", -0.3 * index)


TEMPLATES = (
    Template(
        "wrapping",
        ("wrap.call", "wrap.method", "unwrap.call", "unwrap.method", "slice.added", "slice.removed"),
        wrapping,
    ),
    Template("bounded", ("wrap.bounded",), bounded),
    Template("dictionary", ("dict.get", "dict.subscript", "dict.default"), dictionary),
    Template("copies", ("copy.taken",), copied),
    Template("helpers", ("wrap.helper",), helper),
)
