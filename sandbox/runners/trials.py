"""Tries candidate changes on tests in a warm worker inside a workspace, hundreds a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from sandbox.errors import SandboxBroken, TestsUnrunnable
from sandbox.probe import frames
from sandbox.protocol import Command, Process, Workspace
from sandbox.runners.report import Harness

TrialVerdict = Literal["passed", "failed", "error", "timeout", "crashed", "uncompilable", "same", "import"]
"""How a trial ended; `same` compiles to what is there, `import` needs `Trials.try_fresh`."""

FIRST_TIER = 0.02
"""CPU seconds that a test gets at first."""
SILENCE = 120.0
"""Seconds without a word from the worker after which it counts as dead."""
RESTARTS = 20
"""How often a worker that candidates killed is started again."""


class TextEdit(Protocol):
    """Replace the characters from `start` to `end` of a file's decoded text."""

    @property
    def path(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def replacement(self) -> str: ...


class Change(Protocol):
    """A candidate as trials see it."""

    @property
    def id(self) -> str: ...
    @property
    def edits(self) -> Sequence[TextEdit]: ...


@dataclass(frozen=True, slots=True)
class TargetRun:
    """How one target test ended on the base, in the worker."""

    test: str
    outcome: str
    seconds: float
    exception: str = ""
    at: tuple[str, int] | None = None
    deep: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """What the worker found when it had collected the tests."""

    targets: tuple[TargetRun, ...]
    missing: tuple[str, ...]
    """Targets that were not collected."""
    collected: int
    stateful: bool
    """Whether a target ends otherwise when it runs a second time in one process; each candidate then gets its own."""
    imported: frozenset[tuple[str, int, str]]
    """Path, first line and name of the project's functions that ran while the tests were collected."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Trial:
    """What one candidate did to the tests."""

    id: str
    verdict: TrialVerdict
    way: Literal["swap", "overlay"] = "swap"
    passed: int = 0
    """How many targets passed before the run was stopped."""
    moved: int = 0
    """How many targets failed in another way than on the base."""
    test: str = ""
    """The first target that did not pass."""
    exception: str = ""
    at: tuple[str, int] | None = None
    """Path and line, in the tests as a rule, where that target failed first."""
    deep: tuple[str, int] | None = None
    """The innermost line of the repository in that traceback."""
    breaks: str = ""
    """A test that passed on the base and does not with the candidate."""
    complete: bool = True
    """Whether all the tests that were asked for ran."""
    ran: int = 0
    message: str = ""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether all targets passed and nothing was seen to break."""
        return self.verdict == "passed" and not self.breaks


@dataclass(frozen=True, slots=True)
class Sample:
    """One input on which the original and the candidates were run."""

    kind: Literal["failing", "passing", "generated"]
    """Recorded in a failing or a passing test, or made from a recorded one."""
    entry: str
    """`path:line:name` of the function that was called."""
    original: str
    """What the original did: a digest, with `!` in front of an exception, `?` of a time-out."""
    outcomes: Mapping[str, str]
    """The same for each candidate, by its id."""


@dataclass(frozen=True, slots=True)
class Behaviours:
    """What candidates do on recorded and generated inputs."""

    samples: tuple[Sample, ...]
    unknown: frozenset[str] = field(default_factory=frozenset)
    """Candidates that could not be run this way."""


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
        memory_bytes: int = 512 * 1024 * 1024,
        stop: threading.Event | None = None,
    ) -> None:
        """Prepare; nothing runs before `open`.

        `sources` maps the paths that candidates may change to the decoded texts that edits refer to. `related` are
        tests that pass on the base, most telling first: a candidate that passes the targets is tried on them at once.
        `known_seconds` says how long targets took that came to an end.
        """
        self._workspace = workspace
        self._harness = harness
        self._targets = tuple(targets)
        self._sources = dict(sources)
        self._related = tuple(related)
        self._known = dict(known_seconds or {})
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
                    "memory": self._memory,
                }
            )
            message = self._receive()
        except _Lost as error:
            self.close()
            raise SandboxBroken(f"the trial worker ended before it had collected the tests: {error}") from None
        if message["op"] == "opened" and not message["order"]:
            message = {"op": "unopened", "errors": f"there is no test {', '.join(self._targets[:3])}"}
        if message["op"] == "unopened":
            self.close()
            raise TestsUnrunnable(f"no test could be collected for trials: {message['errors'] or 'no message'}")
        self.opened = Opened(
            tuple(_target(summary) for summary in message["tests"]),
            tuple(message["missing"]),
            message["collected"],
            message["isolate"],
            frozenset((p, line, name) for p, line, name in message["imported"]),
            time.monotonic() - begun,
        )
        return self.opened

    def close(self) -> None:
        """End the worker and everything below it; may be called again."""
        if self._process is not None:
            self._process.close()
            self._process = None

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
        todo = {change.id: change for change in batch}
        isolate = False
        end = time.monotonic() + seconds
        while todo and not self._stop.is_set():
            order = {
                "op": "batch",
                "candidates": [_wire(change) for change in todo.values()],
                "cpu": cpu_seconds,
                "related": self._related,
                "related_seconds": related_seconds,
                "isolate": isolate,
                "thorough": thorough,
                "seconds": max(0.0, end - time.monotonic()),
            }
            try:
                self._send(order)
                while (message := self._receive())["op"] != "done":
                    # A candidate may be answered twice, when its first failure turned out to prove nothing.
                    todo.pop(message["id"], None)
                    yield _trial(message)
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
        for _ in range(2):
            try:
                self._send(order)
                message = self._receive()
                if not message.get("lost"):
                    return _trial(message)
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
            "candidates": [_wire(change) for change in changes],
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


def _wire(change: Change) -> dict[str, Any]:
    return {"id": change.id, "edits": [[e.path, e.start, e.end, e.replacement] for e in change.edits]}


def _place(value: Sequence[Any] | None) -> tuple[str, int] | None:
    return (str(value[0]), int(value[1])) if value else None


def _target(summary: Mapping[str, Any]) -> TargetRun:
    seconds = max(float(summary["cpu"]), min(float(summary["wall"]), 0.01))
    return TargetRun(
        summary["test"],
        summary["outcome"],
        seconds,
        summary.get("exception", ""),
        _place(summary.get("at")),
        _place(summary.get("deep")),
    )


def _trial(message: Mapping[str, Any]) -> Trial:
    return Trial(
        message["id"],
        message["verdict"],
        message["way"],
        message.get("passed", 0),
        message.get("moved", 0),
        message.get("test", ""),
        message.get("exception", ""),
        _place(message.get("at")),
        _place(message.get("deep")),
        message.get("breaks", ""),
        message.get("complete", True),
        message.get("ran", 0),
        message.get("message", ""),
        message.get("seconds", 0.0),
    )
