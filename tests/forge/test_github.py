"""GitHub as a forge, against a small GitHub over real HTTP that holds every request to the published description."""

from __future__ import annotations

import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.forge.conftest import TOKEN, Place
from tests.forge.description import published
from tests.forge.server import Fault
from workflows.errors import Usage
from workflows.forge import github_shapes as shapes
from workflows.forge.errors import (
    Archived,
    CredentialRefused,
    ForgeBusy,
    ForgeError,
    Locked,
    NotThere,
    OutsideDiff,
    Transferred,
    Unclear,
)
from workflows.forge.github import checked_api, web_address, with_app
from workflows.forge.once import Mark, marks, put_comment
from workflows.forge.protocol import Forge, LineComment
from workflows.forge.secret import Secret

STATUS = Mark("status", (("task", "issue-1"),))


def test_it_is_a_forge_and_reads_an_issue(place: Place) -> None:
    forge: Forge = place.forge()
    place.server.state.add_issue(1, "Totals", "are wrong", labels=[{"name": "greendiff"}])
    issue = forge.issue(1)
    assert (issue.title, issue.labels, issue.open, issue.author) == ("Totals", ("greendiff",), True, "ann")
    assert forge.repository().default_branch == "main"
    assert forge.viewer().login == "greendiff[bot]"


def test_permissions_of_people_and_strangers(place: Place) -> None:
    place.server.state.permissions |= {"ann": "admin", "bob": "read"}
    forge = place.forge()
    assert [forge.permission(who) for who in ("ann", "bob", "eve")] == ["admin", "read", "none"]


def test_lists_are_read_page_by_page(place: Place) -> None:
    state = place.server.state
    state.page_limit = 2
    state.comments = [
        {"id": n, "number": 1, "body": str(n), "user": None, "html_url": "http://x"} for n in range(7)
    ]  # fmt: skip
    assert [c.body for c in place.forge().comments(1)] == [str(n) for n in range(7)]


def test_one_status_comment_is_edited_in_place(place: Place) -> None:
    place.server.state.add_issue(1, "Totals", "")
    forge = place.forge()
    first = put_comment(forge, 1, STATUS, "working")
    assert put_comment(forge, 1, STATUS, "done").id == first.id
    put_comment(forge, 1, STATUS, "done")
    assert [c["body"] for c in place.server.state.comments] == [f"{STATUS}\ndone"]
    assert len(place.server.requests("PATCH")) == 1


def test_a_mark_in_somebody_elses_comment_is_not_believed(place: Place) -> None:
    state = place.server.state
    state.add_issue(1, "Totals", "")
    theirs = {"id": 1, "number": 1, "body": f"{STATUS}\nhijack", "user": {"login": "eve"}, "html_url": "http://x"}
    state.comments.append(theirs)
    put_comment(place.forge(), 1, STATUS, "working")
    assert [c["body"].partition("\n")[2] for c in state.comments] == ["hijack", "working"]


@pytest.mark.parametrize("drop", [True, False])
def test_a_comment_that_was_written_but_not_answered_is_not_written_twice(place: Place, drop: bool) -> None:
    place.server.state.add_issue(1, "Totals", "")
    place.server.faults.append(Fault("POST", "/comments", 502, after=True, drop=drop))
    put_comment(place.forge(), 1, STATUS, "working")
    assert len(place.server.state.comments) == 1


def test_a_writing_request_without_an_answer_is_unclear(place: Place) -> None:
    place.server.state.add_issue(1, "Totals", "")
    place.server.faults.append(Fault("POST", "/comments", 500))
    with pytest.raises(Unclear):
        place.forge().create_comment(1, "x")
    assert len(place.server.requests("POST")) == 1


def test_reading_is_repeated_after_server_errors_and_then_left(place: Place) -> None:
    place.server.state.add_issue(1, "Totals", "")
    place.server.faults.append(Fault("GET", "/issues/1", 503, times=2))
    assert place.forge().issue(1).title == "Totals"
    assert len(place.waits) == 2
    place.server.faults.append(Fault("GET", "/issues/1", 503, times=50))
    with pytest.raises(ForgeBusy):
        place.forge().issue(1)
    assert len(place.server.requests("GET", "/issues/1")) == 3 + 5


