"""A replay on another checkout path says the same, and finds whatever was changed, with the hashes made right again."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sandbox.errors import RepositoryError
from sandbox.tree import Entry
from sandbox.workspace import diff, snapshot
from tests.gate.cases import SOUND
from tests.gate.court import DEFINITION, Court, lay_out
from tests.gate.shop import BASES, tree
from tests.gate.test_evidence import resealed
from workflows.archives import write_files
from workflows.bundle import MANIFEST
from workflows.errors import Usage
from workflows.evidence import Bundle, Replay, Story, bundle_files, read_bundle, replay
from workflows.manifest import canonical, parse_manifest, parse_tables
from workflows.steps.verify import VerifiedPatch
from workflows.summary import render

Files = dict[str, bytes]


def git(folder: Path, *arguments: str) -> str:
    who = {f"GIT_{role}_{what}": "nobody@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env={"PATH": os.environ["PATH"], "HOME": str(folder), **who},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.strip()


@dataclass
class Evidence:
    court: Court
    files: Files
    clone: Path

    def replay(self, files: Files, folder: Path, interpreter: str | None = None) -> Replay:
        bundle = read_bundle(write_files(folder / "b.tar.gz", files))
        return replay(bundle, self.clone, self.court.sandbox, lambda line: None, interpreter=interpreter)  # noqa: ARG005


def _evidence(court: Court, folder: Path) -> Evidence:
    """A repository with an uncommitted change, a bundle of its repair, and a fresh clone elsewhere."""
    repository = lay_out(folder / "first", tree(BASES["plain"]))
    git(repository, "init", "-q")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "The shop")
    (repository / "README.md").write_text("# shop\n\nNot committed yet.\n")
    taken = snapshot(repository)
    of = court.case("plain", SOUND)
    of = replace(of, base=taken.tree, patch=diff(taken.tree, taken.tree.replaced({"shop/cart.py": Entry(
        SOUND["shop/cart.py"].encode())})))  # fmt: skip
    verified = VerifiedPatch.from_report(court.judge(of), of)
    files = bundle_files(verified, of, Story(taken.commit, taken.uncommitted, DEFINITION, tried=3, generated=9))
    clone = folder / "elsewhere" / "clone"
    clone.parent.mkdir()
    git(folder, "clone", "-q", str(repository), str(clone))
    (clone / "README.md").write_text("Another text that has no part in this.\n")
    return Evidence(court, files, clone)


@pytest.fixture(scope="module")
def evidence(local_court: Court, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return _evidence(local_court, tmp_path_factory.mktemp("evidence"))


def test_the_same_from_a_fresh_clone(evidence: Evidence, tmp_path: Path) -> None:
    done = evidence.replay(evidence.files, tmp_path)
    assert done.differences == ()
    assert done.passed
    assert done.report is not None
    assert done.report.passed
    assert done.notes == ()
    assert b"Not committed yet" in evidence.files["uncommitted.diff"]


@pytest.mark.docker
def test_the_same_on_docker(docker_court: Court, tmp_path: Path) -> None:
    evidence = _evidence(docker_court, tmp_path)
    done = evidence.replay(evidence.files, tmp_path)
    assert done.differences == ()


def _rendered(files: Files) -> Files:
    """Make the summary and every hash right again, as somebody would who knows how it is done."""
    manifest = parse_manifest(files[MANIFEST]).model_copy(update={"files": {}, "digest": ""})
    text = render(manifest, parse_tables(files["tests.json"]), files["patch.diff"])
    return resealed(files | {"summary.md": text.encode()})


def _manifest(path: str, value: object) -> Callable[[Files], Files]:
    def edit(files: Files) -> Files:
        plain = json.loads(files[MANIFEST])
        *way, last = path.split(".")
        at = plain
        for part in way:
            at = at[int(part)] if isinstance(at, list) else at[part]
        at[int(last) if isinstance(at, list) else last] = value
        return files | {MANIFEST: canonical(plain)}

    return edit


def _table(node_id: str, side: str, value: str) -> Callable[[Files], Files]:
    def edit(files: Files) -> Files:
        plain = json.loads(files["tests.json"])
        plain[node_id][side] = [value] * len(plain[node_id][side])
        return files | {"tests.json": canonical(plain)}

    return edit


def _dropped(files: Files) -> Files:
    plain = json.loads(files["tests.json"])
    del plain["tests/test_cart.py::test_bill"]
    return files | {"tests.json": canonical(plain)}


TEST, OTHER = "tests/test_cart.py::test_line", "tests/test_money.py::test_text"
AT_ONCE = [
    (_manifest("greendiff", "9.9.9"), "greendiff 9.9.9"),
    (_manifest("ruff", "9.9.9"), "ruff 9.9.9"),
    (_manifest("environment.versions.pytest", "1.0"), "version of pytest: 1.0 in the bundle"),
    (_manifest("environment.versions.python", "3.1"), "version of python: 3.1 in the bundle"),
    (_manifest("environment.versions.extra", "1"), "version of extra"),
    (_manifest("environment.digest", "0" * 64), "environment's digest"),
    (_manifest("base.tree", "0" * 64), "base tree rebuilt"),
    (_manifest("base.commit", "HEAD"), "no full object name"),
    (lambda f: f | {"uncommitted.diff": f["uncommitted.diff"].replace(b"Not ", b"Now ")}, "base tree rebuilt"),
    (lambda f: f | {"uncommitted.diff": b"rubbish"}, "does not apply"),
]
RESULTS = [
    (_table(TEST, "before", "failed AssertionError"), f"{TEST} on the base: failed AssertionError in the bundle"),
    (_table(OTHER, "after", "skipped"), f"{OTHER} on the patched tree: skipped in the bundle"),
    (_dropped, "tests/test_cart.py::test_bill is not in the bundle"),
    (_manifest("checks.9.flagged", True), "check generalises: flagged in the bundle, passed here"),
    (_manifest("checks.6.reason", "All 99 tests pass."), "check nothing-broken: the bundle says 'All 99"),
    (_manifest("before.0.exit_code", 0), "run 1 of the base: exit_code is 0 in the bundle"),
    (_manifest("after.1.tampering", ["Odd."]), "run 2 of the patched tree: tampering is ['Odd.'] in the bundle"),
    (_manifest("added_tests", ["tests/test_x.py"]), "the list of added test files differs"),
]


@pytest.mark.parametrize(("edit", "found"), AT_ONCE)
def test_what_is_found_before_anything_runs(
    edit: Callable[[Files], Files], found: str, evidence: Evidence, tmp_path: Path
) -> None:
    done = evidence.replay(_rendered(edit(dict(evidence.files))), tmp_path)
    assert not done.passed
    assert any(found in text for text in done.differences), done.differences
    assert done.report is None


def test_every_changed_result_is_found(evidence: Evidence, tmp_path: Path) -> None:
    files = dict(evidence.files)
    for edit, _ in RESULTS:
        files = edit(files)
    done = evidence.replay(_rendered(files), tmp_path)
    assert done.report is not None
    assert done.report.passed
    for _, found in RESULTS:
        assert any(found in text for text in done.differences), (found, done.differences)
    assert len(done.differences) == len(RESULTS)


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (lambda f: f | {"patch.diff": f["patch.diff"].replace(b"percent // 100", b"percent // 101")}, "targets-pass"),
        (lambda f: f | {"patch.diff": f["patch.diff"].replace(b"a/shop/cart.py", b"a/shop/cat.py")}, "applies"),
        (_manifest("targets.0.exception", "KeyError"), "targets-failed-before"),
    ],
)
def test_another_patch_or_reason_is_found(
    edit: Callable[[Files], Files], found: str, evidence: Evidence, tmp_path: Path
) -> None:
    done = evidence.replay(_rendered(edit(dict(evidence.files))), tmp_path)
    assert any(f"check {found}: passed in the bundle, refused here" in text for text in done.differences)


def test_a_bundle_that_does_not_agree_with_itself_is_not_run(evidence: Evidence, tmp_path: Path) -> None:
    files = dict(evidence.files)
    files["patch.diff"] = files["patch.diff"].replace(b"100", b"200")
    done = evidence.replay(files, tmp_path)
    assert done.differences[0] == "patch.diff is not the file that the manifest names: its SHA-256 differs"
    assert done.report is None


def test_a_commit_that_is_not_there(evidence: Evidence, tmp_path: Path) -> None:
    files = _rendered(_manifest("base.commit", "1" * 40)(dict(evidence.files)))
    with pytest.raises(RepositoryError, match="fetch it first"):
        evidence.replay(files, tmp_path)


def test_a_bundle_names_no_program_of_the_host(evidence: Evidence, tmp_path: Path) -> None:
    files = _rendered(_manifest("environment.interpreter", "python3.11")(dict(evidence.files)))
    with pytest.raises(Usage, match="--python"):
        evidence.replay(files, tmp_path)
    assert isinstance(read_bundle(tmp_path / "b.tar.gz"), Bundle)
