"""New tests where none shows what a step is about: written by an agent, seen to fail for the reason that was stated."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agents.edits import apply_candidate
from agents.models.errors import CallCancelled, CapReached, CassetteError, ModelError
from agents.results import NoTests, Plan, Suspect, WrittenTests
from sandbox.runners.report import TestReport
from sandbox.tree import Tree
from workflows.errors import BudgetSpent, NoDiff, Usage
from workflows.state import RunState
from workflows.steps.asking import asker, index_of, rungs
from workflows.steps.places import places_of
from workflows.steps.plan import merged
from workflows.steps.standing import (
    PRESERVING,
    REPAIRING,
    Standing,
    baseline_of,
    plan_of,
    standing,
    tests_record,
    written_tests,
)
from workflows.steps.trying import Trying
from workflows.wording import plural, printable

if TYPE_CHECKING:
    from workflows.job import Job

PASSAGES = 4
PASSAGE_CHARACTERS = 1_500
SEED = 300


def with_new_tests(state: RunState, job: Job) -> tuple[Standing, Plan]:
    """Write the tests that the step at work needs; a step that no test can show is done together with the next.

    Raises:
        NoDiff: no test could be written that shows it.
        Usage: there is no model to write one, or only tests are wanted.

    """
    plan = plan_of(state)
    while True:
        here = standing({**state, "plan": plan}, job)
        if here.whole or here.kind in PRESERVING or (here.kind in REPAIRING and baseline_of(here, job).targets):
            return here, plan
        if here.kind == "test":
            raise Usage("tests of code as it is are not written: greendiff writes those that show what is asked for")
        if not job.ladder:
            raise Usage(
                f"no failing test shows what is wanted ({here.kind}), and there is no model to write one: name a model "
                "with --model, or write a test that fails"
            )
        found = job.once(tests_record(here), lambda h=here: _written(job, h))  # type: ignore[misc]
        if isinstance(found, WrittenTests):
            names = [one.node_id for one in found.stated]
            text = "; ".join(f"{printable(one.node_id)} fails: {printable(one.reason)}" for one in found.stated[:3])
            job.events.emit("tests", f"{plural(len(names), 'new test')}: {text}", tests=names)
            return here, plan
        job.events.note(printable(found.reason))
        if here.number + 1 >= len(plan.steps):
            raise NoDiff(f"no test could be written that shows what is wanted: {printable(found.reason)}")
        plan = merged(plan, here.number)


def _written(job: Job, here: Standing) -> WrittenTests | NoTests:
    """Ask the models for tests, the cheapest first."""
    from agents.unit_tester import TestTask, write_tests

    baseline = baseline_of(here, job)
    report = baseline.reports[0]
    files = tuple(dict.fromkeys(result.node_id.split("::", 1)[0] for result in report.results))
    passages = index_of(job, here.tree).search(f"{here.step.goal}\n{job.request.issue}"[:4000], PASSAGES)
    context = "\n\n".join(f"{hit.path}:{hit.first}\n{hit.text[:PASSAGE_CHARACTERS]}" for hit in passages)
    repairing = here.kind in REPAIRING
    goal = "" if len(here.step.goal) < 3 or repairing else f"\n\nThis step: {here.step.goal}"
    task = TestTask(
        purpose="reproduce" if repairing else "pin", request=job.request.issue + goal, base=here.tree,
        test_files=tuple(path for path in files if path in here.tree), criteria=here.step.criteria,
        places=places_of(here, job), context=context,
    )  # fmt: skip
    last: NoTests | None = None
    failures: list[str] = []
    for rung in rungs(job, failures=failures):
        words = {"tier": rung.tier.name, "model": rung.model.name, "agent": "unit-test"}
        job.events.emit("asking", f"asking {rung.tier.name} ({rung.model.name}) for a test", **words)  # type: ignore[arg-type]
        with Trying(job, here.tree, (), frozenset(), report.seconds) as trying:
            try:
                found = write_tests(
                    replace(task, tier=rung.number), asker(job, rung, SEED + here.serial),
                    lambda candidate, t=trying: t.report(candidate, [candidate.created[0].path]),  # type: ignore[misc]
                )  # fmt: skip
            except CapReached as error:
                raise BudgetSpent(f"a cap on what models may cost was reached: {error}") from error
            except (CallCancelled, CassetteError):
                raise
            except ModelError as error:
                found = NoTests(f"model tier {rung.tier.name} was asked in vain: {error}")
        if isinstance(found, WrittenTests):
            return found
        last = found
    return last or NoTests(f"no model could be asked for one: {'; '.join(failures)}")


def tree_with_tests(here: Standing, job: Job) -> Tree:
    """Return the step's tree with its new tests, which fail there."""
    tests = written_tests(here, job)
    return here.tree if tests is None else apply_candidate(here.tree, tests.candidate)


def covered(here: Standing, job: Job) -> tuple[TestReport, tuple[Suspect, ...]]:
    """Return a run of the tree with its new tests, with coverage, and where the fault may be by that."""
    from agents.repair.localise import rank_suspects
    from sandbox.runners.run import run_tests

    tests = written_tests(here, job)
    targets = tests.node_ids if tests else ()
    tree = tree_with_tests(here, job)

    def run() -> TestReport:
        wall = max(5.0, job.clock.left() * 0.25)
        with job.open_tree(tree) as workspace:
            return run_tests(
                workspace, job.ready().harness, coverage=True, wall_seconds=wall, test_seconds=max(2.0, wall / 4)
            )

    report = job.once(here.record("coverage"), run)
    rank = lambda: rank_suspects(tree, report, targets, issue=job.request.issue)  # noqa: E731
    return report, job.once(here.record("suspects"), rank)
