"""Trees as Git patches, computed in a bare scratch repository that holds nothing but checked contents.

Git over files that strangers wrote can run their programs (file-system monitors, filters, external diffs, hooks),
so every command here and in `sandbox.workspace` is plumbing with those switched off.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sandbox.errors import PatchError, RepositoryError, UnsafePath
from sandbox.owners import owned_folder, remove_folder
from sandbox.tree import Entry, Tree, checked_path

_SAFE = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.quotePath": "false",
    "diff.external": "",
    "protocol.allow": "never",
    "core.untrackedCache": "false",
    "core.autocrlf": "false",
    "core.safecrlf": "false",
    "apply.whitespace": "nowarn",
    "gc.auto": "0",
    # Git would run the program that the repository names (gpg.program) for every signed commit.
    "log.showSignature": "false",
}
SUBMODULE, SYMLINK = "160000", "120000"
_ODD_NAME = re.compile(rb'\\([abfnrtv"\\]|[0-7]{3})')
_ESCAPES = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def _git_environment() -> dict[str, str]:
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "XDG_CONFIG_HOME", "TMPDIR") if key in os.environ}
    pairs = {f"GIT_CONFIG_{part}_{n}": text for n, pair in enumerate(_SAFE.items())
             for part, text in zip(("KEY", "VALUE"), pair, strict=True)}  # fmt: skip
    return {**kept, **pairs, "GIT_CONFIG_COUNT": str(len(_SAFE)), "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1",
            # Above what the repository itself allows (protocol.ext.allow), also where Git knows no GIT_NO_LAZY_FETCH.
            "GIT_ALLOW_PROTOCOL": "none",
            "GIT_TERMINAL_PROMPT": "0", "GIT_NO_REPLACE_OBJECTS": "1", "LC_ALL": "C"}  # fmt: skip


class GitFailed(Exception):
    """A Git command ended with a non-zero exit code; the message is what it said."""


def run_git(folder: Path, *arguments: str, stdin: bytes = b"", index: Path | None = None) -> bytes:
    """Run one Git command with nothing of the caller's `GIT_*` environment and no program of the repository's choice.

    Raises:
        GitFailed: with what Git said.
        RepositoryError: Git is not installed.

    """
    environment = _git_environment()
    if index is not None:
        environment["GIT_INDEX_FILE"] = str(index)
    try:
        done = subprocess.run(
            ["git", *arguments], check=False, cwd=folder, input=stdin, env=environment, capture_output=True
        )
    except FileNotFoundError as error:
        raise RepositoryError("Git is not installed; install the package `git`") from error
    if done.returncode:
        raise GitFailed(done.stderr.decode("utf-8", "replace"))
    return done.stdout


def decode_name(raw: bytes) -> str:
    """Return a path as text; bytes that are not UTF-8 become surrogate escapes."""
    return raw.decode("utf-8", "surrogateescape")


def blobs_of(repository: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Object name → contents."""
    wanted = sorted(set(names))
    if not wanted:
        return {}
    output = run_git(repository, "cat-file", "--batch", stdin="".join(f"{n}\n" for n in wanted).encode())
    found, at = {}, 0
    for name in wanted:
        line = output.index(b"\n", at)
        head = output[at:line].split()
        if head[-1] == b"missing":
            raise RepositoryError(f"object {name} is missing: fetch the repository's contents first (git fetch)")
        size = int(head[2])
        found[name] = output[line + 1 : line + 1 + size]
        at = line + 1 + size + 1
    return found


def as_entry(mode: str, data: bytes) -> Entry:
    """Return the entry for a Git file mode."""
    return Entry(data, kind="symlink") if mode == SYMLINK else Entry(data, executable=mode == "100755")


def object_name(entry: Entry, length: int) -> str:
    """Return the blob's object name: SHA-1 where `length` is 40, SHA-256 where it is 64."""
    algorithm = hashlib.sha256 if length == 64 else hashlib.sha1
    return algorithm(b"blob %d\0" % len(entry.data) + entry.data).hexdigest()


@contextmanager
def _scratch() -> Iterator[Path]:
    """Yield a bare repository that holds nothing and is gone afterwards."""
    # Its name says who owns it, so that a later run removes what a killed one leaves.
    top = owned_folder()
    try:
        (top / "objects").mkdir()
        (top / "refs").mkdir()
        (top / "HEAD").write_text("ref: refs/heads/main\n")
        (top / "config").write_text("[core]\n\tbare = true\n\trepositoryformatversion = 0\n")
        yield top
    finally:
        remove_folder(top)


