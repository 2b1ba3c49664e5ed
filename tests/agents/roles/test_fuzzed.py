from __future__ import annotations

from benchmarks.agents.fuzz_roles import fuzz


def test_damaged_replies_are_refused_or_mean_what_they_say() -> None:
    tally = fuzz(500, 11)
    assert not tally.wrong, tally.wrong[0]
    assert all(tally.used[form] > 5 for form in ("plan", "review", "answer", "tests", "plan text"))
