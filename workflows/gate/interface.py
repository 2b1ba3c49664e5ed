"""Signs that a patch which preserves behaviour does not: public names that go, signatures that change."""

from __future__ import annotations

import ast
import fnmatch
from collections.abc import Iterable, Iterator, Mapping

from sandbox.syntax import parse
from sandbox.tree import Tree
from workflows.verdicts import Check, GateCase

_SHOWN = 20


def judge_interface(case: GateCase, after: Tree, products: Iterable[str]) -> Check:
    """Flag every public name that a patch takes away or gives another signature, unless the request asks for it."""
    changes = [
        (name, sentence)
        for path in products
        if path.endswith(".py") and path in case.base and _is_public(path)
        for name, sentence in interface_changes(path, case.base[path].data, after[path].data if path in after else b"")
    ]
    unasked = [sentence for name, sentence in changes if not _asked(name, case.allowances.interface)]
    if unasked:
        reason = f"A person should look whether this preserves what others use: {unasked[0]}."
        return Check("interface", True, reason, tuple(unasked[:_SHOWN]), flagged=True)
    if changes:
        told = tuple(sentence for _, sentence in changes[:_SHOWN])
        return Check("interface", True, "Public names change only where the request asks for it.", told)
    return Check("interface", True, "No public name goes, and no signature changes.")


def _is_public(path: str) -> bool:
    parts = path.removesuffix(".py").split("/")
    return not any(part.startswith("_") and part not in {"__init__", "__main__"} for part in parts)


def _asked(name: str, patterns: Iterable[str]) -> bool:
    short = name.rsplit(".", 1)[-1]
    return any(
        fnmatch.fnmatchcase(name, p) or fnmatch.fnmatchcase(short, p) or name.endswith(f".{p}") for p in patterns
    )


def interface_changes(path: str, before: bytes, after: bytes) -> Iterator[tuple[str, str]]:
    """Yield (dotted name, sentence) for everything public of a file that is gone or is called in another way."""
    module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".").removeprefix("src.")
    try:
        old, new = _names(parse(before), imports=path.endswith("/__init__.py")), _names(parse(after), imports=True)
    except (SyntaxError, ValueError, RecursionError):
        yield module, f"{path} cannot be parsed, so its public names cannot be compared"
        return
    for name, was in old.items():
        owner, _, last = name.rpartition(".")
        dotted = f"{module}.{name}"
        if name in new:
            now = new[name]
            if was is not None and now is not None and (changed := _called(was, now)):
                yield dotted, f"`{dotted}` {changed}"
        elif owner:
            # A class that is gone, or that comes from elsewhere now, is one change and not one for each method.
            if new.get(owner) is not None and last != "__init__":
                yield dotted, f"`{dotted}` is gone"
        elif "*" not in new:
            yield dotted, f"`{dotted}` is gone"


def _names(module: ast.Module, *, imports: bool) -> Mapping[str, ast.arguments | None]:
    """Return what other modules can use, by name; with its parameters where the definition stands here.

    Imported names count where `imports` says so: on the patched side, where they may stand for what has moved.
    """
    found: dict[str, ast.arguments | None] = {}
    for statement in _statements(module.body):
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found[name] = statement.args
            case ast.ClassDef(name=name):
                found[name] = ast.arguments([], [], None, [], [], None, [])
                for inner in statement.body:
                    if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and (
                        not inner.name.startswith("_") or inner.name in {"__init__", "__call__"}
                    ):
                        found[f"{name}.{inner.name}"] = inner.args
            case ast.Assign(targets=targets):
                found.update(dict.fromkeys(n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)))
            case ast.AnnAssign(target=ast.Name(id=name)):
                found[name] = None
            case ast.Import(names=names) | ast.ImportFrom(names=names) if imports:
                found.update(dict.fromkeys(a.asname or a.name.split(".")[0] for a in names))
    exported = _exported(module)
    return {n: a for n, a in found.items() if n in exported or not n.split(".")[0].startswith("_")}


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if isinstance(statement, ast.If | ast.Try):
            yield from _statements([*statement.body, *statement.orelse])
        else:
            yield statement


def _exported(module: ast.Module) -> frozenset[str]:
    for statement in module.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List(elts=items) | ast.Tuple(elts=items)):
                return frozenset(i.value for i in items if isinstance(i, ast.Constant) and isinstance(i.value, str))
    return frozenset()


def _called(was: ast.arguments, now: ast.arguments) -> str:
    """Return how calls that worked would not work any more, or would mean something else; "" where all do."""
    old, new = [a.arg for a in (*was.posonlyargs, *was.args)], [a.arg for a in (*now.posonlyargs, *now.args)]
    if new[: len(old)] != old and now.vararg is None:
        return f"takes ({', '.join(new)}) instead of ({', '.join(old)})"
    if len(new) - len(now.defaults) > len(old) - len(was.defaults):
        return "needs a parameter that was not needed before"
    keywords = {a.arg for a in was.kwonlyargs}
    still = {a.arg for a in now.kwonlyargs} | set(new)
    if now.kwarg is None and keywords - still:
        return f"does not take {', '.join(sorted(keywords - still))} any more"
    wanted = {a.arg for a, d in zip(now.kwonlyargs, now.kw_defaults, strict=True) if d is None}
    if wanted - {a.arg for a, d in zip(was.kwonlyargs, was.kw_defaults, strict=True) if d is None} - set(old):
        return "needs a keyword that was not needed before"
    if (was.vararg and not now.vararg) or (was.kwarg and not now.kwarg):
        return "does not take any number of arguments any more"
    before, after = _defaults(was), _defaults(now)
    different = sorted(n for n in before.keys() & after.keys() if before[n] != after[n])
    return f"has another default for {', '.join(different)}" if different else ""


def _defaults(arguments: ast.arguments) -> dict[str, str]:
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
    found = dict(zip(names[len(names) - len(arguments.defaults) :], map(ast.unparse, arguments.defaults), strict=True))
    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return found | {a.arg: ast.unparse(d) for a, d in pairs if d is not None}
