"""Requests to GitHub's API: bounded repetition by the server's own hints, pages, and every refusal as a typed error."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from workflows.forge.credentials import Credentials
from workflows.forge.errors import (
    Archived,
    CredentialRefused,
    Exists,
    ForgeBusy,
    ForgeError,
    Locked,
    NoDrafts,
    NotThere,
    OutsideDiff,
    Rejected,
    Unclear,
)
from workflows.forge.secret import Secret
from workflows.wording import printable

if TYPE_CHECKING:
    import httpx
    from githubkit import GitHub, TokenAuthStrategy

ATTEMPTS: Final = 5
"""How often one request is sent at most."""
PATIENCE: Final = 90.0
"""Seconds that one request may wait in all before it is left to the caller to come back later."""
SECONDARY_SECONDS: Final = 60.0
"""What GitHub asks to wait for after a secondary limit that names no time."""
PAGE: Final = 100
MOST_PAGES: Final = 100
MOST_REDIRECTS: Final = 3
_API_VERSION = {"X-GitHub-Api-Version": "2022-11-28"}
_REPEATABLE = frozenset({"GET", "PATCH", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a request that was carried out."""

    data: Any
    more: bool
    """Whether there is a further page."""
    moved: bool
    """Whether the address had changed."""


class Calls:
    """Sends requests with one credential; safe for threads."""

    def __init__(
        self, base_url: str, credentials: Credentials, *, sleep: Callable[[float], object] = time.sleep,
        patience: float = PATIENCE, read_seconds: float = 30.0,
    ) -> None:  # fmt: skip
        """Send to `base_url`; `sleep` waits, and `patience` bounds for how long."""
        self.base_url = base_url.rstrip("/") + "/"
        self._credentials = credentials
        self._sleep = sleep
        self._patience = patience
        self._read_seconds = read_seconds
        self._lock = threading.Lock()
        self._client: tuple[Secret, GitHub[TokenAuthStrategy]] | None = None
        self._verify: Any = None

    def get(self, path: str, what: str, **params: str | int) -> Answer:
        """Read one thing; `what` names it in errors."""
        return self.send("GET", path, what, params=params)

    def pages(self, path: str, what: str, key: str = "", **params: str | int) -> Iterator[Any]:
        """Yield all items of a list, page by page; `key` names the list where it is wrapped in an object."""
        for number in range(1, MOST_PAGES + 1):
            answer = self.get(path, what, per_page=PAGE, page=number, **params)
            items = answer.data.get(key, []) if key and isinstance(answer.data, dict) else answer.data
            if not isinstance(items, list):
                raise ForgeError(f"GitHub answered something that is no list, asked for {what}")
            yield from items
            if not answer.more:
                return

    def send(
        self, method: str, path: str, what: str, *, body: Mapping[str, Any] | None = None,
        params: Mapping[str, str | int] | None = None,
    ) -> Answer:  # fmt: skip
        """Send a request until it is answered.

        Raises:
            Unclear: no answer came to one that must not be repeated unseen.
            ForgeBusy: what may pass did not within the patience.
            ForgeError: whatever else GitHub says; see `refusal`.

        """
        waited, attempt, renewed, redirects, url = 0.0, 0, False, 0, path
        while True:
            attempt += 1
            response, sent, trouble = self._once(method, url, body, params if url == path else None)
            if response is not None and response.status_code < 300:
                return Answer(_decoded(response, what), 'rel="next"' in response.headers.get("link", ""), redirects > 0)
            if response is not None and response.status_code < 400:
                url, redirects = self._redirected(response, method, what, redirects), redirects + 1
                continue
            if response is not None and response.status_code == 401 and not renewed and self._credentials.refused():
                renewed = True
                continue
            failure = _failure(response, trouble, what)
            if not isinstance(failure, ForgeBusy):
                raise failure
            limited = response is not None and response.status_code in {403, 429}
            if method not in _REPEATABLE and sent and not limited:
                raise Unclear(str(failure), failure.retry_after)
            # Without a hint: 1, 2, 4, ... seconds, a little apart from others who wait for the same.
            pause = failure.retry_after if _hinted(response) else min(30.0, 2.0 ** (attempt - 1))
            pause += random.uniform(0, 0.25 * max(1.0, min(pause, 8.0)))  # noqa: S311 - spreads load, hides nothing
            if attempt >= ATTEMPTS or waited + pause > self._patience:
                raise failure
            self._sleep(pause)
            waited += pause

    def graphql(self, query: str, variables: Mapping[str, Any], what: str) -> Any:
        """Ask in GraphQL, for what has no other way; only for what may be repeated."""
        root = self.base_url
        url = root.removesuffix("v3/") + "graphql" if root.endswith("/api/v3/") else root + "graphql"
        answer = self.send("POST", url, what, body={"query": query, "variables": dict(variables)})
        errors = answer.data.get("errors") if isinstance(answer.data, dict) else None
        if errors:
            raise Rejected(f"GitHub refuses {what}: {_short(str(errors[0].get('message', '')))}")
        return answer.data

    def token(self) -> Secret:
        """Return a token, for Git."""
        return self._credentials.token()

    def _once(
        self, method: str, url: str, body: Mapping[str, Any] | None, params: Mapping[str, str | int] | None
    ) -> tuple[httpx.Response | None, bool, str]:
        """Send once; return the answer, or None, whether it can have been carried out, and what went wrong."""
        import httpx
        from githubkit.exception import RequestError, RequestFailed

        client = self._client_for(self._credentials.token())
        try:
            found = client.request(method, url, params=dict(params or {}), json=body, headers=_API_VERSION)
        except RequestFailed as error:
            return error.response.raw_response, True, ""
        except RequestError as error:
            cause = error.exc
            unsent = isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
            return None, not unsent, f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__
        return found.raw_response, True, ""

    def _client_for(self, secret: Secret) -> GitHub[TokenAuthStrategy]:
        with self._lock:
            if self._client is None or self._client[0] != secret:
                import httpx
                from githubkit import GitHub, TokenAuthStrategy

                if self._verify is None:
                    self._verify = httpx.create_ssl_context()
                # Redirects are looked at here: an issue that was transferred must not silently become another one,
                # and no other host is ever sent the token. Repetition is this module's.
                client = GitHub(
                    TokenAuthStrategy(secret.reveal()), base_url=self.base_url, user_agent="greendiff",
                    follow_redirects=False, timeout=httpx.Timeout(self._read_seconds, connect=10.0),
                    ssl_verify=self._verify, http_cache=False, auto_retry=False,
                )  # fmt: skip
                self._client = (secret, client)
            return self._client[1]

    def _redirected(self, response: httpx.Response, method: str, what: str, redirects: int) -> str:
        import httpx

        status, location = response.status_code, response.headers.get("location", "")
        target = httpx.URL(self.base_url).join(location) if location else None
        own = httpx.URL(self.base_url)
        same = target is not None and (target.scheme, target.host, target.port) == (own.scheme, own.host, own.port)
        repeatable = method == "GET" or status in {307, 308}
        if target is None or not same or not repeatable or redirects >= MOST_REDIRECTS:
            raise NotThere(f"{what} is at another address now, which is not followed: {_short(location)}")
        return str(target)


