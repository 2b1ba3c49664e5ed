"""From an order to what was found: the module is imported here, and explored in a child process that may die of it.

The order: `module`, `root`, `path` (relative), `pythonpath`, `seconds`, `seed`, `sources` (texts in which calls are
looked for), `mutants`, `avoid` (targets that are left alone).
"""

from __future__ import annotations

import ast
import builtins
import importlib
import io
import os
import random
import sys
import time
import tokenize
import types
import warnings
from typing import Any, Dict, List, Optional, Set

from . import frames, importing
from .explore_checks import compiled, holds
from .explore_guard import Forbidden, Guard, Quiet, Timer
from .explore_inputs import Maker
from .explore_judge import Judge, Mutant
from .explore_marks import Marks
from .explore_relations import relations
from .explore_run import Runner
from .explore_scenes import Scene
from .explore_search import Found, Search
from .explore_seeds import Seeds, contradictions
from .explore_targets import Reader, Target
from .trial_wire import Channel, Message, OutOfTime, adopt_orphans, start, sweep, watch

OFFERED = ("math", "collections", "itertools", "operator", "datetime", "decimal", "fractions", "copy",
           "asyncio", "re", "io", "uuid", "pathlib", "functools", "string")  # fmt: skip
"""Modules of the standard library that tests may use."""
MEMORY = 1 << 30
SILENCE = 8.0
"""Seconds without a word from the explorer after which it counts as hanging."""
RESTARTS = 6


def main() -> int:
    """Do one order; return the exit code."""
    out = os.dup(1)
    order = frames.read_message_fd(0)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(null, stream)
    if not isinstance(order, dict):
        return 2
    Server(order, out).run()
    return 0


class Server:
    """Does one order."""

    def __init__(self, order: Message, out: int) -> None:
        self._order = order
        self._out = out
        self.marks = Marks()
        self.guard = Guard()
        self.timer = Timer()
        self._root = str(order["root"])
        self._path = os.path.join(self._root, str(order["path"]))
        self._tree = ast.Module([], [])
        self._source = ""

    def say(self, message: Message) -> None:
        """Tell the host."""
        frames.write_message_fd(self._out, message)

    def run(self) -> None:
        """Import the module and explore it until the time is over."""
        begun = time.monotonic()
        adopt_orphans()
        module = self._import()
        if module is None:
            return
        avoid: List[str] = list(self._order.get("avoid", ()))
        for _ in range(RESTARTS):
            left = float(self._order["seconds"]) - (time.monotonic() - begun)
            if left < 0.3:
                break
            state = {"at": "", "finished": ""}

            def take(message: Message, state: Dict[str, str] = state) -> None:
                if "at" in message:
                    state["at"] = message["at"]
                    return
                if message["op"] == "finished":
                    state["finished"] = "yes"
                self.say(message)

            def work(channel: Channel, left: float = left) -> None:
                Explorer(self, module, avoid, channel).run(left)

            pid, channel = start(work, MEMORY, (self._out,))
            how = watch(pid, channel, take, lambda: (SILENCE, 2 * SILENCE))
            sweep()
            if state["finished"]:
                return
            avoid.append(state["at"])
            self.say({"op": "restarted", "target": state["at"], "how": how})
        self.say({"op": "finished", "runs": 0})

    def _import(self) -> Optional[types.ModuleType]:
        name = str(self._order["module"])
        folders = [os.path.normpath(os.path.join(self._root, f)) for f in self._order["pythonpath"]]
        sys.path[:0] = [folder for folder in folders if folder not in sys.path]
        with open(self._path, "rb") as stream:
            data = stream.read()
        self._source = data.decode(tokenize.detect_encoding(io.BytesIO(data).readline)[0])

        def mark(tree: ast.Module, path: str) -> None:
            if os.path.realpath(path) == os.path.realpath(self._path):
                self.marks.spots.clear()
                self.marks.mark(tree)

        importing.watch(mark)
        error = ""
        quiet = Quiet()
        try:
            self._tree = ast.parse(data)
            with quiet, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.guard.arm()
                self.timer.start(20.0)
                try:
                    module = importlib.import_module(name)
                finally:
                    self.timer.stop()
                    self.guard.disarm()
        except OutOfTime:
            error = "its import does not end within 20 s"
        except Forbidden as what:
            error = "its import reaches for %s" % what
        except BaseException as problem:
            error = "its import ends with %s: %s" % (type(problem).__name__, str(problem)[:200])
        else:
            if not self.marks.spots:
                error = "another module of that name is imported: %s" % getattr(module, "__file__", "a built-in one")
        if error:
            self.say({"op": "unimportable", "error": error})
            return None
        imported = self.marks.taken()
        self.say({"op": "imported", "spots": [list(spot) for spot in self.marks.spots], "hits": imported})
        return module

    @property
    def tree(self) -> ast.Module:
        """The module as it was written."""
        return self._tree

    @property
    def source(self) -> str:
        """The module's text."""
        return self._source

    @property
    def root(self) -> str:
        """The work tree."""
        return self._root

    @property
    def order(self) -> Message:
        """What is to be done."""
        return self._order


