"""Whose leftovers may be removed: those of processes that are certainly gone, and of nobody else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.owners import is_dead, owned_folder, owner, reap_folders, remove_folder


def test_an_owner_lives_until_its_process_is_gone() -> None:
    assert not is_dead(owner())
    said = subprocess.run(
        [sys.executable, "-c", "from sandbox.owners import owner; print(owner())"],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    ).stdout.strip()  # fmt: skip
    assert is_dead(said)
    number, started, namespace, boot = owner().split(".")
    assert is_dead(f"{number}.{int(started) + 1}.{namespace}.{boot}"), "the number was given to another process"
    assert not is_dead(f"{number}.{int(started) + 1}.0.{boot}"), "another namespace's numbers mean nothing here"


def test_what_cannot_be_judged_counts_as_alive() -> None:
    for label in ("", "1.2.3", "x.1.2.3", "1.2.3.4.5"):
        assert not is_dead(label)
    assert is_dead("1.2.3.another-boot")
    assert not is_dead("1.2.3.another-boot", other_boots=False)


def test_only_folders_of_the_dead_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mine = owned_folder()
    dead = tmp_path / "greendiff-1.2.3.another-boot-0123456789ab"
    (dead / "locked" / "deeper").mkdir(parents=True)
    (dead / "locked" / "deeper" / "file").write_text("x")
    (dead / "locked").chmod(0)
    strange = tmp_path / "greendiff-something-else"
    strange.mkdir()
    assert reap_folders() == 1
    assert sorted(tmp_path.iterdir()) == sorted([mine, strange])
    remove_folder(mine)
    remove_folder(mine)
    assert not mine.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else here")
def test_a_folder_that_forbids_its_removal_is_removed(tmp_path: Path) -> None:
    """Root may do everything, so this is done as somebody else."""
    program = """
import os, shutil, sys
from pathlib import Path
from sandbox.owners import remove_folder
os.chdir(sys.argv[1])
os.setgid(1000); os.setuid(1000)
Path("tree/locked/deeper").mkdir(parents=True)
Path("tree/locked/deeper/file").write_text("x")
Path("tree/locked/link").symlink_to("deeper")
Path("tree/locked/deeper").chmod(0o500)
Path("tree/locked").chmod(0)
remove_folder(Path("tree"))
"""
    home = tmp_path / "open"
    home.mkdir()
    home.chmod(0o777)
    top = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program, str(home)], cwd=top, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list(home.iterdir()) == []
