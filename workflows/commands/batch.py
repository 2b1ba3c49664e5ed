"""`greendiff batch`: many tasks from one file, each once."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from pathlib import Path

from workflows.batch.journal import UNDONE, Journal, Result
from workflows.batch.predictions import checked_target, write_predictions
from workflows.batch.running import Batch
from workflows.batch.table import board_for
from workflows.batch.tasks import BatchTask, Reading, read_tasks
from workflows.commands.session import guarded, say
from workflows.errors import Usage
from workflows.wording import plural


def batch(arguments: argparse.Namespace, started: float) -> int:  # noqa: ARG001 - every command has this shape
    """Run the tasks of a file that have not ended yet; return the exit code."""
    return guarded(lambda: _batch(arguments))


def _batch(arguments: argparse.Namespace) -> int:
    path = Path(arguments.file)
    results = Path(arguments.results) if arguments.results else path.with_name(f"{path.stem}.results.jsonl")
    if results.absolute() == path.absolute():
        raise Usage("--results is the file with the tasks; name another")
    predictions = checked_target(Path(arguments.predictions)) if arguments.predictions else None
    repositories = Path(arguments.repos).absolute() if arguments.repos else None
    if repositories is not None and not repositories.is_dir():
        raise Usage(f"--repos {arguments.repos}: there is no such folder")
    reading = Reading(path.absolute().parent, repositories, show_tests=not arguments.hide_tests)
    tasks = read_tasks(path, reading)
    journal = Journal(results)
    try:
        known = journal.results(tasks)
        if arguments.again:
            known = {name: one for name, one in known.items() if one.status not in UNDONE}
        left = [task for task in tasks if task.id not in known]
        say(f"{plural(len(tasks), 'task')}, {len(tasks) - len(left)} of them done; results: {journal.path}")
        _run(left, journal, arguments, len(tasks))
        ended = journal.results(tasks)
        if predictions is not None:
            found = [ended[task.id] for task in tasks]
            patches = write_predictions(predictions, found, arguments.model_name)
            say(f"predictions: {predictions}, {patches} with a patch")
    finally:
        journal.close()
    return _told(list(ended.values()))


def _run(left: list[BatchTask], journal: Journal, arguments: argparse.Namespace, total: int) -> None:
    board = board_for(total, total - len(left))
    work = Batch(
        left, journal, board, _options(arguments), arguments.jobs or max(1, (os.cpu_count() or 2) // 2),
        tests_shown=not arguments.hide_tests,
    )  # fmt: skip
    try:
        work.run()
    except KeyboardInterrupt:
        board.close()
        say("stopped; the same command goes on with the tasks that are left")
        raise
    finally:
        board.close()


def _options(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Return what every task's command gets."""
    given = [
        f"--{name.replace('_', '-')}={value}"
        for name in ("budget", "sandbox", "python", "max_cost", "max_tokens")
        if (value := getattr(arguments, name)) is not None
    ]
    if arguments.config:
        given.append(f"--config={Path(arguments.config).absolute()}")
    folders = [(name, getattr(arguments, name)) for name in ("record", "replay")]
    given += [f"--{name}={Path(folder).absolute()}" for name, folder in folders if folder]
    return (*given, *(f"--model={one}" for one in arguments.model))


def _told(results: list[Result]) -> int:
    counts = Counter(result.status for result in results)
    say(f"{plural(len(results), 'task')} ended: {', '.join(f'{n} {status}' for status, n in counts.most_common())}")
    unable = sum(counts[status] for status in UNDONE)
    if unable:
        say(f"{plural(unable, 'task')} could not be worked on; the results say why, and --again runs them once more")
    return 3 if unable else 0
