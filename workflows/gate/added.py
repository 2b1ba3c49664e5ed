"""The conditions on tests that a patch brings along: they fail without it, pass with it, and mean something."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agents.results import Failure
from sandbox.runners.report import Outcome, TestReport
from workflows.gate.outcomes import broken, listed, tests, whole
from workflows.gate.static import Static
from workflows.verdicts import Check, CheckName, GateCase

RUNS = 3
"""Runs on each side: all tests, the added files alone, and every second added target alone."""
_SHOWN = 20
_OF_IMPORTS = frozenset({"ImportError", "ModuleNotFoundError", "AttributeError", "NameError"})
"""Exceptions that say no more than that something is not there yet."""


def asked(case: GateCase, number: int) -> tuple[Failure, ...]:
    """Return the added targets that run `number` is about."""
    return case.added_targets if number < RUNS - 1 else case.added_targets[1::2] or case.added_targets


def selection(case: GateCase, static: Static, number: int) -> tuple[str, ...]:
    """Return what run `number` is asked to run; empty for all tests."""
    if number == 0 or case.harness.kind == "command":
        return ()
    if case.claim == "tests":
        return static.added_tests if number < RUNS - 1 else tuple(reversed(static.added_tests))
    return static.added_tests if number < RUNS - 1 else tuple(t.node_id for t in reversed(asked(case, number)))


def home_of(static: Static, node_id: str) -> str:
    """Return the added test file that a test lies in, "" for any other test."""
    path = static.surface.place_of(node_id, static.after)[0] or ""
    return path if path in static.added_tests else ""


def _short(exception: str) -> str:
    return exception.rsplit(".", 1)[-1]


def _failure(static: Static, report: TestReport, target: Failure) -> tuple[str, bool] | None:
    """Return what a target failed with and whether its file could not be collected, None where it did not fail."""
    for result in report.results:
        if result.node_id == target.node_id:
            return (result.exception, False) if result.outcome.bad else None
    home = home_of(static, target.node_id)
    for error in report.collection_errors:
        if error.node_id in {target.node_id, home} or home_of(static, error.node_id) == home:
            return error.exception, True
    return None


def _named(case: GateCase, static: Static, name: CheckName) -> Check | None:
    """Return why the targets cannot be what they are said to be, or None."""
    if not case.added_targets:
        return Check(name, False, "No added test is named that shows what the patch adds.")
    for target in case.added_targets:
        if not home_of(static, target.node_id):
            return Check(name, False, f"{target.node_id} is not in a test file that the patch adds.")
        if not target.exception:
            return Check(name, False, f"No reason is stated for which {target.node_id} fails without the patch.")
        if target.node_id in case.baseline.flaky:
            return Check(name, False, f"{target.node_id} is flaky on the base.")
    return None


def added_failed_before(case: GateCase, static: Static, before: Sequence[TestReport]) -> Check:
    """Judge that every added target failed in every run of the base that had its file, for the stated reason."""
    name: CheckName = "added-failed-before"
    wrong = _named(case, static, name)
    if wrong is not None:
        return wrong
    problems = list(dict.fromkeys(wrong_before(case, static, before)))
    if problems:
        reason = f"Not every added test fails on the base for the stated reason: {problems[0]}."
        return Check(name, False, reason, tuple(problems[:_SHOWN]))
    if len(before) < RUNS:
        return Check(name, False, f"Only {len(before)} of {RUNS} runs of the base with the added tests were made.")
    return Check(
        name, True,
        f"{tests(len(case.added_targets))} of the patch failed for the stated reason in {RUNS} runs of the base.",
        tuple(f"{t.node_id}: {t.exception}" for t in case.added_targets[:_SHOWN]),
    )  # fmt: skip


def wrong_before(case: GateCase, static: Static, before: Sequence[TestReport]) -> Iterator[str]:
    """Yield what speaks against the added targets in runs of the base that had their files."""
    for number, report in enumerate(before):
        why = whole(report)
        if why:
            yield f"with them, {why}"
        for target in asked(case, number):
            failed = _failure(static, report, target)
            if failed is None:
                outcome = report.outcome(target.node_id)
                yield f"{target.node_id} {outcome.value if outcome else 'was not run'} without the patch"
                continue
            raised, uncollected = failed
            if _short(raised) != _short(target.exception) and not _same_kind(raised, target.exception):
                how = "its file could not be collected" if uncollected else "it failed"
                yield f"{target.node_id}: {how} with {raised or 'an unknown error'}, not with {target.exception}"


def _same_kind(raised: str, stated: str) -> bool:
    """Whether a module that is missing was stated as the more general error of importing."""
    return {_short(raised), _short(stated)} == {"ImportError", "ModuleNotFoundError"}


def added_pass(
    case: GateCase, static: Static, runs: Sequence[TestReport], flaky: frozenset[str] = frozenset()
) -> Check:
    """Judge that the added tests pass in every run of the whole patch, and that nothing else suffers from them."""
    name: CheckName = "added-pass"
    problems = list(dict.fromkeys(wrong_after(case, static, runs)))
    if problems:
        return Check(name, False, f"The added tests do not hold: {problems[0]}.", tuple(problems[:_SHOWN]))
    if len(runs) < RUNS:
        return Check(name, False, f"Only {len(runs)} of {RUNS} runs of the whole patch were made.")
    first = runs[0]
    lost = [t.node_id for t in case.baseline.targets if first.outcome(t.node_id) is not Outcome.PASSED]
    lost += broken(case.baseline, first, flaky)
    if lost:
        reason = f"With the added test files in place, {tests(len(lost))} did not pass: {listed(lost)}."
        return Check(name, False, reason, tuple(lost[:_SHOWN]))
    others = sum(bool(home_of(static, r.node_id)) for r in first.results) - len(case.added_targets)
    if case.claim == "tests":
        seen = {path: sum(home_of(static, r.node_id) == path for r in first.results) for path in static.added_tests}
        hollow = [path for path, number in seen.items() if not number]
        if hollow or not seen:
            return Check(name, False, f"No test was run of {listed(hollow) or 'the patch'}.", tuple(hollow[:_SHOWN]))
        return Check(name, True, f"{tests(others)} that it adds passed in {RUNS} runs with different hash seeds.")
    more = f", and so do {tests(others)} beside them" if others > 0 else ""
    count = tests(len(case.added_targets))
    return Check(name, True, f"{count} that the patch adds passed in {RUNS} runs with different hash seeds{more}.")


def wrong_after(case: GateCase, static: Static, runs: Sequence[TestReport]) -> Iterator[str]:
    """Yield what speaks against the added tests in runs of the whole patch."""
    for number, report in enumerate(runs):
        why = whole(report)
        if why:
            yield f"with them, {why}"
        for error in report.collection_errors:
            if error.node_id in static.added_tests or home_of(static, error.node_id):
                yield f"{error.node_id} cannot be collected ({error.exception})"
        for target in asked(case, number):
            if report.outcome(target.node_id) is None:
                yield f"{target.node_id} was not run" + ("" if number else " with all the other tests")
        for result in report.results:
            if result.outcome is not Outcome.PASSED and home_of(static, result.node_id):
                what = "fails" if result.outcome.bad else f"is {result.outcome.value}"
                yield f"{result.node_id} {what}" + (f" with {result.exception}" if result.outcome.bad else "")


def _in_hollow(static: Static, report: TestReport, target: Failure) -> str:
    failed = _failure(static, report, target)
    if failed is not None:
        return "uncollected" if failed[1] else "failed"
    return "passed" if report.outcome(target.node_id) is Outcome.PASSED else "missing"


def added_matter(case: GateCase, static: Static, hollow: Sequence[TestReport]) -> Check:
    """Judge that no added target passes whatever the functions do that the patch adds or changes."""
    name: CheckName = "added-matter"
    if not static.functions:
        weak = [t.node_id for t in case.added_targets if _short(t.exception) in _OF_IMPORTS or not static.python]
        if weak:
            reason = "No function could be emptied to see whether the added tests depend on it; a person should look"
            return Check(name, True, f"{reason}: {listed(weak)}.", tuple(weak[:_SHOWN]), flagged=True)
        return Check(name, True, "No function changes that could be emptied; the failures on the base speak alone.")
    if not hollow or (len(hollow) == 1 and needs_other_way(case, static, hollow[0])):
        return Check(name, False, "The added tests were not run with the patch's functions emptied.")
    seen = {t.node_id: [_in_hollow(static, report, t) for report in hollow] for t in case.added_targets}
    vacuous = [node_id for node_id, ends in seen.items() if set(ends) == {"passed"}]
    if vacuous:
        reason = f"An added test passes whatever the patched functions do, so it shows nothing: {listed(vacuous)}."
        return Check(name, False, reason, tuple(vacuous[:_SHOWN]))
    unsure = [node_id for node_id, ends in seen.items() if "failed" not in ends]
    if unsure:
        reason = f"A person should look whether the added tests depend on what the patch does: {listed(unsure)}."
        return Check(name, True, reason, tuple(unsure[:_SHOWN]), flagged=True)
    return Check(name, True, "No added test passes when the functions that the patch touches are emptied.")


def needs_other_way(case: GateCase, static: Static, hollow: TestReport) -> bool:
    """Whether an added target did not fail in a run with emptied functions, so that another way is worth a run."""
    return any(_in_hollow(static, hollow, target) != "failed" for target in case.added_targets)
