"""What kind of task it is, and the tests as they are before anything is changed."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agents.results import Failure
from sandbox.runners.report import TestReport, TestResult
from workflows.errors import NoDiff, Usage
from workflows.job import BASELINE
from workflows.state import Intake, Request, RunState, StateDelta
from workflows.steps.base import flaky_tests
from workflows.verdicts import Baseline
from workflows.wording import listed, passing_tests, plural, printable

if TYPE_CHECKING:
    from workflows.job import Job


def intake(state: RunState, job: Job) -> StateDelta:  # noqa: ARG001 - every step has this shape
    """Take the base report and decide what is to be repaired.

    Raises:
        Usage: a test was asked for that does not exist.
        NoDiff: nothing fails, or only now and then.
        TestsUnusable, TestsUnrunnable: the tests cannot be run.

    """
    if job.snapshot.dirty:
        shown = listed(job.snapshot.dirty)
        job.events.emit("note", f"uncommitted changes are part of what is fixed: {shown}")
    for sentence in job.snapshot.notes:
        job.events.note(sentence)
    ready = job.ready()
    baseline, open_seconds = take_baseline(job)
    flaky, names = baseline.flaky, [target.node_id for target in baseline.targets]
    passed = len(baseline.steady)
    wanted = f"{plural(len(names), 'failing test')} to repair: {listed(names)}; " if names else ""
    text = f"{wanted}{passing_tests(passed)}"
    job.events.emit(
        "baseline", text + (f"; flaky, set aside: {listed(flaky)}" if flaky else ""),
        targets=names, passed=passed, flaky=list(flaky),
    )  # fmt: skip
    return {
        "intake": Intake(
            kind=job.request.kind or "fix", repository=str(job.snapshot.repository), commit=job.snapshot.commit,
            tree=job.tree.digest, dirty=job.snapshot.dirty, backend=ready.sandbox.name,
            environment=ready.environment.digest, harness=ready.harness.source, passed=passed,
            targets=tuple(names), flaky=flaky, base_seconds=baseline_seconds(baseline), open_seconds=open_seconds,
        )
    }  # fmt: skip


def take_baseline(job: Job) -> tuple[Baseline, float]:
    """Return the base report with the targets of this run, and how long a workspace takes to open.

    Raises:
        Usage, NoDiff, TestsUnusable, TestsUnrunnable: see `intake`.

    """

    def take() -> tuple[Baseline, float]:
        reports, open_seconds = job.base()
        flaky = flaky_tests(reports)
        request = job.request
        if request.purpose == "fix" or request.tests:
            targets = chosen_targets(reports, flaky, request.tests, request.issue, subfolder(job))
        else:
            targets = concerned(reports, flaky, request)
        return Baseline(reports, flaky, targets), open_seconds

    return job.once(BASELINE, take)


def baseline_seconds(baseline: Baseline) -> float:
    """Return the seconds of the longest full run, without those that went to tests that hung."""
    return max(report.seconds - sum(r.seconds for r in report.results if r.hung) for report in baseline.reports)


def subfolder(job: Job) -> str:
    """Return the folder that the command was given, relative to the repository; "" for its top."""
    try:
        inside = Path(job.request.path).resolve().relative_to(job.snapshot.repository.resolve()).as_posix()
    except ValueError:
        return ""
    return "" if inside == "." else inside


# The targets


def concerned(reports: Sequence[TestReport], flaky: Sequence[str], request: Request) -> tuple[Failure, ...]:
    """Return the failing tests that a request is about: those that it names, or all where it asks for a repair.

    A feature or a refactoring leaves alone what fails already.
    """
    from agents.triage import PlanTask, kind_of

    steady = tuple(as_failure(result) for result in reports[0].failed() if result.node_id not in flaky)
    if named := tuple(failure for failure in steady if failure.node_id in request.issue):
        return named
    kind = kind_of(PlanTask(request.issue, failing=steady, kind=request.kind))
    return steady if kind in {"fix", "security"} else ()


def matches(node_id: str, asked: str) -> bool:
    """Whether a test is the one that was asked for, or one of the class, file, folder or parameters."""
    if node_id == asked:
        return True
    asked = asked.removeprefix("./").rstrip("/")
    return node_id == asked or any(node_id.startswith(asked + end) for end in ("::", "[", "/"))


def as_failure(result: TestResult) -> Failure:
    """Return how a test fails."""
    return Failure(result.node_id, result.exception, result.message, result.frames)


def chosen_targets(
    reports: Sequence[TestReport], flaky: Sequence[str], asked: Sequence[str], issue: str, folder: str
) -> tuple[Failure, ...]:
    """Return the tests to repair: those asked for, or named in the issue, or all that fail steadily.

    Raises:
        Usage: a test that was asked for does not exist.
        NoDiff: nothing that was asked for fails steadily.

    """
    first = reports[0]
    known = [result.node_id for result in first.results]
    steady = [as_failure(result) for result in first.failed() if result.node_id not in flaky]
    if asked:
        return _asked_targets(asked, known, steady, flaky, folder)
    failing = {result.node_id for report in reports for result in report.failed()}
    failing_flaky = [name for name in flaky if name in failing]
    if not steady:
        raise NoDiff(_nothing_fails(first, len(known), failing_flaky))
    if folder and (inside := [failure for failure in steady if matches(failure.node_id, folder)]):
        steady = inside
    named = [failure for failure in steady if failure.node_id in issue]
    return tuple(named or steady)


def _nothing_fails(report: TestReport, total: int, flaky: Sequence[str]) -> str:
    if flaky:
        verb = "fails" if len(flaky) == 1 else "fail"
        return (
            f"no test fails steadily: {listed(flaky)} {verb} only sometimes, and what "
            "fails by chance cannot prove a repair; make it fail every time, then run `greendiff fix` again"
        )
    uncollected = [error.node_id for error in report.collection_errors]
    broken = f"; {listed(uncollected)} cannot be collected" if uncollected else ""
    return (
        f"no test fails: {plural(total, 'test')} ran{broken}. greendiff repairs what a failing test shows: write one "
        "that shows the bug; or describe it to `greendiff solve --issue FILE`, and a model writes the test"
    )


def _asked_targets(
    asked: Sequence[str], known: Sequence[str], steady: Sequence[Failure], flaky: Sequence[str], folder: str
) -> tuple[Failure, ...]:
    chosen: dict[str, Failure] = {}
    for name in asked:
        wanted = name
        if folder and not any(matches(node, name) for node in known):
            wanted = f"{folder}/{name}"
        found = [node for node in known if matches(node, wanted)]
        if not found:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            hint = f"; near it are {', '.join(near)}" if near else "; node ids look like tests/test_file.py::test_name"
            raise Usage(f"there is no test {printable(name)!r}{hint}")
        failing = [failure for failure in steady if failure.node_id in set(found)]
        if not failing:
            unsteady = [node for node in found if node in set(flaky)]
            if unsteady:
                raise NoDiff(
                    f"{listed(unsteady)} fails only sometimes, and what fails by chance cannot prove a repair; "
                    "make it fail every time, then run `greendiff fix` again"
                )
            raise NoDiff(f"{printable(name)} passes already: there is nothing to repair in it")
        chosen.update({failure.node_id: failure for failure in failing})
    return tuple(failure for failure in steady if failure.node_id in chosen)
