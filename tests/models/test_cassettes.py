from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agents.models.cassettes import FILE, Cassette
from agents.models.client import EndpointModel
from agents.models.errors import (
    CassetteError,
    CassetteMismatch,
    EndpointUnreachable,
    ModelError,
    RateLimited,
    ReplyTruncated,
)
from agents.models.protocol import ChatReply, ChatRequest, message
from agents.models.scrubbing import Scrubber
from agents.models.tiers import Tier
from agents.models.transport import open_transport
from tests.models.endpoint import Behaviour, Break, Raw, Say, ScriptedEndpoint, Status

CANARY = "canary-0123456789-secret"
SCRUBBER = Scrubber({"MY_API_KEY": CANARY})


def ask(text: str, seed: int | None = None) -> ChatRequest:
    return ChatRequest((message("system", "be brief"), message("user", text)), 64, seed=seed)


def outcome(model: EndpointModel, request: ChatRequest) -> ChatReply | tuple[str, str]:
    try:
        return model.complete(request)
    except ModelError as error:
        return type(error).__name__, str(error).split("/v1", 1)[-1]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_run_replays_offline_to_the_byte(tmp_path: Path, stream: bool) -> None:
    script: list[Behaviour] = [
        Say("one", usage=(5, 6)),
        Status(429, headers={"retry-after": "2", "x-ratelimit-remaining": "0", "x-request-id": "private"}),
        Say("two", (("read", {"path": "a"}),)),
        Raw(b"<html>no</html>", "text/html"),
        Break("before"),
        Break("body"),
        Break("stream"),
        Say("same, first"),
        Say("same, second"),
        Status(503, "down"),
    ]
    asked = [*(ask(f"question {n}") for n in range(7)), ask("same"), ask("same"), ask("last")]
    recording = Cassette.record(tmp_path / "run", SCRUBBER)
    with ScriptedEndpoint(script) as endpoint:
        tier = endpoint.tier(stream=stream, key=CANARY)
        model = EndpointModel(tier, transport=recording.transport(open_transport(tier.endpoint)))
        first = [outcome(model, one) for one in asked]
    replaying = Cassette.replay(tmp_path / "run", SCRUBBER)
    elsewhere = Tier("small", "http://127.0.0.1:9/v1", tier.model, stream=stream)
    again = EndpointModel(elsewhere, transport=replaying.transport())
    assert [outcome(again, one) for one in asked] == first
    assert replaying.nonce == recording.nonce
    assert replaying.unused() == 0
    kinds = [one[0] if isinstance(one, tuple) else "" for one in first]
    assert kinds[1] == "RateLimited"
    assert kinds[4] == "EndpointUnreachable"
    assert kinds[6] in {"ReplyTruncated", "EndpointUnreachable"}
    kept = (tmp_path / "run" / FILE).read_text("utf-8")
    assert CANARY not in kept
    assert "authorization" not in kept.lower()
    assert "private" not in kept
    assert "retry-after" in kept
    assert "127.0.0.1" not in kept.replace("Connection", "")


def test_secrets_in_questions_and_answers_never_enter(tmp_path: Path) -> None:
    half = len(CANARY) // 2
    script: list[Behaviour] = [
        Say(f"the key is {CANARY}", (("run", {"key": CANARY}),), reasoning=CANARY, piece=half, usage=(1, 2)),
        Status(400, f"bad key {CANARY}"),
        Raw(json.dumps({"choices": [{"message": {"content": CANARY}, "finish_reason": "stop"}]}).encode()),
    ]
    recording = Cassette.record(tmp_path / "run", SCRUBBER)
    with ScriptedEndpoint(script) as endpoint:
        model = EndpointModel(endpoint.tier(), transport=recording.transport(open_transport(endpoint.url)))
        asked = [ask(f"with {CANARY} {n}") for n in range(3)]
        first = [outcome(model, one) for one in asked]
    assert isinstance(first[0], ChatReply)
    assert first[0].text == "the key is [secret MY_API_KEY]"
    assert first[0].reasoning == "[secret MY_API_KEY]"
    assert first[0].tool_calls[0].arguments == '{"key": "[secret MY_API_KEY]"}'
    assert first[0].usage is not None
    assert first[0].usage.total == 3
    kept = (tmp_path / "run" / FILE).read_text("utf-8")
    for size in (len(CANARY), half):
        assert not any(CANARY[start : start + size] in kept for start in range(len(CANARY) - size + 1))
    replaying = Cassette.replay(tmp_path / "run", SCRUBBER)
    again = EndpointModel(endpoint.tier(), transport=replaying.transport())
    assert [outcome(again, one) for one in asked] == first


