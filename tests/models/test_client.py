from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from agents.models.client import EndpointModel
from agents.models.errors import (
    CallCancelled,
    ContextOverflow,
    CredentialsRefused,
    EndpointFailed,
    EndpointTimeout,
    EndpointUnreachable,
    FeatureUnsupported,
    ModelError,
    NoSuchModel,
    QuotaExhausted,
    RateLimited,
    ReplyEmpty,
    ReplyFiltered,
    ReplyMalformed,
    ReplyNotJson,
    ReplyTruncated,
    RequestRefused,
)
from agents.models.protocol import ChatRequest, Schema, Tool, ToolCall, answer, message
from agents.models.protocol import Message as Spoken
from agents.models.tiers import TierSettings
from tests.models.endpoint import HTML, Behaviour, Break, Raw, Say, ScriptedEndpoint, Status

BOTH = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])


@BOTH
def test_text_tool_calls_usage_and_reasoning_come_through(stream: bool, request_: ChatRequest) -> None:
    said = Say("It is sunny.", (("weather", {"city": "Paris"}), ("time", "{}")), usage=(7, 3), reasoning="hm")
    with ScriptedEndpoint([said]) as endpoint:
        pieces: list[str] = []
        reply = EndpointModel(endpoint.tier(stream=stream)).complete(request_, on_text=pieces.append)
    assert (reply.text, reply.finish, reply.reasoning, reply.model) == (
        "It is sunny.",
        "tool_calls",
        "hm",
        "scripted-1",
    )
    assert reply.tool_calls == (
        ToolCall("call_0", "weather", '{"city": "Paris"}'),
        ToolCall("call_1", "time", "{}"),
    )
    assert reply.usage is not None
    assert (reply.usage.prompt, reply.usage.completion, reply.usage.total, reply.usage.exact) == (7, 3, 10, True)
    assert "".join(pieces) == ("It is sunny." if stream else "")


@BOTH
def test_the_request_is_sent_as_it_was_given(stream: bool) -> None:
    tool = Tool("weather", "Tells the weather.", {"type": "object", "properties": {}})
    call = ToolCall("c1", "weather", '{"city": "Paris"}')
    said = (
        message("system", "be brief"),
        message("user", "broken \udc80 text"),
        Spoken("assistant", tool_calls=(call,)),
        answer(call, "sunny"),
    )
    schema = Schema("reply", {"type": "object"})
    request = ChatRequest(said, 99, (tool,), schema, temperature=0.5, seed=7, halts=("END",))
    with ScriptedEndpoint([Say("ok")]) as endpoint:
        EndpointModel(endpoint.tier(stream=stream, key="key-of-the-tier")).complete(request)
        sent = endpoint.chats[0]
    assert sent.body["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "broken ? text"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
            ],
        },
        {"role": "tool", "content": "sunny", "tool_call_id": "c1"},
    ]
    assert sent.body["response_format"]["json_schema"]["schema"] == {"type": "object"}
    wanted = {"model": "scripted-1", "max_tokens": 99, "temperature": 0.5, "seed": 7, "stop": ["END"]}
    assert {key: sent.body[key] for key in wanted} == wanted
    assert sent.body.get("stream", False) is stream
    assert sent.headers["authorization"] == "Bearer key-of-the-tier"
    # Stable parts first, for prefix caches: nothing that changes stands before the messages.
    assert list(sent.body)[:3] == ["model", "messages", "tools"]


def test_nothing_of_the_environment_reaches_the_endpoint(
    monkeypatch: pytest.MonkeyPatch, request_: ChatRequest
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "canary-of-the-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/canary")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer canary-of-the-environment\nX-Canary: canary")
    with ScriptedEndpoint([Say("ok"), Say("ok")]) as endpoint:
        EndpointModel(endpoint.tier()).complete(request_)
        EndpointModel(endpoint.tier(key="key-of-the-tier")).complete(request_)
        first, second = endpoint.seen
    assert "canary" not in json.dumps(dict(first.headers)) + first.path + first.raw.decode()
    assert "authorization" not in first.headers
    assert second.headers["authorization"] == "Bearer key-of-the-tier"
    assert set(first.headers) <= {"host", "accept", "content-type", "content-length", "user-agent", "transfer-encoding"}


