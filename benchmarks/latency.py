"""How long until the first candidate is tried, how many are tried a second, and how quickly `--help` answers."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.corpus_loader import Bug, load, materialise
from benchmarks.engines import cache_folder, run_fix

PEER = "mini-swe-agent"
ROUNDS = 15

FAST_MODULE = """\
def score(values, low, high):
    total = 0
    for value in values:
        if value < low:
            total -= 1
        elif value > high:
            total += 2
        else:
            total += value
    return total
"""
FAST_TESTS = """\
from fast import score


def test_inside():
    assert score([1, 2], 0, 9) == 3


def test_cannot_be_met():
    assert score([1, 2, 3], 0, 9) == 6
    assert score([1, 2, 3], 0, 9) == 7
"""


@dataclass(frozen=True, slots=True)
class Latencies:
    """What was measured; None where it could not be."""

    first_candidate_seconds: float | None
    """Median, from the start of the command to the end of the first trial, in a warm environment."""
    failing_run_seconds: float | None
    """Median of one plain run of the same bugs' failing tests, in a process of its own."""
    candidates_per_second: float | None
    """On a function that takes microseconds and whose tests cannot be met."""
    help_seconds: float | None
    peer_help_seconds: float | None
    pass_seconds: float | None
    trouble: tuple[str, ...] = ()

    @property
    def help_ratio(self) -> float | None:
        """`greendiff --help` in units of `mini --help`."""
        return self.help_seconds / self.peer_help_seconds if self.help_seconds and self.peer_help_seconds else None

    def short(self, candidates: float, first: float, ratio: float) -> list[str]:
        """Return what falls short of the least candidates a second, and of the most seconds and ratio."""
        short = list(self.trouble)
        if self.candidates_per_second is not None and self.candidates_per_second < candidates:
            short.append(f"{self.candidates_per_second:.0f} candidates a second, {candidates:.0f} wanted")
        if self.first_candidate_seconds is not None:
            most = first + (self.failing_run_seconds or 0.0)
            if self.first_candidate_seconds > most:
                short.append(f"first candidate after {self.first_candidate_seconds:.1f} s, {most:.1f} s wanted")
        if self.help_ratio is not None and self.help_ratio > ratio:
            short.append(f"--help takes {self.help_ratio:.2f} of {PEER}'s time, at most {ratio:g} wanted")
        return short

    def table(self) -> str:
        """Return the figures for a person."""

        def told(value: float | None, unit: str) -> str:
            return "not measured" if value is None else f"{value:.3g} {unit}"

        return "\n".join((
            f"first candidate, warm, from the command's start   {told(self.first_candidate_seconds, 's')}",
            f"one run of the failing tests                      {told(self.failing_run_seconds, 's')}",
            f"candidates a second, microsecond function         {told(self.candidates_per_second, '')}",
            f"greendiff --help                                  {told(self.help_seconds, 's')}",
            f"mini --help                                       {told(self.peer_help_seconds, 's')}",
            f"python -c pass                                    {told(self.pass_seconds, 's')}",
            f"greendiff --help / mini --help                    {told(self.help_ratio, '')}",
        ))  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "help_ratio": self.help_ratio}


def measure(sandbox: str | None) -> Latencies:
    """Measure everything; what cannot be measured is told in `trouble`."""
    trouble: list[str] = []
    options = ("--sandbox", sandbox) if sandbox else ()
    first, failing = first_candidate(options, trouble)
    rate = throughput(options, trouble)
    times = help_times(trouble)
    return Latencies(first, failing, rate, times.get("greendiff"), times.get("mini"), times.get("pass"), tuple(trouble))


def first_candidate(options: Sequence[str], trouble: list[str]) -> tuple[float | None, float | None]:
    """Return medians over some tune bugs: seconds to the first candidate, and of one run of the failing tests."""
    bugs = [bug for bug in load(split="tune") if bug.kind == "wrong-operator"][:6]
    firsts: list[float] = []
    runs: list[float] = []
    for number, bug in enumerate(bugs):
        with tempfile.TemporaryDirectory(prefix="greendiff-bench-") as name:
            repository = Path(name, "repository")
            materialise(bug, repository)
            fixed = run_fix(repository, 10.0, *options)
            if number and fixed.first_trial_at is not None:  # the first run makes the environment warm
                firsts.append(fixed.first_trial_at)
                runs.append(_failing_seconds(repository, fixed.last("baseline").get("targets", [])))
    if not firsts:
        trouble.append("no run told when its first candidate was tried")
        return None, None
    return statistics.median(firsts), statistics.median(runs)


def _failing_seconds(repository: Path, targets: Sequence[str]) -> float:
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *targets]
    begun = time.monotonic()
    subprocess.run(argv, cwd=repository, capture_output=True, check=False, timeout=60)
    return time.monotonic() - begun


def throughput(options: Sequence[str], trouble: list[str]) -> float | None:
    """Return the candidates tried a second of search on a microsecond function that no candidate repairs."""
    bug = Bug(
        function="score", family="", name="contradiction", kind="", origin="human", module="fast", oracle="",
        reference=FAST_MODULE, broken=FAST_MODULE, tests=FAST_TESTS, edits=0,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="greendiff-bench-") as name:
        repository = Path(name, "repository")
        materialise(bug, repository)
        run = run_fix(repository, 20.0, *options)
    from benchmarks.engines import search_seconds

    found = run.last("found")
    seconds = search_seconds(found) - float(found.get("first_trial_seconds") or 0.0)
    if not found.get("tried") or seconds <= 0:
        trouble.append(f"throughput: no candidate was tried (exit code {run.code}) {run.stderr[-200:]}")
        return None
    return float(found["tried"]) / seconds


def help_times(trouble: list[str]) -> Mapping[str, float]:
    """Return medians of interleaved runs of `greendiff --help`, `mini --help` and `python -c pass`."""
    greendiff = Path(sys.executable).with_name("greendiff")
    argvs: dict[str, list[str]] = {"pass": [sys.executable, "-c", "pass"]}
    if greendiff.exists():
        argvs["greendiff"] = [str(greendiff), "--help"]
    else:
        trouble.append("the command greendiff is not installed beside this interpreter")
    peer = install_peer()
    if peer is None:
        trouble.append(f"{PEER} could not be installed, so --help was not compared")
    else:
        argvs["mini"] = [str(peer), "--help"]
    env = {**os.environ, "MSWEA_SILENT_STARTUP": "1", "MSWEA_CONFIGURED": "true"}
    times: dict[str, list[float]] = {name: [] for name in argvs}
    for number in range(ROUNDS + 2):
        for name, argv in argvs.items():
            begun = time.perf_counter()
            done = subprocess.run(argv, capture_output=True, check=False, timeout=120, env=env)
            took = time.perf_counter() - begun
            if done.returncode:
                trouble.append(f"{' '.join(argv)} ended with {done.returncode}")
                return {}
            if number >= 2:  # the first rounds fill the file cache
                times[name].append(took)
    return {name: statistics.median(some) for name, some in times.items()}


def install_peer() -> Path | None:
    """Return the peer's command, installed once into its own environment in the cache; None where that fails."""
    folder = cache_folder() / "mini-venv"
    command = folder / "bin" / "mini"
    if command.exists():
        return command
    try:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run(
            [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", PEER],
            check=True, capture_output=True, timeout=900,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return command if command.exists() else None
