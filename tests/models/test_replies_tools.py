from __future__ import annotations

import json
from typing import Any

import pytest

from agents.models.protocol import Tool, ToolCall
from agents.replies import ReplyRefused
from agents.replies_tools import checked, instructions, tool_calls

READ = Tool(
    "read",
    "Read lines of a file.",
    {
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "of the file"},
            "first": {"type": "integer"},
            "numbers": {"type": "boolean"},
            "tags": {"type": "array"},
            "mode": {"type": "string", "enum": ["text", "bytes"]},
            "ratio": {"type": "number"},
        },
        "required": ["path"],
    },
)
EDIT = Tool(
    "edit",
    "Edit a file.",
    {
        "type": "object",
        "properties": {"path": {"type": "string"}, "text": {"type": "string"}},
        "required": ["path", "text"],
    },
)
TOOLS = (READ, EDIT)


def arguments(reply: str, **more: bool) -> dict[str, Any]:
    (call,) = tool_calls(reply, TOOLS, **more)
    found: dict[str, Any] = json.loads(call.arguments)
    return found


@pytest.mark.parametrize(
    "reply",
    [
        "CALL read\npath: a.py\nfirst: 3\nEND",
        "I will look.\n\nCALL read\npath = a.py\n\nfirst=3\nEND\nThen more.",
        "```\nCALL read:\npath: a.py\nfirst: 3\nEND\n```",
        "**CALL** `read`\npath: a.py\nfirst: 3\n**END**",
        '```json\n{"name": "read", "arguments": {"path": "a.py", "first": 3}}\n```',
        '<tool_call>\n{"name": "read", "arguments": {"path": "a.py", "first": "3"}}\n</tool_call>',
        '<tool_call>{"name": "read", "arguments": {"path": "a.py", "first": 3.0},}',
        '{"tool": "read", "parameters": {"path": "a.py", "first": 3}}',
        '{"function": {"name": "read", "arguments": "{\\"path\\": \\"a.py\\", \\"first\\": 3}"}}',
    ],
)
def test_calls_in_many_dresses(reply: str) -> None:
    assert arguments(reply) == {"path": "a.py", "first": 3}


def test_values_of_several_lines_are_exact() -> None:
    text = "  two\n\nCALL read\nEND\n: colon\n"
    for reply in (
        f"CALL edit\npath: a.py\ntext:\n<<<\n{text}>>>\nEND\n",
        f"CALL edit\npath: a.py\ntext: <<<\n{text}>>>\nEND\n",
    ):
        assert arguments(reply) == {"path": "a.py", "text": text}


def test_kinds_follow_the_schema() -> None:
    reply = "CALL read\npath: 7\nnumbers: yes\ntags: a, b\nmode: text\nratio: 1\nfirst:\nEND"
    assert arguments(reply) == {"path": "7", "numbers": True, "tags": ["a", "b"], "mode": "text", "ratio": 1}


def test_several_calls_and_none() -> None:
    two = tool_calls("CALL read\npath: a\nEND\nCALL read\npath: b\nEND", TOOLS)
    assert [(call.id, call.name) for call in two] == [("text_0", "read"), ("text_1", "read")]
    assert tool_calls("Just words, and ```json\n[1]\n``` too.", TOOLS) == ()
    assert tool_calls('```json\n{"name": "left-pad", "version": "1"}\n```', TOOLS) == ()


def test_a_reply_that_was_stopped_at_end_is_whole() -> None:
    reply = "CALL read\npath: a.py\n"
    assert arguments(reply, halted=True) == {"path": "a.py"}
    with pytest.raises(ReplyRefused, match="no line END"):
        tool_calls(reply, TOOLS)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("CALL delete\npath: a\nEND", "there is no tool 'delete'; there are edit, read"),
        ("CALL read\nEND", "lacks path"),
        ("CALL read\npath: a\npath: b\nEND", "gives path twice"),
        ("CALL read\npath: a\ncolour: red\nEND", "takes no colour; it takes path, first"),
        ("CALL read\npath: a\nfirst: soon\nEND", "must be of the kind integer, not 'soon'"),
        ("CALL read\npath: a\nfirst: true\nEND", "must be of the kind integer"),
        ("CALL read\npath: a\nmode: video\nEND", "must be one of text, bytes"),
        ("CALL read\npath: a\nand then\nEND", "this line is no `name: value`"),
        ("CALL read\npath: a\nCALL edit\nEND", "no line END before the next"),
        ("CALL edit\npath: a\ntext: <<<\nx\n", "no line >>>"),
        ("<tool_call>read a.py</tool_call>", "is not a JSON object"),
        ('<tool_call>{"name": "read", "arguments": [1]}</tool_call>', "has no object of arguments"),
        ('<tool_call>{"name": "read", "arguments": {"path": 7}}</tool_call>', "must be of the kind string"),
    ],
)
def test_calls_that_do_not_fit_are_told(reply: str, words: str) -> None:
    with pytest.raises(ReplyRefused) as caught:
        tool_calls(reply, TOOLS)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "written",
    [
        '{"path": "a", "text": "one\\ntwo"}',
        '{"path": "a", "text": "one\ntwo"}',
        '{"path": "a", "text": "one\\ntwo",}',
        '```json\n{"path": "a", "text": "one\\ntwo"}\n```',
        json.dumps('{"path": "a", "text": "one\\ntwo"}'),
    ],
)
def test_native_arguments_are_repaired_where_that_is_certain(written: str) -> None:
    call = checked(ToolCall("c", "edit", written), TOOLS)
    assert json.loads(call.arguments) == {"path": "a", "text": "one\ntwo"}
    assert call.id == "c"


@pytest.mark.parametrize("written", ["", "[]", "path: a", '{"path": "a"', "[" * 100_000])
def test_native_arguments_that_are_no_object_are_told(written: str) -> None:
    with pytest.raises(ReplyRefused, match="not a JSON object"):
        checked(ToolCall("c", "edit", written), TOOLS)


def test_the_instructions_can_be_followed() -> None:
    text = instructions(TOOLS)
    assert "CALL read\npath: (string) of the file\nfirst: (integer, may be left out)\n" in text
    assert "(Read lines of a file.)" in text
    assert "between a line <<< and a line >>>" in text
