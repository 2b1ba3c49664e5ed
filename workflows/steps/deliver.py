"""What leaves the system: each side effect is recorded, happens once, and may be repeated after a crash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from agents.plan_text import plan_text
from sandbox.workspace import apply
from workflows.archives import read_files, write_files
from workflows.bundle import NAMES, Story, bundle_files
from workflows.errors import NoDiff
from workflows.job import environment_definition
from workflows.runs import step_times, write_whole
from workflows.state import Delivery, RunState, StateDelta
from workflows.steps.answer import answer_text
from workflows.steps.nodes import failure_summary, repairs_of, verified
from workflows.verdicts import GateCase, Mutation
from workflows.wording import listed, passing_tests, plural, printable
from workflows.working_tree import make_change

if TYPE_CHECKING:
    from workflows.job import Job


def deliver(state: RunState, job: Job) -> StateDelta:
    """Write the patch, the evidence, and what the request asks for; or, without a diff, only the summary."""
    folder, request = job.run.folder, job.request
    if (ending := state.get("ending")) is not None:
        summary = failure_summary(state, ending)
        if (cost := cost_of(job)) is not None:
            summary += f"\n{cost[:1].upper()}{cost[1:]}.\n"
        job.once("deliver-summary", lambda: _written(folder / "summary.md", summary.encode()))
        return {}
    if "answer" in state or request.purpose == "plan":
        found = answer_text(state["answer"]) if "answer" in state else plan_text(state["plan"])
        job.once("deliver-summary", lambda: _written(folder / "summary.md", found.encode("utf-8", "backslashreplace")))
        return {}
    patch, case = verified(state, job)
    files = job.tree.changed_paths(apply(job.tree, patch.patch))
    mutation = job.once("mutants", lambda: mutants_tried(job, case))
    if (reason := too_few_noticed(mutation, job.settings.min_mutation)) is not None:
        raise NoDiff(reason)
    evidence = bundle_files(patch, case, replace(_story(state, job, case), mutation=mutation))
    bundle, written = folder / "bundle", []
    job.once("deliver-patch", lambda: _written(folder / "patch.diff", patch.patch))
    job.once("deliver-bundle", lambda: _bundled(bundle, evidence))
    told = _told(state, job, case, files, mutation).encode("utf-8", "backslashreplace")
    job.once("deliver-result", lambda: _written(folder / "result.txt", told))
    if target := request.bundle:
        written.append(job.once("deliver-bundle-copy", lambda: _bundled(Path(target), _files_of(bundle))))
    if output := request.output:
        written.append(job.once("deliver-output", lambda: _written(Path(output), patch.patch, 0o644)))
    if request.apply:
        after = apply(job.tree, patch.patch)
        job.once("deliver-apply", lambda: str(make_change(job.snapshot.repository, job.tree, after)))
    digest = hashlib.sha256(patch.patch).hexdigest()
    job.events.emit("delivered", files=list(files), patch=digest, applied=request.apply, written=written)
    return {"delivery": Delivery(digest, str(bundle), files, request.apply, tuple(written))}


def mutants_tried(job: Job, case: GateCase) -> Mutation:
    """Try mutants of a verified patch's lines, in the time that is left of the run's."""
    from workflows.gate.mutating import LEAST_SECONDS, SECONDS, try_faults

    demanded = job.settings.min_mutation is not None
    seconds = min(SECONDS, max(job.clock.left(), LEAST_SECONDS if demanded else 0.0))
    if seconds < LEAST_SECONDS:
        return Mutation(0, 0, 0, 0, why="no time was left")
    return try_faults(case, job.ready().sandbox, job.events.note, seconds=seconds)


def too_few_noticed(mutation: Mutation, demanded: float | None) -> str | None:
    """Return why a verified patch is refused all the same; None where it is not."""
    if demanded is None or (mutation.share is None and not mutation.made):
        return None
    if mutation.share is None:
        return f"--min-mutation demands {demanded:.0%}, but no mutant could be judged: {mutation.why or 'none imports'}"
    if mutation.share >= demanded:
        return None
    missed = "; ".join(printable(one) for one in mutation.missed[:3])
    return (
        f"the diff passes the gate, but its tests notice only {mutation.caught} of "
        f"{plural(mutation.judged, 'mutant')} of the changed lines, and --min-mutation demands {demanded:.0%}; "
        f"not noticed: {missed}"
    )


def _story(state: RunState, job: Job, case: GateCase) -> Story:
    """Return what led to the patch."""
    intake, proposal, verdicts = state["intake"], state["proposal"], state["verdicts"]
    candidate = repairs_of(state, job)[state["chosen"]].candidate
    after = None
    if case.environment_after is not None:
        after = environment_definition(apply(case.base, case.patch), job.settings)
    plan = state["plan"]
    planned = [f"plan ({plan.kind}, by {plan.origin}): {'; '.join(step.goal for step in plan.steps)}"]
    steps = [
        f"intake: {plural(len(intake.targets), 'failing test')}, {passing_tests(intake.passed)}; {intake.harness}",
        *(planned if job.request.purpose != "fix" else []),
        *(f"done: {one.description}" for one in state.get("done", ())),
        f"localise: {plural(state['suspicion'].total, 'suspicious line' if case.baseline.targets else 'place')}",
        f"propose: {plural(proposal.tried, 'candidate')} tried, {plural(len(proposal.candidates), 'repair')} found",
        *(f"model {said}" for said in proposal.said),
        *(f"verify {v.candidate}: {'passed' if v.passed else f'refused ({v.check}): {v.reason}'}" for v in verdicts),
        f"select {candidate.id}: {', '.join(state['reasons'])}",
    ]
    spent = job.ladder.spent() if job.ladder else None
    return Story(
        commit=intake.commit, uncommitted=job.snapshot.uncommitted, definition=job.ready().definition,
        origin=candidate.origin, description=candidate.description, generated=proposal.generated,
        tried=proposal.tried, judged=len(verdicts), tier=candidate.tier, steps=tuple(map(printable, steps)),
        durations={step: round(seconds, 3) for step, _, seconds in step_times(job.run)},
        remarks=state["review"].remarks, cost=spent.micro / 1_000_000 if spent else 0.0,
        demanded=job.settings.min_mutation, tokens=spent.tokens if spent else 0,
        calls=spent.calls if spent else 0, definition_after=after,
    )  # fmt: skip


def cost_of(job: Job) -> str | None:
    """Return what the run's models cost, in words; None where none was asked."""
    from agents.models.ledger import money

    spent = job.ladder.spent() if job.ladder else None
    if spent is None or not spent.calls:
        return None
    priced = f", {money(spent.micro)}" if spent.micro else ""
    return f"models: {plural(spent.calls, 'call')}, {spent.tokens:,} tokens{priced}"


