"""Makes a prompt fit the model's context before the call, by the priorities of its parts, and says what it left out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Lock

from agents.models.errors import ContextTooLong
from agents.models.protocol import ChatRequest, Message, Part

MESSAGE_TOKENS = 8
"""What a chat template puts around a message, generously."""
TEMPLATE_TOKENS = 64
_BYTES_PER_TOKEN = 3.0
"""Code in the tokenizers in use has 3 to 4.5 bytes to a token; text in other scripts is counted apart."""
_WIDE_BYTES_PER_TOKEN = 1.6
_LEAST_KEPT = 48
"""Tokens; a shorter rest of a part is not worth keeping."""
_SLACK = 1.05


class TokenCounter:
    """Estimates tokens from above, without a tokenizer, and learns from the usage that endpoints report.

    After each call its estimates are scaled by the ratio of what the endpoint counted to what was estimated: at once
    upward, slowly downward, and always with 5 % to spare. A frozen counter learns nothing, so that the same run trims
    alike whatever order its calls end in; recorded and replayed runs use one.
    """

    def __init__(self, *, frozen: bool = False) -> None:
        """Start with a guess that is above what current tokenizers need for code."""
        self._factor = 1.0
        self._frozen = frozen
        self._lock = Lock()

    @property
    def factor(self) -> float:
        """What the plain estimate is multiplied by."""
        return self._factor

    def count(self, text: str) -> int:
        """Return about how many tokens the text has, rather too many than too few."""
        return 0 if not text else 1 + int(_plain(text) * self._factor)

    def request(self, request: ChatRequest) -> int:
        """Return about how many tokens the endpoint will count for the prompt."""
        return self.around(request) + sum(self.message(message) for message in request.messages)

    def around(self, request: ChatRequest) -> int:
        """Return the part of `request` that is not messages."""
        return TEMPLATE_TOKENS + self.count("".join(_declared(request)))

    def message(self, message: Message) -> int:
        """Return about how many tokens one message has."""
        calls = sum(self.count(call.name + call.arguments) + MESSAGE_TOKENS for call in message.tool_calls)
        return MESSAGE_TOKENS + calls + sum(self.count(part.text) for part in message.parts)

    def learn(self, request: ChatRequest, prompt_tokens: int) -> None:
        """Take in how many tokens the endpoint counted for a prompt; absurd figures change little."""
        if self._frozen or prompt_tokens <= 0:
            return
        # The template's share is not scaled, so it is taken off on both sides.
        fixed = TEMPLATE_TOKENS + MESSAGE_TOKENS * len(request.messages)
        texts = sum(_plain(part.text) for message in request.messages for part in message.parts)
        calls = sum(_plain(call.name + call.arguments) for message in request.messages for call in message.tool_calls)
        estimated = texts + calls + _plain("".join(_declared(request)))
        if estimated < fixed:
            return
        seen = min(3.0, max(0.4, prompt_tokens / estimated * _SLACK))
        with self._lock:
            self._factor = seen if seen > self._factor else 0.8 * self._factor + 0.2 * seen

    def overflowed(self, request: ChatRequest, size: int) -> None:
        """Take in that the endpoint found the prompt too long, `size` tokens where it said so, else 0."""
        if size:
            self.learn(request, size)
        elif not self._frozen:
            with self._lock:
                self._factor = min(3.0, self._factor * 1.25)


def _plain(text: str) -> float:
    wide = 0 if text.isascii() else sum(len(c.encode("utf-8", "replace")) for c in text if c > "\x7f")
    narrow = len(text) if not wide else sum(c <= "\x7f" for c in text)
    return narrow / _BYTES_PER_TOKEN + wide / _WIDE_BYTES_PER_TOKEN


def _declared(request: ChatRequest) -> Iterator[str]:
    for tool in request.tools:
        yield tool.name + tool.description + json.dumps(dict(tool.parameters))
    if request.schema is not None:
        yield json.dumps(dict(request.schema.schema))


def upper_bound(request: ChatRequest) -> int:
    """Return more tokens than any tokenizer can make of the prompt, for the ledger.

    Every token of a byte-level or byte-fallback vocabulary stands for at least one byte of the text that the template
    makes, so the bytes are a bound, with an allowance for what templates add.
    """
    size = sum(len(text.encode("utf-8", "replace")) for text in _declared(request))
    for message in request.messages:
        size += 32 + len(message.text.encode("utf-8", "replace"))
        size += sum(32 + len((call.name + call.arguments).encode("utf-8", "replace")) for call in message.tool_calls)
    return size + 512 + (1024 if request.tools else 0)


@dataclass(frozen=True, slots=True)
class Trimmed:
    """A request that fits, and what it took."""

    request: ChatRequest
    tokens: int
    """The estimate for the prompt as it is now."""
    notes: tuple[str, ...] = ()
    """One sentence for each part that was shortened, for a person."""


def trim(request: ChatRequest, context: int, counter: TokenCounter) -> Trimmed:
    """Return the request with parts shortened until prompt and reply fit into `context` tokens.

    Parts with a priority are shortened, lowest first, and the oldest first among equals; parts without one never are.
    Where a part was, a line tells the model what is missing. No message is taken out, so tool calls keep their answers.
    A reply that is allowed to be longer than half the context is cut to that first.

    Raises:
        ContextTooLong: it does not fit even with every such part left out.

    """
    room_for_reply = max(1, min(request.max_tokens, context // 2))
    request = replace(request, max_tokens=room_for_reply)
    budget = context - room_for_reply
    total = counter.request(request)
    if total <= budget:
        return Trimmed(request, total)
    messages = [list(message.parts) for message in request.messages]
    notes: list[str] = []
    for at, place in _by_priority(request.messages):
        part = messages[at][place]
        size = counter.count(part.text)
        shorter = _shortened(part, size - (total - budget), counter)
        saved = size - counter.count(shorter)
        if saved <= 0:
            continue
        messages[at][place] = replace(part, text=shorter)
        total -= saved
        notes.append(
            f"about {saved:,} of {size:,} tokens of {part.label or 'the prompt'} were left out to fit the context"
        )
        if total <= budget:
            kept = tuple(replace(m, parts=tuple(p)) for m, p in zip(request.messages, messages, strict=True))
            return Trimmed(replace(request, messages=kept), total, tuple(notes))
    raise ContextTooLong(
        f"the prompt takes about {total:,} tokens even with all that can be left out, and the model's context has room"
        f" for {budget:,}: use a model with a longer context, or set this one's"
    )


def _by_priority(messages: Sequence[Message]) -> list[tuple[int, int]]:
    places = [
        (part.priority, at, place)
        for at, message in enumerate(messages)
        for place, part in enumerate(message.parts)
        if part.priority is not None
    ]
    return [(at, place) for _, at, place in sorted(places)]


def _shortened(part: Part, target: int, counter: TokenCounter) -> str:
    """Return the part in at most `target` tokens where its `keep` allows, else only the line that says what it was."""
    label = part.label or "text"
    gone = f"[{label}: left out to fit the context]\n"
    if part.keep == "all" or target < _LEAST_KEPT:
        return gone
    lines = part.text.splitlines(keepends=True)
    if len(lines) < 3:
        # One long line: cut it where it stands.
        lines = [part.text[i : i + 80] for i in range(0, len(part.text), 80)]
    low, high, best = 1, len(lines) - 1, gone
    while low <= high:
        middle = (low + high) // 2
        text = _ends(lines, middle, part)
        if counter.count(text) <= target:
            low, best = middle + 1, text
        else:
            high = middle - 1
    return best


def _ends(lines: Sequence[str], kept: int, part: Part) -> str:
    head = kept if part.keep == "head" else 0 if part.keep == "tail" else (kept + 1) // 2
    tail = kept - head
    note = f"[{part.label or 'text'}: {len(lines) - kept:,} of {len(lines):,} lines left out to fit the context]\n"
    before = "".join(lines[:head])
    if before and not before.endswith("\n"):
        before += "\n"
    return before + note + "".join(lines[len(lines) - tail :])
