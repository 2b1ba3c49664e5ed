"""When a failed call is made again: jittered waits, and the server's own hints."""

from __future__ import annotations

import email.utils
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from agents.models.errors import EndpointError, ModelError

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_PIECE = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_RESETS = (
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("ratelimit-remaining", "ratelimit-reset"),
)
_EPOCH_FROM = 1_000_000_000.0
"""Larger numbers are moments, smaller ones durations."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long a failed call is tried again."""

    attempts: int = 5
    """Calls in all, the first included."""
    charged_attempts: int = 3
    """The same for failures that the endpoint may have worked on: time-outs, broken and unusable answers."""
    base_seconds: float = 0.5
    cap_seconds: float = 30.0
    """The longest wait that is not asked for by the server."""
    patience_seconds: float = 120.0
    """The longest wait that the server may ask for, and the longest sum of waits."""

    def wait(self, error: ModelError, failures: int, waited: float, dice: random.Random) -> float | None:
        """Return the seconds to wait before the next attempt, None to give up.

        `failures` counts the failed attempts so far and `waited` the seconds slept. Without a hint the wait is "full
        jitter": uniform up to a bound that doubles (M. Brooker, "Exponential Backoff And Jitter", AWS 2015). With a
        hint it is the hint and up to a quarter more, so that parallel callers do not come back at the same moment.
        What may have been charged already is asked again fewer times.
        """
        attempts = min(self.attempts, self.charged_attempts) if error.maybe_charged else self.attempts
        if not error.retryable or failures >= attempts:
            return None
        hint = error.after if isinstance(error, EndpointError) else None
        if hint is None:
            seconds = dice.uniform(0.0, min(self.cap_seconds, self.base_seconds * 2.0 ** (failures - 1)))
        elif hint > self.patience_seconds:
            return None
        else:
            seconds = hint * (1.0 + dice.uniform(0.0, 0.25))
        return None if waited + seconds > self.patience_seconds * 1.25 else seconds


def server_hint(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds after which the server wants to be asked again, None where it does not say.

    Understands `retry-after-ms`, `retry-after` as seconds and as a date (RFC 9110, 10.2.3), and the `x-ratelimit-*`
    families of hosted endpoints, whose reset counts only when nothing remains; the longest of several resets counts.
    Header names must be in lower case.
    """
    now = now or datetime.now(UTC)
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000.0
    after = headers.get("retry-after", "")
    if after:
        seconds = _number(after)
        return seconds if seconds is not None else _until(after, now)
    resets = [
        seconds
        for remaining, reset in _RESETS
        if headers.get(remaining, "").strip() in {"0", "0.0"}
        and (seconds := _duration(headers.get(reset, ""), now)) is not None
    ]
    return max(resets, default=None)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0.0 <= value < 1e14 else None


def _until(text: str, now: datetime) -> float | None:
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def _duration(text: str, now: datetime) -> float | None:
    """Return seconds from `1m30s`, `250ms`, `12`, a moment in seconds or milliseconds since 1970, or ISO 8601."""
    text = text.strip()
    value = _number(text)
    if value is not None:
        if value < _EPOCH_FROM:
            return value
        return max(0.0, (value / 1000.0 if value > _EPOCH_FROM * 1000 else value) - now.timestamp())
    if _DURATION.fullmatch(text):
        return sum(float(amount) * _UNITS[unit] for amount, unit in _PIECE.findall(text))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return max(0.0, ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds())