BAD: list[tuple[Behaviour, type[ModelError]]] = [
    (Status(400, "bad"), RequestRefused),
    (Status(400, "tools are not supported"), FeatureUnsupported),
    (Status(400, "This model's maximum context length is 4096 tokens"), ContextOverflow),
    (Status(500, "the request exceeds the available context size"), ContextOverflow),
    (Status(413), ContextOverflow),
    (Status(401), CredentialsRefused),
    (Status(403), CredentialsRefused),
    (Status(402), QuotaExhausted),
    (Status(429), RateLimited),
    (Status(429, "quota", extra={"code": "insufficient_quota"}), QuotaExhausted),
    (Status(404), NoSuchModel),
    (Status(400, "model 'x' not found"), NoSuchModel),
    (Status(307, headers={"location": "http://127.0.0.1:9/elsewhere"}), NoSuchModel),
    (Status(408), EndpointFailed),
    (Status(409), EndpointFailed),
    (Status(422), RequestRefused),
    (Status(500), EndpointFailed),
    (Status(503), EndpointFailed),
    (Raw(b"<html>oops</html>", "text/html", 502), EndpointFailed),
    (HTML, ReplyNotJson),
    (Raw(b"hello", "text/plain"), ReplyNotJson),
    (Raw(b""), ReplyTruncated),
    (Raw(b'{"choices": [{"message": {"cont'), ReplyTruncated),
    (Raw(b"[]"), ReplyMalformed),
    (Raw(b"null"), ReplyMalformed),
    (Raw(b'"text"'), ReplyMalformed),
    (Raw(b'{"choices": 7}'), ReplyMalformed),
    (Raw(b'{"choices": [{"message": {"content": {"a": 1}}}]}'), ReplyMalformed),
    (Raw(b'{"choices": []}'), ReplyEmpty),
    (Raw(b"{}"), ReplyEmpty),
    (Raw(b'{"choices": null}'), ReplyEmpty),
    (Raw(b'{"choices": [{"message": {"content": " "}, "finish_reason": "stop"}]}'), ReplyEmpty),
    (Raw(b'{"error": {"message": "slow down", "code": 429}}'), RateLimited),
    (Raw(b'{"error": "it broke"}'), EndpointFailed),
    (Say("", finish="content_filter"), ReplyFiltered),
    (Break("before"), EndpointUnreachable),
    (Break("headers"), EndpointUnreachable),
]


@BOTH
@pytest.mark.parametrize(("behaviour", "kind"), BAD, ids=lambda value: str(value)[:40])
def test_every_bad_answer_is_a_typed_error(
    stream: bool, behaviour: Behaviour, kind: type[ModelError], request_: ChatRequest
) -> None:
    with ScriptedEndpoint([behaviour]) as endpoint:
        with pytest.raises(ModelError) as caught:
            EndpointModel(endpoint.tier(stream=stream, key="key-of-the-tier")).complete(request_)
        asked = len(endpoint.chats)
    assert type(caught.value) is kind, caught.value
    assert "\n" not in str(caught.value)
    assert "key-of-the-tier" not in str(caught.value)
    assert asked == 1, "retries are the gateway's"


@pytest.mark.parametrize(
    "body",
    [
        b'data: {"choices": [{"index": 0, "delta": {"content": "half"}}]}\n\n',
        b'data: {"choices": [{"index": 0, "delta": {"content": "half"}}]}\n\ndata: [DONE]\n\n',
        b'data: {"choices": [{"index": 0, "delta": {"content": "half"}}]}\n\ndata: {"choices": [{"ind\n\n',
    ],
    ids=["no end", "no reason", "broken json"],
)
def test_a_stream_that_ends_without_a_reason_is_truncated(body: bytes, request_: ChatRequest) -> None:
    with ScriptedEndpoint([Raw(body, "text/event-stream")]) as endpoint, pytest.raises(ReplyTruncated):
        EndpointModel(endpoint.tier()).complete(request_)


