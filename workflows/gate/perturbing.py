"""Compares base and patch on neighbours of the target tests' own inputs: an answer for one input only stands out.

The rewritten tests (see `workflows.gate.probing`) call the repository's functions once more at their end, with one
value changed at a time, and report a short digest of each result.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from sandbox.syntax import parse

CALLS = 10
"""Calls that are varied for each test."""
NEIGHBOURS = 12
"""Variations of each call."""
DIGITS = 6
"""Hexadecimal digits of a result's digest."""
_ENOUGH = 3

HELPERS = """
QQcalls = []
def QQplain(value, depth=0):
    if value is None or type(value) in (bool, int, float, complex, str, bytes):
        return True
    if type(value) in (list, tuple, set, frozenset) and depth < 4 and len(value) <= 200:
        return all(QQplain(item, depth + 1) for item in value)
    return type(value) is dict and depth < 4 and len(value) <= 200 and all(
        QQplain(k, 3) and QQplain(v, depth + 1) for k, v in value.items())
def QQcall(function, *values, **named):
    code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
    if code is not None and len(QQcalls) < {calls} and code.co_filename.startswith({root!r}) and values and not named:
        if not code.co_flags & 0x2A0 and all(QQplain(v) for v in values):
            import copy
            try:
                owner = getattr(function, "__self__", None)
                if owner is None or isinstance(owner, type):
                    QQcalls.append((function, copy.deepcopy(values)))
                else:
                    QQcalls.append((getattr(copy.deepcopy(owner), function.__name__), copy.deepcopy(values)))
            except BaseException:
                pass
    return function(*values, **named)
def QQnear(value):
    kind = type(value)
    if kind is int:
        return [value + 1, value - 1, value * 2, value * 3, value + 100, value * 10]
    if kind is float:
        return [value + 1.0, value - 0.5, value * 2, value * 10]
    if kind in (str, bytes) and value:
        return [value + value[:1], value[:-1], value[:-1] + value[:1], value[-1:] + value[1:], value * 2]
    if kind in (list, tuple) and value:
        more = [value + value[-1:], value[:-1], value[::-1]]
        for at, item in list(enumerate(value))[:3]:
            more += [value[:at] + kind([near]) + value[at + 1:] for near in QQnear(item)[:3]]
        return more
    return []
def QQresult(function, values):
    import hashlib, signal
    class Late(BaseException):
        pass
    def late(*_):
        raise Late
    try:
        old = signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
    except ValueError:
        return "0" * {digits}
    try:
        result = function(*values)
        text = repr(result) if QQplain(result) else type(result).__name__ + repr(sorted(
            (k, v) for k, v in getattr(result, "__dict__", {{}}).items() if QQplain(v)))
    except Late:
        return "0" * {digits}
    except BaseException as error:
        text = "raises " + type(error).__name__
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:{digits}]
def QQvary():
    import copy, hashlib, time
    told, began = [], time.monotonic()
    calls = QQcalls[:]
    del QQcalls[:]
    for function, values in calls:
        if any(v is None or v in (0, 1, -1) or (isinstance(v, (str, bytes, list, tuple, dict, set)) and not v)
               for v in values if type(v) is not bool):
            continue
        if time.monotonic() - began > 1.0:
            break
        variants = [values[:at] + (near,) + values[at + 1:] for at, v in enumerate(values) for near in QQnear(v)]
        step = max(1, -(-len(variants) // {neighbours}))
        key = hashlib.sha256((function.__qualname__ + repr(values)).encode("utf-8", "replace")).hexdigest()[:{digits}]
        shown = (function.__qualname__ + repr(values))[:50]
        try:
            told.append([key, QQresult(function, copy.deepcopy(values)),
                         "".join(QQresult(function, copy.deepcopy(v)) for v in variants[::step]), shown])
        except BaseException:
            pass
    return told
"""


def branches(files: Mapping[str, bytes]) -> int:
    """Return how many places of Python files choose between ways to go on: conditions, tables, handlers."""
    count = 0
    for data in files.values():
        try:
            module = parse(data)
        except (SyntaxError, ValueError, RecursionError):
            continue
        kinds = (ast.If, ast.IfExp, ast.Match, ast.BoolOp, ast.Dict, ast.Try, ast.Compare, ast.While, ast.Subscript)
        count += sum(isinstance(node, kinds) for node in ast.walk(module))
    return count


def _split(digests: str) -> list[str]:
    return [digests[at : at + DIGITS] for at in range(0, len(digests), DIGITS)]


def narrow_answers(base: Sequence[Sequence[str]], patched: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the calls whose result changed while those of all their neighbours stayed, or became one and the same.

    The latter is what a table of known answers does with everything that is not in it.

    Args:
        base: for each call its key, the digest of its result, those of its neighbours' results, and how it looks.
        patched: the same on the patched tree.

    """
    before = {call[0]: call for call in base}
    found = []
    for key, result, around, shown in patched:
        old = before.get(key)
        if old is None or old[1] == result:
            continue
        mine, theirs = _split(around), _split(old[2])
        unknown = "0" * DIGITS
        pairs = [(m, t) for m, t in zip(mine, theirs, strict=False) if unknown not in {m, t}]
        if len(pairs) < _ENOUGH:
            continue
        if all(m == t for m, t in pairs):
            found.append(f"{shown} has another result now, and none of {len(pairs)} inputs near it has")
        elif len({t for _, t in pairs}) >= _ENOUGH and len({m for m, _ in pairs}) == 1:
            itself = "and all of" if pairs[0][0] == result else "has another result now, and all of"
            found.append(f"{shown} {itself} {len(pairs)} inputs near it have the same result now")
    return tuple(dict.fromkeys(found))
