"""How a batch's tasks stand: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from typing import Any, TextIO

from workflows.batch.journal import Result
from workflows.batch.tasks import BatchTask
from workflows.wording import plural, printable

ROWS = 12


def _line(task: BatchTask, result: Result) -> str:
    message = result.message.partition("\n")[0]
    return printable(f"{task.id}: {result.status} after {result.seconds:.1f} s{': ' if message else ''}{message}")


class PlainBoard:
    """A line when a task begins and one when it ends."""

    def __init__(self, stream: TextIO, total: int, done: int) -> None:
        """`done` of `total` tasks ended in an earlier call."""
        self._stream = stream
        self._total = total
        self._done = done
        self._begun: set[str] = set()
        self._guard = threading.Lock()

    def at(self, task: BatchTask, doing: str) -> None:  # noqa: ARG002 - the live table shows it
        """Tell once that a task has begun."""
        with self._guard:
            if task.id not in self._begun:
                self._begun.add(task.id)
                self._say(f"{task.id}: begun")

    def ended(self, task: BatchTask, result: Result) -> None:
        """Tell how it ended, and how many are left."""
        with self._guard:
            self._done += 1
            self._say(f"[{self._done}/{self._total}] {_line(task, result)}")

    def close(self) -> None:
        """Do nothing: every line is out already."""

    def _say(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()


class LiveBoard:
    """A table of what is at work, with the counts; what ended goes above it as a line."""

    def __init__(self, stream: TextIO, total: int, done: int) -> None:
        """Draw on `stream`, a terminal."""
        from rich.console import Console
        from rich.live import Live

        self._console = Console(file=stream, highlight=False)
        self._total = total
        self._done = done
        self._working: dict[str, tuple[str, float]] = {}
        self._counts: Counter[str] = Counter()
        self._guard = threading.Lock()
        self._live = Live(get_renderable=self._draw, console=self._console, refresh_per_second=4, transient=True)
        self._live.start()

    def _draw(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False)
        for heading in ("task", "step", "seconds"):
            table.add_column(heading, justify="right" if heading == "seconds" else "left", no_wrap=True)
        now = time.monotonic()
        with self._guard:
            for name, (doing, since) in list(self._working.items())[:ROWS]:
                table.add_row(Text(printable(name)), Text(printable(doing)), f"{now - since:.0f}")
            counts = ", ".join(f"{number} {status}" for status, number in sorted(self._counts.items()))
            table.caption = f"{self._done} of {plural(self._total, 'task')} ended{': ' if counts else ''}{counts}"
        return table

    def at(self, task: BatchTask, doing: str) -> None:
        """Show what a task is at."""
        with self._guard:
            self._working[task.id] = (doing, self._working.get(task.id, ("", time.monotonic()))[1])

    def ended(self, task: BatchTask, result: Result) -> None:
        """Take the task's row away, and tell how it ended."""
        from rich.text import Text

        with self._guard:
            self._working.pop(task.id, None)
            self._done += 1
            self._counts[result.status] += 1
        self._console.print(Text(_line(task, result)))

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._live.stop()


def board_for(total: int, done: int) -> PlainBoard | LiveBoard:
    """Return the board that fits this process's standard error."""
    return (LiveBoard if sys.stderr.isatty() else PlainBoard)(sys.stderr, total, done)
