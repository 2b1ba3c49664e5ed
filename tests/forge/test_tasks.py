"""What is done on a forge that needs no run of tests."""

from __future__ import annotations

import io
from typing import Any

import pytest

from tests.forge.conftest import Place
from tests.forge.endpoints import BOT
from workflows.forge.deciding import Asked
from workflows.forge.once import Mark
from workflows.forge.tasks import Done, do
from workflows.progress import PlainView

MARK = Mark("pull-request", (("task", "issue-1"), ("patch", "ab"), ("run", "r")))


def draft(place: Place) -> dict[str, Any]:
    place.change({"README.md": "x"})
    place.publish("greendiff/issue-1")
    return place.server.state.add_pull("t", f"{MARK}\nwords", "greendiff/issue-1", "main", draft=True, user=BOT)


def checked(place: Place, pull: dict[str, Any], *conclusions: str | None) -> Done:
    sha = pull["head"]["sha"]
    place.server.state.runs = [
        {"id": n, "name": f"ci{n}", "head_sha": sha, "status": "completed" if c else "in_progress", "conclusion": c}
        for n, c in enumerate(conclusions)
    ]
    what = Asked("ready", "issue-1", None, "", sha, "greendiff/issue-1")
    return do(place.forge(), place.mirror(), what, PlainView(io.StringIO()), flags={}, solve=False)


@pytest.mark.parametrize("conclusions", [(), ("success", None), ("success", "failure")])
def test_a_draft_stays_one_until_all_checks_pass(place: Place, conclusions: tuple[str | None, ...]) -> None:
    pull = draft(place)
    done = checked(place, pull, *conclusions)
    assert (done.result, pull["draft"]) == ("nothing", True)
    assert "stays a draft" in done.message


def test_a_draft_becomes_ready_once_and_a_person_is_not_overruled(place: Place) -> None:
    pull = draft(place)
    assert checked(place, pull, "success", "skipped").result == "pull-request"
    assert pull["draft"] is False
    pull["draft"] = True
    assert checked(place, pull, "success").result == "nothing"
    assert pull["draft"] is True


def test_a_draft_of_somebody_else_is_left_alone(place: Place) -> None:
    pull = draft(place)
    pull["user"] = {"login": "eve", "id": 6}
    assert checked(place, pull, "success").result == "nothing"
    assert pull["draft"] is True


def test_a_closed_issue_and_an_archived_repository_are_told_once(place: Place) -> None:
    state = place.server.state
    state.add_issue(1, "Old", "", state="closed")
    what = Asked("solve", "issue-1", 1, "ann")
    for _ in range(2):
        done = do(place.forge(), place.mirror(), what, PlainView(io.StringIO()), flags={}, solve=False)
        assert done.result == "failed"
    assert len(state.comments) == 1
    assert "is closed; reopen it" in state.comments[0]["body"]
    state.archived = True
    done = do(place.forge(), place.mirror(), what, PlainView(io.StringIO()), flags={}, solve=False)
    assert "archived" in done.message
