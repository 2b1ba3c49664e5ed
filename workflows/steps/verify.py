"""The gate: a candidate is judged in fresh sandboxes, and only what passes becomes a `VerifiedPatch`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn, Self, final
from weakref import WeakKeyDictionary

from sandbox.protocol import Progress, Sandbox
from sandbox.runners.report import TestReport
from workflows.errors import WorkflowError
from workflows.gate.added import added_failed_before, added_matter, added_pass
from workflows.gate.clean_room import CleanRoom, judged_tree, late_flaky, run_clean
from workflows.gate.generalises import generalises, probed_tampering
from workflows.gate.outcomes import new_tampering, nothing_broken, repeatable, targets_failed_before, targets_pass
from workflows.gate.preserving import Covered, look, preserved
from workflows.gate.proof import Proof, prove, run_whole
from workflows.gate.static import Static, static_checks
from workflows.verdicts import Check, CheckName, GateCase, GateReport

CONDITIONS: Final[tuple[CheckName, ...]] = (
    "applies", "scope", "tests-untouched", "tamper", "added-tests", "environment", "targets-failed-before",
    "added-failed-before", "targets-pass", "added-pass", "added-matter", "nothing-broken", "change-covered",
    "interface", "no-new-findings", "repeatable", "generalises",
)  # fmt: skip
"""Every condition, in the order in which a report lists those that a case must meet."""


class NotVerified(WorkflowError):
    """A patch was about to be taken for verified without a passing report of exactly this patch on this base."""


def conditions(case: GateCase, added_tests: Sequence[str] = ()) -> tuple[CheckName, ...]:
    """Return the conditions that a case must meet, in order; `added_tests` are the test files that its patch adds."""
    targets = case.claim == "repairs" or bool(case.baseline.targets)
    proved = case.claim == "adds" or bool(case.added_targets)
    only: dict[CheckName, bool] = {
        "added-tests": proved or case.claim == "tests" or bool(added_tests),
        "environment": case.environment_after is not None,
        "targets-failed-before": targets, "targets-pass": targets,
        "added-failed-before": proved, "added-pass": proved or case.claim == "tests", "added-matter": proved,
        "change-covered": case.claim == "preserves", "interface": case.claim == "preserves",
        "generalises": case.claim != "tests",
    }  # fmt: skip
    return tuple(name for name in CONDITIONS if only.get(name, True))


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
        checks += _before_any_run(case)
    ran = _Ran()
    if static.after is not None and all(check.passed for check in checks):
        ran = _clean_room(case, static, sandbox, progress)
        checks = _merged(checks, ran.checks)
    report = GateReport(
        patch=case.patch,
        checks=tuple(sorted(checks, key=lambda check: CONDITIONS.index(check.name))),
        reports=ran.reports,
        added_tests=static.added_tests,
        seconds=round(time.monotonic() - started, 3),
        base_digest=case.base.digest,
        flaky=tuple(sorted(ran.flaky)),
        before=ran.proof.before,
        whole=ran.proof.whole,
        hollow=ran.proof.hollow,
        covering=ran.covered.covering,
    )
    refused = next((check for check in report.checks if not check.passed), None)
    progress(f"refused ({refused.name}): {refused.reason}" if refused else "every condition of the gate holds")
    return report


def _merged(before: Sequence[Check], after: Sequence[Check]) -> list[Check]:
    """Later verdicts under the same name take the place of earlier ones."""
    return list({check.name: check for check in (*before, *after)}.values())


def _before_any_run(case: GateCase) -> list[Check]:
    """Judge what the baseline alone decides: whether the case names what its claim needs."""
    if case.claim == "tests" and (case.baseline.targets or case.added_targets):
        reason = "A patch that only adds tests has no target tests, but some are named."
        return [Check("targets-failed-before", False, reason)]
    if case.claim == "preserves":
        if case.baseline.targets or case.added_targets:
            reason = "A patch that preserves behaviour has no target tests, but some are named."
            return [Check("targets-failed-before", False, reason)]
        if not case.baseline.steady:
            return [preserved(case, static_checks(case), (), ())]
        return []
    if case.claim == "adds" and not case.added_targets:
        return [Check("added-failed-before", False, "No added test is named that shows what the patch adds.")]
    return [targets_failed_before(case.baseline)] if "targets-failed-before" in conditions(case) else []


@dataclass(frozen=True, slots=True)
class _Ran:
    """What came of all runs of a case."""

    checks: tuple[Check, ...] = ()
    reports: tuple[TestReport, ...] = ()
    flaky: frozenset[str] = frozenset()
    proof: Proof = field(default_factory=Proof)
    covered: Covered = field(default_factory=Covered)


def _clean_room(case: GateCase, static: Static, sandbox: Sandbox, progress: Progress) -> _Ran:
    assert static.after is not None  # noqa: S101 - the caller has looked
    tree = judged_tree(case.base, static.after, static.changed, static.added_tests)
    room = run_clean(case, sandbox, tree, static, progress)
    if room.unrunnable:
        return _Ran((_unrunnable(case, room.unrunnable),), room.reports)
    checks = [targets_pass(case.baseline, room.reports)] if case.baseline.targets else []
    passing = all(check.passed for check in checks)
    flaky = late_flaky(case, sandbox, room.reports, progress) if passing else frozenset()
    checks += _of_runs(case, room.reports, flaky)
    passing = all(check.passed for check in checks)
    proof, covered = Proof(), Covered()
    if passing and (case.claim == "adds" or case.added_targets):
        proof = prove(case, sandbox, static, progress)
        if proof.unrunnable:
            return _Ran((*checks, _unrunnable(case, proof.unrunnable)), room.reports, flaky, proof)
        checks += _of_proof(case, static, proof.before, proof.whole, proof.hollow, flaky)
    if passing and case.claim == "tests":
        proof = run_whole(case, sandbox, static, progress)
        if proof.unrunnable:
            return _Ran((*checks, _unrunnable(case, proof.unrunnable)), room.reports, flaky, proof)
        checks.append(added_pass(case, static, proof.whole, flaky))
    if passing and case.claim == "preserves":
        covered = look(case, sandbox, tree, static, progress)
        if covered.unrunnable:
            return _Ran((*checks, _unrunnable(case, covered.unrunnable)), room.reports, flaky)
        checks.append(preserved(case, static, covered.covering, covered.blind))
    checks += _tampering(case, room, proof, covered)
    if case.claim != "tests":
        checks.append(generalises(case, room, proof, covered, static))
    return _Ran(tuple(checks), room.reports, flaky, proof, covered)


def _unrunnable(case: GateCase, why: str) -> Check:
    name: CheckName = (
        "targets-pass"
        if case.baseline.targets
        else "added-pass"
        if case.added_targets or case.claim == "tests"
        else "nothing-broken"
    )
    return Check(name, False, f"The tests cannot be run on the patched tree: {why}.".replace("..", "."))


def _of_runs(case: GateCase, reports: Sequence[TestReport], flaky: frozenset[str]) -> tuple[Check, Check]:
    return nothing_broken(case.baseline, reports, flaky), repeatable(case.baseline, reports, case.repeats, flaky)


def _of_proof(
    case: GateCase, static: Static, before: Sequence[TestReport], whole: Sequence[TestReport],
    hollow: Sequence[TestReport], flaky: frozenset[str],
) -> tuple[Check, ...]:  # fmt: skip
    return (
        added_failed_before(case, static, before),
        added_pass(case, static, whole, flaky),
        added_matter(case, static, hollow),
    )


def _tampering(case: GateCase, room: CleanRoom, proof: Proof, covered: Covered) -> list[Check]:
    found = (
        *new_tampering(case.baseline, (*room.reports, *proof.before, *proof.whole, *proof.hollow)),
        *(f"{path} is not what it was when the tests were started." for path in proof.rewritten),
        *(s for probed in (room.probed, proof.probed, covered.probed) for s in probed_tampering(probed)),
    )
    if not found:
        return []
    reason = f"The tests' machinery was changed while they ran: {found[0].rstrip('.')}."
    if proof.rewritten and found[0].startswith(proof.rewritten[0]):
        reason = f"The tests change files of the repository while they run: {', '.join(proof.rewritten)}."
    return [Check("tamper", False, reason, found)]


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
        static = static_checks(case)
        wanted = conditions(case, static.added_tests)
        _require(
            tuple(check.name for check in report.checks) == wanted, "the report does not hold every condition once"
        )
        refused = next((check for check in report.checks if not check.passed), None)
        _require(refused is None, f"the gate refused it ({refused.name}): {refused.reason}" if refused else "")
        flaky = frozenset(report.flaky)
        targets = {t.node_id for t in (*case.baseline.targets, *case.added_targets)}
        _require(not flaky & targets, "a target is set aside as flaky")
        _require(bool(report.reports), "the report holds no run")
        again = _derived(case, static, report, flaky)
        wrong = next((check for check in again if not check.passed), None)
        _require(wrong is None, f"the report does not bear it out ({wrong.name}): {wrong.reason}" if wrong else "")
        hidden = {check.name for check in again if check.flagged} - {check.name for check in report.flagged}
        _require(not hidden, f"the report hides what a person should look at ({', '.join(sorted(hidden))})")
        tampering = new_tampering(case.baseline, (*report.reports, *report.before, *report.whole, *report.hollow))
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


def _derived(case: GateCase, static: Static, report: GateReport, flaky: frozenset[str]) -> list[Check]:
    """Judge again everything that the patch, the base and the tables of tests decide."""
    checks = [*static.checks, *_before_any_run(case), *_of_runs(case, report.reports, flaky)]
    if case.baseline.targets:
        checks.append(targets_pass(case.baseline, report.reports))
    if case.claim == "adds" or case.added_targets:
        checks += _of_proof(case, static, report.before, report.whole, report.hollow, flaky)
    if case.claim == "tests":
        checks.append(added_pass(case, static, report.whole, flaky))
    if case.claim == "preserves":
        checks.append(preserved(case, static, report.covering, ()))
    return checks


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise NotVerified(f"Not a verified patch: {reason}.".replace("..", "."))
