"""The conditions that compare test results before and after, as pure functions of the reports."""

from __future__ import annotations

from collections.abc import Sequence

from agents.results import Failure
from sandbox.runners.report import Outcome, TestReport
from workflows.gate.surface import file_of
from workflows.verdicts import Baseline, Check

_SHOWN = 20


def listed(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    head = ", ".join(names[:3])
    return head if len(names) <= 3 else f"{head} and {len(names) - 3} more"


def tests(count: int) -> str:
    """Return a number of tests in words."""
    return f"{count} test" if count == 1 else f"{count} tests"


def _uncollected(report: TestReport, node_id: str) -> bool:
    return any(e.node_id == node_id for e in report.collection_errors)


def _failure_in(report: TestReport, target: Failure) -> str | None:
    """Return the exception with which the target failed, "" where it is unknown, None where it did not fail."""
    for result in (*report.results, *report.collection_errors):
        if result.node_id == target.node_id and (result.outcome.bad or result in report.collection_errors):
            return result.exception
    return None


def targets_failed_before(baseline: Baseline) -> Check:
    """Judge that every target failed in every base run, with the exception that the request states."""
    problems = []
    if not baseline.targets:
        return Check(
            "targets-failed-before", False, "No target test is named, so nothing shows that anything was repaired."
        )
    if not baseline.reports:
        return Check("targets-failed-before", False, "The tests were never run on the base.")
    for target in baseline.targets:
        if target.node_id in baseline.flaky:
            problems.append(f"{target.node_id} is flaky on the base")
            continue
        for report in baseline.reports:
            raised = _failure_in(report, target)
            if raised is None:
                outcome = report.outcome(target.node_id)
                problems.append(f"{target.node_id} {outcome.value if outcome else 'is missing'} on the base")
                break
            if target.exception and raised and raised.split(".")[-1] != target.exception.split(".")[-1]:
                problems.append(f"{target.node_id} failed with {raised} on the base, not with {target.exception}")
                break
    if problems:
        reason = f"Not every target failed steadily on the base: {problems[0]}."
        return Check("targets-failed-before", False, reason, tuple(problems[:_SHOWN]))
    runs, count = len(baseline.reports), tests(len(baseline.targets))
    return Check(
        "targets-failed-before", True,
        f"{count} failed in the same way in {'one run' if runs == 1 else f'{runs} runs'} of the base.",
        tuple(f"{t.node_id}: {t.exception or 'failed'}" for t in baseline.targets[:_SHOWN]),
    )  # fmt: skip


def _target_passes(report: TestReport, node_id: str) -> str | None:
    """Return what is wrong with a target in a run of the patched tree, or None."""
    outcome = report.outcome(node_id)
    if outcome is Outcome.PASSED:
        return None
    if outcome is not None:
        result = next(r for r in report.results if r.node_id == node_id)
        what = {Outcome.SKIPPED: "is skipped", Outcome.XFAILED: "is expected to fail",
                Outcome.XPASSED: "passes but is expected to fail"}.get(outcome, "still fails")  # fmt: skip
        return f"{node_id} {what}" + (f": {result.exception}" if result.exception and outcome.bad else "")
    if _uncollected(report, node_id):
        return f"{node_id} still cannot be collected"
    inside = [r for r in report.results if file_of(r.node_id) == node_id]
    if "::" in node_id or not inside:
        return f"{node_id} was not run"
    bad = [r.node_id for r in inside if r.outcome.bad]
    return f"{node_id} can be collected now, but {bad[0]} fails" if bad else None


def whole(report: TestReport) -> str | None:
    """Return why a run cannot be believed, or None."""
    if not report.complete:
        return f"the run of the tests did not come to its end (ended by {report.ended}, exit code {report.exit_code})"
    if report.ended != "exit":
        return f"the run of the tests was ended by {report.ended}"
    return None


def targets_pass(baseline: Baseline, runs: Sequence[TestReport]) -> Check:
    """Judge that every target passes in every run of the patched tree."""
    problems: dict[str, None] = {}
    for report in runs:
        for target in baseline.targets:
            wrong = _target_passes(report, target.node_id)
            if wrong:
                problems[wrong] = None
    if problems:
        why = next(filter(None, map(whole, runs)), None)
        reason = f"A target does not pass: {next(iter(problems))}" + (f"; {why}." if why else ".")
        return Check("targets-pass", False, reason, tuple(problems)[:_SHOWN])
    verb = "passes" if len(baseline.targets) == 1 else "pass"
    return Check("targets-pass", True, f"{tests(len(baseline.targets))} that failed now {verb}.")


def broken(baseline: Baseline, report: TestReport, flaky: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Return the node ids that passed steadily on the base and do not pass in `report`, in order."""
    return tuple(sorted(baseline.steady - frozenset(baseline.flaky) - flaky - report.passed()))


def nothing_broken(baseline: Baseline, runs: Sequence[TestReport], flaky: frozenset[str] = frozenset()) -> Check:
    """Judge that every test that passed steadily on the base passes in every run of the patched tree."""
    for report in runs:
        why = whole(report)
        if why:
            tail = report.output.strip().splitlines()[-5:]
            return Check("nothing-broken", False, f"{why[0].upper()}{why[1:]}.", tuple(tail))
    lost: dict[str, None] = {}
    for report in runs:
        for node_id in broken(baseline, report, flaky):
            outcome = report.outcome(node_id)
            lost[f"{node_id}: {outcome.value if outcome else 'missing'}"] = None
    if lost:
        names = [line.rsplit(": ", 1)[0] for line in lost]
        reason = f"{tests(len(lost))} that passed on the base {'does' if len(lost) == 1 else 'do'} not pass any more: "
        return Check("nothing-broken", False, f"{reason}{listed(names)}.", tuple(lost)[:_SHOWN])
    aside = f" ({tests(len(flaky | frozenset(baseline.flaky)))} set aside as flaky)" if flaky or baseline.flaky else ""
    steady = len(baseline.steady - flaky)
    return Check("nothing-broken", True, f"All {tests(steady)} that passed steadily on the base still pass{aside}."
                 if steady else f"No test passed steadily on the base, so none could be broken{aside}.")  # fmt: skip


def repeatable(
    baseline: Baseline, runs: Sequence[TestReport], wanted: int, flaky: frozenset[str] = frozenset()
) -> Check:
    """Judge that the runs of the patched tree agree on every test that is not flaky."""
    if len(runs) < wanted:
        return Check("repeatable", False, f"Only {len(runs)} of {wanted} clean-room runs were made.")
    aside = flaky | frozenset(baseline.flaky)
    tables = [{r.node_id: r.outcome for r in report.results if r.node_id not in aside} for report in runs]
    differing = sorted(i for i in set().union(*tables) if len({table.get(i) for table in tables}) > 1)
    if differing:
        reason = f"{tests(len(differing))} ended differently in repeated runs: {listed(differing)}."
        return Check("repeatable", False, reason, tuple(differing[:_SHOWN]))
    return Check("repeatable", True, f"{len(runs)} clean-room runs with different hash seeds agree on every test.")


def new_tampering(baseline: Baseline, runs: Sequence[TestReport]) -> tuple[str, ...]:
    """Return what the probe noticed in the patched tree's runs and in no run of the base."""
    before = {sentence for report in baseline.reports for sentence in report.tampering}
    return tuple(dict.fromkeys(s for report in runs for s in report.tampering if s not in before))
