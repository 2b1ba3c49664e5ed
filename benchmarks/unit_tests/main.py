"""Tests by `greendiff test`: beside Pynguin's on the same modules with the same judges; steady; on buggy modules.

Everything is kept in the cache and not run again: suites by the state of greendiff's sources, verdicts by suite.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from benchmarks.unit_tests import suspects
from benchmarks.unit_tests.environments import EnvironmentMissing
from benchmarks.unit_tests.generators import SEED, Generator, Suite, greendiff, kept, pynguin, revision
from benchmarks.unit_tests.judge import Judged, judged
from benchmarks.unit_tests.steadiness import VERSIONS_WANTED, Steadiness, runners, steadiness
from benchmarks.unit_tests.subjects import SUBJECTS, Subject, chosen

LEAST_LINES, LEAST_BRANCHES, LEAST_KILLED, LEAST_TIMES_PEER = 0.98, 0.95, 0.70, 1.7
LEAST_SUBJECTS = 12
LEAST_RUNS = 100
SECONDS = 60.0
PARTS = ("modules", "steady", "suspects")


@dataclass(frozen=True, slots=True)
class Row:
    """What one suite is worth; shares are between 0 and 1."""

    tool: str
    subject: str
    tests: int
    failed: int
    """Tests that fail on the module as it is."""
    lines: float
    branches: float
    killed: int
    mutants: int
    seconds: float
    note: str


def row(suite: Suite, result: Judged) -> Row:
    """Sum up one suite; without a suite, nothing is run and nothing killed."""
    coverage = result.coverage
    killed = sum(one.killed for one in result.verdicts)
    if coverage is None:
        return Row(suite.tool, suite.subject, 0, 0, 0.0, 0.0, 0, len(result.verdicts), suite.seconds, suite.note)
    return Row(
        suite.tool, suite.subject, coverage.passed, coverage.failed, _share(coverage.lines_run, coverage.lines),
        _share(coverage.branches_run, coverage.branches), killed, len(result.verdicts), suite.seconds, suite.note,
    )  # fmt: skip


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the means over the modules, each counted alike, and who is without a result."""
    count = max(1, len(rows))
    return {
        "modules": len(rows),
        "without_result": [one.subject for one in rows if not one.tests],
        "tests": sum(one.tests for one in rows),
        "failing_tests": sum(one.failed for one in rows),
        "lines": round(sum(one.lines for one in rows) / count, 4),
        "branches": round(sum(one.branches for one in rows) / count, 4),
        "killed": round(sum(_share(one.killed, one.mutants) for one in rows) / count, 4),
        "median_seconds": sorted(one.seconds for one in rows)[len(rows) // 2] if rows else None,
    }


def falls_short(ours: Sequence[Row], peer: Sequence[Row]) -> list[str]:
    """Return what falls short of issue 4's first point, as sentences."""
    mine, other = figures(ours), figures(peer)
    short = []
    if len(ours) < LEAST_SUBJECTS:
        short.append(f"{len(ours)} modules were run, {LEAST_SUBJECTS} wanted")
    if mine["without_result"]:
        short.append(f"no tests for {', '.join(mine['without_result'])}")
    if mine["failing_tests"]:
        short.append(f"{mine['failing_tests']} of the tests fail on the module that they were written for")
    for name, least in (("lines", LEAST_LINES), ("branches", LEAST_BRANCHES), ("killed", LEAST_KILLED)):
        if mine[name] < least:
            short.append(f"{name}: {mine[name]:.1%}, {least:.0%} wanted")
    common = {one.subject for one in ours} & {one.subject for one in peer}
    if not common:
        short.append("Pynguin was not run beside it")
    elif mine["killed"] < LEAST_TIMES_PEER * other["killed"]:
        short.append(
            f"mutants: {mine['killed']:.1%} beside Pynguin's {other['killed']:.1%}; {LEAST_TIMES_PEER} times wanted"
        )
    return short


def show(rows: Sequence[Row]) -> None:
    """Print the table of modules."""
    print(f"\n{'module':30}{'tool':11}{'tests':>6}{'failing':>8}{'lines':>8}{'branches':>9}{'mutants':>12}{'time':>8}")
    for one in sorted(rows, key=lambda one: (one.subject, one.tool)):
        mutants = f"{one.killed}/{one.mutants}"
        print(
            f"{one.subject:30}{one.tool:11}{one.tests:>6}{one.failed:>8}{one.lines:>8.1%}{one.branches:>9.1%}"
            f"{mutants:>7} {_share(one.killed, one.mutants):>4.0%}{one.seconds:>6.0f} s  {one.note[:60]}"
        )


def key_of(options: argparse.Namespace) -> str:
    """Return under which name greendiff's suites are kept."""
    return options.key or f"greendiff-{revision()}"


def command_options(options: argparse.Namespace) -> tuple[str, ...]:
    """Return what `greendiff test` is told beside the module."""
    return ("--sandbox", options.sandbox) if options.sandbox else ()


def suites(subject: Subject, options: argparse.Namespace) -> list[Suite]:
    """Return the suites of the wanted tools for a module, from the cache where they are there."""
    found = []
    if "pynguin" in options.tools:
        found.append(kept(f"pynguin-{SEED}", pynguin, subject, options.seconds))
    if "greendiff" in options.tools:
        ours: Generator = partial(greendiff, options=command_options(options))
        found.append(kept(key_of(options), ours, subject, options.seconds))
    return found


def modules(options: argparse.Namespace) -> dict[str, Any]:
    """Generate and judge the suites of all modules."""
    rows: list[Row] = []
    for subject in chosen(options.names, options.limit):
        for suite in suites(subject, options):
            result = judged(subject, suite, options.mutants)
            rows.append(row(suite, result))
            one = rows[-1]
            print(
                f"{one.subject:30}{one.tool:11}{one.tests:4} tests  lines {one.lines:.1%}  "
                f"branches {one.branches:.1%}  mutants {one.killed}/{one.mutants}  {one.note[:80]}", flush=True,
            )  # fmt: skip
            if options.details and result.coverage:
                details(result)
    show(rows)
    by = {tool: [one for one in rows if one.tool == tool] for tool in ("greendiff", "pynguin")}
    return {
        "rows": [asdict(one) for one in rows], **{tool: figures(some) for tool, some in by.items() if some},
        "short": falls_short(by["greendiff"], by["pynguin"]),
    }  # fmt: skip


def details(result: Judged) -> None:
    """Print what a suite does not reach, and which mutants survive it."""
    assert result.coverage is not None
    print(f"  not run: lines {result.coverage.missing}")
    print(f"  not taken: branches {result.coverage.missing_branches}")
    for one in sorted(result.verdicts, key=lambda one: one.line):
        if not one.killed:
            print(f"  survives: line {one.line}, {one.tool} {one.operator}, {one.how}")


def steady(options: argparse.Namespace) -> dict[str, Any]:
    """Run the suites of all modules many times."""
    pythons = runners()
    found: list[Steadiness] = []
    for subject in chosen(options.names, options.limit):
        for suite in suites(subject, options):
            if suite.files:
                one = steadiness(subject, suite, options.runs, pythons)
                found.append(one)
                print(
                    f"{one.subject:30}{one.tool:11}{one.tests:4} tests in {sum(one.runs.values())} runs: "
                    f"{len(one.flaky)} flaky, {len(one.failing)} always failing, {len(one.by_version)} by version, "
                    f"{one.unfinished} runs without end {one.flaky[:3]}", flush=True,
                )  # fmt: skip
    by = {tool: [one for one in found if one.tool == tool] for tool in ("greendiff", "pynguin")}
    return {
        "steady": {
            tool: {
                "suites": len(some), "tests": sum(one.tests for one in some), "runs": options.runs,
                "pythons": sorted(pythons), "flaky": sum(len(one.flaky) for one in some),
                "by_version": sum(len(one.by_version) for one in some),
                "unfinished": sum(one.unfinished for one in some),
            }
            for tool, some in by.items() if some
        },
        "short": unsteady(by["greendiff"], options.runs, len(pythons)),
    }  # fmt: skip


def unsteady(found: Sequence[Steadiness], runs: int, pythons: int) -> list[str]:
    """Return what falls short of issue 4's second point, as sentences."""
    short = [] if found else ["steadiness: no suite was run"]
    short += [f"{one.subject}: {len(one.flaky)} of {one.tests} tests are flaky" for one in found if one.flaky]
    short += [f"{one.subject}: {one.unfinished} runs without end" for one in found if one.unfinished]
    if runs < LEAST_RUNS:
        short.append(f"steadiness: {runs} runs of each suite, {LEAST_RUNS} wanted")
    if pythons < VERSIONS_WANTED:
        short.append("steadiness: only one Python version was found")
    return short


def suspected(options: argparse.Namespace) -> dict[str, Any]:
    """Have tests written for buggy modules of the corpus."""
    found = suspects.run(
        options.split, options.bugs, options.bug_names, key_of(options), options.bug_seconds, command_options(options)
    )
    short = suspects.falls_short(found)
    if options.bugs is not None or options.bug_names:
        short.append(f"suspected bugs: a sample of {len(found)} bugs")
    return {
        "suspects": {"split": options.split, "seconds": options.bug_seconds, **suspects.figures(found)},
        "short": short,
    }


def arguments_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.unit_tests.main", description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--names", nargs="*", default=(), help="modules or packages; `own` for our own modules")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N modules")
    parser.add_argument("--tools", nargs="+", choices=("greendiff", "pynguin"), default=("greendiff", "pynguin"))
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each tool and module")
    parser.add_argument("--mutants", type=int, default=60, metavar="N", help="sample of each module's mutants")
    parser.add_argument("--sandbox", choices=("auto", "docker", "bubblewrap", "local"))
    parser.add_argument("--key", help="name under which greendiff's suites are kept (default: by its sources)")
    parser.add_argument("--runs", type=int, default=100, help="of each suite, to see whether it is steady")
    parser.add_argument("--split", choices=("tune", "holdout"), default="holdout", help="of the corpus of bugs")
    parser.add_argument("--bugs", type=int, default=60, metavar="N", help="sample of the corpus; 0 for all")
    parser.add_argument("--bug-names", nargs="*", default=(), help="families, functions or bugs of the corpus")
    parser.add_argument("--bug-seconds", type=float, default=20.0, help="for each buggy module")
    parser.add_argument("--details", action="store_true", help="print what is not reached and which mutants survive")
    options = parser.parse_args(arguments)
    options.bugs = options.bugs or None
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the last line is one JSON object with the figures."""
    options = arguments_of(arguments)
    found: dict[str, Any] = {}
    short: list[str] = []
    for part, way in (("modules", modules), ("steady", steady), ("suspects", suspected)):
        if part not in options.parts:
            short.append(f"{part} was not measured")
            continue
        try:
            made = way(options)
        except EnvironmentMissing as error:
            made = {"short": [f"{part}: {error}"]}
        short += made.pop("short")
        found |= made
    if options.names or options.limit is not None or options.seconds != SECONDS or len(options.tools) < 2:
        short.insert(0, f"only a part of the {len(SUBJECTS)} modules was run, or not as the promise says")
    print(json.dumps({
        "benchmark": "unit_tests", "seconds": options.seconds, "sample": options.mutants, "load": os.getloadavg()[2],
        **found, "holds": not short, "short": short,
    }))  # fmt: skip
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
