"""Git repositories as trees.

A repository is only ever read with plumbing commands in which the programs that it may name are switched off, and
contents are read by this module itself, without following links.
"""

from __future__ import annotations

import math
import os
import stat
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import RepositoryError, UnsafePath
from sandbox.patches import (
    SUBMODULE,
    SYMLINK,
    GitFailed,
    apply,
    as_entry,
    blobs_of,
    decode_name,
    diff,
    object_name,
    patched_paths,
    run_git,
)
from sandbox.tree import Entry, Tree, checked_path

__all__ = ["Snapshot", "apply", "diff", "find_repository", "patched_paths", "recency", "snapshot", "snapshot_commit"]

MAX_TREE_BYTES = 1024 * 1024 * 1024
"""Largest sum of file sizes that a snapshot takes."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A repository as it is now: the last commit with everything that is not committed yet."""

    repository: Path
    """Top of the work tree."""
    commit: str
    """Full object name of HEAD."""
    tree: Tree
    """Tracked files as they are on disk, and new files that are not ignored; without submodules."""
    uncommitted: bytes
    """Patch from the commit to `tree`, b"" where nothing differs."""
    dirty: tuple[str, ...]
    """Paths that differ from the commit."""
    notes: tuple[str, ...] = ()
    """Sentences about what was left out."""


def _explain(error: GitFailed, path: Path) -> RepositoryError:
    text = str(error)
    if "dubious ownership" in text:
        return RepositoryError(
            f"{path} belongs to another user, so Git refuses to read it; "
            f"allow it with: git config --global --add safe.directory {path}"
        )
    if "not a git repository" in text.lower():
        return RepositoryError(f"{path} is not in a Git repository; run `git init`, add your files and commit them")
    lines = [line for line in text.splitlines() if "fatal:" in line] or text.splitlines() or ["no message"]
    return RepositoryError(f"Git cannot read {path}: {lines[0].split('fatal:')[-1].strip(' ' + chr(39))}")


def find_repository(path: Path) -> Path:
    """Return the top of the work tree that `path` (a folder or a file) lies in.

    Raises:
        RepositoryError: no folder there, no repository, or a bare one.

    """
    if not path.exists():
        raise RepositoryError(f"{path} does not exist")
    folder = path if path.is_dir() else path.parent
    try:
        if run_git(folder, "rev-parse", "--is-bare-repository").strip() == b"true":
            raise RepositoryError(f"{path} is a bare repository; greendiff needs a work tree: clone it first")
        top = run_git(folder, "rev-parse", "--show-toplevel")
        own = run_git(folder, "rev-parse", "--absolute-git-dir")
    except GitFailed as error:
        raise _explain(error, path) from error
    found = Path(os.fsdecode(top.removesuffix(b"\n")))
    # A repository's own settings (core.worktree) can name any folder as its work tree, a person's HOME for one.
    if not _is_git_folder(found, Path(os.fsdecode(own.removesuffix(b"\n")))):
        raise RepositoryError(
            f"the repository of {path} says that its files are in {found}, which is not where it lies; greendiff reads "
            "only a work tree with its own .git: git config --unset core.worktree, or clone it again"
        )
    return found


def _is_git_folder(top: Path, own: Path) -> bool:
    """Whether a work tree's own `.git`, a folder or a file that names one, is the repository `own`."""
    try:
        return (top / ".git").exists() and Path(
            os.fsdecode(run_git(top, "rev-parse", "--absolute-git-dir").removesuffix(b"\n"))
        ).samefile(own)
    except (GitFailed, OSError):
        return False


def _commit_entries(repository: Path, commit: str) -> dict[str, tuple[str, str]]:
    """Path → (mode, object name) of a commit's tree."""
    listing = run_git(repository, "ls-tree", "-r", "-z", "--full-tree", commit)
    entries = {}
    for record in filter(None, listing.split(b"\0")):
        head, path = record.split(b"\t", 1)
        mode, _, name = head.decode().split(" ")
        entries[decode_name(path)] = (mode, name)
    return entries


