"""The runs that prove added tests: without the patch and with it, in pairs that differ in nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from sandbox.errors import TestsUnrunnable, UnsafePath
from sandbox.protocol import Environment, Progress, Sandbox, Workspace
from sandbox.runners.report import TestReport
from sandbox.tree import Entry, Tree
from workflows.gate.added import RUNS, needs_other_way, selection, wrong_after, wrong_before
from workflows.gate.clean_room import FIRST_SEED, PARALLEL, probe, run_in
from workflows.gate.hollow import WAYS, hollow_tree
from workflows.gate.perturbing import narrow_answers
from workflows.gate.probing import Probed
from workflows.gate.static import Static
from workflows.verdicts import GateCase

PROOF_SEED = FIRST_SEED + 20
"""Hash seed of the first pair of runs; each further pair has the next number."""
_WATCHED = 200
"""Files that are compared after every run, at most."""
_Probing = tuple[Probed | None, tuple[str, ...], str]
"""What rewritten tests showed, which of their answers stand alone, and the work tree's path there."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What the runs with the added tests gave."""

    before: tuple[TestReport, ...] = ()
    whole: tuple[TestReport, ...] = ()
    hollow: tuple[TestReport, ...] = ()
    unrunnable: str = ""
    """Why tests could not be run at all, "" where they could."""
    rewritten: tuple[str, ...] = ()
    """Files of the repository that were not what they had been when the tests had run."""
    probed: Probed | None = None
    narrow: tuple[str, ...] = ()
    root: str = ""


@dataclass(frozen=True, slots=True)
class _Ran:
    report: TestReport | TestsUnrunnable
    rewritten: tuple[str, ...]


def _watched(workspace: Workspace, tree: Tree, paths: Sequence[str]) -> tuple[str, ...]:
    """Return those of the files that do not hold any more what the tree says."""
    changed = []
    for path in paths:
        if path not in tree or tree[path].kind != "file":
            continue
        try:
            same = workspace.read(path) == tree[path].data
        except (OSError, UnsafePath):
            same = False
        if not same:
            changed.append(path)
    return tuple(changed)


def _run(
    case: GateCase, sandbox: Sandbox, tree: Tree, environment: Environment, static: Static, number: int,
    tests: Sequence[str],
) -> _Ran:  # fmt: skip
    watched = [*static.changed, *sorted(static.surface.test_files)][:_WATCHED]
    with sandbox.open(tree, environment, case.limits) as workspace:
        report = run_in(case, workspace, PROOF_SEED + number, tests)
        return _Ran(report, _watched(workspace, tree, watched))


def prove(case: GateCase, sandbox: Sandbox, static: Static, progress: Progress) -> Proof:
    """Run the added tests on the base and on the whole patch, with its functions emptied, and rewritten.

    The runs of the base stand around those of the patch: what changes with time alone is seen on the base too.

    Raises:
        SandboxUnavailable, SandboxBroken: the sandbox does not answer or went away.

    """
    after = static.after
    assert after is not None  # noqa: S101 - the caller has looked
    progress("proving the added tests: without the patch, with it, and with its functions emptied")
    additions: dict[str, Entry | None] = {path: after[path] for path in static.beside}
    base, patched = case.base.replaced(additions), case.patched_environment

    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="gate") as pool:

        def begin(tree: Tree, environment: Environment, number: int) -> Future[_Ran]:
            tests = selection(case, static, number)
            return pool.submit(_run, case, sandbox, tree, environment, static, number, tests)

        first = begin(base, case.environment, 0)
        whole = [begin(after, patched, number) for number in range(RUNS)]
        runs = [first.result()]
        emptied: tuple[TestReport, ...] = ()
        probed: _Probing = None, (), ""
        if _worth_more(case, static, [r.report for r in runs], [w.result().report for w in whole]):
            later = [begin(base, case.environment, number) for number in range(1, RUNS)]
            emptying = pool.submit(_hollow, case, sandbox, static)
            probing = pool.submit(_probe, case, sandbox, static, base)
            runs += [ran.result() for ran in later]
            emptied, probed = emptying.result(), probing.result()
    every = [*runs, *(w.result() for w in whole)]
    unrunnable = [r.report for r in every if isinstance(r.report, TestsUnrunnable)]
    return Proof(
        before=tuple(r.report for r in runs if isinstance(r.report, TestReport)),
        whole=tuple(r.report for r in every[len(runs) :] if isinstance(r.report, TestReport)),
        hollow=emptied,
        unrunnable=str(unrunnable[0]).rstrip(".") if unrunnable else "",
        rewritten=tuple(dict.fromkeys(path for r in every for path in r.rewritten)),
        probed=probed[0], narrow=probed[1], root=probed[2],
    )  # fmt: skip


