"""Says which lines of tests notice which faults, and looks for scenes that notice faults that none did."""

from __future__ import annotations

import pickle
import sys
import time
import types
import warnings
from typing import Any, Callable, Dict, FrozenSet, List, Optional, Sequence, Tuple

from .explore_checks import Compiled, compiled, holds
from .explore_guard import Guard, Quiet, Timer
from .explore_marks import Marks
from .explore_run import Outcome, Runner, Taken
from .explore_scenes import Scene
from .explore_search import Found, Search
from .trial_values import canonical
from .trial_wire import Channel, Message, OutOfTime, start, watch

MEMORY = 512 << 20
ENOUGH = 4
"""Scenes that notice a mutant, after which no further one is tried on it."""
_FACTOR = 20.0
"""How many times longer than on the original a test may take on a mutant."""


class Mutant:
    """A fault: what it changes, and the lines that have to run for it to be noticed."""

    def __init__(self, message: Message) -> None:
        self.id: str = message["id"]
        self.edits: List[Tuple[int, int, str]] = [tuple(edit) for edit in message["edits"]]
        reach = message.get("reach")
        self.reach: Optional[Tuple[int, int]] = (reach[0], reach[1]) if reach else None
        self.unit: str = message.get("unit", "")

    def source(self, original: str) -> str:
        """Return the module's source with the fault in it."""
        for begin, end, text in reversed(self.edits):
            original = original[:begin] + text + original[end:]
        return original


class Trial:
    """A mutant at work in a child process."""

    def __init__(self, pid: int, channel: Optional[Channel], seconds: float) -> None:
        self.pid = pid
        self.channel = channel
        self.seconds = seconds
        self.noticed: List[int] = []
        self.at = -1
        """The scene that was begun last and has not noticed anything yet."""
        self.how = "judged"

    def take(self, message: Message) -> None:
        """Take what the child says."""
        if "begin" in message:
            self.at = message["begin"]
        elif "noticed" in message:
            self.noticed.append(message["noticed"])
            self.at = -1
        elif message.get("broken"):
            self.how = "broken"
        elif message.get("done"):
            self.at = -1


