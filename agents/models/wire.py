"""The chat-completions protocol: our requests as its JSON, its JSON as our replies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from agents.models.dialect import Dialect
from agents.models.errors import ReplyEmpty, ReplyFiltered, ReplyMalformed, ReplyTruncated
from agents.models.protocol import ChatReply, ChatRequest, Finish, Message, ToolCall, Usage

_FINISH: Mapping[str, Finish] = {
    "stop": "stop",
    "end_turn": "stop",
    "eos": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
}
_EXCERPT = 300
_THINK = ("<think>", "</think>")


def speakable(text: str) -> str:
    """Return the text with what JSON over HTTP cannot carry (lone surrogates) replaced by question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def request_body(request: ChatRequest, model: str, dialect: Dialect, *, stream: bool) -> dict[str, Any]:
    """Return the JSON body; the same request gives the same bytes, and stable parts come first in it."""
    body: dict[str, Any] = {"model": model, "messages": [_spoken(message) for message in request.messages]}
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {"name": t.name, "description": t.description, "parameters": dict(t.parameters)},
            }
            for t in request.tools
        ]
    if request.schema is not None and dialect.response_format == "json_schema":
        schema = {"name": request.schema.name, "strict": True, "schema": dict(request.schema.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif request.schema is not None and dialect.response_format == "json_object":
        body["response_format"] = {"type": "json_object"}
    body[dialect.limit_field] = request.max_tokens
    if request.temperature is not None and dialect.temperature:
        body["temperature"] = request.temperature
    if request.seed is not None and dialect.seed:
        body["seed"] = request.seed
    if request.halts and dialect.halts:
        body["stop"] = [speakable(text) for text in request.halts]
    if stream:
        body["stream"] = True
        if dialect.stream_options:
            body["stream_options"] = {"include_usage": True}
    return body


def _spoken(message: Message) -> dict[str, Any]:
    spoken: dict[str, Any] = {"role": message.role, "content": speakable(message.text)}
    if message.tool_calls:
        spoken["content"] = spoken["content"] or None
        spoken["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": speakable(c.arguments)}}
            for c in message.tool_calls
        ]
    if message.role == "tool":
        spoken["tool_call_id"] = message.tool_call_id
    return spoken


