"""A run on a commit that was fetched from a forge: no work tree, no credential, and the run's folder as ever."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workflows.failures import explained
from workflows.forge.protocol import Issue
from workflows.forge.pull_request import Offer
from workflows.progress import Events, View
from workflows.steps.verify import VerifiedPatch

if TYPE_CHECKING:
    from agents.results import Kind
    from sandbox.workspace import Snapshot
    from workflows.job import Job
    from workflows.settings import Settings
    from workflows.state import Purpose, RunState
    from workflows.verdicts import GateCase

DEFAULT_BUDGET = 900.0
MOST_ISSUE = 60_000
"""Characters of an issue that are read."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run is to do."""

    purpose: Purpose
    text: str = ""
    tests: tuple[str, ...] = ()
    kind: Kind | None = None
    flags: Mapping[str, Any] = field(default_factory=dict)
    """Settings that win over the environment's and the repository's."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run ended; its job is open, so that what was verified can still be asked for."""

    job: Job
    state: RunState

    @property
    def message(self) -> str:
        """Why there is no diff, "" where there is one."""
        ending = self.state.get("ending")
        return ending.message if ending is not None else "" if "delivery" in self.state else "there is no diff"

    @property
    def code(self) -> int:
        """The exit code that a command would end with."""
        ending = self.state.get("ending")
        return ending.code if ending is not None else 0

    def verified(self) -> tuple[VerifiedPatch, GateCase]:
        """Return the patch and the case that it was judged by.

        Raises:
            NotVerified: there is none.

        """
        from workflows.steps.nodes import verified

        return verified(self.state, self.job)

    def offer(self, *, base_branch: str, key: str, issue: Issue | None = None) -> Offer:
        """Return the patch as what a pull request is made of."""
        from datetime import datetime

        from workflows.steps.nodes import repairs_of

        patch, _case = self.verified()
        delivery = self.state["delivery"]
        assert delivery is not None  # noqa: S101 - a verified patch was delivered to the run's folder
        done = [one.description for one in self.state.get("done", ())]
        chosen = repairs_of(self.state, self.job)[self.state["chosen"]].candidate
        created = datetime.fromisoformat(self.job.run.info().created)
        return Offer(
            patch, self.job.snapshot.commit, base_branch, key, self.state["plan"].kind, "; ".join(done) or
            chosen.description, delivery.files, (self.job.run.folder / "bundle" / "summary.md").read_text("utf-8"),
            self.job.run.id, int(created.timestamp()), issue, self.state["review"].remarks,
        )  # fmt: skip


def issue_request(issue: Issue) -> str:
    """Return an issue as the text of a request; bounded, and untrusted all the way."""
    return f"{issue.title.strip()}\n\n{issue.body.strip()}"[:MOST_ISSUE].strip()


def settings_of(snapshot: Snapshot, flags: Mapping[str, Any]) -> Settings:
    """Return the settings of a run on a commit; the repository's own can only make things stricter."""
    from workflows.settings import read_settings

    return read_settings(snapshot.tree, flags, budget=DEFAULT_BUDGET)


@contextmanager
def run_on(snapshot: Snapshot, wanted: Wanted, view: View) -> Iterator[Ran]:
    """Run the graph on a commit; on leaving, everything that was started has ended.

    Raises:
        WorkflowError, SandboxError, ModelError: what ends a run that found no answer; see `workflows.failures`.

    """
    from workflows.graph import run as run_graph
    from workflows.job import Job, kept
    from workflows.runs import RunStore
    from workflows.state import Request
    from workflows.verdicts import Allowances

    settings = settings_of(snapshot, wanted.flags)
    allowances = Allowances("tests" in settings.allow, "configuration" in settings.allow, paths=settings.paths)
    request = Request(
        path=str(snapshot.repository), tests=wanted.tests, issue=wanted.text, allowances=allowances,
        purpose=wanted.purpose, kind=wanted.kind,
    )  # fmt: skip
    store = RunStore()
    store.sweep()
    words = {"path": request.path, "tests": list(request.tests), "issue": request.issue[:200]}
    run = store.create(str(snapshot.repository), words, kept(request, settings, snapshot))
    events = Events(view, budget=settings.budget)
    job = Job(run, request, settings, events, snapshot)
    events.log = run.log
    try:
        job.start()
        state = run_graph(job, request)
        ran = Ran(job, state)
        status: Any = "verified" if ran.message == "" else explained_status(ran.code)
        run.update(status=status, message=ran.message, exit_code=ran.code, seconds=round(events.elapsed(), 3))
        yield ran
    except BaseException as error:
        if run.info().status in {"running", "interrupted"}:
            failure = explained(error)
            run.update(status=failure.status, message=failure.message, exit_code=failure.code)
        raise
    finally:
        job.close()
        events.close()
        run.release()


def explained_status(code: int) -> str:
    """Return a run's status from its exit code."""
    from workflows.failures import STATUS

    return STATUS.get(code, "failed")
