"""The trial worker's main process: it imports a project and collects its tests once, then serves orders."""

from __future__ import annotations

import gc
import importlib
import os
import shutil
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any, Dict, List, Set, Tuple

from . import service
from .trial_batch import Trier, essence
from .trial_behave import Behaviour, collect
from .trial_live import Live, State
from .trial_mutants import Mutants
from .trial_overlay import Zygote, prepare
from .trial_wire import Broken, Channel, Message, Summary, adopt_orphans, start, sweep, watch

if TYPE_CHECKING:
    from .trial_tests import Tests

RUNNER = frozenset(
    ("_pytest", "pytest", "pluggy", "iniconfig", "packaging", "pygments", "exceptiongroup", "tomli", "py")
)
"""What pytest consists of: a repository that holds one of these brings it itself."""
MEMORY = 512 * 1024 * 1024
"""Address space that a child may take beyond what it inherits."""
SLACK_CPU = 0.3
"""CPU seconds beyond all limits after which a child is ended from outside: a long call into C sees no signal."""


class Server:
    """Answers the host's orders with the tests that were collected."""

    def __init__(self, order: Message, host: Channel, zygote: Zygote, imported: Set[Tuple[str, int, str]]) -> None:
        self.order = order
        self.host = host
        self.zygote = zygote
        self.imported = imported
        """Functions that ran while the tests were collected: an exchange comes too late for what they made."""
        self.memory = int(order.get("memory", MEMORY))
        self.isolate = False
        self.served = False
        self.targets: List[str] = []
        self.broken: Dict[str, int] = {}
        """Related tests that candidates broke, and how many: those fail soonest where they run first."""

    def serve(self, tests: Tests) -> None:
        sys.setprofile(None)
        self.served = True
        self.tests = tests
        self.targets = [name for name in self.order["tests"] if name in tests.items]
        tests.keep_parameters(list(self.targets) + list(self.order.get("related", ())))
        live = Live(self.order["root"])
        paces: Dict[str, float] = self.order.get("paces", {})
        self.trier = Trier(self.order["root"], self.order.get("sources", {}), tests, live, State(live), paces)
        self.mutants = Mutants(self)
        for path in self.order.get("sources", {}):
            self.trier.source(path)
        gc.collect()
        gc.freeze()
        adopt_orphans()
        self.measure()
        self.host.send(
            {
                "op": "opened",
                "tests": list(self.trier.base.values()),
                "order": self.targets,
                "missing": [name for name in self.order["tests"] if name not in tests.items],
                "collected": len(tests.items),
                "isolate": self.isolate,
                "imported": [list(place) for place in sorted(self.imported)],
            }
        )
        while True:
            message = self.host.receive()
            if message is None or message["op"] == "close":
                return
            getattr(self, "on_" + message["op"])(message)
            sweep((self.zygote.pid,))

    def measure(self) -> None:
        """Run the targets on the base, those that end a second time in the same process; order them by their time."""
        runs: Tuple[Dict[str, Summary], Dict[str, Summary]] = ({}, {})
        known: Dict[str, float] = self.order.get("known", {})
        cpu = max([0.5] + [3.0 * seconds for seconds in known.values()])
        hanging = frozenset(self.order.get("hanging", ()))
        if hanging.issuperset(self.targets):
            # One is run all the same, to be sure; the others would only cost time.
            hanging = hanging - {self.targets[0]} if self.targets else hanging

        def one(name: str) -> Summary:
            if name in hanging:
                return {"test": name, "outcome": "timeout", "cpu": 0.1, "wall": 0.1}
            hung = any(summary["outcome"] == "timeout" for summary in runs[0].values())
            try:
                return self.tests.run(name, max(0.1 if hung else 0.3, 3.0 * known.get(name, 0.0)))
            except Broken as error:
                outcome = "timeout" if str(error) == "timeout" else "error"
                return {"test": name, "outcome": outcome, "exception": str(error), "cpu": 0.0, "wall": 0.0}

        def work(out: Channel) -> None:
            self.tests.arm()
            for turn in range(2):
                for name in self.targets:
                    if turn and (runs[0][name]["outcome"] == "timeout" or runs[0][name]["wall"] > 1.0):
                        continue
                    runs[turn][name] = summary = one(name)
                    self.trier.state.restore()
                    out.send({"turn": turn, "summary": summary})

        def take(message: Message) -> None:
            summary = message["summary"]
            runs[message["turn"]][summary["test"]] = summary

        for _ in range(3):
            before = len(runs[0])
            ended = self.child(work, take, 2 * cpu + 1.0, 3 * cpu + 5.0)
            if ended == "done" or len(runs[0]) >= len(self.targets):
                break
            # The test that ended the child is left out of the next turn.
            name = self.targets[len(runs[0])] if len(runs[0]) > before or not before else self.targets[before]
            outcome = "timeout" if ended in ("cpu", "wall") else "error"
            runs[0].setdefault(name, {"test": name, "outcome": outcome, "cpu": cpu, "wall": cpu})
        first, second = runs
        for name in self.targets:
            summary = first.get(name, {"test": name, "outcome": "timeout", "cpu": cpu, "wall": cpu})
            again = second.get(name)
            if again is not None:
                self.isolate = self.isolate or essence(again) != essence(summary)
                summary["cpu"] = min(summary["cpu"], again["cpu"])
                summary["wall"] = min(summary["wall"], again["wall"])
            self.trier.base[name] = summary
        self.targets.sort(key=lambda name: float(self.trier.base[name]["wall"]))

    def child(self, work: Any, take: Any, cpu: float, wall: float) -> str:
        """Do work in a child; see `watch`."""
        return self.watched(work, take, lambda: (cpu, wall))

    def watched(self, work: Any, take: Any, limits: Any) -> str:
        """Do work in a child whose limits may change as it goes on."""
        close = (self.host.source, self.host.sink, self.zygote.channel.source)
        pid, channel = start(work, self.memory, close)
        return watch(pid, channel, take, limits)

    def on_batch(self, order: Message) -> None:
        """Try candidates; each is answered by one `trial`, the batch by `done`."""
        order.setdefault("tests", self.targets)
        order["related"] = sorted(order.get("related", ()), key=lambda name: -self.broken.get(name, 0))
        order["until"] = time.monotonic() + float(order.get("seconds", 1e9))
        todo: List[Message] = list(order["candidates"])
        size = 1 if self.isolate or order.get("isolate") else max(len(todo), 1)
        while todo:
            todo = self.some(todo[:size], order) + todo[size:]
        self.host.send({"op": "done", "batch": order.get("batch")})

    def limits(self, order: Message, related: bool) -> Tuple[float, float]:
        """Return the CPU and wall seconds that one candidate may take altogether, for the targets or what follows."""
        if related:
            seconds = float(order.get("related_seconds", 2.0)) + 3.0
            return seconds, 2 * seconds
        cpu = sum(self.trier.limit(name, order["cpu"]) for name in order["tests"])
        wall = sum(float(self.trier.base.get(name, {}).get("wall", 0.0)) for name in order["tests"])
        left = max(0.5, order.get("until", 1e12) - time.monotonic() + 0.5)
        return cpu + SLACK_CPU, min(3 * wall + 2 * cpu + 1.5, left)

    def some(self, todo: List[Message], order: Message) -> List[Message]:
        """Try candidates in one child until it ends; return those that it did not come to."""
        results: List[Message] = []
        begun: List[int] = []
        base: List[Any] = []
        phase: List[str] = []

        def again(message: Message) -> bool:
            # What passed is tried alone as well, since something else may have made it pass.
            return message["verdict"] == "passed" and not message.get("breaks") and len(todo) > 1

        def take(message: Message) -> None:
            if message["op"] == "start":
                begun.append(message["index"])
            phase.append(message["op"])
            if message["op"] in ("start", "related", "late"):
                return
            if message["op"] == "base":
                base.append(message["signature"])
            else:
                results.append(message)
                if message.get("breaks"):
                    self.broken[message["breaks"]] = self.broken.get(message["breaks"], 0) + 1
                if not again(message):
                    self.host.send(message)

        ended = self.watched(
            lambda out: self.trier.try_all(todo, order, out),
            take,
            lambda: self.limits(order, phase[-1:] == ["related"]),
        )
        alone = [todo[i] for i, r in enumerate(results) if again(r)]
        rest = todo[len(results) :] if "late" not in phase else []
        if rest and (len(begun) > len(results) or not results):
            # The child ended while this one ran, whatever exit code it gave; every turn takes one off the list.
            verdict = "timeout" if ended in ("cpu", "wall") else "crashed"
            self.host.send({"op": "trial", "id": rest[0]["id"], "verdict": verdict, "way": "swap"})
            rest = rest[1:]
        if base and base[0] != [essence(self.trier.base[name]) for name in self.trier.control()]:
            # Something that a candidate did outlived it, so the failures after it prove nothing.
            alone = [c for c, r in zip(todo, results) if r["verdict"] in ("passed", "failed", "error")]
        for candidate in alone:
            self.some([candidate], order)
        return rest

    def on_mutants(self, order: Message) -> None:
        """Try mutants; see `trial_mutants`."""
        self.mutants.answer(order)

    def on_behave(self, order: Message) -> None:
        """Compare candidates' behaviour; a candidate that ends the child counts as out of time everywhere."""
        work = Behaviour(self.trier, self.targets, order)
        inputs: Message = {"samples": [], "original": [], "unknown": [c["id"] for c in order["candidates"]]}
        rows: Dict[str, List[str]] = {}
        failed: Dict[str, str] = {}
        begun: List[Message] = []

        def take(message: Message) -> None:
            if message["op"] == "inputs":
                if not inputs["samples"]:
                    inputs.update(message)
            elif message["op"] == "start":
                begun.append(message)
            else:
                rows[message["id"]] = message["outcomes"]

        end = time.perf_counter() + float(order["wall"])
        skip = 0
        while time.perf_counter() < end:
            before = len(begun)

            # Until a candidate begins, inputs are recorded and made; then each has a share of the time.
            def share(before: int = before) -> Tuple[float, float]:
                left = end - time.perf_counter()
                seconds = max(0.1, left if len(begun) == before else left / 3)
                return seconds, seconds

            ended = self.watched(lambda out, skip=skip: work.run(skip, end, inputs, out), take, share)
            if len(begun) == before or (ended == "done" and begun[-1]["id"] in rows):
                break
            if begun[-1]["id"] not in rows:
                # It ended the child, whatever exit code it gave.
                failed[begun[-1]["id"]] = "?"
            skip = begun[-1]["index"] + 1
        done = set(rows) | set(failed)
        inputs["unknown"] = [c["id"] for c in order["candidates"] if c["id"] not in done]
        self.host.send(collect(rows, inputs, failed))

    def on_overlay(self, order: Message) -> None:
        """Run tests after a fresh import with changed modules; see `trial_overlay`."""
        if not self.zygote.warm:
            self.zygote.preload()
        self.host.send(self.zygote.ask(order))


