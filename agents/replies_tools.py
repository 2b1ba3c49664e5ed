"""Tool calls as text, for models that have no tool calls of their own.

What a model is asked to write is short enough for small ones to keep:

    CALL read
    path: src/shop.py
    first: 10
    END

A value of several lines stands between `<<<` and `>>>`, each on a line of its own:

    CALL edit
    path: src/shop.py
    search:
    <<<
    total = 0
    >>>
    END

Many models fall back to the form that they were trained on, so a JSON object with `name` and `arguments`, in a fenced
block, in `<tool_call>` tags or alone, is understood as well. Arguments are checked against the tool's own schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.models.protocol import Tool, ToolCall
from agents.replies import ReplyRefused, split_lines
from agents.replies_blocks import is_fence

_CALL = re.compile(r"^\s{0,3}\**CALL\**[ \t]+`?([A-Za-z_][A-Za-z0-9_-]*)`?[ \t]*:?[ \t]*$")
_END = re.compile(r"^\s{0,3}\**END\**[ \t]*$")
_VALUE = re.compile(r"^\s{0,3}([A-Za-z_][A-Za-z0-9_]*)[ \t]*[:=](.*)$")
_TAGGED = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|\Z)", re.DOTALL)
_NAMES = ("name", "tool", "function")
_ARGUMENTS = ("arguments", "parameters", "args", "input")
_SIMPLE: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
}


def instructions(tools: Sequence[Tool]) -> str:
    """Return how the tools are called, for the prompt."""
    lines = ["Call a tool like this, and write nothing after END:", ""]
    for tool in tools:
        lines += [f"CALL {tool.name}"]
        required = tool.parameters.get("required", [])
        for name, schema in tool.parameters.get("properties", {}).items():
            kind = schema.get("type", "string")
            optional = "" if name in required else ", may be left out"
            lines.append(f"{name}: ({kind}{optional}) {schema.get('description', '')}".rstrip())
        lines += ["END", f"({tool.description})", ""]
    lines += ["A value of several lines stands between a line <<< and a line >>> under its name."]
    return "\n".join(lines) + "\n"


def tool_calls(reply: str, tools: Sequence[Tool], *, halted: bool = False) -> tuple[ToolCall, ...]:
    """Return the calls in a reply, empty where it has none; arguments are checked and complete.

    `halted` says that the model was stopped at `END`, so that the last call may lack it.

    Raises:
        ReplyRefused: a call is not complete, names no known tool, or its arguments do not fit it.

    """
    known = {tool.name: tool for tool in tools}
    found = list(_written(reply, halted=halted)) or list(_json_calls(reply, known))
    calls = []
    for number, (name, arguments) in enumerate(found):
        calls.append(ToolCall(f"text_{number}", name, json.dumps(_fitted(name, arguments, known), ensure_ascii=False)))
    return tuple(calls)


def checked(call: ToolCall, tools: Sequence[Tool]) -> ToolCall:
    """Return a native tool call with its arguments repaired where that is certain, and checked.

    Repaired are a fence around the JSON, line ends inside its strings, a trailing comma, and JSON inside a JSON string.

    Raises:
        ReplyRefused: they are no JSON object, or do not fit the tool.

    """
    known = {tool.name: tool for tool in tools}
    arguments = _object(call.arguments)
    if arguments is None:
        raise ReplyRefused("malformed", f"the arguments of {call.name} are not a JSON object: {call.arguments[:80]!r}")
    return ToolCall(call.id, call.name, json.dumps(_fitted(call.name, arguments, known), ensure_ascii=False))


@dataclass(slots=True)
class _Open:
    """A call that is being read."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    block: list[str] | None = None
    """The lines of a value so far, while inside one."""

    def take(self, line: str) -> None:
        """Take one line between CALL and END."""
        if self.block is not None:
            if line.strip() == ">>>":
                self.values[self.key], self.block = "".join(f"{one}\n" for one in self.block), None
            else:
                self.block.append(line)
        elif line.strip() == "<<<" and self.key and self.values[self.key] == "":
            self.block = []
        elif (value := _VALUE.match(line)) is not None:
            self.key = value[1]
            if self.key in self.values:
                raise ReplyRefused("ambiguous", f"the call of {self.name} gives {self.key} twice")
            given = value[2].strip()
            self.values[self.key], self.block = ("", []) if given == "<<<" else (given, None)
        elif line.strip() and not is_fence(line):
            raise ReplyRefused(
                "malformed", f"in the call of {self.name}, this line is no `name: value`: {line.strip()[:60]!r}; put a"
                " value of several lines between <<< and >>>",
            )  # fmt: skip


