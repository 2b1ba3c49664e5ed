from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.models.errors import ModelSettingsError
from agents.models.protocol import Usage
from agents.models.tiers import Capabilities, Prices, Tier, merged, pick, tier_values, tiers

ENDPOINT = "https://models.example/v1"


def test_prices_are_micro_units_for_each_token_and_rounded_up() -> None:
    prices = Prices(Decimal("0.15"), Decimal("0.60"), Decimal("0.075"))
    assert prices.micro(Usage(1_000_000, 1_000_000)) == 750_000
    assert prices.micro(Usage(1_000_000, 0, cached=1_000_000)) == 75_000
    assert prices.micro(Usage(1, 0)) == 1
    assert Prices(Decimal(2), Decimal(8)).micro(Usage(100, 10, cached=50)) == 280


@given(
    st.tuples(*[st.decimals(0, 1000, places=4)] * 3),
    st.tuples(*[st.integers(0, 10**6)] * 4),
)
def test_no_call_costs_more_than_its_worst_case(
    money: tuple[Decimal, Decimal, Decimal], tokens: tuple[int, int, int, int]
) -> None:
    prices = Prices(*money)
    prompt, completion, more_prompt, more_completion = tokens
    for cached in (0, prompt // 2, prompt):
        cost = prices.micro(Usage(prompt, completion, cached))
        assert 0 <= cost <= prices.worst(prompt + more_prompt, completion + more_completion)


def test_settings_become_tiers_with_keys_from_the_environment() -> None:
    values: dict[str, dict[str, Any]] = {
        "large": {
            "endpoint": f"{ENDPOINT}/chat/completions",
            "model": "big",
            "key_variable": "BIG_KEY",
            "prices": {"input": "3", "output": 15},
            "context": 200_000,
            "tools": True,
        },
        "small": {"endpoint": "http://localhost:11434/v1/", "model": "little", "parallel": 1},
    }
    small, large = tiers(values, {"BIG_KEY": " key-of-mine \n"})
    assert (small.name, small.level, small.key, small.prices, small.loopback) == ("small", 1, "", None, True)
    assert (large.endpoint, large.level, large.key, large.loopback) == (ENDPOINT, 2, "key-of-mine", False)
    assert large.prices == Prices(Decimal(3), Decimal(15))
    assert large.capabilities == Capabilities(context=200_000, tools=True)
    assert "key-of-mine" not in repr(large)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "endpoint: it is missing"),
        ({"endpoint": "models.example"}, "is no address"),
        ({"endpoint": "ftp://models.example/v1"}, "is no address"),
        ({"endpoint": "http://[broken/v1"}, "is no address"),
        ({"endpoint": "https://user:pass@models.example/v1"}, "no user, password"),
        ({"endpoint": f"{ENDPOINT}?key=1"}, "no user, password"),
        ({"endpoint": ENDPOINT, "modle": "x"}, "there is no such field; known are endpoint, model"),
        ({"endpoint": ENDPOINT, "key_variable": "sk-abcdefgh"}, "the name of an environment variable"),
        ({"endpoint": ENDPOINT, "key_variable": "UNSET"}, "UNSET, which should hold its key, is not set"),
        ({"endpoint": ENDPOINT, "key_variable": "ODD"}, "what ODD holds cannot be a key"),
        ({"endpoint": "http://models.example/v1", "key_variable": "KEY"}, "unencrypted"),
        ({"endpoint": ENDPOINT, "prices": {"input": -1, "output": 1}}, "prices.input"),
        ({"endpoint": ENDPOINT, "prices": {"input": 1}}, "prices.output: it is missing"),
        ({"endpoint": ENDPOINT, "context": 0}, "context"),
        ({"endpoint": ENDPOINT, "temperature": 3}, "temperature"),
    ],
)
def test_wrong_settings_are_told(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelSettingsError) as caught:
        tiers({"small": table}, {"KEY": "key-of-mine", "ODD": "two words"})
    assert words in str(caught.value)
    assert "key-of-mine" not in str(caught.value)


def test_a_key_may_go_unencrypted_where_that_is_meant() -> None:
    for table in (
        {"endpoint": "http://models.example/v1", "key_variable": "KEY", "plain_http": True},
        {"endpoint": "http://192.168.1.7:8000/v1", "key_variable": "KEY"},
        {"endpoint": "http://localhost:8000/v1", "key_variable": "KEY"},
    ):
        assert tiers({"small": table}, {"KEY": "key-of-mine"})[0].key == "key-of-mine"


def test_names_of_tiers_are_plain() -> None:
    with pytest.raises(ModelSettingsError, match="is no name"):
        tiers({"Big One": {"endpoint": ENDPOINT}}, {})


def test_the_environment_sets_fields_and_wins() -> None:
    environment = {
        "GREENDIFF_MODELS__SMALL__ENDPOINT": "http://localhost:1/v1",
        "GREENDIFF_MODELS__SMALL__PRICES__INPUT": "0.5",
        "GREENDIFF_MODELS__SMALL__PRICES__OUTPUT": "1",
        "GREENDIFF_MODELS__SMALL__TOOLS": "false",
        "OTHER": "x",
    }
    both = merged(
        {"small": {"endpoint": ENDPOINT, "model": "kept"}, "large": {"endpoint": ENDPOINT}}, tier_values(environment)
    )
    small, large = tiers(both, environment)
    assert (small.endpoint, small.model, small.capabilities.tools) == ("http://localhost:1/v1", "kept", False)
    assert small.prices == Prices(Decimal("0.5"), Decimal(1))
    assert large.endpoint == ENDPOINT
    with pytest.raises(ModelSettingsError, match="names no tier and field"):
        tier_values({"GREENDIFF_MODELS__SMALL": "x"})


def test_a_tier_is_picked_by_name_or_address() -> None:
    known = {"small": Tier("small", ENDPOINT, "m")}
    assert pick("small", known) is known["small"]
    given_ = pick("qwen2.5-coder:7b@http://localhost:11434/v1", known)
    assert (given_.model, given_.endpoint) == ("qwen2.5-coder:7b", "http://localhost:11434/v1")
    assert pick("org/model@v2@http://localhost:1/v1", known).model == "org/model@v2"
    with pytest.raises(ModelSettingsError, match="configured are: small"):
        pick("huge", known)


def test_what_is_found_fills_what_is_open_and_the_shorter_context_counts() -> None:
    tier = Tier("small", ENDPOINT, "m", capabilities=Capabilities(context=8000, tools=False))
    assert tier.with_capabilities(Capabilities(tools=True, json_schema=True)).capabilities == Capabilities(
        context=8000, tools=False, json_schema=True
    )
    shorter = tier.with_capabilities(Capabilities(context=4000))
    assert (shorter.context, shorter.context_enforced) == (4000, True)
    longer = tier.with_capabilities(Capabilities(context=9000))
    assert (longer.context, longer.context_enforced) == (8000, False)
    unknown = Tier("small", ENDPOINT, "m")
    assert (unknown.context, unknown.output) == (8192, 2048)
