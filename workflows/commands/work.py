"""A run at work in this process: from a command's arguments to the job, the graph, and the result that is told."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflows.background import Task
from workflows.commands.session import failure_of, say, signals_as_exceptions
from workflows.errors import Usage
from workflows.failures import Failure
from workflows.person import at_terminal
from workflows.progress import Events, JsonView, view_for
from workflows.runs import Run, RunStore, Status
from workflows.wording import printable

if TYPE_CHECKING:
    from agents.results import Kind
    from workflows.job import Job
    from workflows.settings import Settings
    from workflows.state import Purpose, Request, RunState

DEFAULT_BUDGET = 120.0
MAX_ISSUE = 1024 * 1024
Begin = Callable[[Events], "tuple[Job, bool]"]
"""Makes the job, and says whether its run has come to its end before."""


def importing_graph() -> Task[Any]:
    """Import the graph in a thread: LangGraph takes most of a second, in which the repository is read."""
    # Two threads that import pydantic, which imports its parts when they are asked for, can wait for each other for
    # ever. What the main thread needs of it is therefore there before the other thread starts.
    import_module("workflows.settings")
    return Task(lambda: import_module("workflows.graph"), "graph")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a command wants of a new run, beyond its options."""

    purpose: Purpose
    text: str = ""
    kind: Kind | None = None
    approve: bool = False
    tests: tuple[str, ...] = ()
    apply: bool = False
    output: str | None = None
    bundle: str | None = None
    budget: float = DEFAULT_BUDGET
    """Seconds, where neither an option nor a setting says otherwise."""


def new_run(arguments: argparse.Namespace, path: str, wish: Wish, events: Events) -> Job:
    """Read the repository and the settings, and make a run for them.

    Raises:
        Usage: an option or a setting is wrong.
        RepositoryError, Unusable: see `sandbox.workspace.snapshot` and `RunStore.create`.

    """
    from sandbox.workspace import snapshot
    from workflows.job import Job, kept
    from workflows.settings import read_settings
    from workflows.tiers import wanted

    folder = Path(path).absolute()
    taken = snapshot(folder)
    config = Path(arguments.config) if arguments.config else None
    settings = read_settings(taken.tree, _flags(arguments), config=config, budget=wish.budget)
    request = _request(wish, folder, settings)
    wanted(settings, os.environ)
    store = RunStore()
    store.sweep()
    words = {"path": request.path, "tests": list(request.tests), "issue": request.issue[:200]}
    run = store.create(str(taken.repository), words, kept(request, settings, taken))
    return Job(run, request, settings, events, taken)


def _flags(arguments: argparse.Namespace) -> dict[str, Any]:
    python = getattr(arguments, "python", None)
    given = {
        "budget": getattr(arguments, "budget", None),
        "sandbox": getattr(arguments, "sandbox", None),
        "python": os.path.abspath(python) if python and os.sep in python else python,  # noqa: PTH100
        "allow": getattr(arguments, "allow", None),
        "min_mutation": getattr(arguments, "min_mutation", None),
        "model": arguments.model or None,
        "max_cost": arguments.max_cost,
        "max_tokens": arguments.max_tokens,
        "record": _cassette(arguments.record),
        "replay": _cassette(arguments.replay),
    }  # fmt: skip
    return {key: value for key, value in given.items() if value is not None}


def _cassette(name: str | None) -> str | None:
    return str(Path(name).absolute()) if name else None


def issue_text(name: str | None) -> str:
    """Return the text that `--issue` names; "" for none.

    Raises:
        Usage: it cannot be read, or is too large.

    """
    if name is None:
        return ""
    try:
        data = sys.stdin.buffer.read(MAX_ISSUE + 1) if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise Usage(f"--issue {name} cannot be read: {error.strerror}") from error
    if len(data) > MAX_ISSUE:
        raise Usage(f"--issue {name} is larger than {MAX_ISSUE >> 20} MiB: give the text of the issue alone")
    return data.decode("utf-8-sig", "replace")


def _request(wish: Wish, folder: Path, settings: Settings) -> Request:
    from workflows.state import Request
    from workflows.verdicts import Allowances

    def absolute(name: str | None, option: str) -> str | None:
        if not name:
            return None
        path = Path(name).absolute()
        if not path.parent.is_dir():
            raise Usage(f"{option} {name}: there is no folder {path.parent}")
        return str(path)

    allowances = Allowances(
        tests="tests" in settings.allow, configuration="configuration" in settings.allow, paths=settings.paths
    )
    output = absolute(wish.output, "--output")
    if output and Path(output).is_dir():
        raise Usage(f"--output {wish.output} is a folder; name a file")
    bundle = absolute(wish.bundle, "--bundle")
    if bundle and Path(bundle).exists():
        raise Usage(f"--bundle {wish.bundle} is there already; name a new folder or file")
    return Request(
        path=str(folder), tests=wish.tests, issue=wish.text, allowances=allowances, apply=wish.apply, output=output,
        bundle=bundle, purpose=wish.purpose, kind=wish.kind, approve=wish.approve,
    )  # fmt: skip


