"""`greendiff apply`: a run's verified diff in its working tree."""

from __future__ import annotations

import argparse

from workflows.commands.session import guarded, say
from workflows.errors import NoDiff
from workflows.runs import RunStore
from workflows.working_tree import make_change


def apply(arguments: argparse.Namespace, started: float) -> int:  # noqa: ARG001 - every command has this shape
    """Make the change of a run, if the files are still as they were when it began."""

    def work() -> int:
        from sandbox.workspace import apply as patched
        from workflows.job import restored

        run = RunStore().find(arguments.run)
        info = run.info()
        if info.status != "verified":
            raise NoDiff(f"run {run.id} has no verified diff (it is {info.status}); `greendiff show {run.id}` says why")
        run.acquire()
        try:
            _, _, snapshot = restored(run)
            after = patched(snapshot.tree, (run.folder / "patch.diff").read_bytes())
            made = make_change(snapshot.repository, snapshot.tree, after)
        finally:
            run.release()
        files = ", ".join(snapshot.tree.changed_paths(after))
        say(f"{files}: changed" if made == "changed" else f"{files}: the change is there already")
        return 0

    return guarded(work)
