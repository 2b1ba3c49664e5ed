"""What is easily forgotten: a link, a guard on a field, a check at the end, a star, both of a pair, every place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import combinations

from agents.repair.guesses import NUMBERS, compatible
from agents.repair.templates.guards import first_statement, results
from agents.repair.templates.idioms import kin
from agents.repair.templates.site import Proposal, Site, Template
from agents.repair.templates.statements import movable
from agents.repair.units import FUNCTIONS

_MUTATING = frozenset(
    {"setdefault", "append", "add", "pop", "popleft", "update", "extend", "insert", "remove", "discard"}
)


def linked(site: Site) -> Iterator[Proposal]:
    """Set an attribute that the code reads of a variable: `node.next = previous`."""
    if not movable(site):
        return
    names = [n for n in site.names_at() if n not in {"self", "cls"}][:6]
    count = 0
    for name in names:
        for attribute in list(site.scope.attributes_of.get(name, ()))[:3]:
            if attribute in site.module.methods:
                continue
            for rank, other in enumerate(n for n in names if n != name and site.scope.guess_name(n) != "function"):
                score = -0.15 * rank - 0.1 * count
                proposal = site.insertion([f"{name}.{attribute} = {other}"], "insert.linked", score)
                if proposal is not None:
                    yield proposal
            count += 1


def guarded(site: Site) -> Iterator[Proposal]:
    """Return or raise at a method's start where a field is empty, missing or not."""
    if not first_statement(site) or not site.unit.classes or not movable(site):
        return
    for index, field in enumerate(site.scope.fields[:4]):
        for condition, near in ((f"not {field}", 0.0), (field, -0.4), (f"{field} is None", -0.5)):
            for rank, (text, score) in enumerate(results(site)[:4]):
                lines = [f"if {condition}:", f"{site.file.indent_unit}return {text}".rstrip()]
                proposal = site.insertion(lines, "guard.field", near + score - 0.3 * index - 0.1 * rank)
                if proposal is not None:
                    yield proposal


def left_open(site: Site) -> Iterator[Proposal]:
    """Behind a loop, raise what a failing test waits for where a flag or a collection of the loop is still set."""
    place = site.place
    if not site.hints.awaited or not movable(site) or place.depth != 1 or place.index == 0:
        return
    if not any(isinstance(s, (ast.For, ast.While)) for s in place.block[: place.index]):
        return
    names = [n for n in site.names_at() if n not in {"self", "cls"} and site.scope.guess_name(n) != "function"][:6]
    for rank, awaited in enumerate(sorted(site.hints.awaited)):
        if awaited not in site.available:
            continue
        for index, name in enumerate(names):
            for condition, score in ((name, 0.0), (f"not {name}", -0.4), (f"{name} is None", -0.6)):
                lines = [f"if {condition}:", f"{site.file.indent_unit}raise {awaited}()"]
                proposal = site.insertion(lines, "guard.open", score - 0.15 * index - 0.5 * rank)
                if proposal is not None:
                    yield proposal


def skipped(site: Site) -> Iterator[Proposal]:
    """Skip the middle of two nested loops' ranges: `if dy == 0 and dx == 0: continue`."""
    loops = [owner for owner in site.place.owners if isinstance(owner, ast.For) and isinstance(owner.target, ast.Name)]
    if not movable(site) or len(loops) < 2 or site.place.index != 0 or site.place.owner is not loops[-1]:
        return
    one, two = (loop.target.id for loop in loops[-2:] if isinstance(loop.target, ast.Name))
    for rank, condition in enumerate((f"{one} == {two}", f"{one} == 0 and {two} == 0", f"not {one} and not {two}")):
        lines = [f"if {condition}:", f"{site.file.indent_unit}continue"]
        proposal = site.insertion(lines, "guard.skipped", -0.2 * rank)
        if proposal is not None:
            yield proposal


def both(site: Site) -> Iterator[Proposal]:
    """Bring two parameters into shape at a function's start: `a, b = abs(a), abs(b)`."""
    if not first_statement(site) or not movable(site):
        return
    names = [n for n in site.scope.parameters if n not in {"self", "cls"}][:4]
    for rank, (one, other) in enumerate(combinations(names, 2)):
        guesses = {site.scope.guess_name(one), site.scope.guess_name(other)}
        shapes: tuple[str, ...] = ()
        if guesses <= NUMBERS | {"any"}:
            shapes = ("{0}, {1} = abs({0}), abs({1})", "{0}, {1} = sorted(({0}, {1}))", "{0}, {1} = int({0}), int({1})")
        if guesses <= {"str", "any"}:
            shapes += ("{0}, {1} = {0}.lower(), {1}.lower()", "{0}, {1} = {0}.strip(), {1}.strip()")
        if guesses <= {"list", "iter", "tuple", "any"}:
            shapes += ("{0}, {1} = list({0}), list({1})", "{0}, {1} = sorted({0}), sorted({1})")
        if compatible(*(site.scope.guess_name(n) for n in (one, other))):
            shapes += (f"if {one} > {other}:\n{site.file.indent_unit}{{0}}, {{1}} = {{1}}, {{0}}",)
        for index, shape in enumerate(shapes):
            lines = shape.format(one, other).splitlines()
            proposal = site.insertion(lines, "insert.both", -0.3 * rank - 0.2 * index)
            if proposal is not None:
                yield proposal


