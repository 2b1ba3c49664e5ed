"""The order of trials: new candidates first, the slow and the awkward in their share of the time, then pairs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

import pytest

from agents.repair.schedule import FIRST_BATCH, LARGEST_BATCH, Job, Schedule
from agents.results import Candidate, Edit
from sandbox.runners.trial_results import Trial, TrialVerdict


def candidate(number: int, prior: float = 0.0) -> Candidate:
    return Candidate((Edit("a.py", number, number, "x"),), "template:test", str(number), prior)


def schedule(candidates: Iterable[Candidate], seconds: float = 60.0, **more: object) -> Schedule:
    return Schedule(iter(candidates), time.monotonic() + seconds, **more)  # type: ignore[arg-type]


def answer(
    plan: Schedule, job: Job, verdict: TrialVerdict = "failed", seconds: float = 0.01, **more: object
) -> list[bool]:
    told: list[bool] = [plan.take(job, c, Trial(c.id, verdict, **more)) for c in job.candidates]  # type: ignore[arg-type]
    plan.finish(job, seconds)
    return told


def drain(plan: Schedule, verdict: TrialVerdict = "failed", breaks: str = "") -> list[Job]:
    jobs = []
    while (job := plan.next()) is not None:
        jobs.append(job)
        answer(plan, job, verdict, breaks=breaks)
    return jobs


def test_batches_start_small_and_grow_and_all_are_tried_once() -> None:
    plan = schedule(candidate(n % 200) for n in range(400))
    jobs = drain(plan)
    assert len(jobs[0].candidates) == FIRST_BATCH
    assert max(len(job.candidates) for job in jobs) <= LARGEST_BATCH
    assert len({c.id for job in jobs for c in job.candidates}) == plan.generated == plan.tried == 200
    assert plan.reason == "exhausted"
    assert plan.first_trial is not None


def test_the_budget_ends_everything() -> None:
    plan = schedule((candidate(n) for n in range(10**6)), seconds=0.05)
    drain(plan)
    assert plan.reason == "budget"
    assert plan.next() is None


def test_an_interruption_ends_everything() -> None:
    plan = schedule(candidate(n) for n in range(100))
    assert plan.next() is not None
    plan.stop()
    assert plan.next() is None
    assert plan.reason == "interrupted"


def test_what_ran_out_of_time_comes_again_with_more_until_the_last_tier() -> None:
    plan = schedule([candidate(1)])
    jobs = drain(plan, "timeout")
    assert [(job.kind, job.tier) for job in jobs] == [("swap", 0), ("retry", 1), ("retry", 2)]


def test_retries_keep_to_their_share_while_there_are_others() -> None:
    plan = schedule(candidate(n) for n in range(1000))
    spent = {"swap": 0.0, "retry": 0.0}
    for _ in range(40):
        job = plan.next()
        assert job is not None
        answer(plan, job, "timeout", seconds=1.0)
        spent[job.kind] += 1.0
    assert spent["retry"] <= 0.25 * spent["swap"]


def test_a_fresh_import_is_a_job_of_its_own_and_may_follow_doubt() -> None:
    plan = schedule([candidate(1), candidate(2)], doubt=lambda c: c.description == "2")
    job = plan.next()
    assert job is not None
    plan.take(job, job.candidates[0], Trial(job.candidates[0].id, "import"))
    plan.take(job, job.candidates[1], Trial(job.candidates[1].id, "failed"))
    plan.finish(job, 0.01)
    fresh = drain(plan)
    assert [(j.kind, j.candidates[0].description) for j in fresh] == [("fresh", "1"), ("fresh", "2")]
    assert plan.tried == 2


def test_the_search_goes_on_a_little_after_the_first_that_passes() -> None:
    plan = schedule(candidate(n) for n in range(10**6))
    job = plan.next()
    assert job is not None
    assert answer(plan, job, "passed") == [True] * FIRST_BATCH
    assert plan.take(job, job.candidates[0], Trial(job.candidates[0].id, "passed")) is False
    begun = time.monotonic()
    drain(plan)
    assert plan.reason == "enough"
    assert FIRST_BATCH < plan.generated < 10_000
    assert time.monotonic() - begun < 8


def test_what_breaks_other_tests_is_not_found() -> None:
    plan = schedule([candidate(1)])
    drain(plan, "passed", breaks="tests/test_a.py::test_b")
    assert not plan.found
    assert plan.breaking[0][1] == "tests/test_a.py::test_b"


def test_pairs_come_when_single_edits_did_not_suffice() -> None:
    asked: list[tuple[list[str], int]] = []

    def make(promising: Sequence[Candidate], singles: Sequence[Candidate]) -> Iterator[Candidate]:
        asked.append(([c.description for c in promising], len(singles)))
        return iter([candidate(1000), candidate(1001)])

    plan = schedule((candidate(n, prior=-n) for n in range(20)), make_pairs=make, targets=3)
    kinds = []
    while (job := plan.next()) is not None:
        kinds.append(job.kind)
        for c in job.candidates:
            plan.take(
                job, c, Trial(c.id, "failed", passed=2 if c.description == "7" else 0, moved=c.description == "3")
            )
        plan.finish(job, 0.01)
    assert asked[0] == (["7", "3"], 20)
    # When those are used up, the likeliest of all are paired.
    assert asked[1:] == [([str(n) for n in range(20)], 20)]
    assert "look" in kinds
    assert plan.generated == 22


def test_a_worker_waits_while_the_other_may_still_make_work() -> None:
    plan = schedule([candidate(1)])
    job = plan.next()
    assert job is not None
    import threading

    got: list[Job | None] = []
    other = threading.Thread(target=lambda: got.append(plan.next()))
    other.start()
    time.sleep(0.05)
    assert not got
    plan.take(job, job.candidates[0], Trial(job.candidates[0].id, "import"))
    plan.finish(job, 0.01)
    other.join(5)
    assert got[0] is not None
    assert got[0].kind == "fresh"


@pytest.mark.parametrize("verdict", ["uncompilable", "same", "import"])
def test_what_did_not_run_is_not_counted_as_tried(verdict: TrialVerdict) -> None:
    plan = schedule([candidate(1)])
    job = plan.next()
    assert job is not None
    answer(plan, job, verdict)
    assert plan.tried == 0


def test_time_to_choose_is_kept_back_only_once_something_has_passed() -> None:
    plan = schedule((candidate(n) for n in range(10**6)), settled=time.monotonic() - 1.0)
    job = plan.next()
    assert job is not None
    answer(plan, job)
    last = plan.next()
    assert last is not None
    answer(plan, last, "passed")
    assert plan.next() is None
    assert plan.reason == "enough"
