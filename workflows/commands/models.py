"""`greendiff models`: which models are configured, what their endpoints tell, what was spent, and the embedded one."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from agents.models.errors import ModelError
from sandbox.tree import Tree
from workflows.commands.session import guarded, say
from workflows.ladder import LEDGER
from workflows.runs import state_folder
from workflows.settings import Settings, read_settings
from workflows.tiers import caps_of, configured, probe_alone
from workflows.wording import printable

if TYPE_CHECKING:
    from agents.models.tiers import Tier

HINT = (
    "no model is configured; greendiff works without one. A tier is named in your own settings (--config FILE or "
    "GREENDIFF_CONFIG) as [models.NAME], or by GREENDIFF_MODELS__NAME__ENDPOINT; see docs/models.md"
)


def settings_of(config: str | None) -> Settings:
    """Return the user's own settings; a repository's say nothing about models."""
    return read_settings(Tree({}), {}, config=Path(config) if config else None)


def tier_lines(tier: Tier, findings: tuple[str, ...], *, reached: bool) -> list[str]:
    """Return what is known about a tier."""
    can = tier.capabilities
    prices = "unknown: counted in tokens"
    if tier.prices is not None:
        prices = f"{tier.prices.input} a million tokens in, {tier.prices.output} out"
    abilities = {"tool calls": can.tools, "JSON schema": can.json_schema, "reasoning": can.reasoning}
    told = {True: "yes", False: "no", None: "unknown"}
    context = f"{can.context:,} tokens" if can.context else f"unknown, {tier.context:,} tokens assumed"
    return [
        f"{tier.name}: level {tier.level}, {tier.model or 'the only model'} at {tier.endpoint}"
        + (", with a key" if tier.key else "") + ("" if reached else ": CANNOT BE REACHED"),
        f"    context: {context}; prices: {prices}; calls at a time: {tier.parallel}",
        f"    {'; '.join(f'{name}: {told[value]}' for name, value in abilities.items())}",
        *(f"    {finding}" for finding in findings),
    ]  # fmt: skip


def embedded_line() -> str:
    """Return whether the embedded model can be used."""
    from agents.models.fetching import QWEN_CODER, fetched
    from agents.models.local import available

    missing = available()
    file = None if missing else fetched(QWEN_CODER)
    where = missing or (f"can be used, in {file}" if file else "not fetched; get it with: greendiff models --fetch")
    return f"local: the embedded model {QWEN_CODER.name} ({QWEN_CODER.size // 10**6} MB, {QWEN_CODER.licence}): {where}"


def spent_lines(settings: Settings) -> list[str]:
    """Return what is in the ledger for today, and the caps."""
    from agents.models.ledger import Account, Ledger, money

    caps = caps_of(settings)
    lines = []
    named = (("a run", caps.run), ("a repository in 30 days", caps.repository), ("a day", caps.day))
    for name, cap in named:
        parts = [f"{cap.tokens:,} tokens"] if cap.tokens is not None else []
        parts += [f"{money(cap.micro)} in money"] if cap.micro is not None else []
        if parts:
            lines.append(f"cap of {name}: {' and '.join(parts)}")
    if (path := state_folder() / LEDGER).exists():
        ledger = Ledger(path, caps)
        spent = ledger.spent("day", Account("", ""))
        ledger.close()
        lines.append(f"spent today (UTC): {money(spent.micro)}, {spent.tokens:,} tokens in {spent.calls} calls")
    return lines


def report(settings: Settings, *, calls: bool) -> tuple[list[str], bool]:
    """Return the lines on all configured tiers, and whether each of them was reached."""
    lines: list[str] = []
    well = True
    for tier in configured(settings, os.environ):
        try:
            found, findings, reached = probe_alone(tier, calls=calls)
        except ModelError as error:
            found, findings, reached = tier, (str(error),), False
        well = well and reached
        lines += tier_lines(found, findings, reached=reached)
    return lines or [HINT], well


def models(arguments: argparse.Namespace, started: float) -> int:  # noqa: ARG001 - every command has this shape
    """Print the findings; 0 if every configured tier is there, 3 if not."""

    def work() -> int:
        settings = settings_of(arguments.config)
        if arguments.fetch:
            _fetch()
        lines, well = report(settings, calls=arguments.calls)
        print(printable("\n".join([*lines, embedded_line(), *spent_lines(settings)])))
        return 0 if well else 3

    return guarded(work)


def _fetch() -> None:
    from agents.models.fetching import QWEN_CODER, fetch

    shown = [-1]

    def progress(done: int, total: int) -> None:
        percent = 100 * done // total if total else 0
        if percent // 10 > shown[0]:
            shown[0] = percent // 10
            say(f"{QWEN_CODER.name}: {percent} %")

    say(f"{QWEN_CODER.name} is in {fetch(QWEN_CODER, progress=progress)}")
