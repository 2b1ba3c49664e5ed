"""Asks a model for a reply of a known form, and again with the exact complaint, a bounded number of times.

The readers of replies raise `ReplyRefused`, whose message is written for the model; see `agents.asking_forms` for the
usual one, which takes JSON or a plain form and checks it against a pydantic model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Generic, TypeVar

from agents.errors import AgentError
from agents.models.prompts import Fence, load
from agents.models.protocol import ChatModel, ChatReply, ChatRequest, Message, Part, Schema, message
from agents.replies import ReplyRefused

R = TypeVar("R")
MAX_TEXT = 200_000
"""Characters of a reply that are looked at; a longer one is refused."""
_SHOWN_REPLY = 3000
"""Characters of a refused reply that the model sees again."""
_AGAIN = (
    "That cannot be used: {complaint}\nAnswer again, wholly, in the form that was asked for, and with nothing else."
)


class Unanswered(AgentError):
    """No reply could be used; the message says why the last one could not."""

    def __init__(self, role: str, complaints: tuple[str, ...]) -> None:
        """Keep what was wrong with each reply, in order."""
        count = "reply" if len(complaints) == 1 else f"{len(complaints)} replies"
        super().__init__(f"the model gave the {role} no usable answer in {count}: {complaints[-1]}")
        self.role = role
        self.complaints = complaints


@dataclass(frozen=True, slots=True)
class Asked(Generic[R]):
    """A reply that could be read."""

    value: R
    model: str
    """Name of the model that answered."""
    complaints: tuple[str, ...] = ()
    """What was wrong with the replies before it."""


@dataclass(frozen=True, slots=True)
class Asker:
    """A model, and what all questions of a run share."""

    model: ChatModel
    fence: Fence = field(default_factory=Fence)
    stop: Event | None = None
    attempts: int = 3
    """Replies to one question, at most; at least 1."""
    seed: int | None = None
    """Of the first attempt; each further one counts up."""
    on_text: Callable[[str], None] | None = None

    def ask(
        self,
        role: str,
        values: Mapping[str, str],
        read: Callable[[str], R],
        *,
        max_tokens: int = 1024,
        schema: Schema | None = None,
        prompt: str = "",
        attempts: int | None = None,
    ) -> Asked[R]:
        """Fill the prompt of a role (or the one named `prompt`) and return what `read` makes of the reply.

        A reply that was cut off, goes in circles or is refused by `read` is asked for again, with the complaint; the
        model sees only its last reply again. One that is repeated word for word ends the asking early.

        Raises:
            Unanswered: no reply could be used.
            ModelError: the model did not answer at all; see `agents.models.errors`.

        """
        first = load(prompt or role).fill(values, self.fence)
        request = ChatRequest(first, max_tokens, schema=schema, seed=self.seed, purpose=role)
        complaints: list[str] = []
        before = ""
        for number in range(max(1, self.attempts if attempts is None else attempts)):
            reply = self.model.complete(request, stop=self.stop, on_text=self.on_text)
            try:
                return Asked(read(_whole(reply, max_tokens)), reply.model or self.model.name, tuple(complaints))
            except ReplyRefused as refused:
                complaints.append(str(refused))
            if reply.text == before:
                break
            before = reply.text
            request = replace(
                request,
                messages=(*first, *_again(reply, complaints[-1])),
                seed=None if self.seed is None else self.seed + number + 1,
            )
        raise Unanswered(role, tuple(complaints))


def _whole(reply: ChatReply, max_tokens: int) -> str:
    if reply.finish == "length":
        raise ReplyRefused("cut off", f"the answer was cut off after {max_tokens} tokens: give a much shorter one")
    if reply.finish == "repetition":
        raise ReplyRefused("cut off", "the answer went in circles and was stopped: give a short one without repetition")
    if not reply.text.strip():
        raise ReplyRefused("malformed", "the answer is empty")
    if len(reply.text) > MAX_TEXT:
        raise ReplyRefused("malformed", f"the answer has more than {MAX_TEXT:,} characters")
    return reply.text


def _again(reply: ChatReply, complaint: str) -> tuple[Message, ...]:
    text = reply.text
    if len(text) > _SHOWN_REPLY:
        text = f"{text[: _SHOWN_REPLY // 2]}\n[...]\n{text[-_SHOWN_REPLY // 2 :]}"
    # What the model wrote is the first thing that may go where the context is short.
    written = Message("assistant", (Part(text or "(nothing)", 0, "the last answer", "head"),))
    return written, message("user", _AGAIN.format(complaint=complaint))