def alone(site: Site) -> Iterator[Proposal]:
    """Do by itself what is part of a statement elsewhere: `d.setdefault(k, {})` of `d.setdefault(k, {})[j] = v`."""
    if not movable(site):
        return
    last = site.place.index == len(site.place.block) - 1 and not isinstance(
        site.statement, (ast.Return, ast.Raise, ast.Break, ast.Continue)
    )
    found: dict[str, None] = {}
    for node in site.scope.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _MUTATING:
            names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
            if node.lineno == node.end_lineno and names <= site.available:
                found[site.file.segment(node)] = None
    whole = {site.file.segment(n.value) for n in site.scope.nodes if isinstance(n, ast.Expr)}
    for rank, text in enumerate(t for t in list(found)[:6] if t not in whole):
        for after in (False, True) if last else (False,):
            proposal = site.insertion([text], "insert.alone", -0.2 * rank - 0.1 * after, after=after)
            if proposal is not None:
                yield proposal


def starred(site: Site) -> Iterator[Proposal]:
    """Hand over items in place of a collection: `f(xs)` as `f(*xs)`, `f(d)` as `f(**d)`; and the other way round."""
    for node in site.expressions:
        if not isinstance(node, ast.Call) or len(node.args) != 1 or node.keywords:
            continue
        argument = node.args[0]
        start, end = site.file.span(argument)
        if isinstance(argument, ast.Starred):
            yield Proposal(((start, start + 1, ""),), "argument.unstarred", 0.0)
        elif isinstance(argument, (ast.GeneratorExp, ast.ListComp, ast.Name, ast.Attribute, ast.Call)):
            text = site.text(argument)
            bare = isinstance(argument, ast.GeneratorExp) and not site.file.text[start:end].startswith("(")
            score = 0.0 if isinstance(argument, (ast.GeneratorExp, ast.ListComp)) else -0.6
            yield Proposal(((start, end, f"*({text})" if bare else f"*{text}"),), "argument.starred", score)
            if site.guess(argument) == "dict":
                yield Proposal(((start, end, f"**{text}"),), "argument.starred", -0.5)


def exchanged(site: Site) -> Iterator[Proposal]:
    """Exchange two constants of one statement."""
    places = [n for n in site.expressions if isinstance(n, ast.Constant) and isinstance(n.value, (int, float, str))]
    for one, other in list(combinations(places[:6], 2)):
        if type(one.value) is type(other.value) and one.value != other.value:
            text = site.file.segment(one), site.file.segment(other)
            yield Proposal(((*site.file.span(one), text[1]), (*site.file.span(other), text[0])), "swap.constants")


def in_front(site: Site) -> Iterator[Proposal]:
    """Put an item in front in place of behind: `xs.append(x)` as `xs.insert(0, x)`; and the other way round."""
    for node in site.expressions:
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.keywords:
            continue
        group, method = site.text(node.func.value), node.func.attr
        if method == "append" and len(node.args) == 1:
            yield site.swap(node, f"{group}.insert(0, {site.text(node.args[0])})", "method.front")
        elif method == "insert" and len(node.args) == 2:
            yield site.swap(node, f"{group}.append({site.text(node.args[1])})", "method.front")


def everywhere(site: Site) -> Iterator[Proposal]:
    """Call another method, of those that are mistaken for each other, wherever the function calls this one."""
    node = site.statement
    if not isinstance(node, FUNCTIONS) or site.place.depth:
        return
    calls: dict[str, list[int]] = {}
    for part in ast.walk(node):
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute):
            end = site.file.span(part.func)[1]
            if site.file.text[end - len(part.func.attr) : end] == part.func.attr:
                calls.setdefault(part.func.attr, []).append(end)
    for name, ends in calls.items():
        if 2 <= len(ends) <= 6:
            for rank, other in enumerate(kin("methods").get(name, [])[:5]):
                edits = tuple((end - len(name), end, other) for end in sorted(ends))
                shown = f"write `{other}` for `{name}` everywhere in `{node.name}`"
                yield Proposal(edits, "everywhere.method", -0.2 * rank, shown)


TEMPLATES = (
    Template("linked", ("insert.linked",), linked),
    Template("field guards", ("guard.field",), guarded),
    Template("left open", ("guard.open",), left_open),
    Template("skipped", ("guard.skipped",), skipped),
    Template("both parameters", ("insert.both",), both),
    Template("alone", ("insert.alone",), alone),
    Template("starred", ("argument.starred", "argument.unstarred"), starred),
    Template("exchanged constants", ("swap.constants",), exchanged),
    Template("in front", ("method.front",), in_front),
    Template("method everywhere", ("everywhere.method",), everywhere),
)
