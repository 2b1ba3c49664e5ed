"""Candidates, from the cheapest source that was not asked yet: the search without a model, then agents tier by tier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from agents.bugfixer import RepairProblem
from agents.edits import apply_candidate
from agents.models.errors import CallCancelled, CapReached, CassetteError, ModelError
from agents.results import Candidate, Failure, NewFile, Repair, RepairResult, Suspect, WrittenTests
from sandbox.runners.report import TestReport
from workflows.errors import BudgetSpent, Usage
from workflows.routing import verdicts_here
from workflows.state import Proposal, RunState, StateDelta
from workflows.steps.escalate import Round, ask_for_fixes
from workflows.steps.intake import take_baseline
from workflows.steps.localise import COVERAGE, SUSPECTS
from workflows.steps.standing import PLAN_STEPS, REPAIRING, Standing, accepted, baseline_of, standing, written_tests
from workflows.steps.tier_zero import AGAIN_SECONDS, search_round
from workflows.wording import plural, printable

if TYPE_CHECKING:
    from workflows.job import Job
    from workflows.state import Intake

PROPOSAL = "proposal"
"""Beginning of the names of the records of what was found, one for each round."""
GATE_SHARE = 0.3
"""Largest share of the time left that is kept back for the gate."""
MOST_ROUNDS = 6
"""Rounds of the search without a model, where there is no model; with one, it is asked after two."""
MOST_ASKED = 3
"""Rounds in which the same model is asked for repairs, where the gate refuses what it finds."""
AGENT_SECONDS = 5.0
"""What is kept back for a model's last answer to be tried and compared, beyond what the gate needs."""
SEARCH_SHARE = 0.4
"""Share of the time for a round of the search, where models can be asked after it."""
SEARCH, BUGFIX, CODER, REVISION, WHOLE = "search", "bugfix", "coder", "revision", "whole"


def propose(state: RunState, job: Job) -> StateDelta:
    """Make candidates from the next source, and keep enough time back to prove one.

    Every further round leaves out what passed the trials of an earlier one, and was refused afterwards.

    Raises:
        BudgetSpent: there is no time left to search in.
        Usage: what is wanted needs a model, and there is none.

    """
    here, before = standing(state, job), proposal_here(state)
    source = next_source(state, job)
    if source is None:
        raise Usage(f"a {here.kind} needs a model, and none is configured; name one with --model")
    number = before.rounds + 1 if before else 1
    record = here.record(f"{PROPOSAL}-{number}")
    result, passing, said, capped = job.once(record, lambda: _plain(_round(state, job, here, source)))
    names = tuple(here.name(found.candidate) for found in result.repairs)
    tried = plural(result.tried, "candidate")
    text = f"{tried} tried in {result.seconds:.1f} s, {plural(len(names), 'repair')} to prove"
    job.events.emit(
        "found", said or text, repairs=len(names), tried=result.tried, generated=result.generated,
        stopped=result.stopped, first_trial_seconds=result.first_trial_seconds, round=number, source=source,
    )  # fmt: skip
    doubtful = tuple(found.candidate.description for found in result.doubtful)
    found = Proposal(
        records=(record,), candidates=names, passing=passing, generated=result.generated, tried=result.tried,
        seconds=result.seconds, stopped=result.stopped, first_trial_seconds=result.first_trial_seconds,
        doubtful=doubtful, sources=(source,), said=(said,) if said else (), capped=capped, step=here.serial,
    )  # fmt: skip
    return {"proposal": found if before is None else before.followed_by(found)}


def proposal_here(state: RunState) -> Proposal | None:
    """Return what was proposed for the step at work so far."""
    proposal = state.get("proposal")
    plan = state.get("plan")
    number = min(state.get("at", 0), len(plan.steps)) if plan else 0
    serial = PLAN_STEPS * state.get("plans", 0) + number
    return proposal if proposal is not None and proposal.step == serial else None


