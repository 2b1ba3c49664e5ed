"""GitHub, and GitHub Enterprise, as a forge."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import quote, urlsplit

from workflows.errors import Usage
from workflows.forge.credentials import APP_PERMISSIONS, Credentials, Installation, Minted, Token, moment
from workflows.forge.errors import CredentialRefused, NotThere, Rejected, Transferred
from workflows.forge.github_calls import Calls
from workflows.forge.github_shapes import (
    AppShape,
    BranchShape,
    CheckShape,
    CommentShape,
    FileShape,
    IssueShape,
    PermissionShape,
    PullShape,
    RepositoryShape,
    ReviewCommentShape,
    StatusShape,
    TokenShape,
    User,
    shaped,
)
from workflows.forge.protocol import (
    Account,
    ChangedFile,
    Check,
    CheckState,
    Comment,
    GitAccess,
    Issue,
    LineComment,
    Permission,
    PullRequest,
    RepositoryFacts,
    ReviewComment,
)
from workflows.forge.secret import Secret

API: Final = "https://api.github.com"
ACTIONS: Final = ("github-actions[bot]", 41898282)
"""Who a workflow's own token is; it may not ask that itself."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9_.-]+\Z")
_READY = "mutation($id: ID!) { markPullRequestReadyForReview(input: {pullRequestId: $id}) { pullRequest { id } } }"
_PERMISSIONS: Final[dict[str, Permission]] = {
    "admin": "admin", "maintain": "write", "write": "write", "triage": "read", "read": "read",
}  # fmt: skip
_CHECKS: Final[dict[CheckState, tuple[str, str | None]]] = {
    "waiting": ("queued", None), "running": ("in_progress", None), "passed": ("completed", "success"),
    "failed": ("completed", "failure"), "neutral": ("completed", "neutral"),
}  # fmt: skip


def web_address(api: str) -> str:
    """Return the address that people open, from the API's: GitHub's own, a data-resident one, or a server's."""
    parts = urlsplit(api)
    host = parts.netloc.removeprefix("api.") if parts.path in {"", "/"} else parts.netloc
    return f"{parts.scheme}://{host}"


def with_token(name: str, token: Secret, *, api: str = API, **options: Any) -> GitHub:
    """Return a repository as a person's or a workflow's token sees it; `options` go to `Calls`.

    Raises:
        Usage: the name or the address is none.

    """
    return GitHub(name, Token(token), api=api, **options)


def with_app(
    name: str, *, app: str, key: Secret, installation: int | None = None, api: str = API, **options: Any
) -> GitHub:
    """Return a repository as an App's installation sees it, with tokens for this repository alone.

    `app` is the App's id or client id, `key` its private key in PEM form. Without `installation`, the repository's own
    is looked up.

    Raises:
        Usage: the name or the address is none.

    """
    checked_name(name)
    minting = partial(_minted, name, app, key, installation, checked_api(api), options)
    return GitHub(name, Installation(minting), api=api, app=partial(_app_account, app, key, api, options), **options)


class _AppToken:
    """The App's own signed statement, good for minutes, with which it asks for its installations' tokens."""

    def __init__(self, app: str, key: Secret) -> None:
        self._app = app
        self._key = key

    def token(self) -> Secret:
        import jwt

        now = int(time.time())
        claims = {"iss": self._app, "iat": now - 60, "exp": now + 540}
        try:
            return Secret(jwt.encode(claims, self._key.reveal(), algorithm="RS256"))
        except (ValueError, TypeError, jwt.exceptions.PyJWTError):
            # What the library says may quote the key.
            raise CredentialRefused("the App's private key is no RSA key in PEM form; download it again") from None

    def refused(self) -> bool:
        return False


