"""Explores one module in a workspace: what could be tests of it, what they run, and which faults they notice."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from sandbox.errors import SandboxBroken
from sandbox.probe import frames
from sandbox.protocol import Command, Process, Workspace
from sandbox.runners.report import Harness

_GRACE = 20.0
"""Seconds that the explorer may take beyond its time, for the import and its last words."""
_MOST, _LONGEST = 20_000, 4000
"""Messages that are taken, and characters of one text in them."""

Operation = Literal["do", "eq", "near", "is", "raises", "argv", "printed"]


class _Malformed(Exception):
    """The explorer, or what pretends to be it, said something that it never says."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A place whose running is noted."""

    kind: str
    """`line`, `branch` or `expression`."""
    line: int
    way: str
    """Which way a branch goes."""
    owner: str
    """Qualified name of the function or class around it, "" at the top of the module."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a test."""

    operation: Operation
    text: str
    """A statement for `do`, what is printed for `printed`, else the expression that is looked at (a statement may stand
    there for `raises`)."""
    want: str = ""
    """Source of the value, or of the exception's class."""
    message: str | None = None
    """What the exception's message holds."""
    words: tuple[str, ...] = ()
    """For `argv`: the command line."""
    alone: str = ""
    """Where nothing but None comes of it: the statement without a check."""
    view: bool = False
    """Whether it looks at an object after the deed, and not at what the deed gave."""


@dataclass(frozen=True, slots=True)
class Call:
    """A test that is one call of a function: its parts as source."""

    name: str
    args: tuple[str, ...]
    named: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What could be a test: it held in several fresh processes."""

    id: int
    target: str
    """Qualified name of the function or class that it is about."""
    lines: tuple[Line, ...]
    hits: frozenset[int]
    """Indices of the spots that it runs."""
    origin: str
    """`search`, `call` where others wrote the call, or `relation`."""
    names: Mapping[str, str]
    """Names that it uses → `own` of the module, or `module:NAME`."""
    call: Call | None = None


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation that held on every input tried, or nearly."""

    kind: str
    target: str
    text: str
    """Left side, with `{}` for the input."""
    right: str
    inputs: tuple[str, ...]
    held: int
    failed: int
    against: tuple[Mapping[str, str], ...]
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Doubt:
    """An example in the documentation that comes out otherwise."""

    target: str
    source: str
    wanted: str
    got: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the scenarios said of one mutant."""

    how: str
    """`judged`, `broken` or `not covered`."""
    killers: frozenset[int]


@dataclass(slots=True)
class Exploration:
    """Everything that came of exploring one module."""

    spots: tuple[Spot, ...] = ()
    imported: frozenset[int] = frozenset()
    """Spots that the import alone runs."""
    scenarios: dict[int, Scenario] = field(default_factory=dict)
    relations: list[Relation] = field(default_factory=list)
    kept_relations: dict[int, Relation] = field(default_factory=dict)
    """Those that held on every input, by the scenario that they are."""
    parameters: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Function → names of its positional parameters; one that takes any number begins with an asterisk."""
    doubts: list[Doubt] = field(default_factory=list)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    unsteady: dict[str, int] = field(default_factory=dict)
    """Target → scenarios that did not hold again."""
    reached: dict[str, dict[str, int]] = field(default_factory=dict)
    """Target → what it reached for that no test should → how often."""
    endless: dict[str, list[str]] = field(default_factory=dict)
    """Target → inputs on which it did not end."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Target → why it was given up."""
    targets: tuple[str, ...] = ()
    error: str = ""
    """Why the module could not be explored at all."""
    runs: int = 0
    finished: bool = False
    seconds: float = 0.0


def explore(
    workspace: Workspace,
    harness: Harness,
    module: str,
    path: str,
    *,
    seconds: float,
    seed: int = 1,
    sources: Sequence[str] = (),
    mutants: Sequence[Mapping[str, Any]] = (),
) -> Exploration:
    """Explore a module for about so many seconds.

    Args:
        workspace: where it runs.
        harness: from which folders the repository is imported.
        module: its dotted name.
        path: its file, relative to the work tree.
        seconds: for everything after the import.
        seed: of the search's dice.
        sources: texts in which calls of the module's functions are looked for.
        mutants: faults that scenarios should notice: `id`, `edits` (begin, end, replacement), `reach`, `unit`.

    Raises:
        SandboxBroken: the workspace has gone.

    """
    found = Exploration()
    order = {
        "module": module, "root": workspace.root, "path": path, "pythonpath": list(harness.pythonpath),
        "seconds": seconds, "seed": seed, "sources": [text[:200_000] for text in sources[:60]],
        "mutants": [dict(mutant) for mutant in mutants], "avoid": [],
    }  # fmt: skip
    began = time.monotonic()
    command = Command(
        (workspace.python, "-B", f"{workspace.probe}/explore.py"),
        env={"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", **dict(harness.env)},
        stdin=frames.encode(order), wall_seconds=seconds + 3 * _GRACE,
    )  # fmt: skip
    process = workspace.start(command)
    try:
        _listen(process, found, began + seconds + 2 * _GRACE)
    except (frames.FrameError, _Malformed, KeyError, TypeError, ValueError, AttributeError):
        found.error = found.error or "what it ran disturbed the explorer's messages"
    finally:
        completed = process.close()
    if not found.spots and not found.error:
        tail = completed.stderr.decode("utf-8", "replace").strip().splitlines()
        found.error = f"the explorer ended early ({completed.ended})" + (f": {tail[-1][:200]}" if tail else "")
    found.seconds = time.monotonic() - began
    return found


