"""What the steps of one run share: the clock, the records, the events, and a sandbox that is made ready early."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from agents.models.ledger import Account, money
from sandbox.protocol import Environment, EnvironmentDefinition, Sandbox, Workspace
from sandbox.runners.report import Harness
from sandbox.tree import Tree
from workflows.background import Task
from workflows.errors import RecordError, Unusable
from workflows.ladder import Ladder
from workflows.progress import Events
from workflows.records import decode, encode
from workflows.runs import Run
from workflows.settings import Settings
from workflows.state import Request
from workflows.tiers import wanted

if TYPE_CHECKING:
    from agents.models.gateway import CallRecord
    from sandbox.workspace import Snapshot
    from workflows.person import Person
    from workflows.steps.base import BaseReports

T = TypeVar("T")


BASELINE = "baseline"
"""Record that holds the base report, with the targets of the run."""


class Clock:
    """The budget of a run, in seconds, counted from the start of the process."""

    def __init__(self, budget: float, started: float) -> None:
        """Count from `started`, a `time.monotonic` moment."""
        self.budget = budget
        self.started = started
        self._waited = 0.0

    def elapsed(self) -> float:
        """Seconds since the start, without those in which a person was waited for."""
        return time.monotonic() - self.started - self._waited

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Do not count the time that a person takes."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self._waited += time.monotonic() - begun

    def left(self) -> float:
        """Seconds until the budget is spent; never negative."""
        return max(0.0, self.budget - self.elapsed())


@dataclass(frozen=True, slots=True)
class Readied:
    """What a run's code is run with."""

    sandbox: Sandbox
    environment: Environment
    definition: EnvironmentDefinition
    harness: Harness


class Job:
    """One run at work; `start` begins to make things ready, `close` ends everything that was started."""

    def __init__(self, run: Run, request: Request, settings: Settings, events: Events, snapshot: Snapshot) -> None:
        """`run` must be locked by this process."""
        self.run = run
        self.request = request
        self.settings = settings
        self.events = events
        self.snapshot = snapshot
        self.clock = Clock(settings.budget, events.started)
        self.stop = threading.Event()
        self.ladder = Ladder(
            wanted(settings, os.environ), settings, os.environ, Account(run.id, str(snapshot.repository)), run.folder,
            once=self.once, note=events.note, on_call=self._called, stop=self.stop,
        )  # fmt: skip
        """The models that may be asked; empty where none is configured or asked for."""
        self.person: Person | None = None
        """Who can be asked; nobody where no terminal is there."""
        self._sandbox: Sandbox | None = None
        self._ready: Task[Readied] | None = None
        self._spare: Task[tuple[Workspace, float]] | None = None
        self._reaper: Task[None] | None = None
        self._base: Task[BaseReports] | None = None
        self._ahead: Task[None] | None = None
        self._guard = threading.Lock()
        self._noted: set[str] = set()
        # Python tries the folder for temporary files out with a file, once; now, before a kill could leave it behind.
        tempfile.gettempdir()

    @property
    def tree(self) -> Tree:
        """The repository's files as they were when the run began."""
        return self.snapshot.tree

    def start(self) -> None:
        """Begin, in the background, what the first steps will want.

        The sandbox, the tests as they are, and where the fault may be: all of that is needed by every run, and it can
        pass while LangGraph is still being imported.
        """
        from workflows.steps.localise import look_ahead

        if self.request.kind == "question":
            # Nothing is run for an answer.
            return
        self._ready = Task(self._get_ready, "environment")
        self._spare = Task(self._open_spare, "workspace")
        self._ahead = Task(partial(look_ahead, self), "ahead")

    def note_once(self, text: str) -> None:
        """Tell a person something, unless it was told before."""
        with self._guard:
            new = text not in self._noted
            self._noted.add(text)
        if new:
            self.events.note(text)

    def base(self) -> BaseReports:
        """Wait for the runs of the tests as they are; see `workflows.steps.base.base_reports`."""
        from workflows.steps.base import base_reports

        with self._guard:
            if self._base is None:
                self._base = Task(partial(base_reports, self), "base")
        return self._base.result()

    def ready(self) -> Readied:
        """Wait for the sandbox and the environment.

        Raises:
            SandboxUnavailable, EnvironmentFailed, TestsUnrunnable: as the sandbox says.

        """
        if self._ready is None:
            self._ready = Task(self._get_ready, "environment")
        return self._ready.result()

    def _get_ready(self) -> Readied:
        opened = Task(self._open_sandbox, "sandbox")
        definition = environment_definition(self.tree, self.settings)
        harness = harness_of(self.tree, self.settings)
        sandbox = opened.result()
        self._reaper = Task(lambda: self._reap(sandbox), "reaper")
        environment = sandbox.prepare(definition, self.events.note)
        self.events.emit(
            "environment", f"sandbox: {sandbox.name}; environment: {definition.source}; tests: {harness.source}",
            sandbox=sandbox.name, environment=environment.digest, source=definition.source, harness=harness.source,
            kind=harness.kind,
        )  # fmt: skip
        return Readied(sandbox, environment, definition, harness)

    def _reap(self, sandbox: Sandbox) -> None:
        if left := sandbox.reap():
            self.events.note(f"removed {left} things that a killed run had left behind")

    def _open_sandbox(self) -> Sandbox:
        from sandbox.backends import open_sandbox

        self._sandbox = open_sandbox(self.settings.sandbox)
        return self._sandbox

    def _open_spare(self) -> tuple[Workspace, float]:
        ready = self.ready()
        begun = time.monotonic()
        workspace = ready.sandbox.open(self.tree, ready.environment, self.settings.limits.limits())
        return workspace, time.monotonic() - begun

    def open(self) -> tuple[Workspace, float]:
        """Return a fresh workspace and the seconds that opening one takes; the caller closes it."""
        with self._guard:
            spare, self._spare = self._spare, None
        return spare.result() if spare is not None else self._open_spare()

    def open_tree(self, tree: Tree) -> Workspace:
        """Return a fresh workspace that holds another tree than the run's own; the caller closes it."""
        ready = self.ready()
        return ready.sandbox.open(tree, ready.environment, self.settings.limits.limits())

    def spare(self) -> None:
        """Begin to open another workspace in the background, if none is waiting."""
        with self._guard:
            if self._spare is None and not self.stop.is_set():
                self._spare = Task(self._open_spare, "workspace")

    def once(self, name: str, work: Callable[[], T]) -> T:
        """Do a piece of work that is not repeated when the run is resumed; see `Run.once`."""
        return self.run.once(name, work)

    def recorded(self, name: str, kind: type[T]) -> T:
        """Return what a piece of work gave that was done before.

        Raises:
            RecordError: it is missing, damaged, or something else.

        """

        def missing() -> T:
            raise RecordError(f"run {self.run.id} has no record {name!r}; start a new run")

        value = self.run.once(name, missing)
        if not isinstance(value, kind):
            raise RecordError(f"the record {name!r} of run {self.run.id} holds something else; start a new run")
        return value

    def _called(self, call: CallRecord) -> None:
        """Tell of one call of a model, with what the run has cost so far."""
        spent, usage = self.ladder.spent(), call.usage
        self.events.emit(
            "call", tier=call.tier, model=call.model, purpose=call.purpose, outcome=call.outcome,
            prompt=usage.prompt if usage else 0, completion=usage.completion if usage else 0,
            cost=None if call.micro is None else money(call.micro), seconds=round(call.seconds, 3),
            notes=list(call.notes), calls=spent.calls, tokens=spent.tokens, spent=money(spent.micro),
        )  # fmt: skip

    def close(self) -> None:
        """End everything that was started; may be called again."""
        self.stop.set()
        self.ladder.close()
        # Whatever is still being opened is waited for, so that it is closed too; both ends are bounded.
        if self._ready is not None and self._sandbox is None:
            self._ready.settle(5)
        if self._sandbox is not None:
            self._sandbox.close()
        for task in (self._spare, self._reaper, self._base, self._ahead):
            if task is not None:
                task.settle(5)
        if self._sandbox is not None:
            self._sandbox.close()


