from __future__ import annotations

import threading
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from agents.models.client import EndpointModel
from agents.models.errors import (
    CallCancelled,
    CapReached,
    ContextOverflow,
    ContextTooLong,
    CredentialsRefused,
    EndpointFailed,
    EndpointTimeout,
    RateLimited,
    ReplyEmpty,
)
from agents.models.gateway import CallRecord, Gateway
from agents.models.ledger import Account, Cap, Caps, Ledger
from agents.models.protocol import ChatReply, ChatRequest, Usage, message
from agents.models.retries import RetryPolicy
from agents.models.scripted import ScriptedModel, Step
from agents.models.scrubbing import Scrubber
from agents.models.tiers import Capabilities, Prices, Tier
from agents.models.trimming import upper_bound
from tests.models.endpoint import Behaviour, Say, ScriptedEndpoint, Status

QUICK = RetryPolicy(base_seconds=0.01, cap_seconds=0.02)
TIER = Tier("small", "http://127.0.0.1:9/v1", "m", prices=Prices(Decimal(1), Decimal(2)))
LONG = "".join(f"line {number} of the file\n" for number in range(800))


def test_a_call_is_booked_sent_settled_and_told(ledger: Ledger, account: Account) -> None:
    told: list[CallRecord] = []
    with ScriptedEndpoint([Say("hello", usage=(50, 7))]) as endpoint:
        tier = replace(endpoint.tier(), prices=TIER.prices)
        gateway = Gateway(EndpointModel(tier), tier, ledger, account, on_call=told.append)
        reply = gateway.complete(ChatRequest((message("user", "hi"),), 64, purpose="planner"))
    assert reply.text == "hello"
    assert gateway.name == "scripted-1"
    assert gateway.tier is tier
    spent = ledger.spent("run", account)
    assert (spent.tokens, spent.micro, spent.calls, spent.open) == (57, 64, 1, 0)
    (record,) = told
    assert (record.tier, record.purpose, record.outcome, record.micro) == ("small", "planner", "answered", 64)
    assert record.usage == Usage(50, 7)


def test_failures_are_tried_again_and_booked_by_what_they_may_have_cost(ledger: Ledger, account: Account) -> None:
    told: list[CallRecord] = []
    request = ChatRequest((message("user", "hi"),), 64)
    worst = upper_bound(request) + 64
    steps: list[Step] = [EndpointFailed("down"), EndpointTimeout("slow"), "hello"]
    model = ScriptedModel(steps)
    reply = Gateway(model, TIER, ledger, account, policy=QUICK, on_call=told.append).complete(request)
    assert reply.usage is not None
    assert ledger.spent("run", account).tokens == worst + reply.usage.total
    assert [record.outcome for record in told] == ["EndpointFailed", "EndpointTimeout", "answered"]
    assert [record.usage is None for record in told] == [True, False, False]
    assert told[0].micro == 0
    assert reply.notes == ("attempt 1 failed (down); tried again", "attempt 2 failed (slow); tried again")


@pytest.mark.parametrize(
    ("error", "calls"), [(EndpointFailed("x"), 5), (ReplyEmpty("x"), 3), (CredentialsRefused("x"), 1)]
)
def test_attempts_end(error: Exception, calls: int, ledger: Ledger, account: Account) -> None:
    model = ScriptedModel(lambda _: error)  # type: ignore[arg-type, return-value]
    with pytest.raises(type(error)):
        Gateway(model, TIER, ledger, account, policy=QUICK).complete(ChatRequest((message("user", "hi"),), 64))
    assert len(model.requests) == calls


