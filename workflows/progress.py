"""What a run says while it works: one stream of events, shown as JSON, as plain lines, or live on a terminal."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from workflows.wording import printable

if TYPE_CHECKING:
    from rich.live import Live

PLAIN_SECONDS = 10.0
"""Time between two plain lines on a search that goes on."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""

    name: str
    elapsed: float
    """Seconds since the command started."""
    text: str = ""
    """One line for a person, "" where there is nothing to say."""
    data: Mapping[str, object] = field(default_factory=dict)

    def plain(self) -> dict[str, object]:
        """Return it as JSON's types."""
        words: dict[str, object] = {"event": self.name, "elapsed": round(self.elapsed, 3)}
        if self.text:
            words["text"] = self.text
        return words | dict(self.data)


class View(Protocol):
    """Shows events to somebody; called from several threads, one at a time."""

    def show(self, event: Event) -> None:
        """Take one event."""
        ...

    def pause(self) -> None:
        """Leave the terminal as it was until the next event."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was; may be called again."""
        ...


class Events:
    """Where the steps say what happens."""

    def __init__(self, view: View, *, started: float | None = None, budget: float = 0.0) -> None:
        """Count from `started`, a `time.monotonic` moment, now by default; `budget` is in seconds."""
        self.started = time.monotonic() if started is None else started
        self.budget = budget
        self._view = view
        self._lock = threading.Lock()
        self.log: Callable[[Mapping[str, object]], None] = lambda event: None  # noqa: ARG005 - until a run has a log

    def elapsed(self) -> float:
        """Seconds since the command started."""
        return time.monotonic() - self.started

    def emit(self, name: str, text: str = "", *, logged: bool = True, **data: object) -> None:
        """Tell everybody; `logged` is false for what comes many times a second."""
        event = Event(name, self.elapsed(), text, data)
        with self._lock:
            self._view.show(event)
        if logged:
            self.log(event.plain())

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Tell when a step begins and ends, and how long it took."""
        begun = time.monotonic()
        self.emit("step-started", step=name)
        try:
            yield
        finally:
            self.emit("step-finished", step=name, seconds=round(time.monotonic() - begun, 3))

    def note(self, text: str) -> None:
        """Tell a person something; fits the sandbox's `Progress`."""
        self.emit("note", text)

    def pause(self) -> None:
        """Leave the terminal to a person until the next event."""
        with self._lock:
            self._view.pause()

    def close(self) -> None:
        """Leave the terminal as it was."""
        with self._lock:
            self._view.close()


class JsonView:
    """One JSON object a line."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`, flushed after each line."""
        self._stream = stream

    def show(self, event: Event) -> None:
        """Write the line."""
        self._stream.write(json.dumps(event.plain(), ensure_ascii=True, default=str) + "\n")
        self._stream.flush()

    def pause(self) -> None:
        """Do nothing: every line is out already."""

    def close(self) -> None:
        """Do nothing: every line is out already."""


class PlainView:
    """Plain lines, for logs and pipes."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`."""
        self._stream = stream
        self._quiet_until = 0.0

    def show(self, event: Event) -> None:
        """Write the event's text, a search's progress only now and then."""
        text = event.text
        if event.name in {"searching", "working"}:
            if event.elapsed < self._quiet_until:
                return
            self._quiet_until = event.elapsed + PLAIN_SECONDS
            text = search_line(event.data) if event.name == "searching" else work_line(event.data)
        if text:
            self._stream.write(f"{printable(text)}\n")
            self._stream.flush()

    def pause(self) -> None:
        """Do nothing: every line is out already."""

    def close(self) -> None:
        """Do nothing: every line is out already."""


def search_line(data: Mapping[str, Any]) -> str:
    """Return what a search is doing, as one line."""
    parts = [f"searching: {data.get('tried', 0)} candidates tried"]
    if data.get("passing"):
        parts.append(f"{data['passing']} pass")
    if data.get("trying"):
        parts.append(str(data["trying"]))
    return ", ".join(parts)


def work_line(data: Mapping[str, Any]) -> str:
    """Return what an agent is doing, as one line."""
    return f"{data.get('agent', 'agent')} ({data.get('tier', 'no model')}): {data.get('doing', '')}"


def checklist_line(number: int, goal: str, done: int) -> str:
    """Return one step of the plan, marked where it is done or at work; `number` and `done` count from 0."""
    mark = "x" if number < done else ">" if number == done else " "
    return f"[{mark}] {number + 1}. {goal}"


def spent_line(data: Mapping[str, Any]) -> str:
    """Return what the run's models have cost so far."""
    money = str(data.get("spent", ""))
    tokens = f"{int(str(data.get('tokens', 0))):,} tokens"
    return f"{tokens}, {money}" if money.strip("0.") else tokens


class LiveView:
    """A spinner with what is being done, how far it is and the time that is left; lines that stay go above it."""

    def __init__(self, stream: TextIO, budget: float) -> None:
        """Draw on `stream`, which must be a terminal."""
        from rich.console import Console
        from rich.spinner import Spinner

        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._spinner = Spinner("dots", text="starting")
        self._budget = budget
        self._started = time.monotonic()
        self._doing = "starting"
        self._spent = ""
        self._steps: list[str] = []
        self._done = 0
        self._live: Live | None = None
        self._closed = False
        self._draws()

    def _draws(self) -> None:
        from rich.live import Live

        if self._live is None and not self._closed:
            self._live = Live(get_renderable=self._draw, console=self._console, refresh_per_second=8, transient=True)
            self._live.start()

    def _draw(self) -> Any:
        from rich.console import Group
        from rich.text import Text

        left = max(0.0, self._budget - (time.monotonic() - self._started))
        width = max(20, self._console.width - 16)
        line = f"{printable(self._doing)[:width]}{self._spent} · {left:.0f} s left"
        self._spinner.update(text=Text(line, no_wrap=True, overflow="ellipsis"))
        if len(self._steps) < 2:
            return self._spinner
        listed = [
            Text(printable(checklist_line(number, goal, self._done)), no_wrap=True, overflow="ellipsis")
            for number, goal in enumerate(self._steps)
        ]
        return Group(*listed, self._spinner)

    def show(self, event: Event) -> None:
        """Take one event."""
        self._draws()
        if event.name == "step-started":
            self._doing = str(event.data.get("step", ""))
        elif event.name == "searching":
            self._doing = search_line(event.data)
        elif event.name == "working":
            self._doing = work_line(event.data)
        elif event.name == "call":
            self._spent = f" · {spent_line(event.data)}"
        elif event.text:
            self._say(event)

    def _say(self, event: Event) -> None:
        from rich.text import Text

        if event.name == "run-started":
            self._budget = float(str(event.data.get("budget", self._budget)))
        steps = event.data.get("steps")
        if event.name == "plan" and isinstance(steps, list):
            self._steps = [str(goal) for goal in steps]
        if event.name == "step-done":
            self._done = int(str(event.data.get("step", 0))) + 1
        if event.name == "note":
            self._doing = event.text
        else:
            self._console.print(Text(printable(event.text)))

    def pause(self) -> None:
        """Remove the spinner until something happens."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def close(self) -> None:
        """Remove the spinner."""
        self._closed = True
        self.pause()


def view_for(*, as_json: bool, budget: float) -> View:
    """Return the view that fits the streams of this process."""
    if as_json:
        return JsonView(sys.stdout)
    return LiveView(sys.stderr, budget) if sys.stderr.isatty() else PlainView(sys.stderr)
