"""The gate: a candidate is judged in fresh sandboxes, and only what passes becomes a `VerifiedPatch`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, Self, final
from weakref import WeakKeyDictionary

from sandbox.protocol import Progress, Sandbox
from sandbox.runners.report import TestReport
from workflows.errors import WorkflowError
from workflows.gate.clean_room import judged_tree, late_flaky, run_clean
from workflows.gate.generalises import generalises, probed_tampering
from workflows.gate.outcomes import new_tampering, nothing_broken, repeatable, targets_failed_before, targets_pass
from workflows.gate.static import Static, static_checks
from workflows.verdicts import Baseline, Check, CheckName, GateCase, GateReport

ORDER: Final[tuple[CheckName, ...]] = (
    "applies", "scope", "tests-untouched", "tamper", "targets-failed-before", "targets-pass", "nothing-broken",
    "no-new-findings", "repeatable", "generalises",
)  # fmt: skip
"""Every condition, in the order in which a report lists them."""


class NotVerified(WorkflowError):
    """A patch was about to be taken for verified without a passing report of exactly this patch on this base."""


def judge(case: GateCase, sandbox: Sandbox, progress: Progress) -> GateReport:
    """Judge one candidate: what can be read first, then clean-room runs in fresh sandboxes without network.

    Raises:
        SandboxUnavailable, SandboxBroken: the sandbox does not answer or went away; nothing is judged then.
        Unusable: the linter cannot be run.

    """
    started = time.monotonic()
    progress("reading the patch")
    static = static_checks(case)
    checks = list(static.checks)
    if static.passed:
        checks.append(targets_failed_before(case.baseline))
    reports: tuple[TestReport, ...] = ()
    flaky: frozenset[str] = frozenset()
    if static.after is not None and all(check.passed for check in checks):
        ran, reports, flaky = _clean_room(case, static, sandbox, progress)
        checks = _merged(checks, ran)
    report = GateReport(
        patch=case.patch,
        checks=tuple(sorted(checks, key=lambda check: ORDER.index(check.name))),
        reports=reports,
        added_tests=static.added_tests,
        seconds=round(time.monotonic() - started, 3),
        base_digest=case.base.digest,
        flaky=tuple(sorted(flaky)),
    )
    refused = next((check for check in report.checks if not check.passed), None)
    progress(f"refused ({refused.name}): {refused.reason}" if refused else "every condition of the gate holds")
    return report


def _merged(before: Sequence[Check], after: Sequence[Check]) -> list[Check]:
    """Later verdicts under the same name take the place of earlier ones."""
    return list({check.name: check for check in (*before, *after)}.values())


def _clean_room(
    case: GateCase, static: Static, sandbox: Sandbox, progress: Progress
) -> tuple[list[Check], tuple[TestReport, ...], frozenset[str]]:
    assert static.after is not None  # noqa: S101 - the caller has looked
    tree = judged_tree(case.base, static.after, static.changed, static.added_tests)
    room = run_clean(case, sandbox, tree, static, progress)
    if room.unrunnable:
        reason = f"The tests cannot be run on the patched tree: {room.unrunnable}."
        return [Check("targets-pass", False, reason.replace("..", "."))], room.reports, frozenset()
    passing = targets_pass(case.baseline, room.reports)
    flaky = late_flaky(case, sandbox, room.reports, progress) if passing.passed else frozenset()
    checks = [passing, *_of_runs(case.baseline, room.reports, case.repeats, flaky)]
    tampering = (*new_tampering(case.baseline, room.reports), *probed_tampering(room.probed))
    if tampering:
        reason = f"The tests' machinery was changed while they ran: {tampering[0].rstrip('.')}."
        checks.append(Check("tamper", False, reason, tampering))
    checks.append(generalises(case.base, room, static))
    return checks, room.reports, flaky


def _of_runs(
    baseline: Baseline, reports: Sequence[TestReport], repeats: int, flaky: frozenset[str]
) -> tuple[Check, Check]:
    return nothing_broken(baseline, reports, flaky), repeatable(baseline, reports, repeats, flaky)


@dataclass(frozen=True, slots=True)
class _Content:
    patch: bytes
    base_digest: str
    report: GateReport


_ISSUED: WeakKeyDictionary[VerifiedPatch, _Content] = WeakKeyDictionary()


@final
class VerifiedPatch:
    """A patch together with the passing report that it was judged by.

    `from_report` is the only way to one. What it holds is kept apart from the object, so an object that came about in
    any other way (a copy, an unpickled one, `object.__new__`) holds nothing, and says so when it is asked.
    """

    __slots__ = ("__weakref__",)

    def __new__(cls, *_arguments: object, **_named: object) -> Self:
        """Raise: see `from_report`."""
        raise NotVerified("a verified patch is made from a passing report of the gate, and in no other way")

    def __init_subclass__(cls, **_named: object) -> NoReturn:
        """Raise: a subclass could be built without a report."""
        raise NotVerified("VerifiedPatch has no subclasses")

    @classmethod
    def from_report(cls, report: GateReport, case: GateCase) -> VerifiedPatch:
        """Return the patch of `case`, verified by `report`.

        What the report claims is derived again, as far as that needs no sandbox: from the patch, the base and both
        test tables. So a report that was kept on disk can be used, and one that was made up cannot.

        Raises:
            NotVerified: the report did not pass, is incomplete, or is about another patch, base or baseline.

        """
        _require(report.patch == case.patch, "the report is about another patch")
        _require(report.base_digest == case.base.digest, "the report is about another base")
        proven = case.claim == "repairs" and not case.added_targets and case.environment_after is None
        _require(proven, "what it claims cannot be judged yet")
        _require(tuple(check.name for check in report.checks) == ORDER, "the report does not hold every condition once")
        refused = next((check for check in report.checks if not check.passed), None)
        _require(refused is None, f"the gate refused it ({refused.name}): {refused.reason}" if refused else "")
        flaky = frozenset(report.flaky)
        _require(not flaky & {t.node_id for t in case.baseline.targets}, "a target is set aside as flaky")
        again = [
            *static_checks(case).checks,
            targets_failed_before(case.baseline),
            targets_pass(case.baseline, report.reports),
            *_of_runs(case.baseline, report.reports, case.repeats, flaky),
        ]
        _require(bool(report.reports), "the report holds no run")
        wrong = next((check for check in again if not check.passed), None)
        _require(wrong is None, f"the report does not bear it out ({wrong.name}): {wrong.reason}" if wrong else "")
        tampering = new_tampering(case.baseline, report.reports)
        _require(not tampering, f"the report's runs were tampered with: {' '.join(tampering)}")
        verified = object.__new__(cls)
        _ISSUED[verified] = _Content(case.patch, case.base.digest, report)
        return verified

    def _content(self) -> _Content:
        content = _ISSUED.get(self)
        if content is None:
            raise NotVerified("this object was not made by the gate")
        return content

    @property
    def patch(self) -> bytes:
        """Git's patch, exactly as it was judged."""
        return self._content().patch

    @property
    def base_digest(self) -> str:
        """`Tree.digest` of the base that it was judged on."""
        return self._content().base_digest

    @property
    def report(self) -> GateReport:
        """The report that it passed."""
        return self._content().report

    def __repr__(self) -> str:
        """Return the size of the patch and the base's digest."""
        content = self._content()
        return f"<VerifiedPatch {len(content.patch)} bytes on {content.base_digest[:12]}>"

    def __copy__(self) -> Self:
        """Return the same object: it cannot change."""
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        """Return the same object: it cannot change."""
        return self

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        """Raise: keep the report and the case instead, and ask `from_report` again."""
        raise NotVerified("a verified patch is not pickled; keep its report and its case instead")


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise NotVerified(f"Not a verified patch: {reason}.".replace("..", "."))
