"""The compact prompts for one function, and how long an answer may be."""

from __future__ import annotations

from dataclasses import dataclass

from agents.fixes import evidence
from agents.fixes.answers import REPLACE_END
from agents.fixes.places import Place
from agents.fixes.problem import FixBounds
from agents.models.prompts import Fence, load
from agents.models.protocol import Message, message
from agents.observations import Observation, short
from agents.repair.problem import RepairProblem

_CHARACTERS = 3.0
"""A token, at least, in code."""
_WINDOW = 30
"""Lines shown around suspicious ones of a place that is too long to be shown whole."""
_ISSUE = 600
_BLOCK_TOKENS = 500


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt for one place."""

    place: Place
    messages: tuple[Message, ...]
    whole: bool
    """Whether the answer is the function whole, else blocks."""
    max_tokens: int
    halts: tuple[str, ...]


def first(problem: RepairProblem, place: Place, bounds: FixBounds, fence: Fence) -> Asked:
    """Return the prompt that asks about a place for the first time."""
    whole = place.unit.kind != "module" and place.length <= bounds.whole_lines
    tests = evidence.told(problem.tree, evidence.relevant(problem, place)).rstrip()
    values = {"case": f"{_about(problem, place)}\n```python\n{_shown(place, bounds).rstrip()}\n```\n{tests}"}
    messages = load("bugfixer" if whole else "bugfixer_blocks").fill(values, fence)
    if not whole:
        return Asked(place, messages, whole, min(bounds.reply_tokens, _BLOCK_TOKENS), (f"\n{REPLACE_END}",))
    tokens = int(1.35 * len(place.text) / _CHARACTERS) + 60
    return Asked(place, messages, whole, min(bounds.reply_tokens, tokens), ("\n```\n",))


def again(asked: Asked, problem: RepairProblem, answer: str, seen: Observation, fence: Fence) -> Asked:
    """Return the prompt that tells how the answer failed; the conversation's beginning stays the same."""
    values = {"failure": evidence.told(problem.tree, seen.failures, 1) if seen.failures else seen.text(0)}
    more = load("bugfixer_again").fill(values, fence)
    messages = (*asked.messages, message("assistant", answer.strip() + "\n"), *more)
    return Asked(asked.place, messages, asked.whole, asked.max_tokens, asked.halts)


def _shown(place: Place, bounds: FixBounds) -> str:
    """Return the place's source, only parts of it where it is long."""
    lines = place.text.splitlines()
    room = int(bounds.prompt_tokens * _CHARACTERS * 0.6)
    if len(place.text) <= room and place.unit.kind != "module":
        return place.text
    wanted: set[int] = set()
    for line in sorted(place.lines, key=lambda one: (-place.lines[one], one)):
        near = range(max(1, line - place.unit.first_line + 1 - _WINDOW), line - place.unit.first_line + 2 + _WINDOW)
        if sum(len(lines[n - 1]) + 1 for n in wanted.union(near) if n <= len(lines)) > room:
            break
        wanted.update(n for n in near if n <= len(lines))
    if not wanted:
        return short(place.text, 400, room)
    rows: list[str] = []
    last = 0
    for number in sorted(wanted):
        if number > last + 1:
            rows.append(f"# [lines {last + 1} to {number - 1} are not shown]")
        rows.append(lines[number - 1])
        last = number
    return "\n".join(rows) + "\n"


def _about(problem: RepairProblem, place: Place) -> str:
    rows = [f"{place.unit.qualname} in {place.unit.path}"]
    if place.worst:
        shown = [f"{place.file.line_text(line).strip()[:100]}" for line in place.worst]
        rows.append("Most suspicious lines:\n" + "\n".join(f"  {line}" for line in shown))
    if context := evidence.around(place.file, place.unit):
        rows.append(f"Also in the file:\n{context}")
    if problem.issue.strip():
        rows.append(f"The report says:\n{short(problem.issue, 12, _ISSUE)}")
    return "\n".join(rows)
