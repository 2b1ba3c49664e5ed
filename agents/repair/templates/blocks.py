"""Missing statements that the code has nearby in another shape: a mirror image, a whole block, a sibling's text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import combinations

from agents.repair.guesses import NUMBERS, compatible
from agents.repair.templates.copies import adapted, donors, names_read, renamed
from agents.repair.templates.guards import known_conditions
from agents.repair.templates.idioms import opposites
from agents.repair.templates.insertions import typical
from agents.repair.templates.site import Proposal, Site, Template
from agents.repair.templates.statements import movable, reindented

_LONGEST = 4
"""Lines of a block that is copied."""
_BLOCKS = 5
_SIMPLE = (ast.Expr, ast.Assign, ast.AugAssign)
_WORD = re.compile(r"(?<![\w'\"])[A-Za-z_]\w*")


def _ends_block(site: Site) -> bool:
    """Whether something could be inserted behind the statement as the last of its block."""
    return site.place.index == len(site.place.block) - 1 and not isinstance(
        site.statement, (ast.Return, ast.Raise, ast.Break, ast.Continue)
    )


def mirrored(site: Site) -> Iterator[Proposal]:
    """Insert behind a statement its mirror image: `a[x].add(y)` with `a[y].add(x)`, `left` with `right`."""
    statement = site.statement
    if not isinstance(statement, _SIMPLE) or not movable(site) or statement.lineno != statement.end_lineno:
        return
    text = site.text(statement)
    read = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
    names = [n for n in dict.fromkeys(_WORD.findall(text)) if n in read and site.scope.guess_name(n) != "function"]
    images: list[tuple[str, float]] = []
    local = [n for n in names if n in site.scope.bindings and n not in {"self", "cls"}]
    for one, other in combinations(local[:4], 2):
        if compatible(site.scope.guess_name(one), site.scope.guess_name(other)):
            images.append((_exchanged(text, one, other), 0.0))
    images += _opposite(site, text)
    for image, score in images:
        if image != text:
            for after, less in ((True, 0.0), (False, 0.5)):
                proposal = site.insertion([image], "insert.mirrored", score - less, after=after)
                if proposal is not None:
                    yield proposal


def _opposite(site: Site, text: str) -> Iterator[tuple[str, float]]:
    """Give a text with one word, and with all words at once, written as their opposites."""
    words: dict[str, str] = {}
    for word in dict.fromkeys(re.findall(r"[A-Za-z_]\w*", text)):
        known = [
            o for o in opposites(word) if o in site.available or o in site.module.attributes or o in site.module.strings
        ]
        for index, other in enumerate(known[:2]):
            words.setdefault(word, other)
            yield re.sub(rf"\b{word}\b", other, text), -0.2 - 0.3 * index
    if len(words) > 1:
        yield re.sub(r"[A-Za-z_]\w*", lambda found: words.get(found.group(), found.group()), text), 0.0


def _exchanged(text: str, one: str, other: str) -> str:
    return re.sub(
        rf"(?<![\w.'\"])(?:{re.escape(one)}|{re.escape(other)})(?!\w)",
        lambda found: other if found.group() == one else one,
        text,
    )


def _short_blocks(site: Site) -> list[ast.If | ast.For | ast.While]:
    """Return the unit's short compound statements, other than those around the statement, nearest first."""
    around = {id(owner) for owner in (*site.place.owners, site.statement)}
    found = [
        node
        for node in site.scope.nodes
        if isinstance(node, (ast.If, ast.For, ast.While))
        and id(node) not in around
        and not node.orelse
        and node.body[0].lineno != node.lineno
        and (node.end_lineno or node.lineno) - node.lineno < _LONGEST
        and all(isinstance(inner, (*_SIMPLE, ast.Return, ast.Raise, ast.Continue, ast.Break)) for inner in node.body)
    ]
    return sorted(found, key=lambda n: abs(n.lineno - site.statement.lineno))[:_BLOCKS]


