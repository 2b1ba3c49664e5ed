"""GitHub's published API description: which operation a request is, and whether it may be made like that."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

PUBLISHED = Path(__file__).parent / "published"


@cache
def published(name: str) -> Any:
    return json.loads(gzip.decompress((PUBLISHED / name).read_bytes()))


@dataclass(frozen=True)
class Operation:
    path: str
    method: str
    values: dict[str, str]
    """Of the path's parameters."""


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    paths = sorted(published("api.json.gz"), key=lambda path: (path.count("{"), path))
    return [(re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path)) + r"\Z"), path) for path in paths]


def operation(method: str, path: str) -> Operation | None:
    """Return the operation of a request, None where the description knows none."""
    for pattern, name in _patterns():
        if (match := pattern.match(path)) and method.lower() in published("api.json.gz")[name]:
            return Operation(name, method.lower(), match.groupdict())
    return None


def objections(found: Operation, query: dict[str, str], body: object) -> list[str]:
    """Return what is wrong with a request."""
    said = published("api.json.gz")[found.path][found.method]
    known = {p["name"]: p for p in said["parameters"] if p["in"] == "query"}
    wrong = [f"query parameter {name} is not known" for name in query.keys() - known.keys()]
    for parameter in said["parameters"]:
        given = {"query": query, "path": found.values}.get(parameter["in"], {}).get(parameter["name"])
        if given is None:
            if parameter["required"]:
                wrong.append(f"{parameter['name']} is missing")
            continue
        typed: object = int(given) if parameter["schema"].get("type") == "integer" and given.isdigit() else given
        wrong += [f"{parameter['name']}: {e.message}" for e in _errors(parameter["schema"], typed)]
    if said["body"] is None:
        return wrong + (["a body is not expected"] if body is not None else [])
    properties = said["body"].get("properties", {})
    unknown = body.keys() - properties.keys() if isinstance(body, dict) else set()
    return [*wrong, *(f"{name} is not known" for name in unknown), *(e.message for e in _errors(said["body"], body))]


def _errors(schema: Any, value: object) -> list[jsonschema.ValidationError]:
    return list(jsonschema.Draft202012Validator(_current(schema)).iter_errors(value))


def _current(schema: Any) -> Any:
    """Return a schema of OpenAPI 3.0 as JSON Schema: `nullable` is a type there."""
    if isinstance(schema, list):
        return [_current(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _current(value) for key, value in schema.items() if key != "nullable"}
    if schema.get("nullable") is True:
        return {"anyOf": [plain, {"type": "null"}]}
    return plain
