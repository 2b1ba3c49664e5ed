"""Plans: says what kind of task a request is, asks back, splits it into steps, and makes another plan on evidence.

Without a model, and where a model's replies cannot be used, the rules of `agents.triage` plan a single step.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from agents.asking import Asker, Unanswered
from agents.asking_forms import Sentence, Shape, Short, one_line, reader, same_script, schema_of
from agents.plan_text import PlanTextError, parse_plan, plan_text
from agents.replies import ReplyRefused
from agents.results import Evidence, Failure, Kind, Plan, PlanRefused, Questions, Step, Unchanged
from agents.triage import STANDING, PlanTask, kind_of, rule_plan, unclear
from sandbox.errors import UnsafePath
from sandbox.tree import checked_path

__all__ = ["PlanTask", "PlanTextError", "kind_of", "parse_plan", "plan", "plan_text", "replan", "revise"]

_MAX_TOKENS = 1500
_SHOWN_TESTS = 12
_SHOWN_EVIDENCE = 12


class _Step(Shape):
    goal: Sentence
    places: Annotated[tuple[Short, ...], Field(max_length=12)] = ()
    criteria: Annotated[tuple[Sentence, ...], Field(max_length=10)] = ()


class _Plan(Shape):
    kind: Kind
    restated: Sentence
    questions: Annotated[tuple[Sentence, ...], Field(max_length=5)] = ()
    steps: Annotated[tuple[_Step, ...], Field(max_length=8)] = ()


def plan(task: PlanTask, asker: Asker | None) -> Plan | Questions:
    """Return the steps for a task, or what has to be asked first.

    A request that says nothing is asked back without the model; failing tests without a text need none either.

    Raises:
        ModelError: the model did not answer at all.

    """
    if asker is None or not task.text.strip():
        return rule_plan(task)
    missing = unclear(task)
    if missing is not None:
        return missing
    check = _Check(task)
    try:
        asked = asker.ask(
            "planner", _values(task), reader(_Plan, check), max_tokens=_MAX_TOKENS, schema=schema_of(_Plan)
        )
    except Unanswered as unanswered:
        return rule_plan(task, f"Planned by rules, because {one_line(str(unanswered), 300)}.")
    return replace(asked.value, origin=asked.model)


def replan(
    task: PlanTask, before: Plan, evidence: Sequence[Evidence], asker: Asker | None
) -> Plan | Questions | Unchanged:
    """Return another plan, in view of what came of the steps of the first.

    Raises:
        ModelError: the model did not answer at all.

    """
    happened = "\n".join(
        f"step {one.step + 1}: {one.reason}: {one_line(one.sentence, 400)}" for one in evidence[-_SHOWN_EVIDENCE:]
    )
    return _again(task, before, happened, asker)


def revise(task: PlanTask, before: Plan, refused: PlanRefused, asker: Asker | None) -> Plan | Questions | Unchanged:
    """Return another plan, in view of a person's reason for refusing the first.

    Raises:
        ModelError: the model did not answer at all.

    """
    return _again(task, before, f"The person who asked refuses this plan: {refused.reason[:4000]}", asker)


def _again(task: PlanTask, before: Plan, happened: str, asker: Asker | None) -> Plan | Questions | Unchanged:
    if asker is None:
        return Unchanged("Without a model there is no other plan.")
    values = _values(task) | {"old_plan": _shown(before), "what_happened": happened or "nothing was reached"}
    try:
        asked = asker.ask(
            "planner", values, reader(_Plan, _Check(task, before)), max_tokens=_MAX_TOKENS, schema=schema_of(_Plan),
            prompt="planner_again",
        )  # fmt: skip
    except Unanswered as unanswered:
        return Unchanged(f"There is no other plan: {one_line(str(unanswered), 300)}.")
    return replace(asked.value, origin=asked.model)


def _shown(before: Plan) -> str:
    """Return a plan in the words of the reply's form, short."""
    lines = [f"kind: {before.kind}", f"restated: {before.restated}"]
    for step in before.steps:
        lines += [f"- goal: {step.goal}", f"  places: {'; '.join(step.places)}"]
        lines += [f"  - {sentence}" for sentence in step.criteria if sentence not in STANDING]
    return "\n".join(lines)


