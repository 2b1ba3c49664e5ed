"""Values of listed types as bytes and back: what checkpoints, run records and caches are written in.

JSON with tags for what JSON does not have. Only the types listed here are ever built, tuples come back as tuples, and
names that are not UTF-8 survive; none of that holds for the serializer that LangGraph brings along. Nothing is pickled.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import zlib
from collections.abc import Hashable, Mapping
from enum import Enum
from functools import cache
from importlib import import_module
from typing import cast

from workflows.errors import RecordError

ALLOWED: Mapping[str, tuple[str, ...]] = {
    "sandbox.limits": ("Limits",),
    "sandbox.protocol": ("Environment", "EnvironmentDefinition"),
    "sandbox.runners.report": ("Frame", "Harness", "Outcome", "TestReport", "TestResult"),
    "agents.models.protocol": ("ChatReply", "ToolCall", "Usage"),
    "agents.models.tiers": ("Capabilities",),
    "agents.results": (
        "Answer", "Candidate", "Citation", "Edit", "Evidence", "Failure", "Finding", "NewFile", "NoTests", "Plan",
        "PlanRefused", "Questions", "Repair", "RepairResult", "Reviewed", "StatedFailure", "Step", "Suspect",
        "TestRefused", "Unchanged", "WrittenTests",
    ),
    "workflows.verdicts": ("Allowances", "Baseline", "Check", "GateCase", "GateReport", "Mutation"),
    "workflows.state": (
        "Delivery", "Done", "Ending", "Intake", "Proposal", "Request", "Review", "Suspicion", "Verdict",
    ),
}  # fmt: skip
"""Module → names of the types that a record may hold."""


@cache
def _types() -> tuple[dict[type, str], dict[str, type]]:
    by_name = {
        f"{module}.{name}": getattr(import_module(module), name) for module in ALLOWED for name in ALLOWED[module]
    }
    return {kind: name for name, kind in by_name.items()}, by_name


def _plain(value: object) -> object:
    match value:
        case None | bool() | int() | float():
            return value if not isinstance(value, Enum) else _tagged(value)
        case str():
            return value if not isinstance(value, Enum) else _tagged(value)
        case bytes():
            return {"$bytes": base64.b64encode(value).decode()}
        case list():
            return [_plain(item) for item in value]
        case tuple():
            return {"$tuple": [_plain(item) for item in value]}
        case frozenset() | set():
            kind = "$frozenset" if isinstance(value, frozenset) else "$set"
            return {kind: [_plain(item) for item in sorted(value, key=repr)]}
        case Mapping():
            if all(isinstance(key, str) and not key.startswith("$") for key in value):
                return {key: _plain(item) for key, item in value.items()}
            return {"$mapping": [[_plain(key), _plain(item)] for key, item in value.items()]}
        case BaseException():
            return repr(value)
        case _:
            return _tagged(value)


def _tagged(value: object) -> object:
    name = _types()[0].get(type(value))
    if name is None:
        raise TypeError(
            f"{type(value).__module__}.{type(value).__qualname__} is not listed in workflows.records.ALLOWED"
        )
    if isinstance(value, Enum):
        return {"$enum": name, "value": value.value}
    if not dataclasses.is_dataclass(value):
        raise TypeError(f"{name} is neither a dataclass nor an enumeration")
    fields = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value) if field.init}
    return {"$type": name, **fields}


def _built(value: dict[str, object]) -> object:
    """Return what a JSON object stands for; called for the innermost ones first."""
    match value:
        case {"$bytes": str(text)}:
            return base64.b64decode(text, validate=True)
        case {"$tuple": list(items)}:
            return tuple(items)
        case {"$frozenset": list(items)}:
            return frozenset(items)
        case {"$set": list(items)}:
            return set(items)
        case {"$mapping": list(pairs)}:
            return dict(cast("list[tuple[Hashable, object]]", pairs))
        case {"$enum": str(name), "value": inner}:
            return _known(name)(inner)
        case {"$type": str(name), **fields}:
            return _known(name)(**fields)
        case _:
            return value


def _known(name: str) -> type:
    kind = _types()[1].get(name)
    if kind is None:
        raise RecordError(f"a record holds {name!r}, which this version of greendiff does not read")
    return kind


def encode(value: object) -> bytes:
    """Return the value as compressed bytes.

    Raises:
        TypeError: it holds something of a type that is not listed.

    """
    text = json.dumps(_plain(value), ensure_ascii=True, separators=(",", ":"))
    return zlib.compress(text.encode("ascii"), 1)


def decode(data: bytes) -> object:
    """Return the value that `encode` was given.

    Raises:
        RecordError: damaged, or of a type that is not listed.

    """
    try:
        return json.loads(zlib.decompress(data), object_hook=_built)
    except RecordError:
        raise
    except (ValueError, TypeError, zlib.error) as error:
        raise RecordError(f"a record cannot be read ({error}); it is damaged or of another version") from error
