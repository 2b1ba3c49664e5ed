"""What goes into records comes out of them, and nothing else is ever built."""

from __future__ import annotations

import json
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.results import Candidate, Edit, Repair, RepairResult, Suspect
from sandbox.limits import Limits
from sandbox.protocol import Environment
from sandbox.runners.report import Frame, Harness, Outcome, TestReport, TestResult
from workflows import records
from workflows.errors import RecordError
from workflows.records import decode, encode
from workflows.state import Plan, Request, RunState, Step
from workflows.verdicts import Allowances, Baseline, Check, GateCase, GateReport

RESULT = TestResult("tests/t.py::test[\udcff]", Outcome.FAILED, 0.5, "E", "müde", (Frame("a.py", 1, "f"),))
REPORT = TestReport((RESULT,), (), True, "exit", 1, 0.5, ("pytest",), coverage={"t": {"a.py": (1, 2)}})
CANDIDATE = Candidate((Edit("a.py", 0, 1, "x"),), "template:t", "d")


@pytest.mark.parametrize(
    "value",
    [
        REPORT,
        Baseline((REPORT, REPORT), ("flaky",), ()),
        Repair(CANDIDATE, 1.5, notes=("why",)),
        RepairResult(
            (Repair(CANDIDATE, float("-inf")),), 1, 1, 0.1, None, "exhausted", (Suspect("a.py", 1, "f", 1.0),)
        ),
        GateReport(b"\xff\0patch", (Check("applies", True, "yes"),), (REPORT,)),
        Request("/x", ("t",), allowances=Allowances(tests=True)),
        Plan((Step("g", ("t",), ("c",)),)),
        Environment("d", "local", "r", {"python": "3.11"}),
        (Harness("pytest"), Limits(), frozenset({"b", "a"}), {"a", 1}, [None, True, 1.5, "\udc80"]),
        {"$bytes": "not a tag", "plain": (1,)},
        {1: "a", ("t",): b""},
    ],
)
def test_values_come_back_equal_and_of_the_same_types(value: object) -> None:
    back = decode(encode(value))
    assert back == value
    assert type(back) is type(value)


leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=20,
)


@settings(deadline=None)
@given(values)
def test_any_plain_value_comes_back(value: object) -> None:
    assert decode(encode(value)) == value


def test_every_listed_type_is_there_and_every_state_type_is_listed() -> None:
    kinds, names = records._types()
    assert len(kinds) == len(names)
    for hint in RunState.__annotations__.values():
        assert "Any" not in str(hint)
    assert GateCase in kinds


def test_what_is_not_listed_is_neither_written_nor_built() -> None:
    class Stranger:
        pass

    with pytest.raises(TypeError, match="not listed"):
        encode(Stranger())
    for tag in ("$type", "$enum"):
        data = zlib.compress(json.dumps({tag: "pathlib.Path", "value": "/"}).encode())
        with pytest.raises(RecordError, match="does not read"):
            decode(data)


@pytest.mark.parametrize("data", [b"", b"junk", zlib.compress(b"{"), encode(REPORT)[:-4]])
def test_damage_is_said(data: bytes) -> None:
    with pytest.raises(RecordError, match="cannot be read"):
        decode(data)


def test_a_type_with_other_fields_is_said() -> None:
    data = zlib.compress(json.dumps({"$type": "sandbox.limits.Limits", "nonsense": 1}).encode())
    with pytest.raises(RecordError, match="another version"):
        decode(data)


def test_errors_are_kept_as_text() -> None:
    assert decode(encode(ValueError("x"))) == "ValueError('x')"
