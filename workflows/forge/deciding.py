"""What an event asks greendiff to do, and whether who sent it may ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workflows.forge.events import Event
from workflows.forge.protocol import Forge

Kind = Literal["solve", "review", "repair", "ready"]
PREFIX = "greendiff/"
"""Of greendiff's own branches."""
_PUSHES = frozenset({"opened", "reopened", "synchronize", "ready_for_review"})


@dataclass(frozen=True, slots=True)
class Asked:
    """Something to do."""

    kind: Kind
    """`solve` an issue, `review` a pull request, `repair` a branch whose check failed, or see whether greendiff's own
    draft is `ready`, as a check of it passed."""
    key: str
    """One thing is done once at a time, and has one branch and one status comment."""
    number: int | None
    """The issue or pull request."""
    by: str
    """Who asks; "" where an event of the repository itself does, which needs nobody's word."""
    commit: str = ""
    branch: str = ""


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing to do."""

    reason: str


def asked(event: Event, *, label: str, default_branch: str) -> Asked | Ignored:
    """Return what an event asks for, before anybody is asked whether the sender may.

    A pull request from a fork is looked at only on a label or a command, both of which a maintainer has to give.
    """
    number = event.number
    if event.name in {"check_run", "check_suite", "workflow_run"}:
        return _of_check(event, default_branch)
    if number is None:
        return Ignored(f"events of type {event.name!r} ask for nothing")
    if event.name == "issue_comment":
        return _of_command(event, number)
    if event.action == "labeled":
        if event.label != label:
            return Ignored(f"the label {event.label!r} is not {label!r}")
        return _named(event, number)
    if event.name in {"pull_request", "pull_request_target"} and event.action in _PUSHES:
        if event.head_branch.startswith(PREFIX) and not event.from_fork:
            return Ignored(f"pull request {number} is greendiff's own, which was verified before it was opened")
        if event.from_fork:
            return Ignored(
                f"pull request {number} comes from a fork: somebody with write access has to give it the label "
                f"{label!r}, or to comment `/greendiff review`"
            )
        return Asked("review", f"pull-{number}", number, "")
    return Ignored(f"{event.name} {event.action} asks for nothing")


def _of_command(event: Event, number: int) -> Asked | Ignored:
    if event.command is None:
        return Ignored("the comment holds no command")
    if event.bot:
        return Ignored("programs give no commands")
    if event.command.verb not in {"fix", "review"}:
        return Ignored(f"`{event.command.verb}` needs the service; the Action knows `fix` and `review`")
    return _named(event, number)


def _named(event: Event, number: int) -> Asked:
    if event.pull_request:
        return Asked("review", f"pull-{number}", number, event.sender)
    return Asked("solve", f"issue-{number}", number, event.sender)


def _of_check(event: Event, default_branch: str) -> Asked | Ignored:
    if event.action == "completed" and event.conclusion == "success" and event.head_branch.startswith(PREFIX):
        key = event.head_branch.removeprefix(PREFIX)
        return Asked("ready", key, None, "", event.head_commit, event.head_branch)
    if event.action != "completed" or event.conclusion not in {"failure", "timed_out"}:
        return Ignored("the check did not fail")
    if event.head_branch != default_branch:
        return Ignored(f"only failing checks of {default_branch} are repaired; pull requests get suggestions")
    return Asked("repair", f"commit-{event.head_commit[:12]}", None, "", event.head_commit, event.head_branch)


def allowed(forge: Forge, what: Asked) -> str:
    """Return why who asks may not, "" where that is somebody with write access, or the repository itself.

    Raises:
        ForgeError: the forge does not say.

    """
    if not what.by:
        return ""
    if forge.permission(what.by) in {"write", "admin"}:
        return ""
    return f"{what.by} has no write access to {forge.name}, which it takes to start work"
