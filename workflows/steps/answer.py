"""A question answered from the repository, with the lines that the answer rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.models.errors import CallCancelled, CassetteError, ModelError
from agents.results import Answer
from workflows.state import RunState, StateDelta
from workflows.steps.asking import asker, index_of, thinker
from workflows.wording import printable

if TYPE_CHECKING:
    from workflows.job import Job

SEED = 700


def answer(state: RunState, job: Job) -> StateDelta:  # noqa: ARG001 - every step has this shape
    """Answer what was asked."""
    found = answered(job)
    job.events.emit("answer", origin=found.origin, citations=[str(one) for one in found.citations])
    return {"answer": found}


def answered(job: Job) -> Answer:
    """Return the answer to the run's request, from the index alone where no model can be asked."""
    return job.once("answer", lambda: _asked(job))


def _asked(job: Job) -> Answer:
    from dataclasses import replace

    from agents import answerer

    index = index_of(job, job.tree)
    rung = thinker(job, small=True)
    if rung is not None:
        job.events.emit("asking", f"asking {rung.tier.name} ({rung.model.name})", tier=rung.tier.name,
                        model=rung.model.name, agent="answerer")  # fmt: skip
        try:
            return answerer.answer(job.request.issue, index, asker(job, rung, SEED, 0.9))
        except (CallCancelled, CassetteError):
            raise
        except ModelError as error:
            note = f"The model could not be asked: {error}."
            found = answerer.answer(job.request.issue, index, None)
            return replace(found, notes=(*found.notes, note))
    return answerer.answer(job.request.issue, index, None)


def answer_text(found: Answer, lines: int = 6) -> str:
    """Return an answer as a person reads it: its text, or without one the passages that fit best."""
    parts = [printable(found.text)] if found.text else []
    if not found.text and found.citations:
        parts.append("these places fit best:")
        parts += [
            f"  {one}{f'  {printable(one.symbol)}' if one.symbol else ''}" for one in found.citations[: lines * 2]
        ]
    if not parts and not found.notes:
        parts.append("nothing in the repository fits the question")
    parts += [f"({printable(note)})" for note in found.notes]
    return "\n".join(parts)
