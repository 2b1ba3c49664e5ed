"""Outlines: of a file, and of a whole tree within a budget of tokens."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.context.facts import Symbol
    from agents.context.index import Index

CHARACTERS_PER_TOKEN = 3
_SIGNATURE = 140
_DAMPING = 0.85
_ROUNDS = 12
_SMALL = {"variable": 0.15, "constant": 0.3, "method": 0.7}
_TESTS = 0.1
"""What files of tests count beside others."""


def in_tests(path: str) -> bool:
    """Whether a path looks like tests in any language."""
    *folders, name = path.lower().split("/")
    return bool({"test", "tests", "testing", "__tests__", "spec"} & set(folders)) or bool(
        re.match(r"(test_.*|conftest\.py|.*[._]test\.\w+|.*_tests?\.\w+|.*\.spec\.\w+|.*tests?\.java)\Z", name)
    )


class Outliner:
    """Ranks a tree's definitions once, and writes outlines of them."""

    def __init__(self, index: Index) -> None:
        """Rank nothing yet."""
        self._index = index
        self._ranks: Mapping[str, float] | None = None
        self._weights: list[tuple[float, str, str, str, int]] | None = None

    def file_outline(self, path: str) -> str:
        """Return a file's definitions, indented by depth, each with its lines."""
        lines = []
        for symbol in self._index.symbols_of(path):
            if symbol.kind == "variable" and "." in symbol.qualified:
                continue
            depth = symbol.qualified.count(".")
            span = f"{symbol.first}-{symbol.last}" if symbol.last > symbol.first else f"{symbol.first}"
            lines.append(f"{'    ' * depth}{self._signature(symbol)}  # {span}")
        return "\n".join(lines)

    def _signature(self, symbol: Symbol) -> str:
        return signature(self._index.lines(symbol.path), symbol.line)

    def outline(self, tokens: int, focus: Sequence[str] = ()) -> str:
        """Return the tree's outline; see `Index.outline`."""
        budget = max(0, tokens) * CHARACTERS_PER_TOKEN
        scored = self._scored(focus)
        chosen: dict[str, set[int]] = {}
        used = 0
        for _, path, _, line in scored:
            cost = min(_SIGNATURE, len(self._index.line(path, line).rstrip()) + 10)
            cost += 0 if path in chosen else len(path) + 2
            if used + cost > budget:
                if used > budget * 0.95:
                    break
                continue
            used += cost
            chosen.setdefault(path, set()).add(line)
        return self._written(chosen, budget)

    def _written(self, chosen: Mapping[str, set[int]], budget: int) -> str:
        blocks: list[str] = []
        left = budget
        for path, wanted in chosen.items():
            lines = [f"{path}:"]
            symbols = {s.line: s for s in self._index.symbols_of(path)}
            for line in sorted(wanted):
                depth = symbols[line].qualified.count(".")
                lines.append(f"{'  ' * (depth + 1)}{line}: {self._signature(symbols[line])}")
            block = "\n".join(lines)
            if len(block) + 1 > left:
                continue
            left -= len(block) + 1
            blocks.append(block)
        return "\n".join(blocks)

    def ranks(self) -> Mapping[str, float]:
        """Return path → how central it is in the import graph, 1 for the average file."""
        if self._ranks is None:
            self._ranks = _page_rank({p: self._index.imports(p) for p in self._index.paths()})
        return self._ranks

    def _weighed(self) -> list[tuple[float, str, str, str, int]]:
        """Return (weight, path, name, qualified name, line) of every definition that an outline may show."""
        if self._weights is None:
            mentions = self._index.mentions()
            every = self._index.all_symbols()
            same: dict[str, int] = {}
            for _, name, _, _, _ in every:
                same[name] = same.get(name, 0) + 1
            ranks = self.ranks()
            self._weights = []
            for path, name, qualified, kind, line in every:
                if kind == "variable" and "." in qualified:
                    continue
                # Many definitions share a common name's mentions; most of those are of something else.
                mentioned = mentions.get(name.lower(), 0) / same[name]
                weight = (0.2 + math.log1p(mentioned)) * math.sqrt(ranks.get(path, 1.0)) * _SMALL.get(kind, 1.0)
                weight *= 0.4 if name.startswith("_") else 1.0
                weight *= _TESTS if in_tests(path) else 1.0
                self._weights.append((weight, path, name, qualified, line))
        return self._weights

    def _scored(self, focus: Sequence[str]) -> list[tuple[float, str, str, int]]:
        near_files, near_names = self._near(focus)
        scored = [
            (weight * near_files.get(path, 1.0) * near_names.get(name, 1.0), path, qualified, line)
            for weight, path, name, qualified, line in self._weighed()
        ]
        scored.sort(key=lambda item: (-item[0], item[1], item[3]))
        return scored

    def _near(self, focus: Sequence[str]) -> tuple[dict[str, float], dict[str, float]]:
        """Return how much more files, and names, count because of what is asked for."""
        files: dict[str, float] = {}
        names: dict[str, float] = {}
        for text in focus:
            if text in self._index.tree:
                files[text] = max(files.get(text, 1.0), 100.0)
                for other in (*self._index.imports(text), *self._index.importers(text)):
                    files[other] = max(files.get(other, 1.0), 4.0)
                continue
            for name in re.findall(r"[^\W\d]\w{2,}", text[:20_000]):
                names[name] = 20.0
            hits = self._index.search(text, 12)
            for hit in hits:
                near = 1.0 + 9.0 * (hit.score / hits[0].score) ** 2
                files[hit.path] = max(files.get(hit.path, 1.0), near)
                name = hit.symbol.rpartition(".")[2]
                names[name] = max(names.get(name, 1.0), near)
        names.pop("", None)
        return files, names


def signature(lines: Sequence[str], line: int) -> str:
    """Return the line that names a definition, with those that go on with it, as one of at most 140 characters."""
    text = lines[line - 1].strip() if line <= len(lines) else ""
    number = line
    while text.count("(") > text.count(")") and number < len(lines) and len(text) < _SIGNATURE:
        text = f"{text} {lines[number].strip()}"
        number += 1
    text = text.replace("( ", "(").replace(", )", ")").rstrip("{").rstrip()
    return text if len(text) <= _SIGNATURE else text[: _SIGNATURE - 1] + "…"


def _page_rank(graph: Mapping[str, Sequence[str]]) -> Mapping[str, float]:
    """Brin, Page: The Anatomy of a Large-Scale Hypertextual Web Search Engine (1998); scaled to an average of 1."""
    rank = dict.fromkeys(graph, 1.0)
    for _ in range(_ROUNDS):
        following = dict.fromkeys(graph, 1.0 - _DAMPING)
        lost = 0.0
        for path, targets in graph.items():
            if not targets:
                lost += rank[path]
                continue
            share = _DAMPING * rank[path] / len(targets)
            for target in targets:
                if target in following:
                    following[target] += share
        spread = _DAMPING * lost / max(1, len(graph))
        rank = {path: value + spread for path, value in following.items()}
    return rank
