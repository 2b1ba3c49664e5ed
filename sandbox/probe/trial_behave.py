"""Runs the original and candidates on recorded and generated inputs, and says what each of them did."""

from __future__ import annotations

import asyncio
import copy
import inspect
import io
import random
import signal
import sys
import time
import types
from typing import Any, Dict, List, Optional, Sequence, Set

from .trial_batch import Trier
from .trial_inputs import generate
from .trial_live import Swap, apply
from .trial_record import Call, Recorder
from .trial_units import NotSwappable, Uncompilable
from .trial_values import canonical, fingerprint
from .trial_wire import Broken, Channel, Message, OutOfTime

RECORDED = 120
"""Recorded calls that are compared, at most."""
LEAST = 24
"""Inputs that are run however slow they are."""
SLOW = 6
"""Time-outs after which a candidate's further inputs get a fifth of the time."""


class Behaviour:
    """Does one `behave` order in a child process."""

    def __init__(self, trier: Trier, targets: Sequence[str], order: Message) -> None:
        self.trier = trier
        self.targets = targets
        self.order = order
        self.cpu = float(order["cpu"])

    def run(self, skip: int, end: float, known: Message, out: Channel) -> None:
        """Report the inputs and the original's outcomes, then those of each candidate from number `skip` on.

        `end` is when (of `time.perf_counter`) all should be done; `known` is what a former child reported.
        """
        plans: Dict[str, List[Swap]] = {}
        unknown: List[str] = []
        for candidate in self.order["candidates"]:
            try:
                plans[candidate["id"]] = self.trier.plan(candidate["edits"])
            except (Uncompilable, NotSwappable):  # noqa: PERF203 - few, and each on its own
                unknown.append(candidate["id"])
        self.trier.tests.arm()
        calls = self.inputs(plans, end)[: known.get("count")]
        begun = time.perf_counter()
        base = self.outcomes(calls, begun + 0.4 * (end - begun))
        if "-" in base:
            calls = calls[: base.index("-")]
        if not known["samples"]:
            # So many inputs that all candidates can be run on them in the time that is left.
            took = max(1e-6, time.perf_counter() - begun)
            share = 0.6 * max(0.0, end - time.perf_counter()) / (len(plans) + 1)
            calls = calls[: max(LEAST, int(len(calls) * share / took))]
        entries = [self.trier.live.real(c.code.co_filename)[len(self.trier.root) + 1 :] for c in calls]
        samples = [
            {"kind": call.kind, "entry": "%s:%d:%s" % (path, call.code.co_firstlineno, call.code.co_name)}
            for call, path in zip(calls, entries)
        ]
        same = fingerprint("\n".join(call.key for call in calls))
        if known["samples"] and same != known["same"]:
            # What the tests do differs from run to run, so that nothing could be compared.
            return
        fresh = {"samples": samples, "same": same, "original": base[: len(calls)], "count": len(calls)}
        out.send(dict(fresh, op="inputs", unknown=unknown))
        for index, (name, swaps) in enumerate(plans.items()):
            if index < skip:
                continue
            out.send({"op": "start", "index": index, "id": name})
            undo = apply(swaps)
            found = self.outcomes(calls, end)
            apply(undo)
            out.send({"op": "row", "id": name, "outcomes": found})

    def inputs(self, plans: Dict[str, List[Swap]], end: float) -> List[Call]:
        """Return the inputs, so ordered that any beginning of them is a fair choice."""
        half = (end - time.perf_counter()) / 5
        codes = {id(function.__code__) for swaps in plans.values() for function, _, _, _ in swaps}
        calls = self.record(codes, False, half)
        # Calls of the changed functions themselves reach more than what tests pass to the function around them.
        inner = self.record(codes, True, half)
        known = {(id(call.code), call.key) for call in calls}
        calls += [call for call in inner if (id(call.code), call.key) not in known]
        rank = {"failing": 0, "earlier": 1, "passing": 2}
        calls.sort(key=lambda call: rank[call.kind])
        calls = calls[:RECORDED]
        constants: List[Any] = []
        for swaps in plans.values():
            for function, code, _, _ in swaps:
                constants += [c for c in function.__code__.co_consts + code.co_consts if c not in constants]
        made = generate(calls, constants, int(self.order["samples"]))
        first = [call for call in calls if call.kind == "failing"][:40]
        later = [call for call in calls if call not in first]
        return first + mix(later, made)

    def record(self, codes: Set[int], units_only: bool, seconds: float) -> List[Call]:
        """Run the tests on the original and return the relevant calls."""
        live = self.trier.live
        files = {str(getattr(item, "path", "")) for item in self.trier.tests.items.values()}

        def ours(code: types.CodeType) -> bool:
            path = live.real(code.co_filename)
            if not path.startswith(self.trier.root + "/") or path in files or path.endswith("/conftest.py"):
                return False
            return "site-packages" not in path and code.co_name != "<module>"

        recorder = Recorder(ours, codes, units_only)
        end = time.perf_counter() + seconds
        names = [(name, "failing") for name in self.targets]
        names += [(name, "passing") for name in self.order.get("related", ()) if name in self.trier.tests.items]
        for name, kind in names:
            if time.perf_counter() > end:
                break
            # Recording slows tests down; those that hang have made their telling calls soon.
            hangs = self.trier.base.get(name, {}).get("outcome") == "timeout"
            left = max(0.05, end - time.perf_counter())
            recorder.begin("earlier" if kind == "failing" else kind)
            try:
                self.trier.tests.run(name, min(left, 0.1 if hangs else 20 * self.trier.limit(name, 0.1)))
            except Broken:
                pass
            finally:
                recorder.end()
            if kind == "failing" and recorder.last is not None:
                recorder.last.kind = "failing"
            self.trier.state.restore()
        return [call for call in recorder.calls if call.relevant and live.functions(call.code)]

    def outcomes(self, calls: Sequence[Call], end: float) -> List[str]:
        """Run the inputs with the code as it stands; `-` stands for those that were not come to."""
        found = []
        slow = 0
        for call in calls:
            if time.perf_counter() > end:
                found.append("-")
                continue
            outcome = self.outcome(call, self.cpu if slow < SLOW else self.cpu / 5)
            slow += outcome == "?"
            found.append(outcome)
        return found

    def outcome(self, call: Call, seconds: float) -> str:
        """Return a digest of what one call returned, raised, printed and did to its arguments; `?` out of time."""
        function = self.function(call)
        if function is None:
            return "-"
        random.seed(3)
        printed, output = sys.stdout, io.StringIO()
        try:
            positional, keywords = copy.deepcopy(call.arguments)
            sys.stdout = output
            try:
                signal.setitimer(signal.ITIMER_PROF, seconds, 0.05)
                value: Any = function(*positional, **keywords)
                if inspect.iscoroutine(value):
                    value = asyncio.run(value)
                text = canonical([value, positional, keywords])[0]
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            result = "=" + fingerprint(text + output.getvalue()[:2000])
        except OutOfTime:
            result = "?"
        except MemoryError:
            result = "?"
        except BaseException as error:
            result = "!" + type(error).__name__
        finally:
            sys.stdout = printed
        self.trier.state.restore()
        return result

    def function(self, call: Call) -> Optional[types.FunctionType]:
        """Return a live function that has, on the base, the recorded call's code."""
        functions = self.trier.live.functions(call.code)
        return functions[0] if functions else None


def mix(recorded: Sequence[Call], made: Sequence[Call]) -> List[Call]:
    """Return both, one recorded call before every two that were made."""
    mixed: List[Call] = []
    at = 0
    for index, call in enumerate(recorded):
        mixed.append(call)
        mixed += made[2 * index : 2 * index + 2]
        at = 2 * index + 2
    return mixed + list(made[at:])


def collect(rows: Dict[str, List[str]], inputs: Message, failed: Dict[str, str]) -> Message:
    """Return the answer to the host from what children reported."""
    samples: List[Dict[str, Any]] = inputs["samples"]
    original: List[str] = inputs["original"]
    answer: List[Dict[str, Any]] = []
    for index, sample in enumerate(samples):
        outcomes = {name: row[index] for name, row in rows.items()}
        outcomes.update(failed)
        answer.append(dict(sample, original=original[index], outcomes=outcomes))
    return {"op": "behaviours", "samples": answer, "unknown": inputs["unknown"]}
