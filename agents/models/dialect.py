"""What endpoints that speak "the same" protocol take differently, learnt from what they refuse."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Literal

from agents.models.errors import RequestRefused

_OPTIONAL = (
    ("stream_options", re.compile(r"stream_options|include_usage")),
    ("temperature", re.compile(r"temperature")),
    ("seed", re.compile(r"\bseed\b")),
    ("halts", re.compile(r"[\"'`]stop[\"'`]|\bstop sequences?\b|parameter:? stop\b")),
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one endpoint wants to be spoken to."""

    limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    response_format: Literal["json_schema", "json_object", "none"] = "json_schema"
    stream_options: bool = True
    temperature: bool = True
    seed: bool = True
    halts: bool = True

    def after(self, refusal: RequestRefused, *, schema: bool) -> tuple[Dialect, str] | None:
        """Return the dialect to try next and what is given up, None where the refusal is about something else.

        Every step gives up something that is still on, so there is an end.
        """
        words = f"{refusal.param} {refusal.detail}".lower()
        if self.limit_field == "max_tokens" and "max_completion_tokens" in words:
            return replace(self, limit_field="max_completion_tokens"), "max_tokens"
        if schema and re.search(r"response_format|json_schema|json schema|grammar|structured output", words):
            if self.response_format == "json_schema":
                return replace(self, response_format="json_object"), "the JSON schema"
            if self.response_format == "json_object":
                return replace(self, response_format="none"), "JSON output"
        for name, pattern in _OPTIONAL:
            if getattr(self, name) and pattern.search(words):
                off: dict[str, Any] = {name: False}
                return replace(self, **off), name
        return None
