"""Keeps text from being read as the marks with which chat templates divide a conversation.

Servers of open models put a conversation together as one text and then look for marks such as `<|im_start|>` in all of
it, also in what stands inside a message. Whoever writes an issue could so end the message and begin the system's own.
A word joiner after a mark's first character makes ordinary characters of it; where a model writes such a text again, it
is taken out, so that code that deals with such marks can still be edited to the letter.
"""

from __future__ import annotations

import re

_JOINER = "\u2060"
_MARK = re.compile(
    r"(?P<first><)(?P<rest>\|[A-Za-z0-9_ .:/-]{1,60}\|>"
    r"|\uff5c[A-Za-z0-9_ .:/\u2581-]{1,60}\uff5c>"
    r"|/?(?:start_of_turn|end_of_turn|bos|eos|s)>|</?SYS>>)"
    r"|(?P<open>\[)(?P<name>/?(?:INST|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|SYSTEM_PROMPT)\])"
)
_VEILED = re.compile(rf"(?<=[<\[])(?:{_JOINER}|\\u2060)(?=[|/<\uff5cA-Za-z])")


def veiled(text: str) -> str:
    """Return the text with every mark made ordinary."""
    if "<" not in text and "[" not in text:
        return text
    return _MARK.sub(lambda m: f"{m['first'] or m['open']}{_JOINER}{m['rest'] or m['name']}", text)


def unveiled(text: str) -> str:
    """Return the text, or a call's JSON, as it was before `veiled`, whoever wrote it down again."""
    if _JOINER not in text and "\\u2060" not in text:
        return text
    return _VEILED.sub("", text)