def test_limits_are_waited_for_as_the_server_says(place: Place) -> None:
    place.server.state.add_issue(1, "Totals", "")
    secondary = {"message": "You have exceeded a secondary rate limit."}
    place.server.faults.append(Fault("POST", "/comments", 403, secondary, {"Retry-After": "7"}))
    place.server.faults.append(
        Fault("GET", "/issues/1", 429, {"message": "API rate limit exceeded"},
              {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 20)})
    )  # fmt: skip
    forge = place.forge()
    forge.create_comment(1, "x")
    assert 7 <= place.waits[0] <= 10
    forge.issue(1)
    assert 15 <= place.waits[1] <= 25


def test_a_long_limit_is_left_to_the_caller(place: Place) -> None:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 3000)}
    place.server.faults.append(Fault("GET", "/issues/1", 403, {"message": "API rate limit exceeded"}, headers))
    with pytest.raises(ForgeBusy) as caught:
        place.forge().issue(1)
    assert caught.value.retry_after > 2900
    assert place.waits == []


def test_issues_that_are_gone_locked_or_elsewhere_are_told_apart(place: Place) -> None:
    state, forge = place.server.state, place.forge()
    state.add_issue(1, "Locked", "", locked=True)
    state.add_issue(2, "Moved", "")
    state.transferred[2] = "acme/elsewhere"
    state.deleted.add(3)
    with pytest.raises(Locked, match="locked"):
        forge.create_comment(1, "x")
    with pytest.raises(Transferred, match="acme/elsewhere"):
        forge.issue(2)
    with pytest.raises(NotThere, match="deleted"):
        forge.issue(3)
    state.archived = True
    with pytest.raises(Archived, match="archived"):
        forge.create_comment(1, "x")


def test_no_other_host_is_followed(place: Place) -> None:
    place.server.faults.append(Fault("GET", "/issues/1", 301, headers={"Location": "http://127.0.0.2:1/steal"}))
    with pytest.raises(NotThere, match="not followed"):
        place.forge().issue(1)


def test_a_refused_token_is_told_without_showing_it(place: Place) -> None:
    with pytest.raises(CredentialRefused) as caught:
        place.forge("ghp_wrong0canary").issue(1)
    assert "ghp_wrong0canary" not in f"{caught.value} {caught.value.__cause__} {caught.value.__context__}"


def test_answers_that_are_none_are_told(place: Place) -> None:
    place.server.faults.append(Fault("GET", "/issues/1", 200, {"number": "x"}))
    with pytest.raises(ForgeError, match="something else"):
        place.forge().issue(1)


def test_an_app_mints_narrow_tokens_and_again_when_one_is_revoked(place: Place) -> None:
    state = place.server.state
    state.add_issue(1, "Totals", "")
    state.minted = ["ghs_first", "ghs_second"]
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    forge = with_app(state.name, app="9", key=Secret(key.decode()), api=place.server.api, sleep=place.waits.append)
    assert forge.viewer().login == "greendiff[bot]"
    assert forge.issue(1).title == "Totals"
    asked = place.server.requests("POST", "/access_tokens")
    assert [one.body["repositories"] for one in asked] == [["shop"]]
    del state.tokens["ghs_first"]
    assert forge.issue(1).title == "Totals"
    assert forge.access().password.reveal() == "ghs_second"
    del state.tokens["ghs_second"]
    with pytest.raises(NotThere, match="installation"):
        forge.issue(1)


def test_a_key_that_is_none_is_not_quoted(place: Place) -> None:
    forge = with_app("acme/shop", app="9", key=Secret("canary key"), api=place.server.api)
    with pytest.raises(CredentialRefused) as caught:
        forge.issue(1)
    assert "canary" not in str(caught.value)


def test_suggestions_only_go_where_the_diff_is(place: Place) -> None:
    place.change({"shop/prices.py": "def total(prices):\n    return 0\n"})
    head = place.publish("topic")
    place.server.state.add_pull("t", "", "topic", "main", number=8)
    forge = place.forge()
    forge.create_review(8, commit=head, body="", comments=[LineComment("shop/prices.py", 1, 2, "x")])
    assert [(c.path, c.last, c.commit) for c in forge.review_comments(8)] == [("shop/prices.py", 2, head)]
    with pytest.raises(OutsideDiff):
        forge.create_review(8, commit=head, body="", comments=[LineComment("tests/test_prices.py", 1, 1, "x")])