def _decoded(response: httpx.Response, what: str) -> Any:
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError as error:
        raise ForgeError(f"GitHub answered something that is no JSON, asked for {what}") from error


def _message(response: httpx.Response) -> tuple[str, str]:
    """Return what GitHub says is wrong, and its details."""
    try:
        said = response.json()
    except (ValueError, UnicodeDecodeError):
        return "", ""
    if not isinstance(said, dict):
        return "", ""
    details = said.get("errors") or ""
    return str(said.get("message", "")), json.dumps(details) if details else ""


def _hinted(response: httpx.Response | None) -> bool:
    return response is not None and _hint(response) is not None


def _hint(response: httpx.Response) -> float | None:
    """Return for how many seconds GitHub asks to wait, None where it says nothing."""
    if wanted := response.headers.get("retry-after", "").strip():
        try:
            return max(0.0, float(wanted))
        except ValueError:
            try:
                return max(0.0, parsedate_to_datetime(wanted).timestamp() - time.time())
            except ValueError:
                return None
    if response.headers.get("x-ratelimit-remaining") == "0":
        try:
            return max(1.0, float(response.headers.get("x-ratelimit-reset", "")) - time.time() + 1.0)
        except ValueError:
            return None
    if response.status_code in {403, 429} and "secondary rate" in _message(response)[0].lower():
        return SECONDARY_SECONDS
    return SECONDARY_SECONDS if response.status_code == 429 else None


def _failure(response: httpx.Response | None, trouble: str, what: str) -> ForgeError:
    if response is None:
        return ForgeBusy(f"GitHub cannot be reached for {what} ({_short(trouble)})", 30.0)
    message, details = _message(response)
    return refusal(response.status_code, message, details, what, _hint(response))


_TELLING: Final[tuple[tuple[str, type[ForgeError], str], ...]] = (
    ("archived", Archived, "the repository is archived, so nothing can be written to it; unarchive it first"),
    ("is locked", Locked, "the conversation is locked; unlock it for greendiff to answer there"),
    ("pull request already exists", Exists, "there is a pull request for this branch already"),
    ("draft pull requests are not supported", NoDrafts, "this repository has no draft pull requests"),
    ("must be part of the diff", OutsideDiff, "a line is not in the pull request's diff any more"),
    ("must be part of the same hunk", OutsideDiff, "the lines are not in one hunk of the pull request's diff"),
    ("could not be resolved", OutsideDiff, "a line is not in the pull request's diff any more"),
    ("suspended", CredentialRefused, "the App's installation is suspended; an owner can unsuspend it"),
)  # fmt: skip
"""What GitHub's sentences say, found in small letters."""


def refusal(status: int, message: str, details: str, what: str, hint: float | None) -> ForgeError:
    """Return the error that a status and GitHub's words stand for; `what` was asked for."""
    said = f"{message} {details}".lower()
    if hint is not None and status in {403, 429}:
        kind = "a secondary rate limit" if "secondary" in said else "the rate limit"
        return ForgeBusy(f"GitHub's {kind.split(' ', 1)[1]} is reached; it asks to wait for {hint:.0f} s", hint)
    if status >= 500 or status in {408, 425, 429}:
        return ForgeBusy(f"GitHub answers {status} for {what}; it may be well again soon", hint or 30.0)
    for words, kind_of, sentence in _TELLING:
        if words in said:
            return kind_of(f"{what}: {sentence}")
    words = _short(message)
    if status == 401:
        return CredentialRefused("GitHub does not take the token: it is wrong, expired or revoked; give another one")
    if status == 403:
        return CredentialRefused(f"the token may not do this ({what}): {words}; give it the permission")
    if status in {404, 410}:
        gone = "was deleted" if status == 410 else "does not exist, or this token may not see it"
        return NotThere(f"{what} {gone}")
    if status in {409, 422}:
        return Rejected(f"GitHub refuses {what}: {words}{f' ({_short(details)})' if details else ''}")
    return ForgeError(f"GitHub answers {status} for {what}: {words}")


def _short(text: str) -> str:
    """Return what somebody else wrote as one bounded line."""
    return printable(" ".join(text.split()))[:200]
