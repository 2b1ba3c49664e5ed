from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from agents.models.client import EndpointModel
from agents.models.errors import CallCancelled
from agents.models.probe import probe
from agents.models.tiers import Capabilities
from tests.models.endpoint import Behaviour, Raw, Say, ScriptedEndpoint, Status


def able(body: dict[str, Any]) -> Behaviour:
    if body.get("tools"):
        return Say(calls=(("add", {"a": 2, "b": 3}),))
    return Say('{"answer": 5}')


@pytest.mark.parametrize(
    ("pages", "context", "source"),
    [
        ({"/v1/models": {"data": [{"id": "scripted-1", "max_model_len": 4096}]}}, 4096, "list of models"),
        ({"/v1/models": {"data": [{"id": "scripted-1", "meta": {"n_ctx": 512}}]}}, 512, "list of models"),
        ({"/props": {"default_generation_settings": {"n_ctx": 2048}}}, 2048, "llama.cpp"),
        ({"/api/show": lambda body: {"parameters": f"stop x\nnum_ctx   {len(body['model'])}"}}, 10, "Ollama"),
        ({"/api/show": {"parameters": "stop x"}, "/props": Raw(b"<html>")}, None, ""),
        ({"/v1/models": {"data": [{"id": "scripted-1", "max_model_len": True}, {"id": 7}, "x"]}}, None, ""),
    ],
)
def test_the_context_is_found_where_servers_tell_it(pages: dict[str, Any], context: int | None, source: str) -> None:
    with ScriptedEndpoint(pages=pages) as endpoint:
        found = probe(EndpointModel(endpoint.tier()))
    assert found.tier.capabilities.context == context
    assert found.tier.context_enforced is (context is not None)
    assert any(source in finding for finding in found.findings) is bool(source)
    assert endpoint.chats == []


def test_small_calls_find_out_about_tools_and_schemas() -> None:
    with ScriptedEndpoint(able) as endpoint:
        found = probe(EndpointModel(endpoint.tier()), calls=True)
        assert len(endpoint.chats) == 2
        known = endpoint.tier(tools=True, json_schema=False)
        probe(EndpointModel(known), calls=True)
        assert len(endpoint.chats) == 2
    assert found.tier.capabilities == Capabilities(tools=True, json_schema=True)


@pytest.mark.parametrize(
    ("behaviour", "tools", "schema"),
    [
        (Say('```json\n{"name": "add"}\n```'), False, False),
        (Say(calls=(("add", "not json"),)), False, None),
        (Status(400, "tools and response_format json_schema are not supported"), False, False),
        (Status(500), None, None),
    ],
)
def test_what_a_model_does_not_do_is_known_too(behaviour: Behaviour, tools: bool | None, schema: bool | None) -> None:
    with ScriptedEndpoint(lambda _: behaviour) as endpoint:
        found = probe(EndpointModel(endpoint.tier()), calls=True).tier.capabilities
    assert found.tools is tools
    if schema is not None or isinstance(behaviour, Status):
        assert found.json_schema is schema


def test_the_only_model_is_taken_and_several_are_listed() -> None:
    with ScriptedEndpoint(able) as endpoint:
        nameless = replace(endpoint.tier(), model="")
        found = probe(EndpointModel(nameless), calls=True)
        assert found.tier.model == "scripted-1"
        assert endpoint.chats[0].body["model"] == "scripted-1"
        endpoint.pages["/v1/models"] = {"data": [{"id": "a"}, {"id": "b"}]}
        several = probe(EndpointModel(nameless))
        assert several.findings == ("say which model to use; it has a, b",)
        other = probe(EndpointModel(replace(nameless, model="c")))
        assert "it does not list c, but a, b" in other.findings
        endpoint.pages["/v1/models"] = None
        assert "it does not list its models" in probe(EndpointModel(endpoint.tier())).findings


def test_an_endpoint_that_cannot_be_reached_is_a_finding() -> None:
    with ScriptedEndpoint(pages={"/v1/models": Raw(b"{}", code=401)}) as endpoint:
        found = probe(EndpointModel(endpoint.tier()))
    assert not found.reached
    assert "refuses the key" in found.findings[0]


def test_probing_is_cancelled() -> None:
    stop = threading.Event()
    stop.set()
    with ScriptedEndpoint(able) as endpoint, pytest.raises(CallCancelled):
        probe(EndpointModel(endpoint.tier()), stop=stop)
