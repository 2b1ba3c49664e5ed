"""The static review: what it refuses, what it flags, and what it lets be."""

from __future__ import annotations

import pytest

from workflows.gate.tamper import read, review
from workflows.gate.tamper_reader import TestNames

NAMES = TestNames(
    frozenset({"tests/test_cart.py", "tests/test_money.py"}),
    frozenset({"tests.test_cart", "test_cart", "tests.test_money", "test_money", "tests"}),
    frozenset({"shop"}),
)

REFUSED = [
    "import pytest",
    "from unittest import mock",
    "import _pytest.runner as r",
    "def f():\n    import unittest\n",
    "import importlib\nm = importlib.import_module('pytest')",
    "m = __import__('unittest')",
    "m = __import__(name)",
    "import os\ndef f():\n    os._exit(0)",
    "from os import _exit as e\ndef f():\n    e(0)",
    "import os as o\nq = o\ndef f():\n    q._exit(0)",
    "import os\ndef f():\n    getattr(os, '_exit')(0)",
    "import os\ndef f():\n    vars(os)['_exit'](0)",
    "import os\ndef f():\n    os.__dict__['_exit'](0)",
    "from os import *",
    "def f(x):\n    return x._exit",
    "import sys\ndef f():\n    return 'x' in sys.modules",
    "from sys import modules\ndef f():\n    return modules",
    "import sys\ndef f():\n    return sys.modules['a']",
    "import inspect\ndef f():\n    return inspect.stack()",
    "import sys\ndef f():\n    return sys._getframe(1)",
    "def f(e):\n    return e.__traceback__.tb_frame",
    "import atexit",
    "import gc\ndef f():\n    return gc.get_objects()",
    "import ctypes",
    "import builtins\nbuiltins.len = max",
    "import builtins\nsetattr(builtins, 'len', max)",
    "import json\njson.dumps = str",
    "import json\ndel json.dumps",
    "import json\ndef f():\n    json.a, json.b = 1, 2",
    "import json\njson.x += 1",
    "import json\njson.x: int = 1",
    "class A: pass\nA.__eq__ = lambda a, b: b is b",
    "def f(g):\n    g.__code__ = f.__code__",
    "import sys\nsys.settrace(None)",
    "def f():\n    return exec('1')",
    "def f():\n    return eval('1')",
    "import base64\nexec(base64.b64decode(''))",
    "def f():\n    return open('/proc/self/cmdline')",
    "X = 'PYTEST_CURRENT_TEST'",
    "X = 'PYTEST' + '_CURRENT'",
    "X = b'PYTEST_X'",
    "X = f'{1}PYTEST_X'",
    "X = 'pytest'",
    "X = '__eq__'",
    "import os\nX = os.environ['CI']",
    "import os\nX = os.environ.get('GITHUB_ACTIONS')",
    "import os\nX = 'CI' in os.environ",
    "import os\nX = [k for k in os.environ]",
    "import os\nfor k in os.environ.items():\n    pass",
    "import socket\ndef f():\n    return socket.gethostname()",
    "X = 'tests/test_cart.py'",
    "from tests import test_cart",
    "from tests.test_cart import x",
    "import test_cart",
    "from . import test_cart",
    "def pytest_runtest_setup(item): pass",
    "async def pytest_x(): pass",
    "pytest_plugins = ['a']",
    "open('x', 'w')",
    "def g():\n    open('x')\ng()",
    "class A:\n    open('x')",
    "def f(x=open('y')): pass",
    "import pathlib\npathlib.Path('x').write_text('y')",
    "import threading\nthreading.Thread(target=print).start()",
    "import sys\nsys.exit(0)",
    "raise SystemExit(0)",
    "class A:\n    def __eq__(self, other):\n        return True",
    "class A:\n    def __eq__(self, other):\n        return self is self",
    "class A:\n    __eq__ = lambda self, o: True",
    "class A:\n    def __contains__(self, item):\n        return True",
    "class M(type):\n    def __instancecheck__(cls, item):\n        return True",
    "class A:\n    @property\n    def __class__(self):\n        return int",
    "import os\nif os.fork(): pass",
]