def test_an_error_in_a_stream_is_told(request_: ChatRequest) -> None:
    body = b'data: {"error": {"message": "overloaded", "code": 503}}\n\n'
    with (
        ScriptedEndpoint([Raw(body, "text/event-stream")]) as endpoint,
        pytest.raises(EndpointFailed, match="overloaded"),
    ):
        EndpointModel(endpoint.tier()).complete(request_)


def test_a_stream_that_breaks_is_truncated(request_: ChatRequest) -> None:
    with ScriptedEndpoint([Break("stream"), Break("body")]) as endpoint:
        model = EndpointModel(endpoint.tier())
        for _ in range(2):
            with pytest.raises(ReplyTruncated):
                model.complete(request_)


def test_an_endpoint_that_ignores_or_misnames_streaming_is_understood(request_: ChatRequest) -> None:
    whole = Raw(b'{"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}]}')
    event = b'data: {"choices": [{"delta": {"content": "piece"}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n'
    with ScriptedEndpoint([whole, Raw(event, "text/plain")]) as endpoint:
        model = EndpointModel(endpoint.tier())
        assert model.complete(request_).text == "whole"
        assert model.complete(request_).text == "piece"


def test_odd_but_clear_answers_are_understood(request_: ChatRequest) -> None:
    parts = {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    call = {"id": None, "function": {"name": "run", "arguments": {"x": 1}}}
    answers: list[dict[str, Any]] = [
        {"choices": [{"message": parts}]},
        {
            "choices": [{"message": {"content": None, "tool_calls": [call]}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": -1},
        },
        {"choices": [{"message": {"content": "<think>let me see</think>\nfour"}, "finish_reason": "eos"}]},
        {"choices": [{"message": {"content": "<think>let me s"}, "finish_reason": "length"}]},
    ]
    with ScriptedEndpoint([Raw(json.dumps(one).encode()) for one in answers]) as endpoint:
        model = EndpointModel(endpoint.tier(stream=False))
        replies = [model.complete(request_) for _ in answers]
    assert replies[0].text == "ab"
    assert replies[1].tool_calls == (ToolCall("call_0", "run", '{"x": 1}'),)
    assert replies[1].usage is None
    assert (replies[2].text, replies[2].reasoning) == ("four", "let me see")
    assert (replies[3].text, replies[3].finish) == ("", "length")


def test_tool_calls_of_a_stream_are_kept_apart_without_numbers(request_: ChatRequest) -> None:
    pieces = [
        {"tool_calls": [{"id": "a", "function": {"name": "one", "arguments": "{}"}}]},
        {"tool_calls": [{"id": "b", "function": {"name": "two", "arguments": "{}"}}]},
    ]
    events = [{"choices": [{"delta": piece}]} for piece in pieces] + [
        {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    ]
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()
    with ScriptedEndpoint([Raw(body, "text/event-stream")]) as endpoint:
        reply = EndpointModel(endpoint.tier()).complete(request_)
    assert [(call.id, call.name) for call in reply.tool_calls] == [("a", "one"), ("b", "two")]
    assert reply.finish == "tool_calls"


@pytest.mark.parametrize(
    "behaviour",
    [Say("x", delay=30), Say("x" * 999, pause=0.2), Raw(b'{"choices": []}', drip=0.5)],
    ids=["silent", "streaming", "dripping"],
)
def test_a_call_is_cancelled_wherever_it_stands(behaviour: Behaviour, request_: ChatRequest) -> None:
    stop = threading.Event()
    with ScriptedEndpoint([behaviour]) as endpoint:
        timer = threading.Timer(0.2, stop.set)
        timer.start()
        started = time.monotonic()
        with pytest.raises(CallCancelled) as caught:
            EndpointModel(endpoint.tier()).complete(request_, stop=stop)
        timer.join()
    assert time.monotonic() - started < 3
    assert caught.value.maybe_charged


def test_slow_drips_end_with_the_longest_call_and_silence_with_the_longest_wait(request_: ChatRequest) -> None:
    with ScriptedEndpoint([Say("x" * 999, pause=0.1), Say("x", delay=30)]) as endpoint:
        with pytest.raises(EndpointTimeout, match=r"within 0\.5 seconds"):
            EndpointModel(endpoint.tier(call_seconds=0.5)).complete(request_)
        with pytest.raises(EndpointTimeout):
            EndpointModel(endpoint.tier(read_seconds=0.3)).complete(request_)


def test_calls_wait_for_a_slot_and_can_be_cancelled_there(request_: ChatRequest) -> None:
    stop = threading.Event()
    with ScriptedEndpoint(lambda _: Say("x", delay=0.5)) as endpoint:
        model = EndpointModel(endpoint.tier(parallel=1))
        first = threading.Thread(target=model.complete, args=(request_,))
        first.start()
        time.sleep(0.15)
        stop.set()
        with pytest.raises(CallCancelled) as caught:
            model.complete(request_, stop=stop)
        first.join()
        assert len(endpoint.chats) == 1
    assert not caught.value.maybe_charged


def test_nobody_there_is_told_at_once(request_: ChatRequest) -> None:
    tier = TierSettings(endpoint="http://127.0.0.1:9/v1", model="x").tier("small", {})
    with pytest.raises(EndpointUnreachable, match=r"127\.0\.0\.1:9"):
        EndpointModel(tier).complete(request_)


def test_what_an_endpoint_does_not_take_is_left_out_from_then_on() -> None:
    def fussy(body: dict[str, Any]) -> Behaviour:
        if "max_tokens" in body:
            return Status(
                400,
                "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
                extra={"param": "max_tokens"},
            )
        if "stream_options" in body:
            return Status(422, "stream_options: extra fields not permitted")
        if "temperature" in body:
            return Status(400, "Unsupported value: 'temperature' does not support 0 with this model.")
        if "seed" in body or "stop" in body:
            return Status(400, "Unknown parameter: 'seed'" if "seed" in body else "Unsupported parameter: 'stop'")
        kind = body.get("response_format", {}).get("type")
        return Status(400, f"response_format {kind} is not available") if kind else Say("ok")

    request = ChatRequest(
        (message("user", "hello"),), 64, schema=Schema("s", {"type": "object"}), temperature=0.0, seed=1, halts=("END",)
    )
    with ScriptedEndpoint(fussy) as endpoint:
        model = EndpointModel(endpoint.tier())
        reply, again = model.complete(request), model.complete(request)
        asked = len(endpoint.chats)
    assert reply.text == again.text == "ok"
    assert len(reply.notes) == 7
    assert "temperature" in " ".join(reply.notes)
    assert again.notes == ()
    assert asked == 9


def test_a_model_that_goes_in_circles_is_stopped(request_: ChatRequest) -> None:
    with ScriptedEndpoint([Say("and so on " * 5000, piece=100)]) as endpoint:
        reply = EndpointModel(endpoint.tier()).complete(request_)
    assert reply.finish == "repetition"
    assert len(reply.text) < 10_000
    assert reply.notes == ("the model went in circles and was stopped",)


def test_an_endless_answer_is_cut(monkeypatch: pytest.MonkeyPatch, request_: ChatRequest) -> None:
    from agents.models import transport

    monkeypatch.setattr(transport.GuardedTransport.__init__, "__defaults__", ("", 1000))
    with (
        ScriptedEndpoint([Raw(b"x" * 5000)]) as endpoint,
        pytest.raises(ReplyMalformed, match="longer than 1,000 bytes"),
    ):
        EndpointModel(endpoint.tier()).complete(request_)


def test_a_closed_model_opens_again_and_pages_are_read(request_: ChatRequest) -> None:
    with ScriptedEndpoint([Say("a"), Say("b")], pages={"/props": {"n": 1}}) as endpoint:
        model = EndpointModel(endpoint.tier())
        assert model.name == "scripted-1"
        assert model.complete(request_).text == "a"
        model.close()
        assert model.complete(request_).text == "b"
        assert model.get("/props") == {"n": 1}
        with pytest.raises(NoSuchModel):
            model.post("/api/show", {})
