"""Which parts of a verified patch are offered apart: what the gate says of each, in real runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from agents.results import Failure
from sandbox.limits import Limits
from sandbox.local import LocalSandbox
from sandbox.protocol import EnvironmentDefinition
from sandbox.runners.detect import detect_harness
from sandbox.runners.run import run_tests
from sandbox.tree import Entry, Tree
from sandbox.workspace import diff
from workflows.steps.verify import VerifiedPatch, judge
from workflows.suggestions.pieces import pieces_of
from workflows.suggestions.proving import Proved, proved
from workflows.verdicts import Baseline, GateCase

TESTS = """\
from shop import area, cost, label


def test_area():
    assert area(2, 3) == 6
    assert area(4, 5) == 20


def test_cost():
    assert cost(10, 2) == 8
    assert cost(7, 3) == 4


def test_label():
    assert label("a") == "A"
"""
BROKEN = """\
def area(width, height):
    return width + height


def label(text):
    return text.upper()


def cost(price, discount):
    less = price + discount


    return price
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[LocalSandbox]:
    found = LocalSandbox()
    yield found
    found.close()


def silent(_line: str) -> None:
    pass


def split(sandbox: LocalSandbox, repair: Mapping[str, str]) -> Proved:
    text = BROKEN
    for old, new in repair.items():
        assert old in text
        text = text.replace(old, new)
    base = Tree({"shop.py": Entry(BROKEN.encode()), "test_shop.py": Entry(TESTS.encode())})
    after = base.replaced({"shop.py": Entry(text.encode())})
    environment, harness = sandbox.prepare(EnvironmentDefinition(), silent), detect_harness(base)
    reports = []
    for seed in (1, 2):
        with sandbox.open(base, environment, Limits()) as workspace:
            reports.append(run_tests(workspace, harness, seed=seed))
    targets = tuple(Failure(r.node_id, r.exception, r.message, r.frames) for r in reports[0].failed())
    case = GateCase(base, diff(base, after), Baseline(tuple(reports), (), targets), harness, environment, Limits())
    report = judge(case, sandbox, silent)
    assert report.passed, [check.reason for check in report.checks if not check.passed]
    pieces = pieces_of(base, after)
    assert pieces is not None
    return proved(case, VerifiedPatch.from_report(report, case), pieces, sandbox, silent)


def test_two_bugs_are_two_suggestions_and_parts_that_need_each_other_are_one(sandbox: LocalSandbox) -> None:
    found = split(
        sandbox,
        {"width + height": "width * height", "less = price + discount": "less = price - discount",
         "return price\n": "return less\n"},
    )  # fmt: skip
    told = [(tuple(piece.new.strip() for piece in group.pieces), group.targets) for group in found.groups]
    assert told == [
        (("return width * height",), ("test_shop.py::test_area",)),
        (("less = price - discount", "return less"), ("test_shop.py::test_cost",)),
    ]
    assert all(isinstance(group.verified, VerifiedPatch) for group in found.groups)
    assert b"width * height" in found.together.patch
    assert b"return less" in found.together.patch


def test_a_piece_that_nothing_needs_is_left_out(sandbox: LocalSandbox) -> None:
    found = split(
        sandbox,
        {"width + height": "width * height", "text.upper()": "str(text).upper()",
         "return price\n": "return price - discount\n"},
    )  # fmt: skip
    assert [len(group.pieces) for group in found.groups] == [1, 1]
    assert b"str(text)" not in found.together.patch
