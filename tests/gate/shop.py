"""A small package with one fault, in two forms: its tests are plain functions, or methods of unittest."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.tree import Entry, Tree

PYPROJECT = """\
[project]
name = "shop"
version = "1.0"

[tool.pytest.ini_options]
testpaths = ["tests"]
"""

MONEY = '''\
"""Amounts in whole cents."""


class Money:
    """An amount of one currency."""

    def __init__(self, cents, currency="EUR"):
        self.cents = cents
        self.currency = currency

    def __add__(self, other):
        if other.currency != self.currency:
            raise ValueError("cannot add different currencies")
        return Money(self.cents + other.cents, self.currency)

    def __str__(self):
        return f"{self.cents // 100}.{self.cents % 100:02} {self.currency}"
'''

CART = '''\
"""What lies in a cart, and what it costs."""

import os

from shop.money import Money

CURRENCY = os.environ.get("SHOP_CURRENCY", "EUR")


def line_total(price, quantity):
    """Return the price of several pieces."""
    if quantity < 0:
        raise ValueError("quantity is negative")
    return price * quantity


def discount(total, percent):
    """Return a total in cents less some per cent of it, rounded in the customer's favour."""
    return total - total * percent // 10


def bill(lines, percent=0):
    """Return the amount due for (price, quantity) pairs."""
    total = sum(line_total(price, quantity) for price, quantity in lines)
    return Money(discount(total, percent), CURRENCY)
'''

CLI = '''\
"""The command line."""

import sys

from shop.cart import bill


def parse(argument):
    """Return (price, quantity) of an argument like 250x3."""
    price, _, quantity = argument.partition("x")
    return int(price), int(quantity or 1)


def main(arguments=None):
    """Print the bill; the exit code is 2 where an argument cannot be read."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        lines = [parse(argument) for argument in arguments]
    except ValueError:
        print("usage: shop PRICExQUANTITY...", file=sys.stderr)
        return 2
    print(bill(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
'''

CONFTEST = """\
import json
import pathlib

import pytest

import shop.cart


@pytest.fixture
def prices():
    assert shop.cart.CURRENCY == "EUR"
    return json.loads((pathlib.Path(__file__).parent / "data" / "prices.json").read_text())
"""

TEST_MONEY = """\
import pytest

from shop.money import Money


def test_text():
    assert str(Money(1205)) == "12.05 EUR"


def test_sum():
    assert (Money(100) + Money(250)).cents == 350


def test_currencies_do_not_mix():
    with pytest.raises(ValueError):
        Money(1) + Money(1, "CHF")
"""

TEST_CART = """\
import pytest

from shop.cart import bill, discount, line_total


def test_line(prices):
    assert line_total(prices["tea"], 2) == 700


def test_no_negative_quantity():
    with pytest.raises(ValueError):
        line_total(100, -1)


def test_no_discount():
    assert discount(1000, 0) == 1000


def test_discount():
    expected = 1700
    assert discount(2000, 15) == expected


def test_bill(prices):
    assert bill([(prices["tea"], 2)]).cents == 700
"""

TEST_CART_UNITTEST = """\
import unittest

from shop.cart import bill, discount, line_total


class CartTest(unittest.TestCase):
    def test_line(self):
        self.assertEqual(line_total(350, 2), 700)

    def test_no_negative_quantity(self):
        with self.assertRaises(ValueError):
            line_total(100, -1)

    def test_no_discount(self):
        self.assertEqual(discount(1000, 0), 1000)

    def test_discount(self):
        expected = 1700
        self.assertEqual(discount(2000, 15), expected)

    def test_bill(self):
        self.assertEqual(bill([(350, 2)]).cents, 700)
"""

TEST_CLI = """\
import pytest

from shop.cli import main, parse


def test_parse():
    assert parse("250x3") == (250, 3)
    assert parse("250") == (250, 1)


def test_main(capsys):
    assert main(["250x2"]) == 0
    assert capsys.readouterr().out == "5.00 EUR\\n"


def test_main_refuses():
    assert main(["x"]) == 2
"""


def tree(files: Mapping[str, str]) -> Tree:
    """Return texts as a tree."""
    return Tree({path: Entry(text.encode()) for path, text in files.items()})


_COMMON = {
    "pyproject.toml": PYPROJECT,
    "README.md": "# shop\n",
    "shop/__init__.py": '"""A shop."""\n',
    "shop/money.py": MONEY,
    "shop/cart.py": CART,
    "shop/cli.py": CLI,
    "tests/conftest.py": CONFTEST,
    "tests/data/prices.json": '{"tea": 350}\n',
    "tests/test_cli.py": TEST_CLI,
    "tests/test_money.py": TEST_MONEY,
}

_SOUND = {**_COMMON, "shop/cart.py": CART.replace("percent // 10", "percent // 100"), "tests/test_cart.py": TEST_CART}
_EQUAL_TEST = TEST_MONEY + "\n\ndef test_equal():\n    assert Money(5) + Money(7) == Money(12)\n"
_EXIT_TEST = f"""{TEST_CLI}

def test_help():
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
"""

BASES: Mapping[str, Mapping[str, str]] = {
    "plain": {**_COMMON, "tests/test_cart.py": TEST_CART},
    "unittest": {**_COMMON, "tests/test_cart.py": TEST_CART_UNITTEST},
    "equality": {**_SOUND, "tests/test_money.py": _EQUAL_TEST},
    "exit": {**_SOUND, "tests/test_cli.py": _EXIT_TEST},
}
"""Name → files; each has exactly one failing test."""

GREEN: Mapping[str, Mapping[str, str]] = {"sound": _SOUND}
"""Name → files in which no test fails, for patches that add or preserve."""

TARGETS = {
    "plain": "tests/test_cart.py::test_discount",
    "unittest": "tests/test_cart.py::CartTest::test_discount",
    "equality": "tests/test_money.py::test_equal",
    "exit": "tests/test_cli.py::test_help",
}