def environment_definition(tree: Tree, settings: Settings) -> EnvironmentDefinition:
    """Return what the tests need installed: what the settings say, or else what the repository declares."""
    from sandbox.environments import detect_environment

    return detect_environment(tree, requirements=settings.requirements, interpreter=settings.python)


def harness_of(tree: Tree, settings: Settings) -> Harness:
    """Return how the tests are run: found out by looking, except for what the settings say."""
    from sandbox.runners.detect import detect_harness

    return detect_harness(tree, **settings.tests.model_dump(exclude_none=True))


REQUEST, UNCOMMITTED = "request.rec", "uncommitted.patch"
"""Files in a run's folder."""


def kept(request: Request, settings: Settings, snapshot: Snapshot) -> dict[str, bytes]:
    """Return the files that a later process needs to go on with a run."""
    facts = (snapshot.commit, snapshot.tree.digest, snapshot.dirty, snapshot.notes)
    return {
        REQUEST: encode((request, settings.model_dump(mode="json"), facts)),
        UNCOMMITTED: snapshot.uncommitted,
    }


def restored(run: Run) -> tuple[Request, Settings, Snapshot]:
    """Return what a run was asked and the files that it began with, whatever the working tree holds by now.

    Raises:
        Unusable: the repository has lost the commit, or is gone.
        RecordError: the run's folder is damaged.

    """
    from sandbox.workspace import Snapshot, apply, snapshot_commit

    try:
        record = decode((run.folder / REQUEST).read_bytes())
        uncommitted = (run.folder / UNCOMMITTED).read_bytes()
    except FileNotFoundError as error:
        raise RecordError(f"run {run.id} is incomplete: {error.filename} is missing; start a new run") from error
    request, settings, (commit, digest, dirty, notes) = cast("tuple[Request, dict[str, Any], tuple[Any, ...]]", record)
    repository = Path(run.info().repository)
    if not repository.is_dir():
        raise Unusable(f"the repository of run {run.id}, {repository}, is gone")
    tree = apply(snapshot_commit(repository, commit), uncommitted)
    if tree.digest != digest:
        raise Unusable(
            f"the files that run {run.id} began with cannot be made again from {repository}; start a new run"
        )
    return request, Settings.model_validate(settings), Snapshot(repository, commit, tree, uncommitted, dirty, notes)
