"""Writes features, refactorings and upgrades with a model: a typed task in, candidates out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from agents.loop import Bounds, OnLoopEvent, Stopped
from agents.models.protocol import ChatModel, Usage
from agents.observations import Observation
from agents.permissions import Permissions
from agents.results import Candidate
from agents.tools import Toolbox

Mode = Literal["native", "text", "single"]
"""The loop with the model's own tool calls, the loop with calls as text, or one structured reply without tools."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """Lines of a file that the task is about, or that show how it is done here."""

    path: str
    first: int
    """Line number of the text's first line, from 1."""
    text: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """What the coder is asked to do: one step of a plan, or a whole request."""

    request: str
    """The person's own words: a sentence, an issue, a pseudo-code sketch, a signature with a docstring. Untrusted."""
    goal: str = ""
    """What this step has to reach, as the planner put it; empty means the request itself."""
    criteria: tuple[str, ...] = ()
    """Sentences; the step is done when all hold."""
    places: tuple[str, ...] = ()
    """Where the change probably belongs: paths, or `path::function`."""
    snippets: tuple[Snippet, ...] = ()
    conventions: str = ""
    """What `agents.conventions.conventions` gathered. Untrusted."""
    permissions: Permissions = field(default_factory=Permissions)
    tests: tuple[str, ...] = ()
    """Node ids or files that must pass when it is done; empty runs all."""
    failures: tuple[Observation, ...] = ()
    """How earlier candidates for the same task did, oldest first."""


@dataclass(frozen=True, slots=True)
class CoderResult:
    """What the coder wrote."""

    candidates: tuple[Candidate, ...]
    """Best first; empty where nothing was written. Not verified."""
    said: str
    """What the model says it did; untrusted, for the person and the reviewer."""
    calls: int
    usage: Usage
    stopped: Stopped
    reason: str
    """One sentence: why it ended."""
    observation: Observation | None = None
    """The last test run on exactly the first candidate's tree, where there was one."""


TryOut = Callable[[Candidate], Observation]


def write_code(
    task: Task,
    model: ChatModel,
    toolbox: Toolbox,
    *,
    mode: Mode = "native",
    bounds: Bounds | None = None,
    try_out: TryOut | None = None,
    seed: int | None = None,
    stop: threading.Event | None = None,
    on_event: OnLoopEvent | None = None,
) -> CoderResult:
    """Do the task with the tools of `toolbox`, or in `single` mode with one structured reply (and bounded repairs).

    The candidates are changes to the toolbox's base tree. `try_out` is asked in `single` mode, where there is no tool
    that runs tests; a failure goes back to the model, within the bounds.

    Raises:
        SandboxBroken: the toolbox's workspace has gone.

    """
    raise NotImplementedError