FLAGGED = [
    "import sys\ndef f():\n    sys.exit(1)",
    "def f():\n    raise SystemExit(1)",
    "import subprocess\ndef f():\n    subprocess.run(['x'])",
    "def f(k):\n    import importlib\n    return importlib.import_module(k)",
    "import os\ndef f(k):\n    return os.environ[k]",
    "import gc\ndef f():\n    gc.collect()",
    "def f(x):\n    x.__class__ = int",
    "import shop.money\nshop.money.X = 1",
    "def f():\n    return object.__subclasses__()",
    "import sys\ndef f():\n    sys.path.insert(0, 'x')",
    "X = 'tests/data'",
    "def f():\n    globals()['x'] = 1",
]

FREE = [
    "import sys\ndef main():\n    sys.exit(0)",
    "import sys\nif __name__ == '__main__':\n    sys.exit(0)",
    "import sys\nme = sys.modules[__name__]",
    "import re\nX = re.compile('a')",
    "def compile(x):\n    return x\ny = compile(1)",
    "import os\nX = os.environ.get('SHOP')",
    "import os\nX = os.path.join('a', 'b')",
    "import logging\nX = logging.getLogger(__name__)",
    "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int = 1",
    "class A:\n    def __eq__(self, other):\n        return isinstance(other, A)",
    "class A:\n    def __eq__(self, other):\n        if self is other:\n            return True\n        return NotImplemented",  # noqa: E501
    "class A:\n    def __eq__(self, other):\n        return NotImplemented",
    "class A:\n    def __lt__(self, other):\n        return self.x < other.x",
    "class A:\n    def __init__(self):\n        self.x = 1\n        self.y += 1",
    "class A:\n    def __setattr__(self, k, v):\n        object.__setattr__(self, k, v)",
    '"""Run the tests with pytest and PYTEST_X."""',
    "def f():\n    \"\"\"See pytest.\"\"\"",
    "X = 'use pytest to run the tests'",
    "def f():\n    with open('x') as file:\n        return file.read()",
    "try:\n    pass\nexcept KeyboardInterrupt:\n    pass",
    "from . import money",
    "X: int",
    "from shop.testing import helper",
]  # fmt: skip


def _review(after: str, before: str = "") -> tuple[list[str], list[str]]:
    refused, flagged = review({"shop/a.py": before.encode()}, {"shop/a.py": after.encode()}, NAMES)
    return [str(t) for t in refused], [str(t) for t in flagged]


@pytest.mark.parametrize("code", REFUSED)
def test_refused(code: str) -> None:
    refused, _ = _review(code)
    assert refused
    assert refused[0].startswith("shop/a.py:")


@pytest.mark.parametrize("code", [c for c in REFUSED if "import" not in c[:12]][:12] + REFUSED[:3])
def test_what_the_base_did_is_no_news(code: str) -> None:
    assert _review(f"{code}\nX = 1\n", code) == ([], [])


@pytest.mark.parametrize("code", FLAGGED)
def test_flagged(code: str) -> None:
    refused, flagged = _review(code)
    assert not refused
    assert flagged


@pytest.mark.parametrize("code", FREE)
def test_let_be(code: str) -> None:
    assert _review(code) == ([], [])


def test_more_of_what_the_file_did_is_flagged() -> None:
    once = "import sys\ndef f():\n    return sys.modules\n"
    refused, flagged = _review(once + "def g():\n    return sys.modules\n", once)
    assert not refused
    assert len(flagged) == 1


def test_moved_code_is_no_news() -> None:
    code = b"import os\ndef f():\n    os._exit(1)\n"
    assert review({"a.py": code, "b.py": b""}, {"a.py": b"", "b.py": code}, NAMES) == ((), ())


def test_a_file_that_cannot_be_parsed_is_read_line_by_line() -> None:
    traces = read("a.py", b"def f(:\n    os._exit(0)  # sys.modules\n", NAMES)
    assert [(t.line, t.weight) for t in traces] == [(2, "refuse")]


def test_a_repository_that_is_test_machinery_may_use_itself() -> None:
    own = TestNames(frozenset(), frozenset(), frozenset({"pytest"}))
    assert review({}, {"pytest/x.py": b"import pytest\n"}, own) == ((), ())