def record_imports(root: str, found: Set[Tuple[str, int, str]]) -> None:
    """Note the project's functions that run from now on, until the profile function is taken away."""

    def note(frame: Any, event: str, _: Any) -> None:
        if event == "call":
            code = frame.f_code
            if code.co_filename.startswith(root) and code.co_name != "<module>":
                found.add((code.co_filename[len(root) :], code.co_firstlineno, code.co_name))

    sys.setprofile(note)


def main() -> int:
    """Serve one host until it closes the stream."""
    host = Channel(os.dup(0), os.dup(1))
    quiet = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(quiet, descriptor)
    order = host.receive()
    if order is None:
        return 0
    order["root"] = os.path.realpath(order["root"])
    order["temp"] = tempfile.mkdtemp(prefix="greendiff-trial-")
    early = not service.own_names(order) & RUNNER
    if early:
        service.load_runner()
        importlib.import_module(__name__.rpartition(".")[0] + ".trial_tests")
    zygote = Zygote(order, (host.source, host.sink))
    imported: Set[Tuple[str, int, str]] = set()
    server = Server(order, host, zygote, imported)
    begun = time.perf_counter()
    prepare(order, {})
    from .trial_tests import run_session

    record_imports(order["root"] + os.sep, imported)
    code, errors = run_session(order, server.serve)
    sys.setprofile(None)
    if not server.served:
        host.send({"op": "unopened", "code": code, "errors": errors, "seconds": time.perf_counter() - begun})
    zygote.close()
    shutil.rmtree(order["temp"], ignore_errors=True)
    return 0
