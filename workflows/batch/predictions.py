"""Results as SWE-bench's harness reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from workflows.batch.journal import Result
from workflows.errors import Usage
from workflows.runs import write_whole


def checked_target(path: Path) -> Path:
    """Return the path, absolute.

    Raises:
        Usage: its name is none that the harness reads, or its folder is not there.

    """
    if path.suffix not in {".json", ".jsonl"}:
        raise Usage(f"--predictions {path}: the harness reads names that end in .json or .jsonl")
    if not path.absolute().parent.is_dir():
        raise Usage(f"--predictions {path}: there is no folder {path.absolute().parent}")
    return path.absolute()


def write_predictions(path: Path, results: Iterable[Result], model: str) -> int:
    """Write a prediction for each result, an empty patch where none was verified; return how many have a patch."""
    predictions: list[Mapping[str, str]] = [
        {"instance_id": result.task, "model_name_or_path": model, "model_patch": result.diff} for result in results
    ]
    if path.suffix == ".jsonl":
        data = "".join(f"{json.dumps(one)}\n" for one in predictions)
    else:
        data = json.dumps(predictions, indent=1)
    write_whole(path, data.encode(), 0o644)
    return sum(bool(one["model_patch"]) for one in predictions)
