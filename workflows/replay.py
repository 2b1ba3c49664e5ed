"""Replays a bundle: the base is rebuilt from its commit, both test tables are run again, and everything is compared."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.results import Failure
from sandbox.errors import PatchError, TestsUnrunnable, UnsafePath
from sandbox.limits import Limits
from sandbox.protocol import Environment, EnvironmentDefinition, Progress, Sandbox
from sandbox.runners.report import Harness, TestReport
from sandbox.runners.run import run_tests
from sandbox.tree import Tree
from sandbox.workspace import apply, snapshot_commit
from workflows.bundle import Bundle, greendiff_version
from workflows.errors import Usage
from workflows.findings import ruff_version
from workflows.gate.mutating import try_faults
from workflows.manifest import (
    EnvironmentOf,
    Manifest,
    MutationOf,
    RunOf,
    Tables,
    check_of,
    environment_name,
    run_of,
    tables_of,
    text,
)
from workflows.steps.verify import judge
from workflows.verdicts import Allowances, Baseline, GateCase, GateReport, Mutation

BASE_SEED = 201
"""Hash seed of the first run of the base; each further one has the next number."""


_TOLD = {
    "before": "base", "after": "patched tree", "added_before": "base with the added tests",
    "added_after": "patched tree with the added tests", "hollow": "patched tree with emptied functions",
}  # fmt: skip
"""What the sides of a table are called."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay showed."""

    differences: tuple[str, ...]
    """Sentences, empty where everything is as the bundle says."""
    notes: tuple[str, ...] = ()
    """What differs without changing what the bundle proves: another image with the same contents, other durations."""
    report: GateReport | None = None
    """The new verdict, None where it did not come to one."""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether everything is as the bundle says."""
        return not self.differences


def replay(
    bundle: Bundle, repository: Path, sandbox: Sandbox, progress: Progress, *, interpreter: str | None = None
) -> Replay:
    """Do again what a bundle says was done, from its base commit, and compare every result.

    Args:
        bundle: as `read_bundle` returned it; it is taken for hostile.
        repository: any repository that holds the base commit, at any path; only its objects are read.
        sandbox: where to run; a fresh workspace for each run.
        progress: takes a line about what is being done.
        interpreter: an existing interpreter of this machine, where the bundle was made with one. A bundle cannot name
            a program of the host itself.

    Raises:
        Usage: the bundle was made with an existing interpreter, and none is named.
        RepositoryError: the repository cannot be read, or does not hold the commit.
        SandboxError: the environment cannot be prepared, or the sandbox went away.

    """
    started = time.monotonic()
    manifest = bundle.manifest
    differences = [*bundle.problems, *_programs(manifest)]
    if differences:
        return Replay(tuple(differences), seconds=time.monotonic() - started)
    progress(f"rebuilding the base from commit {manifest.base.commit[:12]}")
    base = _base(bundle, repository)
    if isinstance(base, str):
        return Replay((base,), seconds=time.monotonic() - started)
    environment = sandbox.prepare(_definition(manifest.environment, interpreter), progress)
    after: Environment | None = None
    differences = list(_versions(manifest.environment, environment))
    notes = tuple(_notes(manifest.environment, environment))
    if manifest.environment_after is not None:
        after = sandbox.prepare(_definition(manifest.environment_after, interpreter), progress)
        differences += [f"patched tree: {line}" for line in _versions(manifest.environment_after, after)]
        notes += tuple(_notes(manifest.environment_after, after))
    if differences:
        return Replay(tuple(differences), notes, seconds=time.monotonic() - started)
    count = len(manifest.before)
    progress(f"running the tests of the base: {count} runs, in fresh sandboxes")
    harness, limits = Harness(**_tuples(manifest.harness.model_dump())), Limits(**manifest.limits.model_dump())
    before = _run_base(base, sandbox, environment, harness, limits, count)
    if isinstance(before, str):
        return Replay((before,), notes, seconds=time.monotonic() - started)
    case = GateCase(
        base=base, patch=bundle.patch, baseline=_baseline(manifest, before), harness=harness, environment=environment,
        limits=limits, allowances=Allowances(**_tuples(manifest.allowances.model_dump())), repeats=manifest.repeats,
        claim=manifest.claim, environment_after=after,
        added_targets=tuple(Failure(t.node_id, t.exception, "") for t in manifest.added_targets),
    )  # fmt: skip
    report = judge(case, sandbox, progress)
    differences += _results(manifest, bundle.tables, before, report)
    if manifest.mutation is not None and report.passed:
        told, below = _mutants(manifest.mutation, try_faults(case, sandbox, progress))
        notes += told
        differences += below
    return Replay(tuple(dict.fromkeys(differences)), notes, report, round(time.monotonic() - started, 3))


def _mutants(said: MutationOf, here: Mutation) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return a note where other mutants were noticed, and a difference where these are fewer than was demanded.

    How many are tried depends on the time that they take, which no two machines share, so that the figures themselves
    are told and not compared.
    """
    there, now = (said.made, said.judged, said.caught), (here.made, here.judged, here.caught)
    told = f"{said.caught} of {said.judged} in the bundle, {here.caught} of {here.judged} here"
    notes = () if there == now else (f"mutants of the changed lines noticed: {told}",)
    below = said.demanded is not None and here.share is not None and here.share < said.demanded
    reason = f"the tests notice {here.caught} of {here.judged} mutants of the changed lines, fewer than was demanded"
    return notes, ((reason,) if below else ())