def copied(site: Site) -> Iterator[Proposal]:
    """Insert a short block that the function has elsewhere, as it is or with one name replaced."""
    if not movable(site):
        return
    places = (False, True) if _ends_block(site) else (False,)
    for index, block in enumerate(_short_blocks(site)):
        start = site.file.line_start(block.lineno)
        end = site.file.line_start((block.end_lineno or block.lineno) + 1)
        plain = reindented(site.file.text[start:end], site.file.indentation(block), "")
        if plain is None or plain.startswith("elif"):
            continue
        lines = plain.rstrip("\r\n").splitlines()
        names = names_read(block)
        options = [("\n".join(lines), names, 0.2)]
        forms = adapted(site, options[0][0], names, names - site.available, most=24, near=8)
        options += [(text, frozenset[str](), score) for text, score in forms]
        for text, needed, score in options:
            if needed <= site.available:
                for after in places:
                    shown = text.splitlines()
                    proposal = site.insertion(shown, "insert.block", score - 0.15 * index - 0.2 * after, after=after)
                    if proposal is not None:
                        yield proposal


def retold(site: Site) -> Iterator[Proposal]:
    """Insert a sibling's statement with another string: the function's name, or what the failing tests speak of."""
    if not movable(site):
        return
    own = [site.function.name] if site.function is not None else []
    places = (False, True) if _ends_block(site) else (False,)
    for text, names, score in donors(site):
        literals = re.findall(r"'[^'\\]*'|\"[^\"\\]*\"", text)
        if len(literals) != 1 or text.startswith("return"):
            continue
        missing = names - site.available
        said = [t for t in (*own, *opposites(literals[0][1:-1]), *site.hints.strings[:6]) if len(t) < 30]
        for index, word in enumerate(dict.fromkeys(said)):
            mark = literals[0][0]
            if mark in word or "\\" in word or not word.isprintable() or word == literals[0][1:-1]:
                continue
            other = text.replace(literals[0], f"{mark}{word}{mark}", 1)
            forms = [other] if not missing else []
            if len(missing) == 1:
                (old,) = missing
                forms = [renamed(other, old, new) for new, _ in site.variables(None, limit=3)]
            for form in forms:
                for after in places:
                    proposal = site.insertion([form], "insert.retold", score - 0.2 * index, after=after)
                    if proposal is not None:
                        yield proposal


def conditional(site: Site) -> Iterator[Proposal]:
    """Insert a typical statement under a condition that the function asks elsewhere, or that is about its subject."""
    if not movable(site):
        return
    places = (False, True) if _ends_block(site) else (False,)
    conditions = [(c, -0.2 * i) for i, c in enumerate(known_conditions(site)[:4])]
    for index, name in enumerate(site.scope.unused):
        conditions.append((name, -0.1 * index))
    for condition, near in conditions:
        asked = set(_WORD.findall(condition))
        for text, score in typical(site)[:16]:
            related = 0.3 if asked & set(_WORD.findall(text)) else 0.0
            lines = [f"if {condition}:", f"{site.file.indent_unit}{text}"]
            for after in places:
                proposal = site.insertion(lines, "insert.conditional", near + score + related, after=after)
                if proposal is not None:
                    yield proposal


def cleared(site: Site) -> Iterator[Proposal]:
    """Remove an entry that became empty: `if not d[k]: del d[k]` behind the statement that changed `d[k]`."""
    statement = site.statement
    if not isinstance(statement, (ast.Assign, ast.AugAssign, ast.Expr)) or not movable(site):
        return
    entries = [
        node
        for expression in (*site.expressions, *_targets(statement))
        for node in ast.walk(expression)
        if isinstance(node, ast.Subscript) and not isinstance(node.slice, (ast.Slice, ast.Constant))
    ]
    for text in dict.fromkeys(site.text(node) for node in entries):
        for condition, score in ((f"not {text}", 0.0), (f"{text} <= 0", -0.6)):
            lines = [f"if {condition}:", f"{site.file.indent_unit}del {text}"]
            proposal = site.insertion(lines, "insert.cleared", score, after=True)
            if proposal is not None:
                yield proposal


def _targets(statement: ast.stmt) -> list[ast.expr]:
    if isinstance(statement, ast.Assign):
        return statement.targets
    return [statement.target] if isinstance(statement, ast.AugAssign) else []


