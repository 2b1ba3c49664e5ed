"""Whether a proposal is worth a run: it compiles, means something new, and uses no unknown name."""

from __future__ import annotations

import ast
import keyword
import re
import warnings
from collections.abc import Iterator
from types import CodeType

from agents.repair.scopes import BUILTINS, ModuleScope
from agents.repair.templates.site import Proposal, Site
from agents.repair.units import FUNCTIONS, SourceFile, Unit

_NAME = re.compile(r"(?<![\w.'\"])([A-Za-z_]\w*)(?!\w)(?!\s*=[^=])")
_LITERAL = re.compile(r"[rbfuRBFU]{0,2}('''|\"\"\"|'|\")(?:\\.|(?!\1).)*\1", re.DOTALL)

_OPERAND = r"((?:[A-Za-z_]\w*(?:\.\w+|\[\w+\])*|'\w*'|\"\w*\"|\d+))"
_WHOLE = r"[\w.]+(?:\([^()\n]*\)|\[[^\[\]\n]*\])*"
_POINTLESS = re.compile(
    # Something compared or combined with itself, as a whole operand.
    rf"(?:^|[(\[,:=]\s*|\b(?:if|while|elif|and|or|not|return|assert|in)\s+){_OPERAND}"
    r" (?:<|>|<=|>=|==|!=|and|or|is|is not|in|not in) \1(?=\s*(?:$|[)\],:#]|\b(?:and|or|if|else)\b))"
    # The same result either way, the larger of a value and itself, a size that is no size.
    rf"|(?:^|[(\[,=]\s*|\breturn\s+){_OPERAND} if [^\n]* else \2(?![\w.\[(])"
    rf"|\b(?:min|max)\(({_WHOLE}), \3\)"
    r"|\blen\([^()\n]*\) (?:>= 0|< 0)(?![\w.])",
    re.MULTILINE,
)
"""What nobody writes on purpose."""

_SMALL = 60
"""Lines up to which a unit whose statements change is compiled whole, so that dead code is known for what it is."""

Meaning = tuple[object, ...]
Digest = int


def meaning(code: CodeType) -> Meaning:
    """Return what a code object does, without where it stands: equal results behave alike."""
    constants = tuple(meaning(c) if isinstance(c, CodeType) else (type(c).__name__, repr(c)) for c in code.co_consts)
    return (
        code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_flags,
        code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, getattr(code, "co_exceptiontable", b""),
    )  # fmt: skip


