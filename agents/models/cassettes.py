"""Records the HTTP traffic with models and replays it offline, so that a whole run can be repeated to the byte.

A cassette is one file of JSON lines: a header, then one exchange a line. Request headers are never kept, and of the
answers' headers only those that are acted on; what is kept is scrubbed. While recording, the run itself is given the
scrubbed answers, so that its replay gets the same. Requests are found again by method, path and scrubbed body, whatever
the host; equal requests get their answers in the recorded order.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2

from agents.models.errors import CassetteError, CassetteMismatch, ReplyError
from agents.models.scrubbing import Scrubber
from agents.models.transport import current_call
from agents.models.wire import Assembly

FILE = "cassette.jsonl"
_VERSION = 1
_KEPT_HEADERS = ("content-type", "retry-after", "retry-after-ms")
_KEPT_PREFIXES = ("x-ratelimit-", "ratelimit-")
_FAILURES: Mapping[str, type[httpx2.RequestError]] = {
    kind.__name__: kind
    for kind in (
        httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ReadError, httpx2.ReadTimeout, httpx2.WriteError,
        httpx2.WriteTimeout, httpx2.RemoteProtocolError, httpx2.LocalProtocolError, httpx2.ProxyError,
        httpx2.PoolTimeout,
    )
}  # fmt: skip
_SHOWN_DIFFERENCES = 4


class Cassette:
    """One recorded run; safe for threads."""

    def __init__(self, path: Path, scrubber: Scrubber, *, nonce: str, replaying: bool) -> None:
        """Use `record` or `replay` instead."""
        self._path = path
        self._scrubber = scrubber
        self._lock = threading.Lock()
        self.nonce = nonce
        """What the run's random markers are made from; the same in the replay."""
        self.replaying = replaying
        self._answers: defaultdict[str, deque[Mapping[str, Any]]] = defaultdict(deque)
        self._asked: defaultdict[str, int] = defaultdict(int)

    @classmethod
    def record(cls, folder: Path, scrubber: Scrubber, *, resume: bool = False) -> Cassette:
        """Begin a cassette in `folder`; `resume` goes on with the one that is there.

        Raises:
            CassetteError: there is one already, or the folder cannot be written to.

        """
        path = folder / FILE
        if resume and path.exists():
            return cls(path, scrubber, nonce=_header(path)["nonce"], replaying=False)
        if path.exists():
            raise CassetteError(f"{path} is there already: record into another folder, or remove it")
        nonce = secrets.token_hex(16)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(_line({"greendiff_cassette": _VERSION, "nonce": nonce}))
        except OSError as error:
            raise CassetteError(f"{path} cannot be written: {error.strerror}") from error
        return cls(path, scrubber, nonce=nonce, replaying=False)

    @classmethod
    def replay(cls, folder: Path, scrubber: Scrubber) -> Cassette:
        """Read the cassette in `folder`.

        Raises:
            CassetteError: there is none, or it is broken.

        """
        path = folder / FILE
        cassette = cls(path, scrubber, nonce=_header(path)["nonce"], replaying=True)
        for number, exchange in enumerate(_lines(path)):
            if number:
                try:
                    cassette._answers[_key(exchange["request"])].append(exchange["response"])
                except (KeyError, TypeError) as error:
                    raise CassetteError(f"{path}, line {number + 1}, is no exchange") from error
        return cassette

    def transport(self, inner: httpx2.BaseTransport | None = None) -> httpx2.BaseTransport:
        """Return a transport that records what goes through `inner`, or that answers from the cassette alone."""
        if self.replaying:
            return _Player(self)
        if inner is None:
            raise CassetteError("recording needs a way to the endpoint")
        return _Recorder(self, inner)

    def unused(self) -> int:
        """Return how many recorded exchanges the replay has not asked for yet."""
        with self._lock:
            return sum(len(answers) for answers in self._answers.values())

    def asked(self, request: httpx2.Request) -> dict[str, Any]:
        """Return a request as it is kept."""
        request.read()
        text = self._scrubber.scrub(request.content.decode("utf-8", "replace"))
        try:
            body: object = json.loads(text) if text else None
        except ValueError:
            body = text
        target = self._scrubber.scrub(request.url.raw_path.decode("ascii", "replace"))
        return {"method": request.method, "path": target, "body": body}

    def keep(self, request: Mapping[str, Any], response: Mapping[str, Any]) -> None:
        """Append an exchange.

        Raises:
            CassetteError: it cannot be written.

        """
        line = _line({"request": request, "response": response})
        with self._lock:
            try:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(line)
            except OSError as error:
                raise CassetteError(f"{self._path} cannot be written: {error.strerror}") from error

    def take(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the next recorded answer to a request.

        Raises:
            CassetteMismatch: there is none.

        """
        key = _key(request)
        with self._lock:
            answers = self._answers.get(key)
            self._asked[key] += 1
            if answers:
                return answers.popleft()
            if answers is not None:
                raise CassetteMismatch(
                    f"the replay asks {self._asked[key]} times for what was recorded {self._asked[key] - 1} times:"
                    f" {request['method']} {request['path']} ({_last_words(request)})"
                )
            others = [json.loads(known) for known, left in self._answers.items() if left]
        raise CassetteMismatch(_difference(request, others))

    def scrubbed(self, text: str, kind: str) -> str:
        """Return an answer's body without secrets, also where a stream has cut one into pieces."""
        clean = self._scrubber.scrub(text)
        if "event-stream" not in kind:
            return clean
        return _restreamed(clean, self._scrubber) or clean


class _Recorder(httpx2.BaseTransport):
    def __init__(self, cassette: Cassette, inner: httpx2.BaseTransport) -> None:
        self._cassette = cassette
        self._inner = inner

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        asked = self._cassette.asked(request)
        blocks: list[bytes] = []
        told: dict[str, Any] = {}
        failure: httpx2.RequestError | None = None
        try:
            response = self._inner.handle_request(request)
            told = {"status": response.status_code, "headers": _kept(response.headers)}
            try:
                blocks.extend(response.iter_raw())
            finally:
                response.close()
        except httpx2.RequestError as error:
            call = current_call.get()
            if call is not None and call.given_up.is_set():
                # Not the endpoint's doing: the run gave this call up, and a replay has nothing to learn from it.
                raise
            failure = error
            told["failure"] = {"kind": _failure_name(error), "message": self._cassette.scrubbed(str(error), "")}
        if "status" in told:
            kind = told["headers"].get("content-type", "")
            told["body"] = self._cassette.scrubbed(b"".join(blocks).decode("utf-8", "replace"), kind)
        self._cassette.keep(asked, told)
        if failure is not None and "status" not in told:
            raise failure
        return _response(told)

    def close(self) -> None:
        self._inner.close()


class _Player(httpx2.BaseTransport):
    def __init__(self, cassette: Cassette) -> None:
        self._cassette = cassette

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return _response(self._cassette.take(self._cassette.asked(request)))


class _Body(httpx2.SyncByteStream):
    def __init__(self, data: bytes, failure: Mapping[str, str] | None) -> None:
        self._data = data
        self._failure = failure

    def __iter__(self) -> Iterator[bytes]:
        yield self._data
        if self._failure is not None:
            raise _FAILURES[self._failure["kind"]](self._failure["message"])


def _response(told: Mapping[str, Any]) -> httpx2.Response:
    failure = told.get("failure")
    if "status" not in told:
        if failure is None:
            raise CassetteError("the cassette holds an exchange without an answer")
        raise _FAILURES[failure["kind"]](failure["message"])
    return httpx2.Response(told["status"], headers=told["headers"], stream=_Body(told["body"].encode("utf-8"), failure))


def _failure_name(error: httpx2.RequestError) -> str:
    return next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _FAILURES), "ReadError")


