"""Candidates that add what they say, or preserve what there is; the gate must let all of them pass."""

from __future__ import annotations

from tests.gate.candidates import Claimed, body
from tests.gate.shop import CLI, GREEN, MONEY
from workflows.verdicts import Allowances

SOUND = GREEN["sound"]["shop/cart.py"]
SHIPPING = (
    SOUND
    + '''

def shipping(cents, free_from=5000):
    """Return what it costs to send goods of so many cents: a tenth, nothing from a limit on."""
    return 0 if cents >= free_from else cents // 10
'''
)
TEST_SHIPPING = """\
from shop.cart import shipping


def test_a_tenth():
    assert shipping(1234) == 123


def test_free_from_a_limit_on():
    assert shipping(5000) == 0
    assert shipping(700, free_from=600) == 0
"""
SHIPPING_TARGETS = (
    ("tests/test_shipping.py::test_a_tenth", "ImportError"),
    ("tests/test_shipping.py::test_free_from_a_limit_on", "ImportError"),
)
LOYALTY = '''\
"""What faithful customers save."""


class Card:
    """A card with points."""

    def __init__(self, points=0):
        self.points = points

    def earn(self, cents):
        """Add a point for each whole unit of money."""
        self.points += cents // 100

    def worth(self):
        """Return the points' worth in cents."""
        return self.points * 3
'''
TEST_LOYALTY = """\
import pytest

from shop.loyalty import Card


@pytest.fixture
def card():
    return Card()


@pytest.mark.parametrize(("cents", "worth"), [(99, 0), (250, 6), (1000, 30)])
def test_worth(card, cents, worth):
    card.earn(cents)
    assert card.worth() == worth
"""
TEST_PERCENT = """\
import pytest

from shop.cart import bill, discount


def test_no_percentage_above_a_hundred():
    with pytest.raises(ValueError, match="percentage"):
        discount(1000, 101)


def test_bills_refuse_it_too():
    with pytest.raises(ValueError):
        bill([(100, 1)], percent=200)
"""
TEST_CAPITALS = """\
import unittest

from shop.cli import parse


class CapitalsTest(unittest.TestCase):
    def test_capital_letter(self):
        self.assertEqual(parse("250X3"), (250, 3))
"""
TEST_ODD = """\
from shop.cart import discount


def test_discount_of_an_odd_total():
    assert discount(999, 10) == 900
"""
TEST_COLOURS = """\
import enum

import shop.colours


def test_colours_are_an_enumeration():
    assert issubclass(shop.colours.Colour, enum.Enum)
    assert [c.value for c in shop.colours.Colour] == [3, 7]
"""

