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
    from agents.models.tiers import Tier
    from sandbox.tree import Tree
    from workflows.job import Job


def rungs(
    job: Job, *, only: Tier | None = None, tools: bool = False, failures: list[str] | None = None
) -> Iterator[Rung]:
    """Yield the run's models that can be asked; one that cannot is told, added to `failures`, and left out.

    Raises:
        CassetteError: the run is recorded or replayed, and that cannot be done.

    """
    for tier in job.ladder.tiers if only is None else (only,):
        try:
            yield job.ladder.rung(tier, tools=tools)
        except CassetteError:
            raise
        except ModelError as error:
            job.note_once(f"model tier {tier.name} is left out: {error}")
            if failures is not None:
                failures.append(str(error))


def thinker(job: Job, *, small: bool = False) -> Rung | None:
    """Return the model that plans, reviews and answers: the best one, as these are few calls that much depends on.

    Where only models are at hand that keep to no tools, what they say of plans and diffs is worth less than the rules:
    None, unless `small` wants even such a one.
    """
    for tier in reversed(job.ladder.tiers):
        if tier.level == 1 and tier.capabilities.tools is False and not small:
            continue
        for rung in rungs(job, only=tier, tools=tier.level == 1 and not small):
            if small or rung.tier.level > 1 or rung.native:
                return rung
    return None


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
