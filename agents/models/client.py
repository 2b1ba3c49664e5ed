"""One model at one endpoint that speaks the OpenAI protocol: a call is one HTTP request, without retries."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from dataclasses import dataclass, replace
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from agents.models.dialect import Dialect
from agents.models.distrust import Hidden, bounded, most_characters
from agents.models.errors import CallCancelled, EndpointTimeout, ModelError, ReplyMalformed, RequestRefused
from agents.models.protocol import ChatReply, ChatRequest, Finish
from agents.models.tiers import Tier

if TYPE_CHECKING:
    import httpx2
    import openai

    from agents.models.transport import Call

_TICK = 0.05
"""Seconds between two looks at `stop`; an answer wakes the caller at once."""
_LOOK = 512
"""Characters of new text after which it is looked at for repetition."""
_GIVE_UPS = 8


@dataclass(frozen=True, slots=True)
class _Text:
    piece: str


@dataclass(frozen=True, slots=True)
class _Done:
    value: Any


@dataclass(frozen=True, slots=True)
class _Failed:
    error: BaseException


class EndpointModel:
    """A `ChatModel` at an OpenAI-compatible endpoint (hosted, vLLM, Ollama, llama.cpp); safe for threads.

    Nothing is sent before the first call. What an endpoint refuses to take (`temperature`, a JSON schema, ...) is left
    out from then on, and the first reply without it says so in its notes. Its own retries are for that only; failures
    are raised, and `agents.models.gateway.Gateway` decides what to do about them.
    """

    def __init__(self, tier: Tier, *, transport: httpx2.BaseTransport | None = None) -> None:
        """Talk to the tier's endpoint, through `transport` (a cassette) where one is given."""
        self._tier = tier
        self._given = transport
        self._client: openai.OpenAI | None = None
        self._lock = Lock()
        self._dialect = Dialect()
        self._hidden = Hidden(tier.name, tier.key)
        self._slots = threading.BoundedSemaphore(tier.parallel)

    @property
    def name(self) -> str:
        """The model's name at its endpoint."""
        return self._tier.model

    @property
    def tier(self) -> Tier:
        """What it was made from."""
        return self._tier

    def complete(
        self, request: ChatRequest, *, stop: Event | None = None, on_text: Callable[[str], None] | None = None
    ) -> ChatReply:
        """Ask the endpoint once; `on_text` is called in the caller's thread.

        Waits for one of the tier's parallel slots first. When `stop` is set or the tier's `call_seconds` are over, the
        connection is shut and the call returns at once, wherever it stood.

        Raises:
            CallCancelled: `stop` was set.
            EndpointError: the endpoint did not serve it.
            ReplyError: what it sent cannot be used.

        """
        self._take_slot(stop)
        try:
            return self._adapting(request, stop, on_text)
        finally:
            self._slots.release()

    def _take_slot(self, stop: Event | None) -> None:
        while not self._slots.acquire(timeout=_TICK):
            if stop is not None and stop.is_set():
                raise _Unsent("the call was cancelled before it was sent")

    def _adapting(self, request: ChatRequest, stop: Event | None, on_text: Callable[[str], None] | None) -> ChatReply:
        notes: list[str] = []
        for _ in range(_GIVE_UPS):
            dialect = self._dialect
            try:
                reply: ChatReply = self._in_thread(lambda tell: self._ask(request, dialect, tell), stop, on_text)  # noqa: B023
            except RequestRefused as refusal:
                step = dialect.after(refusal, schema=request.schema is not None)
                if step is None:
                    raise
                self._dialect = step[0]
                notes.append(f"{self.name} does not take {step[1]}, so it is asked without")
                continue
            reply = bounded(self._hidden.reply(reply), most_characters(request.max_tokens))
            return replace(reply, notes=(*notes, *reply.notes))
        raise RequestRefused(f"{self._tier.endpoint} refuses the request in every form: {'; '.join(notes)}")

    def get(self, path: str, *, stop: Event | None = None, seconds: float = 15.0) -> object:
        """Return the JSON at `path` (relative to the endpoint, or from the server's root with a leading slash).

        Raises:
            ModelError: there is none.

        """
        return self._in_thread(lambda _: self._fetch("GET", path, None, seconds), stop, None, seconds)

    def post(self, path: str, body: dict[str, Any], *, stop: Event | None = None, seconds: float = 15.0) -> object:
        """Send `body` to `path` and return the JSON that comes back; otherwise like `get`."""
        return self._in_thread(lambda _: self._fetch("POST", path, body, seconds), stop, None, seconds)

    def close(self) -> None:
        """Close the connections; the model can be used again."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    # In the calling thread: wait, and give up where asked to.

    def _in_thread(
        self,
        work: Callable[[Callable[[str], None]], Any],
        stop: Event | None,
        on_text: Callable[[str], None] | None,
        seconds: float | None = None,
    ) -> Any:
        from agents.models.transport import Call

        limit = self._tier.call_seconds if seconds is None else seconds
        call = Call()
        box: queue.SimpleQueue[_Text | _Done | _Failed] = queue.SimpleQueue()
        context = copy_context()
        target = threading.Thread(
            target=context.run, args=(_worker, work, call, box), name="greendiff-model-call", daemon=True
        )
        target.start()
        end = time.monotonic() + limit
        try:
            while True:
                if stop is not None and stop.is_set():
                    raise CallCancelled("the call was cancelled")
                left = end - time.monotonic()
                if left <= 0:
                    raise EndpointTimeout(f"{self._tier.endpoint} did not finish its answer within {limit:g} seconds")
                try:
                    told = box.get(timeout=min(left, _TICK))
                except queue.Empty:
                    continue
                if isinstance(told, _Done):
                    return told.value
                if isinstance(told, _Failed):
                    raise self._known(told.error)
                if on_text is not None:
                    on_text(told.piece)
        finally:
            call.give_up()

    def _known(self, error: BaseException) -> BaseException:
        """Return what is raised for an error of the call's thread."""
        if isinstance(error, RecursionError):
            return ReplyMalformed(f"the answer of {self._tier.endpoint} is JSON that is nested without end")
        return self._hidden.error(error) if isinstance(error, ModelError) else error

    # In the call's own thread: everything that can block.

    def _open(self) -> openai.OpenAI:
        with self._lock:
            if self._client is None:
                self._client = _sdk(self._tier, self._given)
            return self._client

    def _ask(self, request: ChatRequest, dialect: Dialect, tell: Callable[[str], None]) -> ChatReply:
        import httpx2
        from openai import Stream

        from agents.models import faults
        from agents.models.wire import request_body, whole_reply

        stream = self._tier.stream
        body = request_body(request, self._tier.model, dialect, stream=stream)
        begun = False
        try:
            client = self._open()
            if not stream:
                answer = client.post("/chat/completions", cast_to=httpx2.Response, body=body)
                return whole_reply(self._json(answer.text))
            events = client.post("/chat/completions", cast_to=object, body=body, stream=True, stream_cls=Stream[object])
            begun = True
            with events:
                kind = events.response.headers.get("content-type", "").lower()
                if "event-stream" not in kind:
                    text = events.response.read().decode("utf-8", "replace")
                    if not text.lstrip().startswith(("data:", "event:", ":")):
                        return whole_reply(self._json(text))
                    return self._assembled(map(self._json, _events(text)), tell, request.max_tokens)
                return self._assembled(events, tell, request.max_tokens)
        except faults.FOREIGN as error:
            raise faults.fault_of(error, self._tier.endpoint, begun=begun) from error

    def _assembled(self, events: Iterable[object], tell: Callable[[str], None], max_tokens: int) -> ChatReply:
        from agents.models import faults
        from agents.models.wire import Assembly, goes_in_circles

        assembly = Assembly()
        unseen, most = 0, most_characters(max_tokens)
        try:
            for data in events:
                fresh = assembly.add(data)
                if fresh:
                    tell(fresh)
                if assembly.size > most:
                    # Whoever writes on and on need not be listened to until the end.
                    assembly.finish = "length"
                    break
                unseen += len(fresh)
                if unseen >= _LOOK:
                    unseen = 0
                    if goes_in_circles("".join(assembly.text)[-3000:]):
                        return _stopped(assembly.text, assembly.model)
        except ValueError as error:
            text = getattr(error, "doc", "")
            raise faults.not_json(text, self._tier.endpoint) from error
        return assembly.reply(streamed=True)

    def _fetch(self, method: str, path: str, body: dict[str, Any] | None, seconds: float) -> object:
        import httpx2

        from agents.models import faults

        options: Any = {"timeout": seconds}
        url = str(httpx2.URL(self._tier.endpoint).copy_with(raw_path=path.encode())) if path.startswith("/") else path
        try:
            if method == "GET":
                answer = self._open().get(url, cast_to=httpx2.Response, options=options)
            else:
                answer = self._open().post(url, cast_to=httpx2.Response, body=body, options=options)
        except faults.FOREIGN as error:
            raise faults.fault_of(error, self._tier.endpoint) from error
        return self._json(answer.text)

    def _json(self, text: str) -> object:
        from agents.models import faults

        try:
            data = json.loads(self._hidden.text(text))
        except (ValueError, RecursionError):
            raise faults.not_json(text, self._tier.endpoint) from None
        if isinstance(data, dict) and data.get("error"):
            raise faults.told_fault(data["error"], self._tier.endpoint)
        return data


