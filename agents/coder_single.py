"""One structured reply without tools, and its bounded repairs, for models that cannot keep to tools."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Event

from agents.errors import EditError
from agents.loop import Bounds, EventKind, LoopEvent, OnLoopEvent, Stopped
from agents.models.errors import CallCancelled, CapReached, ContextTooLong, ModelError
from agents.models.prompts import Fence
from agents.models.protocol import ChatModel, ChatRequest, Message, Part, Usage, message
from agents.observations import Observation
from agents.replies import Changes, TreeTexts, read_changes
from agents.results import Candidate
from agents.tools import Toolbox


class Single:
    """Asks, reads, tries out; and asks again with what was wrong."""

    def __init__(
        self, model: ChatModel, toolbox: Toolbox, bounds: Bounds, place: tuple[str, str] | None, fence: Fence
    ) -> None:
        """Prepare; `place` allows the reply to be that one function."""
        self._model, self._toolbox, self._bounds, self._fence = model, toolbox, bounds, fence
        self._path = place[0] if place is not None else None
        self._function = place[1] if place is not None else None
        self._request = ChatRequest((), bounds.reply_tokens, purpose="coder")
        self.tried: list[tuple[Candidate, Observation | None]] = []
        self.said = ""
        self.calls = 0
        self.usage = Usage(0, 0)
        self.stopped: Stopped = "done"
        self.reason = "the model wrote a change"

    def sampled(self, temperature: float | None, seed: int | None) -> None:
        """Sample so."""
        self._request = replace(self._request, temperature=temperature, seed=seed)

    def run(
        self,
        messages: Sequence[Message],
        made: Callable[[Changes], Candidate],
        try_out: Callable[[Candidate], Observation] | None,
        stop: Event | None,
        on_event: OnLoopEvent | None,
    ) -> Single:
        """Ask until a candidate passes, or a bound is reached; return itself."""
        texts = TreeTexts(self._toolbox.base)
        end = time.monotonic() + self._bounds.seconds
        talk = list(messages)
        while (over := self._over(end, stop)) is None:
            self._tell(on_event, "asking", f"asking {self._model.name}")
            reply = self._ask(talk, stop)
            if reply is None:
                return self
            self.said = reply
            try:
                changes = read_changes(reply, texts, path=self._path, function=self._function)
                self._toolbox.guard.check(changes)
                candidate = made(changes)
            except EditError as refused:
                self._tell(on_event, "refused", str(refused))
                talk = self._again(messages, reply, f"Your reply could not be used: {refused}.", "")
                continue
            seen = None if try_out is None else try_out(candidate)
            self.tried.append((candidate, seen))
            if seen is None or seen.ok:
                self.stopped, self.reason = "done", "the model wrote a change" + (" that passes" if seen else "")
                return self
            self._tell(on_event, "objected", seen.text(0).strip())
            talk = self._again(messages, reply, "With your change tests fail:", seen.text(2))
        self.stopped, self.reason = over
        return self

    def _over(self, end: float, stop: Event | None) -> tuple[Stopped, str] | None:
        if stop is not None and stop.is_set():
            return "interrupted", "the run was stopped"
        if self.calls >= self._bounds.steps:
            return ("given up" if self.tried else "malformed"), f"no change of {self.calls} replies passes"
        if self.usage.total >= self._bounds.tokens:
            return "tokens", f"{self.usage.total:,} tokens were used"
        if time.monotonic() >= end:
            return "seconds", f"the time of {self._bounds.seconds:.0f} s was over"
        return None

    def _ask(self, talk: Sequence[Message], stop: Event | None) -> str | None:
        self.calls += 1
        stopped: Stopped = "model"
        try:
            reply = self._model.complete(replace(self._request, messages=tuple(talk)), stop=stop)
        except ModelError as error:
            if isinstance(error, CallCancelled):
                stopped = "interrupted"
            elif isinstance(error, CapReached):
                stopped = "cap"
            elif isinstance(error, ContextTooLong):
                stopped = "context"
            self.stopped, self.reason = stopped, str(error)
            return None
        if reply.usage is not None:
            self.usage += reply.usage
        return reply.text

    def _again(self, messages: Sequence[Message], reply: str, why: str, details: str) -> list[Message]:
        """Return the conversation with only the last reply and what was wrong with it."""
        parts = [Part(why + "\n")]
        if details:
            before, after = self._fence.around("test results", details)
            parts += [Part(before), Part(details, 20, "test results", "ends"), Part(after)]
        parts.append(Part("Write all blocks again, corrected, against the files as you were shown them.\n"))
        return [*messages, message("assistant", reply, priority=15, label="the reply"), Message("user", tuple(parts))]

    def _tell(self, on_event: OnLoopEvent | None, kind: EventKind, text: str) -> None:
        if on_event is not None:
            on_event(LoopEvent(kind, text, self.calls, self.usage.total))
