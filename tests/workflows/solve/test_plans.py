"""Plans: asked back, shown, edited, refused, in several steps; and questions answered."""

from __future__ import annotations

import contextlib
import os
import pty
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.models.endpoint import Say, Status
from tests.workflows.conftest import Ran
from tests.workflows.solve.people import DONE, FINE, SHOP, Cast, calls, edit, evidence, plan, written

CLEARER = plan("feature", "The cart counts its things.", ("Cart.count", ["shop/cart.py::Cart"], ["2 after two adds"]))
COUNT = '    def count(self):\n        """Return how many things are in it."""\n        return len(self.prices)\n'
TOTAL = "    def total(self):\n"
COUNT_TESTS = written(
    "from shop.cart import Cart\n\n\ndef test_two_things_are_counted():\n    cart = Cart()\n    cart.add(1)\n"
    "    cart.add(2)\n    assert cart.count() == 2\n",
    ("test_two_things_are_counted", "AttributeError", "a cart does not count yet"),
)
WRITE_COUNT = calls(edit("shop/cart.py", TOTAL, f"{COUNT}\n{TOTAL}"))


@pytest.fixture
def shop(repository: Callable[..., Path]) -> Path:
    return repository(SHOP)


def test_a_request_that_says_nothing_is_asked_back(shop: Path, quick: Callable[..., Ran]) -> None:
    asked = plan("feature", "Something about carts.", questions=["What should a cart do?", "For whom?"])
    with Cast(planner=[asked]) as cast:
        ran = quick("solve", "Make carts better for the people who use them", cwd=shop, **cast.variables())
    assert ran.code == 5
    assert "1. What should a cart do?" in ran.err
    assert "2. For whom?" in ran.err
    assert ran.out == ""


def test_a_person_answers_and_the_plan_is_made_of_it(shop: Path, greendiff: Callable[..., Ran]) -> None:
    asked = plan("feature", "Something about carts.", questions=["What should a cart do?"])
    with Cast(planner=[asked, CLEARER]) as cast:
        ran = greendiff(
            "plan", "Make carts better for the people who use them", cwd=shop, stdin="count its things\n",
            GREENDIFF_TERMINAL="1", **cast.variables(),
        )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "What should a cart do?" in ran.err
    assert "count its things" in cast.prompts("planner")[1]
    assert "step: Cart.count" in ran.out
    assert "  place: shop/cart.py::Cart" in ran.out


def test_a_plan_is_refused_and_edited_and_then_carried_out(
    shop: Path, tmp_path: Path, greendiff: Callable[..., Ran]
) -> None:
    first = plan("feature", "The cart is a list.", ("make Cart a list", ["shop/cart.py::Cart"], []))
    editor = tmp_path / "editor.py"
    editor.write_text(
        "import pathlib, sys\npath = pathlib.Path(sys.argv[1])\ntext = path.read_text()\n"
        "path.write_text(text.replace('step: Cart.count', 'step: Cart.count, with a docstring'))\n"
    )
    cast = Cast(planner=[first, CLEARER], unit_test=[COUNT_TESTS], coder=[WRITE_COUNT, DONE], reviewer=[FINE])
    with cast:
        ran = greendiff(
            "solve", "The cart should count its things", "--approve", "plan", "--json", cwd=shop,
            stdin="r\na count is enough\ne\n", GREENDIFF_TERMINAL="1",
            EDITOR=shlex.join([sys.executable, str(editor)]), **cast.variables(),
        )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "a count is enough" in cast.prompts("planner")[1]
    (told,) = [event for event in ran.events if event["event"] == "plan"]
    assert told["steps"] == ["Cart.count, with a docstring"]
    assert "Cart.count, with a docstring" in cast.prompts("coder")[0]
    assert "+    def count(self):" in ran.events[-1]["diff"]


def test_without_a_person_a_plan_cannot_be_approved(shop: Path, quick: Callable[..., Ran]) -> None:
    with Cast(planner=[CLEARER]) as cast:
        ran = quick("solve", "The cart should count its things", "--approve", "plan", cwd=shop, **cast.variables())
    assert ran.code == 5
    assert "--approve plan needs a person at a terminal" in ran.err


def test_the_steps_of_a_plan_build_on_each_other_and_are_judged_as_one(shop: Path, quick: Callable[..., Ran]) -> None:
    both = plan(
        "feature", "Carts count their things, and receipts say how many.",
        ("Cart.count", ["shop/cart.py::Cart"], []), ("the receipt says how many", ["shop/receipt.py::receipt"], []),
    )  # fmt: skip
    many = written(
        "from shop.cart import Cart\nfrom shop.receipt import how_many\n\n\ndef test_how_many_things():\n"
        "    cart = Cart()\n    cart.add(5)\n    assert how_many(cart) == '1 things'\n",
        ("test_how_many_things", "ImportError", "a receipt does not say it yet"),
    )
    within = written(
        "def test_how_many_things():\n    from shop.cart import Cart\n    from shop.receipt import how_many\n\n"
        "    cart = Cart()\n    cart.add(5)\n    assert how_many(cart) == '1 things'\n",
        ("test_how_many_things", "ImportError", "a receipt does not say it yet"),
    )
    words = '\n\ndef how_many(cart):\n    """Return how many things a cart holds, in words."""\n'
    last = '    return line("total", cart.total())\n'
    cast = Cast(
        planner=[both], unit_test=[COUNT_TESTS, many, within],
        coder=[WRITE_COUNT, DONE,
               calls(edit("shop/receipt.py", last, f'{last}{words}    return f"{{cart.count()}} things"\n')), DONE],
        reviewer=[FINE, FINE, FINE],
    )  # fmt: skip
    with cast:
        ran = quick("solve", "Carts count, receipts say how many", "--json", cwd=shop, **cast.variables())
    events, result = ran.events, ran.events[-1]
    assert ran.code == 0, result["message"]
    assert [event["step"] for event in events if event["event"] == "step-done"] == [0, 1]
    assert result["files"] == ["shop/cart.py", "shop/receipt.py", "tests/test_how_many_things.py",
                               "tests/test_two_things_are_counted.py"]  # fmt: skip
    manifest, _ = evidence(result)
    assert len(manifest["added_targets"]) == 2
    assert "2 new tests that failed without the change and pass with it" in result["message"]


