"""The gate's runs: each in a fresh sandbox, with the tests as the base has them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sandbox.errors import TestsUnrunnable
from sandbox.protocol import Progress, Sandbox
from sandbox.runners.report import TestReport
from sandbox.runners.run import run_tests
from sandbox.tree import Entry, Tree
from workflows.gate.outcomes import broken
from workflows.gate.perturbing import narrow_answers
from workflows.gate.probing import Probed, ProbeFile, judge_probe, rewrite
from workflows.gate.static import Static
from workflows.gate.surface import Surface
from workflows.verdicts import GateCase

FIRST_SEED = 101
"""Hash seed of the first clean-room run; each further one has the next number."""
_PROBED_TARGETS = 20
_PARALLEL = 3


@dataclass(frozen=True, slots=True)
class CleanRoom:
    """What the runs of the patched tree gave."""

    reports: tuple[TestReport, ...]
    unrunnable: str
    """Why the tests could not be run at all, "" where they could."""
    probed: Probed | None
    """None where no target could be rewritten."""
    narrow: tuple[str, ...] = ()
    """Calls of the target tests that look as if they alone were answered."""
    root: str = ""
    """The work tree's path in the sandbox where the targets were probed."""


def judged_tree(base: Tree, after: Tree, changed: tuple[str, ...], added_tests: tuple[str, ...]) -> Tree:
    """Return the tree that is judged: the patched one without the test files that the patch adds."""
    changes: dict[str, Entry | None] = {p: after.get(p) for p in changed if p not in added_tests}
    return base.replaced(changes)


def _wall_seconds(case: GateCase) -> float:
    """Return how long one run may take: some times what the base took, as the runs share the machine."""
    longest = max((report.seconds for report in case.baseline.reports), default=0.0)
    return min(case.limits.wall_seconds, 30.0 + 6.0 * longest)


def _run(case: GateCase, sandbox: Sandbox, tree: Tree, seed: int) -> TestReport | TestsUnrunnable:
    with sandbox.open(tree, case.environment, case.limits) as workspace:
        try:
            return run_tests(workspace, case.harness, wall_seconds=_wall_seconds(case), seed=seed)
        except TestsUnrunnable as error:
            return error


def _probe_files(case: GateCase, surface: Surface, root: str) -> list[ProbeFile]:
    places: dict[str, dict[str, str]] = {}
    for target in case.baseline.targets[:_PROBED_TARGETS]:
        path, name = surface.place_of(target.node_id)
        if path is not None and path.endswith(".py"):
            places.setdefault(path, {})[target.node_id] = name
    files = (rewrite(path, case.base[path].data, targets, root) for path, targets in places.items())
    return [file for file in files if file is not None]


def _probe(case: GateCase, sandbox: Sandbox, tree: Tree, surface: Surface) -> tuple[Probed, str] | None:
    if case.harness.kind == "command":
        return None
    with sandbox.open(tree, case.environment, case.limits) as workspace:
        files = _probe_files(case, surface, workspace.root)
        if not files:
            return None
        workspace.write({file.path: Entry(file.data) for file in files})
        targets = tuple(target for file in files for target in file.targets)
        try:
            report = run_tests(workspace, case.harness, targets, wall_seconds=_wall_seconds(case), seed=FIRST_SEED)
        except TestsUnrunnable:
            return Probed(unclear=tuple(f"{t}: could not be run when rewritten" for t in targets)), workspace.root
        return judge_probe(files, report), workspace.root


def run_clean(case: GateCase, sandbox: Sandbox, tree: Tree, static: Static, progress: Progress) -> CleanRoom:
    """Run the tests of `tree` as often as the case asks, and its rewritten targets once, each in a fresh sandbox.

    Raises:
        SandboxUnavailable, SandboxBroken: the sandbox does not answer or went away.

    """
    count = max(1, case.repeats)
    progress(f"clean-room runs: {count}, in fresh sandboxes")
    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="gate") as pool:
        runs = [pool.submit(_run, case, sandbox, tree, FIRST_SEED + n) for n in range(count)]
        probing = pool.submit(_probe, case, sandbox, tree, static.surface)
        control = pool.submit(_probe, case, sandbox, case.base, static.surface) if static.branching else None
        results = [run.result() for run in runs]
        probed = probing.result()
        before = control.result() if control is not None else None
    reports = tuple(r for r in results if isinstance(r, TestReport))
    errors = [r for r in results if isinstance(r, TestsUnrunnable)]
    found, root = probed if probed is not None else (None, "")
    narrow = narrow_answers(before[0].calls, found.calls) if before is not None and found is not None else ()
    return CleanRoom(reports, str(errors[0]).rstrip(".") if errors else "", found, narrow, root)


def late_flaky(case: GateCase, sandbox: Sandbox, reports: tuple[TestReport, ...], progress: Progress) -> frozenset[str]:
    """Return tests that seem to be broken, and fail on the base too when it is run with the same seeds.

    Raises:
        SandboxUnavailable, SandboxBroken: the sandbox does not answer or went away.

    """
    lost = {n: broken(case.baseline, report) for n, report in enumerate(reports) if report.complete}
    seeds = [n for n, names in lost.items() if names]
    if not seeds:
        return frozenset()
    count = len({name for names in lost.values() for name in names})
    progress(f"running the base again: are {count} tests that do not pass any more flaky?")
    again: Callable[[int], TestReport | TestsUnrunnable] = lambda n: _run(case, sandbox, case.base, FIRST_SEED + n)  # noqa: E731
    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="gate") as pool:
        rerun = [r for r in pool.map(again, seeds) if isinstance(r, TestReport) and r.complete]
    suspects = {name for names in lost.values() for name in names}
    return frozenset(name for name in suspects if any(name not in report.passed() for report in rerun))
