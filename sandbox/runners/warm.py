"""Runs tests again and again in forks of one process that has pytest and third-party packages loaded."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from sandbox.errors import SandboxBroken, TestsUnrunnable
from sandbox.limits import Limits
from sandbox.probe import frames
from sandbox.protocol import Command, Completed, Process, Workspace
from sandbox.runners.assembly import Assembly
from sandbox.runners.report import Harness, TestReport
from sandbox.runners.run import build_order, build_plan, listen, probe_argv, probe_env

_START_SECONDS = 60.0
_MARGIN_SECONDS = 10.0


class WarmRunner:
    """A fork server in a workspace; its runs see the work tree as it is when they start.

    The project's own code is never loaded in the server. One run at a time; other threads wait. A server that went
    away is started again by the next run.
    """

    def __init__(self, workspace: Workspace, harness: Harness, *, lifetime_seconds: float = 24 * 3600.0) -> None:
        """Take where and how tests run; the server starts with the first run, or with `start`.

        Raises:
            ValueError: the harness is of kind `command`, which knows no warm runs.

        """
        if harness.kind == "command":
            raise ValueError("a harness that runs a command cannot be kept warm")
        self._workspace = workspace
        self._harness = harness
        self._lifetime = lifetime_seconds
        self._plan: dict[str, Any] = {}
        self._process: Process | None = None
        self._lock = threading.Lock()
        self._closed = False

    def start(self) -> None:
        """Start the server and wait until it is ready; called again, it does nothing.

        Raises:
            TestsUnrunnable: the server does not start.
            SandboxBroken: the workspace has gone, or the runner was closed.

        """
        with self._lock:
            self._ready()

    def run(
        self,
        tests: Iterable[str] = (),
        *,
        coverage: bool = False,
        overlay: Mapping[str, bytes] | None = None,
        wall_seconds: float | None = None,
        seed: int | None = None,
        test_seconds: float | None = None,
    ) -> TestReport:
        """Run tests in a fork and return their results; arguments and errors as for `run_tests`.

        `overlay` maps paths of existing Python files to the source that this run imports in their place. Other
        programs that the tests start see the files as they are.
        """
        wall = Limits().wall_seconds if wall_seconds is None else wall_seconds
        with self._lock:
            process = self._ready()
            order = build_order(
                tests, coverage=coverage, wall_seconds=wall, seed=seed, test_seconds=test_seconds, overlay=overlay
            )
            assembly = Assembly(self._plan["nonce"])
            began = time.monotonic()
            process.send(frames.encode(order))
            fine = listen(process, assembly, began + wall + _MARGIN_SECONDS)
            completed = Completed(exit_code=0, stdout=b"", stderr=b"", ended="exit", seconds=0.0)
            if not fine:
                completed = process.close()
                self._process = None
            return assembly.report(probe_argv(self._workspace), completed, time.monotonic() - began)

    def close(self) -> None:
        """End the server; may be called again."""
        with self._lock:
            self._closed = True
            process, self._process = self._process, None
            if process is not None:
                process.close()

    def __enter__(self) -> Self:
        """Return itself; the server starts with the first run."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _ready(self) -> Process:
        if self._closed:
            raise SandboxBroken("the warm runner was closed")
        if self._process is not None:
            return self._process
        self._plan = {**build_plan(self._workspace, self._harness), "serve": True}
        command = Command(
            argv=probe_argv(self._workspace),
            env=probe_env(None),
            stdin=frames.encode(self._plan),
            wall_seconds=self._lifetime,
        )
        process = self._workspace.start(command)
        assembly = Assembly(self._plan["nonce"])
        deadline = time.monotonic() + _START_SECONDS
        while not assembly.ready:
            try:
                data = process.receive(max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                data = b""
            if not data:
                completed = process.close()
                words = completed.stderr.decode("utf-8", "backslashreplace").strip().splitlines()
                raise TestsUnrunnable(f"The warm test runner does not start: {words[-1] if words else 'no answer'}")
            assembly.feed(data)
        self._process = process
        return process
