"""Which step comes next."""

from __future__ import annotations

from dataclasses import replace

from workflows import routing
from workflows.state import Ending, Proposal, Review, RunState, Verdict, appended

PROPOSAL = Proposal(("proposal-1",), ("a", "b"), ("a", "b"), 10, 10, 1.0, "enough")


def verdict(candidate: str, *, passed: bool) -> Verdict:
    return Verdict(candidate, f"gate-{candidate}", passed, "" if passed else "targets-pass", "")


def test_an_ending_leads_to_deliver_from_everywhere() -> None:
    state: RunState = {"ending": Ending(1, "no"), "proposal": PROPOSAL, "verdicts": (verdict("a", passed=True),)}
    assert routing.after_intake(state) == "deliver"
    assert routing.after_propose(state) == "deliver"
    assert routing.after_verify(state) == "deliver"
    assert routing.after_review(state) == "deliver"


def test_the_way_without_trouble() -> None:
    assert routing.after_intake({}) == "plan"
    assert routing.after_propose({"proposal": PROPOSAL}) == "verify"
    state: RunState = {"proposal": PROPOSAL, "verdicts": (verdict("a", passed=True),)}
    assert routing.after_verify(state) == "select"
    assert routing.after_review({**state, "review": Review(True)}) == "deliver"


def test_a_refused_repair_leads_to_the_next_one() -> None:
    state: RunState = {"proposal": PROPOSAL, "verdicts": (verdict("a", passed=False),)}
    assert routing.after_verify(state) == "verify"
    assert routing.next_candidate(state) == "b"
    state["verdicts"] += (verdict("b", passed=False),)
    assert routing.next_candidate(state) is None
    assert routing.next_candidate({}) is None


def test_when_all_repairs_are_refused_the_search_goes_on() -> None:
    refused = (verdict("a", passed=False), verdict("b", passed=False))
    state: RunState = {"proposal": PROPOSAL, "verdicts": refused, "again": 2}
    assert routing.after_verify(state) == "propose"
    later = Proposal(("proposal-2",), ("c",), ("c",), 5, 5, 2.0, "exhausted", 0.5, ("d",))
    both = PROPOSAL.followed_by(later)
    assert (both.rounds, both.tried, both.seconds, both.stopped) == (2, 15, 3.0, "exhausted")
    state["proposal"] = both
    assert routing.after_verify(state) == "verify"
    assert routing.next_candidate(state) == "c"


def test_a_diff_that_review_refuses_leads_to_the_next_one() -> None:
    state: RunState = {
        "proposal": PROPOSAL, "verdicts": (verdict("a", passed=True),), "chosen": "a", "rejected": ("a",),
        "review": Review(False),
    }  # fmt: skip
    assert routing.open_verified(state) == ()
    assert routing.after_review(state) == "verify"
    state["verdicts"] += (verdict("b", passed=True),)
    assert routing.after_review(state) == "select"


def test_a_candidate_with_a_flag_is_kept_while_others_are_looked_at() -> None:
    flagged = replace(verdict("a", passed=True), flags=("it answers the tests' own inputs",))
    state: RunState = {"proposal": PROPOSAL, "verdicts": (flagged,)}
    assert routing.after_verify(state) == "verify"
    assert routing.after_verify({**state, "settled": True}) == "select"
    assert routing.after_verify({**state, "verdicts": (flagged, verdict("b", passed=True))}) == "select"
    many = tuple(replace(flagged, candidate=name) for name in "abc")
    assert routing.after_verify({**state, "verdicts": many}) == "select"


def test_a_verdict_is_not_counted_twice() -> None:
    one, two = verdict("a", passed=False), verdict("b", passed=True)
    assert appended((one,), (one, two)) == (one, two)


def test_another_plan_begins_with_its_places() -> None:
    state: RunState = {"proposal": PROPOSAL, "verdicts": (verdict("a", passed=False),), "replanned": True}
    assert routing.after_verify(state) == "localise"
    assert routing.after_localise(state) == "localise"
    assert routing.after_localise({**state, "replanned": False}) == "propose"


def test_the_verdicts_of_a_step_are_its_own() -> None:
    second = replace(PROPOSAL, candidates=("2.c",), step=1)
    state: RunState = {"proposal": second, "verdicts": (verdict("a", passed=True), verdict("2.c", passed=False))}
    assert routing.open_verified(state) == ()
    assert routing.open_verified({**state, "proposal": PROPOSAL}) == ("a",)
    assert [routing.step_of(name) for name in ("a", "2.c", "101.c")] == [0, 1, 100]
