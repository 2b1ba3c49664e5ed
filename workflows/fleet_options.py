"""The options of the commands that work on many tasks."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

BATCH_HELP = """\
Run many tasks, some at a time. FILE holds one JSON object a line: {"repository": PATH or URL, "commit": …,
"tests": [node ids], "issue": text, "patch": text that is applied first, "id": …, "kind": …, "budget": …, "model": […],
"max_cost": …}, of which only the repository must be there; or a SWE-bench style instance, whose repository is looked
for in --repos. Each task runs once: what has a line in the results is done, and what a kill interrupted goes on.
"""


def count(text: str) -> int:
    """Return a number from 1 to 1000."""
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1000")
    return int(text)


def add_batch(command: Callable[..., Any], run: Callable[..., None], models: Callable[..., None]) -> None:
    """Add `batch`; `run` and `models` add the options that a single run has, too."""
    batch = command("batch", "run many tasks from a file, each once, and write their results", description=BATCH_HELP)
    batch.add_argument("file", metavar="FILE", help="tasks, one JSON object a line")
    batch.add_argument("--results", metavar="FILE", help="one JSON line for each task (default: FILE.results.jsonl)")
    batch.add_argument("--jobs", type=count, metavar="N", help="tasks at the same time (default: half the processors)")
    batch.add_argument("--again", action="store_true", help="run once more what could not be worked on")
    batch.add_argument("--repos", metavar="DIR", help="folder with clones: DIR/OWNER/NAME, OWNER__NAME or NAME")
    batch.add_argument(
        "--hide-tests", action="store_true", help="work from the problem statements alone, as the benchmark's rules ask"
    )
    batch.add_argument("--predictions", metavar="FILE", help="also write SWE-bench predictions, .json or .jsonl")
    batch.add_argument("--model-name", default="greendiff", metavar="NAME", help="`model_name_or_path` in them")
    run(batch, 120)
    models(batch)
