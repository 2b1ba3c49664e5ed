"""The agents on real bugs with a real local model: tiers 0+1 beside tier 0, one single shot and mini-swe-agent.

All are given the same bugs with the same tests, and the same model where they ask one; one meter counts their tokens.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agents.models.fetching import QWEN_CODER, fetched
from agents.models.local import LocalServer
from benchmarks.agents.cases import Case, corpus, sdist
from benchmarks.agents.conditions import Outcome, greendiff, peer, single_shot
from benchmarks.agents.meter import Meter

RESULTS = Path(__file__).parent.parent / "results"
BESIDE = Path.home() / ".cache" / "local-model" / f"{QWEN_CODER.name}.gguf"
LEAST_TIMES_SINGLE_SHOT = 1.5
LEAST_PEER_CASES = 10
CONDITIONS = ("single-shot", "tier-0", "tiers-0+1", "mini-swe-agent")


@dataclass(frozen=True, slots=True)
class Row:
    """What one condition made of one bug."""

    set: str
    id: str
    condition: str
    resolved: bool
    wrong: bool
    """Whether a repair came out that the tests take and the judge does not."""
    tokens: int
    calls: int
    inexact: int
    seconds: float
    load: float
    """Load average of the last minute when it ended."""
    note: str
    error: str = ""


def one(name: str, run: Callable[[Path], Outcome], case: Case, chosen: str, meter: Meter) -> Row:
    """Have one bug repaired in one way, and judge it."""
    meter.take()
    error, outcome, correct, wrong = "", Outcome(False), False, False
    begun = time.monotonic()
    seconds = 0.0
    with tempfile.TemporaryDirectory(prefix="greendiff-agents-") as scratch:
        folder = Path(scratch, "repository")
        try:
            case.make(folder)
            begun = time.monotonic()
            outcome = run(folder)
            seconds = time.monotonic() - begun
            if outcome.offered:
                verdict = case.judge(folder)
                correct = verdict.correct
                # What greendiff prints has passed its gate; of the others' the same tests keep back what fails them.
                wrong = not correct and (verdict.passed or outcome.note == "verified")
        except Exception as failure:  # noqa: BLE001 - one broken attempt is a result, not the end of the benchmark
            error = f"{type(failure).__name__}: {failure}"[:400]
    spent = meter.take()
    return Row(
        chosen, case.id, name, correct, wrong, spent.tokens, spent.calls, spent.inexact,
        round(seconds or time.monotonic() - begun, 1), round(os.getloadavg()[0], 2), outcome.note, error,
    )  # fmt: skip


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the sums over one condition's rows; tokens per resolved task is None where none was resolved."""
    resolved = sum(row.resolved for row in rows)
    tokens = sum(row.tokens for row in rows)
    return {
        "bugs": len(rows), "resolved": resolved, "wrong": sum(row.wrong for row in rows), "tokens": tokens,
        "tokens_per_resolved": round(tokens / resolved) if resolved else None,
        "median_seconds": sorted(row.seconds for row in rows)[len(rows) // 2] if rows else None,
        "errors": sum(bool(row.error) for row in rows),
    }  # fmt: skip


def falls_short(rows: Mapping[str, Sequence[Row]], *, whole: bool) -> list[str]:
    """Return what falls short of what was promised, as sentences, over the bugs that both conditions were given."""
    short = [] if whole else ["only a part of the set was run"]
    ours, shots = rows.get("tiers-0+1", ()), rows.get("single-shot", ())
    common = {row.id for row in ours} & {row.id for row in shots}
    if not common:
        short.append("tiers 0+1 and the single shot have no bug in common, so they were not compared")
    else:
        mine = figures([row for row in ours if row.id in common])
        other = figures([row for row in shots if row.id in common])
        if mine["resolved"] < LEAST_TIMES_SINGLE_SHOT * other["resolved"] or not mine["resolved"]:
            short.append(f"tiers 0+1 resolve {mine['resolved']}, the single shot {other['resolved']}; 1.5 times wanted")
        dear, cheap = mine["tokens_per_resolved"], other["tokens_per_resolved"]
        if dear is not None and cheap is not None and dear > cheap:
            short.append(f"tiers 0+1 take {dear} tokens for each that they resolve, the single shot {cheap}")
    if len(rows.get("mini-swe-agent", ())) < LEAST_PEER_CASES:
        short.append(f"mini-swe-agent was run on fewer than {LEAST_PEER_CASES} bugs")
    return short


def read(path: Path) -> list[Row]:
    """Return the rows of earlier runs; none where there is no such file."""
    if not path.exists():
        return []
    return [Row(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def model_file(given: Path | None) -> Path:
    """Return the model's file: the given one, greendiff's own, or the one that the tests use."""
    return given or fetched(QWEN_CODER) or BESIDE


def ways(options: argparse.Namespace, meter: Meter, case: Case) -> dict[str, Callable[[Path], Outcome]]:
    """Return how each wanted condition is run on a bug."""
    sandbox = ("--sandbox", options.sandbox) if options.sandbox else ()
    model = f"{meter.model}@{meter.endpoint}"
    known: dict[str, Callable[[Path], Outcome]] = {
        "single-shot": lambda folder: single_shot(case, folder, meter),
        "tier-0": lambda folder: greendiff(case, folder, options.budget_0, *sandbox),
        "tiers-0+1": lambda folder: greendiff(case, folder, options.budget, *sandbox, "--model", model),
        "mini-swe-agent": lambda folder: peer(case, folder, meter, options.peer_seconds),
    }
    return {name: known[name] for name in CONDITIONS if name in options.conditions}


def run(options: argparse.Namespace, cases: Sequence[Case], meter: Meter, output: Path) -> None:
    """Run what is not among the rows yet, bug by bug, until the minutes are over."""
    begun = time.monotonic()
    done = {(row.set, row.id, row.condition) for row in read(output)}
    for number, case in enumerate(cases, 1):
        for name, way in ways(options, meter, case).items():
            if (options.set, case.id, name) in done or (name == "mini-swe-agent" and number > options.peer_limit):
                continue
            if options.minutes is not None and time.monotonic() - begun > options.minutes * 60:
                return
            row = one(name, way, case, options.set, meter)
            with output.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(row)) + "\n")
            told = case.id if options.set == "sdist" or options.split == "tune" else "a hold-out bug"
            state = "resolved" if row.resolved else "wrong" if row.wrong else row.error or row.note
            print(
                f"[{number}/{len(cases)}] {told:40} {name:15} {row.seconds:6.1f} s {row.tokens:6} tokens  {state[:80]}",
                flush=True,
            )


def arguments_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agents.main", description=__doc__)
    parser.add_argument("--set", choices=("corpus", "sdist"), default="corpus")
    parser.add_argument("--split", choices=("tune", "holdout"), default="holdout", help="of the corpus")
    parser.add_argument("--limit", type=int, metavar="N", help="only N bugs, spread over the set")
    parser.add_argument("--names", nargs="*", default=(), help="sdist: tasks, packages or kinds")
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=CONDITIONS)
    parser.add_argument("--budget", type=float, default=120.0, help="seconds for each bug with tiers 0+1")
    parser.add_argument("--budget-0", type=float, default=10.0, help="seconds for each bug with tier 0 alone")
    parser.add_argument("--peer-limit", type=int, default=10, help="bugs that mini-swe-agent is given")
    parser.add_argument("--peer-seconds", type=float, default=180.0, help="longest run of mini-swe-agent")
    parser.add_argument("--sandbox", choices=("auto", "docker", "bubblewrap", "local"))
    parser.add_argument("--minutes", type=float, help="begin nothing new after so many minutes; run again to go on")
    parser.add_argument("--tasks-dir", type=Path, default=Path("../shared/bench"), metavar="FOLDER")
    parser.add_argument("--model-file", type=Path, metavar="GGUF", help="default: the fetched model")
    parser.add_argument("--output", type=Path, metavar="FILE", help="rows, added to (default: results/agents.jsonl)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the conditions; the last line is one JSON object with the figures."""
    options = arguments_of(arguments)
    output = options.output or RESULTS / "agents.jsonl"
    output.parent.mkdir(parents=True, exist_ok=True)
    if options.set == "corpus":
        cases = corpus(options.split, options.limit)
    else:
        cases = sdist(options.tasks_dir.resolve(), options.limit, options.names)
    with LocalServer(model_file(options.model_file), name="local") as server, Meter(server.tier) as meter:
        run(options, cases, meter, output)
    wanted = {case.id for case in cases}
    rows = [row for row in read(output) if row.set == options.set and row.id in wanted]
    by = {name: [row for row in rows if row.condition == name] for name in CONDITIONS}
    table = {name: figures(some) for name, some in by.items() if some}
    print(f"\n{'':16}{'bugs':>6}{'resolved':>10}{'wrong':>7}{'tokens':>9}{'a resolved':>12}{'median':>9}")
    for name, some in table.items():
        each = some["tokens_per_resolved"]
        print(
            f"{name:16}{some['bugs']:>6}{some['resolved']:>10}{some['wrong']:>7}{some['tokens']:>9}"
            f"{'-' if each is None else each:>12}{some['median_seconds']:>7.1f} s"
        )
    whole = options.limit is None and not options.names and all(len(some) == len(cases) for some in by.values() if some)
    short = falls_short(by, whole=whole)
    print(json.dumps({
        "benchmark": "agents", "set": options.set, "split": options.split if options.set == "corpus" else None,
        "budget_0": options.budget_0, "budget": options.budget, "load": os.getloadavg()[2], "rows": output.name,
        **table, "holds": not short, "short": short,
    }))  # fmt: skip
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
