"""The paths that a repository's commits changed, read with plumbing that runs nothing of the repository's choice."""

from __future__ import annotations

from pathlib import Path

from sandbox.patches import GitFailed, decode_name, run_git

MOST_COMMITS = 2000


def read_history(repository: Path, commits: int = MOST_COMMITS, start: str = "HEAD") -> tuple[tuple[str, ...], ...]:
    """Return the paths that each commit before and at `start` changed, newest first; merges are left out.

    A shallow clone's oldest commit, and a repository's first, count as changing all of their files. Returns () where
    the history cannot be read: it is a hint, not a need.
    """
    try:
        names = run_git(repository, "rev-list", f"--max-count={commits}", "--no-merges", "--end-of-options", start)
        # Unlike `log`, neither command heeds log.showSignature, which runs a program that the repository names.
        listing = run_git(
            repository, "diff-tree", "--stdin", "-r", "-z", "--root", "--name-only", "--no-renames", "--no-ext-diff",
            "--no-textconv", "--ignore-submodules=all", stdin=names,
        )  # fmt: skip
    except GitFailed:
        return ()
    wanted = set(names.split())
    found: list[list[str]] = []
    for field in listing.split(b"\0"):
        # Each commit's name stands before its paths, ended like them.
        if field.strip() in wanted:
            found.append([])
        elif field and found:
            found[-1].append(decode_name(field))
    return tuple(tuple(paths) for paths in found)