def gate_reserve(intake: Intake, left: float) -> float:
    """Return the seconds to keep back for the gate's clean-room runs."""
    return min(left * GATE_SHARE, 1.0 + 1.5 * intake.open_seconds + 2 * intake.base_seconds)


def next_source(state: RunState, job: Job) -> str | None:
    """Return who is to be asked next for the step at work, None where nobody is left or there is no time."""
    here, before = standing(state, job), proposal_here(state)
    order = _order(here, job)
    if before is None:
        return order[0] if order else None
    left = job.clock.left()
    if left - gate_reserve(state["intake"], left) <= AGAIN_SECONDS:
        return None
    used = before.sources
    more = before.stopped == "enough" and used.count(SEARCH) < (2 if job.ladder else MOST_ROUNDS)
    if used[-1] == SEARCH and more:
        return SEARCH
    asked_again = used[-1].startswith(f"{BUGFIX}:") and used.count(used[-1]) < MOST_ASKED
    if before.stopped == "enough" and asked_again:
        return used[-1]
    if (writer := _objected_to(state, before)) is not None:
        return f"{REVISION}:{writer}"
    return next((source for source in order if source not in used), None)


def _objected_to(state: RunState, before: Proposal) -> str | None:
    """Return the tier whose coder wrote what was objected to, and was not told yet: objections go back once."""
    writers = [source.partition(":")[2] for source in before.sources if source.startswith(f"{CODER}:")]
    if not writers or any(source.startswith(f"{REVISION}:") for source in before.sources):
        return None
    return writers[-1] if objections(state) else None


def objections(state: RunState) -> tuple[str, ...]:
    """Return what the gate and a reader have against the changes for the step at work."""
    refused = [verdict.reason for verdict in verdicts_here(state) if not verdict.passed]
    return tuple(dict.fromkeys((*refused, *state.get("objections", ()))))


def _order(here: Standing, job: Job) -> tuple[str, ...]:
    """Return who can work on the step, the cheapest first."""
    if here.whole:
        return (WHOLE,)
    names = [tier.name for tier in job.ladder.tiers]
    coders = tuple(f"{CODER}:{name}" for name in names)
    if here.kind not in REPAIRING:
        return coders
    # A small model repairs a function, or nothing.
    large = tuple(f"{CODER}:{t.name}" for t in job.ladder.tiers if t.level > 1 or t.capabilities.tools)
    return (SEARCH, *(f"{BUGFIX}:{name}" for name in names), *large)


Plain = tuple[RepairResult, tuple[str, ...], str, bool]


def _plain(made: Round) -> Plain:
    return made.result, made.passing, made.said, made.capped


def _round(state: RunState, job: Job, here: Standing, source: str) -> Round:
    """Ask one source."""
    agent, _, name = source.partition(":")
    if agent == WHOLE:
        return _whole(state, job)
    left = job.clock.left()
    seconds = left - gate_reserve(state["intake"], left)
    before = proposal_here(state)
    others = [one for one in _order(here, job) if before is None or one not in before.sources]
    if agent == SEARCH:
        problem = problem_of(state, job, here)
        share = SEARCH_SHARE if len(others) > (source in others) else 1.0
        try:
            made = search_round(job, problem, seconds * share, first=before is None)
        except BudgetSpent as spent:
            if not job.ladder:
                raise
            job.events.note(str(spent))
            return _nothing("", late=True)
        return _with_tests(made, written_tests(here, job))
    tier = next(tier for tier in job.ladder.tiers if tier.name == name)
    seconds = max(seconds / 2, seconds - AGENT_SECONDS) / max(1, len(others))
    try:
        if agent == BUGFIX:
            rung = job.ladder.rung(tier)
            asked = before.sources.count(source) if before else 0
            made = ask_for_fixes(job, rung, problem_of(state, job, here), _doubted(before, job), seconds, asked)
        else:
            from workflows.steps.writing import write_round

            told = objections(state) if agent == REVISION else ()
            made = write_round(job, here, job.ladder.rung(tier, tools=True), told, seconds)
    except (CallCancelled, CassetteError):
        raise
    except ModelError as error:
        return _nothing(f"{name} could not be asked: {printable(str(error))}", capped=isinstance(error, CapReached))
    return _with_tests(made, written_tests(here, job))


