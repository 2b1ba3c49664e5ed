"""Where the localiser looks first on the real bugs: each signal alone, fused, plain BM25, and aider's repository map.

All are given the issue and the failing tests (their names, sources, messages and runs), and once more the issue alone;
all rank the same files: sources that are no tests. Recall is the share of the true places among the first so many;
what a ranking leaves tied counts with the expectation of a random order. The true fix is used for measuring only.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from agents.context.clues import Clue, Place, place_of
from agents.context.index import History, Index
from agents.localiser import SIGNALS, WEIGHTS, LocaliseTask, Weights, clues, eligibility, fuse, localise, said
from benchmarks.agents.aider_map import install_aider, ranked
from benchmarks.agents.bm25 import bm25
from benchmarks.agents.localisation_cases import Case, cases
from benchmarks.sdist import Tasks
from sandbox.backends import BACKENDS

K = TypeVar("K", bound=Hashable)
CUTS = (1, 3, 5)
POINTS_ABOVE_BM25 = 15.0
"""In file recall at 1."""
GRID = tuple(
    Weights(traceback, symbols, search, unrun=unrun, file_run=run, file_sharpness=sharpness)
    for traceback in (0.2, 0.35)
    for symbols in (0.1, 0.35)
    for search in (0.35, 0.5, 0.8)
    for unrun in (0.1, 0.2, 0.4)
    for run, sharpness in ((0.5, 1.0), (0.5, 3.0), (1.0, 1.0), (1.0, 3.0))
)
"""Weights that leave-one-package-out chooses from."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Scores of places, larger is better."""

    files: Mapping[str, float]
    functions: Mapping[Place, float]


@dataclass(frozen=True, slots=True)
class Known:
    """One bug as one condition tells it, with its signals and what is true."""

    package: str
    task: LocaliseTask
    clues: Mapping[str, Clue]
    files: frozenset[str]
    functions: frozenset[Place]


def recall(scores: Mapping[K, float], truth: Collection[K], cut: int) -> float:
    """Return the share of `truth` among the `cut` best, expected over random orders of what is tied."""
    tied: dict[float, list[K]] = defaultdict(list)
    for key, score in scores.items():
        if score > 0:
            tied[score].append(key)
    left, found = cut, 0.0
    for score in sorted(tied, reverse=True):
        true = sum(key in truth for key in tied[score])
        found += true * min(1.0, left / len(tied[score]))
        left -= len(tied[score])
        if left <= 0:
            break
    return found / len(truth)


def known(case: Case, index: Index, *, tests: bool) -> Known:
    """Return what is known of a bug, from its tests too or from its issue alone."""
    report, targets = (case.report, case.targets) if tests else (None, ())
    task = LocaliseTask(index, case.issue, report, targets)
    # Functions that only the fix brings cannot be found.
    existing = {(path, qualified) for path, _, qualified, _, _ in index.all_symbols()}
    existing |= {(path, "<module>") for path in index.paths()}
    return Known(
        case.id.partition("__")[0], task, clues(task), frozenset(case.true_files & set(index.tree)),
        frozenset(case.true_functions & existing),
    )  # fmt: skip


def fused(known: Known, weights: Weights = WEIGHTS) -> Ranking:
    """Return the localiser's own ranking."""
    found = fuse(known.task, known.clues, weights)
    return Ranking({s.path: s.score for s in found.files}, {(s.path, s.function): s.score for s in found.functions})


def plain(known: Known) -> Ranking:
    """Return BM25 over the sources, asked with all that is written of the task."""
    index, eligible = known.task.index, eligibility(known.task)
    documents = {path: "\n".join(index.lines(path)) for path in index.paths() if eligible(path)}
    query = "\n".join([*known.task.targets, *(text for text, _ in said(known.task))])
    return Ranking(bm25(documents, query), {})


def aider(known: Known, python: Path) -> Ranking:
    """Return the order of aider's map, with the failing tests' files in the chat."""
    index, eligible = known.task.index, eligibility(known.task)
    text = "\n".join([*known.task.targets, *(text for text, _ in said(known.task))])
    chat = sorted({target.partition("::")[0] for target in known.task.targets})
    with tempfile.TemporaryDirectory(prefix="greendiff-aider-") as folder:
        for path, entry in index.tree.items():
            if entry.kind == "file":
                place = Path(folder, path)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(entry.data)
        order = ranked(python, Path(folder), index.paths(), text, chat)
    files: dict[str, float] = {}
    functions: dict[Place, float] = {}
    for number, (path, line) in enumerate(order):
        if eligible(path):
            files.setdefault(path, 1.0 / (1 + number))
            if line:
                functions.setdefault(place_of(index, path, line), 1.0 / (1 + number))
    return Ranking(files, functions)


def recalls(rankings: Sequence[Ranking], bugs: Sequence[Known]) -> list[float]:
    """Return mean recall in percent, files at each cut and then functions at each."""
    sums = [0.0] * (2 * len(CUTS))
    for ranking, bug in zip(rankings, bugs, strict=True):
        for place, cut in enumerate(CUTS):
            sums[place] += recall(ranking.files, bug.files, cut)
            sums[place + len(CUTS)] += recall(ranking.functions, bug.functions, cut)
    return [round(100 * total / max(1, len(bugs)), 1) for total in sums]


