"""What greendiff needs of a forge: a Protocol that GitHub, GitLab and Gitea fit, and the values that it speaks in.

A repository is named by its full path (`owner/name`, or GitLab's `group/subgroup/name`). A pull request is GitLab's
merge request; issues and pull requests are named by the number that people see. Every text that a forge returns was
written by somebody else, and is not to be trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from workflows.forge.secret import Secret

Permission = Literal["none", "read", "write", "admin"]
CheckState = Literal["waiting", "running", "passed", "failed", "neutral"]
FileStatus = Literal["added", "modified", "removed", "renamed"]


@dataclass(frozen=True, slots=True)
class Account:
    """Who acts: a person, a bot, or greendiff itself."""

    login: str
    email: str
    """For commits; never empty."""
    bot: bool = False


@dataclass(frozen=True, slots=True)
class RepositoryFacts:
    """A repository as it is now."""

    name: str
    """Full path; it differs from the one that was asked for where the repository was renamed."""
    default_branch: str
    clone_url: str
    """Without a credential."""
    web_url: str
    archived: bool = False
    private: bool = False
    fork: bool = False


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue."""

    number: int
    title: str
    body: str
    author: str
    open: bool
    locked: bool
    labels: tuple[str, ...]
    web_url: str
    pull_request: bool = False
    """Whether it is a pull request's conversation; GitHub numbers both alike."""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request."""

    number: int
    title: str
    body: str
    author: str
    open: bool
    merged: bool
    draft: bool
    base_branch: str
    base_commit: str
    head_branch: str
    head_commit: str
    head_repository: str
    """Full path; "" where the fork is gone."""
    web_url: str
    locked: bool = False
    node: str = ""
    """The forge's other name of it, where it has two."""


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on an issue or on a pull request's conversation."""

    id: int
    author: str
    body: str
    web_url: str


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """A file of a pull request's diff, as the forge itself shows it."""

    path: str
    status: FileStatus
    patch: str
    """Hunks in unified form, with three lines of context; "" for binary files, and where the forge leaves it out."""


@dataclass(frozen=True, slots=True)
class LineComment:
    """A comment on lines of a pull request's head, to be posted; `first` to `last` lie in one hunk of its diff."""

    path: str
    first: int
    last: int
    body: str


@dataclass(frozen=True, slots=True)
class ReviewComment:
    """A comment on lines, as it stands."""

    id: int
    author: str
    body: str
    path: str
    last: int | None
    """Line of the head; None where the diff has moved away from under it."""
    commit: str
    replies_to: int | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One result of CI on a commit."""

    id: int
    name: str
    state: CheckState
    web_url: str = ""
    summary: str = ""


@dataclass(frozen=True, slots=True)
class GitAccess:
    """What Git needs to clone from and push to a repository, for a few minutes."""

    url: str
    """Without a credential."""
    user: str
    password: Secret


class Forge(Protocol):
    """One repository on a forge, seen with one credential.

    Every method may raise what `workflows.forge.errors` lists. Those that read are repeated after what may pass; those
    that write raise `Unclear` where they may have been carried out, and `workflows.forge.once` holds what looks first.
    """

    @property
    def name(self) -> str:
        """Full path of the repository."""
        ...

    def viewer(self) -> Account:
        """Return who this credential is."""
        ...

    def repository(self) -> RepositoryFacts: ...

    def permission(self, login: str) -> Permission:
        """Return what a person may do here; "none" for strangers."""
        ...

    def access(self, *, write: bool = False) -> GitAccess:
        """Return what Git needs to read from, or push to, the repository; it is good for at least five minutes."""
        ...

    def issue(self, number: int) -> Issue:
        """Return an issue.

        Raises:
            Transferred: it is in another repository now.
            NotThere: it was deleted, or never was.

        """
        ...

    def comments(self, number: int) -> Sequence[Comment]:
        """Return every comment of an issue's or pull request's conversation, oldest first."""
        ...

    def create_comment(self, number: int, body: str) -> Comment: ...

    def edit_comment(self, comment: int, body: str) -> Comment: ...

    def pull_request(self, number: int) -> PullRequest: ...

    def pull_requests(self, *, head_branch: str) -> Sequence[PullRequest]:
        """Return those, open or not, whose head is this branch of this repository, newest first."""
        ...

    def create_pull_request(
        self, *, title: str, body: str, head_branch: str, base_branch: str, draft: bool
    ) -> PullRequest: ...

    def edit_pull_request(self, number: int, *, title: str | None = None, body: str | None = None) -> PullRequest: ...

    def mark_ready(self, request: PullRequest) -> None:
        """Make a draft an ordinary pull request."""
        ...

    def changed_files(self, number: int) -> Sequence[ChangedFile]:
        """Return a pull request's diff by files, which says on what lines comments can be."""
        ...

    def review_comments(self, number: int) -> Sequence[ReviewComment]: ...

    def create_review(self, number: int, *, commit: str, body: str, comments: Sequence[LineComment]) -> None:
        """Post comments on lines of a head commit together, with neither approval nor refusal.

        Raises:
            OutsideDiff: a line is not in the diff.

        """
        ...

    def edit_review_comment(self, comment: int, body: str) -> None: ...

    def suggestion(self, replacement: str) -> str:
        """Return the forge's markup that offers `replacement`, whole lines, for the commented lines."""
        ...

    def branch_commit(self, branch: str) -> str | None:
        """Return the commit that a branch is at, None where there is no such branch."""
        ...

    def checks(self, commit: str) -> Sequence[Check]:
        """Return what CI says about a commit, the newest of each name."""
        ...

    def report_check(self, commit: str, *, name: str, key: str, state: CheckState, title: str, summary: str) -> Check:
        """Show a check of our own on a commit: made once for each `key`, and changed in place from then on."""
        ...

    def issue_url(self, number: int) -> str:
        """Return the address of an issue or pull request, as people open it."""
        ...
