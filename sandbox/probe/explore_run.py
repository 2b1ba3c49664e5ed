"""Runs scenes and says what came of them: the marks that were hit, and lines of a test that would hold."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import linecache
import math
import traceback
import types
import warnings
from typing import Any, Dict, List, Optional, Set, Tuple

from .explore_guard import Forbidden, Guard, Quiet, Timer
from .explore_marks import Marks
from .explore_recipes import Builder, Unwritable, Writer, render
from .explore_scenes import OPERATIONS, Scene, Step, perform
from .explore_state import State
from .trial_wire import OutOfTime

SECONDS = 0.4
"""What a scene gets."""
ITEMS = 40
"""Elements that are taken of an iterator."""
_INCIDENTAL = ("TypeError", "AttributeError", "NameError", "UnboundLocalError", "RecursionError", "AssertionError",
               "MemoryError", "SystemError", "NotImplementedError", "ImportError", "ModuleNotFoundError")  # fmt: skip
_KEYED = {"__getitem__": (KeyError, IndexError), "__delitem__": (KeyError, IndexError), "__next__": (StopIteration,),
          ".pop": (KeyError, IndexError), ".popitem": (KeyError, IndexError), ".remove": (KeyError, ValueError),
          ".index": (ValueError,), ".popleft": (IndexError,), ".peekitem": (IndexError,),
          "__truediv__": (ZeroDivisionError,), "__floordiv__": (ZeroDivisionError,),
          "__mod__": (ZeroDivisionError,)}  # fmt: skip

Line = Dict[str, Any]
"""`do`: a statement; or `of`: an expression with `op` and `want`."""


class Outcome:
    """What one run of a scene gave."""

    __slots__ = ("changed", "ended", "error", "hits", "line", "printed", "raised", "step", "subject", "value", "values")

    def __init__(self) -> None:
        self.ended = "value"
        """`value`, `raised`, `time`, `memory`, `forbidden:WHAT`, or `unmade` where the object cannot be made."""
        self.value: Any = None
        self.values: List[Any] = []
        """Of every step that ended."""
        self.error: Optional[BaseException] = None
        self.raised = False
        """Whether the code itself raised the error, by a statement that does that."""
        self.line = 0
        self.step = 0
        """Index of the last step that was begun."""
        self.subject: Any = None
        self.changed: List[Tuple[str, Any]] = []
        """Arguments (`0`, `1`, or a name) of the last step that are not what they were, as they are now."""
        self.printed = ""
        self.hits: List[int] = []

    @property
    def sound(self) -> bool:
        """Whether the inputs were taken: no error, or one that the code raises itself."""
        return self.ended == "value" or (self.ended == "raised" and self.raised)


class Runner:
    """Runs scenes in this process."""

    def __init__(self, names: Dict[str, Any], marks: Marks, guard: Guard, timer: Timer, root: str, owner: str) -> None:
        self.builder = Builder(names)
        self.marks = marks
        self.guard = guard
        self.timer = timer
        self.writer = Writer(names, owner)
        self._root = root
        self.state: Optional[State] = None
        self.bare: Set[int] = set()
        """Lines that raise again what was caught."""
        self.docs: Dict[str, str] = {}
        """Documentation of targets by name."""

    def run(self, scene: Scene, seconds: float = SECONDS) -> Outcome:
        """Run a scene once."""
        try:
            return self._run(scene, seconds)
        except (OutOfTime, MemoryError):
            # The alarm rang, or memory ended, when the scene had just come to its end.
            found = Outcome()
            found.ended = "time"
            return found
        finally:
            self.timer.stop()

    def _run(self, scene: Scene, seconds: float) -> Outcome:
        found = Outcome()
        self.marks.clear()
        quiet = Quiet()
        try:
            with quiet, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.guard.arm()
                self.timer.start(seconds)
                try:
                    self._perform(scene, found)
                finally:
                    self.timer.stop()
        except Forbidden as refused:
            found.ended = "forbidden:%s" % refused
        except OutOfTime:
            found.ended = "time"
        except MemoryError:
            found.ended = "memory"
        except BaseException as error:
            found.error = error
            found.ended = "raised" if found.ended == "value" else found.ended
            self._look(found, error)
        self.timer.stop()
        self.guard.disarm()
        if self.state is not None and self.state.restore() and found.ended in ("value", "raised"):
            # Tests that change what others see would depend on their order.
            found.ended = "forbidden:the module's own state"
        if self.guard.reached and not found.ended.startswith("forbidden"):
            found.ended = "forbidden:%s" % self.guard.reached
        found.printed = quiet.out.getvalue()[:2000]
        found.hits = self.marks.taken()
        return found

    def _perform(self, scene: Scene, found: Outcome) -> None:
        import sys

        if scene.argv is not None:
            sys.argv = list(scene.argv)
        holds: Dict[str, Any] = {}
        if scene.start is not None:
            found.ended = "unmade"
            holds["subject"] = self.builder.build(scene.start)
            found.ended = "value"
        for number, step in enumerate(scene.steps):
            found.step = number
            value = settle(perform(step, self.builder, holds.get("subject"), holds))
            found.values.append(value)
        found.value = found.values[-1] if found.values else holds.get("subject")
        found.subject = holds.get("subject")
        if scene.steps and scene.start is None:
            self._compare(scene.steps[-1], holds, found)

    def _compare(self, step: Step, holds: Dict[str, Any], found: Outcome) -> None:
        """Note which arguments the last step changed."""
        pairs: List[Tuple[str, Any, Any]] = [
            (str(n), recipe, now) for n, (recipe, now) in enumerate(zip(step.args, holds["args"]))
        ]
        pairs += [(name, step.named[name], now) for name, now in holds["named"].items()]
        for place, recipe, now in pairs:
            if isinstance(recipe, (list, dict, set)) and repr(self.builder.build(recipe)) != repr(now):
                found.changed.append((place, now))

    def _look(self, found: Outcome, error: BaseException) -> None:
        """Say whether the code meant to raise what it raised."""
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(self._root)]
        innermost = traceback.extract_tb(error.__traceback__)[-1:]
        if not frames:
            return
        found.line = frames[-1].lineno or 0
        text = linecache.getline(frames[-1].filename, found.line).strip()
        if any(self.marks.spots[hit][1] in self.bare for hit in self.marks.taken() if self.marks.spots):
            # What was caught and is raised again is meant to be seen.
            found.raised = True
        elif innermost and innermost[0].filename == frames[-1].filename:
            found.raised = text.startswith("raise") and not isinstance(error, (NotImplementedError, AssertionError))

    # What a test would say

    def lines(self, scene: Scene, found: Outcome) -> Optional[List[Line]]:
        """Return a scene with what came of it as lines of a test; None where nothing can be said that would hold."""
        try:
            return self._lines(scene, found)
        except (OutOfTime, MemoryError):
            return None
        finally:
            self.timer.stop()

    def _lines(self, scene: Scene, found: Outcome) -> Optional[List[Line]]:
        made: List[Line] = []
        if scene.argv is not None:
            made.append({"argv": list(scene.argv)})
        if scene.start is not None:
            made.append({"do": "%s = %s" % (scene.subject, render(scene.start))})
        last = len(scene.steps) - 1
        for number, step in enumerate(scene.steps):
            done = number < found.step or found.ended == "value"
            text = self._bound(scene, step, found, made) if number == last else self._plain(scene, step)
            if number == found.step and not done:
                return self._raising(scene, step, text, found, made)
            if number > found.step:
                break
            made += self._checked(step, text, found.values[number])
        if found.ended == "value":
            if not scene.steps or found.subject is not None:
                made += self._state(scene.subject, found.subject)
            for place, value in found.changed:
                made += self._of_value(_slot(place), value)
            if found.printed and found.value in (None, 0) and " at 0x" not in found.printed:
                made.append({"printed": found.printed})
        return made if any("of" in line or "printed" in line for line in made) else None

    def _plain(self, scene: Scene, step: Step) -> str:
        return step.text(scene.subject, [render(a) for a in step.args], {n: render(v) for n, v in step.named.items()})

    def _bound(self, scene: Scene, step: Step, found: Outcome, made: List[Line]) -> str:
        """Return a step's text; what it changes is bound to names before."""
        if not found.changed:
            return self._plain(scene, step)
        spelled, named = [render(a) for a in step.args], {n: render(v) for n, v in step.named.items()}
        for place, _ in found.changed:
            name = _slot(place)
            text = spelled[int(place)] if place.isdigit() else named[place]
            made.append({"do": "%s = %s" % (name, text)})
            if place.isdigit():
                spelled[int(place)] = name
            else:
                named[place] = name
        return step.text(scene.subject, spelled, named)

    def _raising(self, scene: Scene, step: Step, text: str, found: Outcome, made: List[Line]) -> Optional[List[Line]]:
        error = found.error
        if error is None or not self.contract(scene, step, found):
            return None
        try:
            name = self.writer.write(type(error))
        except Unwritable:
            return None
        message = str(error)
        plain = found.raised and 0 < len(message) <= 120 and " at 0x" not in message and "\n" not in message
        line: Line = {"of": text, "op": "raises", "want": name, "statement": step.statement}
        if plain and not isinstance(error, KeyError):
            line["message"] = message
        return [*made, line]

    def contract(self, scene: Scene, step: Step, found: Outcome) -> bool:
        """Whether the error is one that users of the code can count on."""
        kind = type(found.error).__name__
        if isinstance(found.error, (SystemExit, KeyboardInterrupt, GeneratorExit)):
            return False
        if found.raised:
            return True
        if kind in _INCIDENTAL:
            return False
        if kind in self.docs.get(scene.target, ""):
            return True
        return bool(found.line) and isinstance(found.error, _KEYED.get(step.name, ()))

    def _checked(self, step: Step, text: str, value: Any) -> List[Line]:
        if step.statement:
            return [{"do": text}]
        if isinstance(value, Awaited):
            text, value = "asyncio.run(%s)" % text, value.value
        checks = self._of_value(text, value)
        if value is None:
            # What gives nothing is done for what it does.
            return [{"do": text, "of": text, "op": "is", "want": "None"}]
        if not checks and step.name in OPERATIONS and step.name not in ("__call__", "__next__"):
            # A bare expression says nothing; where what it does matters, the test does not hold and is dropped.
            return []
        return checks or ([] if step.name.startswith("get:") else [{"do": text}])

    def _of_value(self, text: str, value: Any) -> List[Line]:
        """Return lines that check the value of an expression."""
        if value is None or value is True or value is False:
            return [{"of": text, "op": "is", "want": repr(value)}]
        if isinstance(value, Taken):
            return self._of_taken(text, value)
        if isinstance(value, float) and math.isnan(value):
            return [{"of": "math.isnan(%s)" % text, "op": "is", "want": "True"}]
        try:
            want = self.writer.write(value)
            return [{"of": text, "op": "near" if self.writer.inexact else "eq", "want": want}]
        except Unwritable:
            return self._of_object(text, value)

    def _of_taken(self, text: str, value: Taken) -> List[Line]:
        text = "list(%s)" % text if value.ended else "list(itertools.islice(%s, 5))" % text
        return self._of_value(text, value.items if value.ended else value.items[:5])

    def _of_object(self, text: str, value: Any) -> List[Line]:
        kind = type(value)
        if isinstance(value, (list, tuple, dict, set, frozenset, str, bytes)) and kind.__module__ == "builtins":
            return [{"of": "len(%s)" % text, "op": "eq", "want": repr(len(value))}]
        if isinstance(value, dict):
            try:
                return [{"of": "dict(%s)" % text, "op": "eq", "want": self.writer.write(dict(value))}]
            except Unwritable:
                return []
        if isinstance(value, (types.FunctionType, types.ModuleType, type)) or callable(value):
            return []
        made: List[Line] = [{"do": "result = %s" % text}]
        made += self._state("result", value)
        return made if len(made) > 1 else []

    def _state(self, name: str, value: Any) -> List[Line]:
        """Return up to three lines that check what an object shows of itself."""
        if value is None or isinstance(value, (int, float, str, bytes, list, tuple, dict, set)):
            return []
        made: List[Line] = []
        for text in self._views(name, value):
            self.timer.start(SECONDS)
            try:
                seen = self.builder_eval(text, name, value)
                want = self.writer.write(seen)
            except (Exception, OutOfTime):  # noqa: S112 - one view of several
                continue
            finally:
                self.timer.stop()
            if " at 0x" in want or (want in ("[]", "{}", "''") and len(made) > 1):
                continue
            op = "is" if seen is None or isinstance(seen, bool) else "near" if self.writer.inexact else "eq"
            made.append({"of": text, "op": op, "want": want, "view": True})
            if len(made) >= 3:
                break
        return made

    def builder_eval(self, text: str, name: str, value: Any) -> Any:
        """Return the value of an expression about one object."""
        return eval(text, dict(self.builder.names, **{name: value}))  # noqa: S307 - the sandbox is for this

    def _views(self, name: str, value: Any) -> List[str]:
        kind = type(value)
        views: List[str] = []
        if hasattr(kind, "__iter__") and hasattr(kind, "__len__"):
            views.append(("dict(%s.items())" if hasattr(kind, "items") else "list(%s)") % name)
        elif hasattr(kind, "__len__"):
            views.append("len(%s)" % name)
        owned: Set[str] = set(getattr(value, "__dict__", ()))
        owned |= {n for n, v in inspect.getmembers(kind) if isinstance(v, property)}
        for owner in kind.__mro__:
            slots = owner.__dict__.get("__slots__", ())
            owned |= set((slots,) if isinstance(slots, str) else slots)
        views += ["%s.%s" % (name, attribute) for attribute in sorted(owned) if not attribute.startswith("_")]
        if kind.__dict__.get("__str__") is not None and kind.__module__ not in ("builtins", "re"):
            views.append("str(%s)" % name)
        return views


class Awaited:
    """What a coroutine gave."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Taken:
    """The elements of an iterator, which a test takes with `list`."""

    __slots__ = ("ended", "items")

    def __init__(self, items: List[Any], ended: bool) -> None:
        self.items = items
        self.ended = ended


def settle(value: Any) -> Any:
    """Return what a test would look at: coroutines are run, iterators used up as far as is sensible."""
    if inspect.iscoroutine(value):
        return Awaited(asyncio.run(value))
    if inspect.isasyncgen(value):
        raise Forbidden("asynchronous generators")
    if hasattr(type(value), "__next__") and hasattr(type(value), "__iter__") and not hasattr(value, "read"):
        items = list(itertools.islice(value, ITEMS + 1))
        value = Taken(items[:ITEMS], len(items) <= ITEMS)
    return value


def _slot(place: str) -> str:
    return "argument" if place == "0" else "argument_%s" % place if place.isdigit() else place