def _minted(name: str, app: str, key: Secret, installation: int | None, api: str, options: dict[str, Any]) -> Minted:
    calls = Calls(api, _AppToken(app, key), **options)
    what = f"the App's installation on {name}"
    number = installation
    if number is None:
        number = shaped(AppShape, calls.get(f"repos/{name}/installation", what).data, what).id
    body = {"repositories": [name.partition("/")[2]], "permissions": dict(APP_PERMISSIONS)}
    try:
        answer = calls.send("POST", f"app/installations/{number}/access_tokens", what, body=body)
    except Rejected as error:
        raise CredentialRefused(f"{error}; an owner has to grant the App what it asks for") from None
    found = shaped(TokenShape, answer.data, what)
    return Minted(Secret(found.token), moment(found.expires_at))


def _app_account(app: str, key: Secret, api: str, options: dict[str, Any]) -> str:
    """Return the login of an App's bot."""
    found = shaped(AppShape, Calls(api, _AppToken(app, key), **options).get("app", "the App").data, "an App")
    return f"{found.slug}[bot]"


def checked_name(name: str) -> str:
    """Return the name if it is a repository's on GitHub.

    Raises:
        Usage: it is not.

    """
    if not _NAME.match(name) or name.endswith(("/.", "/..")):
        raise Usage(f"{name!r} is not a repository of GitHub: it is written OWNER/NAME")
    return name


def checked_api(api: str) -> str:
    """Return the address if a token may be sent there: encrypted, or to this machine itself.

    Raises:
        Usage: it may not.

    """
    parts = urlsplit(api)
    local = parts.hostname in {"127.0.0.1", "localhost", "::1"}
    if not parts.hostname or parts.username is not None or (parts.scheme != "https" and not local):
        raise Usage(f"{api!r} is not the address of a GitHub API: it begins with https:// and holds no credential")
    return api