class Explorer:
    """Explores the module in a child process."""

    def __init__(self, server: Server, module: types.ModuleType, avoid: List[str], channel: Channel) -> None:
        self._server = server
        self._module = module
        self._channel = channel
        self.names: Dict[str, Any] = {}
        for name in OFFERED:
            try:
                self.names[name] = importlib.import_module(name)
            except ImportError:  # noqa: PERF203 - few
                continue
        self.names.update(vars(module))
        self._dice = random.Random(server.order["seed"])  # noqa: S311 - the same every time
        self.maker = Maker(self._dice, self._owned)
        self._reader = Reader(module, server.tree, server.marks.spots, self.maker)
        self.runner = Runner(self.names, server.marks, server.guard, server.timer, server.root, module.__name__)
        self.runner.bare = {
            node.lineno for node in ast.walk(server.tree) if isinstance(node, ast.Raise) and node.exc is None
        }
        targets = [target for target in self._reader.targets() if target.name not in avoid]
        self.runner.docs = self._reader.docs
        self.search = Search(targets, self.runner, self.maker, self._dice, self._at)
        self._told = 0
        self._dropped: Dict[int, str] = {}

    def _owned(self, kind: type) -> Optional[str]:
        return self._reader.owned(kind)

    def _at(self, target: str) -> None:
        self._channel.send({"at": target})

    def run(self, seconds: float) -> None:
        """Explore, then judge what was found by mutants, and look for what notices those that live."""
        begun = time.monotonic()
        seeds = Seeds(self.search.targets, self.runner.builder)
        for owner, text in self._reader.docs.items():
            self._at(owner)
            for example in _examples(text):
                seeds.read(example)
        for text in self._server.order["sources"]:
            seeds.read(text)
        doubts = []
        for target in self.search.targets:
            self._at(target.name)
            text = self._reader.docs.get(target.name, "")
            doubts += contradictions(target.name, text, self.names, self._server.timer)
        share = 0.4 if self._server.order["mutants"] else 0.8
        self.search.run(seconds * share, private=False)
        hidden = [t for t in self.search.targets if not t.public and t.marks - self.search.covered]
        if hidden:
            self.search.run(min(seconds * 0.15, 5.0), private=True)
        self._tell()
        self._relate()
        self._judge(begun + seconds)
        self._channel.send({
            "op": "finished", "runs": self.search.runs, "doubts": [doubt.message() for doubt in doubts],
            "reached": self.search.reached, "endless": self.search.endless,
            "left_out": {t.name: t.left_out for t in self.search.targets if t.left_out},
            "targets": [t.name for t in self.search.targets],
            "parameters": {t.name: _parameters(t) for t in self.search.targets},
        })  # fmt: skip

    def _tell(self) -> None:
        """Tell the host what was found since the last time, as far as it holds in fresh processes."""
        fresh = list(range(self._told, len(self.search.found)))
        steady = self._steady(fresh)
        for number in fresh:
            found = self.search.found[number]
            if number not in steady:
                self._channel.send({"op": "unsteady", "id": number, "target": found.target})
                found.lines = []
                continue
            self._channel.send(
                {"op": "found", "id": number, "target": found.target, "lines": found.lines, "hits": found.hits,
                 "origin": found.scene.origin, "names": self._names_of(found.lines), "plain": _plain(found)}
            )  # fmt: skip
        self._told = len(self.search.found)

    def _steady(self, numbers: List[int]) -> Set[int]:
        """Return which of the scenes hold in fresh processes, in another order; twice each."""
        held: Set[int] = set()
        todo = list(reversed(numbers))
        while todo:
            self._at(self.search.found[todo[0]].target)
            state = {"begun": -1}

            def work(channel: Channel, todo: List[int] = todo) -> None:
                random.seed()
                server = self._server
                for number in todo:
                    channel.send({"begun": number})
                    test = compiled(self.search.found[number].lines)
                    if test is not None and all(
                        holds(test, self.names, server.guard, server.timer, 2.0) for _ in range(2)
                    ):
                        channel.send({"held": number})

            def take(message: Message, state: Dict[str, int] = state) -> None:
                if "held" in message:
                    held.add(message["held"])
                else:
                    state["begun"] = message["begun"]

            pid, channel = start(work, MEMORY)
            watch(pid, channel, take, lambda: (5.0, 6.0))
            # Where the process was lost, the rest goes on in another one.
            todo = todo[todo.index(state["begun"]) + 1 :] if state["begun"] in todo else []
        return held

    def _names_of(self, lines: List[Dict[str, Any]]) -> Dict[str, str]:
        """Map the names that lines use to `own`, `module`, or the module that they come from."""
        used: Set[str] = set()
        bound: Set[str] = set()
        for line in lines:
            for text in (line.get("do") if "op" not in line else None, line.get("of"), line.get("want")):
                for node in ast.walk(ast.parse(text)) if text else ():
                    if isinstance(node, ast.Name):
                        (bound if isinstance(node.ctx, ast.Store) else used).add(node.id)
        kinds: Dict[str, str] = {}
        for name in sorted(used - bound):
            if name in vars(self._module):
                value = vars(self._module)[name]
                kinds[name] = "module:" + value.__name__ if isinstance(value, types.ModuleType) else "own"
            elif name in self.names and not hasattr(builtins, name):
                kinds[name] = "module:" + name
        return kinds

    def _relate(self) -> None:
        """Take relations between functions that hold among what was found, and tell of all."""
        for relation in relations(self.search, self.runner, self._at):
            self._channel.send(dict(relation, op="relation", names=self._names_of(relation["lines"]), id=-1))
            if relation["failed"]:
                continue
            scene = Scene(relation["target"], [], origin="relation")
            found = Found(scene, relation["lines"], relation["hits"], True, 0.01)
            found.key = "relation " + relation["text"] + relation["right"]
            self.search.found.append(found)
            self._channel.send(dict(relation, op="relation", names={}, id=len(self.search.found) - 1))
            self._tell()

    def _judge(self, end: float) -> None:
        mutants = [Mutant(message) for message in self._server.order["mutants"]]
        judge = Judge(self._module, self._server.source, self.search, self._server.marks.spots, self._server.guard,
                      self._server.timer, self._server.root)  # fmt: skip
        # Where the time does not suffice for all, those that are tried come from everywhere.
        self._dice.shuffle(mutants)
        alive: List[Mutant] = []
        for mutant in mutants:
            self._at(mutant.unit)
            if time.monotonic() > end:
                return
            how, killers = judge.killers(mutant, 1.0)
            self._channel.send({"op": "judged", "mutant": mutant.id, "how": how, "killers": killers})
            if how in ("judged", "not covered") and not killers:
                alive.append(mutant)
        slice_seconds = 0.3
        while alive and time.monotonic() < end:
            still: List[Mutant] = []
            for mutant in alive:
                self._at(mutant.unit)
                if time.monotonic() > end:
                    return
                if not self._hunted(judge, mutant, slice_seconds):
                    still.append(mutant)
            alive = still
            slice_seconds *= 2

    def _hunted(self, judge: Judge, mutant: Mutant, seconds: float) -> bool:
        scene = judge.hunt(mutant, seconds)
        if scene is None:
            return False
        target = next((t for t in self.search.targets if t.name == scene.target), None)
        first = len(self.search.found)
        if target is not None:
            outcome = self.runner.run(scene)
            lines = self.runner.lines(scene, outcome) if outcome.sound else None
            if lines is not None:
                self.search.found.append(Found(scene, lines, outcome.hits, False, 0.01))
                self.search.corpus[target.name].append(scene)
        self._tell()
        how, killers = judge.killers(mutant, 1.0)
        killers = [number for number in killers if number >= first]
        if killers:
            self._channel.send({"op": "judged", "mutant": mutant.id, "how": how, "killers": killers})
        return bool(killers)


def _plain(found: Found) -> Optional[Dict[str, Any]]:
    """Return name and argument texts of a scene that is one plain call of a function; None for any other."""
    from .explore_recipes import render

    scene = found.scene
    if scene.start is not None or scene.argv is not None or len(scene.steps) != 1:
        return None
    step = scene.steps[0]
    if not step.name.replace(".", "").replace("_", "a").isalnum():
        return None
    return {"name": step.name, "args": [render(a) for a in step.args],
            "named": {key: render(value) for key, value in step.named.items()}}  # fmt: skip


def _parameters(target: Target) -> List[str]:
    """Return the names of positional parameters; one that takes any number begins with an asterisk."""
    names = []
    for parameter in target.domains.parameters:
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            names.append(parameter.name)
        elif parameter.kind is parameter.VAR_POSITIONAL:
            names.append("*" + parameter.name)
    return names


def _examples(text: str) -> List[str]:
    from .explore_seeds import doctests

    return [example.source for example in doctests("", text)]
