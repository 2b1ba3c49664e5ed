"""Candidates, from the cheapest tier: a search over syntax-tree edits, tried in a warm workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from agents.bugfixer import RepairProblem
from agents.results import RepairResult, Suspect
from sandbox.runners.report import TestReport
from sandbox.tree import Tree
from workflows.errors import BudgetSpent
from workflows.state import Proposal, RunState, StateDelta
from workflows.steps.groups import MOST_GROUPS, groups_of, repair_in_turn
from workflows.steps.intake import take_baseline
from workflows.steps.localise import COVERAGE, SUSPECTS
from workflows.steps.searching import search
from workflows.wording import plural

if TYPE_CHECKING:
    from workflows.job import Job
    from workflows.state import Intake

PROPOSAL = "proposal"
"""Beginning of the names of the records of what the searches found, one for each round."""
LEAST_SECONDS = 0.5
"""A search is not begun with less time than this."""
GATE_SHARE = 0.3
"""Largest share of the time left that is kept back for the gate."""
JOINT_SHARE = 0.45
"""Share of the time in which one repair for all targets is looked for, where they seem to have several causes."""
AGAIN_SECONDS = 3.0
"""Time below which no further round is begun."""
MOST_ROUNDS = 6


def propose(state: RunState, job: Job) -> StateDelta:
    """Search for repairs, and keep enough time back to prove one.

    Every further round leaves out what passed the trials of an earlier one, and was refused afterwards.

    Raises:
        BudgetSpent: there is no time left to search in.

    """
    before = state.get("proposal")
    number = before.rounds + 1 if before else 1
    record = f"{PROPOSAL}-{number}"
    seen = frozenset(before.passing) if before else frozenset()
    result, passing = job.once(record, lambda: _searched(job, state["intake"], seen, number))
    ids = tuple(found.candidate.id for found in result.repairs)
    text = f"{plural(result.tried, 'candidate')} tried in {result.seconds:.1f} s, {plural(len(ids), 'repair')} to prove"
    job.events.emit(
        "found", text, repairs=len(ids), tried=result.tried, generated=result.generated, stopped=result.stopped,
        first_trial_seconds=result.first_trial_seconds, round=number,
    )  # fmt: skip
    doubtful = tuple(found.candidate.description for found in result.doubtful)
    found = Proposal(
        records=(record,), candidates=ids, passing=passing, generated=result.generated, tried=result.tried,
        seconds=result.seconds, stopped=result.stopped, first_trial_seconds=result.first_trial_seconds,
        doubtful=doubtful,
    )  # fmt: skip
    return {"proposal": found if before is None else before.followed_by(found)}


def gate_reserve(intake: Intake, left: float) -> float:
    """Return the seconds to keep back for the gate's clean-room runs."""
    return min(left * GATE_SHARE, 1.0 + 1.5 * intake.open_seconds + 2 * intake.base_seconds)


def worth_another_round(state: RunState, job: Job) -> bool:
    """Whether a search that stopped because it had found enough should go on, now that all of that was refused."""
    proposal = state["proposal"]
    left = job.clock.left()
    time = left - gate_reserve(state["intake"], left) > AGAIN_SECONDS
    return time and proposal.stopped == "enough" and proposal.rounds < MOST_ROUNDS


def _searched(job: Job, intake: Intake, refused: frozenset[str], number: int) -> tuple[RepairResult, tuple[str, ...]]:
    left = job.clock.left()
    seconds = left - gate_reserve(intake, left)
    if seconds < LEAST_SECONDS:
        raise BudgetSpent(
            f"the budget of {job.settings.budget:.0f} s was spent before the search could begin: the tests alone take "
            f"{intake.base_seconds:.1f} s; give more time with --budget"
        )
    end = left - seconds
    problem = _problem(job, intake, refused)
    groups = groups_of(job.tree, problem.report, problem.targets) if number == 1 else ()
    several = 1 < len(groups) <= MOST_GROUPS
    workspace, _ = job.open()
    with workspace:
        share = (job.clock.left() - end) * (JOINT_SHARE if several else 1.0)
        result, passing = search(job, problem, workspace, max(LEAST_SECONDS, share))
    if result.repairs or not several:
        return result, passing
    job.events.note(f"the failing tests seem to have {len(groups)} causes: repairing one after another")
    in_turn = repair_in_turn(
        problem, groups, lambda: job.clock.left() - end, lambda p, s: _in_fresh(job, p, s), lambda t, n: _run(job, t, n)
    )
    if in_turn is None:
        return replace(result, stopped="budget" if job.clock.left() <= end + AGAIN_SECONDS else result.stopped), passing
    tried, generated = result.tried + in_turn.tried, result.generated + in_turn.generated
    return replace(
        in_turn, tried=tried, generated=generated, seconds=result.seconds + in_turn.seconds,
        first_trial_seconds=result.first_trial_seconds,
    ), passing  # fmt: skip


def _problem(job: Job, intake: Intake, refused: frozenset[str]) -> RepairProblem:
    baseline, _ = take_baseline(job)
    suspects: tuple[Suspect, ...] = job.recorded(SUSPECTS, tuple)
    measured = job.recorded(COVERAGE, TestReport)
    return RepairProblem(
        tree=job.tree, harness=job.ready().harness, report=replace(baseline.reports[0], coverage=measured.coverage),
        targets=intake.targets, suspects=suspects, failures=baseline.targets, flaky=frozenset(intake.flaky),
        allowed=job.request.allowances.paths, issue=job.request.issue, refused=refused,
    )  # fmt: skip


def _in_fresh(job: Job, problem: RepairProblem, seconds: float) -> RepairResult:
    with job.open_tree(problem.tree) as workspace:
        return search(job, problem, workspace, seconds)[0]


def _run(job: Job, tree: Tree, tests: Sequence[str]) -> TestReport:
    from sandbox.runners.run import run_tests

    with job.open_tree(tree) as workspace:
        wall = max(2.0, job.clock.left() / 4)
        return run_tests(workspace, job.ready().harness, tests, coverage=True, wall_seconds=wall, hang_seconds=0.5)