def test_the_servers_hint_holds_back_parallel_callers(ledger: Ledger, account: Account) -> None:
    lock, times, first = threading.Lock(), [], threading.Event()

    def limited(_: dict[str, Any]) -> Behaviour:
        with lock:
            times.append(time.monotonic())
            if len(times) == 1:
                first.set()
                return Status(429, headers={"retry-after": "0.6"})
        return Say("ok")

    with ScriptedEndpoint(limited) as endpoint:
        gateway = Gateway(EndpointModel(endpoint.tier()), endpoint.tier(), ledger, account)
        request = ChatRequest((message("user", "hi"),), 64)
        one = threading.Thread(target=gateway.complete, args=(request,))
        one.start()
        first.wait(10)
        time.sleep(0.2)
        gateway.complete(request)
        one.join()
    assert len(times) == 3
    assert min(times[1:]) - times[0] >= 0.6


def test_a_hint_beyond_patience_is_not_waited_for(ledger: Ledger, account: Account) -> None:
    with ScriptedEndpoint([Status(429, headers={"retry-after": "4000"})]) as endpoint, pytest.raises(RateLimited):
        Gateway(EndpointModel(endpoint.tier()), endpoint.tier(), ledger, account).complete(
            ChatRequest((message("user", "hi"),), 64)
        )


def test_a_replay_waits_for_nothing(ledger: Ledger, account: Account) -> None:
    model = ScriptedModel([RateLimited("x", after=100.0), "ok"])
    started = time.monotonic()
    Gateway(model, TIER, ledger, account, waiting=False).complete(ChatRequest((message("user", "hi"),), 64))
    assert time.monotonic() - started < 5


def test_a_wait_is_cancelled_and_costs_nothing(ledger: Ledger, account: Account) -> None:
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    model = ScriptedModel([RateLimited("x", after=60.0)])
    with pytest.raises(CallCancelled) as caught:
        Gateway(model, TIER, ledger, account).complete(ChatRequest((message("user", "hi"),), 64), stop=stop)
    assert not caught.value.maybe_charged
    assert ledger.spent("run", account).tokens == 0


def test_a_cancelled_call_stays_at_its_worst_case(ledger: Ledger, account: Account) -> None:
    stop = threading.Event()
    request = ChatRequest((message("user", "hi"),), 64)
    with ScriptedEndpoint([Say("x", delay=30)]) as endpoint:
        threading.Timer(0.2, stop.set).start()
        with pytest.raises(CallCancelled):
            Gateway(EndpointModel(endpoint.tier()), endpoint.tier(), ledger, account).complete(request, stop=stop)
    assert ledger.spent("run", account).tokens == upper_bound(request) + 64


def test_a_call_that_could_exceed_a_cap_is_not_made(tmp_path: Path, account: Account) -> None:
    request = ChatRequest((message("user", "hi"),), 64)
    ledger = Ledger(tmp_path / "l.db", Caps(run=Cap(tokens=upper_bound(request) + 63)))
    model = ScriptedModel(["ok"])
    with pytest.raises(CapReached):
        Gateway(model, TIER, ledger, account).complete(request)
    assert model.requests == []
    ledger.close()


def test_fifty_parallel_calls_over_http_with_failures_never_exceed_the_cap(tmp_path: Path, account: Account) -> None:
    lock, billed = threading.Lock(), [0]

    def served(body: dict[str, Any]) -> Behaviour:
        with lock:
            turn = billed[0] % 7
            used = min(body["max_tokens"], 20 + turn)
            if turn == 3:
                billed[0] += 1
                return Status(500)
            billed[0] += 30 + used
        return Say("x", usage=(30, used))

    ledger = Ledger(tmp_path / "l.db", Caps(run=Cap(tokens=6_000)))
    refused = []
    with ScriptedEndpoint(served) as endpoint:
        tier = endpoint.tier(parallel=8)
        gateway = Gateway(EndpointModel(tier), tier, ledger, account, policy=QUICK)

        def caller() -> None:
            for _ in range(4):
                try:
                    gateway.complete(ChatRequest((message("user", "hi"),), 40))
                except (CapReached, EndpointFailed) as error:
                    refused.append(error)

        callers = [threading.Thread(target=caller) for _ in range(50)]
        for one in callers:
            one.start()
        for one in callers:
            one.join()
    spent = ledger.spent("run", account)
    assert spent.tokens <= 6_000
    assert spent.open == 0
    assert any(isinstance(error, CapReached) for error in refused)
    ledger.close()


