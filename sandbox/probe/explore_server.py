"""From an order to what was found: the module is imported here, and explored in a child process that may die of it.

The order: `module`, `root`, `path` (relative), `pythonpath`, `seconds`, `seed`, `sources` (texts in which calls are
looked for), `mutants`, `avoid` (targets that are left alone).
"""

from __future__ import annotations

import ast
import importlib
import io
import os
import sys
import time
import tokenize
import types
import warnings
from typing import Dict, List, Optional, Sequence

from . import frames, importing
from .explore_guard import Forbidden, Guard, Quiet, Timer
from .explore_marks import Marks
from .explore_work import Explorer
from .trial_wire import Channel, Message, OutOfTime, adopt_orphans, start, sweep, watch

MEMORY = 1 << 30
SILENCE = 12.0
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
        fatal: List[str] = []
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

            def work(channel: Channel, left: float = left, avoid: Sequence[str] = tuple(avoid)) -> None:
                Explorer(self, module, list(avoid), channel).run(left)

            pid, channel = start(work, MEMORY, (self._out,))
            how = watch(pid, channel, take, lambda: (SILENCE, 2 * SILENCE))
            sweep()
            if state["finished"]:
                return
            # A target that ends the process twice is left alone; the second time, the dice fall otherwise.
            given_up = state["at"] in fatal
            fatal.append(state["at"])
            avoid += [state["at"]] * given_up
            self._order["seed"] = int(self._order["seed"]) + 1
            self.say({"op": "restarted", "target": state["at"], "how": how, "given_up": given_up})
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
