"""Whole runs of `solve`, from a sentence to a verified diff, through the real command and a real HTTP endpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workflows.conftest import Ran
from tests.workflows.solve.people import DONE, FINE, SHOP, Cast, calls, edit, evidence, findings, plan, written
from tests.workflows.solve.test_fix_with_models import timeless

COUPON_TESTS = """\
def test_a_coupon_takes_its_share():
    from shop.coupons import Coupon

    assert Coupon(10).apply(200) == 180


def test_the_total_with_a_coupon():
    from shop.cart import Cart
    from shop.coupons import Coupon

    cart = Cart()
    cart.add(400)
    assert cart.total(Coupon(25)) == 300


def test_the_receipt_with_a_coupon():
    from shop.cart import Cart
    from shop.coupons import Coupon
    from shop.receipt import receipt

    cart = Cart()
    cart.add(400)
    assert receipt(cart, Coupon(50)) == "total         2.00"
"""
RECEIPT = '    return line("total", '
MISSING = "there is no module shop.coupons yet"
COUPON = '''\
"""What makes things cheaper."""


class Coupon:
    """A share of the total, in per cent."""

    def __init__(self, percent):
        self.percent = percent

    def apply(self, total):
        """Return what is left to pay."""
        return total - total * self.percent // 100
'''


@pytest.fixture
def shop(repository: Callable[..., Path]) -> Path:
    return repository(SHOP)


def coupons() -> Cast:
    """Everybody who is needed for a feature over three files."""
    return Cast(
        planner=[
            plan(
                "feature", "Coupons lower the total.",
                ("coupons that lower the total and the receipt", ["shop/coupons.py", "shop/cart.py::Cart.total",
                 "shop/receipt.py::receipt"], ["Coupon(10).apply(200) is 180"]),
            )
        ],
        unit_test=[
            written(
                COUPON_TESTS,
                *((name, "ModuleNotFoundError", MISSING) for name in (
                    "test_a_coupon_takes_its_share", "test_the_total_with_a_coupon", "test_the_receipt_with_a_coupon")),
            )
        ],
        coder=[
            calls(("read", {"path": "shop/cart.py"}), ("search", {"query": "total"})),
            calls(
                edit("shop/coupons.py", "", COUPON),
                edit("shop/cart.py", "    def total(self):\n", "    def total(self, coupon=None):\n"),
                edit("shop/cart.py", "        return result\n",
                     "        return result if coupon is None else coupon.apply(result)\n"),
                edit("shop/receipt.py", "def receipt(cart):\n", "def receipt(cart, coupon=None):\n"),
                edit("shop/receipt.py", f"{RECEIPT}cart.total())\n", f"{RECEIPT}cart.total(coupon))\n"),
            ),
            calls(("run_tests", {})),
            DONE,
        ],
        reviewer=[FINE],
    )  # fmt: skip


def test_a_feature_over_three_files_is_replayed_offline_to_the_byte(
    shop: Path, tmp_path: Path, quick: Callable[..., Ran]
) -> None:
    words, tape = ("solve", "Add coupons that lower the total", "--json"), tmp_path / "tape"
    with coupons() as cast:
        names = cast.variables(KEY_VARIABLE="THE_KEY")
        ran = quick(*words, "--record", tape, cwd=shop, **names, THE_KEY="sk-planted-canary-2")
    events, result = ran.events, ran.events[-1]
    assert ran.code == 0, result["message"]
    assert result["files"] == [
        "shop/cart.py",
        "shop/coupons.py",
        "shop/receipt.py",
        "tests/test_a_coupon_takes_its_share.py",
    ]
    assert "3 new tests that failed without the change and pass with it, 4 tests still pass" in result["message"]
    manifest, summary = evidence(result)
    assert manifest["claim"] == "adds"
    assert len(manifest["added_targets"]) == 3
    assert "3 tests that it adds fail without the patch and pass with it" in summary
    search = manifest["search"]
    assert (search["tier"], search["calls"]) == (1, len(cast.chats))
    assert search["tokens"] == sum(e["prompt"] + e["completion"] for e in events if e["event"] == "call")
    assert [event["agent"] for event in events if event["event"] == "asking"] == ["planner", "unit-test", "coder"]
    assert not cast.scripts["coder"], "the coder was not asked as often as it had answers"
    again = quick(*words, "--replay", tape, cwd=shop, **names)
    assert again.code == 0, again.err
    assert again.events[-1]["diff"] == result["diff"]
    assert timeless(again.events[-1]["bundle"]) == timeless(result["bundle"])
    assert evidence(again.events[-1])[0]["search"]["cost"] == search["cost"] > 0
    assert not any("planted-canary" in path.read_text(errors="replace") for path in tape.iterdir())


def test_a_repository_without_tests_gets_its_first_ones(
    repository: Callable[..., Path], quick: Callable[..., Ran]
) -> None:
    bare = repository({name: text for name, text in SHOP.items() if name.startswith("shop/")})
    with coupons() as cast:
        ran = quick("solve", "Add coupons that lower the total", cwd=bare, **cast.variables())
    assert ran.code == 0, ran.err
    assert "3 new tests that failed without the change and pass with it\n" in ran.err
    assert "models: 7 calls" in ran.err
    assert quick("fix", bare).code == 3


def test_a_cap_is_kept_and_said(shop: Path, quick: Callable[..., Ran]) -> None:
    with coupons() as cast:
        ran = quick("solve", "Add coupons", "--max-tokens", "100", cwd=shop, **cast.variables())
    assert ran.code == 4, ran.err
    assert "a cap on what models may cost was reached" in ran.err
    assert cast.chats == []


def test_an_issue_without_a_failing_test(
    repository: Callable[..., Path], tmp_path: Path, quick: Callable[..., Ran]
) -> None:
    cart = str(SHOP["shop/cart.py"]).replace("result = result + price", "result = price")
    tests = str(SHOP["tests/test_cart.py"]).replace("filled(100, 250).total() == 350", "filled(350).total() == 350")
    shop = repository({**SHOP, "shop/cart.py": cart, "tests/test_cart.py": tests})
    issue = tmp_path / "issue.md"
    issue.write_text("The total is wrong for several prices: Cart.total is 250 for 100 and 250, should be 350.\n")
    wrong = "def test_the_total():\n    from shop.cart import Cart\n\n    assert Cart().total() == 0\n"
    right = (
        "from shop.cart import Cart\n\n\ndef test_the_total_of_two_prices():\n    cart = Cart()\n    cart.add(100)\n"
        "    cart.add(250)\n    assert cart.total() == 350\n"
    )
    cast = Cast(
        planner=[plan("fix", "The total takes the last price alone.", ("Cart.total adds all prices",
                      ["shop/cart.py::Cart.total"], ["100 and 250 are 350"]))],
        unit_test=[
            written(wrong, ("test_the_total", "AssertionError", "it is wrong")),
            written(right, ("test_the_total_of_two_prices", "AssertionError", "only the last price is returned")),
        ],
    )  # fmt: skip
    with cast:
        ran = quick("solve", "--issue", issue, "--json", cwd=shop, **cast.variables())
    result = ran.events[-1]
    assert ran.code == 0, result["message"]
    assert "passes on the code as it is" in cast.prompts("unit-test")[1]
    new = "tests/test_the_total_of_two_prices.py"
    assert result["files"] == ["shop/cart.py", new]
    manifest, summary = evidence(result)
    assert [t["node_id"] for t in manifest["added_targets"]] == [f"{new}::test_the_total_of_two_prices"]
    assert manifest["search"]["tier"] == 0, "the search without a model repairs it, once a test shows it"
    assert "1 test that it adds fails without the patch and passes with it" in summary


def test_a_refactoring(shop: Path, quick: Callable[..., Ran]) -> None:
    old = (
        "        result = 0\n        for price in self.prices:\n            result = result + price\n"
        "        return result\n"
    )
    cast = Cast(
        planner=[plan("refactor", "Cart.total uses sum().", ("use sum()", ["shop/cart.py::Cart.total"], []))],
        coder=[calls(edit("shop/cart.py", old, "        return sum(self.prices)\n")), DONE],
        reviewer=[FINE],
    )
    with cast:
        ran = quick("solve", "Refactor Cart.total to use sum()", "--json", cwd=shop, **cast.variables())
    result = ran.events[-1]
    assert ran.code == 0, result["message"]
    assert result["files"] == ["shop/cart.py"]
    manifest, summary = evidence(result)
    assert manifest["claim"] == "preserves"
    assert "tests/test_cart.py::test_total" in manifest["covering"]
    assert "it preserves behaviour as far as the tests see" in summary.lower()


def test_a_sketch_is_filled_in_and_what_a_reader_objects_to_goes_back_once(
    repository: Callable[..., Path], quick: Callable[..., Ran]
) -> None:
    sketch = '''

def parse(text):
    """Return the cents of "2.50"; ValueError for anything else.

    split at the dot, both parts must be digits
    -> whole * 100 + part
    """
    raise NotImplementedError
'''
    shop = repository({**SHOP, "shop/receipt.py": str(SHOP["shop/receipt.py"]) + sketch.replace("\n", "\n        ")})
    last = "    raise NotImplementedError\n"
    body = (
        '    whole, dot, part = text.partition(".")\n'
        '    if not (dot and whole.isdigit() and part.isdigit()):\n        raise ValueError(f"{text!r} is no price")\n'
    )
    pinned = (
        "import pytest\n\nfrom shop.receipt import parse\n\n\ndef test_a_price_is_read():\n"
        '    assert parse("2.50") == 250\n\n\ndef test_what_is_no_price():\n    with pytest.raises(ValueError):\n'
        '        parse("tea")\n'
    )
    objection = {
        "category": "correctness", "severity": "blocking", "path": "shop/receipt.py",
        "quote": "return int(whole) * 100 + int(part)", "sentence": "2.5 would be 205 cents.",
    }  # fmt: skip
    cast = Cast(
        planner=[plan("feature", "parse() is to be written.", ("write parse()", ["shop/receipt.py::parse"], []))],
        unit_test=[
            written(
                pinned, *((name, "NotImplementedError", "it is a sketch") for name in
                          ("test_a_price_is_read", "test_what_is_no_price"))
            )
        ],
        coder=[
            calls(edit("shop/receipt.py", last, f"{body}    return int(whole) * 100 + int(part)\n")), DONE,
            calls(edit("shop/receipt.py", last,
                       f'{body}    return int(whole) * 100 + int(part.ljust(2, "0")[:2])\n')), DONE,
        ],
        reviewer=[findings(objection), FINE],
    )  # fmt: skip
    with cast:
        ran = quick("solve", "Fill in the sketch of parse()", "--json", cwd=shop, **cast.variables())
    result = ran.events[-1]
    assert ran.code == 0, result["message"]
    assert "2.5 would be 205 cents" in cast.prompts("coder")[2]
    assert "ljust" in result["diff"]
    assert [event["accepted"] for event in ran.events if event["event"] == "review"] == [False, True]
