"""What a forge tells of: the few facts of a webhook's payload, or of an Action's event file, that are acted on."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workflows.errors import Usage

MOST_BYTES: Final = 25 * 1024 * 1024
"""GitHub sends no payload that is larger."""
Verb = Literal["fix", "review", "approve", "revise", "stop", "status", "explain"]
VERBS: Final[tuple[Verb, ...]] = ("fix", "review", "approve", "revise", "stop", "status", "explain")
_COMMAND = re.compile(r"^\s{0,3}/greendiff(?:[ \t]+(\S+)[ \t]*(.*))?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Command:
    """What a comment asks for."""

    verb: Verb
    text: str
    """What follows; untrusted."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event, of whatever type; what it does not have is empty."""

    name: str
    action: str = ""
    repository: str = ""
    sender: str = ""
    bot: bool = False
    """Whether the sender is a program."""
    installation: int | None = None
    number: int | None = None
    """Of the issue or pull request."""
    pull_request: bool = False
    label: str = ""
    """The one that this event is about."""
    comment: int | None = None
    body: str = ""
    """Of the comment."""
    command: Command | None = None
    head_commit: str = ""
    head_branch: str = ""
    head_repository: str = ""
    conclusion: str = ""
    """How a check ended."""
    check: str = ""

    @property
    def from_fork(self) -> bool:
        """Whether a pull request's head is in another repository, or in none any more."""
        return self.pull_request and self.head_repository.lower() != self.repository.lower()


class _Part(BaseModel):
    # Payloads have hundreds of fields and gain more; only those named here are looked at.
    model_config = ConfigDict(extra="ignore", frozen=True)


class _User(_Part):
    login: str = Field(max_length=100)
    type: str = "User"


class _Repository(_Part):
    full_name: str = Field(default="", max_length=200)


class _Numbered(_Part):
    id: int


class _Label(_Part):
    name: str = Field(default="", max_length=200)


class _Side(_Part):
    ref: str = Field(default="", max_length=1024)
    sha: str = Field(default="", max_length=64)
    repo: _Repository | None = None


class _Issue(_Part):
    number: int
    pull_request: dict[str, Any] | None = None
    head: _Side | None = None


class _Comment(_Part):
    id: int
    body: str | None = None


class _Check(_Part):
    name: str | None = None
    head_sha: str = Field(default="", max_length=64)
    head_branch: str | None = None
    conclusion: str | None = None


class _Payload(_Part):
    action: str = Field(default="", max_length=100)
    repository: _Repository | None = None
    sender: _User | None = None
    installation: _Numbered | None = None
    issue: _Issue | None = None
    pull_request: _Issue | None = None
    label: _Label | None = None
    comment: _Comment | None = None
    check_run: _Check | None = None
    check_suite: _Check | None = None
    workflow_run: _Check | None = None


def command_of(body: str) -> Command | None:
    """Return the first command of a comment, which begins a line; an unknown or missing verb is `status`."""
    # What is quoted, or stands in a block of code, is no command.
    plain = re.sub(r"^(```|~~~).*?^\1", "", body, flags=re.MULTILINE | re.DOTALL)
    found = _COMMAND.search(plain)
    if found is None:
        return None
    named = [verb for verb in VERBS if verb == (found[1] or "").lower()]
    verb: Verb = named[0] if named else "status"
    rest = plain[found.end() :].strip() if verb == "revise" else ""
    return Command(verb, "\n".join(part for part in ((found[2] or "").strip(), rest) if part)[:20_000])


def read_event(name: str, payload: bytes | dict[str, Any]) -> Event:
    """Return an event from its type (GitHub's `X-GitHub-Event`) and its payload.

    Raises:
        Usage: it is no payload of that kind.

    """
    try:
        data = json.loads(payload) if isinstance(payload, bytes) else payload
        found = _Payload.model_validate(data)
    except (ValueError, ValidationError, RecursionError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "no JSON"
        raise Usage(f"the event {name!r} cannot be read: {first}") from None
    issue = found.pull_request or found.issue
    head = issue.head if issue and issue.head else _Side()
    check = found.check_run or found.check_suite or found.workflow_run or _Check()
    body = (found.comment.body or "") if found.comment else ""
    asked = command_of(body) if found.comment and found.action == "created" else None
    return Event(
        name, found.action, found.repository.full_name if found.repository else "",
        found.sender.login if found.sender else "", found.sender is not None and found.sender.type == "Bot",
        found.installation.id if found.installation else None, issue.number if issue else None,
        found.pull_request is not None or bool(found.issue and found.issue.pull_request),
        found.label.name if found.label else "", found.comment.id if found.comment else None, body[:65_536], asked,
        head.sha or check.head_sha, head.ref or check.head_branch or "", head.repo.full_name if head.repo else "",
        check.conclusion or "", check.name or "",
    )  # fmt: skip
