"""A real HTTP server that speaks the chat-completions protocol and misbehaves on request."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self

from agents.models.tiers import Tier, TierSettings


@dataclass(frozen=True)
class Say:
    """A good answer."""

    text: str = ""
    calls: tuple[tuple[str, Mapping[str, Any] | str], ...] = ()
    """Tool calls: name and arguments."""
    finish: str | None = None
    usage: tuple[int, int] | None = None
    """Prompt and completion tokens; None counts words."""
    report_usage: bool = True
    reasoning: str = ""
    pause: float = 0.0
    """Seconds between two pieces of a stream."""
    delay: float = 0.0
    """Seconds before anything is sent."""
    piece: int = 7
    """Characters of one piece of a stream."""


@dataclass(frozen=True)
class Status:
    """An HTTP error."""

    code: int
    message: str = "it is so"
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Raw:
    """Any body, as it is."""

    body: bytes
    kind: str = "application/json"
    code: int = 200
    drip: float = 0.0
    """Seconds between two bytes."""


@dataclass(frozen=True)
class Break:
    """A connection that ends where it should not."""

    where: Literal["before", "headers", "body", "stream"]
    text: str = "half of an ans"


Behaviour = Say | Status | Raw | Break
Script = Iterable[Behaviour] | Callable[[dict[str, Any]], Behaviour]

HTML = Raw(b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Sign in</h1></body></html>", "text/html")


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    raw: bytes


class ScriptedEndpoint:
    """Answers `POST /v1/chat/completions` by its script, and `pages` by path; a context manager.

    A script is a list of behaviours, used in order, or a function of the request's JSON. With a list, one that is used
    up answers 500, which the tests would see.
    """

    def __init__(
        self, script: Script = (), *, model: str = "scripted-1", pages: Mapping[str, Any] | None = None
    ) -> None:
        self.model = model
        self.pages: dict[str, Any] = {"/v1/models": {"object": "list", "data": [{"id": model}]}, **(pages or {})}
        self.seen: list[Seen] = []
        self._script = script if callable(script) else iter(script)
        self._lock = threading.Lock()
        self.closing = threading.Event()
        endpoint = self

        class Handler(_Handler):
            owner = endpoint

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def chats(self) -> list[Seen]:
        return [one for one in self.seen if one.path.endswith("/chat/completions")]

    def tier(self, name: str = "small", key: str = "", **settings: Any) -> Tier:
        """A tier of this endpoint."""
        environment = {"SCRIPTED_KEY": key}
        known = TierSettings(
            endpoint=self.url, model=self.model, key_variable="SCRIPTED_KEY" if key else "", **settings
        )
        return known.tier(name, environment)

    def next(self, body: dict[str, Any]) -> Behaviour:
        if callable(self._script):
            return self._script(body)
        with self._lock:
            return next(self._script, Status(500, "the script has ended"))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is what many tests are about."""


