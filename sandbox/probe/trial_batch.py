"""Tries candidates one after another in a forked child: exchange the code, run the target tests, put it back."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

from .trial_bind import Binding, binding_for
from .trial_live import Live, State, Swap, apply, find_source
from .trial_units import NotSwappable, Source, Uncompilable, Unit, same_meaning
from .trial_wire import Broken, Channel, Message, Summary

if TYPE_CHECKING:
    from .trial_tests import Tests

FACTOR = 5.0
"""A test gets so many times the CPU time that it took on the base, or the tier's time where that is more."""
PATIENCE = 20.0
"""A related test gets so many times the seconds that it took on the base."""
MORE = 12
"""Further targets run after one that failed in a new way."""


class Trier:
    """What a child needs to try candidates; made in the server, so that children inherit it."""

    def __init__(
        self,
        root: str,
        texts: Dict[str, str],
        tests: Tests,
        live: Live,
        state: State,
        paces: Optional[Dict[str, float]] = None,
    ) -> None:
        self.root = os.path.realpath(root)
        self.paces = paces or {}
        self.texts = texts
        self.tests = tests
        self.live = live
        self.state = state
        self.base: Dict[str, Summary] = {}
        self._sources: Dict[str, Optional[Source]] = {}

    def source(self, path: str) -> Optional[Source]:
        return find_source(self._sources, self.root, path, self.texts)

    def plan(self, edits: Sequence[Sequence[Any]]) -> List[Swap]:
        """Return the exchanges that a candidate's edits (path, start, end, replacement) amount to.

        Raises:
            Uncompilable, NotSwappable: it is no Python, or needs a fresh import.

        """
        swaps, bindings = self.plans(edits)
        if bindings:
            raise NotSwappable("a constant is changed")
        return swaps

    def plans(self, edits: Sequence[Sequence[Any]]) -> Tuple[List[Swap], List[Binding]]:
        """Return the exchanges of code, and the constants to bind anew; raises as `plan`."""
        outside: Dict[str, List[Tuple[int, int, str]]] = {}
        grouped: Dict[Tuple[str, int], List[Tuple[int, int, str]]] = {}
        units: Dict[Tuple[str, int], Tuple[Source, Unit]] = {}
        for path, start, end, replacement in edits:
            source = self.source(path)
            if source is None:
                raise Uncompilable("the file cannot be read")
            try:
                unit = source.unit_of((start, end, replacement))
            except NotSwappable:
                outside.setdefault(path, []).append((start, end, replacement))
                continue
            grouped.setdefault((path, unit.start), []).append((start, end, replacement))
            units[path, unit.start] = (source, unit)
        swaps: List[Swap] = []
        for key, splices in grouped.items():
            source, unit = units[key]
            swaps += self.live.swaps(source, os.path.join(self.root, key[0]), unit, splices)
        bindings: List[Binding] = []
        for path, splices in outside.items():
            source = self.source(path)
            if source is not None:
                bindings.append(binding_for(self.live, source, os.path.join(self.root, path), splices))
        return swaps, bindings

    def limit(self, name: str, tier: float) -> float:
        """Return the CPU seconds that a test gets."""
        base = self.base.get(name, {})
        if base.get("outcome") == "timeout":
            return tier
        # The CPU clock may tick as seldom as every 10 ms.
        took = max(float(base.get("cpu", 0.0)), min(float(base.get("wall", 0.0)), 0.01))
        return max(tier, FACTOR * took)

    def related_limit(self, name: str, tier: float) -> float:
        """Return the CPU seconds that a test gets which passed on the base."""
        if name not in self.paces:
            return max(1.0, self.limit(name, tier))
        return max(0.1, tier, PATIENCE * float(self.paces[name]))

    def signature(self, targets: Sequence[str]) -> List[List[Any]]:
        """Run targets as the code stands and say how each ended, in a form that can be compared."""
        found = []
        for index, name in enumerate(targets):
            following = targets[index + 1] if index + 1 < len(targets) else None
            found.append(essence(self.tests.run(name, self.limit(name, 2.0), following)))
            self.state.restore()
        self.tests.tear_down()
        return found

    def try_one(self, candidate: Message, order: Message, out: Channel) -> Message:
        """Return the result of one candidate; the code is as before on return."""
        begun = time.perf_counter()
        result: Message = {"op": "trial", "id": candidate["id"], "way": "swap"}
        try:
            swaps, bindings = self.plans(candidate["edits"])
        except Uncompilable as error:
            result.update(verdict="uncompilable", message=str(error)[:200])
            return result
        except NotSwappable as error:
            result.update(verdict="import", message=str(error))
            return result
        swaps = [swap for swap in swaps if differs(swap)]
        if not swaps and not bindings:
            result.update(verdict="same")
            return result
        undo = apply(swaps)
        try:
            for binding in bindings:
                binding.apply()
            self.run_targets(result, order)
            if result["verdict"] == "passed" and order.get("related"):
                out.send({"op": "related"})
                self.run_related(result, order, swaps, undo, bindings)
        except Uncompilable as error:
            result.update(verdict="uncompilable", message=str(error)[:200])
        except Broken as error:
            result.update(verdict="timeout" if str(error) == "timeout" else "error", exception=str(error), broken=True)
        finally:
            apply(undo)
            self.state.restore()
        result["seconds"] = time.perf_counter() - begun
        return result

    def run_targets(self, result: Message, order: Message) -> None:
        """Run the targets, stop at the first that fails as it did on the base, and fill in the result."""
        targets: List[str] = order["tests"]
        passed: List[str] = []
        first: Optional[Summary] = None
        moved = 0
        for index, name in enumerate(targets):
            following = targets[index + 1] if index + 1 < len(targets) else None
            summary = self.tests.run(name, self.limit(name, order["cpu"]), following)
            if summary["outcome"] == "passed":
                passed.append(name)
                continue
            if first is None:
                first = summary
            as_before = essence(summary) == essence(self.base.get(name, {}))
            moved += not as_before
            if summary["outcome"] == "timeout" or index >= MORE:
                break
            if as_before and not passed and not order.get("thorough"):
                break
        self.tests.tear_down()
        result.update(passed=len(passed), moved=moved)
        if first is None:
            result.update(verdict="passed")
            return
        outcome = first["outcome"]
        result.update(verdict=outcome if outcome in ("failed", "error", "timeout") else "failed", test=first["test"])
        for key in ("exception", "at", "deep"):
            if key in first:
                result[key] = first[key]

    def run_related(
        self, result: Message, order: Message, swaps: List[Swap], undo: List[Swap], bindings: Sequence[Binding] = ()
    ) -> None:
        """Run tests that passed on the base, within a time, and name the first that the candidate breaks."""
        end = time.perf_counter() + float(order.get("related_seconds", 2.0))
        related: List[str] = [name for name in order["related"] if name in self.tests.items]
        ran = 0
        for index, name in enumerate(related):
            if time.perf_counter() > end:
                break
            following = related[index + 1] if index + 1 < len(related) else None
            summary = self.tests.run(name, self.related_limit(name, order["cpu"]), following)
            ran += 1
            if summary["outcome"] == "passed":
                continue
            # A test that another one upset, or that depends on state that trials do not have, says nothing.
            self.tests.tear_down()
            apply(undo)
            self.state.restore()
            again = self.tests.run(name, 10.0)
            apply(swaps)
            for binding in bindings:
                binding.apply()
            if again["outcome"] == "passed":
                result["breaks"] = name
                break
        self.tests.tear_down()
        result["related"] = ran

    def try_all(self, candidates: Sequence[Message], order: Message, out: Channel) -> None:
        """Try candidates in this process and report each; runs in a child."""
        self.tests.arm()
        # What passes is tried alone afterwards, as pytest does it.
        self.tests.brisk = len(candidates) > 1
        for index, candidate in enumerate(candidates):
            if time.monotonic() > order["until"]:
                out.send({"op": "late"})
                return
            out.send({"op": "start", "index": index})
            result = self.try_one(candidate, order, out)
            out.send(result)
            if result.get("broken"):
                return
        control = self.control()
        if len(candidates) > 1 and control:
            out.send({"op": "start", "index": len(candidates)})
            try:
                out.send({"op": "base", "signature": self.signature(control)})
            except Broken:
                out.send({"op": "base", "signature": None})

    def control(self) -> List[str]:
        """Return the target that shows whether the base still behaves as it did: the quickest that comes to an end."""
        ending = [name for name, base in self.base.items() if base["outcome"] != "timeout"]
        return sorted(ending, key=lambda name: float(self.base[name]["wall"]))[:1]


def essence(summary: Summary) -> List[Any]:
    """Return what two runs of a test must share to count as the same failure."""
    return [summary.get("outcome"), summary.get("exception"), list(summary.get("at", ()))]


def differs(swap: Swap) -> bool:
    """Say whether an exchange changes what a function does."""
    function, code, defaults, keywords = swap
    same = defaults is function.__defaults__ and keywords is function.__kwdefaults__
    return not (same and same_meaning(function.__code__, code))
