"""What an endpoint may not hand on: the key that it was sent, and far more text than was asked for."""

from __future__ import annotations

from dataclasses import replace

from agents.models.errors import EndpointError, ModelError, ReplyError
from agents.models.protocol import ChatReply
from agents.models.scrubbing import Scrubber

_LONGEST_TOKEN = 64
"""Characters of the longest tokens that models have, runs of spaces aside."""
_ALWAYS = 65_536
_NAME = 200
"""Characters kept of the name that an endpoint gives its model."""


def most_characters(max_tokens: int) -> int:
    """Return the length from which on an answer was certainly not bounded by `max_tokens`."""
    return _ALWAYS + _LONGEST_TOKEN * max_tokens


def bounded(reply: ChatReply, most: int) -> ChatReply:
    """Return the reply, cut off where it is longer than `most` characters in all; its calls are then left out."""
    if len(reply.model) > _NAME:
        reply = replace(reply, model=reply.model[:_NAME])
    if len(reply.text) + len(reply.reasoning) + sum(len(call.arguments) for call in reply.tool_calls) <= most:
        return reply
    note = "the answer was far longer than was asked for, and was cut off"
    return replace(
        reply, text=reply.text[:most], reasoning="", tool_calls=(), finish="length", notes=(*reply.notes, note)
    )


class Hidden:
    """Takes a tier's key out of whatever its endpoint says; cheap where there is none."""

    def __init__(self, tier: str, key: str) -> None:
        """Hide `key`, which may be empty."""
        self._scrubber = Scrubber({}, [(f"key of {tier}", key)]) if key else None

    def text(self, text: str) -> str:
        """Return a text without the key."""
        return text if self._scrubber is None else self._scrubber.scrub_known(text)

    def reply(self, reply: ChatReply) -> ChatReply:
        """Return a reply without the key."""
        if self._scrubber is None:
            return reply
        calls = tuple(
            replace(call, id=self.text(call.id), name=self.text(call.name), arguments=self.text(call.arguments))
            for call in reply.tool_calls
        )
        return replace(
            reply, text=self.text(reply.text), reasoning=self.text(reply.reasoning), model=self.text(reply.model),
            tool_calls=calls,
        )  # fmt: skip

    def error(self, error: ModelError) -> ModelError:
        """Take the key out of an error's message, and of what it quotes; return it."""
        error.args = tuple(self.text(one) if isinstance(one, str) else one for one in error.args)
        if isinstance(error, EndpointError):
            error.detail = self.text(error.detail)
        if isinstance(error, ReplyError):
            error.excerpt = self.text(error.excerpt)
        return error
