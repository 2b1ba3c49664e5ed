"""What the running tools do in a workspace, and what they tell of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from agents.observations import Observation, observed, short
from agents.replies import ReplyRefused
from sandbox.errors import TestsUnrunnable
from sandbox.protocol import Command, Completed, Workspace
from sandbox.runners.report import Harness
from sandbox.runners.run import run_tests
from sandbox.tree import Tree

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")
_ENDED = {
    "timeout": "It was stopped because its time was over.",
    "memory": "It was stopped because it took too much memory.",
    "signal": "It was ended by a signal.",
    "killed": "It was stopped.",
}


def brought_to(workspace: Workspace, there: Tree, wanted: Tree) -> None:
    """Make a workspace's files those of `wanted`, where they are those of `there`."""
    changed = there.changed_paths(wanted)
    if changed:
        workspace.write({path: wanted.get(path) for path in changed})


def tests_in(workspace: Workspace, harness: Harness, tests: Sequence[str], seconds: float) -> Observation:
    """Run tests, and return what was observed.

    Raises:
        ReplyRefused: none could be run; the message says why.
        SandboxBroken: the workspace has gone.

    """
    try:
        report = run_tests(workspace, harness, tests, wall_seconds=seconds)
    except TestsUnrunnable as error:
        why = short(without_root(str(error), workspace), 20, 1_500)
        raise ReplyRefused("malformed", f"the tests could not be run: {why}") from None
    return observed(replace(report, output=without_root(report.output, workspace)), tests)


def without_root(text: str, workspace: Workspace) -> str:
    """Return a text with paths in the workspace made relative: they differ from run to run, and prompts must not."""
    return text.replace(f"{workspace.root}/", "").replace(workspace.root, ".")


def command_in(workspace: Workspace, argv: Sequence[str], seconds: float) -> Completed:
    """Run a program; `python` is the interpreter of the repository's own environment."""
    program = workspace.python if argv[0] in {"python", "python3"} else argv[0]
    return workspace.run(Command((program, *argv[1:]), wall_seconds=seconds))


def told(completed: Completed, workspace: Workspace, characters: int) -> str:
    """Return how a program ended and the two ends of what it printed; no time, so that a replay says the same."""
    text = _ENDED.get(completed.ended, f"It ended with exit code {completed.exit_code}.") + "\n"
    for name, data, dropped in (
        ("output", completed.stdout, completed.stdout_dropped),
        ("errors", completed.stderr, completed.stderr_dropped),
    ):
        shown = without_root(data.decode("utf-8", "replace").replace("\r\n", "\n"), workspace)
        shown = _CONTROL.sub("", shown).strip("\n")
        if shown:
            more = f" ({dropped:,} bytes left out)" if dropped else ""
            text += f"Its {name}{more}:\n{short(shown, 120, characters // 2)}\n"
    return text if completed.stdout or completed.stderr else f"{text}It printed nothing.\n"
