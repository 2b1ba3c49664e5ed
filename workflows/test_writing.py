"""From a request for tests to a verified diff of test files: modules chosen, tests written, the gate, the report."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.errors import TestsUnrunnable
from sandbox.tree import Entry, Tree
from workflows.errors import BudgetSpent, NoDiff, TestsUnusable, Usage
from workflows.runs import step_times, write_whole
from workflows.state import Delivery, Ending, Request, RunState
from workflows.steps.unit_tests import ModuleTests, write_for
from workflows.verdicts import Allowances, Baseline, GateCase
from workflows.wording import listed, passing_tests, plural, printable

if TYPE_CHECKING:
    from sandbox.runners.report import TestReport
    from workflows.job import Job
    from workflows.steps.base import BaseReports
    from workflows.steps.verify import VerifiedPatch

_NOT_CODE = re.compile(
    r"(^|/)(tests?|testing|docs?|examples?|benchmarks?|build|dist|\.[^/]*|site-packages)/", re.IGNORECASE
)
_NOT_MODULE = re.compile(r"(^|/)(setup|conftest|noxfile|__main__|test_[^/]*|[^/]*_test)\.py$")
MODULES = 12
"""Modules that one run writes tests for, at most."""


def run(job: Job, request: Request) -> RunState:
    """Write the tests, have them judged, and deliver; the state says how it ended."""
    state: RunState = {"request": request}
    try:
        state["delivery"] = _Work(job, request).deliver()
    except (NoDiff, BudgetSpent, Usage, TestsUnusable) as stop:
        state["ending"] = Ending(stop.code, str(stop))
    except TestsUnrunnable as stop:
        state["ending"] = Ending(TestsUnusable.code, str(stop))
    return state


class _Work:
    def __init__(self, job: Job, request: Request) -> None:
        self._job = job
        self._request = request
        wish = json.loads(request.issue)
        self._target: str = wish["target"]
        self._changed: str | None = wish["changed"]
        self._report_folder: str | None = wish["report"]
        self._seed: int = wish["seed"]
        self._begun = time.monotonic()
        self._base: BaseReports | None = None

    def deliver(self) -> Delivery:
        job = self._job
        with job.events.step("intake"):
            base = self._base = job.base()
            paths = self._paths()
            coverage = self._coverage(base.reports[0])
        paths = _least_tested(paths, coverage)
        found: list[ModuleTests] = []
        with job.events.step("propose"):
            for path in paths[:MODULES]:
                job.events.note(f"exploring {path}")
                taken = [one.test_path for one in found if one.text]
                seconds = self._share(job.settings.budget)
                one = write_for(
                    job, path, base.reports[0], taken, seconds=seconds, seed=self._seed, coverage=coverage
                )  # fmt: skip
                found.append(one)
                job.events.note(_said(found[-1]))
        with job.events.step("verify"):
            return self._judged(base, found)

    def _share(self, seconds: float) -> float:
        """Return the time for one module: what the gate will take is kept back."""
        base = self._base
        assert base is not None  # noqa: S101 - taken first
        gate = 3.0 + 3 * base.open_seconds + 2 * max(report.seconds for report in base.reports)
        spent = min(time.monotonic() - self._begun, seconds / 4)
        return max(seconds * 0.4, seconds - gate - spent)

    # Which modules

    def _paths(self) -> list[str]:
        job, tree = self._job, self._job.tree
        ours = [path for path in tree if path.endswith(".py") and tree[path].kind == "file"]
        if self._changed is not None:
            return self._changed_paths(ours)
        if not self._target or self._target == ".":
            return [path for path in ours if not _NOT_CODE.search(path) and not _NOT_MODULE.search(path)]
        target = self._relative(self._target)
        if target in ours:
            return [target]
        inside = [p for p in ours if p.startswith(f"{target}/") and not _NOT_MODULE.search(p)]
        if inside:
            return [p for p in inside if not _NOT_CODE.search(p[len(target) :])]
        dotted = self._target.replace(".", "/")
        for folder in job.ready().harness.pythonpath:
            prefix = "" if folder in {"", "."} else f"{folder.strip('/')}/"
            for name in (f"{prefix}{dotted}.py", f"{prefix}{dotted}/__init__.py"):
                if name in ours:
                    return [name]
        raise Usage(f"there is no Python file, folder or module {printable(self._target)!r} in this repository")

    def _relative(self, target: str) -> str:
        top = self._job.snapshot.repository.resolve()
        for start in (Path(self._request.path), top):
            try:
                inside = (start / target).resolve().relative_to(top).as_posix()
            except ValueError:
                continue
            if inside in self._job.tree or any(path.startswith(f"{inside}/") for path in self._job.tree):
                return inside
        return target.rstrip("/")

    def _changed_paths(self, ours: Sequence[str]) -> list[str]:
        from sandbox.workspace import snapshot_commit

        before = snapshot_commit(self._job.snapshot.repository, str(self._changed))
        changed = set(before.changed_paths(self._job.tree))
        found = [p for p in ours if p in changed and not _NOT_CODE.search(p) and not _NOT_MODULE.search(p)]
        if not found:
            raise NoDiff(f"no module differs from {printable(str(self._changed))}: there is nothing to write tests for")
        return found

    def _coverage(self, base: TestReport) -> TestReport:
        """Run the tests as they are once more and record lines; where there are none, that is not needed."""
        from sandbox.runners.run import run_tests

        job = self._job
        if not base.results:
            return base
        with job.open_tree(job.tree) as workspace:
            return run_tests(workspace, job.ready().harness, coverage=True, wall_seconds=60.0 + 5 * base.seconds)

    # The verdict

    def _judged(self, base: BaseReports, found: list[ModuleTests]) -> Delivery:
        from workflows.steps.base import flaky_tests
        from workflows.steps.verify import VerifiedPatch, judge

        job = self._job
        changes: dict[str, Entry | None] = {one.test_path: Entry(one.text.encode()) for one in found if one.text}
        if not changes:
            self._write_reports(found, b"", "No test was kept.")
            raise NoDiff(_nothing(found))
        from sandbox.patches import diff

        patch = diff(job.tree, job.tree.replaced(changes))
        ready = job.ready()
        case = GateCase(
            job.tree, patch, Baseline(base.reports, flaky_tests(base.reports), ()), ready.harness, ready.environment,
            job.settings.limits.limits(), Allowances(added_tests=tuple(changes), paths=job.settings.paths),
            claim="tests",
        )  # fmt: skip
        report = judge(case, ready.sandbox, job.events.note)
        refused = next((check for check in report.checks if not check.passed), None)
        if refused is not None:
            self._write_reports(found, b"", refused.reason)
            raise NoDiff(f"the gate refused the new tests ({refused.name}): {refused.reason}")
        verified = VerifiedPatch.from_report(report, case)
        return self._delivered(verified, case, found)

    def _delivered(self, verified: VerifiedPatch, case: GateCase, found: list[ModuleTests]) -> Delivery:
        from workflows.archives import read_files, write_files
        from workflows.bundle import NAMES, bundle_files
        from workflows.working_tree import make_change

        job, request = self._job, self._request
        folder = job.run.folder
        told = self._told(found)
        write_whole(folder / "patch.diff", verified.patch)
        write_files(folder / "bundle", bundle_files(verified, case, self._story(found)))
        written = self._write_reports(found, verified.patch, told.partition("\n")[0])
        if request.bundle:
            written.append(str(write_files(Path(request.bundle), read_files(folder / "bundle", NAMES))))
        if request.output:
            write_whole(Path(request.output), verified.patch, 0o644)
            written.append(request.output)
        after = job.tree.replaced({one.test_path: Entry(one.text.encode()) for one in found if one.text})
        if request.apply:
            make_change(job.snapshot.repository, job.tree, after)
        write_whole(folder / "result.txt", told.encode("utf-8", "backslashreplace"))
        digest = hashlib.sha256(verified.patch).hexdigest()
        files = _files(job.tree, after)
        job.events.emit("delivered", files=list(files), patch=digest, applied=request.apply, written=written)
        return Delivery(digest, str(folder / "bundle"), files, request.apply, tuple(written))

    def _story(self, found: list[ModuleTests]) -> Any:
        from workflows.bundle import Story

        job = self._job
        remarks = [
            f"suspected bug in {one.name} ({one.path}:{one.line}): {one.why}" for m in found for one in m.suspects
        ]
        return Story(
            commit=job.snapshot.commit, uncommitted=job.snapshot.uncommitted, definition=job.ready().definition,
            origin="unit-test", description=f"tests for {listed([one.module for one in found if one.text])}",
            generated=sum(len(m.tests) for m in found), tried=sum(len(m.tests) for m in found), judged=1,
            steps=tuple(printable(_said(one)) for one in found),
            durations={step: round(seconds, 3) for step, _, seconds in step_times(job.run)},
            remarks=tuple(map(printable, remarks)),
        )  # fmt: skip

    def _told(self, found: list[ModuleTests]) -> str:
        kept = sum(len(one.tests) for one in found if one.text)
        rows = sum(len(test.rows) for one in found if one.text for test in one.tests)
        base = self._base
        assert base is not None  # noqa: S101 - taken first
        steady = len(Baseline(base.reports, (), ()).steady)
        sandbox, cases = self._job.ready().sandbox.name, f"{plural(kept, 'new test')} with {plural(rows, 'case')}"
        lines = [
            f"verified in a fresh {sandbox} sandbox: {cases}, {passing_tests(steady, 'still ')}",
            *(_said(one) for one in found),
            *(f"suspected bug: {s.name} ({s.path}:{s.line}): {s.why}" for one in found for s in one.suspects),
            f"report: {self._job.run.folder / 'report.md'}",
        ]
        return "\n".join(lines)

    def _write_reports(self, found: list[ModuleTests], patch: bytes, message: str) -> list[str]:
        from workflows.test_report import as_json, as_markdown
        from workflows.tests_page import page

        report = as_json(
            found, self._target or self._changed or ".", self._job.ready().environment.versions.get("python", ""),
            time.monotonic() - self._begun, patch.decode("utf-8", "replace"), message,
        )  # fmt: skip
        files = {
            "report.json": json.dumps(report, indent=1), "report.md": as_markdown(report), "report.html": page(report),
        }  # fmt: skip
        folders = [self._job.run.folder]
        if self._report_folder:
            folders.append(Path(self._report_folder))
            folders[-1].mkdir(parents=True, exist_ok=True)
        for folder in folders:
            for name, text in files.items():
                write_whole(folder / name, text.encode("utf-8", "backslashreplace"), 0o644)
        return [str(folders[-1] / name) for name in files] if self._report_folder else []


def _files(before: Tree, after: Tree) -> tuple[str, ...]:
    return before.changed_paths(after)


def _least_tested(paths: Sequence[str], coverage: TestReport) -> list[str]:
    """Return modules in the order of how little of them the existing tests run."""
    ran: Mapping[str, set[int]] = {path: set() for path in paths}
    for files in coverage.coverage.values():
        for path, lines in files.items():
            if path in ran:
                ran[path].update(lines)
    return sorted(paths, key=lambda path: (len(ran[path]) > 0, len(ran[path]), path))


def _said(one: ModuleTests) -> str:
    """Return one line about a module."""
    if not one.text:
        why = next(iter(one.left_out.values()), "nothing that could be pinned would add anything")
        return f"{one.path}: no test was kept: {why}"
    parts = [
        f"{plural(len(one.tests), 'test')}",
        f"lines {one.lines_before} → {one.lines_after} of {one.lines}",
        f"branches {one.branches_before} → {one.branches_after} of {one.branches}",
    ]
    if one.mutants:
        parts.append(f"{one.killed} of {one.mutants} mutants noticed")
    return f"{one.path}: {', '.join(parts)}"


def _nothing(found: list[ModuleTests]) -> str:
    if not found:
        return "there is no module here to write tests for"
    bugs = [f"{s.name} ({s.path}:{s.line}): {s.why}" for one in found for s in one.suspects]
    said = "; ".join(_said(one) for one in found[:3])
    return f"no test was kept: {said}" + (f"; suspected bug: {bugs[0]}" if bugs else "")
