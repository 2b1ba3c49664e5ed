"""What every model is to the rest of greendiff: typed messages in, one typed reply out, synchronously."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Literal, Protocol

Role = Literal["system", "user", "assistant", "tool"]
Keep = Literal["all", "head", "tail", "ends"]
Finish = Literal["stop", "length", "tool_calls", "repetition"]


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a message, with what may happen to it when the prompt does not fit the context."""

    text: str
    priority: int | None = None
    """None is never shortened; of the others the lowest are shortened first."""
    label: str = ""
    """What it is, for the person and the model, where it is left out: `the test's output`."""
    keep: Keep = "all"
    """What survives of it: `all` means whole or not at all, the others keep that end (or both)."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool; `arguments` is JSON text exactly as it wrote it, not checked."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Role
    parts: tuple[Part, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    """Only in an assistant's message."""
    tool_call_id: str = ""
    """Only in a tool's message: which call it answers."""

    @property
    def text(self) -> str:
        """The parts joined."""
        return "".join(part.text for part in self.parts)


def message(role: Role, text: str, **part: Any) -> Message:
    """Return a message of one part; `part` are further fields of `Part`."""
    return Message(role, (Part(text, **part),))


def answer(call: ToolCall, text: str, **part: Any) -> Message:
    """Return a tool's message that answers `call`; `part` are further fields of `Part`."""
    return Message("tool", (Part(text, **part),), tool_call_id=call.id)


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as the model sees it."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON schema of an object."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The JSON schema that the reply's text has to follow."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question to a model."""

    messages: tuple[Message, ...]
    max_tokens: int
    """Upper bound on the tokens that the model writes, reasoning included."""
    tools: tuple[Tool, ...] = ()
    schema: Schema | None = None
    temperature: float | None = None
    seed: int | None = None
    """Give samples of the same prompt different seeds; a replay tells them apart by it."""
    halts: tuple[str, ...] = ()
    """Texts at which the model stops writing; at most four."""
    purpose: str = ""
    """Who asks and why, in a word or two, for the ledger and the progress; not sent."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call."""

    prompt: int
    completion: int
    """What the model wrote, reasoning included."""
    cached: int = 0
    """How many of `prompt` came from the endpoint's prefix cache."""
    reasoning: int = 0
    """How many of `completion` were reasoning."""
    exact: bool = True
    """Whether the endpoint reported it; else it is an upper bound."""

    @property
    def total(self) -> int:
        """Prompt and completion."""
        return self.prompt + self.completion

    def __add__(self, other: Usage) -> Usage:
        """Return the sum, exact when both are."""
        return Usage(
            self.prompt + other.prompt,
            self.completion + other.completion,
            self.cached + other.cached,
            self.reasoning + other.reasoning,
            self.exact and other.exact,
        )


@dataclass(frozen=True, slots=True)
class ChatReply:
    """What the model answered."""

    text: str
    """Without reasoning; may be empty when there are tool calls."""
    finish: Finish
    """`length`: the text was cut off at `max_tokens`; `repetition`: it went in circles and was stopped."""
    usage: Usage | None
    """None where the endpoint does not say."""
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""
    model: str = ""
    """The name that the endpoint gives."""
    notes: tuple[str, ...] = field(default=())
    """What a person should know about this call: parts left out of the prompt, waits, features that were given up."""


class ChatModel(Protocol):
    """Anything that answers a `ChatRequest`."""

    @property
    def name(self) -> str:
        """The model's name for logs and the evidence."""
        ...

    def complete(
        self, request: ChatRequest, *, stop: Event | None = None, on_text: Callable[[str], None] | None = None
    ) -> ChatReply:
        """Answer the request; `on_text` gets the text piece by piece where the model streams.

        Raises:
            CallCancelled: `stop` was set before the answer was there.
            ModelError: another of the errors that `agents.models.errors` draws.

        """
        ...
