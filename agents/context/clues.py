"""Which files and functions a text and the failing tests point to: one function for each kind of clue."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from agents.context.facts import Symbol
from agents.context.history import changed_together
from agents.context.index import Index
from agents.context.searching import STOP_WORDS

Place = tuple[str, str]
"""Path and qualified name of the innermost function or class; `<module>` outside of all."""
MODULE = "<module>"
Eligible = Callable[[str], bool]
"""Whether a path may be a place."""

_NAME = re.compile(r"[^\W\d]\w*(?:(?:\.|::)[^\W\d]\w*)*")
_PATHLIKE = re.compile(r"[\w./-]+\.(?:py|pyi|js|jsx|ts|tsx|go|java|rs)\b")
_MOST_TEXT = 100_000
_HITS = 80
_PLAIN_WORD = 0.3
"""What a word of plain prose counts that happens to be a name, beside one that can only be a name."""


@dataclass(slots=True)
class Clue:
    """Values above 0, the larger the better; files that are named as a whole have no function."""

    functions: dict[Place, float] = field(default_factory=dict)
    files: dict[str, float] = field(default_factory=dict)
    lines: dict[Place, int] = field(default_factory=dict)
    """The line that a function's value comes from, where it is that of one line."""

    def add(self, place: Place, value: float, line: int = 0) -> None:
        """Note a value unless a larger one is known; the file has it, too."""
        if value > self.functions.get(place, 0.0):
            self.functions[place] = value
            if line:
                self.lines[place] = line
        self.add_file(place[0], value)

    def add_file(self, path: str, value: float) -> None:
        """Note a value for a file."""
        if value > self.files.get(path, 0.0):
            self.files[path] = value

    def scaled(self) -> Clue:
        """Return the clue with 1 as its largest values."""
        top = max(self.functions.values(), default=1.0)
        top_file = max(self.files.values(), default=1.0)
        functions = {place: value / top for place, value in self.functions.items()}
        return Clue(functions, {path: value / top_file for path, value in self.files.items()}, self.lines)


def place_of(index: Index, path: str, line: int) -> Place:
    """Return the place that a line belongs to."""
    symbol = index.symbol_at(path, line)
    return path, symbol.qualified if symbol is not None else MODULE


def test_source(index: Index, node_id: str) -> tuple[str, Symbol | None]:
    """Return the text and the definition of a test by its node id; "" and None where it is not found."""
    path, _, rest = node_id.partition("::")
    qualified = rest.partition("[")[0].replace("::", ".")
    symbol = next((s for s in index.symbols_of(path) if s.qualified == qualified), None)
    if symbol is None:
        # An inherited test is defined in a base class, under the same name.
        name = qualified.rpartition(".")[2]
        symbol = next((s for s in index.symbols_of(path) if s.name == name), None)
    if symbol is None:
        return "", None
    return "\n".join(index.lines(path)[symbol.first - 1 : symbol.last]), symbol


def named(index: Index, texts: Iterable[tuple[str, float]], eligible: Eligible) -> Clue:
    """Return the definitions and files that texts name, each text with its weight.

    A name counts for more the fewer definitions have it and the fewer files use it.
    """
    clue = Clue()
    total = max(2, index.stats().files)
    mentions = index.mentions()
    for text, weight in texts:
        for name, certainty in _names(text[:_MOST_TEXT]).items():
            last = re.split(r"\.|::", name)[-1]
            if len(last) < 3 or (certainty < 1.0 and last.lower() in STOP_WORDS):
                continue
            found = [s for s in index.symbols(name, 12) if s.name == last and eligible(s.path)]
            if not found or len(found) > 8:
                continue
            rarity = 1.0 - math.log1p(mentions.get(last.lower(), 0)) / math.log1p(total + 1)
            value = weight * certainty * (0.25 + 0.75 * max(0.0, rarity)) / math.sqrt(len(found))
            for symbol in found:
                if symbol.kind in {"variable", "constant"}:
                    clue.add(place_of(index, symbol.path, symbol.line), value * 0.5)
                else:
                    clue.add((symbol.path, symbol.qualified), value)
        for path in _paths(index, text[:_MOST_TEXT]):
            if eligible(path):
                clue.add_file(path, weight)
    return clue


