"""Writes features, refactorings and upgrades with a model: a typed task in, candidates out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from agents.coder_places import Snippet, shown
from agents.coder_single import Single
from agents.loop import Bounds, Objection, OnLoopEvent, Stopped, run_loop
from agents.models.prompts import Fence, load
from agents.models.protocol import ChatModel, Message, Usage
from agents.observations import Observation
from agents.permissions import Permissions
from agents.replies import Changes, ReplyRefused
from agents.results import Candidate
from agents.tools import Toolbox

__all__ = ["CoderResult", "Mode", "Snippet", "Task", "TryOut", "candidate", "write_code"]

Mode = Literal["native", "text", "single"]
"""The loop with the model's own tool calls, the loop with calls as text, or one structured reply without tools."""
TryOut = Callable[[Candidate], Observation]


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
    failing_before: frozenset[str] = frozenset()
    """Node ids that fail on the base and need not pass."""
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


def write_code(
    task: Task,
    model: ChatModel,
    toolbox: Toolbox,
    *,
    mode: Mode = "native",
    bounds: Bounds | None = None,
    try_out: TryOut | None = None,
    tier: int = 1,
    temperature: float | None = None,
    seed: int | None = None,
    fence: Fence | None = None,
    stop: threading.Event | None = None,
    on_event: OnLoopEvent | None = None,
) -> CoderResult:
    """Do the task with the tools of `toolbox`, or in `single` mode with one structured reply (and bounded repairs).

    The candidates are changes to the toolbox's base tree, and touch only what the toolbox's guard lets them. `try_out`
    is asked in `single` mode, where there is no tool that runs tests; a failure goes back to the model, within the
    bounds. Whatever ends it early (see `agents.loop.Stopped`), what was written until then is returned.

    Raises:
        SandboxBroken: the toolbox's workspace has gone.

    """
    fence = fence or Fence()
    messages = _messages(task, toolbox, "coder_single" if mode == "single" else "coder", fence)
    if mode == "single":
        single = Single(model, toolbox, bounds or Bounds(steps=4, reply_tokens=3_000), _only_place(task), fence)
        single.sampled(temperature, seed)
        return _judged(single.run(messages, lambda c: candidate(c, model.name, tier), try_out, stop, on_event))
    ended = run_loop(
        model,
        messages,
        toolbox,
        bounds or Bounds(),
        tools=mode,
        check=lambda: _missing(task, toolbox),
        fence=fence,
        purpose="coder",
        temperature=temperature,
        seed=seed,
        stop=stop,
        on_event=on_event,
    )
    changes = toolbox.changes()
    made = (candidate(changes, model.name, tier),) if changes is not None else ()
    return CoderResult(
        made, ended.said, ended.steps, ended.usage, ended.stopped, ended.reason, toolbox.observation if made else None
    )


def _judged(single: Single) -> CoderResult:
    """Return the candidates of a single reply and its repairs, those that passed first."""
    tried = sorted(single.tried, key=lambda one: (one[1] is None, one[1].bad if one[1] is not None else 0))
    return CoderResult(
        tuple(dict.fromkeys(one for one, _ in tried)),
        single.said,
        single.calls,
        single.usage,
        single.stopped,
        single.reason,
        tried[0][1] if tried else None,
    )


def candidate(changes: Changes, name: str, tier: int) -> Candidate:
    """Return the candidate that a model's changes are."""
    paths = changes.paths
    what = ", ".join(paths[:4]) + (f" and {len(paths) - 4} more" if len(paths) > 4 else "")
    return Candidate(
        changes.edits, f"coder:{name}", f"change {what}", tier=tier, created=changes.created, deleted=changes.deleted
    )


def _messages(task: Task, toolbox: Toolbox, prompt: str, fence: Fence) -> tuple[Message, ...]:
    step = "\n".join([task.goal or "The whole request.", *(f"- {one}" for one in task.criteria)])
    places = shown(toolbox.base, task.places, task.snippets, whole=prompt == "coder_single")
    failures = "\n".join(one.text(3) for one in task.failures[-2:])
    values = {
        "conventions": task.conventions or "(nothing is written down)",
        "request": task.request,
        "step": step,
        "places": places or "(not known: search)",
        "failures": failures or "(none yet)",
    }
    return load(prompt).fill(values, fence)


def _missing(task: Task, toolbox: Toolbox) -> Objection | None:
    """Return why the task cannot be done yet: nothing was changed, or tests fail that did not before."""
    if toolbox.changes() is None:
        return Objection("nothing was changed yet: make the change, or say plainly why it cannot be done")
    if not toolbox.runs_tests:
        return None
    try:
        found = toolbox.test()
    except ReplyRefused as refused:
        return Objection("the tests cannot be run any more", str(refused))
    new = [failure.node_id for failure in found.failures if failure.node_id not in task.failing_before]
    if not new and not found.missing and (found.complete or not found.failures):
        return None
    return Objection("tests fail that must pass", found.text(3))


def _only_place(task: Task) -> tuple[str, str] | None:
    """Return path and qualified name where the task is about exactly one function."""
    named: Sequence[str] = [place for place in task.places if "::" in place]
    if len(task.places) != 1 or not named:
        return None
    path, _, function = named[0].partition("::")
    return path, function