def test_a_question_is_answered_with_its_places(shop: Path, quick: Callable[..., Ran]) -> None:
    said = Say("A cart adds its prices one by one [shop/cart.py:14-19].", usage=(200, 20))
    with Cast(answerer=[said]) as cast:
        ran = quick("ask", "How is the total made?", "--json", cwd=shop, **cast.variables())
        alone = quick("ask", "How is the total made?", "--model", "none", cwd=shop, **cast.variables())
        down = quick("ask", "How is the total made?", cwd=shop, **cast.variables())
    result = ran.events[-1]
    assert (ran.code, result["status"]) == (0, "answered")
    assert result["citations"] == [{"path": "shop/cart.py", "first": 14, "last": 19}]
    assert "one by one" in result["answer"]
    assert alone.code == 0
    assert "shop/cart.py:" in alone.out
    assert down.code == 0
    assert "The model could not be asked" in down.out
    assert len(cast.prompts("answerer")) == 2


def test_a_plan_needs_no_model(shop: Path, quick: Callable[..., Ran]) -> None:
    ran = quick("plan", "Add a method Cart.count that says how many things are in shop/cart.py", "--json", cwd=shop)
    result = ran.events[-1]
    assert (ran.code, result["kind"], result["origin"]) == (0, "feature", "rules")
    ran = quick("solve", "Add a method Cart.count", cwd=shop)
    assert ran.code == 2
    assert "there is no model to write one" in ran.err


def test_failing_tests_need_no_model_either(repository: Callable[..., Path], quick: Callable[..., Ran]) -> None:
    ran = quick("solve", "The discount is added to the total", "--json", cwd=repository())
    assert ran.code == 0, ran.events[-1]["message"]
    assert "+    return result - discount" in ran.events[-1]["diff"]


def test_a_planner_that_is_down_is_replaced_by_rules(shop: Path, quick: Callable[..., Ran]) -> None:
    with Cast(planner=[Status(401, "who are you?")]) as cast:
        ran = quick("plan", "Add a method Cart.count", cwd=shop, **cast.variables())
    assert ran.code == 0
    assert "planned by rules, as the model could not be asked" in ran.err


def test_the_index_is_told_about(shop: Path, quick: Callable[..., Ran]) -> None:
    ran = quick("index", "--stats", cwd=shop)
    assert ran.code == 0
    assert "files: 4 (python 4)" in ran.out or "files: 5" in ran.out
    assert "known before: 100%" in quick("index", "--stats", cwd=shop).out


def pieces(descriptor: int) -> Iterator[bytes]:
    """Read what comes from a terminal until nobody holds its other end."""
    with contextlib.suppress(OSError):
        while piece := os.read(descriptor, 4096):
            yield piece


def test_on_a_terminal_the_plan_is_a_checklist(shop: Path, environment: dict[str, str]) -> None:
    both = plan(
        "feature", "Two things.", ("count the things", ["shop/cart.py::Cart"], []),
        ("say how many", ["shop/receipt.py"], []),
    )  # fmt: skip
    with Cast(planner=[both]) as cast:
        words = [sys.executable, "-m", "workflows.cli", "solve", "Count", "--repository", str(shop)]
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            words, env={**environment, **cast.variables(), "TERM": "xterm", "COLUMNS": "100"}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=theirs,
        ):  # fmt: skip
            os.close(theirs)
            shown = b"".join(pieces(ours))
        os.close(ours)
    text = shown.decode()
    assert "[>] 1. count the things" in text
    assert "[ ] 2. say how many" in text
    assert "tokens" in text


def test_a_plan_that_comes_to_nothing_is_followed_by_another(shop: Path, quick: Callable[..., Ran]) -> None:
    first = plan("feature", "Receipts count.", ("count in the receipt", ["shop/receipt.py"], []))
    wrong = calls(edit("shop/receipt.py", '"""What is printed for a customer."""\n', '"""What is printed."""\n'))
    cast = Cast(
        planner=[first, CLEARER], unit_test=[COUNT_TESTS, COUNT_TESTS],
        coder=[wrong, *[DONE] * 6, WRITE_COUNT, DONE], reviewer=[FINE],
    )  # fmt: skip
    with cast:
        ran = quick("solve", "The cart should count its things", "--json", cwd=shop, **cast.variables())
    events, result = ran.events, ran.events[-1]
    assert ran.code == 0, result["message"]
    assert [event["steps"] for event in events if event["event"] == "plan"] == [
        ["count in the receipt"],
        ["Cart.count"],
    ]
    assert "gate refused" in cast.prompts("planner")[1]
    sources = [event["source"] for event in events if event["event"] == "found"]
    assert sources == ["coder:large", "revision:large", "coder:large"]
    assert result["files"] == ["shop/cart.py", "tests/test_two_things_are_counted.py"]
