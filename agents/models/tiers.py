"""Model tiers: where a model is, what it is called, what it costs and what it can do."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.models.errors import ModelSettingsError
from agents.models.protocol import Usage

ENVIRONMENT = "GREENDIFF_MODELS__"
"""Variables are called `GREENDIFF_MODELS__SMALL__ENDPOINT` and so on: tier and field in capitals."""
LEVELS: Mapping[str, int] = {"local": 1, "small": 1, "large": 2}
DEFAULT_CONTEXT = 8192
"""Tokens; what is assumed of a model whose context length nobody knows."""
DEFAULT_OUTPUT = 2048

Source = Literal["settings", "probed", "unknown"]


@dataclass(frozen=True, slots=True)
class Prices:
    """Money per million tokens, in whatever currency the caps are in; so also micro-units per token."""

    input: Decimal
    output: Decimal
    cached: Decimal | None = None
    """For prompt tokens from the prefix cache; None charges them like the others."""

    def micro(self, usage: Usage) -> int:
        """Return what the usage costs in millionths of the currency's unit, rounded up."""
        cached = min(usage.cached, usage.prompt)
        cost = Fraction(self.input) * (usage.prompt - cached) + Fraction(self.output) * usage.completion
        cost += Fraction(self.input if self.cached is None else self.cached) * cached
        return ceil(cost)

    def worst(self, prompt: int, completion: int) -> int:
        """Return the most that a call with at most so many tokens can cost, in micro-units."""
        dearest = max(self.input, self.cached or Decimal(0))
        return ceil(Fraction(dearest) * prompt + Fraction(self.output) * completion)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model can do; None is unknown."""

    context: int | None = None
    """Tokens of prompt and reply together."""
    output: int | None = None
    """Tokens of one reply at most."""
    tools: bool | None = None
    json_schema: bool | None = None
    reasoning: bool | None = None
    """Whether it writes reasoning that is counted as its reply."""

    def known_or(self, other: Capabilities) -> Capabilities:
        """Return these, with what is unknown taken from `other`."""
        mine = {name: getattr(self, name) for name in Capabilities.__slots__}
        return Capabilities(**{name: getattr(other, name) if value is None else value for name, value in mine.items()})


@dataclass(frozen=True, slots=True)
class Tier:
    """One model at one endpoint."""

    name: str
    endpoint: str
    """Base address, without a trailing slash: `https://host/v1`."""
    model: str
    """What the endpoint calls the model; empty asks the endpoint for its only one when it is probed."""
    level: int = 1
    """Position in the ladder: cheaper tiers are asked first."""
    key: str = field(default="", repr=False)
    prices: Prices | None = None
    """None is unknown: counted in tokens only."""
    capabilities: Capabilities = Capabilities()
    context_enforced: bool = False
    """Whether the endpoint itself told its context length, so that no prompt can be longer."""
    temperature: float | None = None
    stream: bool = True
    parallel: int = 4
    """Calls at the same time."""
    connect_seconds: float = 10.0
    read_seconds: float = 180.0
    """The longest silence of the endpoint."""
    call_seconds: float = 900.0
    """The longest call."""

    @property
    def context(self) -> int:
        """The context length in tokens, assumed where unknown."""
        return self.capabilities.context or DEFAULT_CONTEXT

    @property
    def output(self) -> int:
        """How many tokens a reply may have where nobody asks for fewer."""
        return min(self.capabilities.output or DEFAULT_OUTPUT, max(1, self.context // 2))

    @property
    def loopback(self) -> bool:
        """Whether the endpoint is on this machine."""
        return _is_near(self.endpoint, loopback_only=True)

    def with_capabilities(self, found: Capabilities) -> Tier:
        """Return the tier with what its settings leave open taken from `found`, and the shorter of both contexts."""
        mine = self.capabilities
        if mine.context is not None and found.context is not None and found.context < mine.context:
            mine = replace(mine, context=None)
        enforced = self.context_enforced if found.context is None else mine.context in {None, found.context}
        return replace(self, capabilities=mine.known_or(found), context_enforced=enforced)


def _is_near(address: str, *, loopback_only: bool) -> bool:
    host = (urlsplit(address).hostname or "").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return False
    return number.is_loopback or (not loopback_only and number.is_private)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


Price = Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Tokens = Annotated[int, Field(gt=0, le=100_000_000)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


class PriceSettings(_Model):
    """Money per million tokens."""

    input: Price
    output: Price
    cached: Price | None = None


class TierSettings(_Model):
    """A tier as a person writes it, in TOML or in the environment."""

    endpoint: str
    model: str = ""
    key_variable: str = ""
    """The NAME of the environment variable that holds the key; the key itself is never in a file."""
    level: Annotated[int, Field(ge=1, le=9)] | None = None
    prices: PriceSettings | None = None
    context: Tokens | None = None
    output: Tokens | None = None
    tools: bool | None = None
    json_schema: bool | None = None
    reasoning: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    stream: bool = True
    parallel: Annotated[int, Field(ge=1, le=256)] = 4
    connect_seconds: Seconds = 10.0
    read_seconds: Seconds = 180.0
    call_seconds: Seconds = 900.0
    plain_http: bool = False
    """Allows a key to be sent unencrypted to a machine that is not in a private network."""

    def tier(self, name: str, environment: Mapping[str, str]) -> Tier:
        """Return the tier, with its key taken from the environment.

        Raises:
            ModelSettingsError: the address is none, or the key is missing or would travel in the open.

        """
        endpoint = _checked_endpoint(self.endpoint, name)
        key = _key(self.key_variable, name, environment)
        open_way = urlsplit(endpoint).scheme == "http" and not _is_near(endpoint, loopback_only=False)
        if key and open_way and not self.plain_http:
            raise ModelSettingsError(
                f"tier {name}: its key would be sent unencrypted to {endpoint}; use https, or say plain_http = true"
            )
        prices = None if self.prices is None else Prices(self.prices.input, self.prices.output, self.prices.cached)
        found = Capabilities(self.context, self.output, self.tools, self.json_schema, self.reasoning)
        level = self.level or LEVELS.get(name, 2)
        return Tier(
            name, endpoint, self.model, level, key, prices, found, False, self.temperature, self.stream, self.parallel,
            self.connect_seconds, self.read_seconds, self.call_seconds,
        )  # fmt: skip


def _checked_endpoint(text: str, name: str) -> str:
    try:
        parts = urlsplit(text)
        bad = parts.scheme not in {"http", "https"} or not parts.hostname or (parts.port or 1) < 1
    except ValueError:
        bad = True
    if bad:
        raise ModelSettingsError(f"tier {name}: {text!r} is no address such as https://host/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ModelSettingsError(
            f"tier {name}: its address must hold no user, password, query or fragment; use key_variable"
        )
    return text.rstrip("/").removesuffix("/chat/completions")


def _key(variable: str, name: str, environment: Mapping[str, str]) -> str:
    if not variable:
        return ""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", variable):
        raise ModelSettingsError(f"tier {name}: key_variable must be the name of an environment variable, not a key")
    key = environment.get(variable, "").strip()
    if not key:
        raise ModelSettingsError(
            f"tier {name}: the environment variable {variable}, which should hold its key, is not set"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ModelSettingsError(f"tier {name}: what {variable} holds cannot be a key")
    return key


def tier_values(environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the tiers' values that the environment sets, by tier and field; prices as `PRICES__INPUT` and so on."""
    values: dict[str, dict[str, Any]] = {}
    for variable, text in sorted(environment.items()):
        if not variable.startswith(ENVIRONMENT):
            continue
        name, _, path = variable.removeprefix(ENVIRONMENT).lower().partition("__")
        field_name, _, inner = path.partition("__")
        if not name or not field_name:
            raise ModelSettingsError(f"{variable} names no tier and field; an example is {ENVIRONMENT}SMALL__ENDPOINT")
        tier = values.setdefault(name, {})
        if inner:
            tier.setdefault(field_name, {})[inner] = text
        else:
            tier[field_name] = text
    return values


