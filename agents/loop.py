"""The one tool-using loop: a conversation in which a model calls typed tools until it is done or a bound is reached."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Event
from typing import Literal

from agents import replies_diff, replies_search
from agents.loop_guard import Repetition
from agents.loop_history import History
from agents.models.deadline import Deadlined
from agents.models.errors import CallCancelled, CallOverdue, CapReached, ContextTooLong, ModelError
from agents.models.prompts import Fence
from agents.models.protocol import ChatModel, ChatReply, ChatRequest, Message, ToolCall, Usage
from agents.replies import ReplyRefused
from agents.replies_tools import checked, tool_calls
from agents.tools import Toolbox, ToolResult

Stopped = Literal[
    "done",
    "given up",
    "steps",
    "tokens",
    "seconds",
    "repetition",
    "no progress",
    "malformed",
    "interrupted",
    "cap",
    "context",
    "model",
]
"""Why a loop ended: the model says it is done (and the check agrees), or says so and the check does not agree; a bound
on steps, tokens or seconds; the same calls again and again; nothing new; replies that cannot be read; `stop` was set;
the ledger's cap; a prompt that does not fit; the endpoint failed."""
Calling = Literal["native", "text"]
EventKind = Literal["asking", "calling", "observed", "refused", "objected", "stopped"]
RESULT = "RESULT "
"""Begins the results in the text protocol; a model that writes it itself makes results up, and is stopped there."""

_UNREAD = "a call that could not be read"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a loop may do; whatever is reached first ends it."""

    steps: int = 40
    """Replies of the model."""
    tokens: int = 400_000
    """Of all prompts and replies together; a call that might go beyond is still made, the next one is not."""
    seconds: float = 900.0
    reply_tokens: int = 4_096
    malformed: int = 3
    """Replies in a row that cannot be read."""
    repeats: int = 3
    """Steps in a row that do only what was done before on the same files."""
    idle: int = 15
    """Steps in a row without a state of the files, or a test result, that was not seen before."""
    objections: int = 2
    """How often a model that says it is done is told what is missing."""
    calls: int = 8
    """Tool calls of one reply that are made; the model is told to repeat the rest."""
    context: int | None = None
    """The model's context in tokens where it is known: old results are shortened before it is full."""


@dataclass(frozen=True, slots=True)
class LoopEvent:
    """One piece of progress."""

    kind: EventKind
    message: str
    """One line for a person."""
    step: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a task is not done, although the model says so."""

    reason: str
    """In our words, to be read after "it is not done: "."""
    details: str = ""
    """What was observed; untrusted."""


Check = Callable[[], Objection | None]
OnLoopEvent = Callable[[LoopEvent], None]


@dataclass(frozen=True, slots=True)
class LoopResult:
    """How a loop ended; the files are in the toolbox."""

    stopped: Stopped
    reason: str
    """One sentence."""
    said: str
    """The model's last words; untrusted."""
    steps: int
    usage: Usage
    messages: tuple[Message, ...]
    """The conversation."""
    error: ModelError | None = None
    """What the model's client raised, where that ended it."""


def run_loop(
    model: ChatModel,
    messages: Sequence[Message],
    toolbox: Toolbox,
    bounds: Bounds = Bounds(),
    *,
    tools: Calling = "native",
    check: Check | None = None,
    fence: Fence | None = None,
    purpose: str = "",
    temperature: float | None = None,
    seed: int | None = None,
    stop: Event | None = None,
    on_event: OnLoopEvent | None = None,
) -> LoopResult:
    """Let the model call the toolbox's tools until it says that it is done.

    `messages` begin the conversation, stable parts first; how tools are called is added to the first one where calls
    are text. `check` is asked when the model says that it is done, and returns what is still missing, or None.

    Raises:
        SandboxBroken: the toolbox's workspace has gone.

    """
    asked = ChatRequest((), bounds.reply_tokens, temperature=temperature, seed=seed, purpose=purpose)
    loop = _Loop(model, toolbox, bounds, asked, tools, check, fence or Fence(), stop, on_event)
    return loop.run(messages)


class _Ended(Exception):
    """A planned end, with its reason."""

    def __init__(self, stopped: Stopped, reason: str, error: ModelError | None = None) -> None:
        super().__init__(reason)
        self.stopped, self.reason, self.error = stopped, reason, error


