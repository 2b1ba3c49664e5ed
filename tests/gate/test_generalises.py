"""Special cases, rewritten tests and varied calls, without a sandbox."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.protocol import WORK
from sandbox.runners.report import Outcome, TestReport, TestResult
from workflows.gate.perturbing import branches, narrow_answers
from workflows.gate.probing import ProbeFile, judge_probe, rewrite
from workflows.gate.special import literals_of_tests, special_cases

TEST = b'''
"""Tests."""
from __future__ import annotations
import unittest
CASES = [("abc", 99)]
OTHER = "never"

def helper(x):
    return x == "helped"

def test_a():
    for text, number in CASES:
        assert helper(text) or number == 7

class ATest(unittest.TestCase):
    def test_b(self):
        self.assertEqual(len("four"), 4)
'''


def test_literals_of_the_named_tests_only() -> None:
    found = literals_of_tests(TEST, ["test_a"])
    assert {"'abc'", "99", "7", "'helped'", "('abc', 99)"} <= found
    assert not {"'never'", "'four'", "4"} & found
    assert literals_of_tests(TEST, ["test_b"]) == {"'four'", "4"}
    assert literals_of_tests(b"def f(:", ["f"]) == frozenset()


@pytest.mark.parametrize(
    ("code", "roles"),
    [
        ("def f(x):\n    if x == 99: return 1", {"decides"}),
        ("def f(x):\n    return 99", {"answers"}),
        ("def f(x):\n    return 'abc' if x else 99", {"answers"}),
        ("def f(x):\n    return x in (99, 7)", {"decides"}),
        ("def f(x):\n    return x is 99", {"decides"}),
        ("def f(x):\n    return (x, 1) == ('abc', 99)", {"decides"}),
        ("def f(x):\n    return {99: x}[x]", {"decides"}),
        ("def f(x):\n    return x.get('abc')", {"decides"}),
        ("def f(x):\n    match x:\n        case 99: return x", {"decides"}),
        ("def f(x):\n    return x + 99", set()),
        ("def f(x):\n    return x == 0 or x == ''", set()),
        ("def f(x):\n    return x < 99", set()),
        ("def f(:\n", set()),
    ],
)
def test_special_cases(code: str, roles: set[str]) -> None:
    tests = literals_of_tests(TEST, ["test_a"])
    assert {found.role for found in special_cases({}, {"a.py": code.encode()}, tests)} == roles
    assert special_cases({"a.py": code.encode()}, {"a.py": code.encode()}, tests) == ()


def test_long_literals_are_cut() -> None:
    text = repr("x" * 100)
    (found,) = special_cases({}, {"a.py": f"def f():\n    return {text}".encode()}, frozenset({text}))
    assert str(found).startswith("a.py:2: returns the literal 'xxx")
    assert "..." in str(found)


def _run(file: ProbeFile, name: str, **names: object) -> dict[str, Any]:
    """Run one rewritten test in this process and return what it reports."""
    space: dict[str, Any] = {"__name__": "probe", **names}
    exec(compile(file.data, file.path, "exec"), space)  # noqa: S102 - the module under test wrote it
    test: Callable[[], None] = space[name]
    try:
        test()
    except AssertionError as error:
        text = str(error)
        assert text.startswith(file.nonce)
        payload: dict[str, Any] = json.loads(text[len(file.nonce) :])
        return payload
    raise AssertionError("it passed")


PLACE = f"{WORK}/shop/a.py"


def _file(source: str, name: str = "test_it") -> ProbeFile:
    file = rewrite("tests/test_x.py", source.encode(), {f"tests/test_x.py::{name}": name}, WORK)
    assert file is not None
    ast.parse(file.data)
    return file


def test_a_rewritten_test_fails_at_its_end() -> None:
    told = _run(_file("def test_it():\n    assert 1 == 1\n    return\n"), "test_it")
    assert told == {"body": "", "dead": [], "seen": [], "calls": []}


def test_it_tells_how_its_own_body_failed() -> None:
    assert _run(_file("def test_it():\n    assert 1 in [2]\n"), "test_it")["body"] == "AssertionError"


@pytest.mark.parametrize(
    ("method", "check", "what"),
    [
        ("def __eq__(self, o): return o is o", "x == 3", "equal to everything"),
        ("def __eq__(self, o): return o is o", "[1, {'k': (x,)}] == 3 or True", "equal to everything"),
        ("def __ne__(self, o): return o is o", "x != 3", "true for everything in `!=`"),
        ("def __lt__(self, o): return o is o", "x < 3", "true for everything in `<`"),
        ("def __contains__(self, o): return o is o", "3 in x", "true for everything in `in`"),
        ("def __class__(self): return int\n    __class__ = property(__class__)", "x == x", "claiming another class"),
        ("def __eq__(self, o): return isinstance(o, A)", "x == x", ""),
        ("def __eq__(self, o): return o.x == 1", "x == x or True", ""),
        ("def __eq__(self, o): return NotImplemented", "x == x", ""),
    ],
)
def test_equalities_that_are_always_true_are_seen(method: str, check: str, what: str) -> None:
    space: dict[str, Any] = {"__name__": "shop"}
    exec(compile(f"class A:\n    __hash__ = None\n    {method}\n", PLACE, "exec"), space)  # noqa: S102
    told = _run(_file(f"def test_it():\n    assert {check}\n"), "test_it", x=space["A"]())
    assert [seen[0] for seen in told["seen"]] == ([what] if what else [])


def test_kinds_of_builtins_are_seen() -> None:
    space: dict[str, Any] = {"__name__": "shop"}
    code = "class A(str):\n    __hash__ = None\n    def __eq__(self, o): return isinstance(o, str)\n"
    exec(compile(code, PLACE, "exec"), space)  # noqa: S102
    told = _run(_file("def test_it():\n    assert x == 'a'\n"), "test_it", x=space["A"]("b"))
    assert told["seen"] == [["equal to everything of its kind", "shop.A", PLACE]]


def test_instance_checks_that_are_always_true_are_seen() -> None:
    space: dict[str, Any] = {"__name__": "shop"}
    code = "class M(type):\n    def __instancecheck__(cls, o): return o is o\nclass A(metaclass=M): pass\n"
    exec(compile(code, PLACE, "exec"), space)  # noqa: S102
    told = _run(_file("def test_it():\n    assert isinstance(3, (A, str))\n"), "test_it", A=space["A"])
    assert told["seen"][0][0] == "an instance of everything"


def test_calls_are_varied() -> None:
    space: dict[str, Any] = {"__name__": "shop"}
    code = "def f(n, k):\n    return n * k\ndef g(text):\n    return text[::-1]\ndef h(n):\n    raise KeyError(n)\n"
    exec(compile(code, PLACE, "exec"), space)  # noqa: S102
    lines = ["assert f(5, 3) == 15", "assert g('abc') == 'cba'", "f(0, 1)", "f(n=1, k=2)", "h(9)"]
    told = _run(
        _file("def test_it():\n    " + "\n    ".join(lines)), "test_it", **{name: space[name] for name in "fgh"}
    )
    assert [call[3] for call in told["calls"]] == ["f(5, 3)", "g('abc',)", "h(9,)"]
    assert all(len(call[2]) >= 3 * 6 for call in told["calls"])
    assert told["body"] == "KeyError"


def test_what_cannot_be_rewritten() -> None:
    assert rewrite("a.py", b"def f(:", {"a.py::f": "f"}, "/") is None
    assert rewrite("a.py", b"def f(): pass", {"a.py::g": "g"}, "/") is None
    assert rewrite("a.py", b"def f():\n    yield 1", {"a.py::f": "f"}, "/") is None


def _reported(file: ProbeFile, result: TestResult | None) -> TestReport:
    return TestReport((result,) if result else (), (), True, "exit", 1, 0.1, ())


def test_what_the_rewritten_tests_report_is_read() -> None:
    file = ProbeFile("a.py", b"", ("a.py::t",), "probe nonce")

    def judged(outcome: Outcome | None, message: str = "") -> Any:
        result = TestResult("a.py::t", outcome, message=message, exception="X") if outcome else None
        return judge_probe([file], _reported(file, result))

    payload = {"body": "KeyError", "dead": ["assert"], "seen": [["w", "k", "h"]], "calls": [["a", "b", "c", "d"]]}
    told = judged(Outcome.FAILED, "AssertionError: probe nonce " + json.dumps(payload))
    assert (told.dead, told.always, told.calls) == (("assert",), (("w", "k", "h"),), (("a", "b", "c", "d"),))
    assert told.different == ("a.py::t: KeyError",)
    assert judged(Outcome.PASSED).immune == ("a.py::t",)
    assert "not run" in judged(None).unclear[0]
    assert "skipped" in judged(Outcome.SKIPPED).unclear[0]
    assert "another way (X)" in judged(Outcome.ERROR, "other").unclear[0]
    assert judged(Outcome.FAILED, "probe nonce {trimmed").probed == 1
    assert "another way" in judged(Outcome.FAILED, "probe nonce []").unclear[0]


def test_narrow_answers() -> None:
    def call(result: str, around: list[str]) -> list[str]:
        return ["k", result * 6, "".join(a * 6 for a in around), "f(5)"]

    base = [call("a", ["b", "c", "d", "e"])]
    assert "none of 4" in narrow_answers(base, [call("x", ["b", "c", "d", "e"])])[0]
    assert "the same result" in narrow_answers(base, [call("x", ["x", "x", "x", "x"])])[0]
    assert "another result now, and all of 4" in narrow_answers(base, [call("x", ["y", "y", "y", "y"])])[0]
    assert narrow_answers(base, [call("x", ["b", "y", "d", "e"])]) == ()
    assert narrow_answers(base, [call("a", ["b", "c", "d", "e"])]) == ()
    assert narrow_answers(base, [["other", "x", "", "g()"]]) == ()
    assert narrow_answers(base, [call("x", ["b", "0", "0", "e"])]) == ()


def test_branches() -> None:
    assert branches({"a.py": b"if x: pass\ny = 1 if z else 2", "b.py": b"def f(:"}) == 2
