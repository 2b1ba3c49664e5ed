"""A change of the working tree: all or nothing, and only where nothing has changed meanwhile."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from sandbox.tree import Entry, Tree
from workflows.errors import NoDiff
from workflows.working_tree import PART, make_change

BEFORE = Tree({"a.py": Entry(b"one\n"), "run.sh": Entry(b"#!/bin/sh\n", executable=True), "gone.py": Entry(b"x")})
AFTER = BEFORE.replaced(
    {"a.py": Entry(b"two\n"), "run.sh": Entry(b"#!/bin/bash\n", executable=True), "gone.py": None,
     "new/deep.py": Entry(b"new\n"), "link": Entry(b"a.py", kind="symlink")}
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, entry in BEFORE.items():
        (tmp_path / name).write_bytes(entry.data)
        (tmp_path / name).chmod(0o750 if entry.executable else 0o640)
    return tmp_path


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_everything_is_changed_and_modes_are_kept(folder: Path) -> None:
    assert make_change(folder, BEFORE, AFTER) == "changed"
    assert names(folder) == {"a.py", "run.sh", "new", "new/deep.py", "link"}
    assert (folder / "a.py").read_bytes() == b"two\n"
    assert stat.S_IMODE((folder / "a.py").stat().st_mode) == 0o640
    assert stat.S_IMODE((folder / "run.sh").stat().st_mode) == 0o750
    assert (folder / "link").readlink() == Path("a.py")
    assert make_change(folder, BEFORE, AFTER) == "already"


def test_a_crash_between_two_files_is_finished_by_a_second_call(folder: Path) -> None:
    (folder / "a.py").write_bytes(b"two\n")
    (folder / f"run.sh{PART}").write_bytes(b"half")
    assert make_change(folder, BEFORE, AFTER) == "changed"
    assert not any(name.endswith(PART) for name in names(folder))


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [("a.py", b"mine\n", "has changed"), ("gone.py", None, None), ("run.sh", None, "is gone"),
     ("new/deep.py", b"mine", "has appeared")],
)  # fmt: skip
def test_what_changed_meanwhile_is_never_overwritten(
    folder: Path, name: str, content: bytes | None, what: str | None
) -> None:
    path = folder / name
    if content is None:
        path.unlink()
    else:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    if what is None:
        assert make_change(folder, BEFORE, AFTER) == "changed"
        return
    with pytest.raises(NoDiff, match=what):
        make_change(folder, BEFORE, AFTER)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_a_mode_that_changed_meanwhile_counts(folder: Path) -> None:
    (folder / "a.py").chmod(0o755)
    with pytest.raises(NoDiff, match="has changed"):
        make_change(folder, BEFORE, AFTER)


def test_line_ends_of_the_disk_are_kept(folder: Path) -> None:
    (folder / "a.py").write_bytes(b"one\r\n")
    assert make_change(folder, BEFORE, AFTER) == "changed"
    assert (folder / "a.py").read_bytes() == b"two\r\n"
    assert make_change(folder, BEFORE, AFTER) == "already"


def test_links_are_not_followed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (folder / "new").symlink_to(outside)
    with pytest.raises(NoDiff, match="is not a folder"):
        make_change(folder, BEFORE, AFTER)
    (folder / "new").unlink()
    (folder / "a.py").unlink()
    (folder / "a.py").symlink_to(outside / "secret")
    with pytest.raises(NoDiff, match="has changed"):
        make_change(folder, BEFORE, AFTER)
    (folder / "a.py").unlink()
    os.mkfifo(folder / "a.py")
    with pytest.raises(NoDiff, match="no longer a regular file"):
        make_change(folder, BEFORE, AFTER)
    assert not list(outside.iterdir())


def test_a_folder_that_cannot_be_written_changes_nothing(folder: Path) -> None:
    # A file where a folder must be made fails for every user, root too.
    (folder / "new").write_bytes(b"")
    with pytest.raises(NoDiff):
        make_change(folder, BEFORE, AFTER)
    assert (folder / "a.py").read_bytes() == b"one\n"
    assert not any(name.endswith(PART) for name in names(folder))


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    name = b"caf\xe9.py".decode("utf-8", "surrogateescape")
    (tmp_path / name).write_bytes(b"1")
    assert make_change(tmp_path, Tree({name: Entry(b"1")}), Tree({name: Entry(b"2")})) == "changed"
    assert (tmp_path / name).read_bytes() == b"2"
