"""The steps around the gate: which repair it looks at next, which verified one is taken, and what a stranger says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agents.edits import apply_candidate
from agents.models.errors import CallCancelled, CassetteError, ModelError
from agents.results import Candidate, Repair, RepairResult, Reviewed
from sandbox.errors import EnvironmentFailed
from sandbox.protocol import Environment
from sandbox.tree import Tree
from sandbox.workspace import diff
from workflows import routing
from workflows.errors import BudgetSpent, NoDiff
from workflows.gate.declaring import from_addresses, new_names
from workflows.job import environment_definition
from workflows.state import Done, Ending, Review, RunState, StateDelta, Verdict
from workflows.steps.plan import Reason, another_plan
from workflows.steps.propose import MOST_ROUNDS, SEARCH, next_source, proposal_here
from workflows.steps.review import read_as_stranger
from workflows.steps.select import Contender
from workflows.steps.select import select as select_best
from workflows.steps.standing import (
    Standing,
    added_targets,
    allowances_of,
    baseline_of,
    claim_of,
    named_in,
    standing,
)
from workflows.steps.verify import VerifiedPatch, judge
from workflows.verdicts import Check, GateCase, GateReport
from workflows.wording import passing_tests, plural, printable

if TYPE_CHECKING:
    from workflows.job import Job

LEAST_SECONDS = 1.0
"""With less time left than this, no verdict is begun."""


def repairs_of(state: RunState, job: Job) -> dict[str, Repair]:
    """Return the repairs for the step at work by their names, best first."""
    here, proposal = standing(state, job), proposal_here(state)
    found: dict[str, Repair] = {}
    for record in proposal.records if proposal else ():
        result: RepairResult = job.recorded(record, tuple)[0]
        found.update({here.name(repair.candidate): repair for repair in result.repairs})
    return found


def case_of(state: RunState, job: Job, candidate: Candidate) -> GateCase:
    """Return all that the verdict on a candidate depends on."""
    here, ready = standing(state, job), job.ready()
    baseline = baseline_of(here, job)
    added, files = added_targets(here, state, job)
    asked = job.settings.limits.limits()
    # A repair may not make the tests hang: several times what they took before is enough.
    wall = min(asked.wall_seconds, max(20.0, 5 * state["intake"].base_seconds))
    after = apply_candidate(here.tree, candidate)
    return GateCase(
        base=here.tree, patch=diff(here.tree, after), baseline=baseline,
        harness=ready.harness, environment=ready.environment, limits=replace(asked, wall_seconds=wall),
        allowances=allowances_of(here, job, files), repeats=job.settings.repeats,
        claim=claim_of(baseline, added), added_targets=added, environment_after=upgraded(here, job, after),
    )  # fmt: skip


def upgraded(here: Standing, job: Job, after: Tree) -> Environment | None:
    """Return what an upgraded tree declares, installed; None where it declares what the base does.

    Raises:
        EnvironmentFailed: it cannot be installed, or is nothing that the repository or the request speaks of.

    """
    if here.kind != "upgrade":
        return None
    ready, definition = job.ready(), environment_definition(after, job.settings)
    if fetched := from_addresses(ready.definition, definition):
        raise EnvironmentFailed(f"{fetched[0][:200]} would be fetched from an address that was not declared before")
    unasked = set(fresh := new_names(ready.definition, definition)) - set(named_in(job.request.issue, fresh))
    if unasked:
        raise EnvironmentFailed(f"{min(unasked)[:200]} is declared anew, and the request does not name it")
    return None if definition == ready.definition else ready.sandbox.prepare(definition, job.events.note)


def verify(state: RunState, job: Job) -> StateDelta:
    """Have the gate judge the best repair that it has not seen yet.

    Raises:
        NoDiff, BudgetSpent: none is left, or no time.

    """
    name = routing.next_candidate(state)
    record = f"gate-{name}"
    exhausted = len(routing.verdicts_here(state)) >= job.settings.candidates
    spent = job.clock.left() < LEAST_SECONDS and not job.run.recorded(record)
    if name is None or exhausted or spent:
        if routing.open_verified(state):
            return {"settled": True}
        if not exhausted and not spent and next_source(state, job) is not None:
            return {"again": state["proposal"].rounds + 1}
        if routing.open_verified({**state, "overruled": True}):
            # It is verified, and nothing came that a reader likes better: the person is told what was objected to.
            return {"settled": True, "overruled": True}
        # A search that had found enough and could not go on has run out of time, not of candidates.
        proposal = state["proposal"]
        stopped_early = proposal.stopped == "enough" and proposal.sources.count(SEARCH) == proposal.rounds < MOST_ROUNDS
        stop = nothing_verified(state, spent=not exhausted and (spent or stopped_early))
        another = None if isinstance(stop, BudgetSpent) else another_plan(state, job, *_what_happened(state))
        if another is None:
            raise stop
        return another
    repair = repairs_of(state, job)[name]

    def ask() -> GateReport:
        job.events.emit("note", f"proving: {repair.candidate.description}", candidate=name)
        try:
            case = case_of(state, job, repair.candidate)
        except EnvironmentFailed as error:
            reason = f"What the patched tree declares cannot be installed: {str(error).rstrip('.')}."
            return GateReport(b"", (Check("environment", False, reason, (error.output[-2000:],)),), ())
        return judge(case, job.ready().sandbox, job.events.note)

    report = job.once(record, ask)
    refused = telling(report)
    verdict = Verdict(
        candidate=name, record=record, passed=report.passed,
        check=refused.name if refused else "", reason=refused.reason if refused else "",
        details=refused.details if refused else (),
        flags=tuple(check.reason for check in report.checks if check.passed and check.flagged),
    )  # fmt: skip
    text = f"proved: {repair.candidate.description}" if verdict.passed else f"refused: {verdict.reason}"
    job.events.emit("verdict", text, candidate=name, passed=verdict.passed, check=verdict.check, reason=verdict.reason)
    return {"verdicts": (verdict,)}


def _what_happened(state: RunState) -> tuple[Reason, str]:
    """Return why the step at work came to nothing, for another plan."""
    refused = [verdict.reason for verdict in routing.verdicts_here(state) if not verdict.passed]
    if refused:
        return "gate refused", "; ".join(refused[-3:])
    return "cannot be written", "; ".join(state["proposal"].said) or "nothing was found that passes the tests"


def telling(report: GateReport) -> Check | None:
    """Return the failed condition that says most, None where all hold.

    That there was no reason to make all runs of the base says less than that the added tests fail with the patch.
    """
    failed = [check for check in report.checks if not check.passed]
    return min(failed, key=lambda c: c.name == "added-failed-before" and not c.details, default=None)


def nothing_verified(state: RunState, *, spent: bool = False) -> NoDiff | BudgetSpent:
    """Return the error that says, with the best evidence there is, why nothing was verified."""
    proposal, verdicts = state["proposal"], routing.verdicts_here(state)
    tried = f"{plural(proposal.tried, 'candidate')} tried in {proposal.seconds:.0f} s"
    if verdicts:
        told = "; ".join(f"{v.candidate}: {v.reason}" for v in verdicts[:3])
        found = plural(len(verdicts), "repair")
        why = f"{tried}; {found} made the targets pass in the search, but the gate refused: {told}"
    elif proposal.candidates:
        why = f"{tried}; {plural(len(proposal.candidates), 'repair')} found, but no time was left to prove one"
    else:
        why = f"{tried}, and none made the failing tests pass"
    if proposal.said:
        why += f". Models: {'; '.join(proposal.said)}"
    if proposal.doubtful:
        why += f"; left out, as it may well be wrong: {proposal.doubtful[0]}"
    suspicion = state.get("suspicion")
    if suspicion and suspicion.top:
        places = ", ".join(f"{printable(s.path)}:{s.line} ({s.function})" for s in suspicion.top[:3])
        why += f". The fault is most likely near {places}"
    elif suspicion:
        why += ". No line of the repository, tests aside, was seen to run in them"
    if proposal.capped:
        return BudgetSpent(f"a cap on what models may cost was reached before anything was verified: {why}")
    if spent or (proposal.stopped == "budget" and routing.next_candidate(state) is None):
        return BudgetSpent(f"the budget was spent before anything was verified: {why}; give more time with --budget")
    return NoDiff(f"no diff could be verified: {why}")


def select(state: RunState, job: Job) -> StateDelta:
    """Take the best of the verified candidates, by evidence alone."""
    repairs = repairs_of(state, job)
    selection = select_best([Contender(repairs[name], report_of(job, name)) for name in routing.open_verified(state)])
    chosen = selection.chosen.repair.candidate
    name = standing(state, job).name(chosen)
    job.events.emit("selected", candidate=name, description=chosen.description, reasons=list(selection.reasons))
    return {"chosen": name, "reasons": selection.reasons}


def review(state: RunState, job: Job) -> StateDelta:
    """Read the diff as a stranger; what should not be merged is refused, and the next candidate has its turn.

    What a model objects to goes back to the writer once; where nothing better comes of that, it is told the person.
    """
    name, here = state["chosen"], standing(state, job)
    candidate = repairs_of(state, job)[name].candidate
    case = case_of(state, job, candidate)
    remarks = read_as_stranger(case, report_of(job, name))
    blocking = [str(remark) for remark in remarks if remark.blocking]
    read = model_review(state, job, here, candidate) if not blocking else None
    objected = tuple(str(finding) for finding in read.objections) if read else ()
    told = tuple(dict.fromkeys((*map(str, remarks), *map(str, read.findings if read else ()))))
    # An objection is worth another candidate only where one can come.
    back = bool(objected) and not state.get("overruled") and not here.whole
    accepted = not blocking and not back
    text = f"a reader would refuse it: {blocking[0]}" if blocking else ""
    if back:
        text = f"a reader objects: {printable(objected[0])}"
    job.events.emit("review", text, accepted=accepted, remarks=list(told))
    delta: dict[str, object] = {"review": Review(accepted, told), "rejected": (name,) if blocking else ()}
    if back:
        return delta | {"objected": (name,), "objections": objected}
    return delta | (_step_done(state, job, here, candidate) if accepted and here.steps > 1 else {})


def _step_done(state: RunState, job: Job, here: Standing, candidate: Candidate) -> dict[str, object]:
    """Go on to the plan's next step, which is worked on with this one's change."""
    if here.whole:
        return {"at": here.steps + 1}
    record = here.record("accepted")
    added, files = added_targets(here, state, job)
    job.once(record, lambda: (candidate, added, files))
    goal = printable(here.step.goal)
    job.events.emit("step-done", f"done ({here.number + 1} of {here.steps}): {goal}", step=here.number, goal=goal)
    return {"at": here.number + 1, "done": (*state.get("done", ()), Done(here.number, record, candidate.description))}


def model_review(state: RunState, job: Job, here: Standing, candidate: Candidate) -> Reviewed | None:
    """Have a model read what a model wrote; None where neither was at work, or none can be asked."""
    if candidate.tier == 0 or not job.ladder or job.request.purpose == "fix":
        return None
    from agents.reviewer import ReviewTask
    from agents.reviewer import review as read
    from workflows.steps.asking import asker, thinker

    def ask() -> Reviewed:
        rung = thinker(job)
        task = ReviewTask(job.request.issue, here.tree, apply_candidate(here.tree, candidate), state.get("plan"))
        try:
            return read(task, None if rung is None else asker(job, rung, 900 + here.serial, 0.9))
        except (CallCancelled, CassetteError):
            raise
        except ModelError as error:
            return replace(read(task, None), notes=(f"no model read it: {error}",))

    return job.once(f"review-{here.name(candidate)}", ask)


def report_of(job: Job, candidate: str) -> GateReport:
    """Return what the gate said about a candidate."""
    return job.recorded(f"gate-{candidate}", GateReport)


def verified(state: RunState, job: Job) -> tuple[VerifiedPatch, GateCase]:
    """Return the chosen patch as what may leave the system, and what it was judged on.

    Raises:
        NotVerified: the recorded report does not bear it out.

    """
    candidate = repairs_of(state, job)[state["chosen"]].candidate
    case = case_of(state, job, candidate)
    return VerifiedPatch.from_report(report_of(job, state["chosen"]), case), case


def failure_summary(state: RunState, ending: Ending) -> str:
    """Return, as Markdown, what was found before a run ended without a diff."""
    lines = ["## No diff", "", printable(ending.message)]
    if intake := state.get("intake"):
        flaky = f"; flaky, set aside: {', '.join(map(printable, intake.flaky))}" if intake.flaky else ""
        lines += ["", f"Base {intake.commit[:12]}, {passing_tests(intake.passed)}{flaky}. To repair:", ""]
        lines += [f"- `{printable(target)}`" for target in intake.targets]
    if (suspicion := state.get("suspicion")) and suspicion.top:
        lines += ["", "Most suspicious lines:", "", "| place | in | score |", "|---|---|---:|"]
        lines += [f"| {printable(s.path)}:{s.line} | {s.function} | {s.score:.2f} |" for s in suspicion.top]
    if (proposal := state.get("proposal")) and proposal.doubtful:
        lines += ["", "What passed, but may well be wrong:", ""]
        lines += [f"- {printable(description)}" for description in proposal.doubtful]
    if verdicts := state.get("verdicts"):
        lines += ["", "What the gate refused:", "", "| candidate | condition | reason |", "|---|---|---|"]
        lines += [f"| {v.candidate} | {v.check} | {_cell(v.reason)} |" for v in verdicts if not v.passed]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return printable(text).replace("|", "\\|").replace("\n", " ")
