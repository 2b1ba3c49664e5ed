"""The typed tools: what a model may do in its own sandbox, with bounded arguments and bounded results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from agents.models.protocol import Tool, ToolCall
from agents.observations import Observation
from agents.permissions import Guard
from agents.replies import Changes
from sandbox.protocol import Workspace
from sandbox.runners.report import Harness
from sandbox.tree import Tree

ToolName = Literal["read", "outline", "search", "references", "edit", "run_tests", "run_command"]


class Found(Protocol):
    """A place that an index found."""

    @property
    def path(self) -> str: ...
    @property
    def first(self) -> int: ...
    @property
    def last(self) -> int: ...
    @property
    def symbol(self) -> str: ...
    @property
    def text(self) -> str: ...


class Index(Protocol):
    """What the tools ask of an index of the base tree; `agents.context.index` has it. Paths edited since are stale."""

    def search(self, query: str, limit: int, /) -> Sequence[Found]: ...


@dataclass(frozen=True, slots=True)
class ToolLimits:
    """Bounds on every call."""

    lines: int = 250
    """Of a file in one result."""
    characters: int = 12_000
    """Of one result."""
    hits: int = 40
    test_seconds: float = 120.0
    """Of one run of tests."""
    command_seconds: float = 60.0
    replacement_characters: int = 60_000


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call came to; `text` is untrusted, as it may quote files and output."""

    text: str
    ok: bool = True
    """False where the call was refused or could not be made as asked."""
    label: str = ""
    """What it is, where it is left out."""


class Toolbox:
    """The tools of one agent, on its own workspace and on the tree as edited so far; not safe for threads."""

    def __init__(
        self,
        tree: Tree,
        workspace: Workspace | None = None,
        harness: Harness | None = None,
        *,
        index: Index | None = None,
        guard: Guard | None = None,
        limits: ToolLimits = ToolLimits(),
        writable: bool = True,
        tests: Sequence[str] = (),
    ) -> None:
        """Begin with `tree`, which `workspace` was opened with.

        Without a workspace and a harness nothing can be run; without `writable` nothing edited. `tests` are what
        `run_tests` runs where the model names none; empty runs all.
        """
        raise NotImplementedError

    @property
    def tree(self) -> Tree:
        """The tree as edited so far."""
        raise NotImplementedError

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The tools that can be used here, always in the same order."""
        raise NotImplementedError

    @property
    def observation(self) -> Observation | None:
        """The last test run, if the tree has not changed since."""
        raise NotImplementedError

    def call(self, call: ToolCall) -> ToolResult:
        """Do what a checked call asks for; whatever is wrong with it is a result that says so.

        Raises:
            SandboxBroken: the workspace has gone.

        """
        raise NotImplementedError

    def changes(self) -> Changes | None:
        """Return what was changed since the beginning, None where that is nothing."""
        raise NotImplementedError