class _Lenient(BaseModel):
    """Endpoints add fields of their own; those that are read are checked."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Function(_Lenient):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _Call(_Lenient):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Piece(_Lenient):
    type: str = ""
    text: str | None = None


class _Said(_Lenient):
    content: str | list[_Piece] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(_Lenient):
    index: int | None = 0
    finish_reason: str | None = None
    message: _Said | None = None
    delta: _Said | None = None


class _Answer(_Lenient):
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: dict[str, Any] | None = None


def _read(data: object) -> _Answer:
    if not isinstance(data, dict):
        what = f"the endpoint's JSON is no chat completion, but a {type(data).__name__}"
        raise ReplyMalformed(what, excerpt=repr(data)[:_EXCERPT])
    try:
        return _Answer.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the top"
        what = f"the endpoint's JSON is not a chat completion: at {place}, {first['msg'].lower()}"
        raise ReplyMalformed(what, excerpt=repr(data)[:_EXCERPT]) from None


def _usage(raw: Mapping[str, Any] | None) -> Usage | None:
    """Return the usage, None where it is missing or cannot be right."""
    if not raw:
        return None

    def count(table: object, key: str) -> int:
        value = table.get(key) if isinstance(table, Mapping) else None
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else -1

    prompt, completion = count(raw, "prompt_tokens"), count(raw, "completion_tokens")
    if prompt < 0 or completion < 0:
        return None
    cached = max(0, count(raw.get("prompt_tokens_details"), "cached_tokens"))
    reasoning = max(0, count(raw.get("completion_tokens_details"), "reasoning_tokens"))
    return Usage(prompt, completion, min(cached, prompt), reasoning)


@dataclass(slots=True)
class _Building:
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class Assembly:
    """A reply that grows by the pieces of a stream, or comes at once."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: dict[object, _Building] = field(default_factory=dict)
    finish: str | None = None
    usage: Usage | None = None
    size: int = 0
    """Characters so far, thoughts and calls included."""
    model: str = ""
    seen: bool = False
    """Whether any choice came."""
    refused: bool = False

    def add(self, data: object) -> str:
        """Take one piece of a stream and return the text in it.

        Raises:
            ReplyMalformed: it is not the protocol's.

        """
        answer = _read(data)
        self.model = self.model or answer.model or ""
        self.usage = _usage(answer.usage) or self.usage
        fresh = ""
        for choice in answer.choices or []:
            if choice.index:
                continue
            self.seen = True
            self.finish = choice.finish_reason or self.finish
            said = choice.delta or choice.message
            if said is not None:
                fresh += self._take(said)
        return fresh

    def _take(self, said: _Said) -> str:
        content = said.content
        fresh = "".join(p.text or "" for p in content) if isinstance(content, list) else content or ""
        self.text.append(fresh)
        thought = said.reasoning_content or said.reasoning or ""
        self.reasoning.append(thought)
        self.size += len(fresh) + len(thought)
        self.refused = self.refused or bool(said.refusal)
        for place, call in enumerate(said.tool_calls or []):
            # Some endpoints number the calls, others only name them, and others send each as one piece.
            key: object = call.index if call.index is not None else call.id or f"at {len(self.calls)} {place}"
            building = self.calls.setdefault(key, _Building())
            building.id = building.id or call.id or ""
            if call.function is not None:
                building.name = building.name or call.function.name or ""
                arguments = call.function.arguments
                piece = json.dumps(arguments) if isinstance(arguments, dict) else arguments or ""
                building.arguments += piece
                self.size += len(piece)
        return fresh

    def reply(self, *, streamed: bool) -> ChatReply:
        """Return what came as a reply.

        Raises:
            ReplyTruncated: the stream ended without saying why.
            ReplyEmpty: there is neither text nor a tool call.
            ReplyFiltered: the endpoint withheld it.

        """
        if not self.seen:
            raise ReplyEmpty("the endpoint answered with no choices")
        if self.finish == "content_filter" or (self.refused and not self.calls):
            raise ReplyFiltered("the endpoint's content filter withheld the answer")
        if self.finish is None and streamed:
            raise ReplyTruncated(
                "the endpoint's stream broke off before its end", excerpt="".join(self.text)[-_EXCERPT:]
            )
        text, thought = _without_thoughts("".join(self.text))
        reasoning = "".join(self.reasoning) or thought
        calls = tuple(
            ToolCall(call.id or f"call_{number}", call.name, call.arguments or "{}")
            for number, call in enumerate(self.calls.values())
            if call.name
        )
        finish: Finish = "tool_calls" if calls else _FINISH.get(self.finish or "stop", "stop")
        if self.finish in {"length", "max_tokens"}:
            finish = "length"
        elif finish == "tool_calls" and not calls:
            finish = "stop"
        if not text.strip() and not calls and finish != "length":
            raise ReplyEmpty("the endpoint answered with neither text nor a tool call")
        return ChatReply(text, finish, self.usage, calls, reasoning, self.model)


def _without_thoughts(text: str) -> tuple[str, str]:
    """Split off the reasoning that some local models write into their answer."""
    start, end = _THINK
    body = text.lstrip()
    if end in body and (body.startswith(start) or start not in body):
        thought, _, rest = body.removeprefix(start).partition(end)
        return rest.lstrip("\n"), thought.strip()
    if body.startswith(start):
        return "", body.removeprefix(start).strip()
    return text, ""


def whole_reply(data: object) -> ChatReply:
    """Return the reply that came as one JSON document.

    Raises:
        ReplyError: it is not the protocol's, empty, or withheld.

    """
    assembly = Assembly()
    assembly.add(data)
    return assembly.reply(streamed=False)


def goes_in_circles(text: str, *, window: int = 3000, longest: int = 400) -> bool:
    """Return whether the text's last `window` characters are one piece of at most `longest` characters, repeated.

    The period is the window's length less its longest border (Knuth, Morris and Pratt 1977).
    """
    if len(text) < window:
        return False
    tail = text[-window:]
    borders = [0] * window
    length = 0
    for place in range(1, window):
        while length and tail[place] != tail[length]:
            length = borders[length - 1]
        length += tail[place] == tail[length]
        borders[place] = length
    return window - borders[-1] <= longest
