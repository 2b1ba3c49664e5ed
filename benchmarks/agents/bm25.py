"""Plain BM25 over whole files: the yardstick for finding places."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping

K1, B = 1.2, 0.75


def bm25(documents: Mapping[str, str], query: str) -> dict[str, float]:
    """Return document → score, only those above 0; words are runs of word characters in lower case.

    Robertson, Zaragoza: The Probabilistic Relevance Framework: BM25 and Beyond (2009), with the usual constants.
    """
    counts = {name: Counter(_words(text)) for name, text in documents.items()}
    lengths = {name: sum(words.values()) for name, words in counts.items()}
    average = sum(lengths.values()) / max(1, len(lengths)) or 1.0
    having = Counter(word for words in counts.values() for word in words)
    scores: dict[str, float] = {}
    for name, words in counts.items():
        score = 0.0
        for word, times in Counter(_words(query)).items():
            if words[word]:
                rarity = math.log(1 + (len(counts) - having[word] + 0.5) / (having[word] + 0.5))
                norm = K1 * (1 - B + B * lengths[name] / average)
                score += times * rarity * words[word] * (K1 + 1) / (words[word] + norm)
        if score > 0:
            scores[name] = score
    return scores


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
