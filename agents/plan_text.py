"""A plan as text that a person edits, and that text as a plan again.

    kind: fix
    request: the total leaves tax out

    step: add tax to the total
      place: src/shop.py::Cart.total
      target: tests/test_shop.py::test_total
      done when: every target passes

    # refuse: instead of a plan, this line says why there should be another one

Lines that begin with `#` and empty lines are not read. A value that a line cannot hold is written as a JSON string.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import cast, get_args

from agents.errors import AgentError
from agents.results import Kind, Plan, PlanRefused, Step

MAX_LINES = 2_000
MAX_LINE = 4_000
MAX_STEPS = 40
_FIELD = re.compile(r"^(?P<indent>\s*)(?P<name>[A-Za-z][A-Za-z ]*?)\s*(?P<number>\d*)\s*:(?:\s+(?P<value>.*))?$")
_HEAD = """\
# Change what you like: lines can be edited, added and deleted; a line that begins with # is not read.
# To have another plan made, write a line  refuse: and why.
"""


class PlanTextError(AgentError):
    """A line of an edited plan is not understood; the message names it."""

    def __init__(self, line: int, message: str) -> None:
        """`line` counts from 1; 0 where it is about the whole."""
        super().__init__(f"line {line}: {message}" if line else message)
        self.line = line


def plan_text(plan: Plan) -> str:
    """Return the plan as text; `parse_plan` makes an equal plan of it."""
    lines = [_HEAD, f"kind: {plan.kind}", f"request: {_written(plan.restated)}"]
    for step in plan.steps:
        lines += ["", f"step: {_written(step.goal)}"]
        lines += [f"  place: {_written(place)}" for place in step.places]
        lines += [f"  target: {_written(target)}" for target in step.targets]
        lines += [f"  done when: {_written(sentence)}" for sentence in step.criteria]
    return "\n".join(lines) + "\n"


def _written(value: str) -> str:
    plain = value.isprintable() and value.strip() == value and not value.startswith('"') and len(value) < MAX_LINE
    return value if plain and value else json.dumps(value)


@dataclass
class _Draft:
    line: int
    goal: str
    places: list[str]
    targets: list[str]
    criteria: list[str]


def parse_plan(text: str, before: Plan) -> Plan | PlanRefused:
    """Return the plan that an edited text is; one that changes `before` has the origin `person`.

    Raises:
        PlanTextError: a line is not understood, or no step is left.

    """
    head: dict[str, str] = {}
    steps: list[_Draft] = []
    refused = ""
    lines = text.removeprefix("\ufeff").split("\n")
    if len(lines) > MAX_LINES:
        raise PlanTextError(0, f"the plan has more than {MAX_LINES:,} lines")
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\r")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, value = _field(number, line)
        if name == "refuse":
            refused = value
        elif name == "step":
            if len(steps) == MAX_STEPS:
                raise PlanTextError(number, f"a plan has at most {MAX_STEPS} steps")
            steps.append(_Draft(number, value, [], [], []))
        elif name in {"kind", "request"}:
            _set_head(head, number, name, value, inside=bool(steps))
        elif not steps:
            raise PlanTextError(number, f"`{name}:` belongs to a step, so a line `step: ...` has to come first")
        else:
            {"place": steps[-1].places, "target": steps[-1].targets, "done when": steps[-1].criteria}[name].append(
                value
            )
    if refused:
        return PlanRefused(refused)
    if not steps:
        raise PlanTextError(0, "the plan has no step left; to have another one made, write a line  refuse: and why")
    kind = cast("Kind", head.get("kind", before.kind))
    made = tuple(Step(s.goal, tuple(s.targets), tuple(s.criteria), tuple(s.places)) for s in steps)
    plan = replace(before, steps=made, kind=kind, restated=head.get("request", before.restated))
    return plan if plan == before else replace(plan, origin="person")


_NAMES = ("kind", "request", "step", "place", "target", "done when", "refuse")


def _field(number: int, line: str) -> tuple[str, str]:
    if len(line) > MAX_LINE:
        raise PlanTextError(number, f"it is longer than {MAX_LINE:,} characters")
    found = _FIELD.match(line)
    name = " ".join(found["name"].lower().split()) if found else ""
    if found is None or name not in _NAMES or (found["number"] and name != "step"):
        shown = line.strip()[:60]
        raise PlanTextError(number, f"{shown!r} does not begin with one of {', '.join(f'{n}:' for n in _NAMES)}")
    value = (found["value"] or "").strip()
    if value.startswith('"'):
        try:
            value = json.loads(value)
        except ValueError:
            raise PlanTextError(number, "a value that begins with a quotation mark has to be a JSON string") from None
        if not isinstance(value, str):
            raise PlanTextError(number, "a value that begins with a quotation mark has to be a JSON string")
    elif not value and name != "request":
        raise PlanTextError(number, f"`{name}:` needs something after it")
    return name, value


def _set_head(head: dict[str, str], number: int, name: str, value: str, *, inside: bool) -> None:
    if inside:
        raise PlanTextError(number, f"`{name}:` has to stand before the first step")
    if name in head:
        raise PlanTextError(number, f"`{name}:` stands twice")
    if name == "kind" and value not in get_args(Kind):
        raise PlanTextError(number, f"{value[:40]!r} is no kind; choose one of {', '.join(get_args(Kind))}")
    head[name] = value
