"""Snapshots of repositories of every shape that users have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox import workspace
from sandbox.errors import RepositoryError
from sandbox.tree import Entry, Tree
from sandbox.workspace import apply, find_repository, recency, snapshot, snapshot_commit
from tests.repository.conftest import Shell


def test_clean_repository_is_its_commit(shell: Shell, tmp_path: Path) -> None:
    shell(
        "printf 'a\\n' > a.txt; mkdir d;"
        "echo '#!/bin/sh' > d/x.sh; chmod +x d/x.sh; ln -s a.txt link; git add -A; git commit -qm i"
    )
    found = snapshot(tmp_path / "d")
    assert found.repository == tmp_path.resolve()
    assert found.dirty == ()
    assert found.uncommitted == b""
    assert dict(found.tree) == {
        "a.txt": Entry(b"a\n"),
        "d/x.sh": Entry(b"#!/bin/sh\n", executable=True),
        "link": Entry(b"a.txt", kind="symlink"),
    }
    assert snapshot_commit(tmp_path, found.commit).digest == found.tree.digest


def test_uncommitted_changes_are_part_of_the_tree_and_can_be_replayed(shell: Shell, tmp_path: Path) -> None:
    shell(
        "echo a > a.txt; echo gone > gone.txt; echo keep > staged.txt; git add -A; git commit -qm i;"
        "echo b >> a.txt; rm gone.txt; echo 2 > staged.txt; git add staged.txt; printf 'new\\0bin' > new.bin;"
        "echo no > ignored.txt; echo ignored.txt > .gitignore"
    )
    found = snapshot(tmp_path)
    assert found.dirty == (".gitignore", "a.txt", "gone.txt", "new.bin", "staged.txt")
    assert "ignored.txt" not in found.tree
    assert found.tree["new.bin"] == Entry(b"new\0bin")
    assert apply(snapshot_commit(tmp_path, found.commit), found.uncommitted).digest == found.tree.digest


def test_names_that_are_not_utf8_survive(shell: Shell, tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b'/n\xe9 "q".py')).write_bytes(b"x = 1\n")
    shell("git add -A; git commit -qm i")
    raw = Path(os.fsdecode(os.fsencode(tmp_path) + b'/n\xe9 "q".py'))
    raw.write_bytes(b"x = 2\n")
    found = snapshot(tmp_path)
    assert found.tree['n\udce9 "q".py'].data == b"x = 2\n"
    assert apply(snapshot_commit(tmp_path, found.commit), found.uncommitted).digest == found.tree.digest


def test_line_ends_that_git_would_normalise_are_no_change(shell: Shell, tmp_path: Path) -> None:
    shell("printf 'a\\nb\\n' > lf.txt; printf 'x\\r\\n' > crlf.txt; git add -A; git commit -qm i")
    (tmp_path / "lf.txt").write_bytes(b"a\r\nb\r\n")
    found = snapshot(tmp_path)
    assert found.dirty == ()
    assert found.tree["lf.txt"].data == b"a\nb\n"
    assert found.tree["crlf.txt"].data == b"x\r\n"


def test_a_link_in_place_of_a_folder_is_not_followed(shell: Shell, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "f.txt").write_text("secret")
    shell("mkdir d; echo in > d/f.txt; git add -A; git commit -qm i")
    shell(f"rm -r d; ln -s {outside} d")
    found = snapshot(tmp_path)
    assert "d/f.txt" not in found.tree
    assert all(b"secret" not in entry.data for entry in found.tree.values())


def test_programs_named_by_the_repository_do_not_run(shell: Shell, tmp_path: Path) -> None:
    shell(
        "echo a > a.txt; git add -A; git commit -qm i; echo b > a.txt;"
        'printf \'#!/bin/sh\\ntouch "%s/ran"\\ncat\\n\' "$PWD" > .git/evil; chmod +x .git/evil;'
        'git config core.fsmonitor "$PWD/.git/evil"; git config diff.external "$PWD/.git/evil";'
        'git config filter.f.clean "$PWD/.git/evil"; git config filter.f.smudge "$PWD/.git/evil";'
        "echo '*.txt filter=f' > .gitattributes"
    )
    found = snapshot(tmp_path)
    recency(tmp_path)
    assert not (tmp_path / "ran").exists()
    assert found.tree["a.txt"].data == b"a\n"
    assert any("content filter" in note for note in found.notes)


def test_submodules_are_left_out_and_said(shell: Shell, tmp_path: Path) -> None:
    shell(
        "echo a > a.txt; git add -A; git commit -qm i; git clone -q . sub;"
        "git -c advice.addEmbeddedRepo=false add sub; git commit -qm sub"
    )
    found = snapshot(tmp_path)
    assert set(found.tree) == {"a.txt"}
    assert found.notes == ("submodules are left out: sub",)


def test_detached_shallow_and_linked_work_trees(shell: Shell, tmp_path: Path) -> None:
    shell("for n in 1 2 3; do echo $n > a.txt; git add -A; git commit -qm $n; done; git checkout -q --detach HEAD~1")
    assert snapshot(tmp_path).tree["a.txt"].data == b"2\n"
    shell(
        "git clone -q --depth 1 file://$PWD/.git ../shallow-$(basename $PWD);"
        "git worktree add -q ../linked-$(basename $PWD) main"
    )
    assert snapshot(tmp_path.parent / f"shallow-{tmp_path.name}").tree["a.txt"].data == b"2\n"
    linked = snapshot(tmp_path.parent / f"linked-{tmp_path.name}")
    assert linked.tree["a.txt"].data == b"3\n"
    assert linked.repository.name == f"linked-{tmp_path.name}"


def test_git_variables_of_the_caller_do_not_matter(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell("echo a > a.txt; git add -A; git commit -qm i")
    monkeypatch.setenv("GIT_DIR", "nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "nowhere")
    assert set(snapshot(tmp_path).tree) == {"a.txt"}


def test_refusals_are_one_sentence(shell: Shell, tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="no commit yet; commit your files first"):
        snapshot(tmp_path)
    plain = tmp_path.parent / f"{tmp_path.name}-plain"
    plain.mkdir()
    with pytest.raises(RepositoryError, match="run `git init`"):
        find_repository(plain)
    with pytest.raises(RepositoryError, match="does not exist"):
        find_repository(plain / "no" / "where")
    shell(f"git init -q --bare {plain}")
    with pytest.raises(RepositoryError, match="clone it first"):
        find_repository(plain)
    with pytest.raises(RepositoryError, match="fetch it first"):
        snapshot_commit(tmp_path, "0" * 40)


def test_too_large_a_repository_is_refused(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell("head -c 3000 /dev/zero > big; git add -A; git commit -qm i")
    monkeypatch.setattr(workspace, "MAX_TREE_BYTES", 2000)
    with pytest.raises(RepositoryError, match="larger than"):
        snapshot(tmp_path)


def test_recency_halves_in_thirty_days(shell: Shell, tmp_path: Path) -> None:
    shell(
        "echo a > old.py; git add -A; GIT_COMMITTER_DATE='2020-01-01T00:00:00' git commit -qm i;"
        "echo b > new.py; git add -A; git commit -qm j"
    )
    weights = recency(tmp_path)
    assert weights["new.py"] > 0.9 > 0.001 > weights["old.py"] > 0
    assert recency(tmp_path.parent) == {}


def test_tree_is_a_value() -> None:
    one = Tree({"b": Entry(b"2"), "a": Entry(b"1")})
    assert list(one) == ["a", "b"]
    assert len(one) == 2
    assert one.replaced({"a": None, "c": Entry(b"3")}).changed_paths(one) == ("a", "c")
    assert one.digest != one.replaced({"a": Entry(b"1", executable=True)}).digest
