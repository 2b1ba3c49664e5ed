"""The steps that lead from a request to its diff: by rules where tests fail, else by the planner, and by the person."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from agents.models.errors import CallCancelled, CapReached, CassetteError, ModelError
from agents.results import Evidence, Plan, PlanRefused, Questions, Unchanged
from workflows.errors import AskedBack, BudgetSpent, NoDiff
from workflows.state import RunState, StateDelta, Step
from workflows.steps.intake import take_baseline
from workflows.steps.standing import REPAIRING
from workflows.wording import listed, printable

if TYPE_CHECKING:
    from agents.planner import PlanTask
    from workflows.job import Job

OUTLINE_TOKENS = 1_500
MOST_ANSWERS = 3
"""How often questions are asked back before a request is given up."""
Reason = Literal["tests fail", "gate refused", "not localised", "no progress", "cannot be written", "budget"]
MOST_PLANS = 1
"""How many further plans are made where one came to nothing."""
LEAST_SECONDS = 20.0
"""With less time left than this, no other plan is begun."""
MOST_REFUSALS = 5
"""How many plans a person may refuse."""
SEED = 100


def plan(state: RunState, job: Job) -> StateDelta:
    """Plan; `fix` repairs all targets at once, and needs no model for that.

    Raises:
        AskedBack: the request has to be made clear first, and nobody is there to answer.
        NoDiff: the person refused every plan.

    """
    targets = state["intake"].targets
    if job.request.purpose == "fix":
        criteria = (
            "every target passes in a fresh sandbox with pristine tests",
            "every test that passed steadily before still passes",
            "no test, test configuration or CI file is changed, unless the request allows it",
            "no new syntax or lint findings in the changed files",
        )
        return {"plan": Plan((Step(f"make {listed(targets)} pass", targets, criteria),))}
    made = job.once("plan", partial(_planned, job))
    if made.kind in REPAIRING and targets:
        made = as_one_step(made)
    _tell(job, made)
    return {"plan": made}


def _tell(job: Job, made: Plan) -> None:
    goals = [step.goal for step in made.steps]
    lines = [f"plan ({made.kind}): {printable(made.restated)}"]
    lines += [f"  [ ] {number}. {printable(goal)}" for number, goal in enumerate(goals, 1)]
    job.events.emit(
        "plan", "\n".join(lines), kind=made.kind, restated=made.restated, steps=goals, origin=made.origin,
        notes=list(made.notes),
    )  # fmt: skip


def as_one_step(made: Plan) -> Plan:
    """Return the plan with all steps in one: what makes failing tests pass is judged by them as a whole."""
    while len(made.steps) > 1:
        made = merged(made, 0)
    return made


def merged(made: Plan, number: int) -> Plan:
    """Return the plan with a step and the one after it as one."""
    one, two = made.steps[number], made.steps[number + 1]
    both = Step(
        f"{one.goal}; {two.goal}", tuple(dict.fromkeys((*one.targets, *two.targets))),
        tuple(dict.fromkeys((*one.criteria, *two.criteria))), tuple(dict.fromkeys((*one.places, *two.places))),
    )  # fmt: skip
    return replace(made, steps=(*made.steps[:number], both, *made.steps[number + 2 :]))


def plan_task(job: Job) -> PlanTask:
    """Return what the planner is given."""
    from agents.conventions import conventions
    from agents.planner import PlanTask
    from workflows.steps.asking import index_of

    baseline, _ = take_baseline(job)
    outline = index_of(job, job.tree).outline(OUTLINE_TOKENS, (job.request.issue[:2000],)) if job.ladder else ""
    return PlanTask(
        text=job.request.issue, failing=baseline.targets, passing=len(baseline.steady), kind=job.request.kind,
        outline=outline, paths=frozenset(job.tree), conventions=conventions(job.tree, limit=3_000) if outline else "",
    )  # fmt: skip


def _planned(job: Job) -> Plan:
    task = plan_task(job)
    for number in range(MOST_ANSWERS + 1):
        found = _asked(job, task, number)
        if not isinstance(found, Questions):
            return _approved(job, task, found) if job.request.approve else found
        if number == MOST_ANSWERS:
            raise _asked_back(found)
        # Each answer is a record of its own: a resumed run does not ask a person twice.
        said = job.once(f"answers-{number}", partial(_answers, job, found))
        task = replace(task, answers=(*task.answers, *said))
    raise AssertionError("the last round returns or raises")


def _asked(job: Job, task: PlanTask, number: int) -> Plan | Questions:
    """Have a model plan, or the rules where none can be asked."""
    from agents import planner
    from workflows.steps.asking import asker, thinker

    rung = thinker(job)
    if rung is None:
        by_rules = planner.plan(task, None)
        rung = thinker(job, small=True) if isinstance(by_rules, Questions) else None
        if rung is None:
            return by_rules
    job.events.emit("asking", f"asking {rung.tier.name} ({rung.model.name}) for a plan", tier=rung.tier.name,
                    model=rung.model.name, agent="planner")  # fmt: skip
    try:
        return planner.plan(task, asker(job, rung, SEED + number))
    except (CallCancelled, CassetteError):
        raise
    except ModelError as error:
        job.events.note(f"planned by rules, as the model could not be asked: {printable(str(error))}")
        found = planner.plan(task, None)
        if isinstance(found, Questions) and isinstance(error, CapReached):
            raise BudgetSpent(f"a cap on what models may cost was reached: {error}") from error
        return found


def another_plan(state: RunState, job: Job, reason: Reason, sentence: str) -> StateDelta | None:
    """Return what begins another plan, in view of what came of the step at work; None where there is no other.

    Raises:
        AskedBack: it cannot go on without a person.

    """
    from agents import planner
    from workflows.steps.asking import asker, thinker

    before, plans = state["plan"], state.get("plans", 0) + 1
    if job.request.purpose != "solve" or plans > MOST_PLANS or job.clock.left() < LEAST_SECONDS:
        return None
    evidence = Evidence(min(state.get("at", 0), len(before.steps) - 1), reason, sentence[:1_000])

    rung = thinker(job)
    if rung is None:
        return None

    def ask() -> Plan | Questions | Unchanged:
        try:
            task = replace(plan_task(job), kind=before.kind)
            return planner.replan(task, before, [evidence], asker(job, rung, SEED + 20 + plans))
        except (CallCancelled, CassetteError):
            raise
        except ModelError as error:
            return Unchanged(f"the model could not be asked: {error}")

    found = job.once(f"plan-{plans + 1}", ask)
    if isinstance(found, Questions):
        job.events.emit("questions", "", questions=list(found.questions), reason=found.reason)
        raise _asked_back(found)
    if isinstance(found, Unchanged):
        job.events.note(f"no other plan: {printable(found.reason)}")
        return None
    if found.kind in REPAIRING and state["intake"].targets:
        found = as_one_step(found)
    job.events.note(f"another plan is made, because: {printable(sentence)}")
    _tell(job, found)
    return {"plan": found, "plans": plans, "replanned": True, "at": 0, "done": ()}


def _answers(job: Job, asked: Questions) -> tuple[tuple[str, str], ...]:
    """Ask the person, where one is at the terminal."""
    person = job.person
    if person is None:
        job.events.emit("questions", "", questions=list(asked.questions), reason=asked.reason)
        raise _asked_back(asked)
    job.events.emit("questions", printable(asked.reason), questions=list(asked.questions))
    with job.clock.waiting():
        return tuple((question, person.answer(question)) for question in asked.questions)


def _asked_back(asked: Questions) -> AskedBack:
    lines = [f"  {number}. {printable(question)}" for number, question in enumerate(asked.questions, 1)]
    return AskedBack("\n".join([f"the request has to say more: {printable(asked.reason)}", *lines]))


def _approved(job: Job, task: PlanTask, made: Plan) -> Plan:
    """Show the plan to the person until it is accepted, edited perhaps."""
    from agents import planner
    from workflows.steps.asking import asker, thinker

    if job.person is None:
        raise AskedBack("--approve plan needs a person at a terminal; `greendiff plan` only shows the plan")
    for number in range(MOST_REFUSALS):
        with job.clock.waiting():
            judged = job.once(f"approval-{number}", partial(job.person.judge, made))
        if not isinstance(judged, PlanRefused):
            return judged
        job.events.note(f"another plan is made, because: {printable(judged.reason)}")
        rung = thinker(job)
        try:
            again = planner.revise(task, made, judged, None if rung is None else asker(job, rung, SEED + 10 + number))
        except (CallCancelled, CassetteError):
            raise
        except ModelError as error:
            again = Unchanged(f"the model could not be asked: {error}")
        if isinstance(again, Unchanged):
            raise NoDiff(f"the plan was refused, and there is no other one: {again.reason}")
        if isinstance(again, Questions):
            raise _asked_back(again)
        made = again
    raise NoDiff(f"the plan was refused {MOST_REFUSALS} times; say in the request what it should be")
