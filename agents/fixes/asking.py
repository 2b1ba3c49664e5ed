"""Asks a model for repairs, one function at a time, and stops as soon as enough of them pass."""

from __future__ import annotations

import ast
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Event
from typing import Literal

from agents.edits import apply_candidate
from agents.errors import EditError
from agents.fixes import evidence, prompts
from agents.fixes.answers import read_answer
from agents.fixes.places import Place, places
from agents.fixes.problem import Attempt, FixBounds, FixEvent, FixResult, FixStopped, Hints, OnFixEvent, TryOut
from agents.models.deadline import Deadlined
from agents.models.errors import CallCancelled, CallOverdue, CapReached, ContextTooLong, ModelError, ReplyError
from agents.models.prompts import Fence
from agents.models.protocol import ChatModel, ChatReply, ChatRequest, Usage
from agents.observations import Observation
from agents.repair.checks import meaning
from agents.repair.localise import is_test_path
from agents.repair.problem import RepairProblem
from agents.replies import ReplyRefused, TreeTexts
from agents.results import Candidate
from sandbox.syntax import parse

_AGAIN = 0.5
"""What a place is worth after each call about it, relative to before."""
_TEMPERATURE = 0.8
Kind = Literal["first", "sample", "reflection"]


@dataclass(frozen=True, slots=True)
class _Best:
    """The candidate that came nearest, and the conversation that led to it."""

    asked: prompts.Asked
    answer: str
    observation: Observation


