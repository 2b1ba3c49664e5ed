"""A verified patch becomes a pull request: once, found again by its marks, and changed in place for a better one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from agents.results import Kind
from workflows.forge.deciding import PREFIX
from workflows.forge.errors import Archived, BranchMoved, ForgeError, Locked, NoDrafts, NotThere, PushRefused
from workflows.forge.git import Mirror
from workflows.forge.once import Mark, created, fitted, marks, open_first
from workflows.forge.protocol import Forge, Issue, PullRequest
from workflows.forge.words import harmless, plain_line, quoted, subject
from workflows.steps.verify import NotVerified, VerifiedPatch

_KEY = re.compile(r"[a-z0-9][a-z0-9.-]{0,60}\Z")
_TASK = re.compile(r"^Greendiff-Task: (\S+)$", re.MULTILINE)
_BASE = re.compile(r"^Greendiff-Base: (\S+)$", re.MULTILINE)
_SHOWN_FILES = 20


@dataclass(frozen=True, slots=True)
class Offer:
    """A verified patch with what people are told of it."""

    verified: VerifiedPatch
    base: str
    """Full name of the commit that it was judged on."""
    base_branch: str
    """Where it should go."""
    key: str
    """What it answers, such as `issue-12`: one branch and one pull request for each key."""
    kind: Kind
    what: str
    """What was changed, in one sentence."""
    files: tuple[str, ...]
    summary: str
    """The evidence bundle's summary: the tables of tests and conditions."""
    run: str
    """The run's id."""
    when: int
    """The commit's time in seconds since the epoch; the run's beginning, so that a repeated delivery is the same."""
    issue: Issue | None = None
    remarks: tuple[str, ...] = ()
    """What a person should look at."""

    @property
    def digest(self) -> str:
        """SHA-256 of the patch."""
        return hashlib.sha256(self.verified.patch).hexdigest()


@dataclass(frozen=True, slots=True)
class Delivered:
    """Where a patch went."""

    request: PullRequest
    branch: str
    commit: str
    new: bool
    """False where the pull request was there before."""
    notes: tuple[str, ...] = ()
    """Sentences for a person."""


def find_request(forge: Forge, key: str) -> PullRequest | None:
    """Return greendiff's own pull request for a key, an open one before others; None where there is none."""
    me = forge.viewer().login
    for branch in _branches(key):
        found = [
            one for one in forge.pull_requests(head_branch=branch)
            if one.author == me and any(mark.fact("task") == key for mark in marks(one.body, "pull-request"))
        ]  # fmt: skip
        if found:
            return open_first(found)
    return None


def deliver(forge: Forge, mirror: Mirror, offer: Offer) -> Delivered:
    """Push the patch to a branch of its own and open, or change, the draft pull request; may be repeated after a crash.

    The patch has to be in `mirror` no more than its base: whatever is needed of the branch is fetched.

    Raises:
        NotVerified: the patch was judged on something else than `offer.base`.
        Archived, Locked: the repository or the issue takes nothing.
        BranchMoved: other people's commits are on the branch.
        PushRefused: the pull request was closed or merged by a person; or the forge refuses the branch.
        ForgeError: as the forge says.

    """
    if not _KEY.match(offer.key):
        raise ForgeError(f"{offer.key!r} is no key for a pull request")
    facts = forge.repository()
    if facts.archived:
        raise Archived(f"{facts.name} is archived, so no pull request can be opened; unarchive it first")
    mirror.fetch(forge.access(), offer.base)
    if mirror.snapshot(offer.base).tree.digest != offer.verified.base_digest:
        raise NotVerified(f"the patch was judged on other files than those of {offer.base[:12]}")
    known = find_request(forge, offer.key)
    if known is not None and not known.open:
        how = "merged" if known.merged else "closed"
        raise PushRefused(f"pull request {known.number} for this was {how} already; reopen it for greendiff to go on")
    if known is not None and known.locked:
        raise Locked(f"pull request {known.number} is locked; unlock it for greendiff to change it")
    branch, tip = _branch(forge, mirror, offer, known)
    parent = tip if tip and _fact(_BASE, mirror.message(tip)) == offer.base else offer.base
    commit = tip if tip and _is_this(mirror.message(tip), offer) else None
    if commit is None:
        message = commit_message(offer, facts.name)
        commit = mirror.commit(
            offer.base, offer.verified.patch, message, author=forge.viewer(), when=offer.when, parent=parent
        )
        mirror.push(forge.access(write=True), commit, branch, expected=tip)
    return _opened(forge, offer, branch, commit, known)


