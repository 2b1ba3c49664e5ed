"""Values written another way: a suffix moved, a call repeated, a function for a method, a sort key."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from itertools import islice, product

from agents.repair.guesses import NUMBERS, compatible
from agents.repair.templates.conditions import quoted
from agents.repair.templates.idioms import kin
from agents.repair.templates.site import AND, ARITH, ATOM, OR, TERNARY, TUPLE, Proposal, Site, Template
from agents.repair.templates.statements import called
from agents.repair.units import FunctionNode
from sandbox.syntax import parse_expression

_MOST_RECURSIONS = 10


def _loaded(node: ast.AST) -> bool:
    return isinstance(getattr(node, "ctx", ast.Load()), ast.Load)


def moved(site: Site) -> Iterator[Proposal]:
    """Move a slice or a method call to another part: `f(x)[::-1]` as `f(x[::-1])`, `a.m(), b` as `a, b.m()`."""
    for node in site.expressions:
        cut = _suffix(site, node)
        if cut is None:
            continue
        start, end = cut
        suffix = site.file.text[start:end]
        inner = node.func.value if isinstance(node, ast.Call) else node.value  # type: ignore[attr-defined]
        count = 0
        for part in ast.walk(inner):
            if part is not inner and isinstance(part, ast.Name) and _loaded(part) and site.guess(part) != "function":
                at = site.file.span(part)[1]
                if at < start:
                    yield Proposal(((at, at, suffix), (start, end, "")), "suffix.moved", -0.2 * count)
                    count += 1
        parent = site.parent(node)
        siblings: list[ast.expr] = []
        if isinstance(parent, (ast.Tuple, ast.List)):
            siblings = parent.elts
        elif isinstance(parent, ast.Call) and parent.func is not node:
            siblings = parent.args
        elif isinstance(parent, ast.BinOp):
            siblings = [parent.left, parent.right]
        elif isinstance(parent, ast.Compare):
            siblings = [parent.left, *parent.comparators]
        for other in siblings:
            if other is not node and isinstance(other, (ast.Name, ast.Attribute, ast.Call, ast.Subscript)):
                at = site.file.span(other)[1]
                edits = sorted(((at, at, suffix), (start, end, "")))
                yield Proposal(tuple(edits), "suffix.moved", -0.1)
        if isinstance(parent, ast.Call) and node in parent.args and len(parent.args) == 1:
            after = site.file.span(parent)[1]
            yield Proposal(((start, end, ""), (after, after, suffix)), "suffix.moved", -0.3)


def _suffix(site: Site, node: ast.expr) -> tuple[int, int] | None:
    """Return the span of the slice or method call at an expression's end."""
    if isinstance(node, ast.Subscript) and _loaded(node) and isinstance(node.slice, ast.Slice):
        value: ast.expr = node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.args and not node.keywords:
        value = node.func.value
    else:
        return None
    end = site.file.span(node)[1]
    start = site.file.span(value)[1]
    while site.file.text[start : start + 1] == ")":
        start += 1
    return start, end


def repeated(site: Site) -> Iterator[Proposal]:
    """Do a replacement once more for another text: `s.replace("-", "")` with `.replace(" ", "")` behind."""
    for node in site.expressions:
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or len(node.args) != 2:
            continue
        first = node.args[0]
        if node.func.attr != "replace" or not isinstance(first, ast.Constant) or not isinstance(first.value, str):
            continue
        at, rest = site.file.span(node)[1], site.text(node.args[1])
        others = [" ", "-", "_", ".", ",", "\t", "\n", "'", "/", ":"]
        others += [t for t in site.module.strings if 0 < len(t) <= 3]
        for index, text in enumerate(t for t in dict.fromkeys(others) if t != first.value):
            yield Proposal(((at, at, f".replace({quoted(site, text)}, {rest})"),), "method.repeated", -0.15 * index)