def _files_of(bundle: Path) -> dict[str, bytes]:
    return read_files(bundle, NAMES)


def _bundled(target: Path, files: Mapping[str, bytes]) -> str:
    """Write a bundle, unless a crash came between its writing and its record."""
    if target.exists() and _files_of(target).keys() == files.keys():
        return str(target)
    return str(write_files(target, files))


def _written(path: Path, data: bytes, mode: int = 0o600) -> str:
    write_whole(path, data, mode)
    return str(path)


def _told(state: RunState, job: Job, case: GateCase, files: tuple[str, ...], mutation: Mutation) -> str:
    """Return what a person reads at the end."""
    intake = state["intake"]
    proved = []
    if case.baseline.targets:
        proved.append(f"{plural(len(case.baseline.targets), 'failing test')} repaired")
    if case.added_targets:
        new = plural(len(case.added_targets), "new test")
        proved.append(
            f"{new} that failed without the change and {'passes' if new.startswith('1 ') else 'pass'} with it"
        )
    if intake.passed or not proved:
        proved.append(passing_tests(intake.passed, "still "))
    lines = [
        f"verified in a fresh {intake.backend} sandbox: {', '.join(proved)}",
        f"changed: {listed(files)}",
        *(f"look at this: {remark}" for remark in state["review"].remarks),
    ]
    if mutation.judged:
        lines.append(f"the tests notice {mutation.caught} of {plural(mutation.judged, 'mutant')} of the changed lines")
    if (cost := cost_of(job)) is not None:
        lines.append(cost)
    if intake.flaky:
        lines.append(f"flaky, set aside: {listed(intake.flaky)}")
    if intake.dirty:
        lines.append("the diff is on top of your uncommitted changes")
    lines.append(f"evidence: greendiff show {job.run.id}; in {job.run.folder / 'bundle'}")
    return "\n".join(lines)
