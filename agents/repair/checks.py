"""Whether a proposal is worth a run: it compiles, means something new, and uses no unknown name."""

from __future__ import annotations

import ast
import keyword
import re
import warnings
from types import CodeType

from agents.repair.scopes import BUILTINS, ModuleScope
from agents.repair.templates.site import Proposal, Site
from agents.repair.units import FUNCTIONS, SourceFile, Unit

_SMALL = 80
"""Lines up to which a unit is compiled whole for every candidate, so that equal ones are recognised exactly."""
_NAME = re.compile(r"(?<![\w.'\"])([A-Za-z_]\w*)(?!\w)(?!\s*=[^=])")
_LITERAL = re.compile(r"[rbfuRBFU]{0,2}('''|\"\"\"|'|\")(?:\\.|(?!\1).)*\1", re.DOTALL)

Meaning = tuple[object, ...]


def meaning(code: CodeType) -> Meaning:
    """Return what a code object does, without where it stands: equal results behave alike."""
    constants = tuple(meaning(c) if isinstance(c, CodeType) else (type(c).__name__, repr(c)) for c in code.co_consts)
    return (
        code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_flags,
        code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, getattr(code, "co_exceptiontable", b""),
    )  # fmt: skip


class UnitChecker:
    """Judges the proposals for one unit; remembers what it has accepted."""

    def __init__(self, file: SourceFile, unit: Unit, module: ModuleScope) -> None:
        """Compile the unit as it is."""
        self._file, self._unit, self._module = file, unit, module
        self._text = file.text[unit.start : unit.end]
        self._small = unit.last_line - unit.first_line < _SMALL
        self._seen: set[object] = set()
        self._texts: set[str] = {self._text}
        self._names = frozenset(re.findall(r"[A-Za-z_]\w*", file.text))
        whole = self._compile(self._text)
        if whole is not None:
            self._seen.add(hash(whole))

    def accept(self, site: Site, proposal: Proposal) -> bool:
        """Whether the proposal is new and sound; it counts as seen from then on."""
        if not self._names_known(site, proposal):
            return False
        if any(start < self._unit.start or start > self._unit.end for start, _, _ in proposal.edits):
            key: object = self._whole_file(proposal)
        elif self._small or proposal.structural or self._outside_header(site, proposal):
            text = self._changed(proposal, self._unit.start, self._unit.end)
            if text is None or text in self._texts:
                return False
            self._texts.add(text)
            key = self._compile(text)
        else:
            key = self._header(site, proposal)
        if key is None:
            return False
        key = hash(key)
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    def _whole_file(self, proposal: Proposal) -> Meaning | None:
        """Return the meaning of the file with edits that lie outside the unit (an added import, for instance)."""
        text, at = "", 0
        for low, high, replacement in proposal.edits:
            text += self._file.text[at:low] + replacement
            at = high
        return meaning_of(text + self._file.text[at:])

    def _changed(self, proposal: Proposal, start: int, end: int) -> str | None:
        """Return the text between two offsets with the edits made; None where an edit lies outside or overlaps."""
        pieces: list[str] = []
        at = start
        for low, high, replacement in proposal.edits:
            if low < at or high > end:
                if not (self._unit.kind != "module" and low >= end):
                    return None
                high = end  # an insertion after the unit's last line
            pieces += (self._file.text[at:low], replacement)
            at = high
        pieces.append(self._file.text[at:end])
        return "".join(pieces)

    def _compile(self, text: str) -> Meaning | None:
        """Return the meaning of a whole unit's text, None where it is not Python."""
        body = f"if 1:\n{text}" if text[:1] in {" ", "\t", "\f"} and self._unit.kind != "module" else text
        return meaning_of(body)

    def _outside_header(self, site: Site, proposal: Proposal) -> bool:
        statement = site.statement
        if isinstance(statement, (ast.Try, ast.Match, ast.ClassDef, *FUNCTIONS)):
            return True
        low, high = self._header_span(site)
        return any(start < low or end > high for start, end, _ in proposal.edits)

    def _header_span(self, site: Site) -> tuple[int, int]:
        start, end = self._file.span(site.statement)
        body = getattr(site.statement, "body", None)
        return (start, self._file.span(body[0])[0]) if isinstance(body, list) and body else (start, end)

    def _header(self, site: Site, proposal: Proposal) -> object:
        """Return the meaning of the changed statement by itself, with its place."""
        low, high = self._header_span(site)
        text = self._changed(proposal, low, high)
        if text is None:
            return None
        if getattr(site.statement, "body", None):
            text = text.rstrip() + "\n   pass\n"
            text = text[2:] if text.startswith("elif") else text
        key = (low, text)
        if key in self._seen:
            return None
        self._seen.add(key)
        kind = "async def" if isinstance(site.function, ast.AsyncFunctionDef) else "def"
        found = meaning_of(f"{kind} _():\n while 1:\n  {text}\n")
        original = (low, "original")
        if original not in self._seen:
            self._seen.add(original)
            plain = self._file.text[low:high]
            if getattr(site.statement, "body", None):
                plain = plain.rstrip() + "\n   pass\n"
                plain = plain[2:] if plain.startswith("elif") else plain
            self._seen.add(hash((low, meaning_of(f"{kind} _():\n while 1:\n  {plain}\n"))))
        return (low, found) if found is not None else None

    def _names_known(self, site: Site, proposal: Proposal) -> bool:
        for start, _, text in proposal.edits:
            bare = _LITERAL.sub("''", text) if "'" in text or '"' in text else text
            for found in _NAME.finditer(bare):
                name = found.group(1)
                if name in self._names or name in BUILTINS or keyword.iskeyword(name):
                    continue
                if found.start() == 0 and self._file.text[start - 1 : start] == ".":
                    continue
                if not self._introduced(site, name, bare):
                    return False
        return True

    @staticmethod
    def _introduced(site: Site, name: str, text: str) -> bool:
        """Whether the new text itself binds the name."""
        return bool(re.search(rf"\b(?:for|as|import|lambda)\s+{name}\b|\b{name}\s*=(?!=)", text)) and bool(site.unit)


def meaning_of(text: str) -> Meaning | None:
    """Return what a module's text does (see `meaning`), None where it does not compile."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return meaning(compile(text, "<candidate>", "exec", dont_inherit=True))
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            return None
