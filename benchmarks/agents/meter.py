"""A loopback proxy before a model's endpoint that counts the tokens of whoever talks through it.

All conditions are counted by the same meter, whatever they say of themselves.
"""

from __future__ import annotations

import http.client
import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from agents.models.tiers import Tier

MOST_BODY = 4_000_000
SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Spent:
    """What went through the meter."""

    calls: int = 0
    prompt: int = 0
    completion: int = 0
    inexact: int = 0
    """Calls that were broken off, so that the endpoint did not report them; they are estimated."""

    @property
    def tokens(self) -> int:
        """Prompt and completion; what came from the prefix cache counts, too."""
        return self.prompt + self.completion

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.calls + other.calls, self.prompt + other.prompt, self.completion + other.completion,
            self.inexact + other.inexact,
        )  # fmt: skip


class Meter:
    """Passes requests on to a tier's endpoint with its key, and counts; a context manager."""

    def __init__(self, upstream: Tier) -> None:
        """Stand before `upstream`."""
        self._upstream = upstream
        self._lock = threading.Lock()
        self._spent = Spent()
        meter = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                meter.pass_on(self)

            def do_POST(self) -> None:
                meter.pass_on(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def endpoint(self) -> str:
        """The base address to give to whoever is to be counted; it takes any key."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def model(self) -> str:
        """What the endpoint calls the model."""
        return self._upstream.model

    def take(self) -> Spent:
        """Return what was spent since the last time, and begin anew."""
        with self._lock:
            spent, self._spent = self._spent, Spent()
        return spent

    def _add(self, spent: Spent) -> None:
        with self._lock:
            self._spent += spent

    def pass_on(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request with the upstream's answer."""
        body = handler.rfile.read(min(MOST_BODY, int(handler.headers.get("Content-Length") or 0)))
        counted = handler.command == "POST" and handler.path.endswith("/chat/completions")
        if counted:
            body = _with_usage(body)
        # What is not below the base address, such as llama.cpp's /props, lies beside it at the upstream, too.
        place = urlsplit(self._upstream.endpoint)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=SECONDS)
        count = _Count(len(body))
        try:
            connection.request(
                handler.command, handler.path, body or None,
                {"Content-Type": "application/json", "Authorization": f"Bearer {self._upstream.key}"},
            )  # fmt: skip
            answer = connection.getresponse()
            handler.send_response(answer.status)
            handler.send_header("Content-Type", answer.getheader("Content-Type") or "application/json")
            handler.send_header("Connection", "close")
            handler.end_headers()
            while line := answer.readline():
                count.see(line)
                handler.wfile.write(line)
                handler.wfile.flush()
            count.refused = answer.status >= 400
        except OSError:
            pass  # either side has gone; what was written until then is counted
        finally:
            handler.close_connection = True
            connection.close()
            if counted:
                self._add(count.spent())


def _with_usage(body: bytes) -> bytes:
    """Return the request with usage asked for, where it streams."""
    try:
        wanted = json.loads(body)
    except ValueError:
        return body
    if isinstance(wanted, dict) and wanted.get("stream"):
        wanted["stream_options"] = {"include_usage": True}
        return json.dumps(wanted).encode()
    return body


class _Count:
    """Reads an answer line by line, streamed or whole, for what it says of its tokens."""

    def __init__(self, asked: int) -> None:
        self._asked = asked
        self._pieces = 0
        self._usage: dict[str, Any] | None = None
        self.refused = False

    def see(self, line: bytes) -> None:
        text = line.strip().removeprefix(b"data:").strip()
        if not text.startswith(b"{"):
            return
        try:
            said = json.loads(text)
        except ValueError:
            return
        self._pieces += 1
        usage = said.get("usage")
        if isinstance(usage, dict) and "prompt_tokens" in usage:
            self._usage = usage

    def spent(self) -> Spent:
        if self._usage is not None:
            return Spent(1, int(self._usage["prompt_tokens"]), int(self._usage.get("completion_tokens", 0)))
        if self.refused:
            return Spent(1)
        # llama.cpp sends a piece for each token; four bytes of JSON are about one token of the prompt.
        return Spent(1, self._asked // 4, self._pieces, 1)
