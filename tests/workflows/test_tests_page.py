"""The page about generated tests, opened in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser import look, picture
from workflows.tests_page import MOST_ROWS, page

REPORT: dict[str, Any] = {
    "target": "shop/prices.py", "python": "3.11.7", "seconds": 41.6,
    "coverage": [
        {"path": "shop/prices.py", "lines": 120, "lines_before": 30, "lines_after": 119,
         "branches": 40, "branches_before": 4, "branches_after": 40},
        {"path": "shop/__init__.py", "lines": 2, "lines_before": 2, "lines_after": 2,
         "branches": 0, "branches_before": 0, "branches_after": 0},
    ],
    "mutants": {"tried": 90, "killed_before": 9, "killed_after": 72, "survivors": [
        {"path": "shop/prices.py", "line": 14, "what": "< becomes <=", "diff": "-    if a < b:\n+    if a <= b:\n"},
    ]},
    "tests": [
        {"name": "test_discount", "path": "tests/test_prices.py", "kept": True, "kind": "property", "adds": "4 arcs"},
        {"name": "test_total", "path": "tests/test_prices.py", "kept": True, "kind": "example", "adds": "3 mutants"},
        {"name": "test_now", "path": "tests/test_prices.py", "kept": False, "reason": "differs between runs"},
        {"name": "test_again", "path": "tests/test_prices.py", "kept": False, "reason": "adds nothing"},
        {"name": "test_more", "path": "tests/test_prices.py", "kept": False, "reason": "adds nothing", "count": 4},
    ],
    "suspects": [{"path": "shop/prices.py", "line": 30, "name": "refund", "why": "the docstring says otherwise",
                  "example": "refund(-1)\n# says 0, returns -1"}],
    "redundant": [{"test": "tests/test_old.py::test_nothing", "why": "asserts nothing"}],
    "left_out": [{"name": "shop.prices.fetch", "why": "it opens a connection"}],
    "diff": "--- /dev/null\n+++ b/tests/test_prices.py\n",
}  # fmt: skip

HOSTILE = '</pre></style><script>window.ran = true</script><img src="http://example.org/x" onerror="window.ran = true">'


def brightness(colour: str) -> float:
    """Return the mean of the channels of `rgb(r, g, b)`."""
    channels = [float(part) for part in colour.partition("(")[2].rstrip(")").split(",")[:3]]
    return sum(channels) / 3


@pytest.mark.chromium
def test_a_browser_shows_the_tables_in_light_and_dark(tmp_path: Path) -> None:
    found = look(page(REPORT), tmp_path)
    assert found["title"] == "Tests for shop/prices.py"
    assert found["headings"] == [
        "Tests for shop/prices.py", "Suspected bugs", "Coverage", "Tests kept", "Tests dropped", "Each of them",
        "Mutants that survive", "Existing tests that add nothing", "Left out", "The diff",
    ]  # fmt: skip
    coverage, kept, dropped, each, redundant, left_out = found["rows"]
    assert coverage == [
        ["shop/__init__.py", "100 %", "100 %", "", "-", "-", ""],
        ["shop/prices.py", "25.0 %", "99.2 %", "", "10.0 %", "100 %", ""],
    ]
    assert [row[0] for row in kept] == ["test_discount", "test_total"]
    assert dropped == [["adds nothing", "5"], ["differs between runs", "1"]]
    assert len(each) == 3
    assert redundant == [["tests/test_old.py::test_nothing", "asserts nothing"]]
    assert left_out == [["shop.prices.fetch", "it opens a connection"]]
    assert "80.0 % from 10.0 %" in found["text"]
    assert brightness(found["background"]) > 200 > brightness(found["ink"])
    night = look(page(REPORT), tmp_path, dark=True)
    assert brightness(night["background"]) < 60 < 180 < brightness(night["ink"])


@pytest.mark.chromium
def test_it_fits_a_narrow_window(tmp_path: Path) -> None:
    long = REPORT | {"target": "a/" * 60 + "b.py", "left_out": [{"name": "n" * 300, "why": "w" * 300}]}
    assert look(page(long), tmp_path, width=380)["overflow"] == 0


@pytest.mark.chromium
def test_what_a_repository_says_stays_text(tmp_path: Path) -> None:
    hostile: dict[str, Any] = {
        "target": HOSTILE, "message": HOSTILE, "python": HOSTILE, "diff": HOSTILE,
        "coverage": [{"path": HOSTILE, "lines": 1}],
        "tests": [{"name": HOSTILE, "path": HOSTILE, "kept": kept, "reason": HOSTILE, "kind": HOSTILE, "adds": HOSTILE}
                  for kept in (True, False)],
        "suspects": [{"path": HOSTILE, "line": HOSTILE, "name": HOSTILE, "why": HOSTILE, "example": HOSTILE}],
        "mutants": {"survivors": [{"path": HOSTILE, "line": 1, "what": HOSTILE, "diff": HOSTILE}]},
        "redundant": [{"test": HOSTILE, "why": HOSTILE}], "left_out": [{"name": HOSTILE, "why": HOSTILE}],
    }  # fmt: skip
    found = look(page(hostile), tmp_path)
    assert not found["ran"]
    assert not {"script", "img"} & set(found["tags"])
    assert found["text"].count(HOSTILE) >= 15


@pytest.mark.chromium
def test_a_picture_can_be_taken(tmp_path: Path) -> None:
    written = tmp_path / "page.html"
    written.write_text(page(REPORT), encoding="utf-8")
    picture(written, tmp_path / "page.png", height=600)
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_it_loads_and_runs_nothing() -> None:
    text = page(REPORT)
    assert "<script" not in text
    assert "src=" not in text
    assert "href=" not in text
    assert "url(" not in text


def test_a_report_without_anything_is_a_page_too() -> None:
    text = page({"message": "no function can be called"})
    assert "No test was kept" in text
    assert "no function can be called" in text
    assert "<table" not in text


def test_long_lists_are_cut_and_counted() -> None:
    many = {"left_out": [{"name": f"f{number}", "why": "slow"} for number in range(MOST_ROWS + 7)]}
    text = page(many)
    assert "7 more rows not shown." in text
    assert f"f{MOST_ROWS}<" not in text
    assert "\N{REPLACEMENT CHARACTER}[31m" in page({"target": "\x1b[31m"})
