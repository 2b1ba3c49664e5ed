"""Compares a module with its reference on generated inputs; runs in a process of its own, standard library only."""

from __future__ import annotations

import asyncio
import copy
import inspect
import itertools
import json
import math
import os
import random
import signal
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

CALL_SECONDS = 1.0
LONGEST = 5000  # elements taken from an iterator

HELPERS = """\
def text(rng, alphabet="abc ", least=0, most=10):
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(least, most)))
def ints(rng, low=-9, high=9, least=0, most=8):
    return [rng.randint(low, high) for _ in range(rng.randint(least, most))]
"""


class TimeUp(BaseException):
    """One call took longer than CALL_SECONDS."""


def load_module(name: str, source: str) -> types.ModuleType:
    """Return the source executed as a module of that name."""
    module = types.ModuleType(name)
    sys.modules[name] = module  # dataclasses look their module up
    exec(compile(source, f"<{name}>", "exec"), module.__dict__)  # noqa: S102 - the purpose of this program
    return module


def settle(value: Any) -> Any:
    """Return `value` with coroutines awaited and iterators read out."""
    if inspect.iscoroutine(value):
        value = asyncio.run(value)
    if isinstance(value, Iterator):
        return ("iterator", list(itertools.islice(value, LONGEST)))
    return value


def plain(value: Any) -> Any:
    """Return a value that compares by content: objects of the module become their class name and fields."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value
    if isinstance(value, dict):
        return ("dict", [(plain(k), plain(v)) for k, v in value.items()])
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, [plain(v) for v in value])
    if isinstance(value, (set, frozenset)):
        return ("set", sorted(map(repr, value)))
    if type(value).__module__.startswith(("reference_", "candidate_")):
        state = getattr(value, "__dict__", None) or {s: getattr(value, s, None) for s in type(value).__slots__}
        return (type(value).__name__, [(k, plain(v)) for k, v in sorted(state.items()) if not k.startswith("_")])
    return value


def alike(one: Any, other: Any) -> bool:
    """Whether two plain values are the same; floating-point numbers within a billionth part."""
    if isinstance(one, float) or isinstance(other, float):
        if not isinstance(one, (int, float)) or not isinstance(other, (int, float)):
            return bool(one == other)
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001 - the corpus's own __eq__
        return False


def outcome(drive: Callable[..., Any], module: types.ModuleType, arguments: Any) -> Any:
    """Return what the call did: its value or its exception's type, and its arguments afterwards."""

    def up(_number: int, _frame: types.FrameType | None) -> None:
        raise TimeUp

    signal.signal(signal.SIGALRM, up)
    signal.setitimer(signal.ITIMER_REAL, CALL_SECONDS)
    try:
        result = ("value", plain(settle(drive(module, *arguments))))
    except TimeUp:
        result = ("time", None)
    except RecursionError:
        result = ("raised", "RecursionError")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it is the result
        result = ("raised", type(error).__name__)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return (result[0], result[1], plain(arguments))


def compare(case: dict[str, Any]) -> dict[str, Any]:
    """Return whether both modules did the same on every input, and the first input where they did not."""
    functions: dict[str, Any] = {}
    exec(HELPERS + case["oracle"], functions)  # noqa: S102 - our own corpus
    drive = functions.get("run") or (lambda module, *given: getattr(module, case["function"])(*given))
    reference = load_module("reference_" + case["module"], case["reference"])
    try:
        candidate = load_module("candidate_" + case["module"], case["candidate"])
    except Exception as error:  # noqa: BLE001 - it is the answer
        return {"correct": False, "inputs": 0, "reason": f"it cannot be imported: {error!r}"}
    rng = random.Random(case["seed"])  # noqa: S311 - not cryptography
    for number in range(case["count"]):
        given = functions["make"](rng)
        one, other = copy.deepcopy(given), copy.deepcopy(given)
        random.seed(number)
        expected = outcome(drive, reference, one)
        random.seed(number)
        seen = outcome(drive, candidate, other)
        if not alike(list(expected), list(seen)):
            reason = f"given {given!r}: expected {expected!r}, got {seen!r}"
            return {"correct": False, "inputs": number + 1, "reason": reason[:600]}
    return {"correct": True, "inputs": case["count"], "reason": ""}


def main() -> None:
    case = json.load(sys.stdin)
    answer = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what the code prints is not the answer
    with os.fdopen(answer, "w") as stream:
        json.dump(compare(case), stream)


if __name__ == "__main__":
    main()
