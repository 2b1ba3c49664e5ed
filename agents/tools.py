"""The typed tools: what a model may do in its own sandbox, with bounded arguments and bounded results."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agents import tools_arguments, tools_reading, tools_running
from agents.edits import decode
from agents.errors import EditError
from agents.models.protocol import Tool, ToolCall
from agents.observations import Observation
from agents.permissions import Guard
from agents.replies import Changes, Draft, ReplyRefused, TreeTexts, edits_between, read_changes, split_lines
from agents.replies_search import Block, apply_block
from agents.results import Edit, NewFile
from agents.tools_arguments import Arguments
from agents.tools_reading import Index
from sandbox.errors import UnsafePath
from sandbox.protocol import Workspace
from sandbox.runners.report import Harness
from sandbox.tree import Tree

__all__ = ["Index", "ToolLimits", "ToolName", "ToolResult", "Toolbox", "changes_between"]

ToolName = Literal["read", "outline", "search", "references", "edit", "run_tests", "run_command"]
_AROUND = 3
"""Lines shown before and after what an edit changed."""
_MOST_SHOWN = 60
_NUMBERED = re.compile(r"^\s*\d+\| ?")


@dataclass(frozen=True, slots=True)
class ToolLimits:
    """Bounds on every call."""

    lines: int = 250
    """Of a file in one result."""
    characters: int = 12_000
    """Of one result."""
    hits: int = 40
    outline_tokens: int = 2_000
    """Of the whole repository's outline, where an index makes it."""
    test_seconds: float = 120.0
    """Of one run of tests."""
    command_seconds: float = 60.0


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
        self._base = self._tree = self._there = tree
        self._texts = TreeTexts(tree)
        self._workspace = workspace
        self._harness = harness
        self._index = index
        self._guard = guard or Guard(tree)
        self._limits = limits
        self._tests = tuple(tests)
        self._observed: tuple[Tree, Observation] | None = None
        names = [*tools_arguments.READING, *(tools_arguments.EDITING if writable else ())]
        if workspace is not None:
            names += ["run_tests", "run_command"] if harness is not None else ["run_command"]
        self._tools = tuple(tools_arguments.tool(name) for name in names)

    @property
    def base(self) -> Tree:
        """The tree that it began with."""
        return self._base

    @property
    def guard(self) -> Guard:
        """What may be changed."""
        return self._guard

    @property
    def tree(self) -> Tree:
        """The tree as edited so far."""
        return self._tree

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The tools that can be used here, always in the same order."""
        return self._tools

    @property
    def writable(self) -> bool:
        """Whether files can be edited."""
        return any(tool.name == "edit" for tool in self._tools)

    @property
    def runs_tests(self) -> bool:
        """Whether tests can be run."""
        return any(tool.name == "run_tests" for tool in self._tools)

    @property
    def observation(self) -> Observation | None:
        """The last run of the task's own tests, if the tree has not changed since."""
        return self._observed[1] if self._observed is not None and self._observed[0] is self._tree else None

    def call(self, call: ToolCall) -> ToolResult:
        """Do what a call asks for; whatever is wrong with it is a result that says so.

        Raises:
            SandboxBroken: the workspace has gone.

        """
        label = f"the result of {call.name}"
        if all(tool.name != call.name for tool in self._tools):
            names = ", ".join(tool.name for tool in self._tools)
            return ToolResult(f"There is no tool {call.name!r}; there are {names}.\n", ok=False, label=label)
        try:
            given = tools_arguments.arguments(call.name, call.arguments)
            label = _label(call.name, given)
            text = self._do(given)
        except (EditError, UnsafePath) as refused:
            return ToolResult(f"Refused: {refused}.\n", ok=False, label=label)
        return ToolResult(self._bounded(text), label=label)

    def edit_by(self, reply: str) -> str:
        """Make the changes that a reply's own blocks or diff ask for, and return what the files are now.

        Raises:
            ReplyRefused: they cannot be made exactly, or may not be made.

        """
        return self._take(read_changes(reply, self._texts, paths=lambda: iter(self._tree)))

    def test(self) -> Observation:
        """Run the task's own tests on the tree as it is.

        Raises:
            ReplyRefused: they cannot be run.
            SandboxBroken: the workspace has gone.

        """
        if (known := self.observation) is not None:
            return known
        found = self._observe(self._tests)
        self._observed = (self._tree, found)
        return found

    def changes(self) -> Changes | None:
        """Return what was changed since the beginning, None where that is nothing."""
        return changes_between(self._base, self._tree)

    def reset(self) -> None:
        """Take all edits back."""
        self._become(self._base)

    def _bounded(self, text: str) -> str:
        limit = self._limits.characters
        if len(text) <= limit:
            return text
        kept = text[: limit - 200]
        kept = kept[: kept.rfind("\n") + 1] or kept
        return f"{kept}[{len(text) - len(kept):,} more characters left out: ask for less at a time]\n"

    def _do(self, given: Arguments) -> str:
        tree, limits = self._tree, self._limits
        match given:
            case tools_arguments.Read():
                return tools_reading.show(tree, self._texts, given.path, given.first, given.last, limits.lines)
            case tools_arguments.Outline():
                return self._outline(given.path.strip())
            case tools_arguments.Search():
                return tools_reading.search(tree, given.query, given.path, limits.hits, self._index, self._base)
            case tools_arguments.References():
                return tools_reading.references(tree, given.name, limits.hits)
            case tools_arguments.EditFile():
                return self._edit(given)
            case tools_arguments.RunTests():
                names = given.names()
                return (self._observe(names) if names and names != self._tests else self.test()).text()
            case tools_arguments.RunCommand():
                return self._run(given)
        raise ReplyRefused("malformed", f"{type(given).__name__} is no tool")

    def _outline(self, path: str) -> str:
        """Return an outline, the index's where it knows more: of the whole repository, and of other languages."""
        tree, index = self._tree, self._index
        if index is not None and path in {"", "."} and tree is self._base:
            return index.outline(self._limits.outline_tokens)
        known = index is not None and tree.get(path) is not None and tree.get(path) == self._base.get(path)
        if index is not None and known and not path.endswith((".py", ".pyi")):
            return index.file_outline(path) or tools_reading.outline(tree, self._texts, path, self._limits.lines)
        return tools_reading.outline(tree, self._texts, path, self._limits.lines)

    def _edit(self, given: tools_arguments.EditFile) -> str:
        draft = Draft(self._texts, lambda: iter(self._tree))
        path = given.path.strip().removeprefix("./")
        if given.delete_file:
            if given.search or given.replace:
                raise ReplyRefused("ambiguous", "delete_file removes the whole file: leave out search and replace")
            draft.write(draft.existing(path), None)
        else:
            search, replace = split_lines(given.search), split_lines(given.replace)
            if search and all(_NUMBERED.match(line) for line in search if line.strip()):
                raise ReplyRefused("unmatched", "search holds line numbers, which are not in the file: leave them out")
            apply_block(Block(path, tuple(search), tuple(replace)), draft, path, "edit")
        return self._take(draft.changes())

    def _take(self, changes: Changes) -> str:
        """Make checked changes to the tree as it is, and show where."""
        self._guard.check(changes)
        before = self._texts
        self._become(changes.apply(self._tree))
        pieces = [f"{path} is removed.\n" for path in changes.deleted]
        pieces += [f"{new.path} is new, with {len(split_lines(new.text))} lines.\n" for new in changes.created]
        for path in dict.fromkeys(edit.path for edit in changes.edits):
            edits = [edit for edit in changes.edits if edit.path == path]
            pieces.append(_shown(path, before[path], self._texts[path], edits))
        return "".join(pieces)

    def _become(self, tree: Tree) -> None:
        self._tree = tree
        self._texts = TreeTexts(tree)

    def _observe(self, tests: Sequence[str]) -> Observation:
        if self._workspace is None or self._harness is None:
            raise ReplyRefused("malformed", "tests cannot be run here")
        tools_running.brought_to(self._workspace, self._there, self._tree)
        self._there = self._tree
        return tools_running.tests_in(self._workspace, self._harness, tests, self._limits.test_seconds)

    def _run(self, given: tools_arguments.RunCommand) -> str:
        """Run a command in a workspace of its own, so that nothing that it leaves can mislead later runs."""
        argv = given.argv()
        if self._workspace is None:
            raise ReplyRefused("malformed", "commands cannot be run here")
        with self._workspace.fork() as workspace:
            tools_running.brought_to(workspace, self._base, self._tree)
            seconds = min(float(given.seconds), self._limits.command_seconds)
            ended = tools_running.command_in(workspace, argv, seconds)
            return tools_running.told(ended, workspace, self._limits.characters)


