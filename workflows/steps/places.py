"""Which functions a step of a plan is about, from everything that points to them; asks no model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.coder import Snippet
from agents.results import Suspect
from workflows.steps.asking import index_of
from workflows.steps.standing import Standing, baseline_of

if TYPE_CHECKING:
    from agents.context.index import Index
    from workflows.job import Job

KEPT = 20
SHOWN = 4
"""Places that are shown where a plan names none, and pieces of code beside those that it names."""
MOST_LINES = 80


def ranked(here: Standing, job: Job) -> tuple[Suspect, ...]:
    """Return the functions that the step is probably about, best first."""

    def rank() -> tuple[Suspect, ...]:
        from agents.context.history import History
        from agents.localiser import LocaliseTask, localise
        from sandbox.history import read_history

        baseline = baseline_of(here, job)
        index = index_of(job, here.tree, History(read_history(job.snapshot.repository, start=job.snapshot.commit)))
        targets = tuple(failure.node_id for failure in baseline.targets)
        request = f"{here.step.goal}\n{job.request.issue}"[:20_000]
        report = baseline.reports[0] if targets else None
        return localise(LocaliseTask(index, request, report, targets)).functions[:KEPT]

    return job.once(here.record("places"), rank)


def places_of(here: Standing, job: Job) -> tuple[str, ...]:
    """Return where to work: what the plan names, else what everything points to, as `path::function`."""
    return here.step.places or tuple(f"{one.path}::{one.function}" for one in ranked(here, job)[:SHOWN])


def snippets_of(here: Standing, job: Job, index: Index) -> tuple[Snippet, ...]:
    """Return the code of the functions that the step is probably about, and that its plan does not name."""
    named = {place.replace("::", " ", 1) for place in here.step.places}
    found: list[Snippet] = []
    for one in ranked(here, job):
        if f"{one.path} {one.function}" in named or len(found) == SHOWN:
            continue
        symbol = next((s for s in index.symbols_of(one.path) if s.qualified == one.function), None)
        if symbol is not None:
            lines = index.lines(one.path)[symbol.first - 1 : min(symbol.last, symbol.first - 1 + MOST_LINES)]
            found.append(Snippet(one.path, symbol.first, "\n".join(lines), "it fits the request"))
    return tuple(found)
