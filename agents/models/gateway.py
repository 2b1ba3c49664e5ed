"""The one way to a model: makes the prompt fit, books the cost, calls, waits and tries again, and settles."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event

from agents.models.control_tokens import unveiled, veiled
from agents.models.errors import CallCancelled, ContextOverflow, EndpointError, ModelError
from agents.models.ledger import Account, Booking, Ledger
from agents.models.protocol import ChatModel, ChatReply, ChatRequest, Message, Usage
from agents.models.retries import RetryPolicy
from agents.models.scrubbing import Scrubber
from agents.models.tiers import Tier
from agents.models.trimming import TokenCounter, Trimmed, trim, upper_bound

_REFITS = 4
"""How often a prompt that the endpoint finds too long is cut further."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """What one attempt came to, for the progress and the evidence."""

    tier: str
    model: str
    purpose: str
    outcome: str
    """`answered`, or the name of the error."""
    usage: Usage | None
    """What was booked in the end; None where nothing was."""
    micro: int | None
    """The same in money, None where the price is unknown."""
    seconds: float
    notes: tuple[str, ...] = ()


class Gateway:
    """A `ChatModel` that guards another one; safe for threads.

    Every attempt is booked at its worst case before it is made. What the endpoint reports is settled; a refusal costs
    nothing; what may have been served stays at its worst case.
    """

    def __init__(
        self,
        model: ChatModel,
        tier: Tier,
        ledger: Ledger,
        account: Account,
        *,
        scrubber: Scrubber | None = None,
        counter: TokenCounter | None = None,
        policy: RetryPolicy = RetryPolicy(),  # noqa: B008
        on_call: Callable[[CallRecord], None] | None = None,
        waiting: bool = True,
        seed: int | None = None,
    ) -> None:
        """Guard `model`, whose tier says context and prices; without `waiting` (a replay) retries come at once."""
        self._model = model
        self._tier = tier
        self._ledger = ledger
        self._account = account
        self._scrubber = scrubber
        self._counter = counter or TokenCounter()
        self._policy = policy
        self._on_call = on_call
        self._waiting = waiting
        self._dice = random.Random(seed)  # noqa: S311 - jitter
        self._not_before = 0.0
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The guarded model's name."""
        return self._model.name

    @property
    def tier(self) -> Tier:
        """The tier that it serves."""
        return self._tier

    def complete(
        self, request: ChatRequest, *, stop: Event | None = None, on_text: Callable[[str], None] | None = None
    ) -> ChatReply:
        """Answer the request, with everything that had to be done for it in the reply's notes.

        Raises:
            ContextTooLong: what may not be left out does not fit.
            CapReached: the call could exceed a cap.
            CallCancelled: `stop` was set.
            ModelError: all attempts failed; the last failure.

        """
        request = self._cleaned(request)
        notes: list[str] = []
        failures, waited, refits = 0, 0.0, 0
        context = self._tier.context
        while True:
            self._pause(stop, 0.0)
            trimmed = trim(request, context, self._counter)
            try:
                reply = self._attempt(trimmed, stop, on_text)
            except ContextOverflow as overflow:
                refits += 1
                if refits > _REFITS:
                    raise
                context = self._refitted(overflow, trimmed, context)
                notes.append("the endpoint found the prompt too long, so more of it was left out")
                continue
            except CallCancelled:
                raise
            except ModelError as error:
                failures += 1
                seconds = self._policy.wait(error, failures, waited, self._dice)
                if seconds is None:
                    raise
                waited += seconds
                notes.append(f"attempt {failures} failed ({error}); tried again")
                if isinstance(error, EndpointError) and error.after is not None:
                    self._hold(seconds)
                self._pause(stop, seconds)
                continue
            return _as_written(replace(reply, notes=(*notes, *trimmed.notes, *reply.notes)))

    def _cleaned(self, request: ChatRequest) -> ChatRequest:
        limit = self._tier.capabilities.output
        if limit is not None and request.max_tokens > limit:
            request = replace(request, max_tokens=limit)
        if self._tier.temperature is not None and request.temperature is None:
            request = replace(request, temperature=self._tier.temperature)
        return replace(request, messages=tuple(self._safe(message) for message in request.messages))

    def _safe(self, message: Message) -> Message:
        """Return a message without secrets, and without what a chat template would read as a message's end."""

        def clean(text: str) -> str:
            return veiled(text if self._scrubber is None else self._scrubber.scrub_known(text))

        parts = tuple(replace(part, text=clean(part.text)) for part in message.parts)
        calls = tuple(replace(call, arguments=clean(call.arguments)) for call in message.tool_calls)
        return (
            message
            if parts == message.parts and calls == message.tool_calls
            else replace(message, parts=parts, tool_calls=calls)
        )

    def _attempt(self, trimmed: Trimmed, stop: Event | None, on_text: Callable[[str], None] | None) -> ChatReply:
        request = trimmed.request
        prompt = upper_bound(request)
        if self._tier.context_enforced:
            prompt = min(prompt, self._tier.context)
        prices = self._tier.prices
        micro = None if prices is None else prices.worst(prompt, request.max_tokens)
        started = time.monotonic()
        with self._ledger.booked(
            self._account,
            tokens=prompt + request.max_tokens,
            micro=micro,
            tier=self._tier.name,
            purpose=request.purpose,
        ) as booking:
            worst = Usage(prompt, request.max_tokens, exact=False)
            try:
                reply = self._model.complete(request, stop=stop, on_text=on_text)
            except ModelError as error:
                if not error.maybe_charged:
                    self._ledger.release(booking)
                self._tell(request, type(error).__name__, worst if error.maybe_charged else None, micro, started, ())
                raise
            usage, cost = self._settle(booking, worst, reply)
        if reply.usage is not None:
            self._counter.learn(request, reply.usage.prompt)
        self._tell(request, "answered", usage, cost, started, (*trimmed.notes, *reply.notes))
        return reply

    def _settle(self, booking: Booking, worst: Usage, reply: ChatReply) -> tuple[Usage, int | None]:
        usage = reply.usage
        if usage is None:
            # Hidden reasoning may be charged too; where there is none, bytes bound what was written.
            written = reply.text + reply.reasoning + "".join(call.name + call.arguments for call in reply.tool_calls)
            size = len(written.encode("utf-8", "replace")) + 64
            plain = self._tier.capabilities.reasoning is False
            usage = replace(worst, completion=min(size, worst.completion) if plain else worst.completion)
        cost = None if self._tier.prices is None else self._tier.prices.micro(usage)
        self._ledger.settle(booking, usage, cost)
        return usage, cost

    def _tell(
        self,
        request: ChatRequest,
        outcome: str,
        usage: Usage | None,
        micro: int | None,
        started: float,
        notes: tuple[str, ...],
    ) -> None:
        if self._on_call is None:
            return
        cost = (None if self._tier.prices is None else 0) if usage is None else micro
        seconds = time.monotonic() - started
        self._on_call(CallRecord(self._tier.name, self.name, request.purpose, outcome, usage, cost, seconds, notes))

    def _refitted(self, overflow: ContextOverflow, trimmed: Trimmed, context: int) -> int:
        """Return the context to cut to next: what the endpoint says, or less where its words do not help."""
        self._counter.overflowed(trimmed.request, overflow.size)
        if 0 < overflow.limit < context:
            return overflow.limit
        if self._counter.request(trimmed.request) > trimmed.tokens:
            return context
        return max(1, context * 3 // 4)

    def _hold(self, seconds: float) -> None:
        """Keep parallel callers back, too, while the endpoint wants no calls."""
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + seconds)

    def _pause(self, stop: Event | None, seconds: float) -> None:
        if not self._waiting:
            seconds = 0.0
        end = time.monotonic() + seconds
        while True:
            held = self._not_before if self._waiting else 0.0
            left = max(end, held) - time.monotonic()
            if stop is not None and stop.is_set():
                raise _BeforeCall("the call was cancelled before it was sent")
            if left <= 0:
                return
            if stop is None:
                time.sleep(left)
            else:
                stop.wait(left)


def _as_written(reply: ChatReply) -> ChatReply:
    """Return a reply with the marks of chat templates as they stand in the files."""
    calls = tuple(replace(call, arguments=unveiled(call.arguments)) for call in reply.tool_calls)
    return replace(reply, text=unveiled(reply.text), tool_calls=calls)


class _BeforeCall(CallCancelled):
    maybe_charged = False
