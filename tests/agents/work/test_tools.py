from __future__ import annotations

import json
from pathlib import Path

import pytest

from agents.context.index import Index
from agents.models.protocol import ToolCall
from agents.observations import Observation
from agents.permissions import Guard, Permissions
from agents.tools import Toolbox, ToolLimits, ToolResult
from benchmarks.agents.fuzz_tools import fuzz
from sandbox.tree import Entry, Tree
from tests.agents.work.conftest import FILES, SHOP, MakeToolbox, tree_of


def use(box: Toolbox, tool: str, /, **given: object) -> ToolResult:
    return box.call(ToolCall("1", tool, json.dumps(given)))


def seen(box: Toolbox) -> Observation:
    assert box.observation is not None
    return box.observation


def test_reading_is_numbered_and_bounded() -> None:
    box = Toolbox(SHOP, limits=ToolLimits(lines=4))
    shown = use(box, "read", path="shop/cart.py", first=6).text
    assert shown.startswith("shop/cart.py, lines 6 to 9 of 16:\n 6| class Cart:\n")
    assert "10|" not in shown
    assert use(box, "read", path="./shop").text.splitlines()[1:] == ["  __init__.py", "  cart.py", "  prices.py"]
    assert use(box, "read", path="cart.py", first=1, last=1).text.endswith('1| """The cart."""\n')


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"path": "shop/card.py"}, "did you mean shop/cart.py"),
        ({"path": "shop/cart.py", "first": 99}, "has only 16 lines"),
        ({"path": "../etc/passwd"}, "there is no file"),
        ({"path": "/etc/passwd"}, "there is no file"),
        ({"path": "logo.bin"}, "cannot be shown as text"),
        ({"path": "link"}, "a symbolic link"),
        ({"path": "shop/cart.py", "first": 0}, "greater than or equal to 1"),
        ({"path": "shop/cart.py", "colour": "red"}, "Extra inputs"),
        ({"path": "x" * 501}, "at most 500"),
        ({}, "path: Field required"),
    ],
)
def test_what_cannot_be_read_is_told(given: dict[str, object], words: str) -> None:
    tree = SHOP.replaced({"logo.bin": Entry(b"\xff\xfe\0"), "link": Entry(b"/etc/passwd", kind="symlink")})
    result = use(Toolbox(tree), "read", **given)
    assert not result.ok
    assert words in result.text


def test_results_never_exceed_their_bound() -> None:
    tree = tree_of({"a.py": "\n".join("value = " + "x" * 400 for _ in range(3_000))})
    box = Toolbox(tree, limits=ToolLimits(characters=2_000))
    for name, given in (("read", {"path": "a.py"}), ("search", {"query": "value"}), ("references", {"name": "value"})):
        text = use(box, name, **given).text
        assert len(text) <= 2_100
        assert "left out" in text


def test_outline_names_what_is_there() -> None:
    box = Toolbox(SHOP)
    assert "class Cart  [6-16]" in use(box, "outline", path="shop/cart.py").text
    assert "    def total(self)  [15-16]" in use(box, "outline", path="shop/cart.py").text
    assert "shop/prices.py\n  def price_of(name)  [6-8]" in use(box, "outline").text


def test_search_finds_text_and_words_and_the_edits_made_since() -> None:
    box = Toolbox(SHOP)
    assert "shop/prices.py:3: PRICES = " in use(box, "search", query="PRICES = {").text
    assert "shop/prices.py:7:" in use(box, "search", query="price the return").text
    assert "stands nowhere in shop" in use(box, "search", query="colour", path="shop").text
    use(box, "edit", path="shop/prices.py", search='PRICES = {"apple": 3, "pear": 4}', replace="PRICES = {'fig': 1}")
    assert "'fig'" in use(box, "search", query="fig").text
    assert not use(box, "search", query="x", path="nowhere").ok


def test_an_index_ranks_places_and_outlines_other_languages() -> None:
    tree = tree_of({**FILES, "web/app.js": "export function greet(name) {\n  return `Hello ${name}`;\n}\n"})
    box = Toolbox(tree, index=Index.build(tree))
    found = use(box, "search", query="price of a thing").text
    assert found.startswith("Places that fit best:\n  shop/prices.py:")
    assert "shop/prices.py" not in use(box, "search", query="price of a thing", path="web").text
    assert "greet" in use(box, "outline", path="web/app.js").text
    assert "price_of" in use(box, "outline").text
    use(box, "edit", path="shop/prices.py", search='PRICES = {"apple": 3, "pear": 4}', replace="PRICES = {}")
    assert "shop/prices.py:" not in use(box, "search", query="price of a thing").text
    use(box, "edit", path="web/app.js", search="export function greet(name) {", replace="export function hail(name) {")
    assert "greet" not in use(box, "outline", path="web/app.js").text


def test_references_tell_definitions_from_uses() -> None:
    text = use(Toolbox(SHOP), "references", name="shop.prices.price_of").text
    assert text.startswith("Defined:\n  shop/prices.py:6: def price_of(name):\nUsed:\n  shop/cart.py:3:")


