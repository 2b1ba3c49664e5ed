"""A loop's conversation: stable beginning, results that may be shortened, and calls that every endpoint takes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from agents.models.prompts import Fence
from agents.models.protocol import ChatReply, Message, Part, Tool, ToolCall, answer, message
from agents.replies_tools import instructions
from agents.tools import ToolResult

RESULTS, REMARKS = 10, 30
"""Priorities: results are shortened first, the oldest before the others; remarks and replies later."""
_SHORT = 300
"""Characters that are kept of an old result, and of each value of an old call."""
_MOST_SAID = 6_000
"""Characters kept of a reply without calls; longer ones are noise."""


class History:
    """The messages so far."""

    def __init__(self, messages: Sequence[Message], tools: Sequence[Tool], fence: Fence, *, native: bool) -> None:
        """Begin with the caller's messages; without native calls the first one tells how tools are called."""
        self.messages = list(messages)
        self._begun = len(self.messages)
        self._fence = fence
        self._native = native
        if not native and tools:
            first = self.messages[0] if self.messages else message("system", "")
            told = replace(first, parts=(*first.parts, Part("\n" + instructions(tools))))
            self.messages[:1] = [told]

    def said(self, reply: ChatReply, calls: Sequence[ToolCall]) -> None:
        """Add the model's reply, with the calls that are going to be answered."""
        text = reply.text if len(reply.text) <= _MOST_SAID or calls else reply.text[:_MOST_SAID] + "\n[cut off]"
        native = tuple(_sound(call) for call in calls) if self._native and reply.tool_calls else ()
        if not text.strip() and not native:
            text = "(nothing)"
        parts = (Part(text, REMARKS, "an earlier reply", "ends"),) if text else ()
        self.messages.append(Message("assistant", parts, native))

    def results(self, calls: Sequence[ToolCall], results: Sequence[ToolResult]) -> None:
        """Add the answers to the calls of the last reply."""
        if self.messages[-1].tool_calls:
            for call, result in zip(calls, results, strict=True):
                self.messages.append(replace(answer(call, ""), parts=self._parts("", result)))
            return
        parts: list[Part] = []
        for call, result in zip(calls, results, strict=True):
            parts += self._parts(f"RESULT of {call.name}:\n", result)
        self.messages.append(Message("user", tuple(parts)))

    def observe(self, text: str, label: str) -> None:
        """Add what was observed without a call."""
        self.messages.append(Message("user", self._parts("RESULT:\n", ToolResult(text, label=label))))

    def remark(self, text: str) -> None:
        """Add a word of ours."""
        last = self.messages[-1]
        if last.role == "user" and len(self.messages) > self._begun:
            self.messages[-1] = replace(last, parts=(*last.parts, Part(f"\n{text}\n")))
        else:
            self.messages.append(message("user", text + "\n"))

    def _parts(self, head: str, result: ToolResult) -> tuple[Part, ...]:
        if not result.ok:
            return (Part(head + result.text, RESULTS, result.label, "head"),)
        before, after = self._fence.around("result", result.text)
        return Part(head + before), Part(result.text, RESULTS, result.label, "ends"), Part(after)

    def compact(self, keep: int) -> bool:
        """Shorten all results and calls but those of the last `keep` replies; whether anything became shorter."""
        replies = [at for at, one in enumerate(self.messages) if one.role == "assistant" and at >= self._begun]
        end = replies[-keep] if len(replies) >= keep else self._begun
        shorter = False
        for at in range(self._begun, end):
            old = self.messages[at]
            parts = tuple(_short(part) if part.priority is not None else part for part in old.parts)
            calls = tuple(replace(call, arguments=_brief(call.arguments)) for call in old.tool_calls)
            if parts != old.parts or calls != old.tool_calls:
                self.messages[at] = replace(old, parts=parts, tool_calls=calls)
                shorter = True
        return shorter


def _short(part: Part) -> Part:
    if len(part.text) <= 2 * _SHORT:
        return part
    half = _SHORT // 2
    gone = len(part.text) - 2 * half
    middle = f"\n[{part.label or 'text'}: {gone} characters left out]\n"
    return replace(part, text=part.text[:half] + middle + part.text[-half:])


def _sound(call: ToolCall) -> ToolCall:
    """Return the call as endpoints take it back: some refuse a conversation with arguments that are no JSON object."""
    try:
        good = isinstance(json.loads(call.arguments), dict)
    except (ValueError, RecursionError):
        good = False
    return call if good else replace(call, arguments=json.dumps({"unreadable": call.arguments[:_SHORT]}))


def _brief(arguments: str) -> str:
    """Return a call's arguments with long values shortened, still a JSON object."""
    if len(arguments) <= 2 * _SHORT:
        return arguments
    try:
        values = json.loads(arguments)
    except (ValueError, RecursionError):
        return "{}"
    return json.dumps({key: _cut(value) for key, value in values.items()} if isinstance(values, dict) else {})


def _cut(value: object) -> object:
    text = value if isinstance(value, str) else json.dumps(value)
    return value if len(text) <= _SHORT else f"{text[: _SHORT // 2]} [{len(text) - _SHORT // 2} characters left out]"
