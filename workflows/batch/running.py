"""A batch at work: so many tasks at a time, each a process of its own, and a result written down for each that ends."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from workflows.batch.journal import Journal, Result
from workflows.batch.sources import Sources
from workflows.batch.tasks import BatchTask
from workflows.errors import WorkflowError
from workflows.runs import RunStore

MAX_EVENT = 256 * 1024 * 1024
INTERRUPTED = (129, 130, 141, 143)
STOP_SECONDS = 30.0


class Board(Protocol):
    """Shows somebody how the tasks stand; called from several threads."""

    def at(self, task: BatchTask, doing: str) -> None:
        """Show what a task is at."""
        ...

    def ended(self, task: BatchTask, result: Result) -> None:
        """Show how a task ended."""
        ...


@dataclass(slots=True)
class Batch:
    """Runs tasks until none is left or `stop` is set."""

    tasks: Sequence[BatchTask]
    journal: Journal
    board: Board
    options: tuple[str, ...] = ()
    """Of the command line, for every task; a task's own come after them."""
    jobs: int = 1
    tests_shown: bool = True
    stop: threading.Event = field(default_factory=threading.Event)
    _children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _errors: list[BaseException] = field(default_factory=list)

    def run(self) -> None:
        """Work; an exception in the calling thread, such as of Ctrl-C, stops the children before it goes on.

        Raises:
            OSError: a result could not be written down; its task will be run again.

        """
        left = deque(self.tasks)
        begun = self.journal.begun()
        sources = Sources(self.journal.folder / "clones")
        threads = [
            threading.Thread(target=self._work, args=(left, begun, sources), name=f"task-{n}", daemon=True)
            for n in range(min(self.jobs, len(left)))
        ]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads):
                for thread in threads:
                    thread.join(0.2)
        finally:
            self.stop.set()
            self._end_children()
            for thread in threads:
                thread.join(STOP_SECONDS)
        if self._errors:
            raise self._errors[0]

    def _end_children(self) -> None:
        with self._guard:
            children = list(self._children.values())
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for child in children:
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()

    def _work(self, left: deque[BatchTask], begun: dict[str, str], sources: Sources) -> None:
        while not self.stop.is_set():
            try:
                task = left.popleft()
            except IndexError:
                return
            try:
                result = self._one(task, begun.get(task.digest), sources)
                if result is not None:
                    self.journal.end(result)
                    subprocess.run(["rm", "-rf", "--", str(self._folder(task))], check=False)
                    self.board.ended(task, result)
            except BaseException as error:  # noqa: BLE001 - told by the thread that waits for this one
                self._errors.append(error)
                self.stop.set()

    def _folder(self, task: BatchTask) -> Path:
        return self.journal.folder / "work" / task.digest

    def _one(self, task: BatchTask, run: str | None, sources: Sources) -> Result | None:
        """Return how a task ended; None where this process was asked to stop before."""
        started = time.monotonic()
        folder = self._folder(task)
        folder.mkdir(parents=True, exist_ok=True)
        self.board.at(task, "getting the repository")
        try:
            path = sources.ready(task, folder / "repository")
        except WorkflowError as error:
            return self._result(task, {"code": error.code, "status": "environment", "message": str(error)}, started)
        (folder / "issue.md").write_text(task.issue, encoding="utf-8", errors="backslashreplace")
        if run is not None:
            self._await_orphan(run)
        words = self._command(task, path, folder) if run is None else ["resume", run, "--json"]
        last = self._follow(task, words, folder)
        if run is not None and last.get("status") == "usage" and "there is no run" in str(last.get("message")):
            last = self._follow(task, self._command(task, path, folder), folder)
        if self.stop.is_set() and int(last.get("code", 70)) in {*INTERRUPTED, -15, -9, -2}:
            return None
        return self._result(task, last, started)

    def _await_orphan(self, run: str) -> None:
        """Wait until what a killed batch had started has let go of its run: it is told to end, and takes a moment."""
        try:
            found = RunStore().find(run)
        except WorkflowError:
            return
        end = time.monotonic() + STOP_SECONDS
        while found.busy() and time.monotonic() < end and not self.stop.wait(0.1):
            pass

    def _command(self, task: BatchTask, path: Path, folder: Path) -> list[str]:
        """Return the command line: `fix` where tests say what is wanted, `solve` where only words do."""
        options = [*self.options, *task.options, "--json"]
        issue = [f"--issue={folder / 'issue.md'}"] if task.issue.strip() else []
        tests = [f"--test={test}" for test in task.tests]
        if issue and (task.kind or not task.tests):
            kind = [f"--kind={task.kind}"] if task.kind else []
            return ["solve", f"--repository={path}", *issue, *kind, *tests, *options]
        return ["fix", *issue, *tests, *options, "--", str(path)]

    def _follow(self, task: BatchTask, words: list[str], folder: Path) -> dict[str, Any]:
        """Run the command, write its run down as soon as it has one, and return its last event."""
        argv = [sys.executable, "-P", "-m", "workflows.batch.child", str(os.getpid()), *words]
        last: dict[str, Any] = {}
        with (folder / "log.txt").open("ab") as log:
            child = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
            with self._guard:
                self._children[task.digest] = child
            if self.stop.is_set():
                child.terminate()
            assert child.stdout is not None  # noqa: S101 - asked for two lines above
            with child.stdout as lines:
                while line := lines.readline(MAX_EVENT):
                    with contextlib.suppress(ValueError):
                        last = self._heard(task, json.loads(line), last)
            code = child.wait()
        with self._guard:
            del self._children[task.digest]
        if last:
            return last
        log_tail = (folder / "log.txt").read_bytes()[-2000:].decode("utf-8", "replace").strip()
        told = log_tail.splitlines()[-1] if log_tail else f"the process ended with {code}"
        status = "usage" if code == 2 else "failed"
        return {"code": code, "status": status, "message": told}

    def _heard(self, task: BatchTask, event: object, last: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(event, dict):
            return last
        match event.get("event"):
            case "run-started":
                self.journal.begin(task, str(event["run"]))
            case "step-started":
                self.board.at(task, str(event.get("step")))
            case "result":
                return event
        return last

    def _result(self, task: BatchTask, last: dict[str, Any], started: float) -> Result:
        return Result(
            task=task.id, digest=task.digest, status=str(last.get("status", "failed")), code=int(last.get("code", 70)),
            message=str(last.get("message", "")), run=str(last.get("run") or ""), diff=str(last.get("diff", "")),
            files=tuple(last.get("files", ())), bundle=str(last.get("bundle", "")),
            seconds=round(time.monotonic() - started, 3), tests_shown=self.tests_shown and bool(task.tests),
        )  # fmt: skip
