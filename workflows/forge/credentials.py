"""Where tokens come from: one that was given, or short-lived ones that a GitHub App is handed for one installation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from workflows.forge.secret import Secret

LEAST_SECONDS = 300.0
"""How long a token that is handed out has to be good for."""


class Credentials(Protocol):
    """Hands out tokens; safe for threads."""

    def token(self) -> Secret:
        """Return a token that is good for five minutes at least.

        Raises:
            ForgeError: none can be had.

        """
        ...

    def refused(self) -> bool:
        """Say that the last token was not taken; return whether asking for another one makes sense."""
        ...


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was given: a person's, or a workflow's own."""

    secret: Secret

    def token(self) -> Secret:
        """Return it."""
        return self.secret

    def refused(self) -> bool:
        """Return False: there is no other one."""
        return False


@dataclass(frozen=True, slots=True)
class Minted:
    """A token with its end."""

    secret: Secret
    expires: float
    """Seconds since the epoch."""


Mint = Callable[[], Minted]
"""Asks the forge for a token."""


class Installation:
    """Tokens of an App's installation: each is used until shortly before its end."""

    def __init__(self, mint: Mint, *, now: Callable[[], float] = time.time) -> None:
        """`mint` gets a new token; `now` is the clock, in seconds since the epoch."""
        self._mint = mint
        self._now = now
        self._lock = threading.Lock()
        self._held: Minted | None = None

    def token(self) -> Secret:
        """Return the token that is held, or a new one."""
        with self._lock:
            if self._held is None or self._held.expires - self._now() < LEAST_SECONDS:
                self._held = self._mint()
            return self._held.secret

    def refused(self) -> bool:
        """Forget the token that is held."""
        with self._lock:
            self._held = None
        return True


def moment(text: str) -> float:
    """Return the seconds since the epoch of an ISO 8601 time as forges write it."""
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


APP_PERMISSIONS: Mapping[str, str] = {
    "contents": "write", "issues": "write", "pull_requests": "write", "checks": "write", "metadata": "read",
}  # fmt: skip
"""What an installation's token is asked to be good for: the least that the pull request, the status comment, the
suggestions and the check need."""
