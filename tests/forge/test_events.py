"""Events of every published kind are read, and decided on without an error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.forge.description import published
from workflows.errors import Usage
from workflows.forge.deciding import Asked, Ignored, asked
from workflows.forge.events import Event, command_of, read_event

KINDS: list[dict[str, Any]] = published("webhooks.json.gz")


@pytest.mark.parametrize("kind", KINDS, ids=[str(kind["name"]) for kind in KINDS])
def test_every_published_payload_is_read_and_decided_on(kind: dict[str, Any]) -> None:
    for payload in kind["examples"]:
        event = read_event(kind["name"], payload)
        assert event.name == kind["name"]
        assert isinstance(asked(event, label="greendiff", default_branch="main"), Asked | Ignored)


def test_what_the_published_payloads_say() -> None:
    examples = {kind["name"]: kind["examples"] for kind in KINDS}
    labelled = next(p for p in examples["issues"] if p["action"] == "labeled")
    event = read_event("issues", labelled)
    assert (event.number, event.repository, event.pull_request) == (1, "Codertocat/Hello-World", False)
    assert asked(event, label=event.label, default_branch="main") == Asked("solve", "issue-1", 1, "Codertocat")
    opened = read_event("pull_request", next(p for p in examples["pull_request"] if p["action"] == "opened"))
    assert (opened.pull_request, opened.from_fork, opened.head_branch) == (True, False, "changes")


@given(st.binary(max_size=300))
def test_no_bytes_end_in_anything_but_a_sentence(data: bytes) -> None:
    with pytest.raises(Usage, match="cannot be read"):
        read_event("issues", b"[" + data)


@pytest.mark.parametrize(
    ("body", "verb", "text"),
    [
        ("/greendiff fix", "fix", ""), ("please\n\n/greendiff  REVISE use abs()\nand test it", "revise",
                                       "use abs()\nand test it"),
        ("/greendiff", "status", ""), ("/greendiff dance", "status", ""), ("  /greendiff stop now", "stop", "now"),
    ],
)  # fmt: skip
def test_commands(body: str, verb: str, text: str) -> None:
    found = command_of(body)
    assert found is not None
    assert (found.verb, found.text) == (verb, text)


@pytest.mark.parametrize(
    "body", ["", "> /greendiff fix", "```\n/greendiff fix\n```", "run /greendiff fix", "/greendiffs"]
)
def test_no_commands(body: str) -> None:
    assert command_of(body) is None


def event(**facts: Any) -> Event:
    known: dict[str, Any] = {"repository": "acme/shop", "sender": "ann", "number": 8}
    return Event(**known | facts)


@pytest.mark.parametrize(
    ("given_event", "kind"),
    [
        (event(name="issues", action="labeled", label="greendiff"), "solve"),
        (event(name="issues", action="labeled", label="bug"), ""),
        (event(name="issue_comment", command=command_of("/greendiff fix")), "solve"),
        (event(name="issue_comment", command=command_of("/greendiff fix"), bot=True), ""),
        (event(name="issue_comment", command=command_of("/greendiff review"), pull_request=True), "review"),
        (event(name="pull_request", action="opened", pull_request=True, head_repository="Acme/Shop"), "review"),
        (event(name="pull_request", action="synchronize", pull_request=True, head_repository="acme/shop",
               head_branch="greendiff/issue-1"), ""),
        (event(name="pull_request_target", action="synchronize", pull_request=True, head_repository="eve/shop"), ""),
        (event(name="pull_request_target", action="opened", pull_request=True, head_repository=""), ""),
        (event(name="pull_request_target", action="labeled", label="greendiff", pull_request=True,
               head_repository="eve/shop"), "review"),
        (event(name="workflow_run", action="completed", conclusion="failure", head_branch="main"), "repair"),
        (event(name="workflow_run", action="completed", conclusion="failure", head_branch="topic"), ""),
        (event(name="check_run", action="completed", conclusion="success", head_branch="main"), ""),
        (event(name="check_run", action="completed", conclusion="success", head_branch="greendiff/issue-1"), "ready"),
    ],
)  # fmt: skip
def test_decisions(given_event: Event, kind: str) -> None:
    found = asked(given_event, label="greendiff", default_branch="main")
    assert (found.kind if isinstance(found, Asked) else "") == kind
