"""A repository's files as a value."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from sandbox.errors import UnsafePath


@dataclass(frozen=True, slots=True)
class Entry:
    """One file: its bytes, or the target of a symbolic link."""

    data: bytes
    kind: Literal["file", "symlink"] = "file"
    executable: bool = False


def checked_path(path: str) -> str:
    """Return `path` if it is a plain relative POSIX path that stays in the tree and out of `.git`.

    Names that are not UTF-8 are kept with surrogate escapes.

    Raises:
        UnsafePath: absolute, empty, with `.`, `..` or NUL, or inside a `.git` folder.

    """
    parts = path.split("/")
    if not path or "\0" in path or any(part in {"", ".", ".."} for part in parts):
        raise UnsafePath(f"{path!r} is not a plain path inside the tree")
    if any(part.lower() == ".git" for part in parts):
        raise UnsafePath(f"{path!r} is inside a .git folder")
    return path


class Tree(Mapping[str, Entry]):
    """Immutable mapping of checked relative paths to entries, in sorted order."""

    __slots__ = ("_digest", "_entries")

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        """Check every path; see `checked_path` for what is refused."""
        self._entries = {checked_path(path): entries[path] for path in sorted(entries)}
        self._digest = ""

    def __getitem__(self, path: str) -> Entry:
        return self._entries[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def digest(self) -> str:
        """SHA-256 over paths, kinds, modes and contents, as hexadecimal."""
        if not self._digest:
            total = hashlib.sha256()
            for path, entry in self._entries.items():
                head = f"{entry.kind} {int(entry.executable)} {len(entry.data)}".encode()
                total.update(b"\0".join((path.encode("utf-8", "surrogateescape"), head, b"")))
                total.update(entry.data)
            self._digest = total.hexdigest()
        return self._digest

    def replaced(self, changes: Mapping[str, Entry | None]) -> Tree:
        """Return a tree with `changes` made; None deletes a path (it need not exist)."""
        entries = {path: entry for path, entry in self._entries.items() if path not in changes}
        entries.update({path: entry for path, entry in changes.items() if entry is not None})
        return Tree(entries)

    def changed_paths(self, other: Tree) -> tuple[str, ...]:
        """Return the sorted paths whose entries differ between the two trees."""
        return tuple(p for p in sorted(set(self) | set(other)) if self.get(p) != other.get(p))
