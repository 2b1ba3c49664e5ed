"""The main job on the corpus: how many first patches are correct, how many are wrong, and how long it takes."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import latency
from benchmarks.corpus_loader import Bug, load, materialise, run_tests
from benchmarks.engines import Engine, open_engine
from benchmarks.oracle import judge
from benchmarks.report import (
    HEADER,
    Row,
    as_json,
    by,
    compare,
    figures,
    line,
    read_rows,
    state,
    table,
    write_rows,
)

RESULTS = Path(__file__).parent / "results"
LEAST_CORRECT, MOST_WRONG = 0.65, 0.08
LEAST_CANDIDATES_PER_SECOND = 150.0
MOST_FIRST_CANDIDATE_SECONDS = 3.0
MOST_HELP_RATIO = 0.3


def sample(bugs: Sequence[Bug], limit: int | None) -> list[Bug]:
    """Return that many bugs, always the same ones, spread over the corpus; all where there is no limit."""
    if limit is None:
        return list(bugs)
    spread = sorted(bugs, key=lambda bug: hashlib.sha256(bug.id.encode()).digest())
    chosen = {bug.id for bug in spread[:limit]}
    return [bug for bug in bugs if bug.id in chosen]


def passes_all(bug: Bug, text: str) -> bool:
    """Whether all the bug's tests pass, in a plain run, with that text of the module."""
    with tempfile.TemporaryDirectory(prefix="greendiff-bench-") as name:
        materialise(bug, Path(name), git=False)
        Path(name, bug.path).write_text(text, encoding="utf-8")
        counts = run_tests(Path(name))
    return counts.passed > 0 and counts.bad == 0


def one(engine: Engine, bug: Bug, budget: float) -> Row:
    """Have one bug repaired and judge the first patch."""
    try:
        attempt = engine.attempt(bug, budget)
    except Exception:  # noqa: BLE001 - one broken attempt is a result, not the end of the benchmark
        attempt = None
        error = traceback.format_exc(limit=-3)
    if attempt is None:
        return Row(
            id=bug.id, split=bug.split, kind=bug.kind, origin=bug.origin, edits=bug.edits, patched=False,
            tests_pass=False, correct=False, seconds=0.0, tried=0, search_seconds=0.0, error=error,
        )  # fmt: skip
    patched = attempt.text is not None
    verdict = judge(bug, attempt.text) if attempt.text is not None else None
    correct = verdict is not None and verdict.correct
    rank = 0 if correct else None
    if not correct:
        rank = next((n for n, text in enumerate(attempt.others, 1) if judge(bug, text).correct), None)
    return Row(
        id=bug.id, split=bug.split, kind=bug.kind, origin=bug.origin, edits=bug.edits, patched=patched,
        tests_pass=attempt.text is not None and passes_all(bug, attempt.text), correct=correct,
        seconds=round(attempt.seconds, 3), tried=attempt.tried, search_seconds=round(attempt.search_seconds, 3),
        first_trial_seconds=attempt.first_trial_seconds, stopped=attempt.stopped, error=attempt.error,
        reason=verdict.reason if verdict else "", origin_of_patch=attempt.origin, right_rank=rank,
        right_generated=attempt.right_generated, patch=attempt.patch,
    )  # fmt: skip


def run(
    engine: Engine, bugs: Sequence[Bug], budget: float, jobs: int, output: Path, *, show_holdout: bool
) -> list[Row]:
    """Repair the bugs, saying how each went; what became of hold-out bugs is not told."""
    rows: list[Row] = []
    begun = time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        for row in pool.map(lambda bug: one(engine, bug, budget), bugs):
            rows.append(row)
            write_rows(output, rows)  # an interrupted run keeps what it has
            told = row.split == "tune" or show_holdout
            word = f"{row.id:45} {state(row):8} {row.seconds:5.1f} s {row.tried:6}" if told else "a hold-out bug"
            minutes = (time.monotonic() - begun) / 60
            print(f"[{len(rows)}/{len(bugs)} {minutes:.0f} min] {word} {row.error[-200:] if told else ''}", flush=True)
    return rows


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether what was promised holds."""

    holds: bool
    short: tuple[str, ...]


def against_promise(rows: Sequence[Row], extra: latency.Latencies | None, *, whole: bool) -> Verdict:
    """Compare with issue 2's figures; what was not measured is said as falling short."""
    short: list[str] = []
    held = [row for row in rows if row.split == "holdout"]
    if not held:
        short.append("the hold-out was not run")
    else:
        some = figures(held)
        if some.correct < LEAST_CORRECT:
            short.append(f"{some.correct:.1%} correct first patches on the hold-out, {LEAST_CORRECT:.0%} wanted")
        if some.wrong > MOST_WRONG:
            short.append(f"{some.wrong:.1%} wrong first patches on the hold-out, at most {MOST_WRONG:.0%} wanted")
    if not whole:
        short.append("only a part of the corpus was run, or not by the command")
    if extra is None:
        short.append("latencies were not measured")
    else:
        short.extend(extra.short(LEAST_CANDIDATES_PER_SECOND, MOST_FIRST_CANDIDATE_SECONDS, MOST_HELP_RATIO))
    return Verdict(not short, tuple(short))


