"""Fit the table of priors to bugs whose repair is known: the table of pairs, and the tune split of the corpus.

A conditional logit: the chance of the right candidate among all of its program is exp(prior of its rule + its own
score) over the sum of that for all candidates; the likelihood is maximised with a penalty on leaving the table.
"""

from __future__ import annotations

import argparse
import math
import pickle
import re
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from agents.repair.generate import generate
from agents.repair.priors import UNKNOWN, default_priors
from benchmarks.corpus_loader import load
from tests.repair.pairs_table import PAIRS, Pair
from tests.repair.rank_pairs import right_ones, uniform


@dataclass(frozen=True, slots=True)
class Observation:
    """One program: the summed weights of each rule's candidates, and the right one."""

    name: str
    masses: dict[str, float]
    rule: str
    score: float
    rank: int


def corpus_pairs() -> Iterator[Pair]:
    """Give the tune split's bugs as pairs."""
    for bug in load(split="tune"):
        yield Pair(bug.id, bug.reference, bug.reference, bug.broken)


def observe(pair: Pair, limit: int) -> Observation | None:
    """Return what the pair teaches, None where the right candidate is not among the first `limit`."""
    tree, suspects = uniform(pair)
    priors = default_priors()
    candidates = list(islice(generate(tree, suspects), limit))
    hit = next(right_ones(pair, candidates), None)
    if hit is None:
        return None
    masses: dict[str, float] = defaultdict(float)
    for candidate in candidates:
        rule = candidate.origin.partition(":")[2]
        masses[rule] += math.exp(candidate.prior - priors.get(rule, UNKNOWN))
    rank, right = hit
    rule = right.origin.partition(":")[2]
    return Observation(pair.name, dict(masses), rule, right.prior - priors.get(rule, UNKNOWN), rank)


def fit(observations: list[Observation], penalty: float, rounds: int) -> dict[str, float]:
    """Return the priors that make the right candidates likeliest, by gradient ascent."""
    start = default_priors()
    priors = dict(start)
    for _ in range(rounds):
        gradient: dict[str, float] = defaultdict(float)
        for seen in observations:
            weights = {rule: math.exp(priors.get(rule, UNKNOWN)) * mass for rule, mass in seen.masses.items()}
            total = sum(weights.values())
            gradient[seen.rule] += 1.0
            for rule, weight in weights.items():
                gradient[rule] -= weight / total
        for rule in start:
            gradient[rule] -= penalty * (priors[rule] - start[rule])
            priors[rule] += 0.5 * gradient[rule] / (penalty + 4.0)
    return priors


def write(priors: dict[str, float], path: Path) -> None:
    """Write the fitted numbers into the table, its comments and order kept."""
    family = ""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        head = re.fullmatch(r"\[(\w+)\]", line)
        entry = re.fullmatch(r"(\w+) = -?[\d.]+", line)
        if head:
            family = head.group(1)
        if entry:
            line = f"{entry.group(1)} = {priors[f'{family}.{entry.group(1)}']:.2f}"
        lines.append(line)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Fit and report; with --write also change the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="the priors.toml to change")
    parser.add_argument("--penalty", type=float, default=3.0)
    parser.add_argument("--limit", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--corpus", action="store_true", help="also use the corpus's tune split")
    parser.add_argument("--cache", type=Path, help="keep what was observed here, to fit again at once")
    options = parser.parse_args()
    pairs = [*PAIRS, *(corpus_pairs() if options.corpus else ())]
    if options.cache and options.cache.exists():
        seen = pickle.loads(options.cache.read_bytes())  # noqa: S301 - this program wrote it
    else:
        with ProcessPoolExecutor(2) as pool:
            results = pool.map(observe, pairs, [options.limit] * len(pairs), chunksize=4)
            seen = list(zip([p.name for p in pairs], results, strict=True))
        if options.cache:
            options.cache.write_bytes(pickle.dumps(seen))
    found = [o for _, o in seen if o is not None]
    print(f"{len(seen)} programs, {len(found)} with the right candidate")
    print("not found:", ", ".join(name for name, o in seen if o is None))
    print("ranks:", [sum(o.rank <= n for o in found) for n in (10, 50, 100, 200, 500, 1000, 1500)])
    priors = fit(found, options.penalty, options.rounds)
    before = default_priors()
    for rule in sorted(priors, key=lambda r: before[r] - priors[r]):
        hits = sum(o.rule == rule for o in found)
        print(f"{rule:24} {before[rule]:6.2f} -> {priors[rule]:6.2f}  {hits} right")
    if options.write:
        write(priors, options.write)


if __name__ == "__main__":
    main()
