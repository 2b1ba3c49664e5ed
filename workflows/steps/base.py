"""The tests as they are: full runs in fresh workspaces, taken again only when something has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from sandbox.runners.report import Outcome, TestReport
from sandbox.tree import Tree
from workflows.background import Task
from workflows.errors import RecordError, TestsUnusable
from workflows.records import decode, encode
from workflows.runs import cache_folder, write_whole
from workflows.wording import printable

if TYPE_CHECKING:
    from workflows.job import Job

BASE_SHARE = 0.5
"""Largest share of the time left that one round of base runs may take."""

TEST_SHARE = 0.2
"""Share of a base run's time after which one test counts as hanging, between the two bounds below."""
TEST_LEAST_SECONDS = 1.0
TEST_MOST_SECONDS = 60.0
HANG_SHARE = 0.5
"""Of that: the processor time after which a test counts as hanging that takes many times what the others took."""


class BaseReports(NamedTuple):
    """The base report before anything is decided about it."""

    reports: tuple[TestReport, ...]
    """At least two full runs, each in a fresh workspace."""
    open_seconds: float
    """How long a workspace took to open."""


def base_reports(job: Job) -> BaseReports:
    """Return at least two full runs, from the cache where nothing has changed since.

    Raises:
        TestsUnusable: the tests do not come to an end, or none can be collected.

    """
    path = cache_folder() / "base" / f"{_cache_key(job)}.rec"
    if not job.run.recorded("base-1") and (known := _cached(path)):
        job.events.note("the tests were run on exactly these files before: taking that report")
        for report in known.reports:
            check_report(report, 0.0, wanted=tests_needed(job))
        job.spare()
        return known
    job.events.note("running the tests as they are")
    wanted = range(1, job.settings.base_runs + 1)
    run = partial(_full_run, job)
    tasks = [Task(partial(job.once, f"base-{number}", run), f"base-{number}") for number in wanted]
    job.spare()
    done = [task.result() for task in tasks]
    reports = tuple(report for report, _ in done)
    if flaky_tests(reports):
        job.events.note("some tests do not always end alike: running them once more")
        done.append(job.once("base-more", lambda: _full_run(job)))
        reports = tuple(report for report, _ in done)
    seconds = max(seconds for _, seconds in done)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, encode((reports, seconds)))
    return BaseReports(reports, seconds)


def runs_of(job: Job, tree: Tree) -> tuple[TestReport, ...]:
    """Return full runs of another tree than the run's own, as many as of that one, each in a fresh workspace.

    Raises:
        TestsUnusable: the tests do not come to an end, or none can be collected.

    """
    from sandbox.runners.run import run_tests

    reports = []
    for _ in range(job.settings.base_runs):
        with job.open_tree(tree) as workspace:
            wall, each = _limits(job)
            reports.append(
                run_tests(
                    workspace, job.ready().harness, wall_seconds=wall, test_seconds=each, hang_seconds=each * HANG_SHARE
                )
            )
        check_report(reports[-1], wall, wanted=tests_needed(job))
    return tuple(reports)


def _limits(job: Job) -> tuple[float, float]:
    """Return the longest time of a run, and of one test in it."""
    wall = min(job.settings.limits.wall_seconds, max(5.0, job.clock.left() * BASE_SHARE))
    return wall, max(TEST_LEAST_SECONDS, min(TEST_MOST_SECONDS, wall * TEST_SHARE))


def _cache_key(job: Job) -> str:
    ready = job.ready()
    parts = (
        job.tree.digest,
        ready.environment.digest,
        ready.harness,
        job.settings.base_runs,
        job.settings.limits.limits(),
    )
    return hashlib.sha256(encode(parts)).hexdigest()


def _cached(path: Path) -> BaseReports | None:
    try:
        return BaseReports(*cast("tuple[tuple[TestReport, ...], float]", decode(path.read_bytes())))
    except (FileNotFoundError, RecordError):
        return None


def _full_run(job: Job) -> tuple[TestReport, float]:
    """Run all tests in a fresh workspace."""
    from sandbox.runners.run import run_tests

    workspace, seconds = job.open()
    with workspace:
        wall, each = _limits(job)
        report = run_tests(
            workspace, job.ready().harness, wall_seconds=wall, test_seconds=each, hang_seconds=each * HANG_SHARE
        )
    check_report(report, wall, wanted=tests_needed(job))
    return report, seconds


def tests_needed(job: Job) -> bool:
    """Whether there have to be tests: a request in words may get its first ones written."""
    return job.request.purpose == "fix" or bool(job.request.tests)


def check_report(report: TestReport, wall: float, *, wanted: bool = True) -> None:
    """Refuse a base run that says nothing; without tests at all only where some are `wanted`.

    Raises:
        TestsUnusable: it did not come to its end, or collected nothing.

    """
    if report.ended == "timeout":
        last = f"; the last one that ended was {report.results[-1].node_id}" if report.results else ""
        raise TestsUnusable(
            f"the tests did not come to an end within {wall:.0f} s{last}; give more time with --budget, "
            "or name the tests to run under [tool.greendiff.tests] paths"
        )
    if not report.results and report.collection_errors:
        first = report.collection_errors[0]
        raise TestsUnusable(
            f"no test can be collected: {printable(first.node_id)}: {first.exception} {first.message}".strip()
        )
    if not report.results and report.complete and not wanted:
        return
    if not report.results and report.complete:
        raise TestsUnusable(
            "there are no tests here; greendiff needs one that fails: write it, or say under [tool.greendiff.tests] "
            "where the tests are"
        )
    if not report.complete:
        how = {"memory": "ran out of memory", "signal": "were killed by a signal"}.get(report.ended, "broke off")
        tail = "\n".join(report.output.strip().splitlines()[-15:])
        raise TestsUnusable(f"the tests {how} before their end (exit code {report.exit_code})\n{tail}".strip())


def flaky_tests(reports: Iterable[TestReport]) -> tuple[str, ...]:
    """Return the tests that did not end alike in all runs, in the order in which they ran."""
    outcomes: dict[str, list[Outcome]] = {}
    runs = 0
    for report in reports:
        runs += 1
        for result in report.results:
            outcomes.setdefault(result.node_id, []).append(result.outcome)
    return tuple(name for name, seen in outcomes.items() if len(seen) != runs or len(set(seen)) > 1)
