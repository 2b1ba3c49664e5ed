"""What kind of task it is, and the tests as they are before anything is changed."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from agents.results import Failure
from sandbox.runners.report import Outcome, TestReport, TestResult
from workflows.background import Task
from workflows.errors import NoDiff, RecordError, Unusable, Usage
from workflows.runs import cache_folder, write_whole
from workflows.state import Intake, RunState, StateDelta
from workflows.verdicts import Baseline

if TYPE_CHECKING:
    from workflows.job import Job

BASELINE = "baseline"
"""Record that holds the base report, with the targets of this run."""
SHOWN = 5
"""How many names a sentence lists."""
BASE_SHARE = 0.5
"""Largest share of the time left that one round of base runs may take."""


def intake(state: RunState, job: Job) -> StateDelta:
    """Take the base report and decide what is to be repaired.

    Raises:
        Usage: a test was asked for that does not exist.
        NoDiff: nothing fails, or only now and then.
        Unusable: the tests cannot be run.

    """
    request = state["request"]
    if job.snapshot.dirty:
        shown = listed(job.snapshot.dirty)
        job.events.emit("note", f"uncommitted changes are part of what is fixed: {shown}")
    for sentence in job.snapshot.notes:
        job.events.note(sentence)
    ready = job.ready()
    reports, open_seconds = base_reports(job)
    flaky = flaky_tests(reports)
    targets = chosen_targets(reports, flaky, request.tests, request.issue, subfolder(job))
    baseline = job.once(BASELINE, lambda: Baseline(reports, flaky, targets))
    names = [target.node_id for target in targets]
    passed = len(baseline.steady)
    text = f"{plural(len(names), 'failing test')} to repair: {listed(names)}; {plural(passed, 'test')} pass"
    job.events.emit(
        "baseline", text + (f"; flaky, set aside: {listed(flaky)}" if flaky else ""),
        targets=names, passed=passed, flaky=list(flaky),
    )  # fmt: skip
    return {
        "intake": Intake(
            kind="fix", repository=str(job.snapshot.repository), commit=job.snapshot.commit, tree=job.tree.digest,
            dirty=job.snapshot.dirty, backend=ready.sandbox.name, environment=ready.environment.digest,
            harness=ready.harness.source, passed=passed, targets=tuple(names), flaky=flaky,
            base_seconds=max(report.seconds for report in reports), open_seconds=open_seconds,
        )
    }  # fmt: skip


def plural(count: int, noun: str) -> str:
    """Return "1 test" or "2 tests"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listed(names: Sequence[str]) -> str:
    """Return the first few names and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(printable(name) for name in names[:SHOWN]) + more


def printable(text: str) -> str:
    """Return text that any terminal takes: what is not UTF-8 is shown escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def subfolder(job: Job) -> str:
    """Return the folder that the command was given, relative to the repository; "" for its top."""
    try:
        inside = Path(job.request.path).resolve().relative_to(job.snapshot.repository.resolve()).as_posix()
    except ValueError:
        return ""
    return "" if inside == "." else inside


# The base report


def base_reports(job: Job) -> tuple[tuple[TestReport, ...], float]:
    """Return at least two full runs, each in a fresh workspace, from the cache where nothing has changed since.

    The second value is how long a workspace took to open.

    Raises:
        Unusable: the tests do not come to an end, or none can be collected.

    """
    path = cache_folder() / "base" / f"{_cache_key(job)}.rec"
    if not job.run.recorded("base-1") and (known := _cached(path)):
        job.events.note("the tests were run on exactly these files before: taking that report")
        return known
    job.events.note("running the tests as they are")
    wanted = range(1, job.settings.base_runs + 1)
    run = partial(_full_run, job)
    tasks = [Task(partial(job.once, f"base-{number}", run), f"base-{number}") for number in wanted]
    done = [task.result() for task in tasks]
    reports = tuple(report for report, _ in done)
    if flaky_tests(reports):
        job.events.note("some tests do not always end alike: running them once more")
        done.append(job.once("base-more", lambda: _full_run(job)))
        reports = tuple(report for report, _ in done)
    seconds = max(seconds for _, seconds in done)
    from workflows.records import encode

    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, encode((reports, seconds)))
    return reports, seconds


def _cache_key(job: Job) -> str:
    from workflows.records import encode

    ready = job.ready()
    parts = (
        job.tree.digest,
        ready.environment.digest,
        ready.harness,
        job.settings.base_runs,
        job.settings.limits.limits(),
    )
    return hashlib.sha256(encode(parts)).hexdigest()


def _cached(path: Path) -> tuple[tuple[TestReport, ...], float] | None:
    from workflows.records import decode

    try:
        return cast("tuple[tuple[TestReport, ...], float]", decode(path.read_bytes()))
    except (FileNotFoundError, RecordError):
        return None


def _full_run(job: Job) -> tuple[TestReport, float]:
    """Run all tests in a fresh workspace."""
    from sandbox.runners.run import run_tests

    workspace, seconds = job.open()
    with workspace:
        wall = min(job.settings.limits.wall_seconds, max(5.0, job.clock.left() * BASE_SHARE))
        report = run_tests(workspace, job.ready().harness, wall_seconds=wall)
    check_report(report, wall)
    return report, seconds


def check_report(report: TestReport, wall: float) -> None:
    """Refuse a base run that says nothing.

    Raises:
        Unusable: it did not come to its end, or collected nothing.

    """
    if report.ended == "timeout":
        last = f"; the last one that ended was {report.results[-1].node_id}" if report.results else ""
        raise Unusable(
            f"the tests did not come to an end within {wall:.0f} s{last}; give more time with --budget, "
            "or name the tests to run under [tool.greendiff.tests] paths"
        )
    if not report.results and report.collection_errors:
        first = report.collection_errors[0]
        raise Unusable(
            f"no test can be collected: {printable(first.node_id)}: {first.exception} {first.message}".strip()
        )
    if not report.results and report.complete:
        raise Unusable(
            "there are no tests here; greendiff needs one that fails: write it, or say under [tool.greendiff.tests] "
            "where the tests are"
        )
    if not report.complete:
        how = {"memory": "ran out of memory", "signal": "were killed by a signal"}.get(report.ended, "broke off")
        tail = "\n".join(report.output.strip().splitlines()[-15:])
        raise Unusable(f"the tests {how} before their end (exit code {report.exit_code})\n{tail}".strip())


def flaky_tests(reports: Iterable[TestReport]) -> tuple[str, ...]:
    """Return the tests that did not end alike in all runs, in the order in which they ran."""
    outcomes: dict[str, list[Outcome]] = {}
    runs = 0
    for report in reports:
        runs += 1
        for result in report.results:
            outcomes.setdefault(result.node_id, []).append(result.outcome)
    return tuple(name for name, seen in outcomes.items() if len(seen) != runs or len(set(seen)) > 1)


# The targets


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
        "that shows the bug; a text about it can go along with --issue FILE"
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
