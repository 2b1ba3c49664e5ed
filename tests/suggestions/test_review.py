"""A pull request with a bug gets one suggestion that applies; never twice, and never on lines that have changed."""

from __future__ import annotations

import io
import re

import pytest

from tests.forge.conftest import Place
from tests.forge.server import Fault
from tests.suggestions.test_pieces import applied
from tests.workflows.conftest import BUGGY, git
from workflows.forge.running import Wanted
from workflows.progress import PlainView
from workflows.suggestions.posting import MOST_NEW, Finding, HeadMoved, post
from workflows.suggestions.reviewing import review

WANTED = Wanted("fix", flags={"sandbox": "local", "model": ["none"], "budget": 20})
GOOD = str(BUGGY["shop/prices.py"]).replace("result + discount", "result - discount")


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("GREENDIFF_STATE_DIR", str(folder))
    monkeypatch.setenv("GREENDIFF_CACHE_DIR", str(folder / "cache"))


def broken_request(place: Place) -> str:
    """Publish a good main, and pull request 8, which breaks it."""
    place.change({"shop/prices.py": GOOD})
    place.publish()
    place.change({"shop/prices.py": BUGGY["shop/prices.py"]})
    head = place.publish("topic")
    place.server.state.add_pull("Tidy prices", "", "topic", "main", number=8)
    return head


def moved(place: Place) -> None:
    pull = place.server.state.pulls[0]
    pull["head"]["sha"] = place.server.state.run_git("rev-parse", "topic").strip()


def look(place: Place) -> tuple[int, int, bool]:
    posted = review(place.forge(), place.mirror(), 8, PlainView(io.StringIO()), WANTED)
    return posted.suggestions, posted.known, posted.summary


def test_one_suggestion_that_applies_and_is_not_repeated(place: Place) -> None:
    head = broken_request(place)
    # The review arrives, but not the answer to it: it is not posted twice.
    place.server.faults.append(Fault("POST", "/reviews", 502, after=True, drop=True))
    assert look(place) == (1, 0, False)
    state = place.server.state
    (comment,) = state.review
    assert comment["commit_id"] == head
    block = re.search(r"```suggestion\n(.*?)```", comment["body"], re.DOTALL)
    assert block is not None
    assert "test_discount" in comment["body"]
    text = (place.clone / "shop/prices.py").read_text()
    fixed = applied(text, comment.get("start_line", comment["line"]), comment["line"], block[1])
    assert fixed == text.replace("result + discount", "result - discount")

    # The next push, with the bug still there a few lines further down: nothing is said twice.
    place.change({"shop/prices.py": "# One more line.\n\n" + text})
    place.publish("topic")
    moved(place)
    assert look(place) == (0, 1, False)
    assert len(state.review) == 1

    # The suggestion was committed: its lines are old now, and it is taken back.
    place.change({"shop/prices.py": fixed})
    place.publish("topic")
    moved(place)
    comment["line"] = None
    assert look(place) == (0, 0, False)
    assert "Withdrawn" in comment["body"]
    assert "```suggestion" not in comment["body"]
    assert state.comments == []


def test_a_repair_outside_of_the_diff_is_one_comment(place: Place) -> None:
    tests = str(BUGGY["tests/test_prices.py"])
    place.change(
        {"tests/test_prices.py": "from shop.prices import total\n\n\ndef test_total():\n    assert total([1]) == 1\n"}
    )
    place.publish()
    place.change({"tests/test_prices.py": tests})
    place.publish("topic")
    place.server.state.add_pull("More tests", "", "topic", "main", number=8)
    assert look(place) == (0, 0, True)
    (comment,) = place.server.state.comments
    assert "outside of the lines" in comment["body"]
    assert "+    return result - discount" in comment["body"]
    assert place.server.state.review == []


def test_what_fails_on_the_base_already_is_not_this_pull_requests(place: Place) -> None:
    place.change({"README.md": "words\n"})
    place.publish("topic")
    place.server.state.add_pull("Words", "", "topic", "main", number=8)
    assert look(place) == (0, 0, False)
    assert place.server.state.comments == place.server.state.review == []


def test_a_newer_push_is_not_written_on(place: Place) -> None:
    head = broken_request(place)
    place.change({"README.md": "x"})
    place.publish("topic")
    moved(place)
    mirror = place.mirror()
    mirror.fetch(place.forge().access(), head)
    with pytest.raises(HeadMoved, match="newer push"):
        post(place.forge(), 8, head, mirror.snapshot(head).tree, None)


def test_what_is_not_proved_is_one_comment_that_goes_when_it_is_over(place: Place) -> None:
    head = broken_request(place)
    mirror = place.mirror()
    mirror.fetch(place.forge().access(), head)
    files = mirror.snapshot(head).tree
    many = [Finding(f"thing {n}") for n in range(MOST_NEW * 2)]
    post(place.forge(), 8, head, files, None, many)
    post(place.forge(), 8, head, files, None, many[:1])
    assert len(place.server.state.comments) == 1
    assert place.server.state.comments[0]["body"].count("- thing") == 1
    post(place.forge(), 8, head, files, None)
    assert "nothing to add" in place.server.state.comments[0]["body"]


def test_a_secret_that_a_pull_request_brings_is_told(place: Place) -> None:
    place.change({"shop/prices.py": GOOD})
    place.publish()
    place.change({"shop/keys.py": f'PASSWORD = "{"ghp_"}{"a1" * 18}"\n'})
    place.publish("topic")
    place.server.state.add_pull("Keys", "", "topic", "main", number=8)
    assert look(place) == (0, 0, True)
    assert "shop/keys.py:1: looks like a GitHub token" in place.server.state.comments[0]["body"]
    assert git(place.clone, "status", "--porcelain") == ""