def _programs(manifest: Manifest) -> Iterator[str]:
    for name, said, here in (
        ("greendiff", manifest.greendiff, greendiff_version()),
        ("ruff", manifest.ruff, ruff_version()),
    ):
        if said != here:
            yield f"the bundle says {name} {said}, and this is {name} {here}"


def _base(bundle: Bundle, repository: Path) -> Tree | str:
    """Return the base tree, or a sentence that says why it is not the bundle's."""
    said = bundle.manifest.base
    if not (len(said.commit) in {40, 64} and set(said.commit) <= set("0123456789abcdef")):
        return f"the base commit {said.commit!r} is no full object name"
    try:
        base = apply(snapshot_commit(repository, said.commit), bundle.uncommitted)
    except (PatchError, UnsafePath) as error:
        return f"uncommitted.diff does not apply to commit {said.commit[:12]}: {error}"
    if base.digest != said.tree:
        return (
            f"the base tree rebuilt from commit {said.commit[:12]} is not the bundle's "
            f"(digest {base.digest[:12]} instead of {said.tree[:12]})"
        )
    return base


def _definition(said: EnvironmentOf, interpreter: str | None) -> EnvironmentDefinition:
    if said.interpreter and interpreter is None:
        raise Usage(
            f"the bundle was made with an existing interpreter ({said.interpreter}); "
            "name the one to use here with --python"
        )
    distribution = said.distribution
    return EnvironmentDefinition(
        requirements=tuple(said.requirements),
        interpreter=interpreter if said.interpreter else None,
        distribution=(distribution[0], distribution[1]) if distribution and len(distribution) == 2 else None,
        source=said.source,
    )


def _versions(said: EnvironmentOf, environment: Environment) -> Iterator[str]:
    there, here = said.versions, dict(environment.versions)
    for name in sorted(there.keys() | here.keys()):
        if there.get(name) != here.get(name):
            yield f"version of {name}: {there.get(name, 'none')} in the bundle, {here.get(name, 'none')} here"
    if said.backend == environment.backend and said.digest != environment.digest:
        yield "the environment's digest is not the bundle's, though the versions agree"


def _notes(said: EnvironmentOf, environment: Environment) -> Iterator[str]:
    if said.backend != environment.backend:
        yield f"made on the {said.backend} backend, replayed on {environment.backend}"
    elif said.reference != environment_name(environment.reference):
        yield f"the environment {said.reference} was built again as {environment_name(environment.reference)}"


def _tuples(plain: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}


def _run_base(
    base: Tree, sandbox: Sandbox, environment: Environment, harness: Harness, limits: Limits, count: int
) -> tuple[TestReport, ...] | str:
    def once(number: int) -> TestReport:
        with sandbox.open(base, environment, limits) as workspace:
            return run_tests(workspace, harness, wall_seconds=limits.wall_seconds, seed=BASE_SEED + number)

    try:
        with ThreadPoolExecutor(2, thread_name_prefix="replay") as pool:
            return tuple(pool.map(once, range(count)))
    except TestsUnrunnable as error:
        return f"the tests of the base cannot be run here: {error}"


