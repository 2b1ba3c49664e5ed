"""Which models are configured and which of them a run may ask, from the settings alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from agents.models.errors import ModelSettingsError
from agents.models.tiers import Capabilities, Prices, Tier, pick, tiers
from workflows.errors import Usage

if TYPE_CHECKING:
    from agents.models.client import EndpointModel
    from agents.models.ledger import Caps
    from workflows.settings import Settings

LOCAL = "local"
"""Name of the embedded model, where no tier of that name is configured."""
NONE = "none"
_NOWHERE = "http://localhost/embedded"
_QUICK_SECONDS = 3.0
"""Longest wait for a connection where somebody only wants to know what is there."""


class _AnyKey(dict[str, str]):
    """The environment of a replay: every key is there, as none is sent."""

    def get(self, name: str, default: object = None) -> str:  # noqa: ARG002
        return "replayed"


def embedded() -> Tier:
    """Return the tier of the embedded model, which is served only once it is opened."""
    from agents.models.fetching import QWEN_CODER

    return Tier(
        LOCAL, _NOWHERE, QWEN_CODER.name, 1, prices=Prices(Decimal(0), Decimal(0)), context_enforced=True, parallel=1,
        capabilities=Capabilities(QWEN_CODER.context, tools=False, reasoning=False, json_schema=True),
    )  # fmt: skip


def is_embedded(tier: Tier) -> bool:
    """Whether it is the embedded model's."""
    return tier.endpoint == _NOWHERE


def configured(settings: Settings, environment: Mapping[str, str]) -> tuple[Tier, ...]:
    """Return the configured tiers, cheapest level first.

    Raises:
        Usage: a field is unknown, missing or wrong.

    """
    known = _AnyKey() if settings.replay else environment
    try:
        return tiers(settings.models, known)
    except ModelSettingsError as error:
        raise Usage(str(error)) from None


def wanted(settings: Settings, environment: Mapping[str, str]) -> tuple[Tier, ...]:
    """Return the tiers that a run may ask, cheapest level first; empty where no model is configured or asked for.

    Raises:
        Usage: a tier is unknown, or its settings are wrong.

    """
    names = tuple(dict.fromkeys(part for name in settings.model for part in name.split(",") if part))
    if NONE in names:
        if len(names) > 1:
            raise Usage("--model none goes with no other tier")
        return ()
    if not names and not settings.models:
        return ()
    known = {tier.name: tier for tier in configured(settings, environment)}
    if LOCAL not in known and LOCAL in names:
        known[LOCAL] = embedded()
    try:
        chosen = [pick(name, known) for name in names] if names else list(known.values())
    except ModelSettingsError as error:
        raise Usage(str(error)) from None
    return tuple(sorted(chosen, key=lambda tier: tier.level))


def caps_of(settings: Settings) -> Caps:
    """Return what may be spent."""
    from agents.models.ledger import Cap, Caps

    def cap(tokens: int | None, cost: Decimal | None) -> Cap:
        return Cap(tokens, None if cost is None else int(cost * 1_000_000))

    return Caps(
        cap(settings.max_tokens, settings.max_cost),
        cap(settings.max_tokens_repository, settings.max_cost_repository),
        cap(settings.max_tokens_day, settings.max_cost_day),
    )


def probe_alone(tier: Tier, *, calls: bool) -> tuple[Tier, tuple[str, ...], bool]:
    """Look at a configured tier outside of any run: the tier, sentences about it, and whether it was reached."""
    from agents.models.client import EndpointModel
    from agents.models.probe import probe

    model: EndpointModel = EndpointModel(replace(tier, connect_seconds=min(_QUICK_SECONDS, tier.connect_seconds)))
    try:
        found = probe(model, calls=calls)
    finally:
        model.close()
    return found.tier, found.findings, found.reached