class _Loop:
    def __init__(
        self,
        model: ChatModel,
        toolbox: Toolbox,
        bounds: Bounds,
        asked: ChatRequest,
        calling: Calling,
        check: Check | None,
        fence: Fence,
        stop: Event | None,
        on_event: OnLoopEvent | None,
    ) -> None:
        self._model, self._toolbox, self._bounds = Deadlined(model, bounds.seconds), toolbox, bounds
        self._native = calling == "native"
        self._asked = replace(asked, tools=toolbox.tools) if self._native else replace(asked, halts=(f"\n{RESULT}",))
        self._check, self._fence, self._stop, self._on_event = check, fence, stop, on_event
        self._guard = Repetition(bounds.repeats, bounds.idle)
        self._usage = Usage(0, 0)
        self._steps = self._malformed = self._objections = 0
        self._said = ""
        self._end = time.monotonic() + bounds.seconds

    def run(self, messages: Sequence[Message]) -> LoopResult:
        self._history = History(messages, self._toolbox.tools, self._fence, native=self._native)
        self._guard.state(self._toolbox.tree.digest)
        try:
            while True:
                self._step()
        except _Ended as ended:
            self._tell("stopped", ended.reason)
            messages = tuple(self._history.messages)
            return LoopResult(ended.stopped, ended.reason, self._said, self._steps, self._usage, messages, ended.error)

    def _step(self) -> None:
        self._bounded()
        reply = self._ask()
        self._said = reply.text.strip() or self._said
        try:
            calls = self._calls(reply)
        except ReplyRefused as refused:
            self._refuse(reply, f"{refused}")
            return
        if calls:
            self._history.said(reply, calls)
            self._make(calls)
        elif reply.finish in {"length", "repetition"}:
            self._refuse(reply, "your reply was cut off before its end: write less at a time")
        elif not self._edited(reply):
            self._finish(reply)

    def _bounded(self) -> None:
        bounds = self._bounds
        if self._stop is not None and self._stop.is_set():
            raise _Ended("interrupted", "the run was stopped")
        if self._steps >= bounds.steps:
            raise _Ended("steps", f"the model was asked {bounds.steps} times without coming to an end")
        if self._usage.total >= bounds.tokens:
            raise _Ended("tokens", f"{self._usage.total:,} tokens were used, of {bounds.tokens:,} that were allowed")
        if time.monotonic() >= self._end:
            raise _Ended("seconds", f"the time of {bounds.seconds:.0f} s was over")

    def _ask(self) -> ChatReply:
        self._steps += 1
        self._tell("asking", f"asking {self._model.name}")
        for attempt in (0, 1):
            request = replace(self._asked, messages=tuple(self._history.messages))
            try:
                reply = self._model.complete(request, stop=self._stop)
            except ContextTooLong as error:
                if attempt or not self._history.compact(keep=1):
                    raise _Ended("context", str(error), error) from error
                continue
            except CallOverdue as error:
                raise _Ended("seconds", str(error), error) from error
            except CallCancelled as error:
                raise _Ended("interrupted", "the run was stopped", error) from error
            except CapReached as error:
                raise _Ended("cap", str(error), error) from error
            except ModelError as error:
                raise _Ended("model", str(error), error) from error
            break
        usage = reply.usage or _guessed(request, reply)
        self._usage += usage
        limit = self._bounds.context
        if limit is not None and usage.prompt + usage.completion > 0.7 * limit:
            # In one go and not a little each time, so that the prompt's beginning stays the same for many calls.
            self._history.compact(keep=3)
        return reply

    def _calls(self, reply: ChatReply) -> tuple[ToolCall, ...]:
        """Return the reply's calls, read and checked.

        Raises:
            ReplyRefused: one cannot be read. Of native calls each is answered by itself instead.

        """
        if reply.tool_calls:
            return reply.tool_calls
        text = reply.text.split(f"\n{RESULT}", 1)[0]
        return tool_calls(text, self._toolbox.tools, halted=text != reply.text)

    def _make(self, calls: Sequence[ToolCall]) -> None:
        results: list[ToolResult] = []
        for number, call in enumerate(calls):
            if number >= self._bounds.calls:
                results.append(
                    ToolResult("Not done: too many calls at once. Make it again.\n", ok=False, label="a call")
                )
                continue
            if self._stop is not None and self._stop.is_set():
                raise _Ended("interrupted", "the run was stopped")
            results.append(self._one(call))
        self._history.results(calls, results)
        if all(result.label == _UNREAD for result in results):
            self._unread(results[-1].text.strip())
        else:
            self._malformed = 0
        self._stale(calls, results)

    def _one(self, call: ToolCall) -> ToolResult:
        try:
            call = checked(call, self._toolbox.tools)
        except ReplyRefused as refused:
            self._tell("refused", str(refused))
            return ToolResult(f"Refused: {refused}.\n", ok=False, label=_UNREAD)
        self._tell("calling", f"{call.name} {_brief(call)}")
        result = self._toolbox.call(call)
        self._tell("observed" if result.ok else "refused", result.text.strip().split("\n", 1)[0][:160])
        return result

    def _stale(self, calls: Sequence[ToolCall], results: Sequence[ToolResult]) -> None:
        """Note what was done; end where nothing new has come for too long."""
        guard, digest = self._guard, self._toolbox.tree.digest
        new = guard.step(
            [(call.name, call.arguments) for call in calls],
            [result.text for call, result in zip(calls, results, strict=True) if call.name == "run_tests"],
            digest,
        )
        if guard.stopped:
            what = "the same calls on the same files" if guard.stopped == "repetition" else "nothing new"
            raise _Ended(guard.stopped, f"the model made {what} {guard.count} times in a row")
        if not new:
            self._history.remark("You have done exactly this before, with the same result. Do something else, or stop.")

    def _edited(self, reply: ChatReply) -> bool:
        """Make the edits of a reply that writes them down instead of calling a tool; whether there were any."""
        if not self._toolbox.writable:
            return False
        if not (replies_search.found_in(reply.text) or replies_diff.found_in(reply.text)):
            return False
        try:
            shown = self._toolbox.edit_by(reply.text)
        except ReplyRefused as refused:
            self._refuse(reply, str(refused))
            return True
        self._malformed = 0
        self._tell("observed", shown.split("\n", 1)[0])
        self._history.said(reply, ())
        self._history.observe(f"Your change is made.\n{shown}", "the result of an edit")
        self._stale([ToolCall("", "edit", reply.text)], [ToolResult(shown)])
        return True

    def _finish(self, reply: ChatReply) -> None:
        missing = self._check() if self._check is not None else None
        if missing is None:
            self._history.said(reply, ())
            raise _Ended("done", "the model says that it is done")
        if self._objections >= self._bounds.objections:
            raise _Ended("given up", f"the model says that it is done, but {missing.reason}")
        self._objections += 1
        self._tell("objected", missing.reason)
        self._history.said(reply, ())
        if missing.details:
            self._history.observe(missing.details, "what was observed")
        self._history.remark(f"It is not done: {missing.reason}. Go on.")

    def _refuse(self, reply: ChatReply, why: str) -> None:
        self._tell("refused", why)
        self._history.said(reply, ())
        self._history.remark(f"Your reply could not be used: {why}.")
        self._unread(why)

    def _unread(self, why: str) -> None:
        self._malformed += 1
        if self._malformed > self._bounds.malformed:
            raise _Ended("malformed", f"{self._malformed} replies in a row could not be read; of the last one: {why}")

    def _tell(
        self, kind: Literal["asking", "calling", "observed", "refused", "objected", "stopped"], text: str
    ) -> None:
        if self._on_event is not None:
            self._on_event(LoopEvent(kind, text, self._steps, self._usage.total))


def _guessed(request: ChatRequest, reply: ChatReply) -> Usage:
    """Return about what a call used where the endpoint does not say."""
    prompt = sum(len(one.text) for one in request.messages)
    written = len(reply.text) + len(reply.reasoning) + sum(len(call.arguments) for call in reply.tool_calls)
    return Usage(prompt // 3 + 1, written // 3 + 1, exact=False)


def _brief(call: ToolCall) -> str:
    values = json.loads(call.arguments).values()
    return " ".join(str(value).split("\n", 1)[0] for value in values)[:100]