def _names(text: str) -> dict[str, float]:
    """Return name → how certainly it is one, and not a word of prose."""
    found: dict[str, float] = {}
    for match in _NAME.finditer(text):
        name = match[0]
        before, after = text[max(0, match.start() - 1) : match.start()], text[match.end() : match.end() + 1]
        told = before == "`" or after in {"(", "`"} or "_" in name.strip("_") or "." in name or "::" in name
        told = told or bool(re.search(r"[a-z][A-Z]", name))
        for candidate in {name, re.split(r"\.|::", name)[-1]}:
            found[candidate] = max(found.get(candidate, 0.0), 1.0 if told else _PLAIN_WORD)
        if "." in name:
            for part in name.split(".")[:-1]:
                found[part] = max(found.get(part, 0.0), 0.5)
    return found


def _paths(index: Index, text: str) -> list[str]:
    found = []
    for match in _PATHLIKE.findall(text):
        tail = match.lstrip("./")
        fitting = [path for path in index.tree if path == tail or path.endswith(f"/{tail}")]
        found += fitting if len(fitting) <= 3 else []
    return found


def searched(index: Index, texts: Iterable[tuple[str, float]], eligible: Eligible) -> Clue:
    """Return the passages that the full-text search finds for each text, by functions and files."""
    clue = Clue()
    files: dict[str, float] = {}
    for text, weight in texts:
        hits = [hit for hit in index.search(text[:_MOST_TEXT], _HITS) if eligible(hit.path)]
        seen: dict[str, int] = {}
        mine: dict[str, float] = {}
        for hit in hits:
            value = weight * hit.score / hits[0].score
            clue.add((hit.path, hit.symbol or MODULE), value)
            # A file is as good as its best passages.
            number = seen[hit.path] = seen.get(hit.path, 0) + 1
            if number <= 4:
                mine[hit.path] = mine.get(hit.path, 0.0) + value * 0.6 ** (number - 1)
        for path, value in mine.items():
            files[path] = files.get(path, 0.0) + value
    clue.files = files
    return clue


def imported(index: Index, targets: Sequence[str], eligible: Eligible) -> Clue:
    """Return what the failing tests' files import, more weakly what that imports, and the names that the tests use."""
    clue = Clue()
    for path in dict.fromkeys(target.partition("::")[0] for target in targets):
        sources = [test_source(index, t)[0] for t in targets if t.startswith(f"{path}::")]
        used = set(re.findall(r"\w+", "\n".join(sources)))
        for name in index.imported_names(path):
            last = name.rpartition(".")[2]
            if last in used:
                for symbol in index.symbols(name, 4):
                    if symbol.name == last and eligible(symbol.path):
                        clue.add((symbol.path, symbol.qualified), 1.0)
        first = [p for p in index.imports(path) if eligible(p)]
        for near in first:
            # A package's own module mostly hands on what others define.
            clue.add_file(near, 0.6 if near.endswith("/__init__.py") else 0.8)
            for far in index.imports(near):
                if eligible(far):
                    clue.add_file(far, 0.5)
        stem = re.sub(r"^test_|_tests?$", "", path.rpartition("/")[2].rpartition(".")[0])
        for other in index.paths():
            if eligible(other) and stem and other.rpartition("/")[2].rpartition(".")[0].strip("_") == stem:
                clue.add_file(other, 1.0)
    return clue


def historic(index: Index, targets: Sequence[str], eligible: Eligible) -> Clue:
    """Return the files that change often, and those that changed together with the failing tests."""
    clue = Clue()
    for path, value in index.history.frequency().items():
        if path in index.tree and eligible(path):
            clue.add_file(path, value * 0.5)
    tests = list(dict.fromkeys(target.partition("::")[0] for target in targets))
    for path, value in changed_together(index.history, tests).items():
        if path in index.tree and eligible(path):
            clue.add_file(path, value)
    return clue
