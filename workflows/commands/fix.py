"""`greendiff fix` and `greendiff resume`: a run from its request, or from where it stopped, to its diff."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from workflows.commands.work import DEFAULT_BUDGET, Wish, importing_graph, issue_text, new_run, session
from workflows.progress import Events
from workflows.runs import RunStore

if TYPE_CHECKING:
    from workflows.job import Job

FINISHED = {"verified", "answered", "planned", "asked", "no-diff", "usage", "budget"}
"""How a run stands that has come to its end; to resume it only tells its result again."""


def fix(arguments: argparse.Namespace, started: float) -> int:
    """Repair the repository that `arguments.path` lies in; return the exit code."""
    graph = importing_graph()

    def begin(events: Events) -> tuple[Job, bool]:
        # What is wrong with the arguments is told before anything is read.
        wish = Wish(
            "fix", issue_text(arguments.issue), tests=tuple(arguments.tests), apply=arguments.apply,
            output=arguments.output, bundle=arguments.bundle,
        )  # fmt: skip
        return new_run(arguments, arguments.path, wish, events), False

    return session(begin, graph, started, as_json=arguments.json, budget=arguments.budget or DEFAULT_BUDGET)


def resume(arguments: argparse.Namespace, started: float) -> int:
    """Go on with a run; return the exit code."""
    graph = importing_graph()

    def begin(events: Events) -> tuple[Job, bool]:
        from workflows.job import Job, restored

        store = RunStore()
        run = store.find(arguments.run)
        run.acquire()
        try:
            store.sweep()
            finished = run.info().status in FINISHED
            request, settings, snapshot = restored(run)
            if arguments.budget:
                settings = settings.model_copy(update={"budget": arguments.budget})
            run.update(status="running", message="", exit_code=None)
        except BaseException:
            run.release()
            raise
        return Job(run, request, settings, events, snapshot), finished

    return session(begin, graph, started, as_json=arguments.json, budget=arguments.budget or DEFAULT_BUDGET)
