"""The trial worker: imports a project and collects its tests once, then tries candidate after candidate on them.

It reads messages on standard input and answers on standard output; the first is the `open` order. A second process,
forked before the project is imported, serves candidates that need a fresh import of the changed modules.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Dict, List, Set, Tuple

if TYPE_CHECKING:
    from sandbox.probe.trial_batch import Trier, essence
    from sandbox.probe.trial_behave import Behaviour, collect
    from sandbox.probe.trial_live import Live, State, is_under
    from sandbox.probe.trial_overlay import Zygote
    from sandbox.probe.trial_tests import Broken, Summary, Tests, run_session
    from sandbox.probe.trial_wire import Channel, Message, adopt_orphans, start, sweep, watch
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from trial_batch import Trier, essence
    from trial_behave import Behaviour, collect
    from trial_live import Live, State, is_under
    from trial_overlay import Zygote
    from trial_tests import Broken, run_session
    from trial_wire import Channel, adopt_orphans, start, sweep, watch

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
        self.targets: List[str] = []

    def serve(self, tests: Tests) -> None:
        sys.setprofile(None)
        self.tests = tests
        self.targets = [name for name in self.order["tests"] if name in tests.items]
        tests.keep_parameters(list(self.targets) + list(self.order.get("related", ())))
        live = Live(self.order["root"])
        self.trier = Trier(self.order["root"], self.order.get("sources", {}), tests, live, State(live))
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
        """Run the targets on the base twice in one child; order them by their time."""

        def work(out: Channel) -> None:
            self.tests.arm()
            for turn in range(2):
                for name in self.targets:
                    try:
                        summary = self.tests.run(name, float(self.order.get("base_cpu", 10.0)))
                    except Broken as error:
                        summary = {"test": name, "outcome": "error", "exception": str(error), "cpu": 0.0, "wall": 0.0}
                    self.trier.state.restore()
                    out.send({"turn": turn, "summary": summary})

        runs: Tuple[Dict[str, Summary], Dict[str, Summary]] = ({}, {})

        def take(message: Message) -> None:
            summary = message["summary"]
            runs[message["turn"]][summary["test"]] = summary

        self.child(work, take, float(self.order.get("base_cpu", 10.0)), float(self.order.get("base_wall", 30.0)))
        first, second = runs
        for name in self.targets:
            summary = first.get(name, {"test": name, "outcome": "timeout", "cpu": 10.0, "wall": 30.0})
            again = second.get(name)
            if again is not None:
                self.isolate = self.isolate or essence(again) != essence(summary)
                summary["cpu"] = min(summary["cpu"], again["cpu"])
                summary["wall"] = min(summary["wall"], again["wall"])
            self.trier.base[name] = summary
        self.targets.sort(key=lambda name: float(self.trier.base[name]["wall"]))

    def child(self, work: Any, take: Any, cpu: float, wall: float) -> str:
        """Do work in a child; see `watch`."""
        close = (self.host.source, self.host.sink, self.zygote.channel.source)
        pid, channel = start(work, self.memory, close)
        return watch(pid, channel, take, lambda: (cpu, wall))

    def on_batch(self, order: Message) -> None:
        """Try candidates; each is answered by one `trial`, the batch by `done`."""
        order.setdefault("tests", self.targets)
        todo: List[Message] = list(order["candidates"])
        size = 1 if self.isolate or order.get("isolate") else max(len(todo), 1)
        while todo:
            todo = self.some(todo[:size], order) + todo[size:]
        self.host.send({"op": "done", "batch": order.get("batch")})

    def limits(self, order: Message) -> Tuple[float, float]:
        """Return the CPU and wall seconds that one candidate may take altogether."""
        cpu = sum(self.trier.limit(name, order["cpu"]) for name in order["tests"])
        wall = sum(float(self.trier.base.get(name, {}).get("wall", 0.0)) for name in order["tests"])
        if order.get("related"):
            cpu += float(order.get("related_seconds", 2.0)) + 2.0
        return cpu + SLACK_CPU, 5 * wall + 2 * cpu + 2.0

    def some(self, todo: List[Message], order: Message) -> List[Message]:
        """Try candidates in one child until it ends; return those that it did not come to."""
        results: List[Message] = []
        begun: List[int] = []
        base: List[Any] = []

        def take(message: Message) -> None:
            if message["op"] == "start":
                begun.append(message["index"])
            elif message["op"] == "base":
                base.append(message["signature"])
            else:
                results.append(message)
                if not (message["verdict"] == "passed" and len(todo) > 1):
                    self.answer(message, todo[len(results) - 1])

        cpu, wall = self.limits(order)
        ended = self.child(lambda out: self.trier.try_all(todo, order, out), take, cpu, wall)
        alone = [todo[i] for i, r in enumerate(results) if r["verdict"] == "passed" and len(todo) > 1]
        rest = todo[len(results) :]
        if rest and (ended != "done" or not begun):
            verdict = "timeout" if ended in ("cpu", "wall") else "crashed"
            if len(begun) > len(results) or len(todo) == 1:
                self.answer({"op": "trial", "id": rest[0]["id"], "verdict": verdict, "way": "swap"}, rest[0])
                rest = rest[1:]
        if base and base[0] != [essence(self.trier.base[name]) for name in order["tests"][:1]]:
            # Something that a candidate did outlived it, so the failures after it prove nothing.
            alone = [c for c, r in zip(todo, results) if r["verdict"] in ("passed", "failed", "error")]
        for candidate in alone:
            self.some([candidate], order)
        return rest

    def answer(self, result: Message, candidate: Message) -> None:
        self.host.send(result)

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

        wall = float(order["wall"])
        end = time.perf_counter() + 3 * wall
        skip = 0
        while time.perf_counter() < end:
            before = len(begun)
            ended = self.child(lambda out, skip=skip: work.run(skip, out), take, wall + 1.0, 2 * wall + 2.0)
            if ended == "done" or len(begun) == before:
                break
            if begun[-1]["id"] not in rows:
                failed[begun[-1]["id"]] = "?"
            skip = begun[-1]["index"] + 1
        done = set(rows) | set(failed)
        inputs["unknown"] = [c["id"] for c in order["candidates"] if c["id"] not in done]
        self.host.send(collect(rows, inputs, failed))

    def on_overlay(self, order: Message) -> None:
        """Run tests after a fresh import with changed modules; see `trial_overlay`."""
        self.host.send(self.zygote.ask(order))

    def on_preload(self, _: Message) -> None:
        """Let the zygote import what the project imports from elsewhere."""
        names = []
        for name, module in list(sys.modules.items()):
            filename = getattr(module, "__file__", None) or ""
            if (
                name == "__main__"
                or name.startswith("trial")
                or is_under(os.path.realpath(filename), self.order["root"])
            ):
                continue
            names.append(name)
        self.zygote.ask({"op": "preload", "modules": names})
        self.host.send({"op": "preloaded"})


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
    if os.environ.get("TRIAL_OUTPUT") is None:
        for descriptor in (0, 1, 2):
            os.dup2(quiet, descriptor)
    order = host.receive()
    if order is None:
        return 0
    order["root"] = os.path.realpath(order["root"])
    os.chdir(order["root"])
    os.environ.update(order.get("env", {}))
    zygote = Zygote(order, (host.source, host.sink))
    imported: Set[Tuple[str, int, str]] = set()
    server = Server(order, host, zygote, imported)
    begun = time.perf_counter()
    record_imports(order["root"] + os.sep, imported)
    code, plugin = run_session(order, server.serve)
    sys.setprofile(None)
    if plugin.tests is None:
        text = "\n".join(name + ": " + text for name, text in plugin.errors)[-4000:]
        host.send({"op": "unopened", "code": code, "errors": text, "seconds": time.perf_counter() - begun})
    zygote.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
