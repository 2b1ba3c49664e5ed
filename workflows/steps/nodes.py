"""The steps around the gate: which repair it looks at next, which verified one is taken, and what a stranger says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agents.edits import apply_candidate
from agents.results import Candidate, Repair, RepairResult
from sandbox.workspace import diff
from workflows import routing
from workflows.errors import BudgetSpent, NoDiff
from workflows.state import Ending, Review, RunState, StateDelta, Verdict
from workflows.steps.intake import take_baseline
from workflows.steps.propose import MOST_ROUNDS, worth_another_round
from workflows.steps.review import read_as_stranger
from workflows.steps.select import Contender
from workflows.steps.select import select as select_best
from workflows.steps.verify import VerifiedPatch, judge
from workflows.verdicts import GateCase, GateReport
from workflows.wording import passing_tests, plural, printable

if TYPE_CHECKING:
    from workflows.job import Job

LEAST_SECONDS = 1.0
"""With less time left than this, no verdict is begun."""


def repairs_of(state: RunState, job: Job) -> dict[str, Repair]:
    """Return the search's repairs by their candidates' ids, best first."""
    found: dict[str, Repair] = {}
    for record in state["proposal"].records:
        result: RepairResult = job.recorded(record, tuple)[0]
        found.update({repair.candidate.id: repair for repair in result.repairs})
    return found


def case_of(state: RunState, job: Job, candidate: Candidate) -> GateCase:
    """Return all that the verdict on a candidate depends on."""
    ready = job.ready()
    intake = state["intake"]
    asked = job.settings.limits.limits()
    # A repair may not make the tests hang: several times what they took before is enough.
    wall = min(asked.wall_seconds, max(20.0, 5 * intake.base_seconds))
    return GateCase(
        base=job.tree, patch=diff(job.tree, apply_candidate(job.tree, candidate)),
        baseline=take_baseline(job)[0], harness=ready.harness, environment=ready.environment,
        limits=replace(asked, wall_seconds=wall), allowances=job.request.allowances, repeats=job.settings.repeats,
    )  # fmt: skip


def verify(state: RunState, job: Job) -> StateDelta:
    """Have the gate judge the best repair that it has not seen yet.

    Raises:
        NoDiff, BudgetSpent: none is left, or no time.

    """
    name = routing.next_candidate(state)
    record = f"gate-{name}"
    exhausted = len(state.get("verdicts", ())) >= job.settings.candidates
    spent = job.clock.left() < LEAST_SECONDS and not job.run.recorded(record)
    if name is None or exhausted or spent:
        if routing.open_verified(state):
            return {"settled": True}
        if not exhausted and not spent and worth_another_round(state, job):
            return {"again": state["proposal"].rounds + 1}
        # A search that had found enough and could not go on has run out of time, not of candidates.
        stopped_early = state["proposal"].stopped == "enough" and state["proposal"].rounds < MOST_ROUNDS
        raise nothing_verified(state, spent=not exhausted and (spent or stopped_early))
    repair = repairs_of(state, job)[name]

    def ask() -> GateReport:
        job.events.emit("note", f"proving: {repair.candidate.description}", candidate=name)
        return judge(case_of(state, job, repair.candidate), job.ready().sandbox, job.events.note)

    report = job.once(record, ask)
    refused = next((check for check in report.checks if not check.passed), None)
    verdict = Verdict(
        candidate=name, record=record, passed=report.passed,
        check=refused.name if refused else "", reason=refused.reason if refused else "",
        details=refused.details if refused else (),
        flags=tuple(check.reason for check in report.checks if check.passed and check.flagged),
    )  # fmt: skip
    text = f"proved: {repair.candidate.description}" if verdict.passed else f"refused: {verdict.reason}"
    job.events.emit("verdict", text, candidate=name, passed=verdict.passed, check=verdict.check, reason=verdict.reason)
    return {"verdicts": (verdict,)}


def nothing_verified(state: RunState, *, spent: bool = False) -> NoDiff | BudgetSpent:
    """Return the error that says, with the best evidence there is, why nothing was verified."""
    proposal, verdicts = state["proposal"], state.get("verdicts", ())
    tried = f"{plural(proposal.tried, 'candidate')} tried in {proposal.seconds:.0f} s"
    if verdicts:
        told = "; ".join(f"{v.candidate}: {v.reason}" for v in verdicts[:3])
        found = plural(len(verdicts), "repair")
        why = f"{tried}; {found} made the targets pass in the search, but the gate refused: {told}"
    elif proposal.candidates:
        why = f"{tried}; {plural(len(proposal.candidates), 'repair')} found, but no time was left to prove one"
    else:
        why = f"{tried}, and none made the failing tests pass"
    if proposal.doubtful:
        why += f"; left out, as it may well be wrong: {proposal.doubtful[0]}"
    suspicion = state.get("suspicion")
    if suspicion and suspicion.top:
        places = ", ".join(f"{printable(s.path)}:{s.line} ({s.function})" for s in suspicion.top[:3])
        why += f". The fault is most likely near {places}"
    elif suspicion:
        why += ". No line of the repository, tests aside, was seen to run in them"
    if spent or (proposal.stopped == "budget" and routing.next_candidate(state) is None):
        return BudgetSpent(f"the budget was spent before anything was verified: {why}; give more time with --budget")
    return NoDiff(f"no diff could be verified: {why}")


def select(state: RunState, job: Job) -> StateDelta:
    """Take the best of the verified candidates, by evidence alone."""
    repairs = repairs_of(state, job)
    selection = select_best([Contender(repairs[name], report_of(job, name)) for name in routing.open_verified(state)])
    chosen = selection.chosen.repair.candidate
    job.events.emit("selected", candidate=chosen.id, description=chosen.description, reasons=list(selection.reasons))
    return {"chosen": chosen.id, "reasons": selection.reasons}


def review(state: RunState, job: Job) -> StateDelta:
    """Read the diff as a stranger; what should not be merged is refused, and the next candidate has its turn."""
    name = state["chosen"]
    case = case_of(state, job, repairs_of(state, job)[name].candidate)
    remarks = read_as_stranger(case, report_of(job, name))
    blocking = [str(remark) for remark in remarks if remark.blocking]
    told = tuple(str(remark) for remark in remarks)
    job.events.emit(
        "review", f"a reader would refuse it: {blocking[0]}" if blocking else "", accepted=not blocking,
        remarks=list(told),
    )  # fmt: skip
    return {"review": Review(not blocking, told), "rejected": (name,) if blocking else ()}


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
