"""Tries candidate changes on tests in a warm worker inside a workspace, hundreds a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from sandbox.errors import SandboxBroken, TestsUnrunnable
from sandbox.probe import frames
from sandbox.protocol import Command, Process, Workspace
from sandbox.runners.report import Harness
from sandbox.runners.trial_results import Behaviours, Change, Opened, Sample, Trial, as_message, target_run, trial_of

FIRST_TIER = 0.02
"""CPU seconds that a test gets at first."""
SILENCE = 120.0
"""Seconds without a word from the worker after which it counts as dead."""
RESTARTS = 20
"""How often a worker that candidates killed is started again."""


_C = TypeVar("_C")


class _Lost(Exception):
    """The worker has ended or fallen silent."""


class Trials:
    """One worker in a workspace; not for use by several threads at once."""

    def __init__(
        self,
        workspace: Workspace,
        harness: Harness,
        targets: Sequence[str],
        *,
        sources: Mapping[str, str],
        related: Sequence[str] = (),
        known_seconds: Mapping[str, float] | None = None,
        paces: Mapping[str, float] | None = None,
        hanging: Sequence[str] = (),
        memory_bytes: int = 512 * 1024 * 1024,
        stop: threading.Event | None = None,
    ) -> None:
        """Prepare; nothing runs before `open`.

        `sources` maps the paths that candidates may change to the decoded texts that edits refer to. `related` are
        tests that pass on the base, most telling first: a candidate that passes the targets is tried on them at once.
        `known_seconds` says how long targets took that came to an end, `hanging` which did not come to one, `paces`
        how many seconds related tests took on the base.
        """
        self._workspace = workspace
        self._harness = harness
        self._targets = tuple(targets)
        self._sources = dict(sources)
        self._related = tuple(related)
        self._known = dict(known_seconds or {})
        self._paces = dict(paces or {})
        self._hanging = tuple(hanging)
        self._memory = memory_bytes
        self._stop = stop or threading.Event()
        self._process: Process | None = None
        self._decoder = frames.Decoder()
        self._waiting: list[dict[str, Any]] = []
        self._restarts = 0
        self.opened: Opened | None = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def stopped(self) -> bool:
        """Whether the event that ends all trials was set."""
        return self._stop.is_set()

    def files(self, names: Iterable[str]) -> list[str]:
        """Return the test files of node ids, in order of first appearance."""
        return list(dict.fromkeys(name.split("::", 1)[0] for name in names))

    def open(self) -> Opened:
        """Start the worker and collect the tests.

        Raises:
            TestsUnrunnable: nothing could be collected.
            SandboxBroken: the worker could not be started or ended at once.

        """
        begun = time.monotonic()
        root = self._workspace.root
        self._decoder = frames.Decoder()
        self._waiting = []
        probe = f"{self._workspace.probe}/trial.py"
        self._process = self._workspace.start(
            Command((self._workspace.python, "-B", probe), env=dict(self._harness.env), wall_seconds=24 * 3600.0)
        )
        try:
            self._send(
                {
                    "op": "open",
                    "kind": self._harness.kind,
                    "root": root,
                    "pythonpath": self._harness.pythonpath,
                    "options": self._harness.options,
                    "plugins": self._harness.plugins,
                    "autoload": self._harness.autoload,
                    "files": self.files(self._targets + self._related),
                    "tests": self._targets,
                    "related": self._related,
                    "sources": self._sources,
                    "known": self._known,
                    "paces": self._paces,
                    "hanging": self._hanging,
                    "memory": self._memory,
                }
            )
            message = self._receive()
        except _Lost as error:
            self.close()
            raise SandboxBroken(f"the trial worker ended before it had collected the tests: {error}") from None
        if message["op"] == "opened" and not message["order"] and (self._targets or not message["collected"]):
            names = self._targets or self._related
            message = {"op": "unopened", "errors": f"there is no test {', '.join(names[:3])}"}
        if message["op"] == "unopened":
            self.close()
            raise TestsUnrunnable(f"no test could be collected for trials: {message['errors'] or 'no message'}")
        self.opened = Opened(
            tuple(target_run(summary) for summary in message["tests"]),
            tuple(message["missing"]),
            message["collected"],
            message["isolate"],
            frozenset((p, line, name) for p, line, name in message["imported"]),
            time.monotonic() - begun,
        )
        return self.opened

    def close(self) -> None:
        """End the worker and everything below it; may be called again."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def try_batch(
        self,
        batch: Sequence[Change],
        *,
        cpu_seconds: float = FIRST_TIER,
        related_seconds: float = 2.0,
        seconds: float = 1e9,
        thorough: bool = False,
    ) -> Iterator[Trial]:
        """Yield one trial for each change, not always in order; ends early when cancelled or after `seconds`.

        The targets run quickest first, up to the first that fails as it did on the base; all of them run where
        `thorough`, so that those that pass are counted.

        Each target gets `cpu_seconds` or five times what it took on the base. Candidates that kill the worker are
        `crashed`; the worker is started again.

        Raises:
            SandboxBroken: the worker could not be kept alive.

        """

        def order(left: Sequence[Change]) -> dict[str, Any]:
            return {
                "op": "batch",
                "candidates": [as_message(change) for change in left],
                "cpu": cpu_seconds,
                "related": self._related,
                "related_seconds": related_seconds,
                "thorough": thorough,
            }

        yield from self._try_all({change.id: change for change in batch}, order, seconds)

    def _try_all(
        self, todo: dict[str, _C], order: Callable[[Sequence[_C]], dict[str, Any]], seconds: float
    ) -> Iterator[Trial]:
        """Yield trials for what is to be tried, by its id, whatever becomes of the worker."""
        isolate = False
        end = time.monotonic() + seconds
        while todo and not self._stop.is_set():
            message = {**order(list(todo.values())), "isolate": isolate, "seconds": max(0.0, end - time.monotonic())}
            try:
                self._send(message)
                while (answer := self._receive())["op"] != "done":
                    # A candidate may be answered twice, when its first failure turned out to prove nothing.
                    todo.pop(answer["id"], None)
                    yield trial_of(answer)
                return
            except _Lost as error:
                if self._stop.is_set():
                    return
                self._restart(error)
                if isolate and todo:
                    culprit = next(iter(todo))
                    del todo[culprit]
                    yield Trial(culprit, "crashed", message="it ended the worker")
                isolate = True

    def try_fresh(
        self,
        name: str,
        overlay: Mapping[str, bytes],
        *,
        expected: Sequence[str] = (),
        cpu_seconds: float = 1.0,
        wall_seconds: float = 30.0,
        test_seconds: float = 5.0,
    ) -> Trial:
        """Try a change by a fresh import of the changed files, given whole, on the targets and then on `expected`."""
        files = self.files(self._targets + tuple(expected))
        return self._fresh(name, overlay, files, expected, False, cpu_seconds, wall_seconds, test_seconds)

    def confirm(
        self,
        name: str,
        overlay: Mapping[str, bytes],
        *,
        expected: Sequence[str],
        wall_seconds: float = 60.0,
    ) -> Trial:
        """Run all tests in their original order after a fresh import; `expected` are those that must pass.

        Where the time ends first, `complete` is false and what ran decides.
        """
        if self._harness.kind == "pytest":
            files = list(self._harness.paths)
        else:
            files = self.files(self._targets + tuple(expected))
        return self._fresh(name, overlay, files, expected, True, 5.0, wall_seconds, wall_seconds * 0.8)

    def _fresh(  # noqa: PLR0913, RUF100 - one message, built in one place
        self,
        name: str,
        overlay: Mapping[str, bytes],
        files: Sequence[str],
        expected: Sequence[str],
        everything: bool,
        cpu_seconds: float,
        wall_seconds: float,
        test_seconds: float,
    ) -> Trial:
        limits = {run.test: run.seconds for run in self.opened.targets} if self.opened else {}
        order = {
            "op": "overlay",
            "id": name,
            "overlay": {path: data.decode("latin-1") for path, data in overlay.items()},
            "files": files,
            "tests": [run.test for run in self.opened.targets] if self.opened else list(self._targets),
            "expect": list(expected),
            "all": everything,
            "cpu": cpu_seconds,
            "limits": limits,
            "wall": wall_seconds,
            "test_seconds": test_seconds,
        }
        return self._asked_twice(name, order)

    def _asked_twice(self, name: str, order: Mapping[str, Any]) -> Trial:
        for _ in range(2):
            try:
                self._send(dict(order))
                message = self._receive()
                if not message.get("lost"):
                    return trial_of(message)
                self._restart(_Lost("the process for fresh imports ended"))
            except _Lost as error:
                if self._stop.is_set():
                    break
                self._restart(error)
        return Trial(name, "crashed", "overlay", message="it ended the worker")

    def behaviours(
        self, changes: Sequence[Change], *, samples: int = 200, cpu_seconds: float = 0.05, wall_seconds: float = 5.0
    ) -> Behaviours:
        """Run the original and the changes on inputs recorded from the tests and on inputs made from those."""
        order = {
            "op": "behave",
            "candidates": [as_message(change) for change in changes],
            "related": self._related,
            "samples": samples,
            "cpu": cpu_seconds,
            "wall": wall_seconds,
        }
        try:
            self._send(order)
            message = self._receive()
        except _Lost as error:
            if not self._stop.is_set():
                self._restart(error)
            return Behaviours((), frozenset(change.id for change in changes))
        return Behaviours(
            tuple(Sample(s["kind"], s["entry"], s["original"], s["outcomes"]) for s in message["samples"]),
            frozenset(message["unknown"]),
        )

    def _restart(self, cause: _Lost) -> None:
        self.close()
        self._restarts += 1
        if self._restarts > RESTARTS:
            raise SandboxBroken(f"candidates ended the trial worker {RESTARTS} times; the last time: {cause}")
        self.open()

    def _send(self, message: dict[str, Any]) -> None:
        if self._process is None:
            raise SandboxBroken("the trial worker is not open")
        try:
            self._process.send(frames.encode(message))
        except (SandboxBroken, OSError) as error:
            raise _Lost(str(error)) from None

    def _receive(self) -> dict[str, Any]:
        if self._process is None:
            raise SandboxBroken("the trial worker is not open")
        quiet = time.monotonic() + SILENCE
        while not self._waiting:
            if self._stop.is_set():
                raise _Lost("cancelled")
            try:
                data = self._process.receive(0.2)
            except TimeoutError:
                if time.monotonic() > quiet:
                    raise _Lost(f"it said nothing for {SILENCE:.0f} s") from None
                continue
            except SandboxBroken as error:
                raise _Lost(str(error)) from None
            if not data:
                raise _Lost("its output ended")
            try:
                self._waiting += self._decoder.feed(data)
            except frames.FrameError as error:
                raise _Lost(str(error)) from None
        return self._waiting.pop(0)