def show(rows: Sequence[Row], *, show_holdout: bool) -> None:
    """Print the figures of each split, and tables by kind."""
    print("\n" + HEADER)
    for split, some in by(rows, lambda row: row.split).items():
        print(line(split, figures(some)))
    print(line("all", figures(rows)))
    visible = [row for row in rows if row.split == "tune" or show_holdout]
    print("\nby kind of bug, both splits\n" + table(rows, lambda row: row.kind))
    print("\nby number of edits that the defect needs\n" + table(rows, lambda row: str(row.edits)))
    if visible:
        print("\nwrong and missing first patches" + ("" if show_holdout else " of the tune split"))
        for row in visible:
            if not row.correct:
                print(f"  {state(row):6} {row.id} ({row.kind}): {failure(row)}")


def failure(row: Row) -> str:
    """Return why a bug was not repaired, as far as it is known, for whoever tunes the search."""
    if row.error:
        return f"error: {row.error.strip().splitlines()[-1][:200]}"
    words = []
    if row.right_rank:
        words.append(f"the right one was found, as number {row.right_rank + 1}")
    if row.right_generated is not None:
        late = row.right_generated >= row.tried
        words.append(f"the reference is candidate {row.right_generated}" + (", too late" if late else ""))
    if row.patched:
        words.append(f"{row.origin_of_patch}; {row.reason[:160]}")
    return "; ".join(words) or f"nothing passed after {row.tried} candidates ({row.stopped})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the corpus; the last line is one JSON object with the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.main_job", description=__doc__)
    parser.add_argument("--split", choices=("tune", "holdout", "all"), default="all")
    parser.add_argument("--limit", type=int, metavar="N", help="only N bugs, spread over the corpus")
    parser.add_argument("--jobs", type=int, default=1, help="bugs at the same time")
    parser.add_argument("--budget", type=float, default=10.0, help="seconds for each bug")
    parser.add_argument("--sandbox", choices=("auto", "docker", "bubblewrap", "local"))
    parser.add_argument("--names", nargs="*", default=(), help="bugs, functions or families")
    parser.add_argument("--engine", choices=("cli", "library"), default="cli")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="say what changed against an earlier run's rows")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where the rows go (default: under results/)")
    parser.add_argument("--show-holdout", action="store_true", help="name hold-out bugs; never to tune on them")
    parser.add_argument("--diagnose", action="store_true", help="library: find the reference among the candidates")
    parser.add_argument("--no-latency", action="store_true", help="leave out first-candidate, throughput and --help")
    options = parser.parse_args(arguments)
    bugs = sample(load(split=options.split, names=options.names), options.limit)
    output = options.output or RESULTS / f"main_job-{options.engine}-{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
    engine = open_engine(options.engine, options.sandbox, look_for_reference=options.diagnose)
    try:
        if bugs:
            engine.warm_up(bugs[0])
        rows = run(engine, bugs, options.budget, options.jobs, output, show_holdout=options.show_holdout)
    finally:
        engine.close()
    show(rows, show_holdout=options.show_holdout)
    if options.compare:
        print("\n" + "\n".join(compare(read_rows(options.compare), rows, show_holdout=options.show_holdout)))
    extra = None
    if not options.no_latency:
        extra = latency.measure(options.sandbox)
        print("\n" + extra.table())
    whole = options.engine == "cli" and options.limit is None and not options.names
    verdict = against_promise(rows, extra, whole=whole)
    summary: dict[str, Any] = {
        "benchmark": "main_job", "engine": options.engine, "budget": options.budget, "load": os.getloadavg()[2],
        "rows": str(output.name),
        **{split: as_json(figures(some)) for split, some in by(rows, lambda row: row.split).items()},
        "latency": extra.as_json() if extra else None, "holds": verdict.holds, "short": list(verdict.short),
    }  # fmt: skip
    print(json.dumps(summary))
    return 0 if verdict.holds else 1


if __name__ == "__main__":
    sys.exit(main())
