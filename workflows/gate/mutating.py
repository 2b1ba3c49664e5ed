"""The gate's fourth proof: small faults in the lines that a patch changes, and how many of them its tests notice."""

from __future__ import annotations

import threading
import time

from agents.mutation.changed import changed_lines
from agents.mutation.generate import mutants_of, spread
from agents.mutation.judge import Bench, judge
from agents.mutation.mutant import Judged, Mutant, share
from sandbox.errors import PatchError, SandboxBroken, TestsUnrunnable
from sandbox.patches import apply
from sandbox.protocol import Progress, Sandbox
from sandbox.runners.run import run_tests
from sandbox.tree import Tree
from workflows.verdicts import GateCase, Mutation
from workflows.wording import plural

SECONDS = 20.0
"""Longest time for one patch, altogether."""
LEAST_SECONDS = 2.0
"""With less, none is tried."""
MOST = 120
"""Mutants that are tried, at most, spread over the changed lines."""
GRACE = 1.0
"""Seconds after which whatever still runs is cut off."""
_ENDING = 0.5
"""Seconds kept back to close the workspace."""
_SEED = 301
_TOLD = 5
_RUN_SHARE = 0.5
"""Of the time, for the run that shows which lines each test runs."""


def faults(before: Tree, after: Tree) -> tuple[Mutant, ...]:
    """Return the mutants of the lines that differ, in a fixed order."""
    found = [
        mutant
        for path, lines in sorted(changed_lines(before, after).items())
        for mutant in mutants_of(after, path, lines)
        # What an exception or a log says to a person is seldom what a test is about.
        if mutant.operator != "constant.message"
    ]
    return tuple(found)


def try_faults(case: GateCase, sandbox: Sandbox, progress: Progress, *, seconds: float = SECONDS) -> Mutation:
    """Try mutants of the lines that a patch changes, with the patched tree's steady tests, its own ones included.

    Whatever the patch or the tests do, this only says so; it takes `seconds` at most, and a moment to come to its end.

    Raises:
        SandboxUnavailable: the sandbox does not answer.

    """
    begun = time.monotonic()
    try:
        after = apply(case.base, case.patch)
    except PatchError as error:
        return Mutation(0, 0, 0, 0, why=str(error))
    every = faults(case.base, after)
    if not every:
        return Mutation(0, 0, 0, 0, why="no fault can be put into the changed lines")
    if case.harness.kind == "command":
        return Mutation(len(every), 0, 0, 0, why="the tests are run by a command")
    chosen = spread(every, MOST)
    progress(f"trying {plural(len(chosen), 'mutant')} of the changed lines")
    try:
        judged = _judged(case, sandbox, after, chosen, begun + seconds - GRACE - _ENDING)
    except (TestsUnrunnable, SandboxBroken) as error:
        return Mutation(len(every), 0, 0, 0, why=str(error), seconds=round(time.monotonic() - begun, 3))
    return told(len(every), judged, time.monotonic() - begun)


def told(made: int, judged: tuple[Judged, ...], seconds: float) -> Mutation:
    """Return the figures of verdicts."""
    tried = [one for one in judged if one.verdict != "untried"]
    saying = [one for one in tried if one.verdict not in {"broken", "equivalent"}]
    caught = sum(one.caught for one in saying)
    missed = tuple(f"{one.mutant.description} ({one.verdict})" for one in saying if not one.caught)
    why = "" if tried else "there was no time to try one"
    found = Mutation(made, len(tried), caught, len(saying), missed[:_TOLD], why, round(seconds, 3))
    assert found.share == share(judged)  # noqa: S101 - the same figures, told twice
    return found


def _judged(
    case: GateCase, sandbox: Sandbox, after: Tree, mutants: tuple[Mutant, ...], end: float
) -> tuple[Judged, ...]:
    environment = case.patched_environment
    with sandbox.open(after, environment, case.limits) as workspace:
        wall = max(1.0, (end - time.monotonic()) * _RUN_SHARE)
        report = run_tests(workspace, case.harness, coverage=True, wall_seconds=wall, test_seconds=wall / 3, seed=_SEED)
        flaky = set(case.baseline.flaky)
        tests = tuple(name for name in sorted(report.passed()) if name not in flaky)
        if not tests:
            raise TestsUnrunnable("no test came to its end in time")
        bench = Bench(after, workspace, case.harness, report, tests=tests)
        left, stop = max(0.5, end - time.monotonic()), threading.Event()
        timer = threading.Timer(left + GRACE, stop.set)
        timer.start()
        try:
            return judge(mutants, bench, seconds=left, stop=stop)
        finally:
            timer.cancel()
