"""The parts of GitHub's answers that are read, checked when they come in."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from workflows.forge.errors import ForgeError
from workflows.forge.protocol import (
    ChangedFile,
    Check,
    CheckState,
    Comment,
    FileStatus,
    Issue,
    PullRequest,
    ReviewComment,
)


class _Part(BaseModel):
    # GitHub's answers have hundreds of fields and gain more; only those named here are looked at.
    model_config = ConfigDict(extra="ignore", frozen=True)


class User(_Part):
    """Who."""

    login: str
    id: int = 0
    type: str = "User"


GHOST = User(login="ghost")
"""Whose account is gone."""


class Label(_Part):
    """A label; old answers have the bare name."""

    name: str = ""


class IssueShape(_Part):
    """An issue, which may be a pull request's conversation."""

    number: int
    title: str
    body: str | None = None
    user: User | None = None
    state: str
    locked: bool = False
    labels: list[Label | str] = []
    html_url: str
    pull_request: dict[str, Any] | None = None
    repository_url: str = ""

    def value(self) -> Issue:
        """Return it in the Protocol's terms."""
        names = (label if isinstance(label, str) else label.name for label in self.labels)
        return Issue(
            self.number, self.title, self.body or "", (self.user or GHOST).login, self.state == "open", self.locked,
            tuple(names), self.html_url, self.pull_request is not None,
        )  # fmt: skip


class CommentShape(_Part):
    """A comment in a conversation."""

    id: int
    body: str | None = None
    user: User | None = None
    html_url: str

    def value(self) -> Comment:
        """Return it in the Protocol's terms."""
        return Comment(self.id, (self.user or GHOST).login, self.body or "", self.html_url)


class NamedRepository(_Part):
    """A repository's path."""

    full_name: str


class RepositoryShape(NamedRepository):
    """A repository."""

    default_branch: str
    html_url: str
    archived: bool = False
    private: bool = False
    fork: bool = False


class Side(_Part):
    """One end of a pull request."""

    ref: str
    sha: str
    repo: NamedRepository | None = None


class PullShape(_Part):
    """A pull request, from a list or by itself."""

    number: int
    title: str
    body: str | None = None
    user: User | None = None
    state: str
    merged_at: str | None = None
    draft: bool | None = None
    base: Side
    head: Side
    html_url: str
    locked: bool = False
    node_id: str = ""

    def value(self) -> PullRequest:
        """Return it in the Protocol's terms."""
        head = self.head.repo.full_name if self.head.repo else ""
        return PullRequest(
            self.number, self.title, self.body or "", (self.user or GHOST).login, self.state == "open",
            self.merged_at is not None, bool(self.draft), self.base.ref, self.base.sha, self.head.ref, self.head.sha,
            head, self.html_url, self.locked, self.node_id,
        )  # fmt: skip


_STATUS: dict[str, FileStatus] = {"added": "added", "copied": "added", "removed": "removed", "renamed": "renamed"}


class FileShape(_Part):
    """One file of a pull request."""

    filename: str
    status: str
    patch: str | None = None

    def value(self) -> ChangedFile:
        """Return it in the Protocol's terms."""
        return ChangedFile(self.filename, _STATUS.get(self.status, "modified"), self.patch or "")


class ReviewCommentShape(_Part):
    """A comment on lines."""

    id: int
    body: str
    user: User | None = None
    path: str
    line: int | None = None
    commit_id: str
    in_reply_to_id: int | None = None

    def value(self) -> ReviewComment:
        """Return it in the Protocol's terms."""
        return ReviewComment(
            self.id, (self.user or GHOST).login, self.body, self.path, self.line, self.commit_id, self.in_reply_to_id
        )


class CheckOutput(_Part):
    """What a check says."""

    title: str | None = None
    summary: str | None = None


class CheckShape(_Part):
    """A check run."""

    id: int
    name: str
    status: str
    conclusion: str | None = None
    html_url: str | None = None
    external_id: str | None = None
    output: CheckOutput = CheckOutput()

    def value(self) -> Check:
        """Return it in the Protocol's terms."""
        state: CheckState
        if self.status != "completed":
            state = "running" if self.status == "in_progress" else "waiting"
        elif self.conclusion == "success":
            state = "passed"
        else:
            state = "neutral" if self.conclusion in {"neutral", "skipped", "cancelled", "stale"} else "failed"
        return Check(self.id, self.name, state, self.html_url or "", self.output.summary or "")


class StatusShape(_Part):
    """A commit's status as older CI systems give it."""

    id: int
    context: str
    state: Literal["error", "failure", "pending", "success"]
    target_url: str | None = None
    description: str | None = None

    def value(self) -> Check:
        """Return it in the Protocol's terms."""
        states: dict[str, CheckState] = {"pending": "running", "success": "passed"}
        return Check(self.id, self.context, states.get(self.state, "failed"), self.target_url or "",
                     self.description or "")  # fmt: skip


class PermissionShape(_Part):
    """What somebody may do."""

    permission: str


class TokenShape(_Part):
    """An installation's token."""

    token: str
    expires_at: str


class AppShape(_Part):
    """An App, or an installation of one."""

    id: int
    slug: str | None = None


class CommitShape(_Part):
    """A commit by name."""

    sha: str


class BranchShape(_Part):
    """A branch."""

    commit: CommitShape


_P = TypeVar("_P", bound=_Part)


def shaped(kind: type[_P], data: object, what: str) -> _P:
    """Return an answer as what it should be.

    Raises:
        ForgeError: it is something else.

    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ForgeError(f"GitHub answered something else than {what}: {where}: {first['msg']}") from None
