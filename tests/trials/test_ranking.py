"""Among candidates that pass, the simple, likely and undisturbing one comes first."""

from __future__ import annotations

import pytest

from agents.repair.behaviour import Profile, clusters, profile
from agents.repair.ranking import OFFER, Passing, Ranked, belief, changed_tokens, confidence, rank, reasons
from agents.results import Candidate, Edit
from sandbox.runners.trial_results import Behaviours, Sample
from tests.trials.conftest import change

TEXT = """\
def add(a, b):
    if a < b:
        return a - b
    return a
"""
TESTS = "def test_add():\n    assert add(1, 41) == 42\n"


def samples(rows: dict[str, str], original: str, kinds: str) -> tuple[Sample, ...]:
    """One letter a sample: lower case for a value, `!` for an exception, `?` for a time-out."""
    names = {"f": "failing", "e": "earlier", "p": "passing", "g": "generated"}

    def outcome(letter: str) -> str:
        return {"!": "!ValueError", "?": "?", "-": "-"}.get(letter, f"={letter}")

    return tuple(
        Sample(
            names[kind],  # type: ignore[arg-type]
            "a.py:1:add",
            outcome(original[i]),
            {name: outcome(row[i]) for name, row in rows.items()},
        )
        for i, kind in enumerate(kinds)
    )


def ranked(*candidates: Candidate, rows: list[str] | None = None, original: str = "", kinds: str = "") -> list[Ranked]:
    passing = [Passing(c, 0.0, n) for n, c in enumerate(candidates)]
    table = {c.id: row for c, row in zip(candidates, rows or [], strict=False)}
    behaviours = Behaviours(
        samples(table, original, kinds), frozenset() if rows else frozenset(c.id for c in candidates)
    )
    return rank(passing, {"code.py": TEXT}, behaviours, {"tests/test_a.py": TESTS}, {})


def with_prior(old: str, new: str, prior: float) -> Candidate:
    made = change(TEXT, old, new)
    return Candidate(made.edits, made.origin, made.description, prior)


def test_a_profile_compares_with_the_original() -> None:
    seen = samples({"x": "bbc!?aa"}, "abcc!a-", "fpggggg")
    found = profile("x", seen)
    assert found.known
    assert (found.generated, found.passing) == (4, 0.0)
    assert (found.changed, found.crashes, found.cured, found.hangs) == (0.5, 0.25, 0.0, 1 / 6)
    assert profile("y", seen) == Profile()


def test_what_changes_only_the_failing_inputs_is_special() -> None:
    kinds = "f" + "g" * 30
    seen = samples({"x": "b" + "c" * 30, "y": "b" + "d" + "c" * 29}, "a" + "c" * 30, kinds)
    assert profile("x", seen).special
    assert not profile("y", seen).special


def test_candidates_that_do_the_same_share_a_number() -> None:
    behaviours = Behaviours(samples({"x": "ab", "y": "ab", "z": "ac"}, "aa", "fg"), frozenset({"w"}))
    numbers = clusters(["x", "y", "z", "w"], behaviours)
    assert numbers["x"] == numbers["y"]
    assert len(set(numbers.values())) == 3


def test_the_likelier_change_wins_where_nothing_else_is_known() -> None:
    one, two = with_prior("a - b", "a + b", -1.0), with_prior("a - b", "a * b", -3.0)
    assert [r.passing.candidate for r in ranked(two, one)] == [one, two]


def test_the_smaller_change_wins() -> None:
    one, two = with_prior("a - b", "a + b", -1.0), with_prior("a - b", "a - (0 - b) + len([]) * 3", -1.0)
    assert ranked(two, one)[0].passing.candidate == one


@pytest.mark.parametrize("row", ["b!!!!!!!!", "b????????"])
def test_what_crashes_or_hangs_on_other_inputs_loses(row: str) -> None:
    one, two = with_prior("a - b", "a + b", -2.0), with_prior("a - b", "b - a", -1.0)
    found = ranked(two, one, rows=[row, "bccccccdd"], original="accccccdd", kinds="fgggggggg")
    assert found[0].passing.candidate == one


def test_a_value_from_the_test_is_borrowed_and_a_constant_condition_is_dead() -> None:
    borrowed = with_prior("a < b", "b == 41", -1.0)
    dead = with_prior("a < b", "a < b or True", -1.0)
    plain = with_prior("a < b", "a <= b", -1.6)
    found = {r.passing.candidate.id: r for r in ranked(borrowed, dead, plain)}
    assert found[borrowed.id].features["borrowed"] == 1
    assert found[dead.id].features["dead"] == 1
    assert found[plain.id].features["borrowed"] == found[plain.id].features["dead"] == 0
    assert ranked(borrowed, dead, plain)[0].passing.candidate == plain
    assert any("test" in note for note in reasons(found[borrowed.id]))
    assert any("constant" in note for note in reasons(found[dead.id]))


def test_belief_is_shared_among_behaviours_not_among_candidates() -> None:
    one, two = with_prior("a - b", "a + b", -1.0), with_prior("return a\n", "return b\n", -1.0)
    alike = ranked(one, two, rows=["bc", "bc"], original="ac", kinds="fg")
    unlike = ranked(one, two, rows=["bc", "bd"], original="ac", kinds="fg")
    assert belief(alike) == {one.id: 1.0, two.id: 1.0}
    assert all(0.3 < share < 0.7 for share in belief(unlike).values())
    assert sum(belief(unlike).values()) == pytest.approx(1.0)
    assert belief([]) == {}
    assert alike[0].votes == 2
    assert any("2 passing candidates" in note for note in reasons(alike[0]))


def test_confidence_asks_for_more_than_being_the_only_one_found() -> None:
    likely, far_fetched = with_prior("a - b", "a + b", -1.0), with_prior("return a\n", "return b\n", -9.0)
    alone, guess = ranked(likely)[0], ranked(far_fetched)[0]
    assert belief([alone]) == {likely.id: 1.0}
    assert belief([guess]) == {far_fetched.id: 1.0}
    assert confidence(guess, 1.0) < OFFER < confidence(alone, 1.0) < 1
    assert 0 < confidence(alone, 0.0) < confidence(alone, 0.4) < confidence(alone, 1.0)


def test_tokens_that_change_are_counted_also_in_broken_text() -> None:
    assert changed_tokens("x = a + 1", "x = a - 1") == (["+"], ["-"])
    assert changed_tokens("x = (", "x = (b") == ([], ["b"])


def test_edits_in_several_files_are_looked_at_file_by_file() -> None:
    pair = Candidate((Edit("a.py", 0, 1, "y"), Edit("code.py", 0, 0, "\n")), "pair:a+b", "both", -5.0)
    texts = {"code.py": TEXT, "a.py": "x = 1\n"}
    found = rank([Passing(pair, 0.0, 0)], texts, Behaviours((), frozenset({pair.id})), {"t.py": "def ("}, {})
    assert found[0].features["size"] == 2
