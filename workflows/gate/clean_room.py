"""The gate's runs: each in a fresh sandbox, with the tests as the base has them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sandbox.errors import TestsUnrunnable
from sandbox.protocol import Environment, Progress, Sandbox, Workspace
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
PARALLEL = 3
"""Sandboxes of one verdict that are open at the same time."""


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


def run_fresh(
    case: GateCase, sandbox: Sandbox, tree: Tree, environment: Environment, seed: int, tests: Sequence[str] = (),
    *, coverage: bool = False,
) -> TestReport | TestsUnrunnable:  # fmt: skip
    """Run tests of a tree in a fresh sandbox, or return why none could be run.

    Raises:
        SandboxUnavailable, SandboxBroken: the sandbox does not answer or went away.

    """
    with sandbox.open(tree, environment, case.limits) as workspace:
        return run_in(case, workspace, seed, tests, coverage=coverage)


def run_in(
    case: GateCase, workspace: Workspace, seed: int, tests: Sequence[str] = (), *, coverage: bool = False
) -> TestReport | TestsUnrunnable:
    """Run tests in a workspace, or return why none could be run."""
    wall = _wall_seconds(case)
    try:
        return run_tests(workspace, case.harness, tests, coverage=coverage, wall_seconds=wall, seed=seed)
    except TestsUnrunnable as error:
        return error


def _probe_files(tree: Tree, surface: Surface, tests: Sequence[str], root: str) -> list[ProbeFile]:
    places: dict[str, dict[str, str]] = {}
    for test in tests[:_PROBED_TARGETS]:
        path, name = surface.place_of(test, tree)
        if path is not None and path.endswith(".py"):
            places.setdefault(path, {})[test] = name
    files = (rewrite(path, tree[path].data, targets, root) for path, targets in places.items())
    return [file for file in files if file is not None]


def probe(
    case: GateCase, sandbox: Sandbox, tree: Tree, environment: Environment, surface: Surface, tests: Sequence[str]
) -> tuple[Probed, str] | None:
    """Run tests rewritten, in a fresh sandbox; return what they showed and the work tree's path there.

    None where none of them can be rewritten.

    Raises:
        SandboxUnavailable, SandboxBroken: the sandbox does not answer or went away.

    """
    if case.harness.kind == "command":
        return None
    with sandbox.open(tree, environment, case.limits) as workspace:
        files = _probe_files(tree, surface, tests, workspace.root)
        if not files:
            return None
        workspace.write({file.path: Entry(file.data) for file in files})
        targets = tuple(target for file in files for target in file.targets)
        report = run_in(case, workspace, FIRST_SEED, targets)
        if isinstance(report, TestsUnrunnable):
            return Probed(unclear=tuple(f"{t}: could not be run when rewritten" for t in targets)), workspace.root
        return judge_probe(files, report), workspace.root


def run_clean(case: GateCase, sandbox: Sandbox, tree: Tree, static: Static, progress: Progress) -> CleanRoom:
    """Run the tests of `tree` as often as the case asks, and its rewritten targets once, each in a fresh sandbox.

    Raises:
        SandboxUnavailable, SandboxBroken: the sandbox does not answer or went away.

    """
    count = max(1, case.repeats)
    progress(f"clean-room runs: {count}, in fresh sandboxes")
    targets, patched, surface = [t.node_id for t in case.baseline.targets], case.patched_environment, static.surface
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="gate") as pool:
        runs = [pool.submit(run_fresh, case, sandbox, tree, patched, FIRST_SEED + n) for n in range(count)]
        probing = pool.submit(probe, case, sandbox, tree, patched, surface, targets) if targets else None
        control = (
            pool.submit(probe, case, sandbox, case.base, case.environment, surface, targets)
            if targets and static.branching else None
        )  # fmt: skip
        results = [run.result() for run in runs]
        probed = probing.result() if probing is not None else None
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

    def again(number: int) -> TestReport | TestsUnrunnable:
        return run_fresh(case, sandbox, case.base, case.environment, FIRST_SEED + number)

    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="gate") as pool:
        rerun = [r for r in pool.map(again, seeds) if isinstance(r, TestReport) and r.complete]
    suspects = {name for names in lost.values() for name in names}
    return frozenset(name for name in suspects if any(name not in report.passed() for report in rerun))
