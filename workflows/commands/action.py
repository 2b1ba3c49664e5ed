"""`greendiff action`: one step of a GitHub workflow, from the event that started it to what people see."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflows.commands.session import failure_of, say, signals_as_exceptions
from workflows.errors import Usage
from workflows.forge.secret import Secret
from workflows.wording import printable

if TYPE_CHECKING:
    from workflows.forge.tasks import Done

LABEL = "greendiff"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a runner tells a step by its environment."""

    event: str
    payload: Path
    repository: str
    api: str
    token: Secret
    label: str
    folder: Path
    """Where the mirror goes; the runner removes it."""
    run_url: str
    output: Path | None
    summary: Path | None


def surroundings(environment: Mapping[str, str]) -> Surroundings:
    """Return what the runner says.

    Raises:
        Usage: something is missing, so this is no step of a workflow.

    """
    needed = {
        name: environment.get(name, "") for name in ("GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH", "GITHUB_REPOSITORY")
    }
    missing = [name for name, value in needed.items() if not value]
    token = environment.get("INPUT_TOKEN") or environment.get("GITHUB_TOKEN", "")
    if missing or not token:
        raise Usage(
            f"{(missing or ['GITHUB_TOKEN'])[0]} is not set: `greendiff action` is a step of a GitHub workflow; "
            "docs/forge.md has one"
        )
    server, run = environment.get("GITHUB_SERVER_URL", "https://github.com"), environment.get("GITHUB_RUN_ID", "")
    repository = needed["GITHUB_REPOSITORY"]
    return Surroundings(
        needed["GITHUB_EVENT_NAME"], Path(needed["GITHUB_EVENT_PATH"]), repository,
        environment.get("GITHUB_API_URL") or "https://api.github.com", Secret(token),
        environment.get("INPUT_LABEL") or LABEL, Path(environment.get("RUNNER_TEMP") or "/tmp") / "greendiff-mirror",  # noqa: S108
        f"{server}/{repository}/actions/runs/{run}" if run.isdigit() else "",
        _path(environment, "GITHUB_OUTPUT"), _path(environment, "GITHUB_STEP_SUMMARY"),
    )  # fmt: skip


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    return Path(environment[name]) if environment.get(name) else None


def action(arguments: argparse.Namespace, started: float) -> int:  # noqa: ARG001 - every command has this shape
    """Do what the event asks for; return the exit code."""
    # The token is taken out of the environment, so that no program that is started has it.
    environment = dict(os.environ)
    for name in ("GITHUB_TOKEN", "INPUT_TOKEN"):
        os.environ.pop(name, None)
    around: Surroundings | None = None
    try:
        around = surroundings(environment)
        with signals_as_exceptions():
            done = _done(around, _flags(arguments), solve=_has_models(environment))
    except BaseException as error:  # noqa: BLE001 - no traceback ever reaches a user
        failure = failure_of(error, None)
        say(f"greendiff: {failure.message}")
        if around is not None:
            _write(around, "failed", failure.message, "")
        return failure.code
    _write(around, done.result, done.message, done.url)
    say(printable(done.message))
    # That nothing could be proved is an answer, and no reason to mark the workflow as failed.
    return 0 if done.result != "failed" else done.code


def _flags(arguments: argparse.Namespace) -> dict[str, Any]:
    given = {"sandbox": arguments.sandbox, "budget": arguments.budget}
    return {key: value for key, value in given.items() if value is not None}


def _has_models(environment: Mapping[str, str]) -> bool:
    return any(name.startswith("GREENDIFF_MODELS__") for name in environment) or "GREENDIFF_CONFIG" in environment


def _done(around: Surroundings, flags: Mapping[str, Any], *, solve: bool) -> Done:
    from workflows.forge.deciding import Ignored, allowed, asked
    from workflows.forge.events import MOST_BYTES, read_event
    from workflows.forge.git import Mirror
    from workflows.forge.github import with_token
    from workflows.forge.tasks import Done, do
    from workflows.progress import PlainView

    try:
        data = around.payload.read_bytes()
    except OSError as error:
        raise Usage(f"the event file {around.payload} cannot be read: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise Usage(f"the event file {around.payload} is larger than any that GitHub writes")
    event = read_event(around.event, data)
    forge = with_token(around.repository, around.token, api=around.api)
    what = asked(event, label=around.label, default_branch=_default_branch(forge, event.name))
    if isinstance(what, Ignored):
        return Done("nothing", what.reason)
    if refused := allowed(forge, what):
        return Done("nothing", refused)
    return do(forge, Mirror(around.folder), what, PlainView(sys.stderr), flags=flags, solve=solve,
              run_url=around.run_url)  # fmt: skip


def _default_branch(forge: Any, event: str) -> str:
    """Ask for the default branch only where it decides something."""
    checks = {"check_run", "check_suite", "workflow_run"}
    return str(forge.repository().default_branch) if event in checks else ""


def _write(around: Surroundings, result: str, message: str, url: str) -> None:
    """Give the workflow's further steps the result, and its page a few words."""
    try:
        if around.output is not None:
            with around.output.open("a", encoding="utf-8") as file:
                file.write(f"result={result}\nurl={''.join(url.split())}\n")
        if around.summary is not None:
            with around.summary.open("a", encoding="utf-8") as file:
                file.write(f"**greendiff** ({result}): {printable(message)}\n")
    except OSError as error:
        say(f"greendiff: the result cannot be written down: {error.strerror}")
