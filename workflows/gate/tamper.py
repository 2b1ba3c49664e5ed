"""A static review of what a patch adds to product code: nothing there may reach for the tests or their machinery."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from sandbox.syntax import parse
from workflows.gate.tamper_reader import Reader, TestNames, Trace


def review(
    before: Mapping[str, bytes], after: Mapping[str, bytes], names: TestNames
) -> tuple[tuple[Trace, ...], tuple[Trace, ...]]:
    """Return what the changed files newly do: (refused, flagged).

    Args:
        before: the changed product files of the base, by path.
        after: the same on the patched tree.
        names: what the repository's tests are called.

    What the base's version of the same file already did is at most flagged when more of it is added.

    """
    known: Counter[str] = Counter()
    known_in: dict[str, set[str]] = {}
    for path, data in before.items():
        traces = read(path, data, names)
        known.update(t.key for t in traces)
        known_in[path] = {t.key for t in traces}
    refused, flagged = [], []
    for path, data in after.items():
        for trace in read(path, data, names):
            if known[trace.key] > 0:
                known[trace.key] -= 1
            elif trace.weight == "refuse" and trace.key not in known_in.get(path, ()):
                refused.append(trace)
            else:
                flagged.append(trace)
    return tuple(refused), tuple(flagged)


def read(path: str, data: bytes, names: TestNames) -> list[Trace]:
    """Return everything in one file that matters, known or new, in order of lines."""
    try:
        module = parse(data)
    except (SyntaxError, ValueError, RecursionError):
        return _read_text(path, data)
    reader = Reader(path, module, names)
    reader.visit(module)
    return sorted(reader.traces, key=lambda t: t.line)


_TEXT = re.compile(
    r"os\._exit|sys\.modules|PYTEST_\w+|_pytest|\bpytest\b|\bunittest\b|sys\._getframe|inspect\.stack|\batexit\b|\bctypes\b"
    r"|settrace|setprofile|\bf_back\b|__builtins__|\bgc\.get_\w+|\b(?:exec|eval)\s*\(|/proc\b|conftest"
)


def _read_text(path: str, data: bytes) -> list[Trace]:
    """Review a file that this Python cannot parse (a newer or older syntax) line by line."""
    return [
        Trace(f"text:{match[0]}", "refuse", f"mentions `{match[0]}` in a file that cannot be parsed", path, number)
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1)
        for match in _TEXT.finditer(line.split("#", 1)[0])
    ]