def _listen(process: Process, found: Exploration, deadline: float) -> None:
    decoder = frames.Decoder()
    count = 0
    while not found.finished and not found.error:
        left = deadline - time.monotonic()
        if left <= 0:
            return
        try:
            data = process.receive(min(left, 30.0))
        except TimeoutError:
            continue
        except SandboxBroken:
            raise
        if not data:
            return
        for message in decoder.feed(data):
            count += 1
            if count > _MOST:
                return
            _take(found, message)


def _take(found: Exploration, message: Mapping[str, Any]) -> None:
    kind = message["op"]
    if kind == "imported":
        found.spots = tuple(Spot(str(s[0]), int(s[1]), str(s[2]), str(s[3])) for s in message["spots"])
        found.imported = _hits(found, message["hits"])
    elif kind == "unimportable":
        found.error = _text(message["error"])
    elif kind == "found":
        scenario = _scenario(found, message)
        found.scenarios[scenario.id] = scenario
    elif kind == "unsteady":
        target = _text(message["target"])
        found.unsteady[target] = found.unsteady.get(target, 0) + 1
    elif kind == "relation":
        if int(message["id"]) < 0:
            found.relations.append(_relation(message))
        else:
            found.kept_relations[int(message["id"])] = _relation(message)
    elif kind == "judged":
        before = found.verdicts.get(str(message["mutant"]), Verdict("judged", frozenset())).killers
        killers = before | {int(number) for number in message["killers"]}
        found.verdicts[str(message["mutant"])] = Verdict(str(message["how"]), frozenset(killers))
    elif kind == "restarted":
        found.scenarios.clear()
        found.verdicts.clear()
        found.relations.clear()
        found.kept_relations.clear()
        ways = {"died": "it ended the process", "wall": "it hung", "cpu": "it hung"}
        how = ways.get(str(message["how"]), "it failed")
        if message["given_up"]:
            found.left_out[_text(message["target"])] = f"{how} while it was explored"
    elif kind == "finished":
        _finish(found, message)


def _finish(found: Exploration, message: Mapping[str, Any]) -> None:
    found.finished = True
    found.runs = int(message["runs"])
    for name, parameters in message.get("parameters", {}).items():
        found.parameters[_text(name)] = tuple(map(_text, parameters))
    found.targets = tuple(_text(name) for name in message.get("targets", ()))
    found.doubts = [Doubt(*(_text(doubt[k]) for k in ("target", "source", "wanted", "got")))
                    for doubt in message.get("doubts", ())]  # fmt: skip
    for target, reached in message.get("reached", {}).items():
        found.reached[_text(target)] = {_text(what): int(count) for what, count in reached.items()}
    for target, inputs in message.get("endless", {}).items():
        found.endless[_text(target)] = [_text(text) for text in inputs]
    for target, why in message.get("left_out", {}).items():
        found.left_out[_text(target)] = _text(why)


def _hits(found: Exploration, hits: Sequence[Any]) -> frozenset[int]:
    numbers = frozenset(int(hit) for hit in hits)
    if numbers and (min(numbers) < 0 or max(numbers) >= len(found.spots)):
        raise _Malformed
    return numbers


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Malformed
    return value[:_LONGEST]


def _scenario(found: Exploration, message: Mapping[str, Any]) -> Scenario:
    call = message.get("plain")
    return Scenario(
        int(message["id"]), _text(message["target"]), tuple(_line(line) for line in message["lines"]),
        _hits(found, message["hits"]), _text(message["origin"]), _names(message["names"]),
        None if call is None else Call(
            _text(call["name"]), tuple(map(_text, call["args"])),
            tuple((_text(key), _text(value)) for key, value in call["named"].items()),
        ),
    )  # fmt: skip


def _names(names: Mapping[str, Any]) -> Mapping[str, str]:
    return {_text(name): _text(kind) for name, kind in names.items()}


def _line(line: Mapping[str, Any]) -> Line:
    if "argv" in line:
        return Line("argv", "", words=tuple(map(_text, line["argv"])))
    if "printed" in line:
        return Line("printed", _text(line["printed"]))
    if "op" not in line:
        return Line("do", _text(line["do"]))
    if line["op"] not in ("eq", "near", "is", "raises"):
        raise _Malformed
    message = line.get("message")
    return Line(
        cast("Operation", line["op"]), _text(line["of"]), _text(line["want"]),
        None if message is None else _text(message), alone=_text(line.get("do", "")), view=bool(line.get("view")),
    )  # fmt: skip


def _relation(message: Mapping[str, Any]) -> Relation:
    return Relation(
        _text(message["kind"]), _text(message["target"]), _text(message["text"]), _text(message["right"]),
        tuple(map(_text, message["inputs"])), int(message["held"]), int(message["failed"]),
        tuple({_text(k): _text(v) for k, v in one.items()} for one in message["against"]), _names(message["names"]),
    )  # fmt: skip
