"""What greendiff does with a pull request: finds tests that it breaks, repairs them, and suggests what it can prove."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sandbox.errors import TestsUnrunnable
from workflows.findings import inspect_files, new_findings
from workflows.forge.git import Mirror
from workflows.forge.protocol import Forge
from workflows.forge.running import Wanted, run_on, settings_of
from workflows.forge.words import harmless
from workflows.progress import View
from workflows.suggestions.pieces import pieces_of
from workflows.suggestions.posting import Finding, Posted, post
from workflows.suggestions.proving import Group, Proved, proved
from workflows.wording import listed, plural

if TYPE_CHECKING:
    from sandbox.protocol import Sandbox
    from sandbox.workspace import Snapshot
    from workflows.settings import Settings

MOST_FINDINGS = 10


def review(forge: Forge, mirror: Mirror, number: int, view: View, wanted: Wanted | None = None) -> Posted:
    """Look at a pull request's head, and post what is worth it; see `workflows.suggestions.posting.post`.

    `wanted` brings the settings; what to do is decided here. Whether the head's code may be run at all (a fork's needs
    a maintainer's word) is for the caller to know.

    Raises:
        HeadMoved, Locked, ForgeError: see `post`.
        WorkflowError, SandboxError: the tests cannot be run.

    """
    wanted = wanted or Wanted("fix")
    request = forge.pull_request(number)
    mirror.fetch(forge.access(), request.base_commit, request.head_commit)
    base, head = mirror.snapshot(request.base_commit), mirror.snapshot(request.head_commit)
    told = _new_findings(base, head)
    broken = broken_tests(base, head, settings_of(head, wanted.flags))
    if not broken:
        return post(forge, number, request.head_commit, head.tree, None, told)
    with run_on(head, replace(wanted, purpose="fix", tests=broken), view) as ran:
        if ran.message:
            count = plural(len(broken), "test")
            fails = "fails" if len(broken) == 1 else "fail"
            names = harmless(listed(broken))
            told.append(Finding(f"{count} {fails} here and not on the base ({names}); no repair could be verified."))
            return post(forge, number, request.head_commit, head.tree, None, told)
        verified, case = ran.verified()
        from sandbox.workspace import apply

        pieces = pieces_of(case.base, apply(case.base, verified.patch))
        if pieces is None:
            targets = tuple(target.node_id for target in case.baseline.targets)
            found = Proved((Group((), verified, targets),), verified)
            told.append(Finding("A verified repair is no change of lines, so it stands here:", verified.patch))
            return post(forge, number, request.head_commit, head.tree, replace(found, groups=()), told)
        found = proved(case, verified, pieces, ran.job.ready().sandbox, ran.job.events.note)
    return post(forge, number, request.head_commit, head.tree, found, told)


def broken_tests(base: Snapshot, head: Snapshot, settings: Settings) -> tuple[str, ...]:
    """Return the tests that fail on the head, and on the base pass or are not there.

    Raises:
        SandboxError: they cannot be run.

    """
    from sandbox.backends import open_sandbox

    sandbox = open_sandbox(settings.sandbox)
    try:
        failing = _failing(sandbox, head, settings)
        if not failing:
            return ()
        try:
            before = _failing(sandbox, base, settings)
        except TestsUnrunnable:
            before = frozenset()
        return tuple(sorted(failing - before))
    finally:
        sandbox.close()


def _failing(sandbox: Sandbox, snapshot: Snapshot, settings: Settings) -> frozenset[str]:
    from sandbox.runners.run import run_tests
    from workflows.job import environment_definition, harness_of

    environment = sandbox.prepare(environment_definition(snapshot.tree, settings), lambda _line: None)
    limits = settings.limits.limits()
    with sandbox.open(snapshot.tree, environment, limits) as workspace:
        report = run_tests(workspace, harness_of(snapshot.tree, settings), wall_seconds=limits.wall_seconds)
    return frozenset(result.node_id for result in report.failed())


def _new_findings(base: Snapshot, head: Snapshot) -> list[Finding]:
    """Return what the linter finds in the changed files and did not find before; told, as nothing was proved."""
    paths = [path for path in base.tree.changed_paths(head.tree) if path in head.tree]
    sides = [
        inspect_files({path: tree[path].data for path in paths if path in tree and tree[path].kind == "file"})
        for tree in (base.tree, head.tree)
    ]
    found = [
        one for one in new_findings(*sides) if one.rule in {"syntax", "secret", "hidden-text"} or one.rule[0] == "S"
    ]
    return [Finding(harmless(f"{one.path}:{one.line}: {one.message} ({one.rule})")) for one in found[:MOST_FINDINGS]]
