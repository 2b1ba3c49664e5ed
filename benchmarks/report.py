"""The arithmetic of the benchmarks: what became of each bug, and the figures that follow."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one bug."""

    id: str
    split: str
    kind: str
    origin: str
    edits: int
    patched: bool
    """Whether a patch came out."""
    tests_pass: bool
    """Whether the patched repository passes all its tests in a plain run."""
    correct: bool
    """Whether the oracle sees no difference from the reference."""
    seconds: float
    tried: int
    search_seconds: float
    """Time of the search alone; 0 where none took place."""
    first_trial_seconds: float | None = None
    stopped: str = ""
    error: str = ""
    """What went wrong outside the search."""
    reason: str = ""
    """The first input on which a wrong patch differs from the reference."""
    origin_of_patch: str = ""
    right_rank: int | None = None
    """Place of the first correct one among all that the search found, from 0; only where that was looked at."""
    right_generated: int | None = None
    """Place of the reference's own text among the generated candidates, from 0; only where that was looked at."""
    patch: str = ""

    @property
    def wrong(self) -> bool:
        return self.patched and not self.correct


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value below or at which that share of the values lies (nearest rank); 0 where there are none."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures over some bugs; shares are between 0 and 1, of all bugs."""

    bugs: int
    tests_pass: float
    correct: float
    wrong: float
    none: float
    median_seconds: float
    p90_seconds: float
    candidates_per_second: float
    """All candidates tried over all time spent in searches."""
    errors: int


def figures(rows: Sequence[Row]) -> Figures:
    """Return the figures of some bugs; all zero where there are none."""
    count = max(1, len(rows))
    searching = sum(row.search_seconds for row in rows)
    return Figures(
        bugs=len(rows),
        tests_pass=sum(row.tests_pass for row in rows) / count,
        correct=sum(row.correct for row in rows) / count,
        wrong=sum(row.wrong for row in rows) / count,
        none=sum(not row.patched for row in rows) / count,
        median_seconds=percentile((row.seconds for row in rows), 0.5),
        p90_seconds=percentile((row.seconds for row in rows), 0.9),
        candidates_per_second=sum(row.tried for row in rows) / searching if searching else 0.0,
        errors=sum(bool(row.error) for row in rows),
    )


HEADER = f"{'':30}{'bugs':>6}{'correct':>9}{'wrong':>8}{'none':>8}{'tests':>8}{'median':>9}{'p90':>8}{'cand/s':>8}"


def line(name: str, some: Figures) -> str:
    """Return one line of a table under HEADER."""
    return (
        f"{name[:29]:30}{some.bugs:>6}{some.correct:>9.1%}{some.wrong:>8.1%}{some.none:>8.1%}{some.tests_pass:>8.1%}"
        f"{some.median_seconds:>7.1f} s{some.p90_seconds:>6.1f} s{some.candidates_per_second:>8.0f}"
    )


def by(rows: Iterable[Row], key: Callable[[Row], str]) -> dict[str, list[Row]]:
    """Return the rows by a key, largest group first."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return dict(sorted(groups.items(), key=lambda pair: (-len(pair[1]), pair[0])))


def table(rows: Sequence[Row], key: Callable[[Row], str]) -> str:
    """Return a table with a line for each group."""
    return "\n".join([HEADER, *(line(name, figures(some)) for name, some in by(rows, key).items())])


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write one JSON object a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows), encoding="utf-8")


def read_rows(path: Path) -> dict[str, Row]:
    """Return the rows of an earlier run by bug."""
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [Row(**json.loads(text)) for text in lines]
    return {row.id: row for row in rows}


def state(row: Row) -> str:
    """Return `correct`, `wrong` or `none`."""
    return "correct" if row.correct else "wrong" if row.patched else "none"


def compare(before: Mapping[str, Row], now: Iterable[Row], *, show_holdout: bool) -> list[str]:
    """Return lines that say what changed against an earlier run; hold-out bugs are only counted."""
    lines: list[str] = []
    changes: dict[str, int] = {}
    common = [(before[row.id], row) for row in now if row.id in before]
    for old, new in common:
        change = f"{state(old)} -> {state(new)}"
        if state(old) == state(new):
            continue
        changes[change] = changes.get(change, 0) + 1
        if new.split == "tune" or show_holdout:
            lines.append(f"  {new.id} ({new.kind}): {change}")
    total = ", ".join(f"{change}: {count}" for change, count in sorted(changes.items())) or "no changes"
    return [f"against the earlier run, {len(common)} bugs in common: {total}", *lines]


def as_json(some: Figures) -> dict[str, Any]:
    """Return figures rounded for the last line."""
    return {name: round(value, 4) for name, value in asdict(some).items()}
