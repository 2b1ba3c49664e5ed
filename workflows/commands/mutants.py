"""`greendiff mutants`: small faults put into the code, and those that no test notices printed with their diffs."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from workflows.commands.session import failure_of, guarded, say
from workflows.progress import Event, Events, JsonView, view_for
from workflows.wording import printable

if TYPE_CHECKING:
    from workflows.mutants import Outcome

DEFAULT_BUDGET = 600.0


def mutants(arguments: argparse.Namespace, started: float) -> int:
    """Try the mutants of what `arguments` name; 0, or 1 where fewer are caught than is demanded."""
    budget = arguments.budget or DEFAULT_BUDGET
    events = Events(view_for(as_json=arguments.json, budget=budget), started=started, budget=budget)

    def work() -> int:
        try:
            outcome = _tried(arguments, events)
        except BaseException as error:
            if arguments.json and not isinstance(error, SystemExit):
                failure = failure_of(error)
                _tell_json(events, {"code": failure.code, "message": failure.message})
                return failure.code
            raise
        finally:
            events.close()
        return _told(outcome, arguments, events)

    return guarded(work)


def _tried(arguments: argparse.Namespace, events: Events) -> Outcome:
    from sandbox.workspace import snapshot
    from workflows.mutants import Wanted, relative_paths, try_mutants
    from workflows.settings import read_settings

    taken = snapshot(Path(arguments.repository).absolute())
    flags = {"budget": arguments.budget, "sandbox": arguments.sandbox, "python": _interpreter(arguments.python)}
    given = {key: value for key, value in flags.items() if value is not None}
    config = Path(arguments.config) if arguments.config else None
    settings = read_settings(taken.tree, given, config=config, budget=DEFAULT_BUDGET)
    if settings.sandbox == "local":
        events.note("the local sandbox does not isolate: only use it for code that you trust")
    wanted = Wanted(relative_paths(arguments.paths, taken.repository), arguments.changed)
    return try_mutants(taken, settings, wanted, events)


def _interpreter(python: str | None) -> str | None:
    return os.path.abspath(python) if python and os.sep in python else python  # noqa: PTH100


def _told(outcome: Outcome, arguments: argparse.Namespace, events: Events) -> int:
    from workflows.mutants import as_json, as_text, percent

    demanded, found = arguments.min_mutation, outcome.share
    below = demanded is not None and found is not None and found < demanded
    message = ""
    if not outcome.judged:
        message = "there is nothing to put a fault into: no line of code was chosen"
    elif below:
        message = f"the tests catch {percent(found)} of the mutants, and --min-mutation demands {percent(demanded)}"
    code = 1 if below else 0
    if arguments.json:
        _tell_json(events, {"code": code, "message": message, **as_json(outcome)})
        return code
    if outcome.judged:
        text = as_text(outcome)
        sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
    if message:
        say(f"greendiff: {message}")
    return code


def _tell_json(events: Events, data: dict[str, object]) -> None:
    events.close()
    JsonView(sys.stdout).show(Event("result", events.elapsed(), data=data))
