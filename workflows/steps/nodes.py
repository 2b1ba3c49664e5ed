"""The steps around the gate: which repair it looks at next, which verified one is taken, and what a stranger says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.edits import apply_candidate
from agents.results import Candidate, Repair, RepairResult
from sandbox.limits import Limits
from sandbox.workspace import diff
from workflows import routing
from workflows.errors import BudgetSpent, NoDiff
from workflows.state import Ending, Review, RunState, StateDelta, Verdict
from workflows.steps.intake import BASELINE
from workflows.steps.verify import VerifiedPatch, judge
from workflows.verdicts import Baseline, GateCase, GateReport
from workflows.wording import plural, printable

if TYPE_CHECKING:
    from workflows.job import Job

LEAST_SECONDS = 1.0
"""With less time left than this, no verdict is begun."""


def repairs_of(state: RunState, job: Job) -> dict[str, Repair]:
    """Return the search's repairs by their candidates' ids, best first."""
    result = job.recorded(state["proposal"].record, RepairResult)
    return {repair.candidate.id: repair for repair in result.repairs}


def case_of(state: RunState, job: Job, candidate: Candidate) -> GateCase:
    """Return all that the verdict on a candidate depends on."""
    ready = job.ready()
    intake = state["intake"]
    asked = job.settings.limits.limits()
    # A repair may not make the tests hang: several times what they took before is enough.
    wall = min(asked.wall_seconds, max(20.0, 5 * intake.base_seconds))
    limits = Limits(wall, asked.memory_bytes, asked.cpus, asked.pids, asked.disk_bytes, asked.file_bytes)
    return GateCase(
        base=job.tree, patch=diff(job.tree, apply_candidate(job.tree, candidate)),
        baseline=job.recorded(BASELINE, Baseline), harness=ready.harness, environment=ready.environment,
        limits=limits, allowances=job.request.allowances, repeats=job.settings.repeats,
    )  # fmt: skip


def verify(state: RunState, job: Job) -> StateDelta:
    """Have the gate judge the best repair that it has not seen yet.

    Raises:
        NoDiff, BudgetSpent: none is left, or no time.

    """
    name = routing.next_candidate(state)
    seen = state.get("verdicts", ())
    if name is None or len(seen) >= job.settings.candidates:
        raise nothing_verified(state)
    record = f"gate-{name}"
    if job.clock.left() < LEAST_SECONDS and not job.run.recorded(record):
        raise nothing_verified(state, spent=True)
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
    suspicion = state.get("suspicion")
    if suspicion and suspicion.top:
        places = ", ".join(f"{printable(s.path)}:{s.line} ({s.function})" for s in suspicion.top[:3])
        why += f". The fault is most likely near {places}"
    if spent or (proposal.stopped == "budget" and routing.next_candidate(state) is None):
        return BudgetSpent(f"the budget was spent before anything was verified: {why}; give more time with --budget")
    return NoDiff(f"no diff could be verified: {why}")


def select(state: RunState, job: Job) -> StateDelta:  # noqa: ARG001 - every step has this shape
    """Take the verified candidate that the search ranked best."""
    return {"chosen": routing.open_verified(state)[0]}


def review(state: RunState, job: Job) -> StateDelta:  # noqa: ARG001 - every step has this shape
    """Read the diff as a stranger."""
    return {"review": Review(True)}


def verified(state: RunState, job: Job) -> VerifiedPatch:
    """Return the chosen patch as what may leave the system.

    Raises:
        NotVerified: the recorded report does not bear it out.

    """
    candidate = repairs_of(state, job)[state["chosen"]].candidate
    report = job.recorded(f"gate-{state['chosen']}", GateReport)
    return VerifiedPatch.from_report(report, case_of(state, job, candidate))


def failure_summary(state: RunState, ending: Ending) -> str:
    """Return, as Markdown, what was found before a run ended without a diff."""
    lines = ["## No diff", "", printable(ending.message)]
    if intake := state.get("intake"):
        flaky = f"; flaky, set aside: {', '.join(map(printable, intake.flaky))}" if intake.flaky else ""
        lines += ["", f"Base {intake.commit[:12]}, {plural(intake.passed, 'test')} pass{flaky}. To repair:", ""]
        lines += [f"- `{printable(target)}`" for target in intake.targets]
    if suspicion := state.get("suspicion"):
        lines += ["", "Most suspicious lines:", "", "| place | in | score |", "|---|---|---:|"]
        lines += [f"| {printable(s.path)}:{s.line} | {s.function} | {s.score:.2f} |" for s in suspicion.top]
    if verdicts := state.get("verdicts"):
        lines += ["", "What the gate refused:", "", "| candidate | condition | reason |", "|---|---|---|"]
        lines += [f"| {v.candidate} | {v.check} | {_cell(v.reason)} |" for v in verdicts if not v.passed]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return printable(text).replace("|", "\\|").replace("\n", " ")