def functional(site: Site) -> Iterator[Proposal]:
    """Call the function of a module that the file uses in place of a method: `heap.pop()` as `heapq.heappop(heap)`."""
    known: Counter[tuple[str, int]] = Counter()
    for node in ast.walk(site.file.tree):
        if not isinstance(node, ast.Call) or node.keywords:
            continue
        match node.func:
            case ast.Attribute(value=ast.Name(id=base)) if base in site.module.imports:
                known[site.file.segment(node.func), len(node.args)] += 1
            case ast.Name(id=name) if name in site.module.imports or name in site.module.functions:
                known[name, len(node.args)] += 1
            case _:
                pass
    if not known:
        return
    for node in site.expressions:
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.keywords:
            continue
        receiver = node.func.value
        if isinstance(receiver, ast.Name) and receiver.id in site.module.imports:
            continue
        arguments = [site.text(receiver), *(site.text(a) for a in node.args)]
        fitting = [name for (name, count), _ in known.most_common() if count == len(arguments)]
        fitting += _kindred(known, node.func.attr)
        for index, name in enumerate(dict.fromkeys(fitting[:8])):
            alike = 0.6 if node.func.attr in name else 0.0
            text = f"{name}({', '.join(arguments)})"
            yield site.swap(node, text, "call.functional", alike - 0.3 * index)


def _kindred(known: Counter[tuple[str, int]], method: str) -> list[str]:
    """Return relatives of the known functions of modules that are named like a method: `heapq.heappop` for `pop`."""
    found: dict[str, None] = {}
    for (name, _), _ in known.most_common():
        module, dot, function = name.rpartition(".")
        for other in kin("functions").get(function, ()):
            if dot and method in other:
                found[f"{module}.{other}"] = None
    return list(found)


def keys(site: Site) -> Iterator[Proposal]:
    """Order by something else: `key=lambda p: p[0]` as `p[1]`, `(p[1], p[0])`, `(-p[1], p)`, and add such a key."""
    for node in site.expressions:
        if isinstance(node, ast.Lambda) and len(node.args.args) == 1 and not isinstance(node.body, ast.Tuple):
            name, body = node.args.args[0].arg, site.text(node.body)
            forms = [f"({body}, {name})", f"(-{site.tight(node.body, ATOM)}, {name})"]
            if isinstance(node.body, ast.Subscript) and isinstance(node.body.slice, ast.Constant):
                one, two = (f"{name}[{place}]" for place in ((0, 1) if node.body.slice.value == 1 else (1, 0)))
                forms = [f"({one}, {two})", f"({two}, {one})", f"(-{one}, {two})", f"(-{two}, {one})", *forms]
            for index, text in enumerate(forms):
                yield site.swap(node.body, text, "key.other", -0.2 * index)
        if isinstance(node, ast.Call) and called(node) in {"sorted", "sort", "min", "max"} and len(node.args) <= 1:
            if any(k.arg == "key" for k in node.keywords):
                continue
            at = site.file.span(node)[1] - 1
            comma = ", " if node.args or node.keywords else ""
            if node.args and isinstance(node.args[0], ast.GeneratorExp):
                continue
            for index, text in enumerate(("lambda p: p[1]", "len", "lambda p: p[0]", "lambda p: (-p[1], p[0])")):
                yield Proposal(((at, at, f"{comma}key={text}"),), "key.added", -0.3 * index)


def instead(site: Site) -> Iterator[Proposal]:
    """Apply a usual function to the name inside in place of what is there: `list(x)[::-1]` as `sorted(x)`."""
    for node in site.expressions:
        if not isinstance(node, (ast.Call, ast.Subscript)) or not _loaded(node):
            continue
        core: ast.expr = node
        depth = 0
        while depth < 4 and not isinstance(core, ast.Name):
            if isinstance(core, ast.Subscript) and isinstance(core.slice, ast.Slice):
                core = core.value
            elif isinstance(core, ast.Call) and isinstance(core.func, ast.Name) and len(core.args) == 1:
                core = core.args[0]
            else:
                break
            depth += 1
        if depth < 2 or not isinstance(core, ast.Name):
            continue
        for index, name in enumerate(("sorted", "list", "set", "tuple", "len", "reversed", "sum")):
            yield site.swap(node, f"{name}({core.id})", "wrap.instead", -0.3 * index)


