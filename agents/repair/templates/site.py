"""What a template is given, a statement with its surroundings, and what it gives back, proposals."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from agents.repair.guesses import Guess, compatible
from agents.repair.hints import Hints
from agents.repair.scopes import BUILTINS, ModuleScope, UnitScope
from agents.repair.units import FUNCTIONS, Place, SourceFile, Unit, own_expressions
from sandbox.syntax import parse_expression

# Binding strength, loosest first, as the grammar has it.
(
    TUPLE,
    LAMBDA,
    TERNARY,
    OR,
    AND,
    NOT,
    COMPARE,
    BIT_OR,
    BIT_XOR,
    BIT_AND,
    SHIFT,
    ARITH,
    TERM,
    UNARY,
    POWER,
    AWAIT,
    ATOM,
) = range(17)
_BINARY: dict[type[ast.operator], int] = {
    ast.BitOr: BIT_OR, ast.BitXor: BIT_XOR, ast.BitAnd: BIT_AND, ast.LShift: SHIFT, ast.RShift: SHIFT,
    ast.Add: ARITH, ast.Sub: ARITH, ast.Mult: TERM, ast.Div: TERM, ast.FloorDiv: TERM, ast.Mod: TERM,
    ast.MatMult: TERM, ast.Pow: POWER,
}  # fmt: skip
UNUSED = 0.9
"""What it adds to a proposal that it reads a name which nothing reads so far."""
_F_STRING_POSITIONS = sys.version_info >= (3, 12)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that a template suggests; not yet checked."""

    edits: tuple[tuple[int, int, str], ...]
    """Start, end (offsets into the file) and replacement, sorted, not overlapping."""
    rule: str
    """Key into the table of priors."""
    score: float = 0.0
    """Added to the rule's log prior; at most 0 for what is typical of the rule."""
    description: str = ""
    """What it does, for a person; empty takes "`old` → `new`"."""
    structural: bool = False
    """Whether it changes which statements there are, not only expressions within one statement."""


Propose = Callable[["Site"], Iterator[Proposal]]


@dataclass(frozen=True, slots=True)
class Template:
    """A family of changes."""

    name: str
    rules: tuple[str, ...]
    """Every rule that its proposals may name."""
    propose: Propose


def precedence(node: ast.expr) -> int:
    """Return how tightly an expression binds."""
    match node:
        case ast.BinOp(op=op):
            return _BINARY[type(op)]
        case ast.BoolOp(op=op):
            return OR if isinstance(op, ast.Or) else AND
        case ast.UnaryOp(op=ast.Not()):
            return NOT
        case ast.UnaryOp():
            return UNARY
        case ast.Compare():
            return COMPARE
        case ast.IfExp():
            return TERNARY
        case ast.Lambda():
            return LAMBDA
        case ast.Tuple() | ast.NamedExpr() | ast.Yield() | ast.YieldFrom() | ast.Starred():
            return TUPLE
        case ast.Await():
            return AWAIT
        case ast.Constant(value=value) if isinstance(value, (int, float)) and not isinstance(value, bool):
            return AWAIT
        case _:
            return ATOM


def needed(parent: ast.AST, child: ast.AST) -> int:
    """Return how tightly a child must bind to stand under `parent` without parentheses."""
    match parent:
        case ast.BinOp(op=ast.Pow(), left=left):
            return AWAIT if child is left else UNARY
        case ast.BinOp(op=op, left=left):
            return _BINARY[type(op)] + (child is not left)
        case ast.UnaryOp(op=ast.Not()):
            return NOT
        case ast.UnaryOp():
            return UNARY
        case ast.Compare():
            return BIT_OR
        case ast.BoolOp(op=op):
            return AND if isinstance(op, ast.Or) else NOT
        case ast.IfExp(orelse=orelse):
            return TERNARY if child is orelse else OR
        case ast.Subscript(value=value):
            return ATOM if child is value else TUPLE
        case ast.Attribute() | ast.Await():
            return ATOM
        case ast.Call(func=func):
            return ATOM if child is func else LAMBDA
        case ast.Starred():
            return BIT_OR
        case ast.comprehension():
            return OR
        case ast.Return() | ast.Assign() | ast.AugAssign() | ast.Expr() | ast.For() | ast.AsyncFor():
            return TUPLE
        case _:
            return LAMBDA


_SPACES = re.compile(r"\s*[\r\n]\s*")


