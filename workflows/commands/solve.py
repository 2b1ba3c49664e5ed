"""`greendiff solve`, `plan` and `ask`: what a person wants in words becomes a diff, a plan, or an answer."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from workflows.commands.work import Wish, importing_graph, issue_text, new_run, session
from workflows.errors import Usage
from workflows.progress import Events

if TYPE_CHECKING:
    from workflows.job import Job

BUDGET = 900.0
"""Seconds, where nothing else is said: models take their time."""


def solve(arguments: argparse.Namespace, started: float) -> int:
    """Do what is asked for in the repository, and print the verified diff; return the exit code."""
    graph = importing_graph()

    def begin(events: Events) -> tuple[Job, bool]:
        wish = Wish(
            "solve", wanted_text(arguments), arguments.kind, bool(arguments.approve), tuple(arguments.tests),
            arguments.apply, arguments.output, arguments.bundle, BUDGET,
        )  # fmt: skip
        return new_run(arguments, arguments.repository, wish, events), False

    return session(begin, graph, started, as_json=arguments.json, budget=arguments.budget or BUDGET)


def plan(arguments: argparse.Namespace, started: float) -> int:
    """Print the steps that `solve` would take; return the exit code."""
    graph = importing_graph()

    def begin(events: Events) -> tuple[Job, bool]:
        wish = Wish("plan", wanted_text(arguments), arguments.kind, tests=tuple(arguments.tests), budget=BUDGET)
        return new_run(arguments, arguments.repository, wish, events), False

    return session(begin, graph, started, as_json=arguments.json, budget=arguments.budget or BUDGET)


def ask(arguments: argparse.Namespace, started: float) -> int:
    """Answer a question from the repository; return the exit code."""
    graph = importing_graph()

    def begin(events: Events) -> tuple[Job, bool]:
        if not arguments.question.strip():
            raise Usage("the question is empty")
        wish = Wish("ask", arguments.question, "question", budget=BUDGET)
        return new_run(arguments, arguments.repository, wish, events), False

    return session(begin, graph, started, as_json=arguments.json, budget=BUDGET)


def wanted_text(arguments: argparse.Namespace) -> str:
    """Return the request: the words of the command line, and after them the text of the issue.

    Raises:
        Usage: the issue cannot be read, or is too large.

    """
    parts = (arguments.text.strip(), issue_text(arguments.issue).strip())
    return "\n\n".join(part for part in parts if part)
