"""Small repositories that the tests of the index read."""

from __future__ import annotations

import subprocess
from pathlib import Path

from sandbox.tree import Entry, Tree

SHOP = {
    "shop/__init__.py": "from shop.cart import Cart\n",
    "shop/cart.py": '''"""Carts."""

from __future__ import annotations

from shop import prices
from shop.stock import StockKeeper

LIMIT = 99


class Cart:
    """What a customer wants to buy."""

    currency = "EUR"

    def __init__(self, keeper: StockKeeper) -> None:
        self.keeper = keeper
        self.lines: list[tuple[str, int]] = []

    def add_line(self, article: str, count: int) -> None:
        """Add an article unless the warehouse has run out of it."""
        if not self.keeper.has_enough(article, count):
            raise ValueError(f"only {self.keeper.count_of(article)} left")
        self.lines.append((article, count))

    @property
    def total(self) -> int:
        # prices.discounted is no use of it here
        return sum(prices.price_of(a) * n for a, n in self.lines)
''',
    "shop/prices.py": '''"""Prices in cents."""

PRICES = {"tea": 250, "cup": 900}


def price_of(article: str) -> int:
    return PRICES[article]


def discounted(article: str, percent: int) -> int:
    """Return the reduced amount, rounded up."""
    return -(-price_of(article) * (100 - percent) // 100)
''',
    "shop/stock.py": """class StockKeeper:
    def __init__(self, counts):
        self.counts = counts

    def has_enough(self, article, count):
        return self.count_of(article) >= count

    def count_of(self, article):
        return self.counts.get(article, 0)
""",
    "tests/test_cart.py": """from shop import Cart
from shop.stock import StockKeeper


def test_total():
    cart = Cart(StockKeeper({"tea": 3}))
    cart.add_line("tea", 2)
    assert cart.total == 500
""",
    "README.md": "# Shop\n\nSells tea. Refunds are not supported yet.\n",
}


def tree_of(files: dict[str, str] | dict[str, bytes]) -> Tree:
    return Tree({p: Entry(t.encode() if isinstance(t, str) else t) for p, t in files.items()})


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@example.invalid", *arguments],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip


def commit(folder: Path, files: dict[str, str], text: str = "change") -> None:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", text)
