"""Tries mutants in forked children, each on its own tests, up to the first that notices it."""

from __future__ import annotations

import mmap
import struct
import time
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

from .trial_batch import Trier, differs
from .trial_live import Swap, apply
from .trial_units import NotSwappable, Uncompilable
from .trial_wire import Broken, Channel, Message, Summary

if TYPE_CHECKING:
    from .trial_server import Server

FACTOR = 10.0
"""A test gets so many times the CPU time that it is known to take, or the order's time where that is more."""
MEASURE = 10.0
"""CPU seconds in which a test must pass on the base, by itself, to count as one that can notice something."""
SILENT = ("passed", "skipped", "xfailed", "xpassed")
"""Outcomes by which a test notices nothing."""


class Mutants:
    """Answers orders of mutants; lives in the server, so that children inherit what it knows."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.trier: Trier = server.trier
        self.names: List[str] = list(server.order.get("related", ()))
        self.alone: Dict[str, float] = {}
        """CPU seconds that a test takes by itself on the base; minus one where it does not pass."""
        self.killers: Dict[str, List[str]] = {}
        """Tests that noticed mutants, by the mutants' neighbourhood, the latest last."""
        self.until = 0.0
        # Shared with children, which say here what they are at: it is known even of one that was ended.
        self._at = mmap.mmap(-1, 8)

    def answer(self, order: Message) -> None:
        """Try the order's mutants; each is answered by one `trial`, the order by `done`."""
        order["until"] = time.monotonic() + float(order.get("seconds", 1e9))
        self.until = order["until"]
        todo: List[Message] = list(order["candidates"])
        size = 1 if order.get("isolate") else max(len(todo), 1)
        while todo and time.monotonic() < order["until"]:
            todo = self.some(todo[:size], order) + todo[size:]
        self.server.host.send({"op": "done"})

    def some(self, todo: List[Message], order: Message) -> List[Message]:
        """Try mutants in one child until it ends; return those that it did not come to."""
        results: List[Message] = []
        begun: List[int] = []
        late: List[bool] = []
        only = len(todo) == 1

        def take(message: Message) -> None:
            if message["op"] == "start":
                begun.append(message["index"])
            elif message["op"] == "late":
                late.append(True)
            else:
                results.append(message)
                if message["verdict"] == "failed" and not message.get("doubt"):
                    self.remember(todo[len(results) - 1], message["test"])

        def limits() -> Tuple[float, float]:
            return self.limits(todo[min(len(results), len(todo) - 1)], order)

        ended = self.server.watched(lambda out: self.work(todo, order, out), take, limits)
        rest = [] if late else todo[len(results) :]
        if rest and (len(begun) > len(results) or not results):
            results.append(self.lost(rest[0], ended))
            rest = rest[1:]
        for item, result in zip(todo, results):
            self.settle(item, result, order, only)
        return rest

    def lost(self, item: Message, ended: str) -> Message:
        """Return the result of a mutant that the child did not survive."""
        verdict = "timeout" if ended in ("cpu", "wall") else "crashed"
        return {"op": "trial", "id": item["id"], "verdict": verdict, "way": "swap", "test": self.at(item), "hard": True}

    def settle(self, item: Message, result: Message, order: Message, only: bool) -> None:
        """Hand on a result that can be relied on; get another one, from a fresh child, where it cannot."""
        verdict = result["verdict"]
        retry = False
        if verdict in ("failed", "timeout", "crashed") and result.get("test"):
            took = self.by_itself(result["test"])
            if took < 0:
                # It does not even pass on the base here, so others have to notice the mutant.
                retry = True
            elif verdict == "timeout":
                retry = not result.get("hard") and float(result.get("limit", 0.0)) < FACTOR * took
            else:
                retry = not only and (bool(result.get("doubt")) or verdict == "crashed")
        elif verdict == "passed":
            # What an earlier mutant left behind may have hidden this one.
            retry = not only
        if retry and time.monotonic() < order["until"]:
            self.some([item], order)
        elif not retry:
            self.server.host.send(result)

    def remember(self, item: Message, test: str) -> None:
        killers = self.killers.setdefault(item["near"], [])
        if test in killers:
            killers.remove(test)
        killers.append(test)

    def by_itself(self, test: str) -> float:
        """Return the CPU seconds that a test takes on the base in a fresh child, -1 where it does not pass."""
        if test not in self.alone:
            found: List[Summary] = []

            def work(out: Channel) -> None:
                self.trier.tests.arm()
                self.trier.tests.brisk = True
                out.send(self.trier.tests.run(test, MEASURE))

            wall = min(3 * MEASURE, max(1.0, self.until - time.monotonic()))
            self.server.child(work, found.append, MEASURE + 1.0, wall)
            fine = bool(found) and found[0]["outcome"] == "passed"
            self.alone[test] = max(0.0, float(found[0]["cpu"])) if fine else -1.0
        return self.alone[test]

    def tests_of(self, item: Message) -> List[str]:
        """Return the tests to run on a mutant, those that noticed its neighbours first."""
        tests = [self.names[number] for number in item["tests"]]
        allowed = set(tests)
        first = [name for name in reversed(self.killers.get(item["near"], ())) if name in allowed]
        head = set(first)
        known = self.trier.tests.items
        return [n for n in first + [n for n in tests if n not in head] if n in known and self.alone.get(n, 0.0) >= 0]

    def limit(self, name: str, tier: float) -> float:
        """Return the CPU seconds that a test gets."""
        return max(tier, FACTOR * max(self.trier.paces.get(name, 0.0), self.alone.get(name, 0.0)))

    def limits(self, item: Message, order: Message) -> Tuple[float, float]:
        """Return the CPU and wall seconds that one mutant may take altogether."""
        took = longest = 0.0
        for number in item["tests"]:
            pace = max(self.trier.paces.get(self.names[number], 0.0), self.alone.get(self.names[number], 0.0))
            took += pace + 0.002
            longest = max(longest, pace)
        cpu = 3.0 * took + max(float(order["cpu"]), FACTOR * longest) + 0.5
        left = max(0.5, float(order["until"]) - time.monotonic() + 0.5)
        return cpu, min(4 * cpu + 2.0, left)

    def at(self, item: Message) -> str:
        """Return the test that a child which has ended was at."""
        tests = self.tests_of(item)
        number = struct.unpack("q", self._at[:8])[0]
        return tests[number] if 0 <= number < len(tests) else ""

    def work(self, todo: Sequence[Message], order: Message, out: Channel) -> None:
        """Try mutants in this process and report each; runs in a child."""
        self.trier.tests.arm()
        self.trier.tests.brisk = True
        for index, item in enumerate(todo):
            if time.monotonic() > order["until"]:
                out.send({"op": "late"})
                return
            self._say(-1)
            out.send({"op": "start", "index": index})
            result = self.one(item, order)
            if result["verdict"] == "failed":
                self.remember(item, result["test"])
            out.send(result)
            if result.get("doubt"):
                return

    def _say(self, number: int) -> None:
        self._at[:8] = struct.pack("q", number)

    def one(self, item: Message, order: Message) -> Message:
        """Return what the tests say of one mutant; the code is as before on return."""
        result: Message = {"op": "trial", "id": item["id"], "way": "swap"}
        try:
            swaps, bindings = self.trier.plans(item["edits"])
        except Uncompilable as error:
            return dict(result, verdict="uncompilable", message=str(error)[:200])
        except NotSwappable as error:
            return dict(result, verdict="import", message=str(error))
        swaps = [swap for swap in swaps if differs(swap)]
        if not swaps and not bindings:
            return dict(result, verdict="same")
        tests = self.tests_of(item)
        if not tests:
            return dict(result, verdict="error", message="none of its tests can be run here")
        undo = apply(swaps)
        try:
            for binding in bindings:
                binding.apply()
            self.run(result, tests, float(order["cpu"]), undo)
        except Uncompilable as error:
            result.update(verdict="uncompilable", message=str(error)[:200])
        finally:
            apply(undo)
            self.trier.state.restore()
        return result

    def run(self, result: Message, tests: List[str], tier: float, undo: List[Swap]) -> None:
        """Run tests up to the first that notices the mutant, and see that it passes without it."""
        runner = self.trier.tests
        result.update(verdict="passed", ran=len(tests))
        for number, name in enumerate(tests):
            self._say(number)
            following = tests[number + 1] if number + 1 < len(tests) else None
            limit = self.limit(name, tier)
            try:
                summary: Dict[str, Any] = runner.run(name, limit, following)
            except Broken as error:
                out_of_time = str(error) == "timeout"
                result.update(verdict="timeout" if out_of_time else "failed", test=name, exception=str(error))
                result.update(limit=limit, doubt=True, ran=number + 1)
                return
            if summary["outcome"] in SILENT:
                continue
            timeout = summary["outcome"] == "timeout"
            result.update(verdict="timeout" if timeout else "failed", test=name, limit=limit, ran=number + 1)
            for key in ("exception", "at", "deep"):
                if key in summary:
                    result[key] = summary[key]
            result["doubt"] = not self.passes(name, undo)
            return
        runner.tear_down()

    def passes(self, name: str, undo: List[Swap]) -> bool:
        """Put the code back, and say whether a test passes in this process as it did."""
        runner = self.trier.tests
        runner.tear_down()
        redo = apply(undo)
        self.trier.state.restore()
        try:
            again: Optional[Summary] = runner.run(name, self.limit(name, MEASURE))
        except Broken:
            again = None
        apply(redo)
        return again is not None and again["outcome"] == "passed"
