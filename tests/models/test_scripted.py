from __future__ import annotations

import threading

import pytest

from agents.models.errors import CallCancelled, EndpointFailed, ScriptEnded
from agents.models.protocol import ChatModel, ChatReply, ChatRequest, Usage
from agents.models.scripted import ScriptedModel


def test_steps_come_in_order_and_then_end(request_: ChatRequest) -> None:
    whole = ChatReply("whole", "stop", Usage(1, 2))
    model: ChatModel = ScriptedModel(["one", whole, EndpointFailed("down"), lambda r: f"asked {r.max_tokens}"], "mine")
    heard: list[str] = []
    assert model.complete(request_, on_text=heard.append).text == "one"
    assert model.complete(request_) is whole
    with pytest.raises(EndpointFailed):
        model.complete(request_)
    assert model.complete(request_).text == "asked 64"
    with pytest.raises(ScriptEnded, match="mine has no reply left after 4"):
        model.complete(request_)
    assert heard == ["one"]
    assert model.name == "mine"


def test_a_cancelled_call_takes_no_step(request_: ChatRequest) -> None:
    stop = threading.Event()
    stop.set()
    model = ScriptedModel(["one"])
    with pytest.raises(CallCancelled):
        model.complete(request_, stop=stop)
    assert model.complete(request_).text == "one"


def test_usages_add_up() -> None:
    assert Usage(1, 2, 1, 1) + Usage(3, 4, 2, 0, exact=False) == Usage(4, 6, 3, 1, exact=False)
