"""How well a change reads beside the code around it: a small language model trained on the repository itself."""

from __future__ import annotations

import math
import re
from collections import Counter, OrderedDict
from collections.abc import Iterable

from agents.edits import apply_edits, decode
from agents.errors import EditError
from agents.results import Candidate
from sandbox.tree import Tree

_TOKEN = re.compile(
    r"#[^\r\n]*|[rbfuRBFU]{0,2}(?:'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\\r\n])*'|\"(?:\\.|[^\"\\\r\n])*\")"
    r"|\d[\w.]*|\w+|\*\*|//|<<|>>|[-+*/%&|^=<>!]=|->|:=|[^\w\s]|\r\n|[\r\n]",
    re.DOTALL,
)
_MOST_CHARACTERS = 400_000
_ORDER = 3


def tokens(text: str) -> list[str]:
    """Cut Python text into tokens; comments and blank lines are left out, long strings count as one kind."""
    found: list[str] = []
    for token in _TOKEN.findall(text):
        if token[0] == "#":
            continue
        if token in {"\r\n", "\r", "\n"}:
            if found and found[-1] != "\n":
                found.append("\n")
        else:
            found.append("<string>" if len(token) > 24 and token[-1] in "'\"" else token)
    return found


class LanguageModel:
    """Trigrams with Jelinek-Mercer interpolation; the file at hand counts more than the rest.

    The cache of the local file follows Tu, Su, Devanbu: On the Localness of Software (2014).
    """

    def __init__(self, texts: Iterable[str]) -> None:
        """Count the n-grams of all texts."""
        self._grams: Counter[tuple[str, ...]] = Counter()
        self._contexts: Counter[tuple[str, ...]] = Counter()
        self._total = 0
        for text in texts:
            self._learn(tokens(text), 1)

    def _learn(self, sequence: list[str], weight: int) -> None:
        padded = ["\n"] * (_ORDER - 1) + sequence
        self._total += weight * len(sequence)
        for end in range(_ORDER - 1, len(padded)):
            for size in range(1, _ORDER + 1):
                gram = tuple(padded[end - size + 1 : end + 1])
                self._grams[gram] += weight
                self._contexts[gram[:-1]] += weight

    def local(self, text: str) -> LanguageModel:
        """Return a model that has also seen `text`, three times over."""
        model = LanguageModel(())
        model._grams, model._contexts = self._grams.copy(), self._contexts.copy()
        model._total = self._total
        model._learn(tokens(text), 3)
        return model

    def bits(self, before: list[str], sequence: list[str]) -> float:
        """Return the cross-entropy of `sequence` after `before`, in bits."""
        padded = (["\n"] * (_ORDER - 1) + before)[-(_ORDER - 1) :] + sequence
        total = 0.0
        for end in range(_ORDER - 1, len(padded)):
            probability = 1e-6
            for size, share in ((1, 0.15), (2, 0.35), (3, 0.5)):
                gram = tuple(padded[end - size + 1 : end + 1])
                seen = self._contexts.get(gram[:-1], 0)
                if seen:
                    probability += share * self._grams.get(gram, 0) / (seen + (1 if size > 1 else 0))
            total -= math.log2(probability)
        return total


_MODELS: OrderedDict[tuple[str, str], LanguageModel] = OrderedDict()
_KEPT = 8


def _model(tree: Tree, near: str) -> LanguageModel:
    """Return the model of a tree as seen from one of its files; the last few are kept."""
    key = (tree.digest, near)
    if key not in _MODELS:
        _MODELS[key] = _train(tree, near)
        while len(_MODELS) > _KEPT:
            _MODELS.popitem(last=False)
    return _MODELS[key]


def _train(tree: Tree, near: str) -> LanguageModel:
    folder = near.rpartition("/")[0]
    paths = [p for p, e in tree.items() if p.endswith(".py") and e.kind == "file" and p != near]
    paths.sort(key=lambda p: (not p.startswith(folder), p))
    texts: list[str] = []
    left = _MOST_CHARACTERS
    for path in paths:
        if len(tree[path].data) > left:
            continue
        try:
            texts.append(decode(tree[path].data).text)
        except EditError:
            continue
        left -= len(tree[path].data)
    model = LanguageModel(texts)
    return model.local(_text(tree, near))


def _text(tree: Tree, path: str) -> str:
    return decode(tree[path].data).text


def naturalness(candidate: Candidate, tree: Tree) -> float:
    """Return how many bits for each token the changed lines, with a line around, read better than before.

    Negative where they read worse. Deleting or adding lines counts by how the rest reads, not by length.

    Raises:
        EditError: the candidate does not fit the tree.

    """
    change = 0.0
    for path in dict.fromkeys(e.path for e in candidate.edits):
        if path not in tree:
            raise EditError(f"{path} is not a file of the tree")
        before, old, new, after = changed_lines(candidate, _text(tree, path), path)
        model = _model(tree, path)
        lead, around = tokens(before), tokens(after)
        follow = around[: around.index("\n") + 1] if "\n" in around else around
        one, two = lead + tokens(old) + follow, lead + tokens(new) + follow
        change += model.bits([], one) / max(1, len(one)) - model.bits([], two) / max(1, len(two))
    return change


def changed_lines(candidate: Candidate, text: str, path: str) -> tuple[str, str, str, str]:
    """Return a file's text cut into what stands before, the changed lines (old and new), and what stands after."""
    edits = [e for e in candidate.edits if e.path == path]
    low = text.rfind("\n", 0, min(e.start for e in edits)) + 1
    high = text.find("\n", max(e.end for e in edits))
    high = len(text) if high < 0 else high + 1
    shifted = [type(e)(path, e.start - low, e.end - low, e.replacement) for e in edits]
    return _last_line(text, low), text[low:high], apply_edits(text[low:high], shifted), text[high : high + 200]


def _last_line(text: str, end: int) -> str:
    """Return the line that ends before a line's start."""
    return text[text.rfind("\n", 0, max(0, end - 1)) + 1 : end]
