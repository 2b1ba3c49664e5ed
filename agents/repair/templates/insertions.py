"""Missing short statements: an item added, a counter advanced, a variable moved on, a result returned."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from agents.repair.guesses import NUMBERS
from agents.repair.templates.guards import first_statement
from agents.repair.templates.site import Proposal, Site, Template
from agents.repair.templates.statements import movable
from agents.repair.units import FUNCTIONS


def typical(site: Site) -> list[tuple[str, float]]:
    """Return typical short statements over the variables in scope, likeliest first."""
    names = [n for n in site.names_at() if n not in {"self", "cls"}]
    names = [*names[:6], *site.scope.fields[:5], *names[6:]]
    guesses = {n: site.scope.guess_name(n) for n in names}
    values = [n for n in names if guesses[n] != "function"][:6]
    found: list[tuple[str, float]] = []
    for rank, name in enumerate(names[:12]):
        guess, score = guesses[name], -0.1 * rank + (0.5 if name in site.scope.unused else 0.0)
        score += 1.2 if name in site.scope.untouched else 0.0
        bound = name in site.scope.bindings or "." in name
        if guess == "list":
            found += [(f"{name}.append({v})", score - 0.1 * i) for i, v in enumerate(values) if v != name]
            found += [
                (f"{name}.extend({v})", score - 0.9) for v in values if v != name and guesses[v] in {"list", "any"}
            ]
            found += [(f"{name}.append({c})", score - 1.2) for c in _numbers(site)[:3]]
            found += [
                (f"{name}.pop()", score - 0.9),
                (f"{name}.sort()", score - 1.0),
                (f"{name}.reverse()", score - 1.2),
            ]
            places = [n for n in values if guesses[n] == "int" and n != name][:2]
            found += [(f"{name}[{i}] = {v}", score - 0.8) for i in places for v in values[:4] if v not in {name, i}]
        elif guess == "set":
            found += [(f"{name}.add({v})", score - 0.1 * i) for i, v in enumerate(values) if v != name]
            found += [(f"{name}.remove({v})", score - 1.0) for v in values[:3] if v != name]
            found += [(f"{name} |= {v}", score - 0.9) for v in values if v != name and guesses[v] in {"set", "any"}]
            found += [
                (f"{name}.update({v})", score - 1.1) for v in values if v != name and guesses[v] in {"set", "any"}
            ]
        elif guess == "dict":
            found += [
                (f"{name}[{k}] = {v}", score - 0.6 - 0.1 * i)
                for i, k in enumerate(values[:4])
                for v in values[:4]
                if k != name and v != name
            ]
            found += [
                (f"{name}.update({v})", score - 1.0) for v in values if v != name and guesses[v] in {"dict", "any"}
            ]
            for key in [v for v in values[:3] if v != name]:
                found += [(f"{name}[{key}] = {name}.pop({key})", score - 1.0), (f"del {name}[{key}]", score - 1.0)]
                if "OrderedDict" in site.module.imports:
                    found.append((f"{name}.move_to_end({key})", score - 0.2))
        elif guess in NUMBERS and bound:
            found += [(f"{name} += 1", score), (f"{name} -= 1", score - 0.6), (f"{name} = 0", score - 1.0)]
            found += [(f"{name} += {v}", score - 0.6) for v in values if v != name and guesses[v] in NUMBERS]
            sized = [v for v in values if guesses[v] in {"list", "str", "tuple", "any"} and v != name]
            found += [(f"{name} %= len({v})", score - 1.4) for v in sized[:2]]
        elif guess == "str" and bound:
            found += [(f"{name} += {v}", score - 0.6) for v in values if v != name and guesses[v] == "str"]
            found += [(f"{name} = {name}.strip()", score - 0.9), (f"{name} = {name}.lower()", score - 0.9)]
        if bound and guess != "function":
            alike = [v for v in values if v != name and (guesses[v] == guess or "any" in {guess, guesses[v]})]
            found += [(f"{name} = {v}", score - 0.5 - 0.1 * i) for i, v in enumerate(alike[:5])]
            for attribute in list(site.scope.attributes_of.get(name, ()))[:3]:
                found.append((f"{name} = {name}.{attribute}", score - 0.9))
    if first_statement(site):
        found += _normalised(site)
    return sorted(found, key=lambda item: -item[1])[:60]


def _normalised(site: Site) -> list[tuple[str, float]]:
    """Statements that bring a parameter into shape at a function's start."""
    found: list[tuple[str, float]] = []
    for rank, name in enumerate(n for n in site.scope.parameters if n not in {"self", "cls"}):
        guess = site.scope.guess_name(name)
        shapes: tuple[str, ...] = (
            "list({})",
            "str({})",
            "{}.strip()",
            "{}.lower()",
            "abs({})",
            "int({})",
            "sorted({})",
        )
        if guess in NUMBERS:
            shapes = ("abs({})", "int({})", "max(0, {})", "-{}", "{} - 1", "{} + 1")
        elif guess == "str":
            shapes = ("{}.strip()", "{}.lower()", "{}.upper()", "{}.split()")
        elif guess in {"list", "dict", "set", "iter", "tuple"}:
            shapes = ("list({})", "sorted({})", "{}.copy()", "set({})", "dict({})")
        found += [(f"{name} = {shape.format(name)}", -0.3 * rank - 0.2 * i - 0.2) for i, shape in enumerate(shapes)]
    return found


def _numbers(site: Site) -> list[int]:
    """Small whole numbers of the function, the commonest first."""
    values = [n.value for n in site.scope.nodes if isinstance(n, ast.Constant) and type(n.value) is int]
    return [v for v, _ in Counter(values).most_common(4)]


def inserted(site: Site) -> Iterator[Proposal]:
    """Insert a typical short statement before a statement, and after the last one of a block."""
    if not movable(site):
        return
    last = site.place.index == len(site.place.block) - 1 and not isinstance(
        site.statement, (ast.Return, ast.Raise, ast.Break, ast.Continue)
    )
    for text, score in typical(site):
        before = site.insertion(
            [text], "insert.typical", score - (0.0 if last or isinstance(site.statement, ast.Return) else 0.3)
        )
        if before is not None:
            yield before
        if last:
            after = site.insertion([text], "insert.typical", score, after=True)
            if after is not None:
                yield after
    if last and isinstance(site.place.owner, FUNCTIONS) and not isinstance(site.statement, ast.Return):
        own = site.scope.self_name
        attributes = [(f"{own}.{a}", -0.3 * i) for i, a in enumerate(site.scope.self_attributes)][:5] if own else []
        for name, score in (*site.variables(None, limit=8), *attributes):
            if name in site.scope.bindings or "." in name:
                proposal = site.insertion([f"return {name}"], "return.added", score, after=True)
                if proposal is not None:
                    yield proposal
        for index, text in enumerate(
            ("return False", "return True", "return None", "return 0", "return []", "return -1")
        ):
            proposal = site.insertion([text], "return.added", -0.5 - 0.2 * index, after=True)
            if proposal is not None:
                yield proposal


TEMPLATES = (Template("inserted", ("insert.typical", "return.added"), inserted),)
