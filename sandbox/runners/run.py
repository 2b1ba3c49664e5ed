"""Runs a repository's tests in a workspace and returns what happened."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.limits import Limits
from sandbox.probe import frames
from sandbox.protocol import Command, Process, Workspace
from sandbox.runners.assembly import Assembly, Malformed
from sandbox.runners.report import Harness, TestReport

TEST_SECONDS = 60.0
"""Longest time of one test where the caller names none; never more than a third of the whole run's."""
_MARGIN_SECONDS = 10.0
"""How much longer than the probe the workspace waits, so that the probe can say what happened."""


def run_tests(
    workspace: Workspace,
    harness: Harness,
    tests: Iterable[str] = (),
    *,
    coverage: bool = False,
    wall_seconds: float | None = None,
    seed: int | None = None,
    test_seconds: float | None = None,
    hang_seconds: float | None = None,
) -> TestReport:
    """Run tests in a fresh process and return their results.

    Args:
        workspace: where to run them.
        harness: how the repository's tests are run.
        tests: node ids, files or folders; none means all. Those that do not exist are not reported.
        coverage: whether to record the repository's lines that each test runs. What was run while tests were
            collected stands under the node id "".
        wall_seconds: longest time of the whole run; None takes the default of `Limits`.
        seed: for `random` and the hash seed; None leaves both to chance.
        test_seconds: longest time of one test. A test that takes longer is an ERROR, and the rest still runs; so is a
            test during which the process ends.
        hang_seconds: processor time after which a test of pytest counts as hanging, if it is also many times what the
            longest other one took; it is ended from within, so that its frames and its coverage are known. Those after
            it get a share of that. None leaves hanging tests to `test_seconds`.

    Raises:
        TestsUnrunnable: no test could be run, for a reason outside the tests.
        SandboxBroken: the workspace has gone.

    """
    if harness.kind == "command":
        from sandbox.runners.junit import run_command

        return run_command(workspace, harness, tuple(tests), wall_seconds=wall_seconds)
    wall = Limits().wall_seconds if wall_seconds is None else wall_seconds
    plan = build_plan(workspace, harness)
    plan |= build_order(tests, coverage=coverage, wall_seconds=wall, seed=seed, test_seconds=test_seconds)
    plan["hang_seconds"] = hang_seconds
    argv = probe_argv(workspace)
    assembly = Assembly(plan["nonce"])
    command = Command(
        argv=argv, env=probe_env(seed), stdin=frames.encode(plan), wall_seconds=wall + 2 * _MARGIN_SECONDS
    )
    began = time.monotonic()
    process = workspace.start(command)
    try:
        listen(process, assembly, began + wall + _MARGIN_SECONDS)
    finally:
        completed = process.close()
    return assembly.report(argv, completed, time.monotonic() - began)


def listen(process: Process, assembly: Assembly, deadline: float) -> bool:
    """Feed an assembly until its run is finished, the stream ends, or `deadline` (monotonic seconds) has passed.

    Returns whether the run finished in time and in good form.
    """
    while not assembly.finished:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        try:
            data = process.receive(min(left, 30.0))
        except TimeoutError:
            continue
        if not data:
            return False
        try:
            assembly.feed(data)
        except Malformed as error:
            assembly.suspect(f"The stream of results was disturbed: {error}.")
            return False
    return True


def probe_argv(workspace: Workspace) -> tuple[str, ...]:
    """Return how the probe is started."""
    return (workspace.python, "-B", f"{workspace.probe}/run_tests.py")


def probe_env(seed: int | None) -> Mapping[str, str]:
    """Return what the probe's environment needs beyond the workspace's own."""
    env = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    if seed is not None:
        env["PYTHONHASHSEED"] = str(seed % 4294967296)
    return env


def build_plan(workspace: Workspace, harness: Harness) -> dict[str, Any]:
    """Return the part of a plan that stays the same for all runs of a workspace."""
    return {
        "nonce": secrets.token_hex(16),
        "root": workspace.root,
        "kind": harness.kind,
        "paths": list(harness.paths),
        "options": list(harness.options),
        "pythonpath": list(harness.pythonpath),
        "plugins": list(harness.plugins),
        "autoload": harness.autoload,
        "env": dict(harness.env),
    }


def build_order(
    tests: Iterable[str],
    *,
    coverage: bool,
    wall_seconds: float,
    seed: int | None = None,
    test_seconds: float | None = None,
    overlay: Mapping[str, bytes] | None = None,
) -> dict[str, Any]:
    """Return the part of a plan that is one run's own."""
    limit = min(TEST_SECONDS, wall_seconds / 3) if test_seconds is None else test_seconds
    return {
        "tests": list(tests),
        "coverage": coverage,
        "wall_seconds": wall_seconds,
        "test_seconds": limit,
        "seed": seed,
        "overlay": {path: source.decode("latin-1") for path, source in (overlay or {}).items()},
    }
