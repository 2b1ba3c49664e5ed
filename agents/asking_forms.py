"""Reads JSON, or a plain form of lines, out of a reply and checks it against a pydantic model.

The plain form is what small models keep when JSON is too much for them:

    kind: fix
    steps:
    - goal: make the total include tax
      places: src/shop.py
      criteria:
      - the total of one item at 10.00 is 12.00

Names are those of the model's fields; a line `- name: value` with the name of an item's field begins a new item, any
other `- text` goes on with the list before it.
"""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationError

from agents.models.protocol import Schema
from agents.replies import ReplyRefused, split_lines
from agents.replies_blocks import fenced, is_fence
from sandbox.syntax import parse_expression

S = TypeVar("S", bound="Shape")
R = TypeVar("R")
MAX_OBJECTS = 12
"""Places in a reply at which an object is looked for."""
_MAX_LITERAL = 40_000
_COMMA = re.compile(r'"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])', re.DOTALL)
_KEY = re.compile(
    r"^\s*(?:(?:[-*•]|\d{1,2}[.)])\s+)?[*_`\"]{0,3}([A-Za-z][A-Za-z _-]{0,30}?)[*_`\"]{0,3}"
    r"\s*:[*_`\"]{0,3}(?:\s+(.*))?$"
)
_ITEM = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+(.*)$")


def one_line(text: str, limit: int = 0) -> str:
    """Return foreign text as one line without control, formatting and unassigned characters, cut to `limit`."""
    text = " ".join(text[: 50 * limit if limit else None].split())
    text = "".join(c for c in text if unicodedata.category(c)[0] != "C")
    return text[: limit - 1].rstrip() + "…" if limit and len(text) > limit else text


def printable(text: str) -> str:
    """Return foreign text with its lines and indentation, without control, formatting and unassigned characters."""
    lines = (line.expandtabs(4).rstrip() for line in split_lines(text))
    return "\n".join("".join(c for c in line if unicodedata.category(c)[0] != "C") for line in lines)


def _cleaned(limit: int) -> BeforeValidator:
    return BeforeValidator(lambda value: one_line(value, limit) if isinstance(value, str) else value)


Sentence = Annotated[str, StringConstraints(min_length=2, max_length=400), _cleaned(400)]
"""One line for a person; a longer one is cut."""
Short = Annotated[str, StringConstraints(max_length=240), _cleaned(240)]
"""A path, a name or a quotation; may be empty."""


class Shape(BaseModel):
    """What a reply has to look like; everything in it is bounded, and nothing else may stand in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def schema_of(shape: type[Shape]) -> Schema:
    """Return the JSON schema for endpoints that hold their models to one.

    All fields are required and lengths of texts are left out: strict endpoints refuse the rest, and the reply is
    checked here anyway.
    """
    whole = shape.model_json_schema()
    definitions = whole.pop("$defs", {})
    return Schema(shape.__name__.lower().strip("_"), _plain_schema(whole, definitions))


def _plain_schema(node: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_plain_schema(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _plain_schema(definitions[node["$ref"].rpartition("/")[2]], definitions)
    kept: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":
            kept[key] = {name: _plain_schema(field, definitions) for name, field in value.items()}
            kept["required"] = list(value)
        elif key in {"type", "items", "enum", "maxItems", "additionalProperties", "anyOf", "const"}:
            kept[key] = _plain_schema(value, definitions)
    return kept


def reader(shape: type[S], check: Callable[[S], R]) -> Callable[[str], R]:
    """Return a reader for `Asker.ask`: the reply has to hold exactly one object that fits the shape and the check."""

    def read(text: str) -> R:
        return check(read_shape(text, shape))

    return read


def read_shape(text: str, shape: type[S]) -> S:
    """Return what a reply says.

    Raises:
        ReplyRefused: there is no object in it, several, or one that does not fit.

    """
    complaint = ""
    fitting: list[S] = []
    for data in _objects(text):
        try:
            value = shape.model_validate(_named(data, shape))
        except ValidationError as error:
            complaint = complaint or _complaint(error)
            continue
        if value not in fitting:
            fitting.append(value)
    if len(fitting) > 1:
        raise ReplyRefused("ambiguous", "the answer holds several objects: give one")
    if fitting:
        return fitting[0]
    if complaint:
        raise ReplyRefused("malformed", complaint)
    if "{" in text and not _plain_data(text, shape):
        raise ReplyRefused("malformed", "the JSON in the answer is not valid or not complete")
    data = _plain_data(text, shape)
    if not data:
        raise ReplyRefused("malformed", f"there is no JSON object in it. If JSON is hard, write\n{plain_form(shape)}")
    try:
        return shape.model_validate(data)
    except ValidationError as error:
        raise ReplyRefused("malformed", _complaint(error)) from None


def _complaint(error: ValidationError) -> str:
    found = []
    for one in error.errors(include_url=False, include_context=False)[:4]:
        place = ".".join(str(part) for part in one["loc"]) or "the object"
        if one["type"] == "extra_forbidden":
            found.append(f"there is no field {one_line(place, 60)}")
        else:
            found.append(f"{one_line(place, 60)}: {one['msg'][:1].lower()}{one_line(one['msg'][1:], 160)}")
    return "; ".join(found)


# JSON


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the outermost objects in a reply, repaired where no meaning can be lost by it."""
    whole = _loaded(text.strip())
    if whole is not None:
        yield whole
        return
    found = [data for block in _blocks(text) if (data := _loaded(block)) is not None]
    if found:
        yield from found
        return
    decoder = json.JSONDecoder(strict=False, object_pairs_hook=_unrepeated, parse_constant=_no_constant)
    at, tries = text.find("{"), 0
    while at >= 0 and tries < MAX_OBJECTS:
        tries += 1
        try:
            data, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            data, end = _repaired_from(text, at)
        if isinstance(data, dict):
            yield data
        at = text.find("{", max(end, at + 1))


