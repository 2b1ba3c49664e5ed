"""Runs the lines of a test in a namespace and says whether they hold."""

from __future__ import annotations

import math
import sys
import warnings
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .explore_guard import Guard, Quiet, Timer

Compiled = List[Tuple[str, Any, Any, Any]]
"""How a line is checked, its code, that of what is wanted, and the message that is wanted."""
RELATIVE, ABSOLUTE = 1e-6, 1e-12
"""As `pytest.approx` has them."""


def compiled(lines: Sequence[Dict[str, Any]]) -> Optional[Compiled]:
    """Return lines of a test ready to run, None where one of them cannot be compiled."""
    made: Compiled = []
    try:
        for line in lines:
            if "argv" in line:
                made.append(("argv", line["argv"], None, None))
            elif "printed" in line:
                made.append(("printed", line["printed"], None, None))
            elif "op" not in line:
                made.append(("do", compile(line["do"], "<test>", "exec"), None, None))
            elif line["op"] == "raises":
                made.append(
                    ("raises", compile(line["of"], "<test>", "exec"), compile(line["want"], "<test>", "eval"),
                     line.get("message"))
                )  # fmt: skip
            else:
                want = compile(line["want"], "<test>", "eval")
                made.append((line["op"], compile(line["of"], "<test>", "eval"), want, None))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return made


def holds(test: Compiled, names: Dict[str, Any], guard: Guard, timer: Timer, seconds: float) -> bool:
    """Whether every line of a test holds in a namespace, in time and without reaching for what it must not."""
    quiet = Quiet()
    passed = False
    try:
        with quiet, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            guard.arm()
            timer.start(seconds)
            try:
                passed = _passes(test, dict(names), quiet)
            finally:
                timer.stop()
    except BaseException:
        passed = False
    guard.disarm()
    return passed and guard.reached is None


def _passes(  # noqa: C901 - one case for each kind of line
    test: Compiled, names: Dict[str, Any], quiet: Quiet
) -> bool:
    for kind, code, want, message in test:
        if kind == "argv":
            sys.argv = list(code)
        elif kind == "printed":
            if quiet.out.getvalue()[:2000] != code:
                return False
        elif kind == "do":
            exec(code, names)
        elif kind == "raises":
            try:
                exec(code, names)
            except eval(want, names) as error:  # noqa: S307 - the sandbox is for this
                if message is not None and message not in str(error):
                    return False
            else:
                return False
        elif kind == "is":
            if eval(code, names) is not eval(want, names):  # noqa: S307 - the sandbox is for this
                return False
        elif kind == "near":
            if not near(eval(code, names), eval(want, names)):  # noqa: S307 - the sandbox is for this
                return False
        elif not eval(code, names) == eval(want, names):  # noqa: S307, SIM201 - as a test would compare
            return False
    return True


def near(seen: Any, want: Any) -> bool:
    """Whether two values are equal up to small differences of their floats."""
    if isinstance(want, (float, complex)) and isinstance(seen, (int, float, complex)):
        if isinstance(want, float) and math.isinf(want):
            return bool(seen == want)
        return abs(seen - want) <= max(ABSOLUTE, RELATIVE * abs(want))
    if isinstance(want, (list, tuple)) and isinstance(seen, (list, tuple)):
        return type(seen) is type(want) and len(seen) == len(want) and all(near(s, w) for s, w in zip(seen, want))
    if isinstance(want, dict) and isinstance(seen, dict):
        return seen.keys() == want.keys() and all(near(seen[key], want[key]) for key in want)
    return bool(seen == want)