def _kept(headers: httpx2.Headers) -> dict[str, str]:
    names = sorted(name for name in headers if name in _KEPT_HEADERS or name.startswith(_KEPT_PREFIXES))
    return {name: headers[name] for name in names}


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"


def _key(request: Mapping[str, Any]) -> str:
    return json.dumps(request, ensure_ascii=False, sort_keys=True)


def _lines(path: Path) -> Iterator[Any]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file):
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise CassetteError(f"{path}, line {number + 1}, is not JSON: {error}") from error
    except OSError as error:
        raise CassetteError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CassetteError(f"{path} is not UTF-8: {error}") from error


def _header(path: Path) -> Mapping[str, str]:
    head = next(_lines(path), None)
    if (
        not isinstance(head, dict)
        or head.get("greendiff_cassette") != _VERSION
        or not isinstance(head.get("nonce"), str)
    ):
        raise CassetteError(f"{path} is no cassette of this version of greendiff")
    return head


def _restreamed(text: str, scrubber: Scrubber) -> str | None:
    """Return the stream with each of its texts in one piece and scrubbed, None where no text holds a secret."""
    assembly = Assembly()
    try:
        for line in text.splitlines():
            data = line.removeprefix("data:").strip()
            if line.startswith("data:") and data and data != "[DONE]":
                assembly.add(json.loads(data))
    except (ValueError, ReplyError):
        return None
    said = {"content": "".join(assembly.text), "reasoning_content": "".join(assembly.reasoning)}
    calls = list(assembly.calls.values())
    if not any(scrubber.found(piece) for piece in (*said.values(), *(call.arguments for call in calls))):
        return None
    delta: dict[str, Any] = {key: scrubber.scrub(value) for key, value in said.items() if value}
    if calls:
        delta["tool_calls"] = [
            {"index": n, "id": c.id, "function": {"name": c.name, "arguments": scrubber.scrub(c.arguments)}}
            for n, c in enumerate(calls)
        ]
    events: list[dict[str, Any]] = [{"model": assembly.model, "choices": [{"index": 0, "delta": delta}]}]
    if assembly.finish:
        events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": assembly.finish}]})
    if assembly.usage is not None:
        usage = assembly.usage
        details = {"cached_tokens": usage.cached}
        told = {"prompt_tokens": usage.prompt, "completion_tokens": usage.completion, "prompt_tokens_details": details}
        events.append({"choices": [], "usage": told})
    return "".join(f"data: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events) + "data: [DONE]\n\n"


def _flat(value: object, at: str = "") -> dict[str, object]:
    if isinstance(value, Mapping):
        return {
            k: v for key, inner in value.items() for k, v in _flat(inner, f"{at}.{key}" if at else str(key)).items()
        }
    if isinstance(value, list):
        return {k: v for n, inner in enumerate(value) for k, v in _flat(inner, f"{at}[{n}]").items()}
    return {at: value}


def _difference(request: Mapping[str, Any], others: Iterable[Mapping[str, Any]]) -> str:
    """Say where a request differs from the recorded one that is most like it."""
    mine = _flat(request)
    best: list[str] | None = None
    for other in others:
        theirs = _flat(other)
        differing = [path for path in dict.fromkeys([*mine, *theirs]) if mine.get(path) != theirs.get(path)]
        if best is None or len(differing) < len(best):
            best, nearest = differing, theirs
    head = f"the replay asks for something that was not recorded: {request['method']} {request['path']}"
    if best is None:
        return f"{head}; the cassette has no exchange left"
    shown = [f"{path}: {_apart(nearest.get(path), mine.get(path))}" for path in best[:_SHOWN_DIFFERENCES]]
    more = f"; and {len(best) - len(shown)} more places" if len(best) > len(shown) else ""
    return f"{head}; from the nearest recorded request it differs in {'; '.join(shown)}{more}"


def _apart(old: object, new: object) -> str:
    """Show two values from a little before the place where they part."""
    one, two = (json.dumps(value, ensure_ascii=False) for value in (old, new))
    same = next((n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    start = max(0, same - 20)

    def cut(text: str) -> str:
        piece = text[start : start + 80]
        return ("…" if start else "") + piece + ("…" if start + 80 < len(text) else "")

    return f"recorded {cut(one)}, now {cut(two)}"


def _last_words(request: Mapping[str, Any]) -> str:
    body = request.get("body")
    messages = body.get("messages") if isinstance(body, Mapping) else None
    text = str(messages[-1].get("content")) if messages and isinstance(messages[-1], Mapping) else ""
    return f"last message {text[:60]!r}" if text else "no messages"