def changes_between(base: Tree, now: Tree) -> Changes | None:
    """Return what turns one tree into the other, None where they are equal.

    Raises:
        EditError: a file that differs cannot be decoded, or changes in another way than its text.

    """
    edits: list[Edit] = []
    created: list[NewFile] = []
    deleted: list[str] = []
    for path in base.changed_paths(now):
        old, new = base.get(path), now.get(path)
        if new is None:
            deleted.append(path)
        elif old is None:
            created.append(NewFile(path, decode(new.data).text))
        else:
            edits += edits_between(path, decode(old.data).text, decode(new.data).text)
    return Changes(tuple(edits), tuple(created), tuple(deleted)) if edits or created or deleted else None


def _shown(path: str, before: str, after: str, edits: Sequence[Edit]) -> str:
    """Return the lines around what was edited, as they are now."""
    first = len(split_lines(before[: edits[0].start] + "x"))
    tail = len(split_lines(before)) - len(split_lines(before[: edits[-1].end]))
    lines = split_lines(after)
    low, high = max(1, first - _AROUND), min(len(lines), len(lines) - tail + _AROUND)
    if high - low >= _MOST_SHOWN:
        return f"{path} is changed between lines {low} and {high}.\n"
    return f"{path} is changed; lines {low} to {high} are now:\n{tools_reading.numbered(lines[low - 1 : high], low)}"


def _label(name: str, given: Arguments) -> str:
    values = [str(value) for value in given.model_dump(exclude_defaults=True).values()]
    return f"the result of {name} {' '.join(values)[:60]}".split("\n", 1)[0].rstrip()
