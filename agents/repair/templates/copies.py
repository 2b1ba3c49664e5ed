"""Missing statements and branches that the code has elsewhere: copied, with a name adapted."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from agents.repair.guesses import compatible
from agents.repair.templates.guards import results
from agents.repair.templates.insertions import typical
from agents.repair.templates.site import Proposal, Site, Template
from agents.repair.templates.statements import movable
from agents.repair.units import FUNCTIONS

_DONORS = (ast.Expr, ast.Assign, ast.AugAssign, ast.Return, ast.Delete)
_MOST = 24


def donors(site: Site) -> list[tuple[str, frozenset[str], float]]:
    """Return one-line statements of the function, then of the class and the module, with the names that they read.

    The score says how near the donor is.
    """
    here = site.statement
    found: dict[str, tuple[frozenset[str], float]] = {}
    pools: list[tuple[list[ast.AST], float]] = [([site.unit.node], 0.0)]
    if site.unit.classes:
        pools.append(([n for n in site.unit.classes[-1].body if n is not site.unit.node], -1.0))
    others: list[ast.AST] = [n for n in site.file.tree.body if isinstance(n, FUNCTIONS) and n is not site.unit.node]
    pools.append((others[:12], -1.4))
    for roots, score in pools:
        for root in roots:
            for node in ast.walk(root):
                if not isinstance(node, _DONORS) or node is here or node.lineno != node.end_lineno:
                    continue
                if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                    continue
                text = site.file.segment(node)
                if len(text) <= 70 and text not in found:
                    far = -0.02 * abs(node.lineno - here.lineno) if score == 0 else 0.0
                    found[text] = (names_read(node), score + max(-0.6, far))
        if len(found) > _MOST:
            break
    ranked = sorted(found.items(), key=lambda item: -item[1][1])[:_MOST]
    return [(text, names, score) for text, (names, score) in ranked]


def names_read(node: ast.AST) -> frozenset[str]:
    """Return the names that a statement reads and does not bind itself."""
    bound = {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
    bound |= {
        n.id
        for c in ast.walk(node)
        if isinstance(c, ast.comprehension)
        for n in ast.walk(c.target)
        if isinstance(n, ast.Name)
    }
    return frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)) - bound


def renamed(text: str, old: str, new: str) -> str:
    """Return a text with one name, attributes left out, written as another."""
    return re.sub(rf"(?<![\w.'\"]){re.escape(old)}(?!\w)", new, text)


def copied(site: Site) -> Iterator[Proposal]:
    """Insert a statement that stands elsewhere, before or after this one; as it is, or with one name replaced."""
    if not movable(site):
        return
    last = site.place.index == len(site.place.block) - 1 and not isinstance(
        site.statement, (ast.Return, ast.Raise, ast.Break, ast.Continue)
    )
    own = site.text(site.statement) if site.statement.lineno == site.statement.end_lineno else ""
    available = site.available
    for text, names, score in donors(site):
        if text == own:
            continue
        if last and site.place.depth == 1 and not text.startswith("return"):
            yield from _guarded(site, text, names, score)
        missing = names - available
        returned = -1.0 if text.startswith("return") and not last else 0.0
        if not missing:
            yield from _placed(site, text, "insert.copied", score + returned, last=last)
        if len(missing) <= 1:
            for other, less in adapted(site, text, names, missing):
                yield from _placed(site, other, "insert.adapted", score + returned + less, last=last)


def _guarded(site: Site, text: str, names: frozenset[str], score: float) -> Iterator[Proposal]:
    """Insert `if x: …` with a copied statement at the end of a function, for what a loop leaves over."""
    for name in sorted(names & site.scope.bindings.keys())[:3]:
        if site.scope.guess_name(name) not in {"function", "bool"}:
            lines = [f"if {name}:", f"{site.file.indent_unit}{text}"]
            proposal = site.insertion(lines, "insert.guarded", score, after=True)
            if proposal is not None:
                yield proposal


def adapted(
    site: Site, text: str, names: frozenset[str], missing: frozenset[str], *, most: int = 7, near: int = 5
) -> Iterator[tuple[str, float]]:
    """Give the statement with one name replaced: the one that is unknown here, else each in turn.

    At most `most` forms, with the `near` nearest names in place of each.
    """
    count = 0
    pattern = r"(?<![\w.'\"])[A-Za-z_]\w*(?!\w)"
    known = site.scope.bindings.keys() | site.scope.inner.keys()
    olds = missing or [n for n in dict.fromkeys(re.findall(pattern, text)) if n in known]
    for old in olds:
        for name, score in site.variables(None, limit=near):
            if name == old or name in {"self", "cls"} or (name in names and not missing):
                continue
            if compatible(site.scope.guess_name(old), site.scope.guess_name(name)):
                yield renamed(text, old, name), score - 0.3 - 0.1 * count
                count += 1
                if count >= most:
                    return


def _placed(site: Site, text: str, rule: str, score: float, *, last: bool) -> Iterator[Proposal]:
    if not text.startswith("return"):
        before = site.insertion([text], rule, score)
        if before is not None:
            yield before
    if last:
        after = site.insertion([text], rule, score, after=True)
        if after is not None:
            yield after


def replaced(site: Site) -> Iterator[Proposal]:
    """Write another statement of the function in place of this one."""
    if not movable(site) or not isinstance(site.statement, (*_DONORS, ast.Pass, ast.Break, ast.Continue)):
        return
    span = site.file.span(site.statement)
    kind = type(site.statement)
    if isinstance(site.statement, (ast.Pass, ast.Break, ast.Continue)):
        for text, score in typical(site)[:20]:
            yield Proposal(((*span, text),), "statement.replaced", score, structural=True)
    for text, names, score in donors(site)[:14]:
        if names <= site.available:
            same = 0.0 if text.startswith("return") == (kind is ast.Return) else -0.8
            yield Proposal(((*span, text),), "statement.replaced", score + same, structural=True)


def branches(site: Site) -> Iterator[Proposal]:
    """Add the `else` (or `elif`) that an `if` lacks, from its sibling branch or with a typical statement."""
    statement = site.statement
    if not isinstance(statement, ast.If) or not movable_if(site) or site.unit.kind == "module":
        return
    if statement.orelse or statement.body[0].lineno == statement.lineno:
        return
    body = statement.body[-1]
    end = site.file.line_start(site.file.line_of(site.file.span(body)[1]) + 1)
    if not site.file.text[:end].endswith(("\n", "\r")):
        return
    margin, inner, ending = site.indent, site.file.indentation(statement.body[0]), site.file.newline
    for text, score in _branch_bodies(site, statement):
        addition = f"{margin}else:{ending}{inner}{text}{ending}"
        shown = f"add `else: {text}` to the `if` of line {statement.lineno}"
        yield Proposal(((end, end, addition),), "branch.added", score, shown, structural=True)


def movable_if(site: Site) -> bool:
    """Whether an `if` (or `elif`) stands alone on its lines inside a function."""
    return site.place.depth > 0 and site.file.alone(site.statement)


_OPPOSITES = (("+=", "-="), ("-=", "+="), ("append", "pop"), ("+= 1", "= 0"), ("True", "False"), ("False", "True"))


def _branch_bodies(site: Site, statement: ast.If) -> Iterator[tuple[str, float]]:
    """Give statements for the missing branch, each once."""
    seen: set[str] = set()
    for text, score in _all_bodies(site, statement):
        if text not in seen:
            seen.add(text)
            yield text, score


def _all_bodies(site: Site, statement: ast.If) -> Iterator[tuple[str, float]]:
    for text, names, score in donors(site)[:12]:
        if names <= site.available and not text.startswith("return"):
            yield text, score - 0.3
    yield from _simpler(site, statement)
    for part in statement.body[:2]:
        if isinstance(part, _DONORS) and part.lineno == part.end_lineno:
            text = site.file.segment(part)
            yield from adapted(site, text, names_read(part), frozenset())
            yield from ((text.replace(old, new, 1), -0.5) for old, new in _OPPOSITES if old in text)
    yield from ((text, score - 0.5) for text, score in typical(site)[:14])
    local = site.names_at()
    for index in [n for n in local if site.scope.guess_name(n) == "int"][:2]:
        for group in [n for n in local if site.scope.guess_name(n) == "list"][:2]:
            yield from ((f"{group}[{index}] = {n}", -0.5) for n in local[:4] if n not in {group, index})
    if site.place.loops:
        yield from (("break", -0.2), ("continue", -0.6))
    yield from ((f"return {text}".rstrip(), score - 0.6) for text, score in results(site)[:4])


def _simpler(site: Site, statement: ast.If) -> Iterator[tuple[str, float]]:
    """Give the branch's assignment or call again with a plain name for its value."""
    for part in statement.body[:2]:
        if isinstance(part, ast.Assign) and len(part.targets) == 1:
            head, value = f"{site.text(part.targets[0])} = ", part.value
        elif isinstance(part, ast.Expr) and isinstance(part.value, ast.Call) and len(part.value.args) == 1:
            head, value = site.text(part.value.func), part.value.args[0]
        else:
            continue
        names = dict.fromkeys(n.id for n in ast.walk(value) if isinstance(n, ast.Name) and n.id in site.names_at())
        ranked = [*reversed(names), *(n for n in site.names_at()[:4] if n not in names)]
        for index, name in enumerate(n for n in ranked if site.scope.guess_name(n) != "function"):
            yield (f"{head}({name})" if isinstance(part, ast.Expr) else f"{head}{name}"), 0.2 - 0.15 * index


TEMPLATES = (
    Template("copied", ("insert.copied", "insert.adapted", "insert.guarded"), copied),
    Template("replaced by", ("statement.replaced",), replaced),
    Template("branches", ("branch.added",), branches),
)
