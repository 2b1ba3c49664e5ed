"""Runs tests after a fresh import of the project with changed modules held in memory; nothing is written to disk."""

from __future__ import annotations

import importlib
import importlib.machinery
import os
import signal
import socket
import sys
import time
import types
import warnings
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

if TYPE_CHECKING:
    from sandbox.probe.trial_batch import FACTOR
    from sandbox.probe.trial_tests import Broken, Plugin, Summary, Tests, run_session
    from sandbox.probe.trial_wire import Channel, Message, kill, start, sweep, watch
else:
    from trial_batch import FACTOR
    from trial_tests import Broken, run_session
    from trial_wire import Channel, kill, start, sweep, watch


def install(root: str, overlay: Dict[str, str]) -> None:
    """Make imports of the files under `root` that are named in `overlay` see the given texts instead."""
    texts = {os.path.join(root, path): text for path, text in overlay.items()}
    # Public names of the standard library's loader, changed in this short-lived process only.
    loader: Any = importlib.machinery.SourceFileLoader
    plain_code: Callable[[Any, str], Optional[types.CodeType]] = loader.get_code
    plain_data: Callable[[Any, str], bytes] = loader.get_data

    def get_code(self: Any, fullname: str) -> Optional[types.CodeType]:
        text = texts.get(os.path.realpath(self.path))
        if text is None:
            return plain_code(self, fullname)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            return compile(text, self.path, "exec", dont_inherit=True)

    def get_data(self: Any, path: str) -> bytes:
        text = texts.get(os.path.realpath(path))
        return plain_data(self, path) if text is None else text.encode("utf-8", "surrogateescape")

    loader.get_code = get_code
    loader.get_data = get_data


class Zygote:
    """The side of the server: a process that has not imported the project and forks for each order."""

    def __init__(self, order: Message, close: Tuple[int, ...]) -> None:
        ours, theirs = socket.socketpair()
        self._order = order
        self.pid = os.fork()
        if self.pid == 0:
            status = 70
            try:
                ours.close()
                for descriptor in close:
                    os.close(descriptor)
                _serve(order, Channel(theirs.fileno(), theirs.fileno()))
                status = 0
            except BaseException:
                pass
            finally:
                os._exit(status)
        theirs.close()
        self._socket = ours
        self.channel = Channel(ours.fileno(), ours.fileno())

    def ask(self, message: Message) -> Message:
        """Return the answer to an order; a zygote that has died answers that everything crashed."""
        try:
            self.channel.send(message)
            answer = self.channel.receive()
        except OSError:
            answer = None
        return answer or {"op": "trial", "id": message.get("id"), "verdict": "crashed", "way": "overlay", "lost": True}

    def close(self) -> None:
        self._socket.close()
        kill(self.pid)


def _serve(opening: Message, channel: Channel) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        order = channel.receive()
        if order is None:
            return
        if order["op"] == "preload":
            for name in order["modules"]:
                try:
                    importlib.import_module(name)
                except BaseException:
                    continue
            channel.send({"op": "preloaded"})
        else:
            channel.send(_overlay(opening, order, channel))
            sweep()


def _overlay(opening: Message, order: Message, channel: Channel) -> Message:
    result: Message = {"op": "trial", "id": order["id"], "way": "overlay", "verdict": "crashed", "passed": 0, "ran": 0}
    begun = time.perf_counter()
    running: List[str] = []

    def take(message: Message) -> None:
        if message["op"] == "running":
            running.append(message["test"])
        else:
            result.update(message["result"])

    def work(out: Channel) -> None:
        install(opening["root"], order["overlay"])
        runner = _Runner(order, out)
        code, plugin = run_session(dict(opening, files=order["files"]), runner.serve)
        runner.ended(code, plugin)

    wall = float(order.get("wall", 30.0))
    pid, child = start(work, int(opening.get("memory", 1 << 29)), (channel.source,))
    cpu = float(order.get("cpu_total", wall))
    ended = watch(pid, child, take, lambda: (cpu, max(0.1, wall - (time.perf_counter() - begun))))
    if ended in ("cpu", "wall"):
        result["verdict"] = "timeout"
    if ended != "done" and running:
        result["test"] = running[-1]
    result["seconds"] = time.perf_counter() - begun
    return result


class _Runner:
    """Runs the ordered tests in the child: the targets first, or everything in the collected order."""

    def __init__(self, order: Message, out: Channel) -> None:
        self._order = order
        self._out = out
        self._served = False

    def serve(self, tests: Tests) -> None:
        self._served = True
        sys.setprofile(None)
        tests.arm()
        targets: List[str] = self._order["tests"]
        expected = set(self._order.get("expect", ()))
        names = list(tests.items) if self._order.get("all") else targets + [n for n in self._order.get("expect", ())]
        names = [name for name in names if name in tests.items]
        absent = [name for name in targets if name not in tests.items]
        limits: Dict[str, float] = self._order.get("limits", {})
        result: Message = {"verdict": "passed", "passed": 0, "ran": 0, "complete": True}
        if absent:
            result.update(verdict="failed", test=absent[0], exception="missing", complete=False)
            names = []
        wanted = set(targets)
        end = time.perf_counter() + float(self._order.get("test_seconds", 1e9))
        for index, name in enumerate(names):
            if time.perf_counter() > end and not (wanted - set(names[:index])):
                result["complete"] = False
                break
            if name not in wanted and name not in expected and not self._order.get("all"):
                continue
            self._out.send({"op": "running", "test": name})
            limit = max(float(self._order["cpu"]), FACTOR * limits.get(name, 0.0))
            summary = self._one(tests, name, limit, names[index + 1] if index + 1 < len(names) else None)
            result["ran"] += 1
            if summary["outcome"] == "passed":
                result["passed"] += name in wanted
            elif name in wanted:
                outcome = summary["outcome"]
                result.update(
                    verdict=outcome if outcome in ("error", "timeout") else "failed", test=name, complete=False
                )
                result.update({k: summary[k] for k in ("exception", "at", "deep") if k in summary})
                break
            elif name in expected:
                result.update(breaks=name, complete=False)
                break
        tests.tear_down()
        if expected:
            gone = sorted(expected - set(tests.items))
            if gone and result["verdict"] == "passed" and self._order.get("all"):
                result.setdefault("breaks", gone[0])
        self._out.send({"op": "result", "result": result})

    @staticmethod
    def _one(tests: Tests, name: str, limit: float, following: Optional[str]) -> Summary:
        try:
            return tests.run(name, limit, following)
        except Broken as error:
            outcome = "timeout" if str(error) == "timeout" else "error"
            return {"test": name, "outcome": outcome, "exception": str(error)}

    def ended(self, code: int, plugin: Plugin) -> None:
        """Say so where no test could be served at all."""
        if not self._served:
            text = plugin.errors[0][1][-300:] if plugin.errors else "pytest ended with code %d" % code
            result = {"verdict": "error", "exception": "collection", "message": text}
            self._out.send({"op": "result", "result": result})
