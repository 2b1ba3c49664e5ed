"""What the small GitHub knows and answers, request by request."""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

BOT = {"login": "greendiff[bot]", "id": 77, "type": "Bot"}
Answered = tuple[int, Any, dict[str, str]]


class Refusal(Exception):
    def __init__(self, status: int, message: str, errors: list[Any] | None = None, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"message": message} | ({"errors": errors} if errors else {})
        self.headers = headers


@dataclass
class State:
    """One repository and everything around it."""

    name: str
    web: str
    git: Path
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Good tokens, with whose they are."""
    minted: list[str] = field(default_factory=list)
    """Tokens that the App's installation is given, in order; empty refuses."""
    app_seen: list[str] = field(default_factory=list)
    permissions: dict[str, str] = field(default_factory=dict)
    issues: dict[int, dict[str, Any]] = field(default_factory=dict)
    comments: list[dict[str, Any]] = field(default_factory=list)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    review: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    transferred: dict[int, str] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    archived: bool = False
    drafts: bool = True
    default: str = "main"
    full_name: str = ""
    page_limit: int = 100
    _ids: int = 1000

    def good(self, token: str) -> bool:
        return token in self.tokens

    def number(self) -> int:
        self._ids += 1
        return self._ids

    def run_git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.git, capture_output=True, text=True)
        if done.returncode:
            raise Refusal(404, "Not Found")
        return done.stdout

    def add_issue(self, number: int, title: str, body: str, **more: Any) -> None:
        self.issues[number] = {
            "number": number, "title": title, "body": body, "user": {"login": "ann", "id": 5, "type": "User"},
            "state": "open", "locked": False, "labels": [], "html_url": f"{self.web}/{self.name}/issues/{number}",
            "repository_url": f"{self.web}/api/v3/repos/{self.name}", **more,
        }  # fmt: skip

    def side(self, branch: str, sha: str, repository: str) -> dict[str, Any]:
        return {"ref": branch, "sha": sha, "label": f"{repository.partition('/')[0]}:{branch}",
                "repo": {"full_name": repository}}  # fmt: skip

    def add_pull(
        self, title: str, body: str, head: str, base: str, *, draft: bool = False, user: dict[str, Any] | None = None,
        repository: str = "", number: int | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        pull = {
            "number": number or self.number(), "title": title, "body": body, "user": user or {"login": "ann", "id": 5},
            "state": "open", "merged_at": None, "draft": draft, "locked": False, "node_id": f"PR_{self.number()}",
            "head": self.side(head, self.run_git("rev-parse", f"refs/heads/{head}").strip(), repository or self.name),
            "base": self.side(base, self.run_git("rev-parse", f"refs/heads/{base}").strip(), self.name),
        }  # fmt: skip
        pull["html_url"] = f"{self.web}/{self.name}/pull/{pull['number']}"
        self.pulls.append(pull)
        return pull


def answer(state: State, authorization: str, method: str, path: str, query: dict[str, str], body: Any) -> Answered:
    kind, _, token = authorization.partition(" ")
    del kind
    if path == "/app" or path.endswith(("/installation", "/access_tokens")):
        return _app(state, token, path)
    if not state.good(token):
        raise Refusal(401, "Bad credentials")
    if path.startswith("/repositories/"):
        place = "acme/elsewhere"
        number = int(path.rpartition("/")[2])
        return 200, state.issues[number] | {"repository_url": f"{state.web}/api/v3/repos/{place}"}, {}
    if path == "/user":
        return 200, state.tokens[token], {}
    if path.startswith("/users/"):
        return 200, BOT, {}
    if path == "/graphql":
        pull = next(p for p in state.pulls if p["node_id"] == body["variables"]["id"])
        pull["draft"] = False
        return 200, {"data": {"markPullRequestReadyForReview": {"pullRequest": {"id": pull["node_id"]}}}}, {}
    prefix = f"/repos/{state.name}"
    if not path.startswith(prefix):
        raise Refusal(404, "Not Found")
    if state.archived and method != "GET":
        raise Refusal(403, "Repository was archived so is read-only.")
    rest = path.removeprefix(prefix)
    status, found = _routed(state, state.tokens[token], method, rest, query, body)
    return _paged(state, status, found, rest, query)


def _app(state: State, token: str, path: str) -> Answered:
    state.app_seen.append(token)
    if path == "/app":
        return 200, {"id": 9, "slug": "greendiff"}, {}
    if not state.minted:
        raise Refusal(404, "Not Found")
    if path.endswith("/installation"):
        return 200, {"id": 31}, {}
    fresh = state.minted.pop(0)
    state.tokens[fresh] = BOT
    end = datetime.fromtimestamp(time.time() + 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return 201, {"token": fresh, "expires_at": end, "permissions": {}}, {}


def _paged(state: State, status: int, found: Any, rest: str, query: dict[str, str]) -> Answered:
    key = next((k for k in ("check_runs", "statuses") if isinstance(found, dict) and k in found), "")
    items = found[key] if key else found
    if not isinstance(items, list) or status != 200:
        return status, found, {}
    size, page = min(int(query.get("per_page", 30)), state.page_limit), int(query.get("page", 1))
    part = items[(page - 1) * size : page * size]
    headers = {"Link": f'<{state.web}/x?page={page + 1}>; rel="next"'} if page * size < len(items) else {}
    return 200, found | {key: part} if key else part, headers


def _routed(
    state: State, user: dict[str, Any], method: str, rest: str, query: dict[str, str], body: Any
) -> tuple[int, Any]:
    if rest == "":
        full = state.full_name or state.name
        return 200, {"full_name": full, "default_branch": state.default, "html_url": f"{state.web}/{full}",
                     "archived": state.archived, "private": False, "fork": False}  # fmt: skip
    if match := re.fullmatch(r"/collaborators/([^/]+)/permission", rest):
        if match[1] not in state.permissions:
            raise Refusal(404, "Not Found")
        return 200, {"permission": state.permissions[match[1]]}
    if match := re.fullmatch(r"/issues/(\d+)", rest):
        return _issue(state, int(match[1]))
    if match := re.fullmatch(r"/issues/(\d+)/comments", rest):
        return _comments(state, user, method, int(match[1]), body)
    if match := re.fullmatch(r"/issues/comments/(\d+)", rest):
        comment = _with_id(state.comments, match[1])
        comment["body"] = body["body"]
        return 200, comment
    if rest.startswith("/pulls"):
        return _pulls(state, user, method, rest.removeprefix("/pulls"), query, body)
    if match := re.fullmatch(r"/branches/(.+)", rest):
        return 200, {"commit": {"sha": state.run_git("rev-parse", f"refs/heads/{unquote(match[1])}").strip()}}
    if match := re.fullmatch(r"/commits/([0-9a-f]+)/(check-runs|status)", rest):
        if match[2] == "status":
            return 200, {"state": "success", "statuses": state.statuses}
        named = query.get("check_name")
        return 200, {"check_runs": [r for r in state.runs if r["head_sha"] == match[1] and named in {None, r["name"]}]}
    if rest == "/check-runs":
        state.runs.append({"id": state.number(), "html_url": state.web, **body})
        return 201, state.runs[-1]
    if match := re.fullmatch(r"/check-runs/(\d+)", rest):
        _with_id(state.runs, match[1]).update(body)
        return 200, _with_id(state.runs, match[1])
    raise Refusal(404, "Not Found")


def _with_id(items: list[dict[str, Any]], number: str) -> dict[str, Any]:
    for item in items:
        if item["id"] == int(number):
            return item
    raise Refusal(404, "Not Found")


def _issue(state: State, number: int) -> tuple[int, Any]:
    if number in state.deleted:
        raise Refusal(410, "This issue was deleted")
    if number in state.transferred:
        where = f"{state.web}/api/v3/repositories/5/issues/{number}"
        raise Refusal(301, "Moved Permanently", Location=where)
    if number not in state.issues:
        raise Refusal(404, "Not Found")
    return 200, state.issues[number]


def _comments(state: State, user: dict[str, Any], method: str, number: int, body: Any) -> tuple[int, Any]:
    if method == "GET":
        return 200, [c for c in state.comments if c["number"] == number]
    if number in state.deleted:
        raise Refusal(410, "This issue was deleted")
    if state.issues.get(number, {}).get("locked"):
        raise Refusal(403, "Unable to create comment because issue is locked.")
    identity = state.number()
    state.comments.append({"id": identity, "number": number, "body": body["body"], "user": user,
                           "html_url": f"{state.web}/{state.name}/issues/{number}#{identity}"})  # fmt: skip
    return 201, state.comments[-1]


def _pulls(
    state: State, user: dict[str, Any], method: str, rest: str, query: dict[str, str], body: Any
) -> tuple[int, Any]:
    if rest == "" and method == "GET":
        return 200, [p for p in reversed(state.pulls) if query.get("head") in {None, p["head"]["label"]}]
    if rest == "":
        return 201, _opened(state, user, body)
    if match := re.fullmatch(r"/comments/(\d+)", rest):
        comment = _with_id(state.review, match[1])
        comment["body"] = body["body"]
        return 200, comment
    match = re.fullmatch(r"/(\d+)(/\w+)?", rest)
    pull = next((p for p in state.pulls if match and p["number"] == int(match[1])), None)
    if match is None or pull is None:
        raise Refusal(404, "Not Found")
    if match[2] is None:
        pull.update(body or {})
        return 200, pull
    if match[2] == "/files":
        return 200, files(state, pull)
    if match[2] == "/comments":
        return 200, [r for r in state.review if r["pull"] == pull["number"]]
    return 200, _reviewed(state, user, pull, body)


def _opened(state: State, user: dict[str, Any], body: Any) -> dict[str, Any]:
    if not state.drafts and body.get("draft"):
        raise Refusal(422, "Draft pull requests are not supported in this repository.")
    if any(p["head"]["ref"] == body["head"] and p["state"] == "open" for p in state.pulls):
        text = f"A pull request already exists for acme:{body['head']}."
        raise Refusal(422, "Validation Failed", [{"resource": "PullRequest", "code": "custom", "message": text}])
    return state.add_pull(body["title"], body["body"], body["head"], body["base"], draft=body.get("draft", False),
                          user=user)  # fmt: skip


def files(state: State, pull: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a pull request's files with the hunks that Git makes of them."""
    base = state.run_git("merge-base", pull["base"]["sha"], pull["head"]["sha"]).strip()
    names = state.run_git("diff", "--no-renames", "--name-status", base, pull["head"]["sha"]).splitlines()
    found = []
    for letter, name in (line.split("\t", 1) for line in names):
        whole = state.run_git("diff", "--no-renames", "-U3", base, pull["head"]["sha"], "--", name)
        at = whole.find("\n@@")
        words = {"A": "added", "D": "removed"}
        patch = {} if at < 0 else {"patch": whole[at + 1 :].removesuffix("\n")}
        found.append({"filename": name, "status": words.get(letter, "modified"), **patch})
    return found


def lines_of(patch: str) -> list[set[int]]:
    """Return, for each hunk, the lines of the new side that can be commented on."""
    hunks: list[set[int]] = []
    at = 0
    for line in patch.split("\n"):
        if match := re.match(r"@@ -\d+(?:,\d+)? \+(\d+)", line):
            at = int(match[1])
            hunks.append(set())
        elif line[:1] in {" ", "+"}:
            hunks[-1].add(at)
            at += 1
    return hunks


def _reviewed(state: State, user: dict[str, Any], pull: dict[str, Any], body: Any) -> dict[str, Any]:
    if body.get("commit_id") != pull["head"]["sha"]:
        raise Refusal(422, "Unprocessable Entity", ["commit_id is not part of the pull request"])
    hunks = {f["filename"]: lines_of(f.get("patch", "")) for f in files(state, pull)}
    for one in body.get("comments", []):
        wanted = {one["line"], one.get("start_line", one["line"])}
        if not any(wanted <= hunk for hunk in hunks.get(one["path"], [])):
            raise Refusal(422, "Unprocessable Entity", ["pull_request_review_thread.line must be part of the diff"])
    for one in body.get("comments", []):
        state.review.append({"id": state.number(), "pull": pull["number"], "user": user, "commit_id": body["commit_id"],
                             "in_reply_to_id": None, **one})  # fmt: skip
    return {"id": state.number(), "user": user, "body": body.get("body", ""), "state": "COMMENTED"}