class Site:
    """A statement, with everything that templates ask about it."""

    def __init__(
        self, file: SourceFile, unit: Unit, place: Place, scope: UnitScope, module: ModuleScope, hints: Hints
    ) -> None:
        """Take the surroundings; what is dear is computed when it is first asked for."""
        self.file, self.unit, self.place, self.scope, self.module, self.hints = file, unit, place, scope, module, hints
        self.statement = place.statement
        self.pool: list[tuple[str, Guess, int, bool]] | None = None
        """Kept for `variables.expression_pool`."""

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """Child → parent for the nodes of the statement's own expressions; the statement is the topmost."""
        table: dict[ast.AST, ast.AST] = {}
        pending: list[tuple[ast.AST, ast.AST]] = [(e, self.statement) for e in own_expressions(self.statement)]
        while pending:
            node, parent = pending.pop()
            table[node] = parent
            pending += [(child, node) for child in ast.iter_child_nodes(node)]
        return table

    @cached_property
    def expressions(self) -> tuple[ast.expr, ...]:
        """Expression nodes of the statement itself whose positions can be trusted, in order of position."""
        found = [n for n in self.parents if isinstance(n, ast.expr) and not self._in_format_string(n)]
        return tuple(sorted(found, key=lambda n: (n.lineno, n.col_offset)))

    def _in_format_string(self, node: ast.AST) -> bool:
        # Before Python 3.12 the positions of nodes inside f-strings are only sometimes right.
        if _F_STRING_POSITIONS:
            parent = self.parents.get(node)
            return isinstance(node, (ast.FormattedValue,)) or (
                isinstance(node, ast.Constant) and isinstance(parent, ast.JoinedStr)
            )
        above: ast.AST | None = self.parents.get(node)
        while above is not None:
            if isinstance(above, (ast.JoinedStr, ast.FormattedValue)):
                return not self._position_holds(node)
            above = self.parents.get(above)
        return False

    def _position_holds(self, node: ast.AST) -> bool:
        if isinstance(node, (ast.FormattedValue, ast.JoinedStr)) or not isinstance(node, ast.expr):
            return False
        try:
            segment = self.file.segment(node)
            return ast.dump(parse_expression(segment)) == ast.dump(node).replace("Store()", "Load()")
        except (SyntaxError, ValueError, IndexError, UnicodeDecodeError):
            return False

    @cached_property
    def start(self) -> int:
        """Offset of the statement's first character."""
        return self.file.span(self.statement)[0]

    def text(self, node: ast.AST) -> str:
        """Return a node's text on one line, usable elsewhere."""
        segment = self.file.segment(node)
        if "\n" in segment or "\r" in segment:
            return (
                ast.unparse(node)
                if "#" in segment or '"""' in segment or "'''" in segment
                else _SPACES.sub(" ", segment)
            )
        return segment

    def tight(self, node: ast.expr, strength: int) -> str:
        """Return a node's text, in parentheses where it binds less tightly than `strength`."""
        text = self.text(node)
        return f"({text})" if precedence(node) < strength and not _closed(node, text) else text

    def fits(self, node: ast.AST, text: str, strength: int) -> str:
        """Return `text` as it must be written to stand where `node` stands."""
        parent = self.parents.get(node, self.statement)
        return f"({text})" if strength < needed(parent, node) and not self._in_parentheses(node) else text

    def _in_parentheses(self, node: ast.AST) -> bool:
        start, end = self.file.span(node)
        text = self.file.text
        parent = self.parents.get(node, self.statement)
        return text[start - 1 : start] == "(" and text[end : end + 1] == ")" and not isinstance(parent, ast.Call)

    def swap(
        self, node: ast.AST, text: str, rule: str, score: float = 0.0, *, strength: int = ATOM, why: str = ""
    ) -> Proposal:
        """Propose to write `text` where `node` stands."""
        start, end = self.file.span(node)
        return Proposal(((start, end, self.fits(node, text, strength)),), rule, score, why)

    def parent(self, node: ast.AST) -> ast.AST:
        """Return what holds an expression; the statement itself for its outermost ones."""
        return self.parents.get(node, self.statement)

    def between(self, left: ast.AST, right: ast.AST, pattern: re.Pattern[str]) -> tuple[int, int] | None:
        """Return the span of an operator that stands between two nodes, comments left out."""
        start, end = self.file.span(left)[1], self.file.span(right)[0]
        gap = re.sub(r"#[^\r\n]*", lambda m: " " * len(m.group()), self.file.text[start:end])
        found = pattern.search(gap)
        return (start + found.start(), start + found.end()) if found else None

    def guess(self, node: ast.expr) -> Guess:
        """Return the rough type of an expression."""
        return self.scope.guess(node)

    @cached_property
    def _locals(self) -> list[str]:
        return self.scope.locals_at(self.place, self.start)

    def names_at(self, node: ast.AST | None = None) -> list[str]:
        """Return local names usable at a node of this statement, nearest use first."""
        if node is None or not self.scope.inner:
            return self._locals
        return self.scope.locals_at(self.place, self.file.span(node)[0])

    def variables(self, node: ast.AST | None, want: Guess = "any", *, limit: int = 12) -> Iterator[tuple[str, float]]:
        """Give names that might stand at a node with a score: local ones first, by type and nearness of use."""
        count = 0
        for name in self.names_at(node):
            guess = self.scope.guess_name(name)
            if not compatible(want, guess) or guess == "function":
                continue
            if name in {"self", "cls"} and want != "any":
                continue
            score = -0.12 * count - (0.6 if "any" in {want, guess} and want != guess else 0.0)
            score -= 1.5 if name in {"self", "cls"} else 0.0
            score += UNUSED if name in self.scope.unused else 0.0
            yield name, score
            count += 1
            if count >= limit:
                return
        for index, name in enumerate(self.scope.fields[: limit - count]):
            guess = self.scope.guess_name(name)
            if compatible(want, guess):
                yield name, -0.3 - 0.12 * index - (0.6 if "any" in {want, guess} and want != guess else 0.0)
        for name, value in list(self.module.constants.items())[: limit - count]:
            if name not in self.scope.bindings and compatible(want, self.guess(value)):
                yield name, -2.0 if self.unit.kind != "module" else -1.0

    @cached_property
    def available(self) -> frozenset[str]:
        """Every name that can be read here without a NameError, as far as can be told."""
        return frozenset((*self.names_at(), *self.module.known, *BUILTINS, *(f.name for f in self.place.functions)))

    @property
    def indent(self) -> str:
        """White space before the statement."""
        return self.file.indentation(self.statement)

    @cached_property
    def function(self) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The innermost function around the statement; for a definition in a unit's own body, itself."""
        if self.place.functions:
            return self.place.functions[-1]
        return self.statement if isinstance(self.statement, FUNCTIONS) and self.place.depth == 0 else None

    def insertion(
        self, lines: list[str], rule: str, score: float = 0.0, *, after: bool = False, indent: str | None = None
    ) -> Proposal | None:
        """Propose to insert whole lines before or after the statement; None where it shares its line with others."""
        if not self.file.alone(self.statement) or (not after and self.file.text.startswith("elif", self.start)):
            return None
        ending = self.file.newline
        margin = self.indent if indent is None else indent
        body = ending.join(f"{margin}{line}" if line else "" for line in lines)
        if after:
            at = self._after()
            text = (
                body + ending
                if at == self.file.line_start(self.file.line_of(at)) and self._has_end()
                else ending + body
            )
        else:
            at = self.file.line_start(self._first_line())
            text = body + ending
        where = "after" if after else "before"
        shown = "; ".join(line.strip() for line in lines)
        return Proposal(((at, at, text),), rule, score, f"insert `{shown}` {where} line {self.statement.lineno}", True)

    def _first_line(self) -> int:
        decorators: list[ast.expr] = getattr(self.statement, "decorator_list", [])
        return min((self.statement.lineno, *(d.lineno for d in decorators)))

    def _has_end(self) -> bool:
        _, end = self.file.span(self.statement)
        return "\n" in self.file.text[end:] or "\r" in self.file.text[end:]

    def _after(self) -> int:
        _, end = self.file.span(self.statement)
        if not self._has_end():
            return len(self.file.text)
        return self.file.line_start(self.file.line_of(end) + 1)

    def lines_span(self) -> tuple[int, int] | None:
        """Return the span of the statement's whole lines, endings included; None where others share them."""
        if not self.file.alone(self.statement):
            return None
        return self.file.line_start(self._first_line()), self._after()


def _closed(node: ast.expr, text: str) -> bool:
    """Whether an expression's own text ends with the bracket that it starts with."""
    if not isinstance(node, ast.Tuple):
        return False
    depth: int = 0
    for position, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0:
            ended: bool = position == len(text) - 1 and character == ")"
            return ended
    return False