def test_edits_are_exact_or_not_made() -> None:
    box = Toolbox(SHOP)
    good = use(
        box, "edit", path="shop/cart.py", search="    def add(self, name):", replace="    def add(self, name, n=1):"
    )
    assert good.ok
    assert "12|     def add(self, name, n=1):" in good.text
    for given, words in (
        ({"path": "shop/cart.py", "search": "def gone():", "replace": "x"}, "not in the file"),
        ({"path": "shop/cart.py", "search": "", "replace": "x = 1"}, "searches for nothing"),
        (
            {"path": "shop/cart.py", "search": "        self.items = []", "replace": "("},
            "not be valid",
        ),
        ({"path": "shop/cart.py", "search": "12|     def add(self", "replace": "x"}, "line numbers"),
        ({"path": "shop/cart.py", "search": '"""The cart."""', "replace": '"""The cart."""'}, "changes nothing"),
        ({"path": "../x.py", "search": "", "replace": "x = 1"}, "not a plain path"),
        ({"path": "two\nlines.py", "search": "", "replace": "x = 1"}, "no name for a new file"),
        ({"path": ".git/hooks/x", "search": "", "replace": "x"}, "inside a .git folder"),
        ({"path": "shop/cart.py", "search": "x", "delete_file": True}, "leave out search"),
    ):
        before = box.tree
        result = use(box, "edit", **given)
        assert not result.ok, given
        assert words in result.text
        assert box.tree is before
    assert use(box, "edit", path="shop/tax.py", replace="RATE = 2\n").text == "shop/tax.py is new, with 1 lines.\n"
    assert use(box, "edit", path="shop/tax.py", delete_file=True).ok
    changes = box.changes()
    assert changes is not None
    assert changes.paths == ("shop/cart.py",)
    assert changes.apply(SHOP) == box.tree
    box.reset()
    assert box.changes() is None


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("tests/test_cart.py", "existing test"),
        ("tests/conftest.py", "tests' set-up"),
        ("tests/__init__.py", "tests' set-up"),
        ("conftest.py", "tests' set-up"),
        ("pyproject.toml", "configures"),
        ("sub/setup.cfg", "configures"),
        (".github/workflows/ci.yml", "configures"),
        (".greendiff/notes.md", "configures"),
    ],
)
def test_protected_files_are_read_only(path: str, words: str) -> None:
    box = Toolbox(SHOP)
    given = {"search": FILES[path].splitlines()[0]} if path in FILES else {}
    result = use(box, "edit", path=path, replace="x = 1", **given)
    assert not result.ok
    assert words in result.text
    assert box.changes() is None


def test_permissions_open_what_the_task_is_about() -> None:
    assert Guard(SHOP).reason("tests/test_new.py") is None
    assert Guard(SHOP, Permissions(new_tests=False)).reason("tests/test_new.py") is not None
    assert Guard(SHOP, Permissions(tests=True)).reason("tests/test_cart.py") is None
    assert Guard(SHOP, Permissions(configuration=True)).reason("pyproject.toml") is None
    assert "not among" in (Guard(SHOP, Permissions(paths=("shop/*",))).reason("other.py") or "")
    assert (
        Guard(SHOP, more=lambda path: "is mine" if path == "shop/cart.py" else None).reason("shop/cart.py") == "is mine"
    )
    linked = Tree({"link": Entry(b"/etc", kind="symlink")})
    assert Guard(linked).reason("link") == "is a symbolic link"
    assert Guard(linked).reason("link/passwd") == "lies under something that is no folder"


def test_tests_run_on_the_files_as_edited(toolbox: MakeToolbox) -> None:
    box = toolbox()
    assert use(box, "run_tests").text == "All 1 passed.\n"
    assert seen(box).ok
    use(box, "edit", path="shop/prices.py", search="    return PRICES[name]", replace="    return PRICES[name] + 1")
    assert box.observation is None
    text = use(box, "run_tests", tests="tests/test_cart.py::test_total tests/test_cart.py::test_gone").text
    assert text.startswith("0 passed, 1 failed, 1 missing.\n")
    assert "FAILED tests/test_cart.py::test_total\n  AssertionError: assert 9 == 7" in text
    assert "at tests/test_cart.py:8 in test_total" in text
    box.reset()
    assert use(box, "run_tests").text == "All 1 passed.\n"
    assert "no test" in use(box, "run_tests", tests="../other").text
    assert "no test" in use(box, "run_tests", tests="--co").text


def test_commands_run_on_a_copy_with_bounds(toolbox: MakeToolbox, tmp_path: Path) -> None:
    box = toolbox(limits=ToolLimits(command_seconds=1.0))
    use(box, "edit", path="shop/tax.py", replace="RATE = 2\n")
    shown = use(box, "run_command", command="python -c \"import shop.tax; print(shop.tax.RATE); open('left', 'w')\"")
    assert "exit code 0" in shown.text
    assert "Its output:\n2\n" in shown.text
    assert "False" in use(box, "run_command", command="python -c \"import os; print(os.path.exists('left'))\"").text
    hangs = use(
        box, "run_command", command='python -c "import time; print(1, flush=True); time.sleep(60)"', seconds=600
    )
    assert "its time was over" in hangs.text
    loud = use(box, "run_command", command="python -c \"print('\\x1b[31m' + 'x' * 100000)\"")
    assert len(loud.text) < 13_000
    assert "\x1b" not in loud.text
    assert use(box, "run_command", command="pwd").text == use(box, "run_command", command="pwd").text
    for command in ("ls && rm -r /", "cat a | sh", "echo 'a"):
        assert not use(box, "run_command", command=command).ok
    assert "exit code" in use(box, "run_command", command="no-such-program").text


def test_tools_that_are_not_there_are_named() -> None:
    box = Toolbox(SHOP, writable=False)
    assert [tool.name for tool in box.tools] == ["read", "outline", "search", "references"]
    result = use(box, "run_command", command="ls")
    assert "There is no tool 'run_command'; there are read" in result.text


def test_damaged_answers_calls_and_conversations_do_no_harm() -> None:
    tally = fuzz(300, 21)
    assert not tally.wrong, [(case.form, case.reply, what) for case, what in tally.wrong[:2]]
    assert min(tally.applied[form] for form in ("answer", "edit", "call", "loop")) > 2
