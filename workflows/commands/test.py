"""`greendiff test`: from modules to a verified diff of test files."""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from workflows.background import Task
from workflows.commands.work import Wish, new_run, session
from workflows.errors import Usage
from workflows.progress import Events

if TYPE_CHECKING:
    from workflows.job import Job

DEFAULT_BUDGET = 60.0
"""Seconds for one module."""


def test(arguments: argparse.Namespace, started: float) -> int:
    """Write tests for what `arguments` name; return the exit code."""

    def begin(events: Events) -> tuple[Job, bool]:
        if arguments.target and arguments.changed:
            raise Usage("name a file or module, or --changed BASE, not both")
        arguments.model, arguments.max_cost, arguments.max_tokens = ["none"], None, None
        arguments.record = arguments.replay = None
        report = str(Path(arguments.report).absolute()) if arguments.report else None
        wish = Wish(
            "test", json.dumps({"target": arguments.target, "changed": arguments.changed, "report": report,
                                "seed": arguments.seed}),
            kind="test", apply=arguments.apply, output=arguments.output, bundle=arguments.bundle, budget=DEFAULT_BUDGET,
        )  # fmt: skip
        return new_run(arguments, arguments.repository, wish, events), False

    work = Task(lambda: import_module("workflows.test_writing"), "work")
    return session(begin, work, started, as_json=arguments.json, budget=arguments.budget or DEFAULT_BUDGET)
