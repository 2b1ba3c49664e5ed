"""What is read from the history of real repositories."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sandbox.history import read_history
from sandbox.workspace import recency
from tests.context.trees import commit, git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "r"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commit(folder, {"a.py": "1", "b.py": "1", "c.py": "1"})
    commit(folder, {"a.py": "2", "b.py": "2"})
    commit(folder, {"ä ö.py": "1", "a.py": "3"})
    return folder


def test_commits_are_read_newest_first(repository: Path) -> None:
    assert read_history(repository) == (("a.py", "ä ö.py"), ("a.py", "b.py"), ("a.py", "b.py", "c.py"))
    assert read_history(repository, 1) == (("a.py", "ä ö.py"),)


def test_merges_say_nothing(repository: Path) -> None:
    git(repository, "checkout", "-q", "-b", "side", "HEAD~1")
    commit(repository, {"side.py": "1"})
    git(repository, "checkout", "-q", "main")
    git(repository, "merge", "-q", "--no-ff", "-m", "merge", "side")
    assert ("side.py",) in read_history(repository)
    assert len(read_history(repository)) == 4


def test_no_repository_and_no_commit_have_no_history(tmp_path: Path) -> None:
    assert read_history(tmp_path) == ()
    git(tmp_path, "init", "-q")
    assert read_history(tmp_path) == ()
    assert read_history(tmp_path, start="--output=/tmp/x") == ()


def test_nothing_that_the_repository_names_is_run(repository: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho run >> {canary}\n")
    program.chmod(0o755)
    for key in ("gpg.program", "gpg.ssh.program", "core.pager", "diff.external", "core.fsmonitor", "diff.x.textconv",
                "diff.x.command", "filter.x.smudge", "filter.x.clean", "core.alternateRefsCommand"):  # fmt: skip
        git(repository, "config", key, str(program))
    git(repository, "config", "log.showSignature", "true")
    commit(repository, {".gitattributes": "*.py diff=x filter=x\n"})
    signed = (
        "tree {}\nparent {}\nauthor a <a@b.c> 1 +0000\ncommitter a <a@b.c> 1 +0000\n"
        "gpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\nsigned\n"
    )

    def output(*arguments: str, text: str = "") -> str:
        argv = ["git", *arguments]
        done = subprocess.run(argv, cwd=repository, input=text, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    raw = signed.format(output("rev-parse", "HEAD^{tree}"), output("rev-parse", "HEAD"))
    name = output("hash-object", "-t", "commit", "-w", "--stdin", text=raw)
    git(repository, "update-ref", "HEAD", name)
    canary.unlink(missing_ok=True)
    git(repository, "log", "-1")
    assert canary.exists(), "the trap is no trap"
    canary.unlink()
    assert read_history(repository)
    assert recency(repository)
    assert not canary.exists()
