"""`greendiff runs` and `greendiff show`: what was done, and with which result."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from workflows.commands.session import guarded, say
from workflows.errors import RecordError
from workflows.runs import Run, RunInfo, RunStore, step_times
from workflows.wording import printable

COLUMNS = ("RUN", "STATUS", "EXIT", "SECONDS", "REPOSITORY")


def _row(info: RunInfo) -> tuple[str, ...]:
    code = "" if info.exit_code is None else str(info.exit_code)
    return info.id, info.status, code, f"{info.seconds:.1f}", info.repository


def runs(arguments: argparse.Namespace, started: float) -> int:  # noqa: ARG001 - every command has this shape
    """List the runs, newest first."""

    def work() -> int:
        known: list[RunInfo] = []
        for run in RunStore().all():
            try:
                known.append(run.info())
            except RecordError as error:
                say(f"greendiff: {error}")
        if arguments.json:
            for info in known:
                words = asdict(info)
                words.pop("request")
                print(json.dumps(words))
            return 0
        if not known:
            say("no runs yet; `greendiff fix` in a repository with a failing test makes one")
            return 0
        rows = [COLUMNS, *(_row(info) for info in known)]
        widths = [max(len(row[n]) for row in rows) for n in range(len(COLUMNS) - 1)]
        for row in rows:
            line = "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
            print(printable(line))
        return 0

    return guarded(work)


def _text(run: Run, info: RunInfo) -> str:
    lines = [
        f"# Run {info.id}", "",
        f"- repository: {info.repository}",
        f"- began: {info.created}",
        f"- status: {info.status}" + (f" (exit code {info.exit_code})" if info.exit_code is not None else ""),
        f"- worked: {info.seconds:.1f} s",
        f"- folder: {run.folder}",
    ]  # fmt: skip
    if info.status in {"interrupted", "environment", "failed"}:
        lines.append(f"- go on with: greendiff resume {info.id}")
    if info.message:
        lines += ["", info.message]
    for summary in filter(Path.exists, (run.folder / "bundle" / "summary.md", run.folder / "summary.md")):
        lines += ["", summary.read_text(encoding="utf-8").rstrip()]
    if times := step_times(run):
        lines += ["", "## Time", "", "| step | times | seconds |", "|---|---:|---:|"]
        lines += [f"| {step} | {count} | {seconds:.2f} |" for step, count, seconds in times]
    return "\n".join(lines) + "\n"


def show(arguments: argparse.Namespace, started: float) -> int:  # noqa: ARG001 - every command has this shape
    """Print what a run did, as Markdown."""

    def work() -> int:
        run = RunStore().find(arguments.run)
        sys.stdout.write(printable(_text(run, run.info())))
        return 0

    return guarded(work)