def left_out(bugs: Sequence[Known]) -> list[float]:
    """Return recall where each package is ranked with the weights that are best on all the others."""
    every = [[fused(bug, weights) for bug in bugs] for weights in GRID]
    scores = [[sum(recalls([ranking], [bug])) for ranking, bug in zip(row, bugs, strict=True)] for row in every]
    chosen: list[Ranking] = []
    best: dict[str, int] = {}
    for package in {bug.package for bug in bugs}:
        sums = [sum(score for score, bug in zip(row, bugs, strict=True) if bug.package != package) for row in scores]
        best[package] = sums.index(max(sums))
    for number, bug in enumerate(bugs):
        chosen.append(every[best[bug.package]][number])
    return recalls(chosen, bugs)


def figures(bugs: Sequence[Known], python: Path | None) -> dict[str, list[float]]:
    """Return each way's recalls."""
    ways: dict[str, Callable[[Known], Ranking]] = {
        name: lambda bug, name=name: Ranking(bug.clues[name].files, bug.clues[name].functions)  # type: ignore[misc]
        for name in SIGNALS
    }
    ways |= {"fused": fused, "bm25": plain}
    if python is not None:
        ways["aider map"] = lambda bug: aider(bug, python)
    found = {name: recalls([way(bug) for bug in bugs], bugs) for name, way in ways.items()}
    return {name: values for name, values in found.items() if any(values)} | {"left out": left_out(bugs)}


def falls_short(table: Mapping[str, Sequence[float]], *, whole: bool) -> list[str]:
    """Return what falls short of issue 3's figures, as sentences."""
    short = [] if whole else ["not all tasks were measured"]
    ours = table["fused"]
    if "aider map" not in table:
        short.append("aider's map was not measured")
    for place, what in enumerate([f"{kind} at {cut}" for kind in ("file", "function") for cut in CUTS]):
        short += [
            f"{what}: {name} finds {values[place]} %, fused {ours[place]} %"
            for name, values in table.items() if name != "left out" and values[place] > ours[place]
        ]  # fmt: skip
    above = ours[0] - table["bm25"][0]
    if above < POINTS_ABOVE_BM25:
        short.append(f"{above:.1f} points above BM25 at 1, {POINTS_ABOVE_BM25:g} wanted")
    return short


def show(title: str, table: Mapping[str, Sequence[float]], ceiling: Sequence[float]) -> None:
    """Print one condition's table."""
    print(f"\n{title:24}" + "".join(f"{f'{kind}@{cut}':>8}" for kind in ("file", "func") for cut in CUTS))
    for name, values in {**table, "(at most)": ceiling}.items():
        half = len(CUTS)
        functions = values[half:] if any(values[half:]) else None
        cells = [f"{value:8.1f}" for value in values[:half]]
        cells += [f"{value:8.1f}" for value in functions] if functions else [f"{'-':>8}"] * half
        print(f"{name:24}" + "".join(cells))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; the last line is one JSON object with the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agents.localisation", description=__doc__)
    parser.add_argument("--tasks-dir", type=Path, default=Path("../shared/bench"), metavar="FOLDER")
    parser.add_argument("--names", nargs="*", default=(), help="tasks, packages or kinds")
    parser.add_argument("--sandbox", choices=("auto", *BACKENDS), default="auto", help="where the tests are run")
    parser.add_argument("--no-aider", action="store_true")
    options = parser.parse_args(arguments)
    tasks = Tasks(options.tasks_dir.resolve())
    wanted = set(options.names)
    names = [n for n, t in tasks.tasks.items() if not wanted or wanted & {n, t["package"], t["kind"]}]
    conditions: dict[str, list[Known]] = {"issue and tests": [], "issue alone": []}
    seconds: list[float] = []
    for case in cases(tasks, names, options.sandbox):
        begun = time.monotonic()
        index = Index.build(case.tree, history=History(case.commits))
        localise(LocaliseTask(index, case.issue, case.report, case.targets))
        seconds.append(time.monotonic() - begun)
        for name, bugs in conditions.items():
            bugs.append(known(case, index, tests=name != "issue alone"))
        print(f"[{len(seconds)}/{len(names)}] {case.id:36} {seconds[-1]:5.1f} s", flush=True)
    python = None if options.no_aider else install_aider()
    tables = {name: figures(bugs, python) for name, bugs in conditions.items()}
    everything = conditions["issue and tests"]
    ideal = [Ranking(dict.fromkeys(b.files, 1.0), dict.fromkeys(b.functions, 1.0)) for b in everything]
    ceiling = recalls(ideal, everything)
    for name, table in tables.items():
        show(name, table, ceiling)
    short = falls_short(tables["issue and tests"], whole=len(names) == len(tasks.tasks))
    print(json.dumps({
        "benchmark": "localisation", "tasks": len(names), "cuts": CUTS, "load": os.getloadavg()[2],
        "median_seconds": round(statistics.median(seconds), 2), "at_most": ceiling, **tables,
        "holds": not short, "short": short,
    }))  # fmt: skip
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
