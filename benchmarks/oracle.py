"""The independent judge of a repair: the same behaviour as the reference on generated inputs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.corpus_loader import Bug

INPUTS = 400
CHILD = Path(__file__).with_name("oracle_child.py")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the oracle says of a module."""

    correct: bool
    inputs: int
    """How many inputs were tried, up to the first that differs."""
    reason: str
    """The first difference, "" where there is none."""


def judge(bug: Bug, candidate: str, *, inputs: int = INPUTS, seed: int = 20240101, seconds: float = 20.0) -> Judgement:
    """Compare a source text of the bug's module with the reference: values, types of exceptions, arguments.

    A module that hangs, dies or cannot be imported is not correct.
    """
    case = {
        "function": bug.function, "module": bug.module, "reference": bug.reference, "candidate": candidate,
        "oracle": bug.oracle, "count": inputs, "seed": seed,
    }  # fmt: skip
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-B", str(CHILD)], input=json.dumps(case), check=False, capture_output=True,
            text=True, timeout=seconds,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Judgement(False, 0, f"no answer within {seconds:g} s")
    if done.returncode != 0 or not done.stdout:
        return Judgement(False, 0, f"the oracle's process ended with {done.returncode}: {done.stderr[-400:]}")
    answer = json.loads(done.stdout)
    return Judgement(bool(answer["correct"]), int(answer["inputs"]), str(answer["reason"]))
