"""Wrong defaults and decorators, missing declarations and imports, misspelt names."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

from agents.repair.templates.guards import first_statement
from agents.repair.templates.site import Proposal, Site, Template
from agents.repair.templates.statements import movable
from agents.repair.units import FUNCTIONS


def defaults(site: Site) -> Iterator[Proposal]:
    """Change defaults; make a mutable one None and set it inside."""
    node = site.statement
    if not isinstance(node, FUNCTIONS):
        return
    arguments = [*node.args.posonlyargs, *node.args.args]
    pairs = list(zip(arguments[::-1], node.args.defaults[::-1], strict=False))
    pairs += [(a, d) for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if d is not None]
    for argument, default in pairs:
        old = site.text(default)
        if isinstance(default, (ast.List, ast.Dict, ast.Set)) or (isinstance(default, ast.Call) and not default.args):
            yield from _mutable(site, node, argument.arg, default)
        options = (
            ("None", "True", "False", "0", "1", '""', "()", "-1") if isinstance(default, ast.Constant) else ("None",)
        )
        for index, text in enumerate(options):
            if text != old:
                yield site.swap(default, text, "default.value", -0.2 * index, strength=13)
        if isinstance(default, ast.Constant) and type(default.value) is int:
            for index, value in enumerate((10, 2, 100, 5, 60, 80, 3)):
                if value != default.value:
                    yield site.swap(default, str(value), "default.value", -1.6 - 0.1 * index, strength=13)


def _body_start(site: Site, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.stmt | None:
    body = node.body
    documented = (
        isinstance(body[0], ast.Expr)
        and isinstance(body[0].value, ast.Constant)
        and isinstance(body[0].value.value, str)
    )
    if documented:
        return body[1] if len(body) > 1 else None
    return body[0] if body[0].lineno != node.lineno and site.file.alone(body[0]) else None


def _mutable(
    site: Site, node: ast.FunctionDef | ast.AsyncFunctionDef, name: str, default: ast.expr
) -> Iterator[Proposal]:
    first = _body_start(site, node)
    if first is None:
        return
    margin, ending = site.file.indentation(first), site.file.newline
    at = site.file.line_start(min((first.lineno, *(d.lineno for d in getattr(first, "decorator_list", ())))))
    guard = f"{margin}if {name} is None:{ending}{margin}{site.file.indent_unit}{name} = {site.text(default)}{ending}"
    shown = f"make the default of `{name}` anew for each call"
    yield Proposal(
        ((*site.file.span(default), "None"), (at, at, guard)), "default.mutable", 0.0, shown, structural=True
    )


def missing_defaults(site: Site) -> Iterator[Proposal]:
    """Insert `if x is None: x = …` at a function's start for parameters that default to None."""
    function = site.function
    if function is None or not first_statement(site) or not movable(site):
        return
    arguments = [*function.args.posonlyargs, *function.args.args]
    pairs = list(zip(arguments[::-1], function.args.defaults[::-1], strict=False))
    pairs += [(a, d) for a, d in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True) if d is not None]
    for argument, default in pairs:
        if not (isinstance(default, ast.Constant) and default.value is None):
            continue
        name = argument.arg
        for index, text in enumerate(_fitting(site, name)):
            lines = [f"if {name} is None:", f"{site.file.indent_unit}{name} = {text}"]
            proposal = site.insertion(lines, "default.missing", -0.25 * index)
            if proposal is not None:
                yield proposal
        for index, text in enumerate(_fitting(site, name)):
            proposal = site.insertion([f"{name} = {name} or {text}"], "default.missing", -1.2 - 0.25 * index)
            if proposal is not None:
                yield proposal


def _fitting(site: Site, name: str) -> list[str]:
    guess = site.scope.guess_name(name)
    first = {"list": "[]", "dict": "{}", "set": "set()", "str": '""', "int": "0"}.get(guess)
    others = [n for n in site.scope.parameters if n not in {name, "self", "cls"}][:3]
    return list(dict.fromkeys([*([first] if first else []), "[]", "{}", "set()", "0", '""', *others]))


_DECORATORS = ("staticmethod", "classmethod", "property")


