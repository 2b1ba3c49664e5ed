"""Missing guards and base cases, put at a function's start or before a statement."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from agents.repair.guesses import NUMBERS, Guess
from agents.repair.templates.conditions import guards_about, relations
from agents.repair.templates.site import Proposal, Site, Template
from agents.repair.units import FUNCTIONS

_TYPICAL: dict[Guess, tuple[str, ...]] = {
    "list": ("[]",), "dict": ("{}",), "set": ("set()",), "str": ('""',), "int": ("0", "-1", "1"), "float": ("0.0", "0"),
    "bool": ("False", "True"), "tuple": ("()",), "iter": ("[]",),
}  # fmt: skip


def first_statement(site: Site) -> bool:
    """Whether the statement is the first of its function that does something (docstring left out)."""
    place = site.place
    if not isinstance(place.owner, FUNCTIONS):
        return False
    if place.index == 0:
        return not is_docstring(site.statement)
    return place.index == 1 and is_docstring(place.block[0])


def is_docstring(node: ast.stmt) -> bool:
    """Whether a statement is a string by itself."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def results(site: Site) -> list[tuple[str, float]]:
    """Return texts that the function might return early, likeliest first."""
    function = site.function
    found: dict[str, float] = {}
    if function is None:
        return []
    guesses: set[Guess] = set()
    returns = [n for n in ast.walk(function) if isinstance(n, ast.Return)]
    if not any(n.value is not None for n in returns):
        return [("", 0.0)]
    for node in returns:
        if node.value is None:
            continue
        guesses.add(site.guess(node.value))
        names = {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}
        simple = isinstance(node.value, (ast.Constant, ast.Name)) or len(site.text(node.value)) < 20
        if simple and names <= site.available:
            found.setdefault(site.text(node.value), 0.0 if isinstance(node.value, ast.Constant) else -0.4)
    for guess in sorted(guesses):
        for index, text in enumerate(_TYPICAL.get(guess, ())):
            found.setdefault(text, -0.1 - 0.4 * index)
    for index, text in enumerate(site.hints.expected):
        found[text] = max(0.2 - 0.3 * index, found.get(text, -9.0))
    found.setdefault("None", -0.6)
    for name in site.names_at()[:5]:
        if name not in {"self", "cls"}:
            found.setdefault(name, -0.5 if site.scope.guess_name(name) in guesses else -1.2)
    for text in ("0", "[]", "False", "True"):
        found.setdefault(text, -1.5)
    return sorted(found.items(), key=lambda item: -item[1])[:10]


def _subjects(site: Site, *, at_start: bool) -> list[tuple[str, float]]:
    used = {n.id for n in ast.walk(site.statement) if isinstance(n, ast.Name)}
    names = [n for n in site.names_at() if n not in {"self", "cls"}]
    if at_start and site.function is not None:
        arguments = site.function.args
        own = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        outer = [n for n in names if n not in own][:3]
        return [(n, -0.15 * i) for i, n in enumerate([*(n for n in own if n in names), *outer])][:7]
    inner = [n for n in names if n in used]
    attributes = {f"{n.value.id}.{n.attr}" for e in site.expressions for n in ast.walk(e)
                  if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and isinstance(n.ctx, ast.Load)
                  and not isinstance(site.parents.get(n), ast.Call)}  # fmt: skip
    return [(n, -0.2 * i) for i, n in enumerate([*inner, *sorted(attributes)])][:5]


def inserted(site: Site) -> Iterator[Proposal]:
    """Insert `if X: return …`, `continue`, `break` or `raise …` before a statement."""
    if site.place.depth == 0 or site.unit.kind == "module" or is_docstring(site.statement):
        return
    at_start = first_statement(site)
    rule = "guard.start" if at_start else "guard.before"
    subjects = _subjects(site, at_start=at_start)
    conditions: list[tuple[str, float]] = []
    for name, score in subjects:
        for index, (bad, good, own) in enumerate(guards_about(site, name)):
            conditions.append((bad, score + own))
            if at_start or index == 0:
                conditions.append((good, score + own - 1.6))
    names = [n for n, _ in subjects]
    for bad, good, own in relations(site, names):
        conditions += ((bad, own - 0.2), (good, own - 1.0))
    conditions.sort(key=lambda item: -item[1])
    actions = [(f"return {v}".rstrip(), s) for v, s in results(site)[: 8 if at_start else 4]]
    if site.place.loops:
        actions = [("continue", 0.3), ("break", -0.1), *((a, s - 0.6) for a, s in actions)]
    actions += _raises(site)
    if not at_start or site.scope.parameters:
        yield from _fallbacks(site, subjects, rule)
    last = site.place.index == len(site.place.block) - 1 and isinstance(
        site.statement, (ast.Assign, ast.AugAssign, ast.Expr)
    )
    for condition, score in conditions[: 20 if at_start else 10]:
        for action, extra in actions:
            lines = [f"if {condition}:", f"{site.file.indent_unit}{action}"]
            for after in (False, True) if last else (False,):
                proposal = site.insertion(lines, rule, score + extra - 0.2 * after, after=after)
                if proposal is not None:
                    yield proposal