class GitHub:
    """A repository on GitHub; see `workflows.forge.protocol.Forge`."""

    def __init__(
        self, name: str, credentials: Credentials, *, api: str = API, app: Callable[[], str] | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        """Use `with_token` or `with_app`; `app` returns the login where the credential may not ask for it."""
        self._name = checked_name(name)
        self._calls = Calls(checked_api(api), credentials, **options)
        self._web = web_address(api)
        self._app = app
        self._viewer: Account | None = None
        self._lock = threading.Lock()
        self._path = f"repos/{name}"

    @property
    def name(self) -> str:
        """`OWNER/NAME`."""
        return self._name

    def _what(self, thing: str) -> str:
        return f"{thing} of {self._name}"

    # Who, and what

    def viewer(self) -> Account:
        """Return who this credential is."""
        with self._lock:
            if self._viewer is None:
                self._viewer = self._whoami()
            return self._viewer

    def _whoami(self) -> Account:
        if self._app is not None:
            login = self._app()
            found = shaped(User, self._calls.get(f"users/{quote(login)}", "the App's bot").data, "a user")
        else:
            try:
                found = shaped(User, self._calls.get("user", "the token's owner").data, "a user")
            except CredentialRefused as error:
                if "does not take" in str(error):
                    raise
                found = User(login=ACTIONS[0], id=ACTIONS[1], type="Bot")
        host = urlsplit(self._web).hostname or "github.com"
        email = f"{found.id}+{found.login}@users.noreply.{host}"
        return Account(found.login, email, found.type == "Bot")

    def repository(self) -> RepositoryFacts:
        """Return the repository's facts; a renamed one is found under its new name."""
        what = f"repository {self._name}"
        found = shaped(RepositoryShape, self._calls.get(self._path, what).data, "a repository")
        name = checked_name(found.full_name)
        return RepositoryFacts(
            name, found.default_branch, f"{self._web}/{name}.git", found.html_url, found.archived, found.private,
            found.fork,
        )  # fmt: skip

    def permission(self, login: str) -> Permission:
        """Return what a person may do here."""
        path = f"{self._path}/collaborators/{quote(login, safe='')}/permission"
        try:
            found = shaped(PermissionShape, self._calls.get(path, f"the permission of {login}").data, "a permission")
        except NotThere:
            return "none"
        return _PERMISSIONS.get(found.permission, "none")

    def access(self, *, write: bool = False) -> GitAccess:  # noqa: ARG002 - a token is for both here
        """Return what Git needs; the address is made here, so that no answer can send the token elsewhere."""
        return GitAccess(f"{self._web}/{self._name}.git", "x-access-token", self._calls.token())

    def issue_url(self, number: int) -> str:
        """Return where people read it."""
        return f"{self._web}/{self._name}/issues/{number}"

    # Issues and comments

    def issue(self, number: int) -> Issue:
        """Return an issue."""
        what = self._what(f"issue {number}")
        answer = self._calls.get(f"{self._path}/issues/{number}", what)
        found = shaped(IssueShape, answer.data, "an issue")
        if answer.moved:
            place = "/".join(found.repository_url.rstrip("/").split("/")[-2:])
            if place.lower() not in {self._name.lower(), self.repository().name.lower()}:
                raise Transferred(f"{what} was transferred to {place or 'another repository'}; ask there", place)
        return found.value()

    def comments(self, number: int) -> Sequence[Comment]:
        """Return all comments, oldest first."""
        what = self._what(f"the comments on {number}")
        pages = self._calls.pages(f"{self._path}/issues/{number}/comments", what)
        return [shaped(CommentShape, item, "a comment").value() for item in pages]

    def create_comment(self, number: int, body: str) -> Comment:
        """Write a comment."""
        what = self._what(f"a comment on {number}")
        answer = self._calls.send("POST", f"{self._path}/issues/{number}/comments", what, body={"body": body})
        return shaped(CommentShape, answer.data, "a comment").value()

    def edit_comment(self, comment: int, body: str) -> Comment:
        """Change a comment."""
        what = self._what(f"comment {comment}")
        answer = self._calls.send("PATCH", f"{self._path}/issues/comments/{comment}", what, body={"body": body})
        return shaped(CommentShape, answer.data, "a comment").value()

    # Pull requests

    def pull_request(self, number: int) -> PullRequest:
        """Return a pull request."""
        what = self._what(f"pull request {number}")
        return shaped(PullShape, self._calls.get(f"{self._path}/pulls/{number}", what).data, what).value()

    def pull_requests(self, *, head_branch: str) -> Sequence[PullRequest]:
        """Return those from a branch of this repository, newest first."""
        what = self._what(f"the pull requests from {head_branch}")
        owner = self._name.partition("/")[0]
        pages = self._calls.pages(f"{self._path}/pulls", what, head=f"{owner}:{head_branch}", state="all",
                                  sort="created", direction="desc")  # fmt: skip
        found = (shaped(PullShape, item, "a pull request").value() for item in pages)
        # GitHub leaves out the filter where it does not understand it.
        return [one for one in found if one.head_branch == head_branch and self._ours(one)]

    def _ours(self, request: PullRequest) -> bool:
        return request.head_repository.partition("/")[0].lower() == self._name.partition("/")[0].lower()

    def create_pull_request(
        self, *, title: str, body: str, head_branch: str, base_branch: str, draft: bool
    ) -> PullRequest:
        """Open a pull request."""
        what = self._what(f"a pull request from {head_branch}")
        fields = {"title": title, "body": body, "head": head_branch, "base": base_branch, "draft": draft,
                  "maintainer_can_modify": True}  # fmt: skip
        return shaped(PullShape, self._calls.send("POST", f"{self._path}/pulls", what, body=fields).data, what).value()

    def edit_pull_request(self, number: int, *, title: str | None = None, body: str | None = None) -> PullRequest:
        """Change title or description."""
        what = self._what(f"pull request {number}")
        fields = {key: text for key, text in (("title", title), ("body", body)) if text is not None}
        answer = self._calls.send("PATCH", f"{self._path}/pulls/{number}", what, body=fields)
        return shaped(PullShape, answer.data, what).value()

    def mark_ready(self, request: PullRequest) -> None:
        """Make a draft an ordinary one, which only the GraphQL API can."""
        self._calls.graphql(_READY, {"id": request.node}, self._what(f"pull request {request.number} as ready"))

    def changed_files(self, number: int) -> Sequence[ChangedFile]:
        """Return the files with GitHub's own hunks."""
        what = self._what(f"the files of pull request {number}")
        pages = self._calls.pages(f"{self._path}/pulls/{number}/files", what)
        return [shaped(FileShape, item, "a file").value() for item in pages]

    def review_comments(self, number: int) -> Sequence[ReviewComment]:
        """Return all comments on lines."""
        what = self._what(f"the review of pull request {number}")
        pages = self._calls.pages(f"{self._path}/pulls/{number}/comments", what)
        return [shaped(ReviewCommentShape, item, "a review comment").value() for item in pages]

    def create_review(self, number: int, *, commit: str, body: str, comments: Sequence[LineComment]) -> None:
        """Post comments on lines together."""
        posted = []
        for one in comments:
            place = {"path": one.path, "body": one.body, "line": one.last, "side": "RIGHT"}
            posted.append(place | ({"start_line": one.first, "start_side": "RIGHT"} if one.first < one.last else {}))
        fields = {"commit_id": commit, "event": "COMMENT", "comments": posted} | ({"body": body} if body else {})
        what = self._what(f"a review of pull request {number}")
        self._calls.send("POST", f"{self._path}/pulls/{number}/reviews", what, body=fields)

    def edit_review_comment(self, comment: int, body: str) -> None:
        """Change a comment on lines."""
        what = self._what(f"review comment {comment}")
        self._calls.send("PATCH", f"{self._path}/pulls/comments/{comment}", what, body={"body": body})

    def suggestion(self, replacement: str) -> str:
        """Return a suggestion block, fenced by more backticks than it holds in a row."""
        longest = max((len(run) for run in re.findall("`+", replacement)), default=0)
        fence = "`" * max(3, longest + 1)
        inner = replacement if not replacement or replacement.endswith("\n") else replacement + "\n"
        return f"{fence}suggestion\n{inner}{fence}"

    # Branches and checks

    def branch_commit(self, branch: str) -> str | None:
        """Return the commit of a branch."""
        try:
            answer = self._calls.get(f"{self._path}/branches/{quote(branch, safe='')}", self._what(f"branch {branch}"))
        except NotThere:
            return None
        # A branch that was renamed answers with its successor.
        return None if answer.moved else shaped(BranchShape, answer.data, "a branch").commit.sha

    def checks(self, commit: str) -> Sequence[Check]:
        """Return check runs and statuses."""
        what = self._what(f"the checks of {commit[:12]}")
        path = f"{self._path}/commits/{quote(commit, safe='')}"
        runs = self._calls.pages(f"{path}/check-runs", what, "check_runs", filter="latest")
        found = [shaped(CheckShape, item, "a check").value() for item in runs]
        statuses = self._calls.pages(f"{path}/status", what, "statuses")
        return _by_name(found, (shaped(StatusShape, item, "a status").value() for item in statuses))

    def report_check(self, commit: str, *, name: str, key: str, state: CheckState, title: str, summary: str) -> Check:
        """Show a check of our own, found again by its external id."""
        what = self._what(f"check {name}")
        status, conclusion = _CHECKS[state]
        fields: dict[str, Any] = {
            "name": name, "external_id": key, "status": status, "output": {"title": title, "summary": summary[:65000]},
        } | ({"conclusion": conclusion} if conclusion else {})  # fmt: skip
        path = f"{self._path}/commits/{quote(commit, safe='')}/check-runs"
        runs = self._calls.pages(path, what, "check_runs", check_name=name, filter="all")
        known = [one for one in (shaped(CheckShape, item, "a check") for item in runs) if one.external_id == key]
        if known:
            answer = self._calls.send("PATCH", f"{self._path}/check-runs/{known[0].id}", what, body=fields)
        else:
            fields["head_sha"] = commit
            answer = self._calls.send("POST", f"{self._path}/check-runs", what, body=fields)
        return shaped(CheckShape, answer.data, "a check").value()


def _by_name(first: Iterable[Check], second: Iterable[Check]) -> list[Check]:
    found: dict[str, Check] = {}
    for check in (*first, *second):
        found.setdefault(check.name, check)
    return list(found.values())
