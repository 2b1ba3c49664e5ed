"""Looks for scenes that run new lines and branches, or that end in a new way, by varying those that did before."""

from __future__ import annotations

import functools
import inspect
import random
import time
import types
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from .explore_inputs import Domain, Domains, Maker
from .explore_recipes import New, copied, render
from .explore_run import SECONDS, Outcome, Runner
from .explore_scenes import Scene, Step
from .explore_targets import Target
from .trial_values import canonical, fingerprint

KEPT = 40
"""Scenes of one function or operation that are kept because they end in different ways."""
KEPT_OF_CLASS = 10
MOST = 900
"""Scenes of a module that are kept; those that run something new are kept in any case."""
STEPS = 6
"""Longest sequence on one object."""
RESULT_KINDS = {"callable": 1.5, "int": 1.0, "str": 0.5, "list": 0.5, "dict": 0.3}
"""What functions are given that other functions give: such as are to be decorated, above all."""
HOPELESS = 400
"""Runs of a target, none of which was taken, after which it is left."""


class Found:
    """A scene that is worth keeping, with what came of it."""

    __slots__ = ("hits", "key", "lines", "new", "scene", "seconds", "target")

    def __init__(self, scene: Scene, lines: List[Dict[str, Any]], hits: List[int], new: bool, seconds: float) -> None:
        self.scene = scene
        self.lines = lines
        self.hits = hits
        self.new = new
        """Whether it ran something that nothing had run before."""
        self.seconds = seconds
        self.target = scene.target
        self.key = scene.key()