class Judge:
    """Tries the scenes that a search found on mutants of its module, each in a child process."""

    def __init__(
        self, module: types.ModuleType, source: str, search: Search, spots: Sequence[Any], guard: Guard, timer: Timer,
        root: str,
    ) -> None:  # fmt: skip
        self._module = module
        self._source = source
        self._search = search
        self._guard = guard
        self._timer = timer
        self._root = root
        self._lines = [spot[1] for spot in spots]
        self._names = search.runner.builder.names
        self._compiled: Dict[str, Optional[Compiled]] = {}
        self._ran: Dict[str, FrozenSet[int]] = {}
        self._useful: Dict[int, int] = {}
        """How many mutants a scene has noticed; those that notice many are tried first."""

    def _tests(self) -> List[Tuple[int, Compiled, Found]]:
        made = []
        for number, found in enumerate(self._search.found):
            if not found.lines:
                continue
            if found.key not in self._compiled:
                self._compiled[found.key] = compiled(found.lines)
                self._ran[found.key] = frozenset(self._lines[hit] for hit in found.hits)
            test = self._compiled[found.key]
            if test is not None:
                made.append((number, test, found))
        return made

    def relevant(self, mutant: Mutant, found: Found) -> bool:
        """Whether a scene runs what a mutant changes."""
        if mutant.reach is None:
            return True
        first, last = mutant.reach
        return any(first <= line <= last for line in self._ran[found.key])

    def begin(self, mutant: Mutant, seconds: float) -> Trial:
        """Begin to try the scenes that run what a mutant changes, in a child process."""
        tests = [(number, test, found) for number, test, found in self._tests() if self.relevant(mutant, found)]
        tests.sort(key=lambda entry: (not entry[2].new, -self._useful.get(entry[0], 0), entry[2].seconds))

        def work(channel: Channel) -> None:
            names = self._mutated(mutant)
            if names is None:
                channel.send({"broken": True})
                return
            end = time.monotonic() + seconds
            count = 0
            for number, test, found in tests:
                if time.monotonic() > end or count >= ENOUGH:
                    break
                # What fails to end, or to live, notices too; so it is said before each test that it begins.
                channel.send({"begin": number})
                if not holds(test, names, self._guard, self._timer, max(0.1, _FACTOR * found.seconds)):
                    channel.send({"noticed": number})
                    count += 1
            channel.send({"done": True})

        if not tests:
            return Trial(0, None, seconds)
        pid, channel = start(work, MEMORY)
        return Trial(pid, channel, seconds)

    def end(self, trial: Trial) -> Tuple[str, List[int]]:
        """Wait for a trial; return `judged`, `broken` or `not covered`, and the scenes that notice the mutant."""
        if trial.channel is None:
            return "not covered", []
        watch(trial.pid, trial.channel, trial.take, lambda: (trial.seconds + 2.0, trial.seconds + 3.0))
        if trial.at >= 0:
            trial.noticed.append(trial.at)
        for number in trial.noticed:
            self._useful[number] = self._useful.get(number, 0) + 1
        return trial.how, trial.noticed

    def _mutated(self, mutant: Mutant) -> Optional[Dict[str, Any]]:
        """Load the module with a fault in the place of the original, in this process; return its names."""
        name = self._module.__name__
        fresh = types.ModuleType(name)
        for attribute in ("__file__", "__package__", "__spec__", "__path__", "__loader__"):
            if hasattr(self._module, attribute):
                setattr(fresh, attribute, getattr(self._module, attribute))
        sys.modules[name] = fresh
        parent, _, last = name.rpartition(".")
        if parent in sys.modules:
            setattr(sys.modules[parent], last, fresh)
        try:
            with Quiet(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                code = compile(mutant.source(self._source), str(self._module.__file__), "exec", dont_inherit=True)
                self._guard.arm()
                self._timer.start(5.0)
                try:
                    exec(code, vars(fresh))
                finally:
                    self._timer.stop()
                    self._guard.disarm()
        except BaseException:
            return None
        added = {key: value for key, value in self._names.items() if key not in vars(self._module)}
        return {**added, **vars(fresh)}

    # Scenes that notice what none did

    def hunt(self, mutant: Mutant, seconds: float) -> Optional[Scene]:
        """Look for a scene that ends differently on a mutant; it is the caller's to write it down."""
        search = self._search
        related = [t for t in search.targets if t.name.split(".")[0] == mutant.unit.split(".")[0] and not t.left_out]
        touching = {f.target for _, _, f in self._tests() if self.relevant(mutant, f)} if mutant.reach else set()
        related += [target for target in search.targets if target.name in touching and target not in related]
        if not related:
            return None
        caught: List[bytes] = []

        def work(channel: Channel) -> None:
            names = self._mutated(mutant)
            if names is None:
                return
            other = Runner(names, Marks(), self._guard, self._timer, self._root, self._module.__name__)
            other.docs = search.runner.docs
            end = time.monotonic() + seconds
            first = [
                f.scene for _, _, f in self._tests() if mutant.reach and self.relevant(mutant, f) and f.scene.steps
            ]
            search.dice.seed(mutant.id)
            while time.monotonic() < end:
                if first and search.dice.random() < 0.6:
                    base = search.dice.choice(first)
                    target = next(t for t in search.targets if t.name == base.target)
                    scene = search.varied(target, base)
                else:
                    target = search.dice.choice(related)
                    scene = search.fresh(target)
                if self._differs(scene, search.runner, other):
                    channel.send({"scene": pickle.dumps(scene).decode("latin-1")})
                    return

        def take(message: Message) -> None:
            caught.append(message["scene"].encode("latin-1"))

        pid, channel = start(work, MEMORY)
        watch(pid, channel, take, lambda: (seconds + 2.0, seconds + 3.0))
        return pickle.loads(caught[0]) if caught else None  # noqa: S301 - from a process in the same sandbox

    def _differs(self, scene: Scene, runner: Runner, other: Runner) -> bool:
        modules = self._module.__name__
        fresh = sys.modules[modules]
        try:
            sys.modules[modules] = self._module
            before = runner.run(scene)
            if not before.sound or runner.lines(scene, before) is None:
                return False
            sys.modules[modules] = fresh
            after = other.run(scene, 0.5)
        finally:
            sys.modules[modules] = fresh
        return shown(before) != shown(after)


def shown(outcome: Outcome) -> str:
    """Return a text that outcomes share which a test could not tell apart."""
    values = [value.items if isinstance(value, Taken) else value for value in outcome.values]
    if outcome.error is not None:
        return "%s %s %s" % (outcome.ended, type(outcome.error).__name__, outcome.error if outcome.raised else "")
    try:
        seen = canonical([values, outcome.subject, [pair[1] for pair in outcome.changed]])[0]
    except (Exception, OutOfTime):
        seen = "?"
    return "%s %s %s" % (outcome.ended, seen, outcome.printed)


Progress = Callable[[Message], None]
