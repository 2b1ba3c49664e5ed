"""Where a run stands in its plan: the step at work, the tree that it begins with, and what its diff has to prove."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from agents.edits import apply_candidate
from agents.results import Candidate, Failure, Kind, Plan, Step, WrittenTests
from sandbox.tree import Tree
from workflows.state import RunState
from workflows.steps.intake import take_baseline
from workflows.verdicts import Allowances, Baseline, Claim

if TYPE_CHECKING:
    from workflows.job import Job

_DISTRIBUTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
PLAN_STEPS = 100
"""More than a plan has steps."""
REPAIRING: frozenset[Kind] = frozenset({"fix", "security"})
PRESERVING: frozenset[Kind] = frozenset({"refactor", "upgrade"})


@dataclass(frozen=True, slots=True)
class Standing:
    """The step at work."""

    number: int
    step: Step
    kind: Kind
    tree: Tree
    """With the change of every step before it."""
    steps: int = 1
    """How many the plan has."""
    plans: int = 0
    """How many plans were given up before this one."""
    whole: bool = False
    """Whether all steps' changes are judged together, on the run's own tree."""

    @property
    def serial(self) -> int:
        """A number that no other step of the run has; steps of the first plan are counted from 0."""
        return PLAN_STEPS * self.plans + self.number

    def record(self, name: str) -> str:
        """Return the name under which a piece of work for this step is recorded; the first step's has no number."""
        return name if self.serial == 0 else f"{name}-step-{self.serial + 1}"

    def name(self, candidate: Candidate) -> str:
        """Return the candidate's name in the run's state: its id, after the step's number where that is not 1."""
        return candidate.id if self.serial == 0 else f"{self.serial + 1}.{candidate.id}"


def standing(state: RunState, job: Job) -> Standing:
    """Return where the run stands."""
    plan = plan_of(state)
    steps = len(plan.steps)
    number, plans = min(state.get("at", 0), steps), state.get("plans", 0)
    if number == steps:
        goal = plan.restated or "; ".join(step.goal for step in plan.steps)
        return Standing(number, Step(goal, (), ()), plan.kind, job.tree, steps, plans, whole=True)
    tree = job.tree
    for one in accepted(state, job):
        tree = apply_candidate(tree, one[0])
    return Standing(number, plan.steps[number], plan.kind, tree, steps, plans)


def plan_of(state: RunState) -> Plan:
    """Return the plan, with one step where there is none yet."""
    return state.get("plan") or Plan((Step("", (), ()),))


Accepted = tuple[Candidate, tuple[Failure, ...], tuple[str, ...]]
"""A step's verified candidate, the added tests that it is judged by, and the files that they are in."""


def accepted(state: RunState, job: Job) -> list[Accepted]:
    """Return what came of the steps that are done, in order."""
    return [cast("Accepted", job.recorded(done.record, tuple)) for done in state.get("done", ())]


def tests_record(here: Standing) -> str:
    """Return the name of the record of the new tests; a step that was merged with the next has tests of its own."""
    return f"{here.record('tests')}-of-{here.steps}"


def written_tests(here: Standing, job: Job) -> WrittenTests | None:
    """Return the new tests that show what the step is about, None where it has none."""
    name = tests_record(here)
    if here.whole or not job.run.recorded(name):
        return None
    found = job.recorded(name, object)
    return found if isinstance(found, WrittenTests) else None


def added_targets(here: Standing, state: RunState, job: Job) -> tuple[tuple[Failure, ...], tuple[str, ...]]:
    """Return the added tests that the step's diff is judged by, as they fail without it, and the files they are in."""
    if here.whole:
        every = accepted(state, job)
        return tuple(f for one in every for f in one[1]), tuple(path for one in every for path in one[2])
    tests = written_tests(here, job)
    if tests is None:
        return (), ()
    failures = tuple(Failure(one.node_id, one.exception, one.message) for one in tests.stated)
    return failures, tuple(new.path for new in tests.candidate.created)


def baseline_of(here: Standing, job: Job) -> Baseline:
    """Return the tests as they are on the step's own tree."""
    from workflows.steps.base import flaky_tests, runs_of

    if here.number == 0 or here.whole:
        found = take_baseline(job)[0]
        if here.kind in REPAIRING or job.request.tests:
            return found
        # What fails already is no business of a feature or a refactoring that does not speak of it.
        return replace(found, targets=tuple(one for one in found.targets if one.node_id in job.request.issue))
    reports = job.once(here.record("base"), lambda: runs_of(job, here.tree))
    return Baseline(reports, flaky_tests(reports), ())


def claim_of(baseline: Baseline, added: Sequence[Failure]) -> Claim:
    """Return what the step's diff is said to do."""
    if baseline.targets:
        return "repairs"
    return "adds" if added else "preserves"


def allowances_of(here: Standing, job: Job, files: Sequence[str]) -> Allowances:
    """Return what the diff may touch: what the request allows, its own new tests, and an upgrade's declarations."""
    asked = job.request.allowances
    if here.kind != "upgrade":
        return replace(asked, added_tests=(*asked.added_tests, *files))
    return replace(asked, added_tests=(*asked.added_tests, *files), declarations=True, upgrades=named_upgrades(job))


def named_upgrades(job: Job) -> tuple[str, ...]:
    """Return the declared distributions that the request names; empty where it names none of them."""
    declared = {_DISTRIBUTION.match(text) for text in job.ready().definition.requirements}
    return named_in(job.request.issue, {found[0] for found in declared if found})


def named_in(text: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return those of some distributions' names that a text holds as words, however they are written, sorted."""
    words = re.sub(r"[-_.]+", "-", text.lower())
    plain = {name: re.escape(re.sub(r"[-_.]+", "-", name.lower())) for name in sorted(names)}
    return tuple(name for name in plain if re.search(rf"(?<![\w-]){plain[name]}(?!\w)", words))
