"""The benchmark of the agents: its meter counts what passes, its cases judge, and its figures say what falls short."""

from __future__ import annotations

from pathlib import Path

from agents.models.client import EndpointModel
from agents.models.protocol import ChatRequest, message
from agents.models.tiers import Tier
from benchmarks.agents.cases import CorpusCase, corpus, failures
from benchmarks.agents.conditions import answered
from benchmarks.agents.main import Row, falls_short, figures
from benchmarks.agents.meter import Meter, Spent
from benchmarks.corpus_loader import load
from tests.models.endpoint import Say, ScriptedEndpoint


def test_the_meter_counts_streamed_and_whole_calls() -> None:
    script = [Say("hello", usage=(11, 3)), Say("again", usage=(7, 2))]
    with ScriptedEndpoint(script) as endpoint, Meter(endpoint.tier()) as meter:
        request = ChatRequest((message("user", "say hello"),), 16)
        for stream, text in ((True, "hello"), (False, "again")):
            model = EndpointModel(Tier("metered", meter.endpoint, meter.model, key="none", stream=stream))
            assert model.complete(request).text == text
        assert meter.take() == Spent(2, 18, 5)
        assert meter.take() == Spent()


def test_a_case_of_the_corpus_tells_its_failures_and_judges(tmp_path: Path) -> None:
    bug = load(names=["binary_search.unchecked"])[0]
    case = CorpusCase(bug)
    folder = tmp_path / "repository"
    case.make(folder)
    tests, failure = failures(case, folder)
    assert "def test_" in tests
    assert "FAILED" in failure
    assert not case.judge(folder).passed
    (folder / case.path).write_text(bug.reference, encoding="utf-8")
    assert case.judge(folder).correct


def test_samples_are_always_the_same() -> None:
    first = [case.id for case in corpus("tune", 5)]
    assert first == [case.id for case in corpus("tune", 5)]
    assert len(first) == 5


def test_functions_of_a_reply_are_found_beside_other_code() -> None:
    text = "class A:\n    def f(self):\n        return 1\n\n\ndef g():\n    return 2\n"
    reply = "So:\n```python\nimport re\n\ndef f(self):\n    return 3\n\nprint(A().f())\n```\n"
    ((name, block),) = answered(reply, text)
    assert name == "A.f"
    assert "import re" in block
    assert "print" not in block


def row(name: str, condition: str, *, resolved: bool, tokens: int) -> Row:
    return Row("corpus", name, condition, resolved, False, tokens, 1, 0, 1.0, 0.0, "")


def test_figures_compare_what_both_were_given() -> None:
    ours = [row(n, "tiers-0+1", resolved=n != "c", tokens=100) for n in "abc"]
    shots = [row(n, "single-shot", resolved=n == "a", tokens=400) for n in "abcd"]
    peers = [row(str(n), "mini-swe-agent", resolved=False, tokens=9) for n in range(10)]
    assert figures(ours)["tokens_per_resolved"] == 150
    assert figures(peers)["tokens_per_resolved"] is None
    rows = {"tiers-0+1": ours, "single-shot": shots, "mini-swe-agent": peers}
    assert falls_short(rows, whole=True) == []
    dear = {**rows, "tiers-0+1": [row("a", "tiers-0+1", resolved=True, tokens=9000)]}
    assert len(falls_short(dear, whole=True)) == 2
    assert len(falls_short({"single-shot": shots}, whole=False)) == 3