def decorators(site: Site) -> Iterator[Proposal]:
    """Add, exchange and drop the usual decorators of methods, and caching."""
    node = site.statement
    if not isinstance(node, FUNCTIONS) or not site.file.alone(node):
        return
    for decorator in node.decorator_list:
        start = site.file.line_start(decorator.lineno)
        end = site.file.line_start((decorator.end_lineno or decorator.lineno) + 1)
        name = site.text(decorator)
        shown = f"drop `@{name}` of `{node.name}`"
        yield Proposal(((start, end, ""),), "decorator.dropped", 0.0, shown, structural=True)
        if name in _DECORATORS:
            for other in _DECORATORS:
                if other != name:
                    yield site.swap(decorator, other, "decorator.other")
    if site.unit.classes and site.place.depth == 0 and not node.decorator_list:
        at, margin = site.file.line_start(node.lineno), site.file.indentation(node)
        parameters = [a.arg for a in node.args.args]
        for name in _DECORATORS:
            if (name == "property" and len(parameters) != 1) or (name == "staticmethod" and parameters[:1] == ["self"]):
                continue
            if name == "classmethod" and parameters[:1] != ["cls"]:
                continue
            shown = f"add `@{name}` to `{node.name}`"
            yield Proposal(
                ((at, at, f"{margin}@{name}{site.file.newline}"),), "decorator.added", 0.0, shown, structural=True
            )


def scopes(site: Site) -> Iterator[Proposal]:
    """Declare a name `nonlocal` or `global` where a function rebinds an outer one."""
    if not first_statement(site) or site.unit.kind == "module" or site.function is None:
        return
    bound = {n.id for n in ast.walk(site.function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    outer = site.place.functions[:-1]
    for name in sorted(bound):
        kind = ""
        if any(name in _bound_in(f) for f in outer):
            kind = "nonlocal"
        elif name in site.module.constants:
            kind = "global"
        if kind:
            hinted = 1.0 if name in site.hints.undefined else 0.0
            proposal = site.insertion([f"{kind} {name}"], "scope.declared", hinted)
            if proposal is not None:
                yield proposal


def _bound_in(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    names = {a.arg for a in (*function.args.args, *function.args.kwonlyargs)}
    for node in function.body:
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                names.add(part.id)
    return names


def undefined(site: Site) -> Iterator[Proposal]:
    """Import a module of the standard library, or write a known name, where a NameError names what is missing."""
    if site.place.depth or (site.unit.kind == "module" and site.place.index):
        return
    ending = site.file.newline
    body = site.file.tree.body
    for name in sorted(site.hints.undefined):
        if name in sys.stdlib_module_names and name not in site.module.imports:
            imports = [n for n in body if isinstance(n, (ast.Import, ast.ImportFrom))]
            anchor = imports[-1] if imports else None
            at = site.file.line_start((anchor.end_lineno or 1) + 1) if anchor else _after_docstring(site)
            if anchor is not None and isinstance(anchor, ast.ImportFrom) and anchor.module == "__future__":
                at = site.file.line_start((anchor.end_lineno or 1) + 1)
            yield Proposal(
                ((at, at, f"import {name}{ending}"),), "import.missing", 0.0, f"import {name}", structural=True
            )


def _after_docstring(site: Site) -> int:
    body = site.file.tree.body
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        return site.file.line_start((body[0].end_lineno or 1) + 1)
    return site.file.line_start(body[0].lineno) if body else 0


def misspelt(site: Site) -> Iterator[Proposal]:
    """Replace a name that a NameError complains of by those that resemble it."""
    for node in site.expressions:
        if isinstance(node, ast.Name) and node.id in site.hints.undefined:
            known = [*site.names_at(node), *site.module.known]
            ranked = sorted({n for n in known if n != node.id}, key=lambda n: (-_resemblance(n, node.id), n))
            for index, name in enumerate([*sorted(site.hints.suggested), *ranked][:12]):
                yield site.swap(node, name, "name.misspelt", -0.2 * index)
            if site.scope.self_name:
                yield site.swap(node, f"{site.scope.self_name}.{node.id}", "name.misspelt", -0.3)


def _resemblance(one: str, other: str) -> float:
    pairs = {one[i : i + 2].lower() for i in range(len(one) - 1)}
    others = {other[i : i + 2].lower() for i in range(len(other) - 1)}
    return 2 * len(pairs & others) / (len(pairs) + len(others)) if pairs and others else 0.0


TEMPLATES = (
    Template("defaults", ("default.value", "default.mutable"), defaults),
    Template("missing defaults", ("default.missing",), missing_defaults),
    Template("decorators", ("decorator.added", "decorator.other", "decorator.dropped"), decorators),
    Template("scopes", ("scope.declared",), scopes),
    Template("undefined", ("import.missing",), undefined),
    Template("misspelt", ("name.misspelt",), misspelt),
)