def _written(reply: str, *, halted: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    call: _Open | None = None
    for line in split_lines(reply):
        head = None if call is not None and call.block is not None else _CALL.match(line)
        if head is not None:
            if call is not None:
                raise ReplyRefused("malformed", f"the call of {call.name} has no line END before the next one begins")
            call = _Open(head[1])
        elif call is not None and call.block is None and _END.match(line):
            yield call.name, call.values
            call = None
        elif call is not None:
            call.take(line)
    if call is None:
        return
    if call.block is not None:
        raise ReplyRefused(
            "cut off", f"the value of {call.key} in the call of {call.name} has no line >>>: write it again"
        )
    if not halted:
        raise ReplyRefused("cut off", f"the call of {call.name} has no line END: write it again")
    yield call.name, call.values


def _json_calls(reply: str, known: Mapping[str, Tool]) -> Iterator[tuple[str, dict[str, Any]]]:
    tagged = _TAGGED.findall(reply)
    for piece in tagged or [*_fenced_json(reply), *_bare_json(reply)][:8]:
        data = _object(piece)
        if data is None:
            if tagged:
                raise ReplyRefused("malformed", f"the tool call is not a JSON object: {piece[:80]!r}")
            continue
        inner = data.get("function")
        if isinstance(inner, Mapping):
            data = dict(inner)
        name = next((data[key] for key in _NAMES if isinstance(data.get(key), str)), None)
        arguments = next((data[key] for key in _ARGUMENTS if key in data), None)
        if isinstance(arguments, str):
            arguments = _object(arguments)
        if name is None or (not tagged and (name not in known or not isinstance(arguments, dict))):
            # A JSON document that the reply shows for another reason.
            continue
        if not isinstance(arguments, dict):
            raise ReplyRefused("malformed", f"the call of {name} has no object of arguments")
        yield name, arguments


def _fenced_json(reply: str) -> Iterator[str]:
    body: list[str] | None = None
    for line in split_lines(reply):
        if is_fence(line):
            if body is not None:
                yield "\n".join(body)
            body = [] if body is None else None
        elif body is not None:
            body.append(line)


def _bare_json(reply: str) -> Iterator[str]:
    text = reply.strip()
    if text.startswith("{") and text.endswith("}"):
        yield text


def _object(text: str) -> dict[str, Any] | None:
    """Return the JSON object that the text is, with harmless damage repaired; None where it is none."""
    text = text.strip()
    lines = split_lines(text)
    if len(lines) > 2 and is_fence(lines[0]) and is_fence(lines[-1]):
        text = "\n".join(lines[1:-1])
    for attempt in (text, re.sub(r",(\s*[}\]])", r"\1", text)):
        try:
            data = json.loads(attempt, strict=False)
        except (ValueError, RecursionError):
            continue
        if isinstance(data, str) and data != text:
            return _object(data)
        return data if isinstance(data, dict) else None
    return None


def _fitted(name: str, arguments: Mapping[str, Any], known: Mapping[str, Tool]) -> dict[str, Any]:
    """Return the arguments as the tool's schema wants them.

    Raises:
        ReplyRefused: the tool or an argument is unknown, one is missing or of the wrong kind.

    """
    tool = known.get(name)
    if tool is None:
        raise ReplyRefused("malformed", f"there is no tool {name!r}; there are {', '.join(sorted(known))}")
    properties: Mapping[str, Any] = tool.parameters.get("properties", {})
    unknown = [key for key in arguments if key not in properties]
    if unknown:
        raise ReplyRefused(
            "malformed", f"{name} takes no {', '.join(unknown)}; it takes {', '.join(properties) or 'nothing'}"
        )
    fitted = {
        key: _as(schema, arguments[key], f"{key} of {name}") for key, schema in properties.items() if key in arguments
    }
    fitted = {key: value for key, value in fitted.items() if value is not None}
    missing = [key for key in tool.parameters.get("required", []) if key not in fitted]
    if missing:
        raise ReplyRefused("malformed", f"the call of {name} lacks {', '.join(missing)}")
    return fitted


def _as(schema: Mapping[str, Any], value: Any, what: str) -> Any:
    kind = schema.get("type", "string")
    if isinstance(value, str) and kind != "string":
        value = _from_text(value.strip(), kind)
    if isinstance(value, float) and kind == "integer" and value.is_integer():
        value = int(value)
    wanted = _SIMPLE.get(kind) if isinstance(kind, str) else None
    wrong = wanted is not None and (
        not isinstance(value, wanted) or (isinstance(value, bool) and kind in {"integer", "number"})
    )
    if value is not None and wrong:
        raise ReplyRefused("malformed", f"{what} must be of the kind {kind}, not {str(value)[:40]!r}")
    choices = schema.get("enum")
    if value is not None and choices and value not in choices:
        raise ReplyRefused(
            "malformed", f"{what} must be one of {', '.join(map(str, choices))}, not {str(value)[:40]!r}"
        )
    return value


def _from_text(text: str, kind: object) -> Any:
    if text == "":
        return None
    if kind == "boolean" and text.lower() in {"true", "yes", "false", "no"}:
        return text.lower() in {"true", "yes"}
    if kind == "array" and not text.startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return json.loads(text)
    except ValueError:
        return text
