"""Finds out what an endpoint has: the model's name, its context length, and whether it takes tools and schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import Event
from typing import Any

from agents.models.client import EndpointModel
from agents.models.errors import CallCancelled, ModelError, NoSuchModel, RequestRefused
from agents.models.protocol import ChatRequest, Schema, Tool, message
from agents.models.tiers import Capabilities, Tier

_TOOL = Tool(
    "add",
    "Add two whole numbers.",
    {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
)
_SCHEMA = Schema(
    "answer",
    {
        "type": "object",
        "properties": {"answer": {"type": "integer"}},
        "required": ["answer"],
        "additionalProperties": False,
    },
)
_PROBE_TOKENS = 96


@dataclass(frozen=True, slots=True)
class Probed:
    """A tier with what was found out about it."""

    tier: Tier
    findings: tuple[str, ...]
    """One short sentence each, for `greendiff models` and `greendiff doctor`."""
    listed: tuple[str, ...] = ()
    """The models that the endpoint lists."""
    reached: bool = True


def probe(model: EndpointModel, *, calls: bool = False, stop: Event | None = None) -> Probed:
    """Ask the endpoint about the tier's model; what the settings say is not asked.

    Without `calls` only pages are read, which cost nothing; with it, two calls of a few tokens find out about tools
    and schemas. They are not booked in any ledger.

    Raises:
        CallCancelled: `stop` was set.

    """
    tier = model.tier
    findings: list[str] = []
    try:
        listed, entry = _listed(model, tier.model, stop)
    except CallCancelled:
        raise
    except ModelError as error:
        if not isinstance(error, NoSuchModel):
            return Probed(tier, (str(error),), reached=False)
        listed, entry = (), {}
        findings.append("it does not list its models")
    if not tier.model and len(listed) == 1:
        tier = replace(tier, model=listed[0])
        findings.append(f"its only model is {listed[0]}")
    elif not tier.model:
        known = ", ".join(listed[:8]) or "none that it lists"
        return Probed(tier, (f"say which model to use; it has {known}",), listed)
    elif listed and tier.model not in listed and f"{tier.model}:latest" not in listed:
        findings.append(f"it does not list {tier.model}, but {', '.join(listed[:8])}")
    context, source = _context(model, tier.model, entry, stop)
    if context is not None:
        findings.append(f"its context is {context:,} tokens, says {source}")
    tier = tier.with_capabilities(Capabilities(context=context))
    if calls:
        asked = EndpointModel(tier) if tier.model != model.tier.model else model
        tier = _with_calls(asked, tier, findings, stop)
    return Probed(tier, tuple(findings), listed)


def _page(model: EndpointModel, path: str, stop: Event | None, body: dict[str, Any] | None = None) -> Mapping[str, Any]:
    """Return a page that may not be there, empty where it is not."""
    try:
        data = model.get(path, stop=stop) if body is None else model.post(path, body, stop=stop)
    except CallCancelled:
        raise
    except ModelError:
        return {}
    return data if isinstance(data, Mapping) else {}


def _listed(model: EndpointModel, wanted: str, stop: Event | None) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    data = model.get("models", stop=stop)
    entries = data.get("data") if isinstance(data, Mapping) else None
    known = {
        entry["id"]: entry
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, Mapping) and isinstance(entry.get("id"), str)
    }
    only = next(iter(known.values())) if len(known) == 1 else {}
    return tuple(known), known.get(wanted, only)


def _context(model: EndpointModel, name: str, entry: Mapping[str, Any], stop: Event | None) -> tuple[int | None, str]:
    """Return the context length and where it was found: the list of models, llama.cpp's or Ollama's own pages."""
    # vLLM, OpenRouter and others, LM Studio, llama.cpp.
    for key in ("max_model_len", "context_length", "max_context_length", "context_window"):
        if (found := _positive(entry.get(key))) is not None:
            return found, "its list of models"
    meta = entry.get("meta")
    props = _page(model, "/props", stop)
    settings = props.get("default_generation_settings")
    if isinstance(settings, Mapping) and (found := _positive(settings.get("n_ctx"))) is not None:
        return found, "llama.cpp"
    if isinstance(meta, Mapping) and (found := _positive(meta.get("n_ctx"))) is not None:
        return found, "its list of models"
    shown = _page(model, "/api/show", stop, {"model": name})
    return _of_ollama(shown)


def _of_ollama(shown: Mapping[str, Any]) -> tuple[int | None, str]:
    """Return what the model file sets; where it sets nothing, Ollama serves less than the model was trained for."""
    parameters = shown.get("parameters")
    if isinstance(parameters, str):
        for line in parameters.splitlines():
            words = line.split()
            if len(words) == 2 and words[0] == "num_ctx" and words[1].isdigit():
                return int(words[1]), "Ollama"
    return None, ""


def _positive(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _with_calls(model: EndpointModel, tier: Tier, findings: list[str], stop: Event | None) -> Tier:
    known = tier.capabilities
    if known.tools is None:
        tools, why = _takes_tools(model, stop)
        if tools is not None:
            known = replace(known, tools=tools)
        findings.append(why)
    if known.json_schema is None:
        schema, why = _takes_schema(model, stop)
        if schema is not None:
            known = replace(known, json_schema=schema)
        findings.append(why)
    return replace(tier, capabilities=known)


def _takes_tools(model: EndpointModel, stop: Event | None) -> tuple[bool | None, str]:
    question = message("user", "Call the tool `add` with a=2 and b=3.")
    try:
        reply = model.complete(ChatRequest((question,), _PROBE_TOKENS, tools=(_TOOL,), temperature=0.0), stop=stop)
    except CallCancelled:
        raise
    except RequestRefused as error:
        return False, f"it takes no tool calls ({error})"
    except ModelError as error:
        return None, f"whether it takes tool calls could not be found out ({error})"
    for call in reply.tool_calls:
        if call.name == _TOOL.name and _is_json(call.arguments):
            return True, "it takes tool calls"
    return False, "it does not answer with tool calls, so it is given the text protocol"


def _takes_schema(model: EndpointModel, stop: Event | None) -> tuple[bool | None, str]:
    question = message("user", "What is 2 + 3? Answer as JSON with the one field `answer`.")
    try:
        reply = model.complete(ChatRequest((question,), _PROBE_TOKENS, schema=_SCHEMA, temperature=0.0), stop=stop)
    except CallCancelled:
        raise
    except RequestRefused as error:
        return False, f"it takes no JSON schema ({error})"
    except ModelError as error:
        return None, f"whether it takes a JSON schema could not be found out ({error})"
    given_up = any("schema" in note for note in reply.notes)
    if not given_up and _is_json(reply.text) and isinstance(json.loads(reply.text).get("answer"), int):
        return True, "it follows a JSON schema"
    return False, "it does not follow a JSON schema"


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
