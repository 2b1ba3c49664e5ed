"""The whole graph on one screen: from a request to a delivered diff."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

# The library that LangGraph is built on sends traces over the network where these say so; ours never does.
os.environ.update(LANGSMITH_TRACING="false", LANGSMITH_TRACING_V2="false", LANGCHAIN_TRACING_V2="false")

from langgraph.graph import END, START, StateGraph

from sandbox.errors import TestsUnrunnable
from workflows import faults, routing
from workflows.checkpoints import open_saver
from workflows.errors import BudgetSpent, NoDiff, TestsUnusable, Usage
from workflows.state import Ending, Request, RunState, StateDelta
from workflows.steps import answer, deliver, intake, localise, nodes, plan, propose

if TYPE_CHECKING:
    from workflows.job import Job

Work = Callable[[RunState, "Job"], StateDelta]


class Node(Protocol):
    """A step as LangGraph calls it."""

    def __call__(self, state: RunState) -> dict[str, Any]:
        """Return the keys of the state that change."""
        ...


STEPS: dict[str, Work] = {
    "intake": intake.intake,
    "plan": plan.plan,
    "answer": answer.answer,
    "localise": localise.localise,
    "propose": propose.propose,
    "verify": nodes.verify,
    "select": nodes.select,
    "review": nodes.review,
    "deliver": deliver.deliver,
}


def build(job: Job) -> StateGraph[RunState, None, RunState, RunState]:
    """Return the graph; `job` gives its steps the sandbox, the clock and the records."""
    graph = StateGraph(RunState)
    for name, work in STEPS.items():
        graph.add_node(name, _node(name, work, job))
    graph.add_conditional_edges(START, routing.first, ["intake", "answer"])
    graph.add_conditional_edges("intake", routing.after_intake, ["plan", "deliver"])
    graph.add_conditional_edges("plan", routing.after_plan, ["localise", "answer", "deliver"])
    graph.add_edge("answer", "deliver")
    graph.add_conditional_edges("localise", routing.after_localise, ["propose", "localise", "deliver"])
    graph.add_conditional_edges("propose", routing.after_propose, ["verify", "deliver"])
    graph.add_conditional_edges("verify", routing.after_verify, ["verify", "propose", "localise", "select", "deliver"])
    graph.add_edge("select", "review")
    graph.add_conditional_edges("review", routing.after_review, ["verify", "select", "localise", "deliver"])
    graph.add_edge("deliver", END)
    return graph


def _node(name: str, work: Work, job: Job) -> Node:
    def node(state: RunState) -> dict[str, Any]:
        faults.point(f"{name}:before")
        with job.events.step(name):
            try:
                delta: StateDelta = work(state, job)
            except (NoDiff, BudgetSpent, Usage, TestsUnusable) as stop:
                delta = {"ending": Ending(stop.code, str(stop))}
            except TestsUnrunnable as stop:
                delta = {"ending": Ending(TestsUnusable.code, str(stop))}
        faults.point(f"{name}:after")
        return dict(delta)

    return node


def run(job: Job, request: Request) -> RunState:
    """Go from the request, or from the last checkpoint that the run has, to the end; return the last state."""
    with open_saver(job.run.folder / "checkpoints.sqlite") as saver:
        graph = build(job).compile(checkpointer=saver)
        config: Any = {"configurable": {"thread_id": job.run.id}, "recursion_limit": 1000}
        begun = saver.get_tuple(config) is not None
        start: RunState | None = None if begun else {"request": request}
        state: RunState = graph.invoke(start, config, durability="sync")  # type: ignore[assignment]
        return state
