"""`fix --model`: what the search cannot repair is asked of a model, and nothing that an endpoint does ends the run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.models.endpoint import HTML, Behaviour, Say, ScriptedEndpoint, Status
from tests.workflows.conftest import Files, Ran

HARD: Files = {
    "clock/__init__.py": "",
    "clock/spans.py": '''\
        """Spans of time in words."""


        def in_words(seconds):
            """Return "1h 2m 3s" for 3723; leave out what is 0, and say "0s" for nothing."""
            return f"{seconds}s"
        ''',
    "tests/test_spans.py": """\
        from clock.spans import in_words


        def test_seconds():
            assert in_words(3) == "3s"


        def test_all():
            assert in_words(3723) == "1h 2m 3s"


        def test_left_out():
            assert in_words(7200) == "2h"


        def test_nothing():
            assert in_words(0) == "0s"
        """,
    "pyproject.toml": '[project]\nname = "clock"\nversion = "1.0"\n[tool.pytest.ini_options]\npythonpath = ["."]\n',
}
"""A function that was never finished: no edit of what is there repairs it."""
BODY = '''\
def in_words(seconds):
    """Return "1h 2m 3s" for 3723; leave out what is 0, and say "0s" for nothing."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{number}{unit}" for number, unit in ((hours, "h"), (minutes, "m"), (rest, "s")) if number]
    return " ".join(parts) or "0s"