def snapshot_commit(repository: Path, commit: str) -> Tree:
    """Return a commit's tree, without submodules.

    Raises:
        RepositoryError: no such commit, or its contents are not there.

    """
    try:
        entries = {p: e for p, e in _commit_entries(repository, commit).items() if e[0] != SUBMODULE}
        blobs = blobs_of(repository, (name for _, name in entries.values()))
    except GitFailed as error:
        raise RepositoryError(f"commit {commit} is not in {repository}; fetch it first (git fetch)") from error
    return Tree({path: as_entry(mode, blobs[name]) for path, (mode, name) in entries.items()})


class _Disk:
    """Reads files beneath a folder without following links."""

    def __init__(self, top: Path) -> None:
        self._top = os.fsencode(top)
        self._folders: dict[bytes, bool] = {b"": True}
        self.total = 0

    def _real_folder(self, folder: bytes) -> bool:
        known = self._folders.get(folder)
        if known is None:
            known = self._real_folder(os.path.dirname(folder)) and self._is_folder(folder)  # noqa: PTH120 - bytes
            self._folders[folder] = known
        return known

    def _is_folder(self, folder: bytes) -> bool:
        try:
            return stat.S_ISDIR(os.lstat(self._top + b"/" + folder).st_mode)
        except OSError:
            return False

    def read(self, path: str) -> Entry | None:
        """Return the entry, or None where there is no regular file or link beneath the top."""
        raw = path.encode("utf-8", "surrogateescape")
        if not self._real_folder(os.path.dirname(raw)):  # noqa: PTH120 - bytes
            return None
        full = self._top + b"/" + raw
        try:
            status = os.lstat(full)
            if stat.S_ISLNK(status.st_mode):
                return Entry(os.readlink(full), kind="symlink")  # noqa: PTH115 - bytes
            if not stat.S_ISREG(status.st_mode):
                return None
            self._account(status.st_size)
            descriptor = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise RepositoryError(f"{path} cannot be read: {error.strerror}") from error
        with os.fdopen(descriptor, "rb") as file:
            return Entry(file.read(), executable=bool(status.st_mode & stat.S_IXUSR))

    def _account(self, size: int) -> None:
        self.total += size
        if self.total > MAX_TREE_BYTES:
            raise RepositoryError(
                f"the repository's files are larger than {MAX_TREE_BYTES >> 20} MiB together; "
                "greendiff copies them into its sandbox: ignore or remove what its tests do not need"
            )


def _some(paths: Iterable[str]) -> str:
    """Name the first few paths, as any terminal can show them."""
    shown = sorted(path.encode("utf-8", "backslashreplace").decode() for path in paths)
    return ", ".join(shown[:3]) + (f" and {len(shown) - 3} more" if len(shown) > 3 else "")


def _filtered(repository: Path, paths: Iterable[str]) -> set[str]:
    """Paths whose contents pass through a filter program (Git LFS and the like); nothing is run."""
    stdin = b"".join(p.encode("utf-8", "surrogateescape") + b"\0" for p in paths)
    fields = run_git(repository, "check-attr", "-z", "--stdin", "filter", stdin=stdin).split(b"\0") if stdin else []
    return {
        decode_name(p)
        for p, value in zip(fields[0::3], fields[2::3], strict=False)
        if value not in {b"unspecified", b"unset"}
    }


def snapshot(path: Path) -> Snapshot:
    """Read the repository that `path` lies in, uncommitted changes included; changes nothing.

    Line endings that Git would normalise (`core.autocrlf`) are taken in their committed form.

    Raises:
        RepositoryError: no repository, a bare one, no commit yet, unreadable, or too large.

    """
    repository = find_repository(path)
    try:
        commit = run_git(repository, "rev-parse", "--verify", "HEAD^{commit}").decode().strip()
    except GitFailed as error:
        raise RepositoryError(
            f"{repository} has no commit yet; commit your files first (git add . && git commit)"
        ) from error
    try:
        return _snapshot(repository, commit)
    except GitFailed as error:
        raise _explain(error, repository) from error


