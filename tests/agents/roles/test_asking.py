from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from agents.asking import Asker, Unanswered
from agents.asking_forms import Sentence, Shape, Short, one_line, plain_form, printable, read_shape, reader, schema_of
from agents.models.protocol import ChatRequest
from agents.models.scripted import ScriptedModel
from agents.replies import ReplyRefused

VALUES = {"question": "q", "outline": "o", "passages": "p", "searches_line": ""}


class Item(Shape):
    name: Short
    tags: Annotated[tuple[Sentence, ...], Field(max_length=3)] = ()


class Order(Shape):
    kind: Literal["buy", "sell"]
    count: Annotated[int, Field(ge=0, le=99)] = 1
    items: Annotated[tuple[Item, ...], Field(max_length=2)] = ()


@pytest.mark.parametrize(
    "text",
    [
        '{"kind": "buy", "items": [{"name": "a, b", "tags": ["x, }", "y"]}]}',
        '{"Kind": "buy", "Items": [{"name": "a, b", "tags": ["x, }", "y",],},]}',
        "{'kind': 'buy', 'items': [{'name': 'a, b', 'tags': ('x, }', 'y')}]}",
        'Well: {"order": {"kind": "buy", "items": [{"name": "a, b", "tags": ["x, }", "y"]}]}} that is all',
        '```json\n{"kind": "buy", "items": [{"name": "a, b", "tags": ["x, }", "y"]}]}\n```',
        '[{"kind": "buy", "items": [{"name": "a, b", "tags": ["x, }", "y"]}]}]',
    ],
)
def test_json_with_slips(text: str) -> None:
    with pytest.raises(ReplyRefused, match="at least 2 characters"):
        read_shape(text, Order)
    value = read_shape(text.replace('"y"', '"yy"').replace("'y'", "'yy'"), Order)
    assert value == Order(kind="buy", items=(Item(name="a, b", tags=("x, }", "yy")),))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"kind": "buy", "kind": "sell"}', "not valid"),
        ("{'kind': 'buy', 'kind': 'sell'}", "not valid"),
        ('{"kind": "buy", "count": NaN}', "not valid"),
        ('{"kind": "buy", "count": 100}', "less than or equal to 99"),
        ('{"kind": "buy", "count": "many"}', "valid integer"),
        ('{"kind": "buy"}{"kind": "sell"}', "several objects"),
        ("kind: buy\nkind: sell", "no JSON object"),
        ("kind: rent", "'buy' or 'sell'"),
        ('{"kind": "buy", "items": [{"name": "\ud800"}], "x": 1}', "no field x"),
        ('{"kind": ' + "9" * 9999 + "}", "not valid"),
        ("buy it", "If JSON is hard, write"),
    ],
)
def test_what_does_not_fit_is_said_exactly(text: str, complaint: str) -> None:
    with pytest.raises(ReplyRefused, match=complaint):
        read_shape(text, Order)


def test_the_same_object_twice_is_one() -> None:
    assert read_shape('{"kind": "buy"} I repeat: {"kind": "buy"}', Order).kind == "buy"


def test_the_plain_form_says_itself() -> None:
    form = plain_form(Order)
    assert form == "kind: ...\ncount: ...\nitems:\n- name: ...\n  tags: ..."
    text = (
        "Here:\n**kind**: sell\ncount: 3\nitems:\n1. name: one\n   tags: aa; bb\n2. name: two\n   tags:\n   - cc: dd\n"
    )
    assert read_shape(text, Order) == Order(
        kind="sell", count=3, items=(Item(name="one", tags=("aa", "bb")), Item(name="two", tags=("cc: dd",)))
    )


def test_schemas_are_what_strict_endpoints_take() -> None:
    schema = schema_of(Order).schema
    assert schema["required"] == ["kind", "count", "items"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["items"]["items"]["required"] == ["name", "tags"]
    assert schema["properties"]["items"]["maxItems"] == 2
    assert not {"$ref", "$defs", "title", "default", "minLength"} & set(str(schema).replace("'", " ").split())


def test_foreign_text_is_made_fit_to_print() -> None:
    assert one_line(" a\n\x1b[2J\u202eb\t c ") == "a [2Jb c"
    assert one_line("x" * 99, 10) == "x" * 9 + "…"
    assert printable("a\r\n\tb\x07\u2066\n") == "a\n    b"


def test_the_model_sees_its_last_reply_and_the_complaint_only() -> None:
    replies = iter(["one " * 5000, "two", '{"kind": "buy"}'])
    seen: list[ChatRequest] = []

    def reply(request: ChatRequest) -> str:
        seen.append(request)
        return next(replies)

    asked = Asker(ScriptedModel(reply), seed=7).ask("answerer", VALUES, reader(Order, lambda order: order.kind))
    assert asked.value == "buy"
    assert len(asked.complaints) == 2
    assert [request.seed for request in seen] == [7, 8, 9]
    assert [len(request.messages) for request in seen] == [2, 4, 4]
    assert "[...]" in seen[1].messages[2].text
    assert len(seen[1].messages[2].text) < 3100
    assert seen[2].messages[2].text == "two"
    assert all(request.messages[:2] == seen[0].messages for request in seen)
    assert seen[0].purpose == "answerer"


def test_asking_ends() -> None:
    model = ScriptedModel([f"no {n}" for n in range(9)])
    with pytest.raises(Unanswered, match="no usable answer in 2 replies") as caught:
        Asker(model, attempts=2).ask("answerer", VALUES, reader(Order, lambda order: order))
    assert (caught.value.role, len(caught.value.complaints), len(model.requests)) == ("answerer", 2, 2)
