"""How long the index takes on CPython's standard library with its tests, and how much memory, beside aider's map.

The sources are those of the interpreter that runs this. Each figure comes from a process of its own, held to two
processors; its memory is the peak of the process and of the children that read files for it, added together.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.agents.aider_map import ask, install_aider

COLD_SECONDS = 20.0
CHANGED_SECONDS = 0.5
MEGABYTES = 600.0
LEAST_LINES = 400_000
"""Fewer, and the interpreter came without its tests: that measures something else."""
_SKIPPED = frozenset({"site-packages", "__pycache__"})


def standard_library() -> Path:
    """Return the folder that the interpreter imports its own modules from."""
    return Path(os.__file__).resolve().parent


def copy(target: Path) -> list[str]:
    """Copy the library's sources and return their paths, sorted."""
    source = standard_library()
    found: list[str] = []
    for path in sorted(source.rglob("*.py")):
        relative = path.relative_to(source)
        if _SKIPPED.isdisjoint(relative.parts) and path.is_file():
            place = target / relative
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
            found.append(relative.as_posix())
    return found


def _tree(folder: Path, paths: Sequence[str]) -> Any:
    from sandbox.tree import Entry, Tree

    return Tree({path: Entry((folder / path).read_bytes()) for path in paths})


def child(folder: Path, cache: Path) -> dict[str, Any]:
    """Index the library, then once more with one file changed, then unchanged; return seconds and what there is."""
    from agents.context.index import Index

    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.py"))
    tree = _tree(folder, paths)
    begun = time.monotonic()
    index = Index.build(tree, cache=cache)
    cold, cpu = time.monotonic() - begun, _cpu_seconds()
    stats = index.stats()
    changed = []
    for path in ("argparse.py", "json/decoder.py", "test/test_argparse.py"):
        entry = tree[path]
        tree = tree.replaced({path: type(entry)(entry.data + b"\n\ndef added_by_the_benchmark():\n    return 1\n")})
        begun = time.monotonic()
        index = Index.build(tree, cache=cache)
        found = index.symbols("added_by_the_benchmark")
        changed.append(time.monotonic() - begun)
        if path not in {symbol.path for symbol in found}:
            raise RuntimeError(f"the index does not know what was added to {path}")
    begun = time.monotonic()
    Index.build(tree, cache=cache)
    again = time.monotonic() - begun
    begun = time.monotonic()
    outline = index.outline(1024)
    outlined = time.monotonic() - begun
    return {
        "cold": cold, "cold_cpu": cpu, "files": stats.files, "lines": stats.lines, "symbols": stats.symbols,
        "changed": changed, "again": again, "outline": outlined, "outline_characters": len(outline),
        "disk_megabytes": stats.bytes_on_disk / 1e6,
    }  # fmt: skip


def _cpu_seconds() -> float:
    """Return the processor time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


class Watched:
    """A process, with the largest memory that it and its children had at one time."""

    def __init__(self, argv: Sequence[str]) -> None:
        """Start it."""
        self.peak = 0.0
        self._process = subprocess.Popen(list(argv), stdout=subprocess.PIPE, text=True)
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def result(self) -> dict[str, Any]:
        """Wait for the end and return what it printed last.

        Raises:
            RuntimeError: it failed.

        """
        out, _ = self._process.communicate(timeout=1800)
        self._watcher.join()
        if self._process.returncode:
            raise RuntimeError("indexing the standard library failed")
        answer: dict[str, Any] = json.loads(out.splitlines()[-1])
        return {**answer, "megabytes": self.peak}

    def _watch(self) -> None:
        while self._process.poll() is None:
            self.peak = max(self.peak, _megabytes(self._process.pid))
            time.sleep(0.05)


def _megabytes(pid: int) -> float:
    """Return the resident memory of a process and its descendants; what they share counts for each."""
    total = 0.0
    try:
        status = Path(f"/proc/{pid}/statm").read_text(encoding="ascii")
        total += int(status.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += sum(_megabytes(int(one)) for one in (task / "children").read_text(encoding="ascii").split())
    except (OSError, ValueError, IndexError):
        pass
    return total


def aider_figures(folder: Path, paths: Sequence[str]) -> dict[str, float] | None:
    """Return the seconds of aider's map: first, and with one file changed, by a process that has its cache."""
    python = install_aider()
    if python is None:
        return None
    order = {"folder": str(folder), "files": list(paths), "text": "", "map": True}
    first = ask(python, order, timeout=1800)
    with (folder / "argparse.py").open("a", encoding="utf-8") as file:
        file.write("\n\ndef added_by_the_benchmark():\n    return 1\n")
    second = ask(python, order, timeout=1800)
    if first is None or second is None:
        return None
    return {"cold": first["seconds"], "cold_cpu": first["cpu_seconds"], "changed": second["seconds"],
            "megabytes": max(first["megabytes"], second["megabytes"])}  # fmt: skip


def falls_short(ours: dict[str, Any], aider: dict[str, float] | None) -> list[str]:
    """Return what falls short of issue 3's figures, as sentences."""
    short = []
    if ours["lines"] < LEAST_LINES:
        short.append(f"only {ours['lines']:,} lines: this interpreter's library comes without its tests")
    for what, value, most, unit in (
        ("cold", ours["cold"], COLD_SECONDS, "s"), ("a changed file", max(ours["changed"]), CHANGED_SECONDS, "s"),
        ("memory", ours["megabytes"], MEGABYTES, "MB"),
    ):  # fmt: skip
        if value > most:
            short.append(f"{what}: {value:.2f} {unit}, at most {most:g} {unit} wanted")
    if aider is None:
        short.append("aider's map was not measured")
    return short


def _row(name: str, values: Mapping[str, float]) -> str:
    return (
        f"{name:12}{values['cold']:>8.1f} s{values['cold_cpu']:>10.1f} s{values['changed']:>12.2f} s"
        f"{values['megabytes']:>9.0f} MB"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; the last line is one JSON object with the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agents.index", description=__doc__)
    parser.add_argument("--no-aider", action="store_true")
    parser.add_argument("--child", nargs=2, metavar=("FOLDER", "CACHE"), type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        print(json.dumps(child(*options.child)))
        return 0
    load = os.getloadavg()[0]
    # What is started takes this over.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    with tempfile.TemporaryDirectory(prefix="greendiff-index-") as scratch:
        library, cache = Path(scratch, "library"), Path(scratch, "cache")
        paths = copy(library)
        argv = [sys.executable, "-m", "benchmarks.agents.index", "--child", str(library), str(cache)]
        ours = Watched(argv).result()
        aider = None if options.no_aider else aider_figures(library, paths)
    changed = max(ours["changed"])
    print(f"{ours['files']:,} files, {ours['lines']:,} lines, {ours['symbols']:,} symbols of Python "
          f"{sys.version.split()[0]}; load {load:.1f} at the beginning\n")  # fmt: skip
    print(f"{'':12}{'cold':>10}{'its CPU':>12}{'one changed':>14}{'memory':>12}")
    print(_row("index", {**ours, "changed": changed}))
    if aider is not None:
        print(_row("aider map", aider))
    print(f"unchanged {ours['again']:.2f} s, on disk {ours['disk_megabytes']:.0f} MB, outline {ours['outline']:.2f} s")
    short = falls_short(ours, aider)
    print(json.dumps({
        "benchmark": "index", "load": load, "index": ours, "aider": aider, "holds": not short, "short": short,
    }))  # fmt: skip
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
