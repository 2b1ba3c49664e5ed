from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.plan_text import PlanTextError, parse_plan, plan_text
from agents.results import Plan, PlanRefused, Step

PLAN = Plan(
    (
        Step("add tax", ("tests/test_a.py::test_x[a b]",), ("all pass", "12: it is"), ("src/a.py::A.b",)),
        Step("tell about it", (), ("the README says so",)),
    ),
    "feature",
    "The total leaves tax out.",
    "some-model",
)


def test_untouched_text_is_the_same_plan() -> None:
    assert parse_plan(plan_text(PLAN), PLAN) == PLAN


def test_edits_are_taken_over() -> None:
    text = plan_text(PLAN).replace("kind: feature", "kind: fix").replace("  done when: all pass\n", "")
    text = text.replace("step: tell", "# gone\n\nStep 2: tell").replace("\n", "\r\n")
    made = parse_plan(text, PLAN)
    assert isinstance(made, Plan)
    assert (made.kind, made.origin) == ("fix", "person")
    assert made.steps[0].criteria == ("12: it is",)
    assert len(made.steps) == 2


def test_a_refusal_needs_a_reason_and_wins() -> None:
    assert parse_plan(plan_text(PLAN) + "refuse: two steps are too many\n", PLAN) == PlanRefused(
        "two steps are too many"
    )
    with pytest.raises(PlanTextError, match="needs something after it"):
        parse_plan("refuse:\n", PLAN)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("kind: fix\nstep one\n", 2, "does not begin with one of"),
        ("kind: wish\nstep: a\n", 1, "is no kind; choose one of fix"),
        ("kind: fix\nkind: fix\n", 2, "stands twice"),
        ("step: a\nkind: fix\n", 2, "before the first step"),
        ("place: a.py\n", 1, "belongs to a step"),
        ("step:\n", 1, "needs something after it"),
        ('step: "a\n', 1, "JSON string"),
        ('step: "a" b\n', 1, "JSON string"),
        ("kind: fix\n", 0, "no step left"),
        ("", 0, "no step left"),
        ("step: a\n" * 41, 41, "at most 40 steps"),
        ("step: " + "a" * 5000, 1, "longer than"),
        ("\n" * 3000, 0, "more than 2,000 lines"),
        ("step: a\ntargets: b\n", 2, "does not begin with one of"),
    ],
)
def test_errors_name_the_line(text: str, line: int, words: str) -> None:
    with pytest.raises(PlanTextError, match=words) as caught:
        parse_plan(text, PLAN)
    assert caught.value.line == line
    assert not line or str(caught.value).startswith(f"line {line}: ")


texts = st.text(max_size=40) | st.sampled_from(["\udc80", '"', "#", "a\nb", " a", "\x1b[2J", "a: b"])
nonempty = texts.filter(bool)
steps = st.builds(
    Step, nonempty, st.lists(nonempty, max_size=3).map(tuple), st.lists(nonempty, max_size=3).map(tuple),
    st.lists(nonempty, max_size=3).map(tuple),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.builds(Plan, st.lists(steps, min_size=1, max_size=4).map(tuple), st.just("fix"), texts))
def test_every_plan_survives(plan: Plan) -> None:
    assert parse_plan(plan_text(plan), plan) == plan


@settings(max_examples=200, deadline=None)
@given(st.text() | st.lists(st.sampled_from(plan_text(PLAN).splitlines()) | st.text(max_size=9)).map("\n".join))
def test_no_text_does_anything_but_parse_or_say_why(text: str) -> None:
    try:
        made = parse_plan(text, PLAN)
    except PlanTextError:
        return
    assert isinstance(made, PlanRefused) or made.steps
