"""The tier that needs no model: a search over syntax-tree edits, tried in a warm workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from agents.bugfixer import RepairProblem
from agents.results import RepairResult
from sandbox.runners.report import TestReport
from sandbox.tree import Tree
from workflows.errors import BudgetSpent
from workflows.steps.escalate import Round
from workflows.steps.groups import MOST_GROUPS, groups_of, repair_in_turn
from workflows.steps.searching import search

if TYPE_CHECKING:
    from workflows.job import Job

LEAST_SECONDS = 0.5
"""A search is not begun with less time than this."""
JOINT_SHARE = 0.45
"""Share of the time in which one repair for all targets is looked for, where they seem to have several causes."""
AGAIN_SECONDS = 3.0
"""Time below which no further round is begun."""


def search_round(job: Job, problem: RepairProblem, seconds: float, *, first: bool) -> Round:
    """Search for repairs for so many seconds; `first` says whether it is the first round for this problem.

    Raises:
        BudgetSpent: there is no time to search in, or the search did not come to an end of its own.

    """
    left = job.clock.left()
    if seconds < LEAST_SECONDS:
        raise BudgetSpent(
            f"the budget of {job.settings.budget:.0f} s was spent before the search could begin: the tests alone take "
            f"{problem.report.seconds:.1f} s; give more time with --budget"
        )
    end = left - seconds
    groups = groups_of(problem.tree, problem.report, problem.targets) if first else ()
    several = 1 < len(groups) <= MOST_GROUPS
    workspace = job.open()[0] if problem.tree is job.tree else job.open_tree(problem.tree)
    with workspace:
        share = (job.clock.left() - end) * (JOINT_SHARE if several else 1.0)
        result, passing = search(job, problem, workspace, max(LEAST_SECONDS, share))
    if result.repairs or not several:
        return Round(result, passing)
    job.events.note(f"the failing tests seem to have {len(groups)} causes: repairing one after another")
    in_turn = repair_in_turn(
        problem, groups, lambda: job.clock.left() - end, lambda p, s: _in_fresh(job, p, s), lambda t, n: _run(job, t, n)
    )
    if in_turn is None:
        late = job.clock.left() <= end + AGAIN_SECONDS
        return Round(replace(result, stopped="budget" if late else result.stopped), passing)
    tried, generated = result.tried + in_turn.tried, result.generated + in_turn.generated
    whole = replace(
        in_turn, tried=tried, generated=generated, seconds=result.seconds + in_turn.seconds,
        first_trial_seconds=result.first_trial_seconds,
    )  # fmt: skip
    return Round(whole, passing)


def _in_fresh(job: Job, problem: RepairProblem, seconds: float) -> RepairResult:
    with job.open_tree(problem.tree) as workspace:
        return search(job, problem, workspace, seconds)[0]


def _run(job: Job, tree: Tree, tests: Sequence[str]) -> TestReport:
    from sandbox.runners.run import run_tests

    with job.open_tree(tree) as workspace:
        wall = max(2.0, job.clock.left() / 4)
        return run_tests(workspace, job.ready().harness, tests, coverage=True, wall_seconds=wall, hang_seconds=0.5)