def run_whole(case: GateCase, sandbox: Sandbox, static: Static, progress: Progress) -> Proof:
    """Run the tree with tests that are all that a patch adds, as often as `prove` does.

    Raises:
        SandboxUnavailable, SandboxBroken: the sandbox does not answer or went away.

    """
    after = static.after
    assert after is not None  # noqa: S101 - the caller has looked
    progress(f"running the added tests: {RUNS} runs, in fresh sandboxes")
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="gate") as pool:
        runs = [
            pool.submit(_run, case, sandbox, after, case.environment, static, number, selection(case, static, number))
            for number in range(RUNS)
        ]
        every = [run.result() for run in runs]
    unrunnable = [r.report for r in every if isinstance(r.report, TestsUnrunnable)]
    return Proof(
        whole=tuple(r.report for r in every if isinstance(r.report, TestReport)),
        unrunnable=str(unrunnable[0]).rstrip(".") if unrunnable else "",
        rewritten=tuple(dict.fromkeys(path for r in every for path in r.rewritten)),
    )


def _worth_more(
    case: GateCase, static: Static, before: Sequence[TestReport | TestsUnrunnable],
    whole: Sequence[TestReport | TestsUnrunnable],
) -> bool:  # fmt: skip
    """Whether nothing speaks against the added tests so far."""
    known = [r for r in before if isinstance(r, TestReport)], [r for r in whole if isinstance(r, TestReport)]
    if len(known[0]) < len(before) or len(known[1]) < len(whole):
        return False
    return not any(wrong_before(case, static, known[0])) and not any(wrong_after(case, static, known[1]))


def _hollow(case: GateCase, sandbox: Sandbox, static: Static) -> tuple[TestReport, ...]:
    """Run the added files with the patch's functions emptied, in the second way only where the first leaves doubts."""
    assert static.after is not None  # noqa: S101 - the caller has looked
    reports: list[TestReport] = []
    for way in WAYS:
        tree = hollow_tree(case.base, static.after, static.products, way)
        if tree is None:
            break
        ran = _run(case, sandbox, tree, case.patched_environment, static, RUNS, selection(case, static, 1))
        if isinstance(ran.report, TestsUnrunnable):
            # Nothing could be collected: that says nothing about the tests, and the next way may say more.
            reports.append(TestReport((), (), False, "exit", 0, 0.0, ()))
        else:
            reports.append(ran.report)
        if not needs_other_way(case, static, reports[-1]):
            break
    return tuple(reports)


def _probe(case: GateCase, sandbox: Sandbox, static: Static, base: Tree) -> tuple[Probed | None, tuple[str, ...], str]:
    assert static.after is not None  # noqa: S101 - the caller has looked
    targets = [target.node_id for target in case.added_targets]
    found = probe(case, sandbox, static.after, case.patched_environment, static.surface, targets)
    if found is None:
        return None, (), ""
    control = probe(case, sandbox, base, case.environment, static.surface, targets) if static.branching else None
    narrow = narrow_answers(control[0].calls, found[0].calls) if control is not None else ()
    return found[0], narrow, found[1]