class Search:
    """Explores the targets of one module in this process."""

    def __init__(
        self, targets: List[Target], runner: Runner, maker: Maker, dice: random.Random, before: Callable[[str], None]
    ) -> None:
        """`before` is told which target is about to run."""
        self.targets = targets
        self.runner = runner
        self.maker = maker
        self.dice = dice
        self.covered: Set[int] = set()
        self.found: List[Found] = []
        self.corpus: Dict[str, List[Scene]] = {target.name: [] for target in targets}
        self.reached: Dict[str, Dict[str, int]] = {}
        """Target → what it reached for that tests must not → how often."""
        self.endless: Dict[str, List[str]] = {}
        """Target → inputs on which it did not end."""
        self.runs = 0
        self._results: Dict[str, Target] = {}
        """Functions that functions give, by the name of the latter."""
        self._before = before
        self._kinds: Dict[str, Dict[str, int]] = {}
        self._seen: Set[str] = set()
        self._last_gain = 0.0

    def run(self, seconds: float, private: bool) -> None:
        """Explore for so many seconds, or until nothing new comes for a while."""
        begun = self._last_gain = time.monotonic()
        end = begun + seconds
        chosen = [t for t in self.targets if t.public != private or not t.public]
        if not private:
            chosen = [t for t in self.targets if t.public]
        for target in chosen:
            if time.monotonic() > end:
                return
            self._seeds(target)
        while chosen and time.monotonic() < end:
            chosen = [target for target in chosen if not target.left_out]
            chosen += [target for target in self._results.values() if target not in chosen and not target.left_out]
            if not chosen:
                return
            weights = [self._worth(target) for target in chosen]
            if time.monotonic() - self._last_gain > max(2.0, seconds / 4) and not any(
                target.marks - self.covered for target in chosen
            ):
                return
            self._explore(self.dice.choices(chosen, weights)[0], 25, end)

    def _worth(self, target: Target) -> float:
        open_marks = len(target.marks - self.covered)
        for _, marks in target.operations.values():
            open_marks += sum(mark not in self.covered for mark in marks)
        return (1.0 + 3.0 * min(open_marks, 10)) * (0.3 + target.gains / (1.0 + target.tries / 50.0))

    def _seeds(self, target: Target) -> None:
        """Run the calls that people wrote, and those without any argument."""
        self._before(target.name)
        if target.is_class:
            for args, named in target.domains.calls[:20]:
                self.attempt(target, Scene(target.name, [], New(target.name, tuple(args), named), target.subject))
            self._explore(target, 40, time.monotonic() + 1.0)
            return
        for args, named in target.domains.calls:
            self.attempt(target, Scene(target.name, [Step(target.name, tuple(args), named)], origin="call"))
        for _ in range(20):
            if target.left_out:
                return
            self.attempt(target, self.fresh(target))

    def _explore(self, target: Target, count: int, end: float) -> None:
        self._before(target.name)
        for _ in range(count):
            if time.monotonic() > end or target.left_out:
                return
            known = self.corpus[target.name]
            if known and self.dice.random() < 0.7:
                scene = self.varied(target, self.dice.choice(known[-12:] if self.dice.random() < 0.4 else known))
            else:
                scene = self.fresh(target)
            self.attempt(target, scene)

    # Scenes

    def fresh(self, target: Target) -> Scene:
        """Return a scene made from nothing."""
        if self.dice.random() < 0.8:
            self.maker.small = list(self.dice.choice((("a", "b", "c"), (1, 2, 3), (0, 1, 2))))
        else:
            self.maker.small = []
        if target.argv:
            scene = Scene(target.name, [Step(target.name)])
            scene.argv = ["prog", *(str(self._word()) for _ in range(self.dice.choice((0, 1, 1, 2, 2, 3))))]
            return scene
        if not target.is_class:
            args, named = target.domains.arguments()
            return Scene(target.name, [Step(target.name, args, named)])
        if target.starts:
            scene = Scene(target.name, [], copied(self.dice.choice(target.starts)), target.subject)
            for _ in range(self.dice.choice((1, 1, 2, 2, 3))):
                scene.steps.append(self._step(target, self.dice.choice(list(target.operations))))
            return scene
        scene = Scene(target.name, [], self.maker.instance(target.name), target.subject)
        if scene.start is None or type(scene.start) is not New:
            scene.start = New(target.name, *target.domains.arguments())
        names = list(target.operations)
        if names:
            for _ in range(self.dice.choice((0, 0, 1, 2, 2, 3, 4))):
                scene.steps.append(self._step(target, self.dice.choice(target.changing or names)))
            scene.steps.append(self._step(target, self._wanted(target, names)))
        return scene

    def _word(self) -> Any:
        if self.maker.options and self.dice.random() < 0.4:
            return self.dice.choice(self.maker.options)
        return self.maker.of_kind(self.dice.choice(("int", "str", "str")))

    def _wanted(self, target: Target, names: List[str]) -> str:
        weights = [1.0 + 4.0 * sum(m not in self.covered for m in target.operations[name][1]) for name in names]
        return self.dice.choices(names, weights)[0]

    def _step(self, target: Target, name: str) -> Step:
        args, named = target.operations[name][0].arguments()
        return Step(name, args, named)

    def varied(self, target: Target, scene: Scene) -> Scene:
        """Return a scene that differs from a known one."""
        scene = scene.copy()
        scene.origin = "search"
        if scene.argv is not None:
            words = scene.argv[1:]
            way = self.dice.randrange(3)
            if way == 0 or not words:
                words.insert(self.dice.randint(0, len(words)), str(self._word()))
            elif way == 1:
                words[self.dice.randrange(len(words))] = str(self._word())
            else:
                del words[self.dice.randrange(len(words))]
            scene.argv[1:] = words
            return scene
        if not target.is_class:
            step = scene.steps[0]
            step.args, step.named = target.domains.other(step.args, step.named)
            return scene
        choice = self.dice.random()
        names = list(target.operations)
        if choice < 0.2 or not names:
            if type(scene.start) is New and scene.start.name == target.name:
                args, named = target.domains.other(scene.start.args, scene.start.named)
                scene.start = New(target.name, args, named)
        elif choice < 0.5 and len(scene.steps) < STEPS:
            likely = self.dice.random() < 0.6
            name = self._wanted(target, names) if likely else self.dice.choice(target.changing or names)
            at = len(scene.steps) if self.dice.random() < 0.6 else self.dice.randint(0, len(scene.steps))
            scene.steps.insert(at, self._step(target, name))
        elif choice < 0.6 and len(scene.steps) > 1:
            del scene.steps[self.dice.randrange(len(scene.steps))]
        elif choice < 0.7 and scene.steps:
            scene.steps[-1] = self._step(target, self._wanted(target, names))
        elif scene.steps:
            step = self.dice.choice(scene.steps)
            if step.name in target.operations:
                step.args, step.named = target.operations[step.name][0].other(step.args, step.named)
        return scene

    # Runs

    def attempt(self, target: Target, scene: Scene) -> Optional[Outcome]:
        """Run a scene and keep it where it shows something new."""
        try:
            key = scene.key()
        except (RecursionError, ValueError):
            return None
        if key in self._seen or len(key) > 700:
            return None
        self._seen.add(key)
        began = time.monotonic()
        outcome = self.runner.run(scene, SECONDS / 3 if target.name in self.endless else SECONDS)
        took = time.monotonic() - began
        self.runs += 1
        target.tries += 1
        target.domains.judge(outcome.ended != "unmade" and outcome.sound)
        if scene.steps and outcome.step < len(scene.steps) and target.is_class:
            operation = target.operations.get(scene.steps[outcome.step].name)
            if operation:
                operation[0].judge(outcome.sound)
        for left, right in self.runner.marks.compared[:20]:
            self.maker.learn([left, right], favour=isinstance(left, str))
        self._note(target, scene, outcome)
        if outcome.ended == "value" and isinstance(outcome.value, (types.FunctionType, functools.partial)):
            self._result(target, scene, outcome.value)
        if not outcome.sound:
            return outcome
        if outcome.ended == "raised":
            scene = scene.copy()
            del scene.steps[outcome.step + 1 :]
        self._keep(target, scene, outcome, took)
        return outcome

    def _result(self, target: Target, scene: Scene, value: Any) -> None:
        """Let a function that was given be explored, too."""
        step = scene.steps[0] if len(scene.steps) == 1 else None
        if step is None or (scene.start is not None and (step.name != "__call__" or not target.starts)):
            return
        name = target.name if target.starts else target.name + ".result"
        found = self._results.get(name)
        if found is None:
            found = Target(name, Domains(self.maker, (), ()), target.public, sorted(target.marks))
            found.is_class = True
            found.subject = "function"
            self._results[name] = found
            self.targets.append(found)
            self.corpus[name] = []
            domain = Domain(self.maker, "value", inspect.Parameter.empty, RESULT_KINDS, None)
            parameter = inspect.Parameter("value", inspect.Parameter.POSITIONAL_ONLY)
            found.operations["__call__"] = Domains(self.maker, (parameter,), (domain,)), sorted(target.marks)
        callee: Any = step.name if scene.start is None else scene.start
        recipe = New(callee, step.args, step.named)
        first = isinstance(callee, str)
        if sum(isinstance(start.name, str) == first for start in found.starts) < 10 and len(render(recipe)) < 120:
            found.starts.append(recipe)
        for attribute, inner in list(vars(value).items()) if hasattr(value, "__dict__") else ():
            if callable(inner) and not attribute.startswith("_"):
                found.operations.setdefault("." + attribute, (Domains(self.maker, (), ()), []))

    def _note(self, target: Target, scene: Scene, outcome: Outcome) -> None:
        if outcome.ended.startswith("forbidden:"):
            reached = self.reached.setdefault(target.name, {})
            what = outcome.ended.partition(":")[2]
            reached[what] = reached.get(what, 0) + 1
        elif outcome.ended == "time":
            slow = self.endless.setdefault(target.name, [])
            slow.append(scene.key()[:300])
            # What hangs has had the time of many others.
            target.tries += 50
            if len(slow) > 3 and 60 * len(slow) > target.tries / 2:
                target.left_out = "it did not end on several inputs"
        if target.tries >= HOPELESS and target.gains <= 1.0 and not self.corpus[target.name]:
            target.left_out = target.left_out or "no inputs were found that it takes"

    def _keep(self, target: Target, scene: Scene, outcome: Outcome, took: float) -> None:
        fresh = [mark for mark in outcome.hits if mark not in self.covered]
        kinds = self._kinds.setdefault(target.name + (scene.steps[-1].name if scene.steps else ""), {})
        way = "%s %s" % (outcome.ended, _kind_of(outcome))
        path = fingerprint(repr(outcome.hits))
        known = kinds.get(path + way, 0)
        if not fresh and (known >= 2 or sum(kinds.values()) >= (KEPT_OF_CLASS if target.is_class else KEPT)):
            return
        if not fresh and len(self.found) >= MOST:
            return
        lines = self.runner.lines(scene, outcome)
        if lines is None:
            # What cannot be checked still leads to other places.
            if fresh and len(self.corpus[target.name]) < KEPT:
                self.corpus[target.name].append(scene)
            return
        if fresh:
            scene, outcome, lines = self._shrunk(scene, outcome, lines, set(fresh))
            self._last_gain = time.monotonic()
            target.gains += 1.0
            self.covered.update(outcome.hits)
        kinds[path + way] = known + 1
        self.corpus[target.name].append(scene)
        if scene.start is not None and type(scene.start) is New and outcome.ended == "value":
            known_objects = self.maker.objects.setdefault(target.name, [])
            if len(known_objects) < 12 and render(scene.start) not in map(render, known_objects):
                known_objects.append(scene.start)
        self.found.append(Found(scene, lines, outcome.hits, bool(fresh), took))

    def _shrunk(
        self, scene: Scene, outcome: Outcome, lines: List[Dict[str, Any]], fresh: Set[int]
    ) -> Tuple[Scene, Outcome, List[Dict[str, Any]]]:
        """Return a smaller scene that still runs what was new."""
        for _ in range(60):
            for smaller in reductions(scene):
                if smaller.key() in self._seen:
                    continue
                self._seen.add(smaller.key())
                seen = self.runner.run(smaller)
                if seen.sound and seen.ended == outcome.ended and fresh <= set(seen.hits):
                    made = self.runner.lines(smaller, seen)
                    if made is not None:
                        scene, outcome, lines = smaller, seen, made
                        break
            else:
                break
        return scene, outcome, lines


