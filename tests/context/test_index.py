"""What the index says of a small Python repository."""

from __future__ import annotations

import pytest

from agents.context.index import History, Index
from tests.context.trees import SHOP, tree_of


@pytest.fixture(scope="module")
def index() -> Index:
    return Index.build(tree_of(SHOP))


def test_symbols_are_found_by_name_by_tail_and_by_module(index: Index) -> None:
    (method,) = index.symbols("add_line")
    assert (method.path, method.qualified, method.kind) == ("shop/cart.py", "Cart.add_line", "method")
    assert index.line(method.path, method.line).strip().startswith("def add_line(")
    assert index.line(method.path, method.last).strip() == "self.lines.append((article, count))"
    assert index.symbols("Cart.add_line") == index.symbols("Cart::add_line()") == (method,)
    assert index.symbols("shop.cart.Cart.add_line") == (method,)
    assert index.symbols("LIMIT")[0].kind == "constant"
    assert index.symbols("currency")[0].qualified == "Cart.currency"


def test_a_decorated_definition_begins_with_its_decorator(index: Index) -> None:
    (total,) = index.symbols("Cart.total")
    assert index.line(total.path, total.first).strip() == "@property"
    assert total.line == total.first + 1


@pytest.mark.parametrize("wrong", ["add_lines", "addLine", "line_add", "AddLine"])
def test_a_name_that_is_spelled_wrongly_finds_similar_ones(index: Index, wrong: str) -> None:
    assert index.symbols(wrong)[0].qualified == "Cart.add_line"


@pytest.mark.parametrize("nothing", ["", "()", "::", "zebra", "\0", '"', "a" * 10_000])
def test_a_name_of_nothing_finds_nothing(index: Index, nothing: str) -> None:
    assert index.symbols(nothing) == ()
    assert index.references(nothing) == ()


def test_references_leave_out_definitions_strings_and_comments(index: Index) -> None:
    found = [(r.path, r.text) for r in index.references("price_of")]
    assert found == [
        ("shop/cart.py", "return sum(prices.price_of(a) * n for a, n in self.lines)"),
        ("shop/prices.py", "return -(-price_of(article) * (100 - percent) // 100)"),
    ]
    assert index.references("discounted") == ()
    assert len(index.references("article", limit=3)) == 3


def test_references_in_interpolated_strings_count(index: Index) -> None:
    assert ("shop/cart.py", 23) in [(r.path, r.line) for r in index.references("StockKeeper.count_of")]


def test_search_takes_identifiers_apart(index: Index) -> None:
    assert index.search("stock keeper enough")[0].symbol == "StockKeeper.has_enough"
    best = index.search("Why is the reduced amount rounded up?")[0]
    assert (best.path, best.symbol) == ("shop/prices.py", "discounted")
    assert best.text.splitlines()[0] == "def discounted(article: str, percent: int) -> int:"
    assert index.search("refund")[0].path == "README.md"


@pytest.mark.parametrize("query", ["", "the", '"', "NEAR(", "body:tea*", "a" * 1000, "\0", "tea " * 30_000])
def test_any_text_may_be_searched_for(index: Index, query: str) -> None:
    assert all(hit.path in index.tree for hit in index.search(query))


def test_passages_cover_every_line_of_code_once(index: Index) -> None:
    rows = index._connection.execute("SELECT path, first, last FROM chunks JOIN files ON files.id=chunks.file")
    covered: dict[str, list[int]] = {}
    for path, first, last in rows:
        covered.setdefault(path, []).extend(range(first, last + 1))
    for path in SHOP:
        assert len(covered[path]) == len(set(covered[path]))
        full = {n for n, line in enumerate(index.lines(path), 1) if line.strip()}
        assert full <= set(covered[path])


def test_imports_lead_to_files_of_the_tree_and_back(index: Index) -> None:
    assert index.imports("shop/cart.py") == ("shop/__init__.py", "shop/prices.py", "shop/stock.py")
    assert index.importers("shop/stock.py") == ("shop/cart.py", "tests/test_cart.py")
    assert index.imports("README.md") == index.importers("nothing.py") == ()


def test_an_outline_keeps_its_budget_and_begins_with_what_is_central(index: Index) -> None:
    for tokens in (0, 10, 40, 80, 160, 1000):
        assert len(index.outline(tokens)) <= tokens * 3
    whole = index.outline(1000)
    assert "class Cart:" in whole
    assert "def has_enough(self, article, count):" in whole
    small = index.outline(60)
    assert "StockKeeper" in small
    assert "test_total" not in small


def test_an_outline_can_be_focused(index: Index) -> None:
    assert "discounted" not in index.outline(40)
    assert "discounted" in index.outline(40, ["discounted amounts are rounded wrongly"])
    assert "shop/prices.py" in index.outline(40, ["shop/prices.py"])


def test_a_file_has_an_outline(index: Index) -> None:
    outline = index.file_outline("shop/stock.py").splitlines()
    assert outline[0] == "class StockKeeper:  # 1-9"
    assert outline[2] == "    def has_enough(self, article, count):  # 5-6"
    assert index.file_outline("README.md") == index.file_outline("nothing.py") == ""


def test_stats_count_what_there_is(index: Index) -> None:
    stats = index.stats()
    assert stats.files == 6
    assert stats.languages == {"python": 5, "text": 1}
    assert stats.lines == sum(text.count("\n") for text in SHOP.values())
    assert stats.cached_share == 0.0
    assert stats.symbols == len(index.all_symbols())


def test_files_that_changed_together_are_known() -> None:
    history = History((("shop/cart.py", "shop/prices.py"), ("shop/cart.py", "shop/prices.py"),
                       ("shop/cart.py", "gone.py"), tuple(f"{n}.py" for n in range(100)), ("README.md",)))  # fmt: skip
    index = Index.build(tree_of(SHOP), history=history)
    assert [path for path, _ in index.cochanged("shop/cart.py")] == ["shop/prices.py"]
    assert index.cochanged("1.py") == index.cochanged("README.md") == ()
    assert 0 < index.cochanged("shop/prices.py")[0][1] < 1


def test_the_innermost_definition_of_a_line(index: Index) -> None:
    found = index.symbol_at("shop/cart.py", 22)
    assert found is not None
    assert found.qualified == "Cart.add_line"
    assert index.symbol_at("shop/cart.py", 8) is None
