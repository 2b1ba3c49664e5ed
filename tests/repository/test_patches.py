"""Patches between trees: exact, binary-safe, and never outside the tree."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.errors import PatchError, UnsafePath
from sandbox.patches import apply, diff, patched_paths
from sandbox.tree import Entry, Tree

names = st.text(
    st.characters(codec="utf-8", exclude_characters="\0/\r", exclude_categories=["Cs"]), min_size=1, max_size=8
).filter(
    lambda n: n not in {".", ".."} and n.lower().rstrip(". ") != ".git" and "git~" not in n.lower() and n.isprintable()
)
entries = st.builds(Entry, st.binary(max_size=60) | st.text("ab\r\n", max_size=30).map(str.encode),
                    executable=st.booleans())  # fmt: skip
trees = st.dictionaries(names, entries, max_size=4).map(Tree)


@settings(max_examples=40, deadline=None)
@given(trees, trees)
def test_a_diff_applied_gives_the_other_tree(before: Tree, after: Tree) -> None:
    patch = diff(before, after)
    assert (patch == b"") == (before.digest == after.digest)
    assert apply(before, patch).digest == after.digest


def test_git_itself_applies_what_diff_makes(tmp_path: Path) -> None:
    before = Tree({"d/a.py": Entry(b"x = 1\r\ny = 2"), "old": Entry(b"o\n"), "l": Entry(b"old", kind="symlink")})
    after = Tree({"d/a.py": Entry(b"x = 1\r\ny = 3"), "new": Entry(b"\0\1"), "l": Entry(b"new", kind="symlink")})
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a.py").write_bytes(before["d/a.py"].data)
    (tmp_path / "old").write_bytes(b"o\n")
    (tmp_path / "l").symlink_to("old")
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=diff(before, after), check=True)
    assert (tmp_path / "d/a.py").read_bytes() == b"x = 1\r\ny = 3"
    assert (tmp_path / "new").read_bytes() == b"\0\1"
    assert not (tmp_path / "old").exists()
    assert (tmp_path / "l").readlink() == Path("new")


def test_renames_and_moved_lines_apply() -> None:
    before = Tree({"a.py": Entry(b"0\n1\n2\n3\n4\n5\n6\n7\n")})
    patch = (
        b"diff --git a/a.py b/b.py\nsimilarity index 90%\nrename from a.py\nrename to b.py\n"
        b"--- a/a.py\n+++ b/b.py\n@@ -4,3 +4,3 @@\n 4\n-5\n+five\n 6\n"
    )
    assert patched_paths(patch) == ("a.py", "b.py")
    assert dict(apply(before, patch)) == {"b.py": Entry(b"0\n1\n2\n3\n4\nfive\n6\n7\n")}


@pytest.mark.parametrize(
    ("patch", "error", "says"),
    [
        (b"no patch at all\n", PatchError, "not a patch"),
        (b"--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-other\n+x\n", PatchError, "does not apply"),
        (b"--- a/missing\n+++ b/missing\n@@ -1 +1 @@\n-other\n+x\n", PatchError, "does not apply"),
        (b"--- a/../up\n+++ b/../up\n@@ -0,0 +1 @@\n+x\n", UnsafePath, "plain path"),
        (b"--- /dev/null\n+++ b/.git/hooks/post-commit\n@@ -0,0 +1 @@\n+x\n", UnsafePath, ".git"),
        (b"--- /dev/null\n+++ b/sub/.GIT/config\n@@ -0,0 +1 @@\n+x\n", UnsafePath, ".git"),
        (
            (b"diff --git a/s b/s\nnew file mode 160000\nindex 0000000..1111111\n--- /dev/null\n+++ b/s\n"
            b"@@ -0,0 +1 @@\n+Subproject commit 1111111111111111111111111111111111111111\n"),
            UnsafePath,
            "submodule",
        ),
    ],
)  # fmt: skip
def test_hostile_and_wrong_patches_are_refused(patch: bytes, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        apply(Tree({"a.py": Entry(b"a\n")}), patch)


def test_empty_patch_changes_nothing() -> None:
    tree = Tree({"a": Entry(b"1")})
    assert apply(tree, b"\n") is tree
    assert diff(tree, tree) == b""