def meaning_of(text: str) -> Digest | None:
    """Return a number that stands for what a module's text does (see `meaning`), None where it does not compile."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return hash(meaning(compile(text, "<candidate>", "exec", dont_inherit=True)))
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            return None


class UnitChecker:
    """Judges the proposals for one unit; remembers what it has accepted.

    Only the part that changes is compiled: a statement or its header, else the outermost statements of the unit that
    the edits touch. What the rest means does not change.
    """

    def __init__(self, file: SourceFile, unit: Unit, module: ModuleScope) -> None:
        """Remember the unit as it is."""
        self._file, self._unit, self._module = file, unit, module
        self._seen: set[object] = set()
        self._texts: set[str] = {file.text[unit.start : unit.end]}
        self._names = frozenset(re.findall(r"[A-Za-z_]\w*", file.text))
        self._originals: dict[tuple[int, int], bool] = {}
        self._regions = list(self._outermost())

    def _outermost(self) -> Iterator[tuple[int, int]]:
        """Give the spans, in whole lines, of the unit's outermost statements."""
        for node in self._unit.node.body:
            first = min((node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))))
            yield self._file.line_start(first), self._file.line_start((node.end_lineno or node.lineno) + 1)

    def accept(self, site: Site, proposal: Proposal) -> bool:
        """Whether the proposal is new and sound; it counts as seen from then on."""
        if not proposal.rule.startswith("format.") and not self._names_known(site, proposal):
            return False
        if self._pointless(proposal):
            return False
        outside = any(start < self._unit.start or start > self._unit.end for start, _, _ in proposal.edits)
        start, end = (0, len(self._file.text)) if outside else (self._unit.start, self._unit.end)
        text = self._changed(proposal, start, end)
        if text is None or text in self._texts:
            return False
        self._texts.add(text)
        key = None if outside else self._part(site, proposal)
        if key is None:
            key = (start, meaning_of(text) if outside else self._meaning(text, start))
            self._original(start, end, whole=outside)
        if key[1] is None or key in self._seen:
            return False
        self._seen.add(key)
        return True

    def _pointless(self, proposal: Proposal) -> bool:
        """Whether the changed lines hold something pointless that was not there before."""
        low = self._file.text.rfind("\n", 0, proposal.edits[0][0]) + 1
        high = self._file.text.find("\n", proposal.edits[-1][1])
        high = len(self._file.text) if high < 0 else high
        text = self._changed(proposal, low, high)
        if text is None or not (found := _POINTLESS.search(text)):
            return False
        return found.group() not in self._file.text[low:high]

    def _part(self, site: Site, proposal: Proposal) -> tuple[int, Digest | None] | None:
        """Return where the changed part starts and what it means; None where it cannot be judged by itself."""
        if not self._outside_header(site, proposal):
            low, high = self._header_span(site)
            if self._header_original(site, low, high):
                text = self._changed(proposal, low, high)
                return (low, self._statement(site, text)) if text is not None else (low, None)
        if self._unit.last_line - self._unit.first_line < _SMALL:
            return None
        low = min(start for start, _, _ in proposal.edits)
        high = max(end for _, end, _ in proposal.edits)
        touched = [r for r in self._regions if r[0] <= high and low <= r[1]]
        if not touched or low < self._regions[0][0]:
            return None
        low, high = touched[0][0], touched[-1][1]
        text = self._changed(proposal, low, high)
        if text is None or not self._original(low, high):
            return None
        return low, self._meaning(text, low)

    def _original(self, low: int, high: int, *, whole: bool = False) -> bool:
        """Mark what a part, or the `whole` file, means as it is; whether it can be compiled by itself."""
        if (low, high) not in self._originals:
            text = self._file.text[low:high]
            key = (low, meaning_of(text) if whole else self._meaning(text, low))
            self._seen.add(key)
            self._originals[low, high] = key[1] is not None
        return self._originals[low, high]

    def _header_original(self, site: Site, low: int, high: int) -> bool:
        if (low, -1) not in self._originals:
            key = (low, self._statement(site, self._file.text[low:high]))
            self._seen.add(key)
            self._originals[low, -1] = key[1] is not None
        return self._originals[low, -1]

    def _changed(self, proposal: Proposal, start: int, end: int) -> str | None:
        """Return the text between two offsets with the edits made; None where an edit lies outside or overlaps."""
        pieces: list[str] = []
        at = start
        for low, high, replacement in proposal.edits:
            if low < at or high > end:
                return None
            pieces += (self._file.text[at:low], replacement)
            at = high
        pieces.append(self._file.text[at:end])
        return "".join(pieces)

    def _meaning(self, text: str, start: int) -> Digest | None:
        """Return the meaning of whole lines, None where they are not Python."""
        if start == self._unit.start and self._unit.kind != "module":
            return meaning_of(f"if 1:\n{text}" if text[:1] in {" ", "\t", "\f"} else text)
        if self._unit.kind == "module":
            return meaning_of(text)
        kind = "async def" if isinstance(self._unit.node, ast.AsyncFunctionDef) else "def"
        return meaning_of(f"{kind} _():\n{text}\n")

    def _outside_header(self, site: Site, proposal: Proposal) -> bool:
        statement = site.statement
        if proposal.structural or isinstance(statement, (ast.Try, ast.Match, ast.ClassDef, *FUNCTIONS)):
            return True
        low, high = self._header_span(site)
        return any(start < low or end > high or "\n" in text for start, end, text in proposal.edits)

    def _header_span(self, site: Site) -> tuple[int, int]:
        start, end = self._file.span(site.statement)
        body = getattr(site.statement, "body", None)
        return (start, self._file.span(body[0])[0]) if isinstance(body, list) and body else (start, end)

    @staticmethod
    def _statement(site: Site, text: str) -> Digest | None:
        """Return the meaning of a simple statement, or of a compound one's header."""
        if getattr(site.statement, "body", None):
            text = text.rstrip() + "\n   pass\n"
            text = text[2:] if text.startswith("elif") else text
        kind = "async def" if isinstance(site.function, ast.AsyncFunctionDef) else "def"
        return meaning_of(f"{kind} _():\n while 1:\n  {text}\n")

    def _names_known(self, site: Site, proposal: Proposal) -> bool:
        whole = "\n".join(text for _, _, text in proposal.edits)
        for start, _, text in proposal.edits:
            bare = _LITERAL.sub("''", text) if "'" in text or '"' in text else text
            for found in _NAME.finditer(bare):
                name = found.group(1)
                if name in self._names or name in BUILTINS or keyword.iskeyword(name):
                    continue
                if found.start() == 0 and self._file.text[start - 1 : start] == ".":
                    continue
                if not self._introduced(site, name, whole):
                    return False
        return True

    @staticmethod
    def _introduced(site: Site, name: str, text: str) -> bool:
        """Whether the new text itself binds the name."""
        return bool(re.search(rf"\b(?:for|as|import|lambda)\s+{name}\b|\b{name}\s*=(?!=)", text)) and bool(site.unit)