ADDS = [
    Claimed(
        "a function",
        {"shop/cart.py": SHIPPING, "tests/test_shipping.py": TEST_SHIPPING},
        "adds",
        SHIPPING_TARGETS,
    ),
    Claimed(
        "a module with a class, tests with parameters and a fixture",
        {"shop/loyalty.py": LOYALTY, "tests/test_loyalty.py": TEST_LOYALTY},
        "adds",
        tuple((f"tests/test_loyalty.py::test_worth[{p}]", "ModuleNotFoundError") for p in ("250-6", "1000-30")),
    ),
    Claimed(
        "an issue: percentages are not checked",
        {
            "shop/cart.py": SOUND.replace(
                "    return total - total",
                '    if not 0 <= percent <= 100:\n        raise ValueError(f"{percent} is no percentage")\n'
                "    return total - total",
            ),
            "tests/test_percent.py": TEST_PERCENT,
        },
        "adds",
        (
            ("tests/test_percent.py::test_no_percentage_above_a_hundred", "Failed"),
            ("tests/test_percent.py::test_bills_refuse_it_too", "Failed"),
        ),
    ),
    Claimed(
        "an issue, with a test in the style of unittest",
        {
            "shop/cli.py": CLI.replace('argument.partition("x")', 'argument.lower().partition("x")'),
            "tests/test_capitals.py": TEST_CAPITALS,
        },
        "adds",
        (("tests/test_capitals.py::CapitalsTest::test_capital_letter", "ValueError"),),
    ),
    Claimed(
        "a repair with a test of its own",
        {"shop/cart.py": body("return total - total * percent // 100"), "tests/test_odd.py": TEST_ODD},
        "repairs",
        (("tests/test_odd.py::test_discount_of_an_odd_total", "AssertionError"),),
        base="plain",
    ),
    Claimed(
        "three files and test data",
        {
            "shop/loyalty.py": LOYALTY,
            "shop/cart.py": SHIPPING,
            "shop/cli.py": CLI.replace("from shop.cart import bill", "from shop.cart import bill, shipping").replace(
                "    print(bill(lines))\n    return 0",
                "    print(bill(lines))\n    if postage:\n        print(shipping(bill(lines).cents))\n    return 0",
            ).replace("def main(arguments=None):", "def main(arguments=None, postage=False):"),
            "tests/data/postage.json": '{"250x2": ["5.00 EUR", "50"]}\n',
            "tests/test_postage.py": """\
import json
from pathlib import Path

import pytest

from shop.cli import main

WANTED = json.loads((Path(__file__).parent / "data" / "postage.json").read_text())


@pytest.mark.parametrize("argument", WANTED)
def test_postage(argument, capsys, monkeypatch):
    monkeypatch.setenv("SHOP_CURRENCY", "EUR")
    assert main([argument], postage=True) == 0
    assert capsys.readouterr().out.split("\\n")[:2] == WANTED[argument]
""",
        },
        "adds",
        (("tests/test_postage.py::test_postage[250x2]", "TypeError"),),
        allowances=Allowances(tests=True),
    ),
    Claimed(
        "nothing but names, which a person should look at",
        {
            "shop/colours.py": '"""Colours."""\n\nfrom enum import Enum\n\n\nclass Colour(Enum):\n    """One."""\n\n'
            "    RED = 3\n    BLUE = 7\n",
            "tests/test_colours.py": TEST_COLOURS,
        },
        "adds",
        (("tests/test_colours.py::test_colours_are_an_enumeration", "ModuleNotFoundError"),),
        check="added-matter",
        reason="person should look",
        flagged=True,
    ),
]  # fmt: skip

PRESERVES = [
    Claimed(
        "a helper is extracted",
        {
            "shop/cart.py": SOUND.replace("total - total * percent // 100", "total - _share(total, percent)").replace(
                "def discount", "def _share(total, percent):\n    return total * percent // 100\n\n\ndef discount"
            )
        },
        "preserves",
    ),
    Claimed(
        "a loop instead of a sum",
        {
            "shop/cart.py": SOUND.replace(
                "    total = sum(line_total(price, quantity) for price, quantity in lines)\n",
                "    total = 0\n    for price, quantity in lines:\n        total += line_total(price, quantity)\n",
            )
        },
        "preserves",
    ),
    Claimed(
        "a class moves, and its old place still has it",
        {
            "shop/amounts.py": MONEY,
            "shop/money.py": '"""Kept for those who import from here."""\n\nfrom shop.amounts import Money\n\n'
            '__all__ = ["Money"]\n',
            "shop/cart.py": SOUND.replace("from shop.money", "from shop.amounts"),
        },
        "preserves",
    ),
    Claimed(
        "words only",
        {
            "shop/cart.py": SOUND.replace("What lies in a cart", "What is in a cart").replace(
                "import os", "import os  # x"
            )
        },
        "preserves",
    ),
    Claimed(
        "a parameter that the request asks to rename",
        {
            "shop/cart.py": SOUND.replace("percent=0", "rate=0").replace(
                "discount(total, percent), CURRENCY", "discount(total, rate), CURRENCY"
            )
        },
        "preserves",
        allowances=Allowances(interface=("shop.cart.bill",)),
    ),
]

ALL = [*ADDS, *PRESERVES]
assert len({candidate.name for candidate in ALL}) == len(ALL)
