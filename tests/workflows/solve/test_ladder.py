"""The models of a run: who may name them, what is asked once only, what is never spent, what is recorded."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.models.errors import CapReached, CassetteMismatch, ModelError
from agents.models.gateway import CallRecord
from agents.models.ledger import Account
from agents.models.protocol import ChatRequest, message
from sandbox.tree import Entry, Tree
from tests.models.endpoint import Say, ScriptedEndpoint, Status
from workflows.errors import Usage
from workflows.ladder import Ladder
from workflows.runs import Run, RunStore
from workflows.settings import Settings, read_settings
from workflows.tiers import wanted

ASK = ChatRequest((message("user", "mend it"),), 50, seed=1)
KNOWN = {"context": 4096, "tools": False}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("GREENDIFF_STATE_DIR", str(tmp_path / "state"))
    return RunStore().create("/somewhere", {}, {})


def settings_for(endpoint: ScriptedEndpoint, **changes: Any) -> Settings:
    tier = {"endpoint": endpoint.url, "model": endpoint.model, "prices": {"input": 2, "output": 10}, **KNOWN}
    return Settings.model_validate({"models": {"small": tier}, **changes})


def ladder_of(run: Run, settings: Settings, calls: list[CallRecord] | None = None) -> Ladder:
    return Ladder(
        wanted(settings, {}), settings, {}, Account(run.id, "/somewhere"), run.folder, once=run.once,
        note=lambda _text: None, on_call=(calls if calls is not None else []).append, stop=threading.Event(),
    )  # fmt: skip


def again(run: Run) -> Run:
    """The same run in a later process: nothing is remembered but what is on disk."""
    run.release()
    later = Run(run.folder)
    later.acquire()
    return later


def test_a_repository_may_not_name_a_model() -> None:
    text = b"[models.small]\nendpoint = 'http://localhost:1/v1'\n"
    with pytest.raises(Usage, match="'models', which a repository may not decide"):
        read_settings(Tree({"greendiff.toml": Entry(text)}), {}, environment={})


def test_models_are_named_in_the_users_file_and_in_variables(tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    config.write_text("max_cost = 0.5\n[models.small]\nendpoint = 'http://localhost:1/v1'\nmodel = 'a'\n")
    variables = {
        "GREENDIFF_MODELS__SMALL__MODEL": "b", "GREENDIFF_MODELS__LARGE__ENDPOINT": "https://example.com/v1",
        "GREENDIFF_MODELS__LARGE__PRICES__INPUT": "1", "GREENDIFF_MODELS__LARGE__PRICES__OUTPUT": "2",
    }  # fmt: skip
    settings = read_settings(Tree({}), {}, config=config, environment=variables)
    found = wanted(settings, {})
    assert [(tier.name, tier.model, tier.level) for tier in found] == [("small", "b", 1), ("large", "", 2)]
    assert str(settings.max_cost) == "0.5"
    assert settings == Settings.model_validate(settings.model_dump(mode="json"))


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ((), ["small"]),
        (("none",), []),
        (("local", "small"), ["local", "small"]),
        (("m@http://localhost:9/v1",), ["given"]),
    ],
)
def test_which_models_a_run_may_ask(model: tuple[str, ...], names: list[str]) -> None:
    settings = Settings(models={"small": {"endpoint": "http://localhost:1/v1"}}, model=model)
    assert [tier.name for tier in wanted(settings, {})] == names
    assert wanted(Settings(), {}) == ()


def test_a_tier_that_is_not_there_is_said() -> None:
    with pytest.raises(Usage, match="there is no model tier 'huge'; configured are: none"):
        wanted(Settings(model=("huge",)), {})


def test_an_answer_is_paid_for_once(run: Run) -> None:
    with ScriptedEndpoint([Say("one", usage=(10, 5)), Say("two", usage=(10, 5)), Say("three")]) as endpoint:
        settings, calls = settings_for(endpoint), list[CallRecord]()
        first = ladder_of(run, settings, calls)
        model = first.rung(first.tiers[0]).model
        assert [model.complete(ASK).text for _ in range(2)] == ["one", "two"]
        assert (first.spent().calls, first.spent().tokens, first.spent().micro) == (2, 30, 140)
        assert [call.outcome for call in calls] == ["answered", "answered"]
        mark = first.fence().mark("x")
        first.close()

        later = ladder_of(again(run), settings)
        model = later.rung(later.tiers[0]).model
        assert [model.complete(ASK).text for _ in range(2)] == ["one", "two"]
        assert len(endpoint.chats) == 2
        assert later.fence().mark("x") == mark
        assert model.complete(replace(ASK, seed=2)).text == "three"
        assert later.spent().calls == 3
        later.close()


def test_a_failure_does_not_move_answers(run: Run) -> None:
    with ScriptedEndpoint([Status(404, "gone"), Say("one")]) as endpoint:
        ladder = ladder_of(run, settings_for(endpoint))
        model = ladder.rung(ladder.tiers[0]).model
        with pytest.raises(ModelError):
            model.complete(ASK)
        assert model.complete(ASK).text == "one"
        ladder.close()
        later = ladder_of(again(run), settings_for(endpoint))
        assert later.rung(later.tiers[0]).model.complete(ASK).text == "one"
        assert len(endpoint.chats) == 2
        later.close()


def test_no_call_goes_over_the_cap(run: Run) -> None:
    with ScriptedEndpoint(lambda _body: Say("no", usage=(5, 5))) as endpoint:
        ladder = ladder_of(run, settings_for(endpoint, max_cost="0.0001"))
        with pytest.raises(CapReached, match="allowed for this run"):
            ladder.rung(ladder.tiers[0]).model.complete(ASK)
        assert endpoint.chats == []
        ladder.close()


@pytest.mark.parametrize("tools", [False, True])
def test_what_is_unknown_is_asked_for_once(run: Run, tools: bool) -> None:
    pages = {"/v1/models": {"data": [{"id": "scripted-1", "max_model_len": 9000}]}}
    with ScriptedEndpoint(lambda _body: Say("{}", usage=(5, 5)), pages=pages) as endpoint:
        settings = Settings(models={"small": {"endpoint": endpoint.url}})
        for attempt in (run, None):
            ladder = ladder_of(attempt or again(run), settings)
            rung = ladder.rung(ladder.tiers[0], tools=tools)
            assert (rung.tier.model, rung.tier.context, rung.number) == ("scripted-1", 9000, 1)
            assert any("9,000" in finding for finding in rung.findings)
            ladder.close()
        assert sum(seen.path == "/v1/models" for seen in endpoint.seen) == 1
        assert bool(endpoint.chats) == tools


def test_an_endpoint_that_is_down_is_an_error_with_its_name(run: Run) -> None:
    settings = Settings(models={"small": {"endpoint": "http://127.0.0.1:9/v1"}})
    ladder = ladder_of(run, settings)
    with pytest.raises(ModelError, match="the model tier small cannot be used"):
        ladder.rung(ladder.tiers[0])
    ladder.close()


def test_a_recorded_run_needs_no_endpoint(run: Run, tmp_path: Path, make_run: Callable[[], Run]) -> None:
    folder = str(tmp_path / "tape")
    tier = {"endpoint": "", "key_variable": "SOME_KEY", "prices": {"input": 2, "output": 10}}
    with ScriptedEndpoint([Say("one", usage=(10, 5))]) as endpoint:
        tier["endpoint"] = endpoint.url
        settings = Settings.model_validate({"models": {"small": tier}, "record": folder})
        environment = {"SOME_KEY": "a-very-secret-key"}
        recording = Ladder(
            wanted(settings, environment), settings, environment, Account(run.id, "r"), run.folder, once=run.once,
            note=lambda _text: None, on_call=lambda _call: None, stop=threading.Event(),
        )  # fmt: skip
        assert recording.rung(recording.tiers[0]).model.complete(ASK).text == "one"
        mark, spent = recording.fence().mark("x"), recording.spent()
        recording.close()
    assert "a-very-secret-key" not in (tmp_path / "tape" / "cassette.jsonl").read_text()

    other = make_run()
    settings = Settings.model_validate({"models": {"small": tier}, "replay": folder})
    replaying = ladder_of(other, settings)
    model = replaying.rung(replaying.tiers[0]).model
    assert model.complete(ASK).text == "one"
    assert (replaying.fence().mark("x"), replaying.spent()) == (mark, spent)
    with pytest.raises(CassetteMismatch):
        model.complete(replace(ASK, seed=3))
    replaying.close()


@pytest.fixture
def make_run(run: Run) -> Callable[[], Run]:
    """Make further runs in the same state folder."""
    return lambda: RunStore(run.folder.parent.parent).create("/somewhere", {}, {})
