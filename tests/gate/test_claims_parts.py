"""The parts that need no run: what added test files may hold, what is emptied, and what counts as an interface."""

from __future__ import annotations

import pytest

from sandbox.syntax import parse
from sandbox.tree import Entry
from tests.gate.cases import small
from workflows.gate.added_reader import read_added
from workflows.gate.hollow import WAYS, changed_functions, hollow_tree
from workflows.gate.interface import interface_changes
from workflows.gate.preserving import changed_code, different_answers, only_words
from workflows.gate.tamper_reader import TestNames

NAMES = TestNames(frozenset({"tests/test_old.py"}), frozenset({"tests.test_old", "test_old"}), frozenset({"shop"}))
PATH = "tests/test_new.py"


def _read(text: str) -> tuple[list[str], list[str]]:
    refused, flagged = read_added(PATH, text.encode(), NAMES, ["shop/cart.py"])
    return [str(t) for t in refused], [str(t) for t in flagged]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import pytest\n@pytest.mark.skipif(True, reason='x')\ndef test_a(): pass\n", "skips a test"),
        ("import unittest\nclass A(unittest.TestCase):\n    def test_a(self):\n        self.skipTest('x')\n", "steers"),
        ("import unittest\n@unittest.expectedFailure\ndef test_a(): pass\n", "expects it to fail"),
        ("from pytest import importorskip\nx = importorskip('x')\n", "skips a test"),
        ("import pytest\n@pytest.mark.parametrize('a', [pytest.param(1, marks=pytest.mark.xfail)])\ndef test_a(a): 0\n",
         "expects it to fail"),
        ("import sys\ndef test_a():\n    sys.exit(0)\n", "ends the process"),
        ("import os\ndef test_a():\n    os._exit(0)\n", "ends the process"),
        ("import pytest\ndef test_a():\n    pytest.exit('x')\n", "steers how tests are run"),
        ("def pytest_runtest_makereport(item, call): pass\n", "defines a hook"),
        ("pytest_plugins = ['x']\n", "speaks to the test machinery"),
        ("collect_ignore_glob = ['*']\n", "speaks to the test machinery"),
        ("def test_a(request):\n    request.config.option.keyword = 'x'\n", "steers"),
        ("def test_a(pytestconfig):\n    pass\n", "steers"),
        ("def test_a(request):\n    request.node.add_marker('xfail')\n", "steers"),
        ("import _pytest.runner\n", "test machinery"),
        ("import pytest\ndef test_a(monkeypatch):\n    monkeypatch.setattr(pytest, 'raises', print)\n", "machinery"),
        ("from unittest import mock\nimport unittest\ndef test_a():\n    mock.patch.object(unittest.TestCase, 'run')\n",
         "changes the test machinery"),
        ("import pytest\n@pytest.fixture(autouse=True, scope='session')\ndef f(): pass\n", "whole run"),
        ("import shop.cart\ndef test_a():\n    shop.cart.discount = None\n", "for everyone"),
        ("import shop.cart\nsetattr(shop.cart, 'discount', None)\n", "for everyone"),
        ("from tests.test_old import test_x\n", "imports from the tests"),
        ("import shop.cart\ndef test_a():\n    open(shop.cart.__file__)\n", "where source code lies"),
        ("def test_a():\n    open('shop/cart.py')\n", "names a file that the patch changes"),
        ("import os\ndef test_a():\n    assert os.environ['PYTHONHASHSEED']\n", "asks where it runs"),
        ("import gc, os\nos.remove('x')\n", "while it is imported"),
        ("def test_a(:\n", "cannot be parsed"),
    ],
)  # fmt: skip
def test_what_an_added_test_file_may_not_do(text: str, reason: str) -> None:
    refused, _ = _read(text)
    assert any(reason in sentence for sentence in refused), refused


@pytest.mark.parametrize(
    "text",
    [
        (
            "import pytest\nfrom shop.cart import bill\n\n\n@pytest.mark.parametrize('n', [1])\ndef test_a(n):\n"
            "    with pytest.raises(ValueError):\n        bill(n)\n    assert bill(2) == pytest.approx(2.0)\n"
        ),
        (
            "import unittest\n\n\nclass A(unittest.TestCase):\n    def test_a(self):\n        self.assertTrue(1)\n\n"
            "if __name__ == '__main__':\n    unittest.main()\n"
        ),
        (
            "import sys\nimport pytest\n\n\ndef test_a():\n    with pytest.raises(SystemExit):\n        f()\n\n\n"
            "if __name__ == '__main__':\n    sys.exit(pytest.main([__file__]))\n"
        ),
        (
            "from unittest import mock\nimport shop.cart\n\n\ndef test_a(monkeypatch):\n"
            "    monkeypatch.setattr(shop.cart, 'CURRENCY', 'CHF')\n    monkeypatch.setenv('X', '1')\n"
            "    with mock.patch('shop.cart.bill') as bill:\n        bill.return_value = 3\n"
        ),
        (
            "import json\nfrom pathlib import Path\nimport pytest\n\npytestmark = pytest.mark.usefixtures('x')\n"
            "DATA = json.loads((Path(__file__).parent / 'data.json').read_text())\n\n\n@pytest.fixture(autouse=True)\n"
            "def calm():\n    yield\n\n\ndef test_a():\n    assert DATA\n"
        ),
        (
            "import subprocess, sys, threading, pickle\n\n\ndef test_a(capsys):\n"
            "    subprocess.run([sys.executable, '-c', '1'])\n    assert pickle.loads(pickle.dumps(1)) == 1\n"
        ),
    ],
)
def test_what_ordinary_tests_do_is_neither_refused_nor_flagged(text: str) -> None:
    assert _read(text) == ([], [])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import time\ndef test_a():\n    assert time.time() > 3\n", "clock"),
        ("import subprocess\ndef test_a():\n    subprocess.run(['git', 'log'])\n", "asks Git"),
        ("def test_a():\n    assert eval('1')\n", "runs code from a string"),
    ],
)
def test_what_a_person_should_look_at(text: str, reason: str) -> None:
    refused, flagged = _read(text)
    assert refused == []
    assert any(reason in sentence for sentence in flagged), flagged