def recursion(site: Site) -> Iterator[Proposal]:
    """Add a way to recur: `e` as `f(x[1:], y) or e`, `e + f(…)`; arguments as they are, stepped, or as elsewhere."""
    function = site.function
    if function is None or site.place.depth == 0:
        return
    own = [n for n in ast.walk(function) if isinstance(n, ast.Call) and called(n) == function.name and not n.keywords]
    own = [n for n in own if not any(isinstance(a, ast.Starred) for a in n.args)]
    if not own:
        return
    calls = list(islice(_recursions(site, function, own), _MOST_RECURSIONS * 2))
    for node in site.expressions:
        parent = site.parent(node)
        outermost = isinstance(parent, (ast.Return, ast.Assign)) or (
            isinstance(parent, ast.Call) and called(parent) in {"min", "max"} and parent.func is not node
        )
        if not outermost or isinstance(node, (ast.Constant, ast.Tuple)) or not _loaded(node):
            continue
        guess = site.guess(node)
        text = site.text(node)
        for index, call in enumerate(c for c in calls if c not in text):
            score = -0.15 * index
            if guess in {"bool", "any"}:
                yield site.swap(node, f"{call} or {site.tight(node, AND)}", "recursion.added", score, strength=OR)
                yield site.swap(
                    node, f"{call} and {site.tight(node, AND)}", "recursion.added", score - 0.4, strength=AND
                )
            if guess not in {"bool", "none", "dict"}:
                yield site.swap(node, f"{site.tight(node, ARITH)} + {call}", "recursion.added", score, strength=ARITH)
            if guess in NUMBERS | {"any"}:
                for name in ("max", "min"):
                    yield site.swap(node, f"{name}({text}, {call})", "recursion.added", score - 0.5)


def _recursions(site: Site, function: FunctionNode, own: list[ast.Call]) -> Iterator[str]:
    """Give calls of the function itself: each argument as some call has it, as the parameter is, or a step of it."""
    names = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
    head = site.file.segment(own[0].func)
    names = names[1:] if head.startswith(("self.", "cls.")) else names
    count = len(own[0].args)
    choices: list[list[str]] = []
    for place, name in enumerate(names[:count]):
        seen = [site.text(c.args[place]) for c in own if len(c.args) > place]
        readable = [t for t in dict.fromkeys(seen) if _readable(site, t)]
        guess = site.scope.guess_name(name)
        steps = [f"{name} - 1"] if guess in NUMBERS else [f"{name}[1:]"] if guess in {"str", "list"} else []
        choices.append(list(dict.fromkeys([*readable, name, *steps]))[:4])
    if len(choices) != count:
        return
    plain = tuple(names[:count])
    for arguments in product(*choices):
        if arguments != plain:
            yield f"{head}({', '.join(arguments)})"


def _readable(site: Site, text: str) -> bool:
    try:
        tree = parse_expression(text)
    except (SyntaxError, ValueError, RecursionError):
        return False
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} <= site.available


def optional_steps(site: Site) -> Iterator[Proposal]:
    """Step a limit that may be absent: pass `depth` on as `None if depth is None else depth - 1`."""
    function = site.function
    if function is None:
        return
    arguments = [*function.args.posonlyargs, *function.args.args]
    absent = {
        a.arg
        for a, d in zip(arguments[::-1], function.args.defaults[::-1], strict=False)
        if isinstance(d, ast.Constant) and d.value is None
    }
    for node in site.expressions:
        if not isinstance(node, ast.Call) or called(node) != function.name:
            continue
        for value in (*node.args, *(k.value for k in node.keywords)):
            if isinstance(value, ast.Name) and value.id in absent:
                for sign in ("-", "+"):
                    text = f"None if {value.id} is None else {value.id} {sign} 1"
                    yield site.swap(value, text, "recursion.step", -0.2, strength=TERNARY)


def replaced_bound(site: Site) -> Iterator[Proposal]:
    """Take the larger or smaller of two where one of two like names stands alone in a tuple or an assignment."""
    for node in site.expressions:
        parent = site.parent(node)
        if not isinstance(node, ast.Name) or not isinstance(parent, (ast.Tuple, ast.Assign)) or not _loaded(node):
            continue
        for index, name in enumerate(sorted(site.scope.unused)[:4]):
            if name != node.id and name in site.available and compatible(site.guess(node), site.scope.guess_name(name)):
                for text in (f"max({name}, {node.id})", f"min({name}, {node.id})"):
                    yield site.swap(node, text, "wrap.bounded", 0.4 - 0.2 * index, strength=TUPLE + 1)


TEMPLATES = (
    Template("suffixes moved", ("suffix.moved",), moved),
    Template("repeated", ("method.repeated",), repeated),
    Template("functional", ("call.functional",), functional),
    Template("keys", ("key.other", "key.added"), keys),
    Template("usual function", ("wrap.instead",), instead),
    Template("recursion", ("recursion.added",), recursion),
    Template("optional steps", ("recursion.step",), optional_steps),
    Template("bounds from unused", ("wrap.bounded",), replaced_bound),
)
