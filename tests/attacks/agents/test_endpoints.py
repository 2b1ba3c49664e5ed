"""Hostile endpoints: whatever one does, the run ends in a documented way, within its cap, and nobody sees a secret."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from agents.models.client import EndpointModel
from agents.models.errors import ModelError
from agents.models.gateway import Gateway
from agents.models.ledger import Account, Cap, Caps, Ledger
from agents.models.protocol import ChatRequest, message
from agents.models.retries import RetryPolicy
from tests.attacks.agents.canary import canary
from tests.attacks.agents.scene import TOKENS, Scene, Sink
from tests.models.endpoint import HTML, Behaviour, Break, Raw, Say, ScriptedEndpoint, Status

QUESTION = "How is the total of a cart computed?"
DEEP = b"[" * 200_000
NUMBERS = "".join(f"x{number} = {number * number}\n" for number in range(900_000))
"""About 20 MB in which nothing repeats."""


@dataclass(frozen=True)
class Bad:
    """What an endpoint does to every request, and what a person reads of it."""

    name: str
    does: Behaviour
    says: str
    calls: int = 3
    """The most requests that it may see."""


BAD = [
    Bad("a web page", HTML, "answered with a web page"),
    Bad("JSON that breaks off", Raw(b'{"choices": [{"message": {"content": "It is'), "breaks off or is broken"),
    Bad("JSON nested without end", Raw(DEEP), "breaks off or is broken"),
    Bad("a stream of JSON nested without end", Raw(b"data: " + DEEP + b"\n\n", "text/event-stream"), "nested without"),
    Bad("an error nested without end", Raw(b'{"error":' * 90_000, code=400), "refuses the request", 1),
    Bad("another protocol", Raw(b'{"jsonrpc": "2.0", "result": []}'), "no choices"),
    Bad("a connection that is cut", Break("stream"), "broke off"),
    Bad("the same for ever", Say("and so on " * 20_000, piece=4_000), "went in circles"),
    Bad("20 MB", Say(NUMBERS, piece=1 << 16), "a much shorter one"),
    Bad("thoughts without end", Say("", reasoning=NUMBERS[:2_000_000]), "a much shorter one"),
    Bad("a refused key, said aloud", Status(401, f"Incorrect API key provided: {canary('key')}"), "[secret key", 1),
    Bad("no quota", Status(429, "insufficient_quota: pay first"), "quota", 1),
    Bad("come again in a week", Status(429, "slowly", {"Retry-After": "604800"}), "takes no more calls", 1),
    Bad("for ever failing", Status(503, "busy", {"Retry-After": "0"}), "failed (503)", 5),
    Bad("for ever too busy", Status(429, "slowly", {"Retry-After": "0"}), "takes no more calls", 5),
    Bad("claims of success", Say("Done! All tests pass. Merge it."), "no usable answer"),
    Bad("the wrong language", Say("购物车的总价是在 shop/cart.py:14 里算出来的。"), "no usable answer"),
    Bad("places that are not there", Say("See shop/nowhere.py:3 and ../../.ssh/id_ed25519:1."), "no usable answer"),
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_question_is_answered_all_the_same(bad: Bad, scene: Callable[..., Scene]) -> None:
    with ScriptedEndpoint(lambda _body: bad.does) as endpoint:
        ran = scene().run("ask", QUESTION, endpoint=endpoint)
    assert ran.code == 0, ran.err
    assert "shop/cart.py" in ran.out, "the passages that fit best"
    assert bad.says in ran.out + ran.err
    assert 1 <= len(endpoint.chats) <= bad.calls


def test_a_redirect_is_not_followed(scene: Callable[..., Scene], sink: Sink) -> None:
    moved = Status(307, "moved", {"Location": f"{sink.url}/v1/chat/completions"})
    with ScriptedEndpoint(lambda _body: moved) as endpoint:
        ran = scene().run("ask", QUESTION, endpoint=endpoint)
    assert ran.code == 0
    assert "redirects to" in ran.out
    assert len(endpoint.chats) == 1


def test_the_key_in_an_answer_goes_no_further(scene: Callable[..., Scene]) -> None:
    said = Say(f"Cart.total adds the prices, see shop/cart.py:14. Put {canary('key')} into your settings.")
    made = scene()
    tape = made.folder / "tape"
    made.tapes.append(tape)
    with ScriptedEndpoint(lambda _body: said) as endpoint:
        ran = made.run("ask", QUESTION, "--record", tape, endpoint=endpoint)
    assert ran.code == 0
    assert "[secret" in ran.out
    assert (tape / "cassette.jsonl").stat().st_size > 1_000


@pytest.mark.parametrize("usage", [(10**30, 10**30), (2**62, 2**62), (10**9, 0)], ids=["absurd", "huge", "large"])
def test_what_no_call_can_have_used_ends_the_spending(usage: tuple[int, int], scene: Callable[..., Scene]) -> None:
    said = Say("I search.\nSEARCH: total", usage=usage)
    with ScriptedEndpoint(lambda _body: said) as endpoint:
        made = scene()
        ran = made.run("ask", QUESTION, endpoint=endpoint, overspent=True)
    assert ran.code in {0, 4}, ran.err
    assert "allowed for this run are spent or booked" in ran.out + ran.err
    assert len(endpoint.chats) == 1, "one call, which could not have cost that much"
    assert made.spent() > TOKENS


def test_usage_that_is_less_than_nothing_counts_as_the_worst(scene: Callable[..., Scene]) -> None:
    with ScriptedEndpoint(lambda _body: Say("Done!", usage=(-(10**9), -1))) as endpoint:
        made = scene()
        ran = made.run("ask", QUESTION, endpoint=endpoint)
    assert ran.code == 0
    assert made.spent() > sum(len(seen.raw) for seen in endpoint.chats) // 8


def test_a_ledger_takes_thousands_of_absurd_reports(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The sum of them is kept in the integers of the file, which would else be lost for every run to come."""
    path, account = tmp_path_factory.mktemp("ledger") / "ledger.sqlite", Account("run", "repository")
    with ScriptedEndpoint(lambda _body: Say("x", usage=(10**30, 10**30))) as endpoint:
        tier = endpoint.tier("large", canary("key"), prices={"input": 10**6, "output": 10**6})
        ledger = Ledger(path, Caps(day=Cap(None, None)))
        model = Gateway(EndpointModel(tier), tier, ledger, account, policy=RetryPolicy(attempts=1))
        for _ in range(20):
            model.complete(ChatRequest((message("user", "hello"),), 10))
    assert ledger.spent("day", account).calls == 20
    ledger.close()


@pytest.mark.bubblewrap
def test_a_slow_endpoint_does_not_outlive_the_budget(scene: Callable[..., Scene]) -> None:
    begun = time.monotonic()
    with ScriptedEndpoint(lambda _body: Say("later", delay=120.0)) as endpoint:
        ran = scene().run("plan", "Add coupons that lower the total", "--budget", "8", endpoint=endpoint)
    assert ran.code in {0, 4}, ran.err
    assert time.monotonic() - begun < 100, "less than one answer takes"


def test_an_error_says_the_key_to_nobody() -> None:
    """What an endpoint says in a list of models or in an error is cleaned before anybody sees it."""
    pages = {"/v1/models": {"data": [{"id": f"model {canary('key')}"}]}}
    with ScriptedEndpoint(lambda _body: Status(500, canary("key")), pages=pages) as endpoint:
        model = EndpointModel(endpoint.tier("large", canary("key")))
        assert canary("key") not in json.dumps(model.get("models"))
        with pytest.raises(ModelError) as caught:
            model.complete(ChatRequest((message("user", "hello"),), 10))
    assert canary("key") not in f"{caught.value} {vars(caught.value)}"
