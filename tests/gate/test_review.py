"""The stranger's reading, and the choice among what was verified."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest

from agents.results import Candidate, Edit, Repair
from tests.gate.candidates import Change, body
from tests.gate.cases import SOUND, case, passing
from tests.gate.shop import TEST_CART
from workflows.steps.review import read_as_stranger
from workflows.steps.select import Contender, changed_lines, select
from workflows.verdicts import Allowances, Check, GateReport

RIGHT = "return total - total * percent // 100"


def _remarks(changes: Mapping[str, Change], report: GateReport | None = None) -> list[tuple[str, bool, str]]:
    of = case(changes, Allowances(tests=True))
    return [(r.kind, r.blocking, str(r)) for r in read_as_stranger(of, report or passing(of))]


def test_nothing_to_say() -> None:
    assert _remarks(SOUND) == []


@pytest.mark.parametrize(
    ("changes", "kind", "blocking", "text"),
    [
        ({"shop/cart.py": body(f"print(total)\n{RIGHT}")}, "debugging", False, "shop/cart.py:20: It prints"),
        ({"shop/cart.py": body(f"breakpoint()\n{RIGHT}")}, "debugging", True, "debugger"),
        ({"shop/cart.py": body(f"import pdb\npdb.set_trace()\n{RIGHT}")}, "debugging", True, "pdb"),
        ({"shop/cart.py": body(f"from icecream import ic\nic(1)\n{RIGHT}")}, "debugging", True, "icecream"),
        ({"shop/cart.py": body(f"# FIXME later\n{RIGHT}")}, "leftover", False, "unfinished"),
        ({"shop/new.py": "<<<<<<< ours\nx = 1\n"}, "leftover", True, "conflict"),
        ({"shop/cart.py": body(f"eval('1')\n{RIGHT}")}, "security", False, "S307"),
        ({"shop/cart.py": body(f"k = 'AKIAABCDEFGHIJKLMNOP'\n{RIGHT}")}, "secret", True, "AWS"),
        ({"tests/test_cart.py": TEST_CART.replace("    assert discount(1000, 0) == 1000\n", "    pass\n")},
         "test-weakened", True, "asserts less"),
        ({"tests/test_cart.py": TEST_CART.replace("assert discount(1000, 0) == 1000", "assert discount(1000, 0)")},
         "test-weakened", True, "asserts less"),
        ({"tests/test_cart.py": TEST_CART.replace("def test_no_discount", "def check")},
         "test-weakened", True, "removes"),
        ({"tests/test_cart.py": TEST_CART.replace("def test_line", "@pytest.mark.skip\ndef test_line")},
         "test-weakened", True, "skipped"),
        ({"shop/cart.py": body(f"# TODO: rounding\n{RIGHT}")}, "leftover", False, "unfinished work"),
        ({"shop/cart.py": body(f"import code\ncode.interact()\n{RIGHT}")}, "debugging", True, "debugger"),
        ({"shop/later.py": "def send(bill):\n    raise NotImplementedError\n"}, "leftover", False, "left unfinished"),
        ({"repro_issue.py": "import shop\n"}, "leftover", False, "work on the diff"),
        ({"shop/cart.py.orig": "x\n"}, "leftover", False, "work on the diff"),
        ({"web/app.js": "function f() {\n  debugger;\n}\n"}, "debugging", True, "debugger"),
        ({"web/app.js": "console.log(1);\n"}, "debugging", False, "console"),
        ({"deploy.env": "API_TOKEN=abcdef0123456789abcdef0123456789\n"}, "secret", True, "Looks like a secret"),
        ({"shop/pay.py": f"KEY = 'sk_li{'ve'}_0123456789abcdefABCDEF'\n"}, "secret", True, "Stripe"),
        ({f"shop/m{n}.py": "x = 1\n" for n in range(7)}, "size", False, "8 files"),
        ({"shop/table.py": "".join(f"x{n} = {n}\n" for n in range(300))}, "size", False, "302 lines"),
    ],
)  # fmt: skip
def test_remarks(changes: dict[str, Change], kind: str, blocking: bool, text: str) -> None:
    remarks = _remarks({**SOUND, **changes})
    assert any(k == kind and b == blocking and text in t for k, b, t in remarks), remarks
    assert [b for _, b, _ in remarks] == sorted((b for _, b, _ in remarks), reverse=True)


def test_what_the_gate_flagged_is_said_again() -> None:
    of = case()
    report = passing(of)
    report = dataclasses.replace(report, checks=(*report.checks[:-1], Check("generalises", True, "Look.", (), True)))
    assert [(r.kind, str(r)) for r in read_as_stranger(of, report)] == [("flag", "Look.")]


def test_prints_where_prints_are_at_home() -> None:
    cli = case().base["shop/cli.py"].data.decode()
    assert _remarks({**SOUND, "shop/cli.py": cli.replace("    print(bill", "    print()\n    print(bill")}) == []


def test_abstract_methods_are_finished() -> None:
    text = "import abc\n\n\nclass A(abc.ABC):\n    @abc.abstractmethod\n    def f(self):\n"
    text += "        raise NotImplementedError\n"
    assert _remarks({**SOUND, "shop/kinds.py": text}) == []


def _contender(
    name: str, *, score: float = 0.0, votes: int = 1, flagged: bool = False, patch: bytes = b""
) -> Contender:
    report = dataclasses.replace(passing(case()), patch=patch or b"--- a\n+++ b\n-x\n+y\n")
    if flagged:
        report = dataclasses.replace(report, checks=(Check("tamper", True, "Look.", (), True),))
    candidate = Candidate((Edit("a.py", 0, 1, name),), "template:x", name)
    return Contender(Repair(candidate, score, votes), report)


def test_select_by_flags_then_rank_then_votes_then_size() -> None:
    flagged = _contender("flagged", score=9.0, flagged=True)
    low, high = _contender("low", score=1.0), _contender("high", score=2.0)
    votes = _contender("votes", score=2.0, votes=4)
    large = _contender("large", score=2.0, votes=4, patch=b"-x\n+y\n+z\n")
    everything = [flagged, low, large, high, votes]
    chosen = select(everything)
    assert chosen.chosen is votes
    names = {c.repair.candidate.id: c.repair.candidate.description for c in everything}
    assert [names[i] for i in chosen.order] == ["votes", "large", "high", "low", "flagged"]
    assert chosen == select(everything[::-1])
    assert "4 candidates behave alike" in chosen.reasons


def test_select_needs_something_verified() -> None:
    with pytest.raises(ValueError, match="no verified candidate"):
        select([])
    failed = dataclasses.replace(passing(case()), checks=(Check("applies", False, "No."),))
    with pytest.raises(ValueError, match="did not pass"):
        select([Contender(_contender("x").repair, failed)])
    assert "the only verified candidate" in select([_contender("x")]).reasons


def test_changed_lines() -> None:
    assert changed_lines(b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n c\n") == 2