class Asking:
    """One bounded conversation with a model about one problem."""

    def __init__(
        self,
        problem: RepairProblem,
        model: ChatModel,
        try_out: TryOut,
        bounds: FixBounds,
        hints: Hints,
        *,
        tier: int,
        seed: int,
        fence: Fence,
        stop: Event | None,
        on_event: OnFixEvent | None,
    ) -> None:
        """Prepare; see `agents.bugfixer.propose_fixes`."""
        self._problem, self._try_out, self._bounds = problem, try_out, bounds
        self._model = Deadlined(model, bounds.seconds)
        self._hints, self._tier, self._seed, self._fence = hints, tier, seed, fence
        self._stop, self._on_event = stop, on_event
        self._texts = TreeTexts(problem.tree)
        self._attempts: list[Attempt] = []
        self._passing: list[Candidate] = []
        self._failing: list[tuple[int, Candidate]] = []
        self._usage = Usage(0, 0)
        self._seen: set[object] = set()
        self._asked: Counter[str] = Counter()
        self._reflections = 0
        self._best: _Best | None = None
        self._before = {f.node_id: (f.exception, f.message) for f in evidence.failures_of(problem)}
        self._end = time.monotonic() + bounds.seconds

    def run(self) -> FixResult:
        """Ask until enough passes, or a bound is reached."""
        found = places(self._problem, self._hints, self._bounds.places)
        if not found:
            return self._ended("no place", "no function is suspected that may be changed")
        self._seen.update(_meaning(place.file.text) for place in found)
        while (over := self._over()) is None:
            asked, kind = self._next(found)
            try:
                reply = self._ask(asked, kind)
            except ReplyError as error:
                self._note(asked.place, kind, None, refused=str(error))
                continue
            except ModelError as error:
                return self._ended(_why(error), str(error))
            self._take(asked, kind, reply)
        return self._ended(*over)

    def _over(self) -> tuple[FixStopped, str] | None:
        bounds = self._bounds
        if len(self._passing) >= bounds.enough:
            return "passed", ""
        if self._stop is not None and self._stop.is_set():
            return "interrupted", ""
        if len(self._attempts) >= bounds.samples:
            return "samples", f"{len(self._attempts)} answers were tried"
        if self._usage.total >= bounds.tokens:
            return "tokens", f"{self._usage.total:,} tokens were used"
        if time.monotonic() >= self._end:
            return "seconds", f"the time of {bounds.seconds:.0f} s was over"
        return None

    def _next(self, found: tuple[Place, ...]) -> tuple[prompts.Asked, Kind]:
        best = self._best
        if best is not None and self._reflections < self._bounds.reflections:
            self._reflections += 1
            self._best = None
            return prompts.again(best.asked, self._problem, best.answer, best.observation, self._fence), "reflection"
        place = max(found, key=lambda one: one.score * _AGAIN ** self._asked[one.name])
        kind: Kind = "sample" if self._asked[place.name] or self._bounds.sampled else "first"
        self._asked[place.name] += 1
        return prompts.first(self._problem, place, self._bounds, self._fence), kind

    def _ask(self, asked: prompts.Asked, kind: Kind) -> ChatReply:
        self._tell("asking", f"asking {self._model.name} about {asked.place.name}")
        request = ChatRequest(
            asked.messages,
            asked.max_tokens,
            temperature=0.0 if kind != "sample" else _TEMPERATURE,
            seed=self._seed + len(self._attempts),
            halts=asked.halts,
            purpose="bugfixer",
        )
        reply = self._model.complete(request, stop=self._stop)
        used = reply.usage or _guessed(request, reply)
        self._usage += used
        return reply

    def _take(self, asked: prompts.Asked, kind: Kind, reply: ChatReply) -> None:
        """Read an answer, and try it out where it is a candidate that was not tried before."""
        try:
            candidate = self._candidate(asked, reply)
        except EditError as refused:
            self._note(asked.place, kind, reply.usage, refused=str(refused))
            self._tell("refused", f"the answer cannot be used: {refused}")
            return
        self._tell("trying", candidate.description, candidate)
        seen = self._try_out(candidate)
        self._attempts.append(Attempt(asked.place.name, kind, reply.usage, candidate, seen))
        if seen.ok:
            self._passing.append(candidate)
            self._tell("passed", candidate.description, candidate)
            return
        self._failing.append((seen.bad, candidate))
        self._tell("failed", f"{candidate.description}: {seen.text(0).splitlines()[0]}", candidate)
        if self._nearer(seen):
            self._best = _Best(asked, reply.text, seen)

    def _candidate(self, asked: prompts.Asked, reply: ChatReply) -> Candidate:
        """Return what an answer asks for.

        Raises:
            EditError: it asks for nothing that can be done, that may be done, or that is new.

        """
        halted = reply.finish == "stop"
        changes = read_answer(reply.text, asked.place, self._texts, whole=asked.whole, halted=halted)
        candidate = Candidate(
            changes.edits,
            f"bugfixer:{self._model.name}",
            f"change {asked.place.unit.qualname} in {asked.place.unit.path}",
            tier=self._tier,
        )
        if any(not self._problem.permits(path) or is_test_path(path) for path in changes.paths):
            raise ReplyRefused("read-only", "the answer changes files that may not be changed")
        if changes.created or changes.deleted:
            raise ReplyRefused("read-only", "the answer adds or removes files")
        if candidate.id in self._problem.refused:
            raise ReplyRefused("no change", "the answer is a candidate that was refused before")
        path = asked.place.unit.path
        key = _meaning(TreeTexts(apply_candidate(self._problem.tree, candidate))[path])
        if key in self._seen:
            raise ReplyRefused("no change", "the answer means the same as the code does already, or as one before it")
        self._seen.add(key)
        return candidate

    def _nearer(self, seen: Observation) -> bool:
        """Whether a failure tells more than the base's own: fewer tests fail, or one of them in another way."""
        if seen.bad < min([len(self._before), *(bad for bad, _ in self._failing[:-1])]):
            return True
        if seen.bad > len(self._before) or not seen.complete:
            return False
        return any((f.exception, f.message) != self._before.get(f.node_id) for f in seen.failures)

    def _note(self, place: Place, kind: Kind, usage: Usage | None, *, refused: str) -> None:
        self._attempts.append(Attempt(place.name, kind, usage, refused=refused))

    def _tell(
        self,
        kind: Literal["asking", "refused", "trying", "failed", "passed", "ended"],
        text: str,
        candidate: Candidate | None = None,
    ) -> None:
        if self._on_event is not None:
            self._on_event(FixEvent(kind, text, len(self._attempts), self._usage.total, candidate))

    def _ended(self, stopped: FixStopped, reason: str) -> FixResult:
        failing = [candidate for _, candidate in sorted(self._failing, key=lambda one: one[0])]
        self._tell("ended", reason or stopped)
        return FixResult(
            (*self._passing, *failing), len(self._passing), tuple(self._attempts), self._usage, stopped, reason
        )


def _why(error: ModelError) -> FixStopped:
    if isinstance(error, CallOverdue):
        return "seconds"
    if isinstance(error, CallCancelled):
        return "interrupted"
    if isinstance(error, CapReached):
        return "cap"
    return "context" if isinstance(error, ContextTooLong) else "model"


def _guessed(request: ChatRequest, reply: ChatReply) -> Usage:
    prompt = sum(len(one.text) for one in request.messages)
    return Usage(prompt // 3 + 1, len(reply.text) // 3 + 1, exact=False)


def _meaning(text: str) -> object:
    """Return what a module does, whatever its comments and docstrings say; its text where it does not compile."""
    try:
        tree = parse(text)
        for node in _documented(tree):
            node.body[0:1] = [] if len(node.body) > 1 else [ast.copy_location(ast.Pass(), node.body[0])]
        return meaning(compile(tree, "<candidate>", "exec", dont_inherit=True))
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return text


def _documented(tree: ast.Module) -> Iterator[ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) or not node.body:
            continue
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            yield node
