"""The tools' arguments, typed and bounded, and how they are described to models."""

from __future__ import annotations

import shlex
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.models.protocol import Tool
from agents.replies import ReplyRefused

_PATH = Field(max_length=500, description="relative to the repository's top")
_SHELL = frozenset({"&&", "||", "|", ";", "&", ">", ">>", "<", "<<", "2>", "2>&1", "&>"})
MOST_TESTS = 60


class Arguments(BaseModel):
    """What every tool's arguments have in common: nothing unknown is taken, and no value is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Read(Arguments):
    """Show lines of a file, numbered; of a folder, what is in it."""

    path: Annotated[str, _PATH]
    first: Annotated[int, Field(ge=1, le=10_000_000, description="first line")] = 1
    last: Annotated[int, Field(ge=0, le=10_000_000, description="last line; 0 shows as many as fit")] = 0


class Outline(Arguments):
    """List the classes and functions of a file with their lines; without a path, the files of the repository."""

    path: Annotated[str, Field(max_length=500, description="file or folder; empty for the whole repository")] = ""


class Search(Arguments):
    """Find text in the repository's files."""

    query: Annotated[str, Field(min_length=1, max_length=300, description="text as it stands, or words")]
    path: Annotated[str, Field(max_length=500, description="file or folder to search in; empty for all")] = ""


class References(Arguments):
    """Find where a function, class, method or variable is defined and used."""

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z_][\w.]*$", description="its name")]


class EditFile(Arguments):
    """Replace lines of a file; give them exactly as they stand there, without line numbers, and only once."""

    path: Annotated[str, _PATH]
    search: Annotated[str, Field(max_length=60_000, description="the old lines; empty makes a new file")] = ""
    replace: Annotated[str, Field(max_length=60_000, description="the new lines; empty takes the old ones out")] = ""
    delete_file: Annotated[bool, Field(description="true removes the whole file")] = False


class RunTests(Arguments):
    """Run tests on the files as they are now, and see which fail and how."""

    tests: Annotated[
        str, Field(max_length=4_000, description="files or node ids, separated by spaces; empty for the task's own")
    ] = ""

    def names(self) -> tuple[str, ...]:
        """Return what was asked for.

        Raises:
            ReplyRefused: it is not a list of tests.

        """
        # A parameter set may hold spaces, so brackets keep a node id together.
        names: list[str] = []
        for word in self.tests.replace(",", " ").split() if "[" not in self.tests else self.tests.splitlines():
            name = word.strip().strip("`'\"")
            if name.startswith(("-", "/")) or ".." in name.split("/"):
                raise ReplyRefused("malformed", f"{name!r} is no test: name files or node ids inside the repository")
            if name:
                names.append(name)
        if len(names) > MOST_TESTS:
            raise ReplyRefused("malformed", f"at most {MOST_TESTS} tests or files at a time; leave them out to run all")
        return tuple(names)


class RunCommand(Arguments):
    """Run one program on a copy of the files as they are now; what it writes is thrown away. No shell, no network."""

    command: Annotated[str, Field(min_length=1, max_length=8_000, description="the program and its arguments")]
    seconds: Annotated[int, Field(ge=1, le=600, description="longest time")] = 30

    def argv(self) -> tuple[str, ...]:
        """Return the program and its arguments.

        Raises:
            ReplyRefused: it does not split into words, or needs a shell.

        """
        try:
            words = shlex.split(self.command)
        except ValueError as error:
            raise ReplyRefused("malformed", f"the command does not split into words: {error}") from None
        shell = [word for word in words if word in _SHELL]
        if shell:
            raise ReplyRefused("malformed", f"there is no shell for {shell[0]!r}: run one program at a time")
        if not words or "\0" in self.command:
            raise ReplyRefused("malformed", "the command is empty, or holds a NUL")
        return tuple(words)


MODELS: dict[str, type[Arguments]] = {
    "read": Read,
    "outline": Outline,
    "search": Search,
    "references": References,
    "edit": EditFile,
    "run_tests": RunTests,
    "run_command": RunCommand,
}
"""In the order in which models are told of them."""
READING = ("read", "outline", "search", "references")
EDITING = ("edit",)
RUNNING = ("run_tests", "run_command")


@lru_cache
def tool(name: str) -> Tool:
    """Return the tool of that name as models see it."""
    model = MODELS[name]
    schema: dict[str, Any] = model.model_json_schema()
    properties = {
        key: {k: v for k, v in value.items() if k in {"type", "description"}}
        for key, value in schema["properties"].items()
    }
    parameters = {
        "type": "object",
        "properties": properties,
        "required": schema.get("required", []),
        "additionalProperties": False,
    }
    return Tool(name, " ".join((model.__doc__ or "").split()), parameters)


def arguments(name: str, text: str) -> Arguments:
    """Return a call's arguments, read from its JSON text.

    Raises:
        ReplyRefused: they do not fit; the message tells the model why.

    """
    try:
        return MODELS[name].model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ReplyRefused("malformed", f"{name}: {where or 'arguments'}: {first['msg']}") from None
