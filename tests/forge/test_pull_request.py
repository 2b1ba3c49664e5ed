"""A verified patch as a pull request: once, in place, and refused with one sentence where it cannot be."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.results import Failure
from sandbox.limits import Limits
from sandbox.local import LocalSandbox
from sandbox.protocol import EnvironmentDefinition
from sandbox.runners.detect import detect_harness
from sandbox.runners.run import run_tests
from sandbox.tree import Entry
from sandbox.workspace import diff
from tests.forge.conftest import TOKEN, Place
from tests.forge.server import Fault
from tests.workflows.conftest import git
from workflows.forge.errors import Archived, BranchMoved, BranchProtected, CredentialRefused, NotThere, PushRefused
from workflows.forge.git import Mirror
from workflows.forge.pull_request import Offer, deliver
from workflows.forge.words import harmless, subject
from workflows.steps.verify import NotVerified, VerifiedPatch, judge
from workflows.verdicts import Baseline, GateCase

GOOD, BETTER = b"return result - discount", b"return result - abs(discount)"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[LocalSandbox]:
    found = LocalSandbox()
    yield found
    found.close()


def silent(_line: str) -> None:
    pass


def case_of(place: Place, sandbox: LocalSandbox, commit: str, *, new: bytes = GOOD) -> GateCase:
    """Return the case of a repair of the published repository, with real runs of its tests."""
    mirror = place.mirror()
    mirror.fetch(place.forge().access(), commit)
    base = mirror.snapshot(commit).tree
    environment = sandbox.prepare(EnvironmentDefinition(), silent)
    harness = detect_harness(base)
    reports = []
    for seed in (1, 2):
        with sandbox.open(base, environment, Limits()) as workspace:
            reports.append(run_tests(workspace, harness, seed=seed))
    targets = tuple(Failure(r.node_id, r.exception, r.message, r.frames) for r in reports[0].failed())
    old = base["shop/prices.py"].data
    after = base.replaced({"shop/prices.py": Entry(old.replace(b"return result + discount", new))})
    return GateCase(base, diff(base, after), Baseline(tuple(reports), (), targets), harness, environment, Limits())


_JUDGED: dict[bytes, tuple[GateCase, VerifiedPatch]] = {}


def offer(place: Place, sandbox: LocalSandbox, *, new: bytes = GOOD, key: str = "issue-1") -> Offer:
    """Return an offer whose patch the gate has judged; the same repair of the same files is judged once."""
    commit = git(place.clone, "rev-parse", "HEAD").strip()
    if new not in _JUDGED:
        case = case_of(place, sandbox, commit, new=new)
        _JUDGED[new] = case, VerifiedPatch.from_report(judge(case, sandbox, silent), case)
    place.server.state.add_issue(1, "Discount is added, fixes #7 says @eve", "See <!-- greendiff:status -->")
    return Offer(
        _JUDGED[new][1], commit, "main", key, "fix", "Subtract the discount", ("shop/prices.py",),
        "## Verified by greendiff\n\n| test | before | after |\n|---|---|---|\n", "20261125-120000-abcd", 1_790_000_000,
        place.forge().issue(1), ("closes #9, thanks @bob",),
    )  # fmt: skip


def test_a_draft_appears_once_and_says_what_proves_it(place: Place, sandbox: LocalSandbox) -> None:
    made = deliver(place.forge(), place.mirror(), offer(place, sandbox))
    again = deliver(place.forge(), Mirror(place.folder / "other"), offer(place, sandbox))
    state = place.server.state
    assert (made.new, again.new, len(state.pulls)) == (True, False, 1)
    pull = state.pulls[0]
    assert pull["draft"] is True
    assert pull["head"]["ref"] == "greendiff/issue-1"
    assert pull["title"] == "fix(prices): subtract the discount"
    assert "| test | before | after |" in pull["body"]
    message = state.run_git("log", "-1", "--format=%B", "greendiff/issue-1")
    assert f"Greendiff-Base: {git(place.clone, 'rev-parse', 'HEAD').strip()}" in message
    for text in (pull["body"], message):
        for closing in ("#7", "#9", "@eve", "@bob"):
            assert closing not in text
    changed = state.run_git("diff", "--stat", "main", "greendiff/issue-1")
    assert "shop/prices.py | 2 +-" in changed
    assert made.commit == again.commit
    assert len(place.server.requests("PATCH")) == 0


def test_a_revision_changes_it_in_place_on_top_of_the_first(place: Place, sandbox: LocalSandbox) -> None:
    first = deliver(place.forge(), place.mirror(), offer(place, sandbox))
    second = deliver(place.forge(), place.mirror(), offer(place, sandbox, new=BETTER))
    state = place.server.state
    assert (second.request.number, second.new) == (first.request.number, False)
    assert state.run_git("rev-list", "main..greendiff/issue-1").split() == [second.commit, first.commit]
    assert "abs(discount)" in state.run_git("show", "greendiff/issue-1:shop/prices.py")


def test_a_crash_between_push_and_request_leaves_one_of_each(place: Place, sandbox: LocalSandbox) -> None:
    place.server.faults.append(Fault("POST", "/pulls", 502, after=True, drop=True))
    deliver(place.forge(), place.mirror(), offer(place, sandbox))
    assert len(place.server.state.pulls) == 1


def test_a_branch_of_somebody_else_is_left_alone(place: Place, sandbox: LocalSandbox) -> None:
    theirs = place.publish("greendiff/issue-1")
    made = deliver(place.forge(), place.mirror(), offer(place, sandbox))
    assert made.branch == "greendiff/issue-1-2"
    assert place.server.state.run_git("rev-parse", "greendiff/issue-1").strip() == theirs


def test_commits_by_others_are_not_overwritten(place: Place, sandbox: LocalSandbox) -> None:
    deliver(place.forge(), place.mirror(), offer(place, sandbox))
    wanted = offer(place, sandbox, new=BETTER)
    place.change({"README.md": "x"})
    tip = place.publish("greendiff/issue-1")
    with pytest.raises(BranchMoved, match="commits by others"):
        deliver(place.forge(), place.mirror(), wanted)
    assert place.server.state.run_git("rev-parse", "greendiff/issue-1").strip() == tip


def test_a_closed_request_is_not_opened_again(place: Place, sandbox: LocalSandbox) -> None:
    deliver(place.forge(), place.mirror(), offer(place, sandbox))
    place.server.state.pulls[0]["state"] = "closed"
    with pytest.raises(PushRefused, match="closed already"):
        deliver(place.forge(), place.mirror(), offer(place, sandbox))


def test_without_drafts_it_is_an_ordinary_one(place: Place, sandbox: LocalSandbox) -> None:
    place.server.state.drafts = False
    made = deliver(place.forge(), place.mirror(), offer(place, sandbox))
    assert not made.request.draft
    assert "no drafts" in made.notes[0]


def test_archived_protected_and_unwritable(place: Place, sandbox: LocalSandbox) -> None:
    wanted = offer(place, sandbox)
    hook = place.server.state.git / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'error: GH013: Repository rule violations found' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(BranchProtected, match="greendiff/issue-1 is protected"):
        deliver(place.forge(), place.mirror(), wanted)
    place.server.state.archived = True
    with pytest.raises(Archived, match="archived"):
        deliver(place.forge(), place.mirror(), wanted)
    with pytest.raises(Archived):
        place.mirror().push(place.forge().access(), wanted.base, "x", expected=None)
    assert place.server.state.pulls == []


def test_a_patch_that_was_judged_on_other_files_is_not_delivered(place: Place, sandbox: LocalSandbox) -> None:
    offer(place, sandbox)
    place.change({"README.md": "other"})
    place.publish()
    with pytest.raises(NotVerified, match="other files"):
        deliver(place.forge(), place.mirror(), offer(place, sandbox))


def test_a_commit_that_a_force_push_took_away(place: Place) -> None:
    with pytest.raises(NotThere, match="force-push"):
        place.mirror().fetch(place.forge().access(), "0123456789" * 4)
    with pytest.raises(CredentialRefused):
        place.mirror().fetch(place.forge("ghp_wrong").access(), "0123456789" * 4)


def test_the_token_is_written_nowhere(place: Place, sandbox: LocalSandbox, tmp_path: Path) -> None:
    """Not even by a helper that the user has set to store what Git is told."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[credential]\n\thelper = store\n")
    script = (
        "import sys, pathlib\n"
        "from workflows.forge.git import Mirror\n"
        "from workflows.forge.github import with_token\n"
        "from workflows.forge.secret import Secret\n"
        "forge = with_token('acme/shop', Secret(sys.stdin.read()), api=sys.argv[1])\n"
        "mirror = Mirror(pathlib.Path(sys.argv[2]))\n"
        "mirror.fetch(forge.access(), sys.argv[3])\n"
        "mirror.push(forge.access(), sys.argv[3], 'greendiff/x', expected=None)\n"
    )
    commit = git(place.clone, "rev-parse", "HEAD").strip()
    command = [sys.executable, "-c", script, place.server.api, str(tmp_path / "m"), commit]
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(command, input=TOKEN, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    deliver(place.forge(), place.mirror(), offer(place, sandbox))
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 20
    assert [path for path in written if TOKEN.encode() in path.read_bytes()] == []
    assert TOKEN not in done.stdout + done.stderr


def test_what_others_wrote_calls_nobody_and_closes_nothing() -> None:
    said = harmless("fixes #3, closes acme/shop#4, resolves https://x.org/acme/shop/issues/5 @ann GH-6 <!-- x -->")
    for bad in ("#3", "#4", "https://x.org", "@ann", "GH-6", "<!--"):
        assert bad not in said
    assert subject("fix", ("a/b.py",), "fixes: #12 Now") == "fix(b): fixes: no. 12 Now"
    assert subject("fix", ("a/b.py",), "a/b.py:9: `x + y` → `x - y`") == "fix(b): correct `x + y`"
    assert len(subject("feature", (), "x" * 200)) == 72