class _Handler(BaseHTTPRequestHandler):
    owner: ScriptedEndpoint
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
        pass

    def _note(self) -> Any:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = None
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.owner.seen.append(Seen(self.command, self.path, headers, body, raw))
        return body

    def do_GET(self) -> None:
        self._page(self._note())

    def do_POST(self) -> None:
        body = self._note()
        if not self.path.endswith("/chat/completions"):
            self._page(body)
            return
        behaviour = self.owner.next(body or {})
        if isinstance(behaviour, Say):
            self._say(behaviour, body or {})
        elif isinstance(behaviour, Status):
            error = {"message": behaviour.message, "type": "scripted", **behaviour.extra}
            self._send(behaviour.code, json.dumps({"error": error}).encode(), "application/json", behaviour.headers)
        elif isinstance(behaviour, Raw):
            self._send(behaviour.code, behaviour.body, behaviour.kind, drip=behaviour.drip)
        else:
            self._break(behaviour)

    def _page(self, body: Any) -> None:
        page = self.owner.pages.get(self.path)
        page = page(body) if callable(page) else page
        if page is None:
            self._send(404, b'{"error": {"message": "no such page"}}', "application/json")
        elif isinstance(page, Raw):
            self._send(page.code, page.body, page.kind)
        else:
            self._send(200, json.dumps(page).encode(), "application/json")

    def _send(
        self, code: int, body: bytes, kind: str, headers: Mapping[str, str] | None = None, drip: float = 0.0
    ) -> None:
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not drip:
            self.wfile.write(body)
            return
        for number in range(len(body)):
            if self.owner.closing.wait(drip):
                return
            self.wfile.write(body[number : number + 1])

    def _usage(self, say: Say, body: Mapping[str, Any]) -> dict[str, Any]:
        words = sum(len(str(message.get("content")).split()) for message in body.get("messages", []))
        prompt, completion = say.usage or (words, max(1, len(say.text.split())))
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

    def _calls(self, say: Say) -> list[dict[str, Any]]:
        return [
            {
                "index": number,
                "id": f"call_{number}",
                "type": "function",
                "function": {"name": name, "arguments": given if isinstance(given, str) else json.dumps(given)},
            }
            for number, (name, given) in enumerate(say.calls)
        ]

    def _say(self, say: Say, body: Mapping[str, Any]) -> None:
        if say.delay and self.owner.closing.wait(say.delay):
            return
        finish = say.finish or ("tool_calls" if say.calls else "stop")
        if body.get("stream"):
            self._stream(say, body, finish)
            return
        said: dict[str, Any] = {"role": "assistant", "content": say.text or None}
        if say.reasoning:
            said["reasoning_content"] = say.reasoning
        if say.calls:
            said["tool_calls"] = self._calls(say)
        answer: dict[str, Any] = {
            "id": "chatcmpl-scripted",
            "object": "chat.completion",
            "model": self.owner.model,
            "choices": [{"index": 0, "message": said, "finish_reason": finish}],
        }
        if say.report_usage:
            answer["usage"] = self._usage(say, body)
        self._send(200, json.dumps(answer).encode(), "application/json")

    def _event(self, data: object) -> None:
        text = data if isinstance(data, str) else json.dumps(data)
        block = f"data: {text}\n\n".encode()
        self.wfile.write(f"{len(block):x}\r\n".encode() + block + b"\r\n")
        self.wfile.flush()

    def _begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _chunk(self, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {
            "id": "chatcmpl-scripted",
            "object": "chat.completion.chunk",
            "model": self.owner.model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }

    def _stream(self, say: Say, body: Mapping[str, Any], finish: str) -> None:
        self._begin_stream()
        self._event(self._chunk({"role": "assistant", "content": None}))
        if say.reasoning:
            self._event(self._chunk({"reasoning_content": say.reasoning}))
        for start in range(0, len(say.text), say.piece):
            if say.pause and self.owner.closing.wait(say.pause):
                return
            self._event(self._chunk({"content": say.text[start : start + say.piece]}))
        for call in self._calls(say):
            given = call["function"]["arguments"]
            half = len(given) // 2
            head = {**call, "function": {"name": call["function"]["name"], "arguments": given[:half]}}
            tail = {"index": call["index"], "function": {"arguments": given[half:]}}
            self._event(self._chunk({"tool_calls": [head]}))
            self._event(self._chunk({"tool_calls": [tail]}))
        self._event(self._chunk({}, finish))
        wants_usage = (body.get("stream_options") or {}).get("include_usage")
        if say.report_usage and wants_usage:
            self._event({**self._chunk({}), "choices": [], "usage": self._usage(say, body)})
        self._event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def _break(self, behaviour: Break) -> None:
        if behaviour.where == "headers":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Ty")
        elif behaviour.where == "body":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{")
        elif behaviour.where == "stream":
            self._begin_stream()
            self._event(self._chunk({"content": behaviour.text}))
            time.sleep(0.05)
        self.wfile.flush()
        # A reset, not an orderly end: what a crashed server or a cut cable looks like.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