def _store(scratch: Path, tree: Mapping[str, Entry], index: Path) -> None:
    """Put a tree's contents and an index of it into a scratch repository."""
    names = {}
    folder = scratch / "contents"
    folder.mkdir(exist_ok=True)
    for path, entry in tree.items():
        blob = object_name(entry, 40)
        names[path] = blob
        if not (folder / blob).exists():
            (folder / blob).write_bytes(entry.data)
    listing = "".join(f"{folder / name}\n" for name in sorted(set(names.values()))).encode()
    run_git(scratch, "hash-object", "-w", "--no-filters", "--stdin-paths", stdin=listing)
    modes = {p: SYMLINK if e.kind == "symlink" else "100755" if e.executable else "100644" for p, e in tree.items()}
    records = b"".join(f"{modes[p]} {names[p]}\t".encode() + p.encode("utf-8", "surrogateescape") + b"\0" for p in tree)
    run_git(scratch, "update-index", "-z", "--index-info", stdin=records, index=index)


def diff(before: Tree, after: Tree) -> bytes:
    """Return Git's patch (full index, binary-safe, no renames) from one tree to the other; b"" where they agree."""
    paths = before.changed_paths(after)
    if not paths:
        return b""
    with _scratch() as scratch:
        written = []
        for number, tree in enumerate((before, after)):
            index = scratch / f"index{number}"
            _store(scratch, {p: tree[p] for p in paths if p in tree}, index)
            written.append(run_git(scratch, "write-tree", index=index).decode().strip())
        return run_git(
            scratch, "diff-tree", "-p", "-r", "--binary", "--full-index", "--no-renames", "--no-ext-diff",
            "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/", *written,
        )  # fmt: skip


def _unquoted(raw: bytes) -> str:
    """Undo Git's C-style quoting of a path in a patch header."""
    if raw[:1] == b'"' and raw[-1:] == b'"':
        replace: Callable[[re.Match[bytes]], bytes] = lambda m: (  # noqa: E731 - two lines, used once
            bytes([int(m[1], 8) & 255]) if len(m[1]) == 3 else _ESCAPES.get(m[1], m[1])
        )
        raw = _ODD_NAME.sub(replace, raw[1:-1])
    return decode_name(raw)


def patched_paths(patch: bytes) -> tuple[str, ...]:
    """Return the sorted paths that a patch reads or writes.

    Raises:
        PatchError: not a patch.

    """
    with _scratch() as scratch:
        try:
            listing = run_git(scratch, "apply", "--numstat", "-z", "-", stdin=patch)
        except GitFailed as error:
            raise PatchError(f"not a patch that Git can read: {_first_line(error)}") from error
    written = {decode_name(record.split(b"\t", 2)[2]) for record in listing.split(b"\0") if record.count(b"\t") >= 2}
    sources = re.findall(rb"^(?:rename|copy) from (.+?)\r?$", patch, re.MULTILINE)
    return tuple(sorted({p for p in written | {_unquoted(s) for s in sources} if p}))


def _first_line(error: GitFailed) -> str:
    lines = [line.split("error:")[-1].strip(" '") for line in str(error).splitlines() if "error:" in line]
    return lines[0] if lines else str(error).strip()[:200]


def apply(tree: Tree, patch: bytes) -> Tree:
    """Return the tree with a patch applied exactly (lines may have moved, contexts must match).

    Raises:
        PatchError: it does not apply, or is not a patch; says where.
        UnsafePath: it writes outside the tree or into `.git`.

    """
    if not patch.strip():
        return tree
    paths = patched_paths(patch)
    for path in paths:
        checked_path(path)
    with _scratch() as scratch:
        index = scratch / "index"
        _store(scratch, {p: tree[p] for p in paths if p in tree}, index)
        try:
            run_git(scratch, "apply", "--cached", "-", stdin=patch, index=index)
        except GitFailed as error:
            raise PatchError(f"the patch does not apply: {_first_line(error)}") from error
        records = [r for r in run_git(scratch, "ls-files", "-s", "-z", index=index).split(b"\0") if r]
        found = {decode_name(r.split(b"\t", 1)[1]): r.split(b"\t", 1)[0].decode().split(" ") for r in records}
        if any(fields[0] == SUBMODULE for fields in found.values()):
            raise UnsafePath("the patch adds a submodule")
        blobs = blobs_of(scratch, (fields[1] for fields in found.values()))
    changes: dict[str, Entry | None] = dict.fromkeys(paths)
    changes.update({p: as_entry(fields[0], blobs[fields[1]]) for p, fields in found.items()})
    return tree.replaced(changes)
