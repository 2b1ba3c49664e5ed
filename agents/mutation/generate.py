"""All mutants of a file, or of some of its lines."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from agents.edits import apply_edits
from agents.mutation import expressions, statements
from agents.mutation.left_out import fallbacks, why_left_out
from agents.mutation.mutant import LeftOut, Mutant
from agents.repair.checks import UnitChecker
from agents.repair.generate import describe
from agents.repair.hints import Hints
from agents.repair.scopes import ModuleScope, UnitScope
from agents.repair.templates.site import Proposal, Site, Template
from agents.repair.units import FUNCTIONS, SourceFile, header_lines, places
from agents.results import Edit
from sandbox.tree import Tree

OPERATORS: tuple[Template, ...] = (*expressions.TEMPLATES, *statements.TEMPLATES)
"""Every operator, those first whose faults say most about tests."""
VERSION = 1
"""Of the operators; another number makes remembered verdicts useless."""
_HUNK = re.compile(r"^@@ -(\d+)(,\d+)? \+(\d+)(,\d+)? @@$")
_CONTEXT = 3


@dataclass(frozen=True, slots=True)
class Survey:
    """The mutants of a file, and what was left out."""

    mutants: tuple[Mutant, ...]
    """In order of position; equal places in the order of the operators."""
    left_out: tuple[LeftOut, ...]


def mutants_of(
    tree: Tree, path: str, lines: Collection[int] | None = None, limit: int | None = None
) -> tuple[Mutant, ...]:
    """Return the mutants of a Python file that touch one of `lines` (all where None), at most `limit` of them.

    Each compiles, and means something else than the original and than every other one. The order is that of the file;
    with a limit, they are spread over the lines. Empty where the path is no Python file that can be read.
    """
    found = survey(tree, path, lines).mutants
    return found if limit is None else spread(found, limit)


def survey(tree: Tree, path: str, lines: Collection[int] | None = None) -> Survey:
    """Return the mutants of a file with what was left out, and why; see `mutants_of`."""
    file = SourceFile.parse(path, tree) if path.endswith(".py") else None
    if file is None:
        return Survey((), ())
    wanted = None if lines is None else frozenset(lines)
    maker = _Maker(file, wanted)
    mutants = sorted(maker.run(), key=lambda found: found[0])
    return Survey(tuple(mutant for _, mutant in mutants), tuple(maker.left_out))


def spread(mutants: Sequence[Mutant], limit: int) -> tuple[Mutant, ...]:
    """Return at most `limit` mutants, taken from line after line in turn, in their old order."""
    if len(mutants) <= limit:
        return tuple(mutants)
    rows: dict[tuple[str, int], list[int]] = {}
    for number, mutant in enumerate(mutants):
        rows.setdefault((mutant.path, mutant.first), []).append(number)
    # Different lines begin with different operators, so that a small sample is not of one kind alone.
    queues = [row[n % len(row) :] + row[: n % len(row)] for n, row in enumerate(rows.values())]
    taken: list[int] = []
    depth = 0
    while len(taken) < limit:
        level = [queue[depth] for queue in queues if depth < len(queue)]
        left = limit - len(taken)
        if len(level) > left:
            # Of lines that compete for the last places, those far apart.
            level = [level[index * len(level) // left] for index in range(left)]
        taken += level
        depth += 1
    return tuple(mutants[number] for number in sorted(taken))


class _Maker:
    def __init__(self, file: SourceFile, wanted: frozenset[int] | None) -> None:
        self._file, self._wanted = file, wanted
        self._module = ModuleScope(file)
        self._fallbacks = fallbacks(file)
        self.left_out: list[LeftOut] = []

    def run(self) -> Iterator[tuple[tuple[int, int, int], Mutant]]:
        for unit in self._file.units:
            if not self._touches(unit.first_line, unit.last_line):
                continue
            scope = UnitScope(self._file, self._module, unit)
            checker = UnitChecker(self._file, unit, self._module)
            for place in places(unit):
                if unit.kind == "module" and isinstance(place.statement, FUNCTIONS):
                    continue  # its own unit holds its defaults and decorators
                yield from self._at(Site(self._file, unit, place, scope, self._module, Hints()), checker)

    def _touches(self, first: int, last: int) -> bool:
        return self._wanted is None or any(first <= line <= last for line in self._wanted)

    def _at(self, site: Site, checker: UnitChecker) -> Iterator[tuple[tuple[int, int, int], Mutant]]:
        statement = site.statement
        if not self._touches(*_lines(statement)):
            return
        reason = why_left_out(self._file, site.unit, site.place)
        if any(first < statement.lineno <= last for first, last in self._fallbacks):
            reason = "runs only where something is not installed"
        if reason:
            if reason not in {"nothing to change", "a docstring"}:
                self.left_out.append(LeftOut(self._file.path, statement.lineno, "", reason))
            return
        for rank, template in enumerate(OPERATORS):
            for proposal in template.propose(site):
                edits = tuple(Edit(self._file.path, start, end, text) for start, end, text in proposal.edits)
                first, last = self._file.line_of(edits[0].start), self._file.line_of(max(e.end - 1 for e in edits))
                last = max(first, last)
                if not self._touches(first, last):
                    continue
                if not checker.accept(site, proposal):
                    why = "compiles to what is there, or to what another one is"
                    self.left_out.append(LeftOut(self._file.path, first, proposal.rule, why))
                    continue
                yield (edits[0].start, edits[0].end, rank), self._mutant(site, proposal, edits, first, last)

    def _mutant(self, site: Site, proposal: Proposal, edits: tuple[Edit, ...], first: int, last: int) -> Mutant:
        file, unit = self._file, site.unit
        low, high = file.line_start(max(1, first - _CONTEXT)), file.line_start(last + 1 + _CONTEXT)
        inner = [Edit(e.path, e.start - low, e.end - low, e.replacement) for e in edits]
        old, new = file.text[low:high], apply_edits(file.text[low:high], inner)
        head, tail = file.line_start(first) - low, high - file.line_start(last + 1)
        return Mutant(
            path=file.path, first=first, last=last, operator=proposal.rule, edits=edits,
            description=describe(file, proposal), diff=_diff(file.path, old, new, max(1, first - _CONTEXT)),
            changed=new[head : len(new) - tail], unit=unit.qualname, unit_lines=(unit.first_line, unit.last_line),
            reach=_reach(site, proposal, first),
        )  # fmt: skip


def _lines(statement: ast.stmt) -> tuple[int, int]:
    """Return the lines of a statement that its own operators may touch: its header, and those of its handlers."""
    first, last = header_lines(statement)
    handlers = getattr(statement, "handlers", ())
    return first, max((last, *(h.type.end_lineno or h.lineno for h in handlers if h.type is not None)))


def _reach(site: Site, proposal: Proposal, line: int) -> tuple[int, int] | None:
    """Return the lines whose running tests can notice a fault; see `Mutant.reach`."""
    place, unit = site.place, site.unit
    if unit.kind == "module" or proposal.rule.startswith("decorator."):
        return None
    if place.depth == 0:
        return unit.first_line, unit.last_line
    for handler in getattr(place.statement, "handlers", ()):
        if handler.type is not None and handler.lineno <= line <= (handler.type.end_lineno or handler.lineno):
            # What it catches matters to those that it catches something for.
            return handler.lineno, handler.end_lineno or handler.lineno
    return header_lines(place.statement)


def _diff(path: str, old: str, new: str, first: int) -> str:
    """Return a unified diff of two excerpts that begin with line `first` of their file."""
    rows = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), f"a/{path}", f"b/{path}", n=_CONTEXT
    )
    text = []
    for row in rows:
        if found := _HUNK.match(row.rstrip("\n")):
            one, many, two, more = found.groups()
            row = f"@@ -{int(one) + first - 1}{many or ''} +{int(two) + first - 1}{more or ''} @@\n"
        text.append(row if row.endswith("\n") else f"{row}\n\\ No newline at end of file\n")
    return "".join(text)