def _blocks(text: str) -> list[str]:
    try:
        return [block.text.strip() for block in fenced(text)]
    except ReplyRefused:
        return []


def _repaired_from(text: str, at: int) -> tuple[dict[str, Any] | None, int]:
    """Return the object between this brace and the last one of the text, and where it ends."""
    last = text.rfind("}")
    data = _loaded(text[at : last + 1]) if last > at else None
    return (data, last + 1) if data is not None else (None, at + 1)


def _loaded(text: str) -> dict[str, Any] | None:
    """Return the object that the whole text is, None where it is none."""
    if not text.startswith(("{", "[")):
        return None
    # Only commas too many go: outside of strings they cannot mean anything.
    for form in (text, _COMMA.sub(lambda found: found[0] if found[0] != "," else "", text)):
        try:
            data = json.loads(form, strict=False, object_pairs_hook=_unrepeated, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            continue
        return _only(data)
    if len(text) > _MAX_LITERAL:
        return None
    try:
        tree = parse_expression(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.Dict):
                _unrepeated([(ast.dump(key) if key else "", None) for key in node.keys])
        return _only(ast.literal_eval(tree))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None


def _only(data: Any) -> dict[str, Any] | None:
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    return data if isinstance(data, dict) and all(isinstance(key, str) for key in data) else None


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return data


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _named(data: Mapping[str, Any], shape: type[Shape]) -> dict[str, Any]:
    """Return the object with names written as the shape has them, and out of a wrapping of one name."""
    named = {_name(key): value for key, value in data.items()}
    if len(named) != len(data):
        return dict(data)
    if len(named) == 1:
        ((name, inner),) = named.items()
        if name not in shape.model_fields and isinstance(inner, dict) and all(isinstance(key, str) for key in inner):
            return {_name(key): value for key, value in inner.items()}
    return named


def _name(text: str) -> str:
    return re.sub(r"[ -]+", "_", text.strip().strip("*_`\"'").lower())


# The plain form


def _item_shape(shape: type[Shape], name: str) -> type[Shape] | None:
    """Return the shape of the items of a list field, None where they are texts or it is no list."""
    return next(
        (a for a in get_args(shape.model_fields[name].annotation) if isinstance(a, type) and issubclass(a, Shape)), None
    )


def _is_list(shape: type[Shape], name: str) -> bool:
    return getattr(shape.model_fields[name].annotation, "__origin__", None) in {list, tuple}


def plain_form(shape: type[Shape]) -> str:
    """Return what the plain form looks like, for the model."""
    lines = []
    for name in shape.model_fields:
        item = _item_shape(shape, name)
        if item is not None:
            inner = [f"{key}: ..." for key in item.model_fields]
            lines += [f"{name}:", f"- {inner[0]}", *(f"  {line}" for line in inner[1:])]
        else:
            lines += [f"{name}:", "- ..."] if _is_list(shape, name) else [f"{name}: ..."]
    return "\n".join(lines)


class _Lines:
    """The plain form on its way to an object."""

    def __init__(self, shape: type[Shape]) -> None:
        self.shape = shape
        self.data: dict[str, Any] = {}
        self.repeated = False
        self._top = ""
        self._item: dict[str, Any] | None = None
        self._item_shape: type[Shape] | None = None
        self._open: list[Any] | None = None

    def take(self, line: str) -> None:
        key, dash = _KEY.match(line), _ITEM.match(line)
        name, value = (_name(key[1]), (key[2] or "").strip()) if key else ("", "")
        of_item = self._item_shape is not None and name in self._item_shape.model_fields
        if dash is not None:
            if of_item:
                self._item = {}
                self.data[self._top].append(self._item)
                self._set(self._item, self._item_shape, name, value)
            elif self._open is not None:
                self._open.append(dash[1].strip())
        elif self._item is not None and of_item and (name not in self.shape.model_fields or line[:1] in " \t"):
            self._set(self._item, self._item_shape, name, value)
        elif name in self.shape.model_fields:
            self._item, self._item_shape, self._top = None, _item_shape(self.shape, name), name
            self._set(self.data, self.shape, name, value)

    def _set(self, target: dict[str, Any], shape: type[Shape] | None, name: str, value: str) -> None:
        self.repeated = self.repeated or name in target
        self._open = None
        if shape is None or not _is_list(shape, name):
            target[name] = value
        elif _item_shape(shape, name) is not None:
            target[name] = []
        else:
            self._open = target[name] = [part.strip() for part in value.split(";") if part.strip()]


def _plain_data(text: str, shape: type[Shape]) -> dict[str, Any]:
    """Return the fields that the lines of a reply name; empty where they name none, or one twice."""
    lines = _Lines(shape)
    for line in split_lines(text):
        if line.strip() and not is_fence(line):
            lines.take(line)
    return {} if lines.repeated else lines.data


def same_script(request: str, text: str) -> bool:
    """Whether a text can be in the language of the request: a request in Latin letters gets no answer in others."""
    return _latin(request) < 0.8 or _latin(text) >= 0.5


def _latin(text: str) -> float:
    letters = [c for c in text[:4000] if c.isalpha()]
    if not letters:
        return 1.0
    return sum(1 for c in letters if c < "\u0250") / len(letters)