def _events(text: str) -> Iterator[str]:
    """Yield the data of a stream that came with another content type."""
    for line in text.splitlines():
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            return
        if data and line.startswith("data:"):
            yield data


class _Unsent(CallCancelled):
    maybe_charged = False


def _worker(
    work: Callable[[Callable[[str], None]], Any], call: Call, box: queue.SimpleQueue[_Text | _Done | _Failed]
) -> None:
    from agents.models.transport import current_call

    def tell(piece: str) -> None:
        if call.given_up.is_set():
            raise CallCancelled("the call was given up")
        box.put(_Text(piece))

    current_call.set(call)
    try:
        box.put(_Done(work(tell)))
    except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
        box.put(_Failed(error))


def _stopped(text: list[str], model: str) -> ChatReply:
    finish: Finish = "repetition"
    note = "the model went in circles and was stopped"
    return ChatReply("".join(text), finish, None, model=model, notes=(note,))


def _sdk(tier: Tier, transport: httpx2.BaseTransport | None) -> openai.OpenAI:
    """Return the SDK's client, without its retries, its redirects and what it takes from the environment."""
    import httpx2
    import openai

    from agents.models.transport import GuardedTransport, open_transport

    try:
        inner = transport or open_transport(tier.endpoint)
    except (ImportError, ValueError, httpx2.InvalidURL) as error:
        raise ModelError(f"no connection to {tier.endpoint} can be set up: {error}") from error
    wait = httpx2.Timeout(tier.read_seconds, connect=tier.connect_seconds)
    guarded = GuardedTransport(inner, tier.key)
    http = httpx2.Client(transport=guarded, timeout=wait, follow_redirects=False, trust_env=False)
    # The guard sets the key; what stands here only keeps the SDK from looking for one.
    return openai.OpenAI(
        api_key="unused", admin_api_key="", base_url=tier.endpoint, timeout=wait, max_retries=0, http_client=http
    )
