"""`greendiff index`: the repository as agents see it, kept for later runs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from workflows.commands.session import guarded, say
from workflows.runs import cache_folder


def index(arguments: argparse.Namespace, started: float) -> int:  # noqa: ARG001 - every command has this shape
    """Build or refresh the index; with `--stats`, print its figures."""

    def work() -> int:
        from agents.context.index import Index, index_folder
        from sandbox.workspace import snapshot

        tree = snapshot(Path(arguments.path).absolute()).tree
        stats = Index.build(tree, cache=index_folder(cache_folder())).stats()
        for note in stats.notes:
            say(note)
        if not arguments.stats:
            say(f"{stats.files} files are indexed")
            return 0
        print(
            f"files: {stats.files} ({_counts(stats.languages)})\n"
            f"left out: {sum(stats.skipped.values())}"
            + (f" ({_counts(stats.skipped)})" if stats.skipped else "")
            + "\n"
            f"lines: {stats.lines}\nsymbols: {stats.symbols}\npassages: {stats.chunks}\n"
            f"seconds: {stats.seconds:.2f}\nknown before: {stats.cached_share:.0%} of the files\n"
            f"on disk: {stats.bytes_on_disk / 1e6:.1f} MB"
        )
        return 0

    return guarded(work)


def _counts(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(numbers.items(), key=lambda pair: -pair[1])) or "none"