def _values(task: PlanTask) -> dict[str, str]:
    kind = f"The person says that it is a {task.kind}.\n" if task.kind else ""
    tests = f"{task.passing} tests pass; {len(task.failing)} fail" + (":" if task.failing else ".")
    history = "".join(
        f"You asked: {one_line(question, 400)}\nThe person answered: {one_line(answer, 2000)}\n"
        for question, answer in task.answers[-10:]
    )
    return {
        "kind_line": kind, "request": task.text, "tests_line": tests,
        "failing_tests": "\n".join(_failure_line(failure) for failure in task.failing[:_SHOWN_TESTS]),
        "repository": task.outline, "conventions": task.conventions, "history": history,
    }  # fmt: skip


def _failure_line(failure: Failure) -> str:
    return f"{one_line(failure.node_id, 200)}: {one_line(failure.exception, 80)}: {one_line(failure.message, 200)}"


class _Check:
    """Makes a plan of a reply; what it may be forgiven the second time, it is told the first."""

    def __init__(self, task: PlanTask, before: Plan | None = None) -> None:
        self._task = task
        self._before = before
        self._told = False

    def __call__(self, written: _Plan) -> Plan | Questions:
        task = self._task
        if not same_script(task.text, written.restated):
            raise ReplyRefused("malformed", "write `restated` and everything else in the language of the request")
        if written.questions and not written.steps:
            return Questions(written.questions, "The request cannot be understood as it is.")
        kind = task.kind or written.kind
        notes = [f"Open question: {question}" for question in written.questions]
        if not written.steps:
            if kind != "question":
                raise ReplyRefused("malformed", "give at least one step, or a question if it cannot be understood")
            steps: tuple[Step, ...] = (Step(f"answer: {written.restated}", (), ()),)
        else:
            steps = tuple(self._step(step, notes) for step in written.steps)
        if task.kind and written.kind != task.kind:
            notes.append(f"The model took it for a {written.kind}.")
        before = self._before
        if before is not None and kind == before.kind and _core(steps) == _core(before.steps):
            raise ReplyRefused("no change", "this is the plan that did not do: change the steps or their places")
        if kind != "question":
            last = steps[-1]
            targets = tuple(failure.node_id for failure in task.failing)
            criteria = (*last.criteria, *(s for s in STANDING if s not in last.criteria))
            steps = (*steps[:-1], replace(last, targets=targets, criteria=criteria))
        return Plan(steps, kind, written.restated, notes=tuple(notes))

    def _step(self, written: _Step, notes: list[str]) -> Step:
        places = []
        for place in dict.fromkeys(written.places):
            try:
                if place:
                    places.append(self._place(place))
            except ReplyRefused as refused:
                if not self._told:
                    self._told = True
                    raise
                notes.append(f"Left out of the plan: {one_line(str(refused), 200)}.")
        return Step(written.goal, (), written.criteria, tuple(dict.fromkeys(places)))

    def _place(self, place: str) -> str:
        """Return a place with the path as the repository has it."""
        known = self._task.paths
        path, _, name = place.strip("`'\" ").partition("::")
        path = path.removeprefix("./").strip()
        try:
            path = checked_path(path)
        except UnsafePath as error:
            raise ReplyRefused("unknown path", f"{error}: places are paths from the repository's top") from None
        if known and path not in known:
            ends = [one for one in known if one.endswith(f"/{path}")]
            folder = path.rpartition("/")[0]
            if len(ends) == 1:
                path = ends[0]
            elif not folder or not any(one.startswith(f"{folder}/") for one in known):
                near = difflib.get_close_matches(path, list(known), n=2)
                hint = f"; did you mean {' or '.join(near)}?" if near else ""
                raise ReplyRefused("unknown path", f"there is no file {path!r} and no such folder{hint}")
        return f"{path}::{name.strip()}" if name.strip() else path


def _core(steps: Sequence[Step]) -> list[tuple[str, tuple[str, ...]]]:
    return [(" ".join(step.goal.lower().split()), step.places) for step in steps]
