"""The person at the terminal: answers questions, and accepts, edits or refuses a plan."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from agents.planner import PlanTextError, parse_plan, plan_text
from agents.results import Plan, PlanRefused
from workflows.errors import AskedBack
from workflows.wording import printable

MOST_TRIES = 20


class Person(Protocol):
    """Somebody who can be asked."""

    def answer(self, question: str) -> str:
        """Return what the person says to a question."""
        ...

    def judge(self, plan: Plan) -> Plan | PlanRefused:
        """Return the plan that is accepted, edited perhaps, or why there should be another one."""
        ...


class Terminal:
    """Asks on standard error and reads standard input; plans are edited with `$VISUAL` or `$EDITOR`."""

    def __init__(self, pause: Callable[[], None]) -> None:
        """`pause` takes the live progress off the screen."""
        self._pause = pause

    def answer(self, question: str) -> str:
        """Ask until something is said."""
        self._pause()
        self._say(printable(question))
        for _ in range(MOST_TRIES):
            if said := self._read("> "):
                return said
        raise AskedBack("no answer was given")

    def judge(self, plan: Plan) -> Plan | PlanRefused:
        """Show the plan; [a]ccept, [e]dit, or [r]efuse with a reason."""
        self._pause()
        text = plan_text(plan)
        for _ in range(MOST_TRIES):
            self._say(printable(text))
            choice = self._read("accept the plan, edit it, or refuse it? [a/e/r] ").lower()[:1]
            if choice == "r":
                return PlanRefused(self._read("why? ") or "it is not what was asked for")
            if choice not in {"a", "e"}:
                continue
            if choice == "e":
                text = edited(text)
            try:
                return parse_plan(text, plan)
            except PlanTextError as error:
                self._say(f"that is not a plan: {error}")
        raise AskedBack("the plan was neither accepted nor refused")

    def _say(self, text: str) -> None:
        print(printable(text), file=sys.stderr, flush=True)

    def _read(self, prompt: str) -> str:
        print(printable(prompt), end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise AskedBack("standard input ended before an answer was given")
        return line.strip()


def edited(text: str) -> str:
    """Return a text as the person's editor leaves it; unchanged where no editor can be run."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="greendiff-plan-") as folder:
        path = Path(folder) / "plan.txt"
        path.write_text(text, encoding="utf-8")
        try:
            subprocess.run([*shlex.split(editor), str(path)], check=False)
            return path.read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError) as error:
            print(f"the editor {editor!r} cannot be run: {error}; name one in $EDITOR", file=sys.stderr)
            return text


def at_terminal(pause: Callable[[], None]) -> Person | None:
    """Return the person at this process's terminal, None where nobody is there.

    `GREENDIFF_TERMINAL=1` says that whoever holds the other end of standard input answers.
    """
    if os.environ.get("GREENDIFF_TERMINAL") == "1" or (sys.stdin.isatty() and sys.stderr.isatty()):
        return Terminal(pause)
    return None
