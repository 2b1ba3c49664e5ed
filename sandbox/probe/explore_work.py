"""Explores an imported module in a process that may die of it: seeds, search, relations, and the judging of mutants."""

from __future__ import annotations

import ast
import builtins
import importlib
import random
import time
import types
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Set

from .explore_checks import compiled, holds
from .explore_inputs import Maker
from .explore_judge import Judge, Mutant
from .explore_recipes import render
from .explore_relations import relations
from .explore_run import Runner
from .explore_scenes import Scene
from .explore_search import Found, Search
from .explore_seeds import Seeds, contradictions, doctests
from .explore_state import State
from .explore_targets import Reader, Target
from .trial_wire import Channel, Message, start, watch

if TYPE_CHECKING:
    from .explore_server import Server

OFFERED = ("math", "collections", "itertools", "operator", "datetime", "decimal", "fractions", "copy",
           "asyncio", "re", "io", "uuid", "pathlib", "functools", "string")  # fmt: skip
"""Modules of the standard library that tests may use."""
MEMORY = 1 << 30


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
        self.runner.state = State(module)
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
                    # Many scenes take long together: who watches this process hears that it is alive.
                    self._at(self.search.found[message["begun"]].target)

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
        # Two at a time: one runs while the other is waited for.
        trials = [judge.begin(mutant, 1.0) for mutant in mutants[:1]]
        for number, mutant in enumerate(mutants):
            self._at(mutant.unit)
            late = time.monotonic() > end
            if number + 1 < len(mutants) and not late:
                trials.append(judge.begin(mutants[number + 1], 1.0))
            how, killers = judge.end(trials.pop(0))
            self._channel.send({"op": "judged", "mutant": mutant.id, "how": how, "killers": killers})
            if how in ("judged", "not covered") and not killers:
                alive.append(mutant)
            if late:
                return
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
        how, killers = judge.end(judge.begin(mutant, 1.0))
        killers = [number for number in killers if number >= first]
        if killers:
            self._channel.send({"op": "judged", "mutant": mutant.id, "how": how, "killers": killers})
        return bool(killers)


def _plain(found: Found) -> Optional[Dict[str, Any]]:
    """Return name and argument texts of a scene that is one plain call of a function; None for any other."""
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
    return [example.source for example in doctests("", text)]
