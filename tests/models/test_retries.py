from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from agents.models.errors import CredentialsRefused, EndpointFailed, EndpointTimeout, RateLimited
from agents.models.retries import RetryPolicy, server_hint

DICE = random.Random(1)  # noqa: S311 - jitter
NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "Thu, 01 Jan 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Thu, 01 Jan 2026 11:00:30 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m30s"}, 90.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "250ms"}, 0.25),
        ({"x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": "250ms"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(NOW.timestamp() + 8)}, 8.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str((NOW.timestamp() + 8) * 1000)}, 8.0),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "2026-01-01T12:00:05Z"}, 5.0),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "whenever"}, None),
        (
            {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s",
             "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"},
            360.0,
        ),
    ],
)  # fmt: skip
def test_hints(headers: dict[str, str], seconds: float | None) -> None:
    assert server_hint(headers, NOW) == pytest.approx(seconds)


def test_waits_grow_jitter_and_end() -> None:
    policy, error = RetryPolicy(attempts=5), EndpointFailed("x")
    for failures, bound in ((1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0)):
        waits = [policy.wait(error, failures, 0.0, DICE) for _ in range(50)]
        assert all(wait is not None and 0 <= wait <= bound for wait in waits)
        assert len(set(waits)) > 40
    assert policy.wait(error, 5, 0.0, DICE) is None


def test_a_hint_is_heeded_but_not_beyond_patience() -> None:
    policy = RetryPolicy(patience_seconds=60)
    wait = policy.wait(RateLimited("x", after=10.0), 1, 0.0, DICE)
    assert wait is not None
    assert 10.0 <= wait <= 12.5
    assert policy.wait(RateLimited("x", after=61.0), 1, 0.0, DICE) is None
    assert policy.wait(RateLimited("x", after=50.0), 2, 50.0, DICE) is None


def test_what_may_be_charged_is_tried_less_and_refusals_never_again() -> None:
    policy = RetryPolicy()
    assert policy.wait(EndpointTimeout("x"), 2, 0.0, DICE) is not None
    assert policy.wait(EndpointTimeout("x"), 3, 0.0, DICE) is None
    assert policy.wait(CredentialsRefused("x"), 1, 0.0, DICE) is None
