"""The benchmark of finding places: its recall, its BM25, its judgement, and the rules of the peer's child."""

from __future__ import annotations

import pytest

from benchmarks.agents import index
from benchmarks.agents.aider_child import mentioned
from benchmarks.agents.bm25 import bm25
from benchmarks.agents.localisation import falls_short, recall


@pytest.mark.parametrize(
    ("scores", "truth", "cut", "expected"),
    [
        ({"a": 3.0, "b": 2.0, "c": 1.0}, {"a"}, 1, 1.0),
        ({"a": 3.0, "b": 2.0, "c": 1.0}, {"b", "c"}, 1, 0.0),
        ({"a": 3.0, "b": 2.0, "c": 1.0}, {"b", "c"}, 3, 1.0),
        ({"a": 3.0, "b": 2.0}, {"a", "x"}, 5, 0.5),
        # One of four that are tied stands first in a quarter of all orders, and among three in three quarters.
        ({"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}, {"c"}, 1, 0.25),
        ({"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}, {"c"}, 3, 0.75),
        ({"z": 2.0, "a": 1.0, "b": 1.0}, {"a", "b"}, 2, 0.5),
        ({"a": 0.0}, {"a"}, 5, 0.0),
        ({}, {"a"}, 5, 0.0),
    ],
)
def test_recall_counts_ties_by_expectation(
    scores: dict[str, float], truth: set[str], cut: int, expected: float
) -> None:
    assert recall(scores, truth, cut) == pytest.approx(expected)


def test_bm25_prefers_rare_words_and_short_documents() -> None:
    documents = {
        "rare.py": "common common unicorn",
        "plain.py": "common common common",
        "long.py": "unicorn " + "padding " * 200,
        "none.py": "nothing of it",
    }
    scores = bm25(documents, "the common Unicorn")
    assert max(scores, key=lambda name: scores[name]) == "rare.py"
    assert scores["rare.py"] > scores["long.py"] > 0
    assert "none.py" not in scores
    assert bm25({}, "x") == {}


def test_what_falls_short_of_the_promise_is_said() -> None:
    fine = {"fused": [80.0, 90.0, 95.0, 40.0, 50.0, 60.0], "bm25": [60.0, 90.0, 95.0, 0.0, 0.0, 0.0],
            "aider map": [30.0] * 6, "left out": [99.0] * 6}  # fmt: skip
    assert falls_short(fine, whole=True) == []
    assert falls_short(fine, whole=False) == ["not all tasks were measured"]
    worse = fine | {"spectrum": [70.0, 80.0, 95.0, 30.0, 40.0, 61.0], "bm25": [70.0, 90.0, 95.0, 0.0, 0.0, 0.0]}
    assert falls_short(worse, whole=True) == [
        "function at 5: spectrum finds 61.0 %, fused 60.0 %",
        "10.0 points above BM25 at 1, 15 wanted",
    ]


def test_a_slow_or_large_index_is_said() -> None:
    ours = {"lines": 600_000, "cold": 19.0, "changed": [0.1, 0.4], "megabytes": 500.0}
    peer = {"cold": 60.0, "changed": 5.0, "megabytes": 800.0}
    assert index.falls_short(ours, peer) == []
    slow = ours | {"cold": 20.5, "changed": [0.1, 0.6], "megabytes": 601.0, "lines": 1000}
    assert len(index.falls_short(slow, None)) == 5


def test_the_peer_is_told_what_a_message_mentions() -> None:
    files = ["src/shop/cart.py", "src/shop/stock.py", "README.md", "src/run.py"]
    names, idents = mentioned("Look at `src/shop/cart.py`; stock is wrong, add_line() too.", files)
    assert {"src/shop/cart.py", "src/shop/stock.py"} == names
    assert {"stock", "add_line"} <= idents