def _whole(state: RunState, job: Job) -> Round:
    """Return the changes of all steps as one candidate."""
    from agents.tools import changes_between

    done = [one[0] for one in accepted(state, job)]
    tree = job.tree
    for candidate in done:
        tree = apply_candidate(tree, candidate)
    changes = changes_between(job.tree, tree)
    if changes is None:
        return _nothing("the steps together change nothing")
    candidate = Candidate(
        changes.edits, "+".join(dict.fromkeys(one.origin for one in done)), "; then ".join(o.description for o in done),
        tier=max(one.tier for one in done), created=changes.created, deleted=changes.deleted,
    )  # fmt: skip
    return Round(RepairResult((Repair(candidate, 0.0),), 1, 0, 0.0, None, "exhausted"), (candidate.id,))


def _nothing(said: str, *, late: bool = False, capped: bool = False) -> Round:
    return Round(RepairResult((), 0, 0, 0.0, None, "budget" if late else "exhausted"), (), said, capped)


def _with_tests(made: Round, tests: WrittenTests | None) -> Round:
    """Return the round with each repair's change together with the new tests that show it."""
    if tests is None:
        return made
    repairs = tuple(replace(one, candidate=joined(one.candidate, tests)) for one in made.result.repairs)
    return replace(made, result=replace(made.result, repairs=repairs))


def joined(candidate: Candidate, tests: WrittenTests) -> Candidate:
    """Return a change of the tree that has the tests as a change of the tree that has not."""
    mine = {new.path for new in candidate.created}
    created: Sequence[NewFile] = (*candidate.created, *(n for n in tests.candidate.created if n.path not in mine))
    return replace(candidate, created=tuple(sorted(created, key=lambda new: new.path)))


def _doubted(before: Proposal | None, job: Job) -> list[Candidate]:
    """Return what earlier rounds found and did not stand for: it has a vote where others behave like it."""
    records = before.records if before else ()
    return [one.candidate for record in records for one in job.recorded(record, tuple)[0].doubtful]


def problem_of(state: RunState, job: Job, here: Standing) -> RepairProblem:
    """Return the failing tests of the step at work, and everything known about them."""
    before = proposal_here(state)
    refused = frozenset(before.passing) if before else frozenset()
    tests = written_tests(here, job)
    if tests is not None:
        from workflows.steps.reproduce import covered, tree_with_tests

        report, suspects = covered(here, job)
        failures = tuple(Failure(r.node_id, r.exception, r.message, r.frames) for r in report.failed())
        return RepairProblem(
            tree=tree_with_tests(here, job), harness=job.ready().harness, report=report, targets=tests.node_ids,
            suspects=suspects, failures=tuple(f for f in failures if f.node_id in tests.node_ids),
            flaky=frozenset(baseline_of(here, job).flaky), allowed=job.request.allowances.paths,
            issue=job.request.issue, refused=refused,
        )  # fmt: skip
    baseline, _ = take_baseline(job)
    suspects = cast("tuple[Suspect, ...]", job.recorded(SUSPECTS, tuple))
    measured = job.recorded(COVERAGE, TestReport)
    return RepairProblem(
        tree=here.tree, harness=job.ready().harness, report=replace(baseline.reports[0], coverage=measured.coverage),
        targets=state["intake"].targets, suspects=suspects, failures=baseline.targets,
        flaky=frozenset(state["intake"].flaky), allowed=job.request.allowances.paths, issue=job.request.issue,
        refused=refused,
    )  # fmt: skip