'''
SPECIAL = Say(
    "```python\ndef in_words(seconds):\n    if seconds == 3723:\n        return '1h 2m 3s'\n"
    "    if seconds == 7200:\n        return '2h'\n    return f'{seconds}s'\n```\n",
    usage=(400, 60),
)
"""It answers the failing tests, and nothing else."""
RIGHT = Say(f"Here it is:\n\n```python\n{BODY}```\n", usage=(400, 90))
WRONG = Say("```python\ndef in_words(seconds):\n    return 'a while'\n```\n", usage=(400, 20))


def variables(endpoint: ScriptedEndpoint, **more: str) -> dict[str, str]:
    """What names the endpoint as a tier."""
    tier = {"ENDPOINT": endpoint.url, "MODEL": endpoint.model, "CONTEXT": "8000", "TOOLS": "false",
            "PRICES__INPUT": "2", "PRICES__OUTPUT": "10", **more}  # fmt: skip
    return {f"GREENDIFF_MODELS__SMALL__{name}": value for name, value in tier.items()}


def bundle_facts(run: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(run["bundle"]) / "manifest.json").read_text())
    return found


@pytest.fixture
def hard(repository: Callable[..., Path]) -> Path:
    return repository(HARD)


def test_what_the_search_cannot_find_is_asked_of_a_model_and_replayed_offline_to_the_byte(
    hard: Path, tmp_path: Path, quick: Callable[..., Ran]
) -> None:
    answers: list[Behaviour] = [Status(503, "busy"), WRONG, RIGHT]
    words, tape = ("fix", hard, "--json", "--budget", "60"), tmp_path / "tape"
    with ScriptedEndpoint(lambda _body: answers.pop(0) if answers else RIGHT) as endpoint:
        names = variables(endpoint, KEY_VARIABLE="THE_KEY")
        ran = quick(*words, "--record", tape, **names, THE_KEY="sk-planted-canary-1")
    events, result = ran.events, ran.events[-1]
    assert ran.code == 0, result["message"]
    assert "divmod" in result["diff"]
    calls = [event for event in events if event["event"] == "call"]
    assert [call["outcome"] for call in calls][:3] == ["EndpointFailed", "answered", "answered"]
    assert [event["source"] for event in events if event["event"] == "found"] == ["search", "bugfix:small"]
    search = bundle_facts(result)["search"]
    assert (search["tier"], search["calls"], search["tokens"]) == (1, len(calls) - 1, calls[-1]["tokens"])
    assert search["cost"] == pytest.approx(float(calls[-1]["spent"]))
    assert "tier 1" in (Path(result["bundle"]) / "summary.md").read_text()
    assert any(step.startswith("model small") for step in search["steps"])
    again = quick(*words, "--replay", tape, **names)
    assert again.code == 0, again.events[-1]["message"]
    assert again.events[-1]["diff"] == result["diff"]
    assert timeless(again.events[-1]["bundle"]) == timeless(result["bundle"])
    assert not any("planted-canary" in path.read_text(errors="replace") for path in tape.iterdir())


def test_an_answer_to_the_tests_alone_is_found_out_and_the_model_is_asked_again(
    hard: Path, quick: Callable[..., Ran]
) -> None:
    answers: list[Behaviour] = [SPECIAL, RIGHT]
    with ScriptedEndpoint(lambda _body: answers.pop(0) if answers else RIGHT) as endpoint:
        ran = quick("fix", hard, "--json", "--budget", "60", **variables(endpoint))
    events, result = ran.events, ran.events[-1]
    assert ran.code == 0, result["message"]
    assert "divmod" in result["diff"]
    found = [(event["source"], event["repairs"]) for event in events if event["event"] == "found"]
    assert found == [("search", 0), ("bugfix:small", 0), ("bugfix:small", 1)]


def test_without_a_model_nothing_of_one_is_imported(
    repository: Callable[..., Path], greendiff: Callable[..., Ran]
) -> None:
    ran = greendiff("fix", repository(), "--budget", "60", PYTHONPROFILEIMPORTTIME="1")
    assert ran.code == 0
    imported = {
        line.rpartition("|")[2].strip().split(".")[0] for line in ran.err.splitlines() if "import time:" in line
    }
    assert "workflows" in imported
    assert "openai" not in imported


@pytest.mark.parametrize(
    ("behaviour", "sentence"),
    [
        (HTML, "0 passed when tried"),
        (Say("I am done, all tests pass now. Merge it!", usage=(9, 9)), "0 passed when tried"),
    ],
)
def test_an_endpoint_that_is_no_help_ends_with_the_best_evidence(
    hard: Path, quick: Callable[..., Ran], behaviour: Behaviour, sentence: str
) -> None:
    with ScriptedEndpoint(lambda _body: behaviour) as endpoint:
        ran = quick("fix", hard, "--budget", "25", **variables(endpoint))
    assert ran.code in {1, 4}, ran.err
    assert sentence in ran.err
    assert "clock/spans.py" in ran.err


def test_an_endpoint_that_is_down_is_said(hard: Path, quick: Callable[..., Ran]) -> None:
    ran = quick("fix", hard, "--budget", "25", "--model", "m@http://127.0.0.1:9/v1")
    assert ran.code in {1, 4}
    assert "given could not be asked" in ran.err


def test_a_cap_ends_the_run_as_a_budget_does(hard: Path, quick: Callable[..., Ran]) -> None:
    with ScriptedEndpoint(lambda _body: RIGHT) as endpoint:
        ran = quick("fix", hard, "--budget", "25", "--max-tokens", "100", **variables(endpoint))
    assert ran.code == 4, ran.err
    assert "a cap on what models may cost was reached" in ran.err
    assert endpoint.chats == []


def test_a_model_that_is_not_configured_is_a_usage_error(hard: Path, quick: Callable[..., Ran]) -> None:
    ran = quick("fix", hard, "--model", "huge")
    assert ran.code == 2
    assert "there is no model tier 'huge'" in ran.err


def test_a_killed_run_pays_for_no_answer_twice(hard: Path, quick: Callable[..., Ran]) -> None:
    answers: list[Behaviour] = [WRONG, RIGHT]
    with ScriptedEndpoint(lambda _body: answers.pop(0) if answers else RIGHT) as endpoint:
        killed = quick("fix", hard, "--budget", "60", **variables(endpoint), GREENDIFF_DIE_AT="call-*:after#1")
        assert killed.code == -9
        assert len(endpoint.chats) == 1
        ran = quick("resume", "last", "--json", **variables(endpoint))
        asked = [json.dumps(seen.body, sort_keys=True) for seen in endpoint.chats]
    assert ran.code == 0, ran.err
    assert len(asked) == len(set(asked))
    assert bundle_facts(ran.events[-1])["search"]["calls"] == len(asked)


def test_a_call_that_a_kill_cuts_off_is_settled_when_the_run_goes_on(
    hard: Path, quick: Callable[..., Ran], environment: dict[str, str]
) -> None:
    answers: list[Behaviour] = [replace(RIGHT, delay=100.0)]
    with ScriptedEndpoint(lambda _body: answers.pop(0) if answers else RIGHT) as endpoint:
        names = variables(endpoint)
        words = [sys.executable, "-m", "workflows.cli", "fix", str(hard), "--budget", "60"]
        with subprocess.Popen(words, env={**environment, **names}, stderr=subprocess.DEVNULL) as process:
            while not endpoint.chats and process.poll() is None:
                time.sleep(0.02)
            process.kill()
        ran = quick("resume", "last", "--json", **names)
    assert ran.code == 0, ran.events[-1]["message"]
    search = bundle_facts(ran.events[-1])["search"]
    assert search["calls"] == 2
    assert search["tokens"] > 2 * 490, "what was cut off counts at its worst case"


TIMES = {"seconds", "durations", "gate_seconds", "digest", "files", "steps", "generated", "tried"}
"""What measures time, or depends on it: how far the search came in its time among it."""


def timeless(bundle: str) -> dict[str, Any]:
    """Return a bundle without its clock times."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items() if key not in TIMES}
        return [plain(inner) for inner in value] if isinstance(value, list) else value

    folder = Path(bundle)
    files = {name: (folder / name).read_bytes() for name in ("patch.diff", "uncommitted.diff", "tests.json")}
    return {**files, "manifest": plain(json.loads((folder / "manifest.json").read_text()))}