def test_a_check_is_made_once_and_changed_in_place(place: Place) -> None:
    forge, commit = place.forge(), place.publish()
    said = {"name": "greendiff", "key": "issue-1", "title": "t", "summary": "s"}
    forge.report_check(commit, state="running", **said)
    forge.report_check(commit, state="passed", **said)
    assert [check.state for check in forge.checks(commit)] == ["passed"]
    assert len(place.server.state.runs) == 1


def test_a_draft_becomes_ready(place: Place) -> None:
    place.server.state.add_pull("t", "", "main", "main", number=8, draft=True)
    forge = place.forge()
    forge.mark_ready(forge.pull_request(8))
    assert not forge.pull_request(8).draft


def test_a_suggestion_is_fenced_by_more_backticks_than_it_holds(place: Place) -> None:
    forge = place.forge()
    assert forge.suggestion("a\n```\n") == "````suggestion\na\n```\n````"
    assert forge.suggestion("") == "```suggestion\n```"


@pytest.mark.parametrize(
    ("api", "web"),
    [("https://api.github.com", "https://github.com"), ("https://github.example.com/api/v3", "https://github.example.com"),
     ("https://api.corp.ghe.com/", "https://corp.ghe.com")],
)  # fmt: skip
def test_enterprise_addresses(api: str, web: str) -> None:
    assert web_address(checked_api(api)) == web


@pytest.mark.parametrize("api", ["http://github.example.com", "https://token@github.example.com", "ftp://x", ""])
def test_addresses_that_a_token_is_not_sent_to(api: str) -> None:
    with pytest.raises(Usage):
        checked_api(api)


READ: dict[tuple[str, str], Any] = {
    ("/repos/{owner}/{repo}", "get"): shapes.RepositoryShape,
    ("/repos/{owner}/{repo}/issues/{issue_number}", "get"): shapes.IssueShape,
    ("/repos/{owner}/{repo}/issues/{issue_number}/comments", "get"): shapes.CommentShape,
    ("/repos/{owner}/{repo}/pulls", "get"): shapes.PullShape,
    ("/repos/{owner}/{repo}/pulls/{pull_number}", "get"): shapes.PullShape,
    ("/repos/{owner}/{repo}/pulls/{pull_number}/files", "get"): shapes.FileShape,
    ("/repos/{owner}/{repo}/pulls/{pull_number}/comments", "get"): shapes.ReviewCommentShape,
    ("/repos/{owner}/{repo}/branches/{branch}", "get"): shapes.BranchShape,
    ("/repos/{owner}/{repo}/commits/{ref}/check-runs", "get"): shapes.CheckShape,
    ("/repos/{owner}/{repo}/commits/{ref}/status", "get"): shapes.StatusShape,
    ("/repos/{owner}/{repo}/collaborators/{username}/permission", "get"): shapes.PermissionShape,
    ("/app/installations/{installation_id}/access_tokens", "post"): shapes.TokenShape,
    ("/app", "get"): shapes.AppShape,
    ("/user", "get"): shapes.User,
}


@pytest.mark.parametrize("where", READ)
def test_the_published_example_answers_are_understood(where: tuple[str, str]) -> None:
    examples = published("api.json.gz")[where[0]][where[1]]["examples"]
    assert examples
    for example in examples:
        listed = next(
            (example[k] for k in ("check_runs", "statuses") if isinstance(example, dict) and k in example), example
        )
        for item in listed if isinstance(listed, list) else [listed]:
            # Answers that differ between versions of the API are wrapped in what changed.
            item = item["value"] if "x-github-breaking-changes" in item else item
            found = shapes.shaped(READ[where], item, "it")
            assert not hasattr(found, "value") or found.value() is not None


def test_marks_are_read_as_they_are_written() -> None:
    mark = Mark("suggestion", (("digest", "ab12"), ("task", "pull-8")))
    assert marks(f"x {mark} y", "suggestion") == [mark]
    assert marks("<!-- greendiff:suggestion digest=--> x -->", "suggestion") == []
    with pytest.raises(ValueError, match="no mark"):
        str(Mark("status", (("task", "a --> b"),)))


def test_a_secret_is_not_shown_or_pickled() -> None:
    import pickle

    secret = Secret(TOKEN)
    assert TOKEN not in f"{secret} {secret!r} {[secret]}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