def _kind_of(outcome: Outcome) -> str:
    if outcome.error is not None:
        return type(outcome.error).__name__
    try:
        return fingerprint(canonical([outcome.value, outcome.subject])[0])
    except Exception:
        return type(outcome.value).__name__


def reductions(scene: Scene) -> List[Scene]:
    """Return scenes that are smaller in one place."""
    found: List[Scene] = []
    for at in range(len(scene.steps) - 1):
        made = scene.copy()
        del made.steps[at]
        found.append(made)
    for number, step in enumerate(scene.steps):
        for args, named in _smaller_call(step.args, step.named):
            made = scene.copy()
            made.steps[number] = Step(step.name, args, named)
            found.append(made)
    if type(scene.start) is New:
        for args, named in _smaller_call(scene.start.args, scene.start.named):
            made = scene.copy()
            made.start = New(scene.start.name, args, named)
            found.append(made)
    return found


def _smaller_call(args: Tuple[Any, ...], named: Dict[str, Any]) -> List[Tuple[Tuple[Any, ...], Dict[str, Any]]]:
    found = [(args, {key: value for key, value in named.items() if key != left}) for left in named]
    for at, recipe in enumerate(args):
        found += [((*args[:at], smaller, *args[at + 1 :]), dict(named)) for smaller in _smaller(recipe)]
    for key, recipe in named.items():
        found += [(args, dict(named, **{key: smaller})) for smaller in _smaller(recipe)]
    return found


def _smaller(recipe: Any) -> List[Any]:
    kind = type(recipe)
    if kind is int:
        return [value for value in (0, 1, 2, recipe // 2 if recipe > 4 else recipe) if abs(value) < abs(recipe)]
    if kind is str and len(recipe) > 1:
        half = len(recipe) // 2
        return [recipe[:half], recipe[half:], *(recipe[:at] + recipe[at + 1 :] for at in range(min(len(recipe), 12)))]
    if kind in (list, tuple) and recipe:
        found = [kind([*recipe[:at], *recipe[at + 1 :]]) for at in range(min(len(recipe), 8))]
        for at, item in enumerate(recipe[:4]):
            found += [kind([*recipe[:at], smaller, *recipe[at + 1 :]]) for smaller in _smaller(item)[:3]]
        return found
    if kind is dict and recipe:
        return [{k: v for k, v in recipe.items() if k != left} for left in list(recipe)[:6]]
    if kind is set and recipe:
        return [recipe - {item} for item in list(recipe)[:4]]
    return []
