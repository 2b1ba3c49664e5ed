"""Which model does which work, and how agents' questions are asked in a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from agents.asking import Asker
from agents.models.deadline import Deadlined
from agents.models.errors import CassetteError, EndpointTimeout, ModelError
from workflows.ladder import Rung
from workflows.runs import cache_folder

if TYPE_CHECKING:
    from agents.context.index import History, Index
    from sandbox.tree import Tree
    from workflows.job import Job


def rungs(
    job: Job, *, dearest_first: bool = False, tools: bool = False, failures: list[str] | None = None
) -> Iterator[Rung]:
    """Yield the run's models that can be asked; one that cannot is told, added to `failures`, and left out.

    Raises:
        CassetteError: the run is recorded or replayed, and that cannot be done.

    """
    order = reversed(job.ladder.tiers) if dearest_first else job.ladder.tiers
    for tier in order:
        try:
            yield job.ladder.rung(tier, tools=tools)
        except CassetteError:
            raise
        except ModelError as error:
            job.note_once(f"model tier {tier.name} is left out: {error}")
            if failures is not None:
                failures.append(str(error))


def thinker(job: Job) -> Rung | None:
    """Return the model that plans, reviews and answers: the best one, as these are few calls that much depends on."""
    return next(rungs(job, dearest_first=True), None)


def asker(job: Job, rung: Rung, seed: int, share: float = 0.5) -> Asker:
    """Return what asks a model for one role; equal questions of different steps differ by `seed`.

    All that it asks together may take `share` of the time that is left; then its endpoint counts as one that is down.
    """
    model = Deadlined(rung.model, share * job.clock.left(), EndpointTimeout)
    return Asker(model, job.ladder.fence(), job.stop, seed=seed)


def index_of(job: Job, tree: Tree, history: History | None = None) -> Index:
    """Return the index of a tree, from the cache as far as files are known."""
    from agents.context.index import Index, index_folder

    return Index.build(tree, cache=index_folder(cache_folder()), history=history, stop=job.stop)