def _fallbacks(site: Site, subjects: list[tuple[str, float]], rule: str) -> Iterator[Proposal]:
    """Insert `if x is None: x = …`, `if x < low: x = low` and the like."""
    names = [n for n in site.names_at() if n not in {"self", "cls"}][:6]
    for name, score in subjects[:3]:
        if "." in name:
            continue
        guess = site.scope.guess_name(name)
        cases: list[tuple[str, str, float]] = []
        if guess in NUMBERS | {"any"}:
            cases += [(f"{name} < 0", "0", -0.4), (f"{name} < 0", f"-{name}", -0.8), (f"{name} == 0", "1", -1.0)]
            for other in names:
                if other != name and site.scope.guess_name(other) in NUMBERS | {"any"}:
                    cases += [(f"{name} > {other}", other, -0.6), (f"{name} < {other}", other, -0.7)]
                    cases += [
                        (f"{name} == -1", other, -0.6),
                        (f"{name} == 0", other, -1.0),
                        (f"{name} is None", other, -0.8),
                    ]
        if guess not in NUMBERS:
            cases += [(f"{name} is None", text, -0.4 - 0.2 * i) for i, text in enumerate(("[]", "{}", "0", '""'))]
        for condition, value, less in cases:
            lines = [f"if {condition}:", f"{site.file.indent_unit}{name} = {value}"]
            proposal = site.insertion(lines, rule, score + less - 0.6)
            if proposal is not None:
                yield proposal


def _raises(site: Site) -> list[tuple[str, float]]:
    """Return statements that raise what the failing test waits for, or what the function raises elsewhere."""
    found: dict[str, float] = {}
    for name in sorted(site.hints.awaited):
        if name in site.available:
            found[f"raise {name}()"] = 1.5
    for node in site.scope.nodes:
        if isinstance(node, ast.Raise) and node.exc is not None:
            names = {n.id for n in ast.walk(node.exc) if isinstance(n, ast.Name)}
            if names <= site.available:
                found.setdefault(f"raise {site.text(node.exc)}", -0.3)
    return list(found.items())[:3]


def wrapped(site: Site) -> Iterator[Proposal]:
    """Put a simple statement under `if X:`."""
    if site.place.depth == 0 or site.unit.kind == "module" or is_docstring(site.statement):
        return
    if not isinstance(
        site.statement, (ast.Expr, ast.Assign, ast.AugAssign, ast.Return, ast.Break, ast.Raise, ast.Continue)
    ):
        return
    span = site.lines_span()
    if span is None or site.statement.lineno != site.statement.end_lineno:
        return
    subjects = _subjects(site, at_start=False) or [(n, -1.0) for n in site.names_at()[:4]]
    conditions: list[tuple[str, float]] = []
    for name, score in subjects:
        for bad, good, own in guards_about(site, name):
            conditions += ((good, score + own), (bad, score + own - 1.2))
    for bad, good, own in relations(site, [n for n, _ in subjects] + site.names_at()[:3]):
        conditions += ((good, own), (bad, own - 0.3))
    conditions += [(c, -0.6) for c in known_conditions(site)]
    line = site.file.text[slice(*span)].strip("\r\n")
    unit, ending = site.file.indent_unit, site.file.newline
    body = f"{unit}{line}" + (ending if site.file.text[slice(*span)].endswith(("\n", "\r")) else "")
    for condition, score in sorted(conditions, key=lambda c: -c[1])[:28]:
        text = f"{site.indent}if {condition}:{ending}{body}"
        shown = f"put `{line.strip()}` under `if {condition}`"
        yield Proposal(((*span, text),), "guard.wrapped", score, shown, structural=True)


def known_conditions(site: Site) -> list[str]:
    """Conditions of the function's other `if` statements whose names are available here."""
    found: dict[str, None] = {}
    for node in site.scope.nodes:
        if (
            isinstance(node, (ast.If, ast.While))
            and node is not site.statement
            and not isinstance(node.test, ast.Constant)
        ):
            names = {n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)}
            if names <= site.available:
                found[site.text(node.test)] = None
    return list(found)[:6]


def checked(site: Site) -> Iterator[Proposal]:
    """Raise what a failing test waits for where something is as it must not be: at the start, or before the end."""
    statement = site.statement
    if not site.hints.awaited or site.place.depth != 1 or site.unit.kind == "module" or is_docstring(statement):
        return
    if not first_statement(site) and not isinstance(statement, (ast.Return, ast.Assign)):
        return
    raises = [text for text, _ in _raises(site)]
    near = 0.0 if first_statement(site) or isinstance(statement, ast.Return) else -0.6
    names = [n for n in (*site.names_at(), *site.scope.fields[:3]) if n not in {"self", "cls"}][:8]
    conditions: list[tuple[str, float]] = []
    for index, name in enumerate(names):
        for bad, good, score in guards_about(site, name):
            conditions += ((bad, score - 0.15 * index), (good, score - 0.5 - 0.15 * index))
        if site.scope.guess_name(name) in {"list", "str", "tuple"}:
            conditions.append((f"len({name}) != 1", -0.4 - 0.15 * index))
    for bad, good, score in relations(site, names[:5]):
        conditions += ((bad, score), (good, score - 0.2))
    for condition, score in sorted(conditions, key=lambda c: -c[1])[:40]:
        for rank, action in enumerate(raises[:2]):
            lines = [f"if {condition}:", f"{site.file.indent_unit}{action}"]
            proposal = site.insertion(lines, "guard.check", near + score - 0.6 * rank)
            if proposal is not None:
                yield proposal


TEMPLATES = (
    Template("checks", ("guard.check",), checked),
    Template("guards", ("guard.start", "guard.before"), inserted),
    Template("wrapped", ("guard.wrapped",), wrapped),
)