def test_what_does_not_fit_is_left_out_before_the_call(ledger: Ledger, account: Account) -> None:
    tier = replace(TIER, capabilities=Capabilities(context=2000))
    model = ScriptedModel(["ok"])
    request = ChatRequest((message("user", LONG, priority=1, label="the file", keep="head"),), 500)
    reply = Gateway(model, tier, ledger, account).complete(request)
    assert "tokens of the file were left out" in " ".join(reply.notes)
    assert len(model.requests[0].messages[0].text) < len(LONG)
    with pytest.raises(ContextTooLong):
        Gateway(model, tier, ledger, account).complete(ChatRequest((message("user", LONG),), 500))


def test_an_endpoint_with_a_shorter_context_than_thought_is_believed(ledger: Ledger, account: Account) -> None:
    limit = 1200

    def small(request: ChatRequest) -> str | ContextOverflow:
        size = sum(len(one.text) for one in request.messages) // 2
        if size + request.max_tokens > limit:
            return ContextOverflow("too long", limit=limit if size > 3000 else 0, size=size if size > 3000 else 0)
        return "ok"

    model = ScriptedModel(small)
    request = ChatRequest((message("user", LONG, priority=1, label="the file", keep="tail"),), 200)
    reply = Gateway(model, TIER, ledger, account).complete(request)
    assert reply.text == "ok"
    assert len(model.requests) >= 2
    assert "more of it was left out" in " ".join(reply.notes)


def test_an_endpoint_that_finds_everything_too_long_is_given_up(ledger: Ledger, account: Account) -> None:
    model = ScriptedModel(lambda _: ContextOverflow("too long"))
    with pytest.raises((ContextOverflow, ContextTooLong)):
        Gateway(model, TIER, ledger, account).complete(ChatRequest((message("user", "hi", priority=1),), 64))
    assert len(model.requests) <= 5
    assert ledger.spent("run", account).tokens == 0


@pytest.mark.parametrize(("reasoning", "completion"), [(False, 5 + 64), (None, 500)])
def test_unreported_usage_counts_at_a_bound(
    reasoning: bool | None, completion: int, ledger: Ledger, account: Account
) -> None:
    tier = replace(TIER, capabilities=Capabilities(reasoning=reasoning))
    request = ChatRequest((message("user", "hi"),), 500)
    model = ScriptedModel([ChatReply("hello", "stop", None)])
    Gateway(model, tier, ledger, account).complete(request)
    assert ledger.spent("run", account).tokens == upper_bound(request) + completion


def test_an_enforced_context_bounds_the_booking(tmp_path: Path, account: Account) -> None:
    tier = replace(TIER, capabilities=Capabilities(context=8000), context_enforced=True)
    ledger = Ledger(tmp_path / "l.db", Caps(run=Cap(tokens=8_100)))
    text = "x = 1\n" * 2500
    assert Gateway(ScriptedModel(["ok"]), tier, ledger, account).complete(ChatRequest((message("user", text),), 100))
    ledger.close()


def test_known_secrets_are_taken_out_of_prompts_and_the_tier_fills_in(ledger: Ledger, account: Account) -> None:
    tier = replace(TIER, temperature=0.2, capabilities=Capabilities(output=32))
    model = ScriptedModel(["ok"])
    scrubber = Scrubber({"MY_TOKEN": "canary-0123456789"})
    Gateway(model, tier, ledger, account, scrubber=scrubber).complete(
        ChatRequest((message("user", "the token is canary-0123456789"), message("user", "plain")), 64)
    )
    (sent,) = model.requests
    assert sent.messages[0].text == "the token is [secret MY_TOKEN]"
    assert (sent.temperature, sent.max_tokens) == (0.2, 32)
