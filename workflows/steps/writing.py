"""Code written by the coder: a feature, a refactoring, an upgrade, or a repair that needs more than one function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agents.coder import CoderResult, Mode, Task, write_code
from agents.conventions import conventions
from agents.loop import Bounds, LoopEvent
from agents.permissions import Guard, Permissions
from agents.results import Repair, RepairResult
from agents.tools import Toolbox
from workflows.ladder import Rung
from workflows.steps.asking import index_of
from workflows.steps.escalate import Round
from workflows.steps.places import places_of, snippets_of
from workflows.steps.reproduce import tree_with_tests
from workflows.steps.standing import PRESERVING, Standing, allowances_of, baseline_of, written_tests
from workflows.steps.trying import Trying
from workflows.wording import plural, printable

if TYPE_CHECKING:
    from workflows.job import Job

SEED = 5_000
SMALL = Bounds(steps=6, tokens=40_000, reply_tokens=3_000)
LARGE = Bounds(steps=40, tokens=600_000)


def mode_of(rung: Rung) -> Mode:
    """Return how a model works: with its own tool calls, with calls as text, or, a small one, in a single reply."""
    if rung.native:
        return "native"
    return "single" if rung.tier.level == 1 else "text"


def write_round(job: Job, here: Standing, rung: Rung, objections: Sequence[str], seconds: float) -> Round:
    """Have one model write the step's change within `seconds`; `objections` are what was wrong with an earlier one.

    Raises:
        ModelError: the index or the tier cannot be used.
        SandboxBroken: the workspace has gone.

    """
    begun = job.clock.elapsed()
    tests, tree, baseline = written_tests(here, job), tree_with_tests(here, job), baseline_of(here, job)
    targets = tests.node_ids if tests else tuple(failure.node_id for failure in baseline.targets)
    mode, index = mode_of(rung), index_of(job, tree)
    places = places_of(here, job)
    allowed = allowances_of(here, job, ())
    permissions = Permissions(
        tests=allowed.tests, new_tests=tests is None and here.kind not in PRESERVING,
        configuration=allowed.configuration, declarations=allowed.declarations, paths=allowed.paths,
    )  # fmt: skip
    more = tuple(f"this was objected to an earlier change: {printable(one)}" for one in objections)
    failing = {result.node_id for result in baseline.reports[0].failed()}
    task = Task(
        request=job.request.issue or here.step.goal, goal=here.step.goal, criteria=(*here.step.criteria, *more),
        places=places, snippets=snippets_of(here, job, index), conventions=conventions(tree, places),
        permissions=permissions, tests=targets, failing_before=frozenset(failing) - set(targets),
    )  # fmt: skip
    job.events.emit("asking", f"asking {rung.tier.name} ({rung.model.name}) to write it", tier=rung.tier.name,
                    model=rung.model.name, agent="coder", seconds=round(seconds, 1))  # fmt: skip
    with Trying(job, tree, targets, baseline.steady, baseline.reports[0].seconds) as trying:
        # An upgrade's packages are not in this workspace: tests would only say so.
        runs = here.kind != "upgrade"
        toolbox = Toolbox(
            tree, trying.workspace if runs else None, job.ready().harness if runs else None, index=index,
            guard=Guard(tree, permissions), tests=targets,
        )  # fmt: skip
        result = write_code(
            task, rung.model, toolbox, mode=mode, bounds=_bounds(rung, mode, seconds), try_out=trying if runs else None,
            tier=rung.number, seed=SEED * rung.number + 100 * here.serial + len(objections), fence=job.ladder.fence(),
            stop=job.stop, on_event=_Teller(job, rung),
        )  # fmt: skip
    repairs = tuple(
        Repair(one, -float(place), notes=(f"written by {rung.tier.name}",))
        for place, one in enumerate(result.candidates)
    )
    made = RepairResult(
        repairs, result.calls, len(result.candidates), job.clock.elapsed() - begun, None,
        "budget" if result.stopped == "seconds" else "exhausted",
    )  # fmt: skip
    passing = tuple(one.id for one in result.candidates)
    return Round(made, passing, _said(rung, result), capped=result.stopped == "cap" and not result.candidates)


def _bounds(rung: Rung, mode: Mode, seconds: float) -> Bounds:
    from dataclasses import replace

    base = SMALL if mode == "single" else LARGE
    reply = min(base.reply_tokens, rung.tier.output)
    return replace(base, seconds=seconds, context=rung.tier.capabilities.context, reply_tokens=reply)


def _said(rung: Rung, result: CoderResult) -> str:
    found = plural(len(result.candidates), "change")
    sentence = f"{rung.tier.name} ({rung.model.name}): {found} after {plural(result.calls, 'call')}"
    if result.stopped != "done":
        sentence += f"; {result.reason}"
    return printable(sentence)


class _Teller:
    """Passes on what the coder does."""

    def __init__(self, job: Job, rung: Rung) -> None:
        self._job = job
        self._rung = rung

    def __call__(self, event: LoopEvent) -> None:
        words: dict[str, Any] = {"tier": self._rung.tier.name, "calls": event.step, "tokens": event.tokens}
        self._job.events.emit("working", agent="coder", doing=printable(event.message), did=event.kind, **words)