def test_only_functions_that_a_patch_touches_are_emptied() -> None:
    before = "def a():\n    return 1\n\n\nclass C:\n    def m(self):\n        return 2\n"
    after = before.replace("return 2", "return 3") + "\n\nif True:\n    async def new():\n        return a()\n"
    assert changed_functions(before.encode(), after.encode()) == (("C.m", 6, 7), ("new", 11, 12))
    base, patched = small({"x.py": before, "y.txt": "y"}), small({"x.py": after, "y.txt": "y"})
    for way in WAYS:
        tree = hollow_tree(base, patched, ("x.py", "y.txt"), way)
        assert tree is not None
        text = tree["x.py"].data.decode()
        assert "return 1" in text
        assert "return 3" not in text
        assert text.count(way) == 2
        assert parse(tree["x.py"].data)
    moved = base.replaced({"x.py": Entry(b"# a comment\n" + before.encode())})
    assert hollow_tree(base, moved, ("x.py",), WAYS[0]) is None
    assert hollow_tree(base, base.replaced({"x.py": None}), ("x.py",), WAYS[0]) is None


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("def f(a): 0", "def f(a, b=1): 0", []),
        ("def f(a): 0", "def f(a, b): 0", ["m.f` needs a parameter"]),
        ("def f(a, b): 0", "def f(b, a): 0", ["m.f` takes (b, a) instead of (a, b)"]),
        ("def f(a, b=1): 0", "def f(a, b): 0", ["m.f` needs a parameter"]),
        ("def f(a, b=1): 0", "def f(a, b=2): 0", ["m.f` has another default for b"]),
        ("def f(*, a): 0", "def f(*, b): 0", ["m.f` does not take a any more"]),
        ("def f(*, a): 0", "def f(*, a, b): 0", ["m.f` needs a keyword"]),
        ("def f(*a): 0", "def f(): 0", ["m.f` does not take any number"]),
        ("def f(): 0\ndef _g(): 0", "def h(): 0", ["m.f` is gone"]),
        ("def f(): 0", "from other import f", []),
        ("def f(): 0", "from other import *", []),
        ("import os\nX = 1", "X = 1", []),
        ("X = 1", "Y = 1", ["m.X` is gone"]),
        ("class C:\n    def m(self): 0\n    def _n(self): 0", "class C:\n    pass", ["m.C.m` is gone"]),
        ("class C:\n    def m(self): 0", "", ["m.C` is gone"]),
        ("class C:\n    def m(self): 0", "from other import C", []),
        ("__all__ = ['_f']\ndef _f(): 0", "__all__ = []", ["m._f` is gone"]),
        ("def f(): 0", "def (", ["cannot be parsed"]),
    ],
)
def test_interfaces(before: str, after: str, found: list[str]) -> None:
    told = [sentence for _, sentence in interface_changes("m.py", before.encode(), after.encode())]
    assert len(told) == len(found), told
    assert all(part in sentence for part, sentence in zip(found, told, strict=True)), told


def test_changed_code_leaves_words_out() -> None:
    before = b'def f(a):\n    """Old."""\n    b = a\n    return b\n'
    assert changed_code(before, before.replace(b"Old", b"New")) == frozenset()
    assert only_words(before, before.replace(b"Old", b"New"))
    assert changed_code(before, before.replace(b"b = a", b"b = a + 1")) == {3}
    assert not only_words(before, before.replace(b"b = a", b"b = a + 1"))
    assert changed_code(before, before.replace(b"    b = a\n", b"")) == {3}
    assert not only_words(None, before)


def test_answers_near_the_tests_inputs() -> None:
    base = [("k1", "aaaaaa", "bbbbbbcccccc", "f(1)"), ("k2", "aaaaaa", "bbbbbb", "g(1)")]
    assert different_answers(base, base) == ()
    other = [("k1", "aaaaaa", "bbbbbbdddddd", "f(1)"), ("k2", "aaaaaa", "000000", "g(1)"), ("k3", "x", "y", "h(1)")]
    assert different_answers(base, other) == ("f(1), or an input near it, gives something else than before",)