def _snapshot(repository: Path, commit: str) -> Snapshot:
    committed = _commit_entries(repository, commit)
    submodules = {path for path, (mode, _) in committed.items() if mode == SUBMODULE}
    index = run_git(repository, "ls-files", "-s", "-z").split(b"\0")
    tracked = {
        decode_name(record.split(b"\t", 1)[1]) for record in index if record and not record.startswith(b"160000")
    }
    untracked = run_git(repository, "ls-files", "-o", "-z", "--exclude-standard").split(b"\0")
    # A nested repository is listed as a folder, with a slash at its end.
    new = {decode_name(p) for p in untracked if p and not p.endswith(b"/")}
    disk = _Disk(repository)
    entries: dict[str, Entry] = {}
    refused = []
    for name in sorted((tracked | new) - submodules):
        try:
            entry = disk.read(checked_path(name))
        except UnsafePath:
            refused.append(name)
            continue
        if entry is not None:
            entries[name] = entry
    differing = [p for p in committed.keys() - submodules
                 if p not in entries or _differs(entries[p], *committed[p])]  # fmt: skip
    blobs = blobs_of(repository, (committed[p][1] for p in differing))
    before = {path: as_entry(committed[path][0], blobs[committed[path][1]]) for path in differing}
    filtered = _filtered(repository, differing)
    for name, entry in before.items():
        if name in entries and (name in filtered or _same_but_line_ends(entries[name], entry)):
            entries[name] = entry
    before = {p: e for p, e in before.items() if entries.get(p) != e}
    changed = sorted(before.keys() | (entries.keys() - committed.keys()))
    uncommitted = diff(Tree(before), Tree({p: entries[p] for p in changed if p in entries})) if changed else b""
    notes = []
    if submodules:
        notes.append(f"submodules are left out: {', '.join(sorted(submodules))}")
    if filtered:
        notes.append(f"left as committed, as a content filter such as Git LFS keeps them: {_some(filtered)}")
    if refused:
        notes.append(f"left out, as their names are not safe: {_some(refused)}")
    return Snapshot(repository, commit, Tree(entries), uncommitted, tuple(changed), tuple(notes))


def _differs(entry: Entry, mode: str, name: str) -> bool:
    kind = "symlink" if mode == SYMLINK else "file"
    executable = mode == "100755"
    return (entry.kind, entry.executable) != (kind, executable) or object_name(entry, len(name)) != name


def _same_but_line_ends(disk: Entry, committed: Entry) -> bool:
    if disk.kind != committed.kind or disk.executable != committed.executable or b"\r\n" in committed.data:
        return False
    return disk.data.replace(b"\r\n", b"\n") == committed.data


def recency(repository: Path, commits: int = 200) -> dict[str, float]:
    """Return path → weight in (0, 1], halved for every 30 days since its last change; {} if unreadable."""
    try:
        log = run_git(repository, "log", f"-n{commits}", "--name-only", "-z", "--no-renames", "--format=%x01%ct")
    except GitFailed:
        return {}
    weights: dict[str, float] = {}
    now = time.time()
    for block in log.split(b"\x01")[1:]:
        stamp, _, rest = block.partition(b"\0")
        stamp, _, first = stamp.partition(b"\n")
        age = max(0.0, now - int(stamp or b"0")) / 86400
        for raw in filter(None, [first, *rest.split(b"\0")]):
            weights.setdefault(decode_name(raw.strip(b"\n")), math.pow(0.5, age / 30))
    return {path: max(weight, 1e-6) for path, weight in weights.items() if path}


def git_version() -> str:
    """Return the version of the Git program; "" where there is none."""
    try:
        return subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    except (OSError, subprocess.CalledProcessError):
        return ""