def test_a_mismatch_says_what_differs(tmp_path: Path) -> None:
    recording = Cassette.record(tmp_path / "run", SCRUBBER)
    with ScriptedEndpoint(lambda _: Say("ok")) as endpoint:
        model = EndpointModel(endpoint.tier(), transport=recording.transport(open_transport(endpoint.url)))
        model.complete(ask("Fix the function total in shop.py, which forgets the tax."))
        model.complete(ask("Something else altogether.", seed=3))
    tier = endpoint.tier()

    def told(request: ChatRequest, used: tuple[ChatRequest, ...] = ()) -> str:
        replayed = EndpointModel(tier, transport=Cassette.replay(tmp_path / "run", SCRUBBER).transport())
        for one in used:
            replayed.complete(one)
        with pytest.raises(CassetteMismatch) as caught:
            replayed.complete(request)
        return str(caught.value)

    one = ask("Fix the function total in shop.py, which forgets the tax.")
    other = ask("Something else altogether.", seed=3)
    text = told(ask("Fix the function total in shop.py, which forgets the tip."))
    assert "body.messages[1].content: recorded …" in text
    assert 'forgets the tax."' in text
    assert 'forgets the tip."' in text
    assert "body.seed: recorded 3, now 4" in told(ask("Something else altogether.", seed=4))
    assert "asks 2 times for what was recorded 1 times" in told(one, (one,))
    assert "no exchange left" in told(ask("x"), (one, other))


def test_recording_never_overwrites_but_resumes(tmp_path: Path) -> None:
    first = Cassette.record(tmp_path, SCRUBBER)
    with pytest.raises(CassetteError, match="is there already"):
        Cassette.record(tmp_path, SCRUBBER)
    assert Cassette.record(tmp_path, SCRUBBER, resume=True).nonce == first.nonce
    with pytest.raises(CassetteError, match="needs a way"):
        first.transport()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        (b"", "is no cassette"),
        (b"{}\n", "is no cassette"),
        (b'{"greendiff_cassette": 99, "nonce": "x"}\n', "is no cassette"),
        (b'{"greendiff_cassette": 1, "nonce": "x"}\nnot json\n', "line 2, is not JSON"),
        (b'{"greendiff_cassette": 1, "nonce": "x"}\n{"a": 1}\n', "line 2, is no exchange"),
        (b"\xff\xfe\n", "is not UTF-8"),
    ],
)
def test_broken_cassettes_are_told(tmp_path: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / FILE).write_bytes(content)
    with pytest.raises(CassetteError, match=words):
        Cassette.replay(tmp_path, SCRUBBER)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CassetteError, match="cannot be written"):
        Cassette.record(tmp_path / "file", SCRUBBER)
    recording = Cassette.record(tmp_path / "run", SCRUBBER)
    (tmp_path / "run" / FILE).unlink()
    (tmp_path / "run").rmdir()
    with pytest.raises(CassetteError, match="cannot be written"):
        recording.keep({}, {})


def test_an_exchange_without_an_answer_is_told(tmp_path: Path) -> None:
    recording = Cassette.record(tmp_path, SCRUBBER)
    transport = recording.transport(httpx2.MockTransport(lambda _: httpx2.Response(200, stream=httpx2.ByteStream(b""))))
    transport.handle_request(httpx2.Request("GET", "http://x/v1/models"))
    transport.close()
    lines = (tmp_path / FILE).read_text().splitlines()
    exchange: dict[str, Any] = json.loads(lines[1])
    exchange["response"] = {}
    (tmp_path / FILE).write_text(lines[0] + "\n" + json.dumps(exchange) + "\n")
    player = Cassette.replay(tmp_path, SCRUBBER).transport()
    with pytest.raises(CassetteError, match="without an answer"):
        player.handle_request(httpx2.Request("GET", "http://x/v1/models"))


def test_errors_keep_their_kind_over_a_replay() -> None:
    assert issubclass(ReplyTruncated, ModelError)
    assert EndpointUnreachable.maybe_charged
    assert not RateLimited.maybe_charged