def merged(weak: Mapping[str, Mapping[str, Any]], strong: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return both sources' values by tier, where `strong` wins field by field."""
    names = [*weak, *(name for name in strong if name not in weak)]
    return {name: {**weak.get(name, {}), **strong.get(name, {})} for name in names}


def tiers(values: Mapping[str, Mapping[str, Any]], environment: Mapping[str, str]) -> tuple[Tier, ...]:
    """Return the tiers that the values describe, cheapest level first.

    Raises:
        ModelSettingsError: a field is unknown, missing or wrong.

    """
    return tuple(
        sorted((_tier(name, table, environment) for name, table in values.items()), key=lambda t: (t.level, t.name))
    )


def _tier(name: str, table: Mapping[str, Any], environment: Mapping[str, str]) -> Tier:
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,39}", name):
        raise ModelSettingsError(f"{name!r} is no name for a tier: small letters, digits, - and _")
    try:
        settings = TierSettings.model_validate(dict(table))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        known = f"; known are {', '.join(TierSettings.model_fields)}" if first["type"] == "extra_forbidden" else ""
        what = {"extra_forbidden": "there is no such field", "missing": "it is missing"}.get(
            first["type"], first["msg"]
        )
        raise ModelSettingsError(f"tier {name}, {place}: {what[:1].lower()}{what[1:]}{known}") from None
    return settings.tier(name, environment)


def pick(wanted: str, known: Mapping[str, Tier]) -> Tier:
    """Return the tier that `--model` names: a configured one, or `MODEL@ADDRESS` for an endpoint without a key.

    Raises:
        ModelSettingsError: there is no such tier.

    """
    if wanted in known:
        return known[wanted]
    model, at, address = wanted.rpartition("@")
    if at and "://" in address:
        return TierSettings(endpoint=address, model=model, level=1).tier("given", {})
    listed = ", ".join(sorted(known)) or "none"
    raise ModelSettingsError(
        f"there is no model tier {wanted!r}; configured are: {listed}; an endpoint without a key can be given as MODEL@http://host:port/v1"
    )
