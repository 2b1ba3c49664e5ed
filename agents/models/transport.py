"""The way to an endpoint: few headers, no redirects, bounded answers, and sockets that another thread can shut."""

from __future__ import annotations

import contextlib
import socket
import urllib.request
from collections.abc import Iterator
from contextvars import ContextVar
from threading import Event, Lock
from typing import Any
from urllib.parse import urlsplit

import httpx2

from agents.models.errors import ReplyMalformed

REQUEST_HEADERS = frozenset({"host", "content-type", "content-length", "accept"})
"""All that an endpoint is told; the SDK would add the machine's kind and whatever the environment names."""
MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of one answer, more than any model writes."""


class Call:
    """One call on its way: what has to be shut when somebody gives up waiting for it."""

    def __init__(self) -> None:
        """Start with no socket."""
        self._sockets: list[socket.socket] = []
        self._lock = Lock()
        self.given_up = Event()

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Remember the sockets that the HTTP library opens (its `trace` extension)."""
        if event not in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            return
        stream = info.get("return_value")
        found = None if stream is None else stream.get_extra_info("socket")
        if isinstance(found, socket.socket):
            with self._lock:
                self._sockets.append(found)
            if self.given_up.is_set():
                self.give_up()

    def give_up(self) -> None:
        """Shut the sockets, which wakes whoever reads from them; can be called again, from any thread."""
        self.given_up.set()
        with self._lock:
            for one in self._sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


current_call: ContextVar[Call | None] = ContextVar("current_call", default=None)


class GuardedTransport(httpx2.BaseTransport):
    """Passes on what may be passed on, and only so much back."""

    def __init__(self, inner: httpx2.BaseTransport, key: str = "", max_answer: int = MAX_ANSWER) -> None:
        """Wrap `inner`, which does the sending; `key` is the only credential that ever goes along."""
        self._inner = inner
        self._key = key
        self._max_answer = max_answer

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request with the allowed headers only."""
        for name in [name for name in request.headers if name.lower() not in REQUEST_HEADERS]:
            del request.headers[name]
        request.headers["user-agent"] = "greendiff"
        # Not the SDK's: it lets OPENAI_CUSTOM_HEADERS of the environment replace the key that it was given.
        if self._key:
            request.headers["authorization"] = f"Bearer {self._key}"
        call = current_call.get()
        if call is not None:
            request.extensions = {**request.extensions, "trace": call.trace}
        response = self._inner.handle_request(request)
        if not isinstance(response.stream, httpx2.SyncByteStream):
            raise ReplyMalformed("the HTTP library gave an answer that cannot be read synchronously")
        return httpx2.Response(
            status_code=response.status_code,
            headers=response.headers,
            stream=_Bounded(response.stream, self._max_answer),
            extensions=response.extensions,
        )

    def close(self) -> None:
        """Close the inner transport."""
        self._inner.close()


class _Bounded(httpx2.SyncByteStream):
    def __init__(self, inner: httpx2.SyncByteStream, limit: int) -> None:
        self._inner = inner
        self._limit = limit

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for block in self._inner:
            size += len(block)
            if size > self._limit:
                raise ReplyMalformed(f"the endpoint's answer is longer than {self._limit:,} bytes")
            yield block

    def close(self) -> None:
        self._inner.close()


def open_transport(endpoint: str) -> httpx2.BaseTransport:
    """Return a transport for the endpoint that heeds the system's proxies and certificates; nothing is sent yet.

    Connections are not kept: a call lasts seconds, and a connection of its own can be shut without harm to others.
    """
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    near = host in {"localhost", "127.0.0.1", "::1"} or bool(urllib.request.proxy_bypass(host))
    proxy = None if near else urllib.request.getproxies().get(parts.scheme)
    return httpx2.HTTPTransport(limits=limits, proxy=proxy)
