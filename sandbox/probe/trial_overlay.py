"""Runs tests after a fresh import of the project with changed modules held in memory; nothing is written to disk."""

from __future__ import annotations

import importlib
import os
import random
import signal
import socket
import sys
import time
import types
import warnings
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

from . import failures, importing, service, warm
from .trial_batch import FACTOR
from .trial_mutants import SILENT
from .trial_wire import Broken, Channel, Message, Summary, kill, start, sweep, watch

if TYPE_CHECKING:
    from .trial_tests import Tests


def prepare(order: Message, overlay: Dict[str, bytes]) -> None:
    """Make this process one in which the project's tests can be collected, with some sources replaced."""
    root = order["root"]
    os.chdir(root)
    random.seed(0)
    os.environ.update(order.get("env", {}))
    if not order.get("autoload", True):
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    paths = [os.path.normpath(os.path.join(root, path)) for path in order.get("pythonpath", ())]
    if paths:
        inherited = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join(paths + ([inherited] if inherited else []))
    sys.path[:0] = paths
    importing.install(root, failures.Places(root).relative, overlay)


def _share_compiled() -> None:
    """Keep what is compiled of unchanged sources, for this process and those forked from it later."""
    loader: Any = importing.SourceLoader
    plain: Callable[[Any, str], Optional[types.CodeType]] = loader.get_code

    def get_code(self: Any, fullname: str) -> Optional[types.CodeType]:
        data = self.get_data(self.path)
        key = (self.path, data)
        if key not in _compiled:
            _compiled[key] = plain(self, fullname)
        return _compiled[key]

    loader.get_code = get_code


_compiled: Dict[Tuple[str, bytes], Optional[types.CodeType]] = {}


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
        self.warm = False
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

    def preload(self) -> None:
        """Let it load what this process has loaded of others' packages, and compile the project's modules."""
        self.warm = True
        root = self._order["root"]
        own = service.own_names(self._order)
        names = [name for name in warm.loaded() if name.partition(".")[0] not in own]
        files = []
        for module in list(sys.modules.values()):
            path = getattr(module, "__file__", None)
            if isinstance(path, str) and path.endswith(".py") and path.startswith(root + os.sep):
                files.append(path)
        self.ask({"op": "preload", "modules": names, "files": files})

    def close(self) -> None:
        self._socket.close()
        kill(self.pid)


def _serve(opening: Message, channel: Channel) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _share_compiled()
    while True:
        order = channel.receive()
        if order is None:
            return
        if order["op"] == "preload":
            _preload(order["modules"], order["files"])
            channel.send({"op": "preloaded"})
        else:
            channel.send(_overlay(opening, order, channel))
            sweep()


def _preload(names: List[str], files: List[str]) -> None:
    for name in names:
        _quietly(importlib.import_module, name)
    for path in files:
        _quietly(importing.SourceLoader("", path).get_code, "")


def _quietly(load: Callable[[str], Any], name: str) -> None:
    """Load what can be loaded; the rest will say so where it is needed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            load(name)
        except BaseException:
            pass


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
        prepare(opening, {path: text.encode("latin-1") for path, text in order["overlay"].items()})
        from .trial_tests import run_session

        runner = _Runner(order, out)
        code, errors = run_session(dict(opening, files=order["files"]), runner.serve)
        runner.ended(code, errors)

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
        names = list(tests.items) if self._order.get("all") else targets + list(self._order.get("expect", ()))
        names = [name for name in names if name in tests.items]
        absent = [name for name in targets if name not in tests.items]
        limits: Dict[str, float] = self._order.get("limits", {})
        result: Message = {"verdict": "passed", "passed": 0, "ran": 0, "complete": True}
        if absent:
            result.update(verdict="failed", test=absent[0], exception="missing", complete=False)
            names = []
        wanted = set(targets)
        lenient = bool(self._order.get("lenient"))
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
            elif name in expected and not (lenient and summary["outcome"] in SILENT):
                result.update(breaks=name, complete=False, message=summary["outcome"])
                result["exception"] = summary.get("exception", "")
                break
        tests.tear_down()
        if expected:
            gone = sorted(expected - set(tests.items))
            if gone and result["verdict"] == "passed" and (self._order.get("all") or lenient):
                result.setdefault("breaks", gone[0])
                result.setdefault("message", "missing")
        self._out.send({"op": "result", "result": result})
        # What plugins do at a session's end is of no interest, and can take longer than the tests.
        os._exit(0)

    @staticmethod
    def _one(tests: Tests, name: str, limit: float, following: Optional[str]) -> Summary:
        try:
            return tests.run(name, limit, following)
        except Broken as error:
            outcome = "timeout" if str(error) == "timeout" else "error"
            return {"test": name, "outcome": outcome, "exception": str(error)}

    def ended(self, code: int, errors: str) -> None:
        """Say so where no test could be served at all."""
        if not self._served:
            text = errors[-300:] or "pytest ended with code %d" % code
            result = {"verdict": "error", "exception": "collection", "message": text}
            self._out.send({"op": "result", "result": result})