def otherwise(site: Site) -> Iterator[Proposal]:
    """Give an `else` a condition: `else` as `elif x`; and take one away: the last `elif x` as `else`."""
    statement = site.statement
    if not isinstance(statement, ast.If) or site.place.depth == 0:
        return
    if not statement.orelse:
        if site.file.text.startswith("elif", site.start):
            header = site.file.text.index(":", site.file.span(statement.test)[1])
            yield Proposal(((site.start, header, "else"),), "branch.unconditional", 0.0, structural=True)
        return
    first = statement.orelse[0]
    span = _else_span(site, statement, first)
    if span is None:
        return
    read = {n.id for part in statement.orelse for n in ast.walk(part) if isinstance(n, ast.Name)}
    names = [n for n in site.names_at() if n not in {"self", "cls"}]
    conditions: list[tuple[str, float]] = []
    for index, name in enumerate(names[:8]):
        guess = site.scope.guess_name(name)
        near = -0.1 * index + (0.3 if name in read else 0.0) + (0.8 if name in site.scope.unused else 0.0)
        if guess in NUMBERS and guess != "bool":
            conditions += [(f"{name} > 0", near - 0.6), (f"{name} != 0", near - 0.8), (f"{name} < 0", near - 1.0)]
        if guess != "function":
            conditions += [(name, near - 0.1), (f"not {name}", near - 0.2), (f"{name} is not None", near - 0.8)]
    conditions += [(c, -0.5 - 0.1 * i) for i, c in enumerate(known_conditions(site))]
    for condition, score in sorted(conditions, key=lambda c: -c[1])[:20]:
        shown = f"only `elif {condition}` in place of the `else` of line {statement.lineno}"
        yield Proposal(((*span, f"elif {condition}"),), "branch.conditional", score, shown, structural=True)


def _else_span(site: Site, statement: ast.If, first: ast.stmt) -> tuple[int, int] | None:
    """Return where an `if`'s own `else` keyword stands."""
    start = site.file.span(statement.body[-1])[1]
    end = site.file.span(first)[0]
    found = re.search(r"^[ \t]*(else)[ \t]*:", site.file.text[start:end], re.MULTILINE)
    if found is None:
        return None
    return start + found.start(1), start + found.end(1)


def drained(site: Site) -> Iterator[Proposal]:
    """Return also what is left over: `return xs` as `return xs + rest`, `rest[i:]`, `sorted(rest)`; and `extend` it."""
    statement = site.statement
    if not isinstance(statement, ast.Return) or not isinstance(statement.value, ast.Name) or not movable(site):
        return
    result = statement.value.id
    if site.scope.guess_name(result) not in {"list", "any"}:
        return
    numbers = [n for n in site.names_at() if site.scope.guess_name(n) == "int"][:3]
    others = [n for n in site.names_at() if n != result and site.scope.guess_name(n) in {"list", "any", "iter"}][:4]
    for index, name in enumerate(others):
        forms = [name, f"sorted({name})", f"reversed({name})", *(f"{name}[{n}:]" for n in numbers)]
        for rank, form in enumerate(forms):
            proposal = site.insertion([f"{result}.extend({form})"], "insert.rest", -0.2 * index - 0.2 * rank)
            if proposal is not None:
                yield proposal


def in_turn(site: Site) -> Iterator[Proposal]:
    """Run a statement for each item: `d[x] = v` as `for item in x: d[item] = v`."""
    statement = site.statement
    if not isinstance(statement, _SIMPLE) or not movable(site) or statement.lineno != statement.end_lineno:
        return
    span = site.lines_span()
    if span is None:
        return
    text, unit, ending = site.text(statement), site.file.indent_unit, site.file.newline
    names = [n for n in dict.fromkeys(_WORD.findall(text)) if n in site.scope.bindings]
    iterables = [n for n in site.names_at()[:8] if site.scope.guess_name(n) in {"list", "set", "dict", "any", "tuple"}]
    for name in names[:3]:
        item = next(t for t in ("item", "each", "entry") if t not in site.scope.bindings)
        for index, group in enumerate(iterables[:4]):
            inner = renamed(text, name, item)
            body = f"{site.indent}for {item} in {group}:{ending}{site.indent}{unit}{inner}"
            tail = ending if site.file.text[slice(*span)].endswith(("\n", "\r")) else ""
            shown = f"run `{text}` for each item of `{group}`"
            yield Proposal(((*span, body + tail),), "statement.each", -0.3 * index, shown, structural=True)


TEMPLATES = (
    Template("mirrored", ("insert.mirrored",), mirrored),
    Template("blocks", ("insert.block",), copied),
    Template("retold", ("insert.retold",), retold),
    Template("conditional statements", ("insert.conditional",), conditional),
    Template("cleared", ("insert.cleared",), cleared),
    Template("otherwise", ("branch.conditional", "branch.unconditional"), otherwise),
    Template("left over", ("insert.rest",), drained),
    Template("in turn", ("statement.each",), in_turn),
)