def session(begin: Begin, graph: Task[Any], started: float, *, as_json: bool, budget: float) -> int:
    """Begin a job, run the graph, tell the result; whatever happens, nothing is left running and the end is told."""
    events = Events(view_for(as_json=as_json, budget=budget), started=started)
    job: Job | None = None
    try:
        with signals_as_exceptions():
            try:
                job, finished = begin(events)
                state = _work(job, graph, finished=finished)
            finally:
                if job is not None:
                    job.close()
            return _told(job, state, as_json=as_json)
    except BrokenPipeError:
        if job is not None:
            _settle(job.run, Failure(141, "whoever read the output has gone"), events)
        raise
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - no traceback ever reaches a user
        return _failed(error, job, events, as_json=as_json)
    finally:
        events.close()
        if job is not None:
            job.run.release()


def _work(job: Job, graph: Task[Any], *, finished: bool) -> RunState:
    job.events.log = job.run.log
    job.events.emit(
        "run-started", f"run {job.run.id} in {job.snapshot.repository}", run=job.run.id,
        repository=str(job.snapshot.repository), commit=job.snapshot.commit, dirty=list(job.snapshot.dirty),
        budget=job.settings.budget,
    )  # fmt: skip
    if job.settings.sandbox == "local" and job.request.kind != "question":
        job.events.emit("note", "the local sandbox does not isolate: only use it for code that you trust")
    job.person = at_terminal(job.events.pause)
    if not finished:
        job.start()
    state: RunState = graph.result().run(job, job.request)
    return state


def _told(job: Job, state: RunState, *, as_json: bool) -> int:
    """Tell how the run ended, and print the diff, the plan or the answer; return the exit code."""
    events = job.events
    ending, delivery = state.get("ending"), state.get("delivery")
    if ending is None and ("answer" in state or job.request.purpose == "plan"):
        return _told_in_words(job, state, as_json=as_json)
    if ending is not None or delivery is None:
        code, message = (ending.code, ending.message) if ending else (1, "the run ended without a diff")
        _settle(job.run, Failure(code, message), events)
        _result(events, job.run, code, message, as_json=as_json)
        return code
    patch = (job.run.folder / "patch.diff").read_bytes()
    message = (job.run.folder / "result.txt").read_text(encoding="utf-8")
    _settle(job.run, Failure(0, message), events)
    events.close()
    _result(events, job.run, 0, message, as_json=as_json, diff=patch, files=delivery.files, bundle=delivery.bundle)
    if not as_json and not job.request.apply and job.request.output is None:
        sys.stdout.flush()
        # A program gets the diff to the byte; a terminal would act on what a repository, or a model, put into it.
        shown = printable(patch.decode("utf-8", "backslashreplace")).encode() if sys.stdout.isatty() else patch
        sys.stdout.buffer.write(shown)
        sys.stdout.buffer.flush()
    return 0


def _told_in_words(job: Job, state: RunState, *, as_json: bool) -> int:
    text = (job.run.folder / "summary.md").read_text(encoding="utf-8")
    found: dict[str, Any] = {}
    if (answer := state.get("answer")) is not None:
        cited = [{"path": one.path, "first": one.first, "last": one.last} for one in answer.citations]
        found = {"answer": answer.text, "citations": cited, "origin": answer.origin}
        status: Status = "answered"
    else:
        plan = state["plan"]
        found = {"plan": text, "kind": plan.kind, "steps": [step.goal for step in plan.steps], "origin": plan.origin}
        status = "planned"
    _settle(job.run, Failure(0, text.partition("\n")[0]), job.events, status)
    if as_json:
        _result(job.events, job.run, 0, "", as_json=True, status=status, **found)
        return 0
    job.events.close()
    text = printable(text)
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    sys.stdout.flush()
    return 0


def _failed(error: BaseException, job: Job | None, events: Events, *, as_json: bool) -> int:
    failure = failure_of(error, job.run.folder if job else None)
    message = failure.message
    if job is not None:
        _settle(job.run, failure, events)
        message = f"{message}\ngo on with: greendiff resume {job.run.id}"
    _result(events, job.run if job else None, failure.code, message, as_json=as_json)
    return failure.code


def _settle(run: Run, failure: Failure, events: Events, status: Status | None = None) -> None:
    """Write down how the run ended, if the disk still takes it."""
    try:
        before = run.info().seconds
        run.update(
            status=status or failure.status, message=failure.message, exit_code=failure.code,
            seconds=round(before + events.elapsed(), 3),
        )  # fmt: skip
    except OSError as error:
        say(f"greendiff: how run {run.id} ended cannot be written down: {error.strerror}")


def _result(
    events: Events, run: Run | None, code: int, message: str, *, as_json: bool, diff: bytes = b"",
    files: tuple[str, ...] = (), bundle: str = "", **more: object,
) -> None:  # fmt: skip
    """Tell the result: the last JSON event, or the last lines on standard error."""
    events.close()
    if not as_json:
        say(message if code == 0 else f"greendiff: {message}")
        return
    from workflows.failures import STATUS
    from workflows.progress import Event

    # A patch may hold bytes that are not UTF-8; surrogate escapes carry them through JSON unchanged.
    data = {
        "code": code, "status": STATUS.get(code, "failed"), "message": message, "run": run.id if run else None,
        "diff": diff.decode("utf-8", "surrogateescape"), "files": list(files), "bundle": bundle, **more,
    }  # fmt: skip
    JsonView(sys.stdout).show(Event("result", events.elapsed(), data=data))