def _branches(key: str) -> Sequence[str]:
    return [f"{PREFIX}{key}", *(f"{PREFIX}{key}-{number}" for number in range(2, 6))]


def _fact(pattern: re.Pattern[str], message: str) -> str:
    found = pattern.findall(message)
    return str(found[-1]) if found else ""


def _is_this(message: str, offer: Offer) -> bool:
    return f"\nGreendiff-Patch: sha256:{offer.digest}" in message and _fact(_BASE, message) == offer.base


def _branch(forge: Forge, mirror: Mirror, offer: Offer, known: PullRequest | None) -> tuple[str, str | None]:
    """Return the branch to write and the commit that it is at; a branch of somebody else is left alone."""
    for branch in [known.head_branch] if known else _branches(offer.key):
        tip = forge.branch_commit(branch)
        if tip is None:
            return branch, None
        try:
            mirror.fetch(forge.access(), tip)
        except NotThere:
            continue
        if _fact(_TASK, mirror.message(tip)) == offer.key:
            return branch, tip
        if known is not None:
            raise BranchMoved(
                f"branch {branch} of pull request {known.number} has commits by others, which greendiff does not "
                "overwrite; take them away, or go on by hand"
            )
    raise PushRefused(f"the branches {PREFIX}{offer.key} to -5 exist and are not greendiff's; delete or rename one")


def _opened(forge: Forge, offer: Offer, branch: str, commit: str, known: PullRequest | None) -> Delivered:
    title, body = subject(offer.kind, offer.files, offer.what), description(offer, forge.name, commit)
    if known is not None:
        if (known.title, known.body.replace("\r\n", "\n")) != (title, body):
            known = forge.edit_pull_request(known.number, title=title, body=body)
        return Delivered(known, branch, commit, new=False)
    notes: tuple[str, ...] = ()

    def create(*, draft: bool) -> PullRequest:
        return forge.create_pull_request(
            title=title, body=body, head_branch=branch, base_branch=offer.base_branch, draft=draft
        )

    try:
        request = created(lambda: find_request(forge, offer.key), lambda: create(draft=True))
    except NoDrafts:
        request = created(lambda: find_request(forge, offer.key), lambda: create(draft=False))
        notes = ("this repository has no drafts, so the pull request is an ordinary one",)
    return Delivered(request, branch, commit, new=True, notes=notes)


def commit_message(offer: Offer, repository: str) -> str:
    """Return the commit's message; nothing in it closes an issue."""
    lines = [subject(offer.kind, offer.files, offer.what), ""]
    if offer.issue is not None:
        lines += [f"Asked for in issue {offer.issue.number}: {plain_line(offer.issue.title, 200)}", ""]
    lines += [f"Changed: {plain_line(', '.join(offer.files[:_SHOWN_FILES]), 400)}", ""]
    lines += [
        *([f"Refs: {repository}#{offer.issue.number}"] if offer.issue else []),
        f"Greendiff-Task: {offer.key}",
        f"Greendiff-Run: {offer.run}",
        f"Greendiff-Base: {offer.base}",
        f"Greendiff-Patch: sha256:{offer.digest}",
    ]
    return "\n".join(lines)


def description(offer: Offer, repository: str, commit: str) -> str:
    """Return the pull request's description: what was asked, what was changed, what proves it."""
    mark = Mark("pull-request", (("task", offer.key), ("patch", offer.digest[:16]), ("run", offer.run)))
    lines = [str(mark)]
    if offer.issue is not None:
        # No word that closes: whether the issue is answered is for people to say.
        lines += [f"For #{offer.issue.number}, which asks:", "", quoted(offer.issue.title, 300), ""]
    lines += [f"**{harmless(offer.what.strip())}**", ""]
    shown = ", ".join(f"`{harmless(path).replace('`', '')}`" for path in offer.files[:_SHOWN_FILES])
    more = f" and {len(offer.files) - _SHOWN_FILES} more" if len(offer.files) > _SHOWN_FILES else ""
    lines += [f"Changed: {shown}{more}", ""]
    if offer.remarks:
        lines += ["Look at this before you merge:", "", *(f"- {harmless(one)}" for one in offer.remarks), ""]
    lines += [harmless(offer.summary).strip(), ""]
    lines.append(
        f"Commit {commit} of {plain_line(repository, 200)}. This is a draft until the repository's own checks pass; "
        "it closes nothing by itself."
    )
    return fitted("\n".join(lines))
