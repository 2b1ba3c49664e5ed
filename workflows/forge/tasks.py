"""The three things that greendiff does on a forge, each from what was asked to what people see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from agents.models.errors import ModelError
from sandbox.errors import SandboxError
from workflows.errors import WorkflowError
from workflows.failures import explained
from workflows.forge.deciding import Asked
from workflows.forge.errors import Archived, ForgeBusy, ForgeError, Locked, NotThere
from workflows.forge.git import Mirror
from workflows.forge.once import Mark, marks, put_comment
from workflows.forge.protocol import Forge, Issue
from workflows.forge.pull_request import deliver, find_request
from workflows.forge.running import Wanted, issue_request, run_on
from workflows.forge.words import harmless
from workflows.progress import View
from workflows.wording import listed

Result = Literal["pull-request", "suggestions", "nothing", "no-diff", "failed"]


@dataclass(frozen=True, slots=True)
class Done:
    """How a task ended."""

    result: Result
    message: str
    """One or a few sentences for a person."""
    code: int = 0
    """Exit code; 0 also where nothing could be proved, as that is an answer."""
    url: str = ""


def tell(forge: Forge, what: Asked, text: str) -> None:
    """Say in the one status comment of a task how it stands; where nothing can be said, that stops nothing."""
    if what.number is None:
        return
    mark = Mark("status", (("task", what.key),))
    try:
        put_comment(forge, what.number, mark, f"**greendiff**: {text}")
    except (Locked, NotThere, Archived):
        return


def do(
    forge: Forge, mirror: Mirror, what: Asked, view: View, *, flags: Mapping[str, Any], solve: bool, run_url: str = ""
) -> Done:
    """Do what was asked for, and tell it; may be repeated, and then changes what is there.

    `solve` says whether models may be asked to work out what an issue wants; without, failing tests are repaired.

    Raises:
        ForgeBusy: the forge is not to be reached now; to be done again later.

    """
    where = f" ([log]({run_url}))" if run_url else ""
    try:
        if what.kind == "ready":
            done = _ready(forge, what)
        elif what.kind == "review":
            done = _review(forge, mirror, what, view, flags)
        else:
            done = _answer(forge, mirror, what, view, flags, solve=solve, where=where)
    except ForgeBusy:
        raise
    except (WorkflowError, SandboxError, ModelError) as error:
        failure = explained(error)
        done = Done("no-diff" if failure.code in {1, 4, 5} else "failed", failure.message, failure.code)
    # What nobody asked for (a push) and cannot be done is in the workflow's log, and no noise on a pull request.
    if what.kind == "solve" or (what.by and done.result in {"no-diff", "failed"}):
        # Addresses of greendiff's own pull requests stay links.
        tell(forge, what, (done.message if done.result == "pull-request" else harmless(done.message)) + where)
    return done


def _ready(forge: Forge, what: Asked) -> Done:
    """Make greendiff's own draft an ordinary pull request once all checks of its head pass; never a second time."""
    me = forge.viewer().login
    for request in forge.pull_requests(head_branch=what.branch):
        own = marks(request.body, "pull-request") if request.author == me and request.open else []
        if not own or not request.draft or request.head_commit != what.commit or own[0].fact("ready"):
            continue
        checks = forge.checks(request.head_commit)
        waiting = [check.name for check in checks if check.state not in {"passed", "neutral"}]
        why = f"not passed yet: {listed(waiting)}" if waiting else "it has no checks"
        if waiting or not checks:
            return Done("nothing", f"pull request {request.number} stays a draft: {why}")
        forge.mark_ready(request)
        # A person who makes it a draft again is not overruled by the next check.
        said = Mark("pull-request", (*own[0].facts, ("ready", "yes")))
        forge.edit_pull_request(request.number, body=request.body.replace(str(own[0]), str(said), 1))
        return Done("pull-request", f"pull request {request.number} is ready: its checks pass", url=request.web_url)
    return Done("nothing", f"there is no draft of greendiff's on {what.branch} at {what.commit[:12]}")


def _review(forge: Forge, mirror: Mirror, what: Asked, view: View, flags: Mapping[str, Any]) -> Done:
    from workflows.suggestions.posting import HeadMoved
    from workflows.suggestions.reviewing import review

    assert what.number is not None  # noqa: S101 - a review is of a pull request
    request = forge.pull_request(what.number)
    if not request.open or request.locked:
        return Done("nothing", f"pull request {what.number} is {'locked' if request.open else 'closed'}")
    try:
        posted = review(forge, mirror, what.number, view, Wanted("fix", flags=flags))
    except HeadMoved as moved:
        # The push brings an event of its own.
        return Done("nothing", str(moved))
    if posted.suggestions:
        return Done("suggestions", f"{posted.suggestions} new suggestions on pull request {what.number}")
    return Done("nothing", f"nothing new to say about pull request {what.number}")


def _answer(
    forge: Forge, mirror: Mirror, what: Asked, view: View, flags: Mapping[str, Any], *, solve: bool, where: str
) -> Done:
    facts = forge.repository()
    if facts.archived:
        raise Archived(f"{facts.name} is archived, so no pull request can be opened; unarchive it first")
    issue = forge.issue(what.number) if what.number is not None else None
    if issue is not None and not issue.open:
        raise ForgeError(f"issue {issue.number} is closed; reopen it for greendiff to work on it")
    if (known := find_request(forge, what.key)) is not None and not known.open:
        how = "merged" if known.merged else "closed"
        return Done("nothing", f"its pull request {known.number} was {how}; nothing was done", url=known.web_url)
    tell(forge, what, f"working on it{where} …")
    commit = what.commit or forge.branch_commit(facts.default_branch)
    if commit is None:
        raise NotThere(f"{facts.name} has no branch {facts.default_branch}, so there is nothing to work on")
    mirror.fetch(forge.access(), commit)
    with run_on(mirror.snapshot(commit), _wanted(issue, flags, solve=solve), view) as ran:
        if ran.message:
            return Done("no-diff", ran.message, ran.code)
        if "answer" in ran.state:
            return Done("nothing", ran.state["answer"].text)
        offer = ran.offer(base_branch=what.branch or facts.default_branch, key=what.key, issue=issue)
        made = deliver(forge, mirror, offer)
    verb = "opened" if made.new else "brought up to date"
    notes = "".join(f" Note: {note}." for note in made.notes)
    told = f"pull request {made.request.web_url} was {verb}, with a verified diff and its evidence.{notes}"
    return Done("pull-request", told, url=made.request.web_url)


def _wanted(issue: Issue | None, flags: Mapping[str, Any], *, solve: bool) -> Wanted:
    text = issue_request(issue) if issue else ""
    return Wanted("solve" if solve and text else "fix", text, flags=flags)