def _baseline(manifest: Manifest, before: Sequence[TestReport]) -> Baseline:
    """Return the base's results as they were now, with what the bundle says about targets and flaky tests."""
    known = {text(r.node_id): r for report in before for r in (*report.results, *report.collection_errors)}
    ids = {name: result.node_id for name, result in known.items()}
    targets = tuple(
        Failure(ids.get(t.node_id, t.node_id), t.exception, known[t.node_id].message if t.node_id in known else "")
        for t in manifest.targets
    )
    return Baseline(tuple(before), tuple(ids.get(name, name) for name in manifest.flaky), targets)


def _results(manifest: Manifest, said: Tables, before: Sequence[TestReport], report: GateReport) -> Iterator[str]:
    """Yield a sentence for every result that is not as the bundle says."""
    here = tables_of(before, report)
    aside = {*manifest.flaky, *manifest.found_flaky, *map(text, report.flaky)}
    for node_id in sorted(said.keys() | here.keys()):
        if node_id in aside and node_id in said and node_id in here:
            continue
        if node_id not in here or node_id not in said:
            yield f"test {node_id} is {'in the bundle only' if node_id in said else 'not in the bundle'}"
            continue
        for side, name in _TOLD.items():
            old, new = getattr(said[node_id], side), getattr(here[node_id], side)
            if old != new:
                yield f"test {node_id} on the {name}: {_told(old)} in the bundle, {_told(new)} here"
    now = {"before": before, "after": report.reports, "added_before": report.before, "added_after": report.whole,
           "hollow": report.hollow}  # fmt: skip
    for side, name in _TOLD.items():
        yield from _runs(name, getattr(manifest, side), now[side], loose=bool(aside))
    if not aside and manifest.covering != list(map(text, report.covering)):
        yield "other tests run the changed lines"
    yield from _checks(manifest, report, loose=bool(aside))
    if manifest.added_tests != list(map(text, report.added_tests)):
        yield "the list of added test files differs"


def _runs(side: str, said: Sequence[RunOf], reports: Sequence[TestReport], *, loose: bool) -> Iterator[str]:
    """Compare what is kept of runs besides their tables; with flaky tests about, exit codes say nothing."""
    if len(said) != len(reports):
        yield f"{len(said)} runs of the {side} in the bundle, {len(reports)} here"
    names = ("argv", "ended", "complete", "collection_errors", "tampering", *(() if loose else ("exit_code",)))
    for number, (old, new) in enumerate(zip(said, map(run_of, reports), strict=False), 1):
        for name in names:
            before, now = getattr(old, name), getattr(new, name)
            if before != now:
                yield f"run {number} of the {side}: {name} is {before} in the bundle, {now} here"


def _told(outcomes: Sequence[str]) -> str:
    return " / ".join(dict.fromkeys(outcomes)) if len(set(outcomes)) == 1 else " / ".join(outcomes) or "not run"


def _checks(manifest: Manifest, report: GateReport, *, loose: bool) -> Iterator[str]:
    said = {check.name: check for check in manifest.checks}
    here = {check.name: check_of(check) for check in report.checks}
    if [check.name for check in manifest.checks] != [check.name for check in report.checks]:
        yield f"the gate made other checks: {', '.join(here)} instead of {', '.join(said)}"
    for name in sorted(here.keys() & said.keys()):
        old, new = said[name], here[name]
        held, holds = _held(old.passed, old.flagged), _held(new.passed, new.flagged)
        if held != holds:
            yield f"check {name}: {held} in the bundle, {holds} here: {new.reason}"
        elif loose and name in {"nothing-broken", "repeatable"}:
            continue
        elif (old.reason, old.details) != (new.reason, new.details):
            yield f"check {name}: the bundle says {old.reason!r}, and the gate says {new.reason!r}"


def _held(passed: bool, flagged: bool) -> str:
    return "flagged" if passed and flagged else "passed" if passed else "refused"
