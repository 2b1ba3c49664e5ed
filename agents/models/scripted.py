"""A model that says what it is told to: for tests, examples and rehearsals of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from threading import Event, Lock

from agents.models.errors import CallCancelled, ModelError, ScriptEnded
from agents.models.protocol import ChatReply, ChatRequest, Usage

Step = str | ChatReply | ModelError | Callable[[ChatRequest], "str | ChatReply | ModelError"]


class ScriptedModel:
    """Gives its steps in order: a text or reply is returned, an error raised, a function asked; safe for threads.

    One function alone, instead of several steps, answers every request.
    """

    def __init__(
        self, steps: Iterable[Step] | Callable[[ChatRequest], str | ChatReply | ModelError], name: str = "scripted"
    ) -> None:
        """Take the steps lazily, so that a generator may look at `requests` in between."""
        self._steps: Iterator[Step] = _forever(steps) if callable(steps) else iter(steps)
        self._lock = Lock()
        self._name = name
        self.requests: list[ChatRequest] = []

    @property
    def name(self) -> str:
        """The name that it was given."""
        return self._name

    def complete(
        self, request: ChatRequest, *, stop: Event | None = None, on_text: Callable[[str], None] | None = None
    ) -> ChatReply:
        """Return or raise the next step.

        Raises:
            ScriptEnded: there are no more steps.
            CallCancelled: `stop` is set.

        """
        if stop is not None and stop.is_set():
            raise CallCancelled("the call was cancelled")
        with self._lock:
            self.requests.append(request)
            step = next(self._steps, None)
        if step is None:
            raise ScriptEnded(f"the scripted model {self._name} has no reply left after {len(self.requests) - 1}")
        if callable(step):
            step = step(request)
        if isinstance(step, ModelError):
            raise step
        reply = step if isinstance(step, ChatReply) else _plain(step, request)
        if on_text is not None and reply.text:
            on_text(reply.text)
        return reply


def _forever(step: Step) -> Iterator[Step]:
    while True:
        yield step


def _plain(text: str, request: ChatRequest) -> ChatReply:
    prompt = sum(len(message.text.split()) for message in request.messages)
    return ChatReply(text, "stop", Usage(prompt, len(text.split())), model="scripted")
