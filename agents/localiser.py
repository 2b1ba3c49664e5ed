"""The localiser: ranks the files and functions that a task is about, from everything that points to them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from agents.asking import Asker, Unanswered
from agents.context.clues import (
    Clue,
    Eligible,
    Place,
    historic,
    imported,
    named,
    place_of,
    searched,
    test_source,
)
from agents.context.index import Index
from agents.context.outline import in_tests
from agents.models.errors import CallCancelled, ModelError
from agents.repair.localise import Allowed, is_test_path, rank_suspects
from agents.repair.spectrum import suspiciousness
from agents.replies import ReplyRefused
from agents.results import Suspect
from sandbox.runners.report import TestReport, TestResult

K = TypeVar("K", str, Place)
SIGNALS = ("spectrum", "traceback", "symbols", "search", "imports", "history")
_ASIDE = re.compile(r"(?:^|/)(?:docs?|examples?|samples|benchmarks?|vendor|third_party|node_modules)/")
"""Code beside what is tested."""
_MOST = 200
RERANKED = 20
"""Places that a model is shown."""
MOST_CHOSEN = 10
_SHOWN_LINES = 12


@dataclass(frozen=True, slots=True)
class Weights:
    """How the signals are weighed: sums of what is said of a place, multiplied by how suspicious running makes it."""

    traceback: float = 0.35
    symbols: float = 0.1
    search: float = 0.5
    imports: float = 0.1
    history: float = 0.05
    inherited: float = 0.9
    """Of what is said of a function or class, what goes to those that are defined in it."""
    of_file: float = 0.1
    """Of what is said of a file, what goes to its functions."""
    unsaid: float = 0.2
    """What a function has that nothing but the spectrum points to."""
    unrun: float = 0.2
    """What is left of a function that no failing test ran; the most suspicious one has 1 more."""
    file_run: float = 0.5
    """What running adds to a file at most: code that ran on import is not seen, so it says less of files."""
    file_sharpness: float = 3.0
    """How much only the most suspicious files stand out."""

    def of(self, signal: str) -> float:
        """Return the weight of a signal in the sum; the spectrum has none, as it multiplies."""
        known = {"traceback": self.traceback, "symbols": self.symbols, "search": self.search,
                 "imports": self.imports, "history": self.history}  # fmt: skip
        return known.get(signal, 0.0)


WEIGHTS = Weights()


@dataclass(frozen=True, slots=True)
class LocaliseTask:
    """What is known of the task; everything but the index may be missing."""

    index: Index
    request: str = ""
    """The issue or the sentence; untrusted."""
    report: TestReport | None = None
    """A run of the tests, with coverage where it could be had."""
    targets: tuple[str, ...] = ()
    """Node ids of the tests that fail and have to pass."""
    allowed: Allowed | None = None
    """Which paths may be changed; tests never are places."""


@dataclass(frozen=True, slots=True)
class Localised:
    """Ranked places, best first; scores and signals lie between 0 and 1."""

    functions: tuple[Suspect, ...]
    """`line` is the most suspicious line where one is known, else the definition's."""
    files: tuple[Suspect, ...]
    """`line` is 1 and `function` is ""."""
    notes: tuple[str, ...] = ()
    origin: str = "signals"
    """`signals`, or the name of the model that ranked them again."""


def localise(task: LocaliseTask) -> Localised:
    """Fuse what coverage, tracebacks, names, full-text search, imports and history say; asks no model."""
    return fuse(task, clues(task))


def clues(task: LocaliseTask) -> Mapping[str, Clue]:
    """Return each signal alone, scaled to 1; a signal that has nothing to go by is empty."""
    index, eligible, written = task.index, eligibility(task), said(task)
    failures = _failures(task)
    traced, ran = Clue(), Clue()
    if task.report is not None:
        ran = _spectrum(task, eligible)
        traced = _traceback(task, failures, eligible)
    return {
        "spectrum": ran.scaled(),
        "traceback": traced.scaled(),
        "symbols": named(index, written, eligible).scaled(),
        "search": searched(index, written, eligible).scaled(),
        "imports": imported(index, task.targets, eligible).scaled(),
        "history": historic(index, task.targets, eligible).scaled(),
    }


def said(task: LocaliseTask) -> list[tuple[str, float]]:
    """Return what is written of the task, each text with its weight: the request, the failures, the failing tests."""
    messages = "\n".join(failure.message[:2000] for failure in _failures(task))
    sources = "\n".join(test_source(task.index, target)[0] for target in task.targets[:10])
    names = "\n".join(target.partition("::")[2].replace("::", " ") for target in task.targets[:50])
    texts = ((task.request, 1.0), (f"{names}\n{messages}", 0.6), (sources, 0.7))
    return [(text, weight) for text, weight in texts if text.strip()]


def eligibility(task: LocaliseTask) -> Eligible:
    """Return which paths may be places: sources that are no tests and may be changed."""
    languages = task.index.languages()

    def eligible(path: str) -> bool:
        if languages.get(path, "text") == "text" or is_test_path(path) or in_tests(path) or _ASIDE.search(path):
            return False
        return task.allowed is None or task.allowed(path)

    return eligible


def _failures(task: LocaliseTask) -> list[TestResult]:
    if task.report is None:
        return []
    known = {r.node_id: r for r in (*task.report.results, *task.report.collection_errors)}
    failures = [known[target] for target in task.targets if target in known]
    uncollected = {target.partition("::")[0] for target in task.targets}
    return failures + [error for error in task.report.collection_errors if error.node_id in uncollected]


def _spectrum(task: LocaliseTask, eligible: Eligible) -> Clue:
    """Return Ochiai's value of lines and of whole functions: a function is run by the tests that run a line of it."""
    report = task.report
    if report is None:
        return Clue()
    passed = report.passed() - set(task.targets)
    failing = [t for t in task.targets if t in report.coverage]
    passing = [t for t in report.coverage if t in passed]
    counts: dict[Place, list[int]] = {}
    lines: dict[str, dict[int, Place]] = {}
    for which, tests in enumerate((failing, passing)):
        for test in tests:
            ran: set[Place] = set()
            for path, numbers in report.coverage[test].items():
                if eligible(path):
                    table = lines.setdefault(path, {})
                    for number in numbers:
                        if number not in table:
                            table[number] = place_of(task.index, path, number)
                        ran.add(table[number])
            for place in ran:
                counts.setdefault(place, [0, 0])[which] += 1
    whole = {
        place: suspiciousness("ochiai", ef, ep, len(failing) - ef, len(passing) - ep)
        for place, (ef, ep) in counts.items()
        if ef
    }
    clue = Clue()
    top = max(whole.values(), default=1.0) or 1.0
    for suspect in rank_suspects(task.index.tree, report, task.targets, allowed=task.allowed):
        value = suspect.signals.get("spectrum", 0.0)
        if value and eligible(suspect.path):
            place = place_of(task.index, suspect.path, suspect.line)
            clue.add(place, 0.7 * value + 0.3 * whole.get(place, 0.0) / top, suspect.line)
    return clue


def _traceback(task: LocaliseTask, failures: Sequence[TestResult], eligible: Eligible) -> Clue:
    clue = Clue()
    for failure in failures:
        frames = [frame for frame in failure.frames if eligible(frame.path)]
        for distance, frame in enumerate(reversed(frames)):
            clue.add(place_of(task.index, frame.path, frame.line), 1.0 / (1 + distance), frame.line)
    return clue


def fuse(task: LocaliseTask, found: Mapping[str, Clue], weights: Weights = WEIGHTS) -> Localised:
    """Weigh what texts and structure say, and multiply it by how suspicious the tests' runs make the place."""
    ran = found.get("spectrum", Clue())
    if not ran.functions:
        # Without coverage the frames are all that is known of what ran.
        ran = found.get("traceback", Clue())
    functions: dict[Place, float] = {}
    for place in {place for clue in found.values() for place in clue.functions}:
        value = weights.unsaid + sum(_value(name, clue, place, weights) for name, clue in found.items())
        functions[place] = value * (weights.unrun + ran.functions.get(place, 0.0)) if ran.functions else value
    files: dict[str, float] = {}
    for path in {path for clue in found.values() for path in clue.files}:
        value = sum(weights.of(name) * clue.files.get(path, 0.0) for name, clue in found.items())
        # Files that nothing but the spectrum points to are listed, behind the others.
        files[path] = max(value, 0.01) * (1.0 + weights.file_run * ran.files.get(path, 0.0) ** weights.file_sharpness)
    lines: dict[Place, int] = {}
    for name in ("spectrum", "traceback"):
        lines |= found[name].lines if name in found else {}
    defined = _Definitions(task.index)
    return Localised(
        tuple(
            Suspect(p[0], lines.get(p) or defined(p), p[1], score, _told(found, p)) for p, score in _ranked(functions)
        ),
        tuple(
            Suspect(path, 1, "", score, {n: round(c.files[path], 4) for n, c in found.items() if path in c.files})
            for path, score in _ranked(files)
        ),
    )


def _value(name: str, clue: Clue, place: Place, weights: Weights) -> float:
    """Return what a signal says of a function, weighed: of itself, of what it is defined in, and of its file."""
    path, function = place
    value = clue.functions.get(place, 0.0)
    # Passages and names are those of outer functions; lines that ran are known exactly.
    share = weights.inherited if name != "traceback" else 0.0
    while share and "." in function:
        function = function.rpartition(".")[0]
        value = max(value, share * clue.functions.get((path, function), 0.0))
        share *= weights.inherited
    return weights.of(name) * (value + weights.of_file * clue.files.get(path, 0.0))


def _ranked(scores: Mapping[K, float]) -> list[tuple[K, float]]:
    top = max(scores.values(), default=0.0)
    best = sorted(((key, value) for key, value in scores.items() if value > 0), key=lambda item: (-item[1], item[0]))
    return [(key, round(value / top, 6)) for key, value in best[:_MOST]]


def _told(found: Mapping[str, Clue], place: Place) -> dict[str, float]:
    return {name: round(clue.functions[place], 4) for name, clue in found.items() if place in clue.functions}


class _Definitions:
    """Says in which line a place is defined, asking the index once for each file."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._lines: dict[str, dict[str, int]] = {}

    def __call__(self, place: Place) -> int:
        path, function = place
        if path not in self._lines:
            self._lines[path] = {symbol.qualified: symbol.line for symbol in self._index.symbols_of(path)}
        return self._lines[path].get(function, 1)


def rerank(task: LocaliseTask, before: Localised, asker: Asker) -> Localised:
    """Let a model say which of the first twenty functions are to be changed; these come first, in its order.

    Where the model fails, or answers nothing that can be used, `before` is returned with a note.

    Raises:
        CallCancelled: the asker's `stop` was set.

    """
    offered = before.functions[:RERANKED]
    if len(offered) < 2:
        return before
    passages = [f"[{n}] {s.path} {s.function}\n{_passage(task.index, s)}" for n, s in enumerate(offered, 1)]
    failing = "\n".join(f"{f.node_id}: {f.exception} {f.message[:600]}" for f in _failures(task)[:5])
    values = {"request": task.request[:20_000] or "(none)", "failing": failing or "(none)",
              "places": "\n\n".join(passages)}  # fmt: skip
    try:
        asked = asker.ask("localiser", values, lambda text: chosen(text, len(offered)), max_tokens=200, attempts=2)
    except CallCancelled:
        raise
    except (ModelError, Unanswered) as error:
        return replace(before, notes=(*before.notes, f"the places were not ranked again by the model: {error}"))
    picked = [offered[number - 1] for number in asked.value]
    functions = _in_order([*picked, *before.functions])
    files = _in_order([*(f for s in picked for f in before.files if f.path == s.path), *before.files])
    return replace(before, functions=functions, files=files, origin=asked.model)


def _in_order(suspects: Sequence[Suspect]) -> tuple[Suspect, ...]:
    """Return each place once, as it comes first, with scores that do not rise."""
    first: dict[Place, Suspect] = {}
    for suspect in suspects:
        first.setdefault((suspect.path, suspect.function), suspect)
    kept, least = [], 1.0
    top = max((s.score for s in suspects), default=1.0)
    for place, suspect in enumerate(first.values()):
        least = min(least, top if place == 0 else suspect.score)
        kept.append(replace(suspect, score=least))
    return tuple(kept)


def chosen(text: str, count: int) -> tuple[int, ...]:
    """Return the numbers of places, best first, that a reply gives: a JSON list, or the numbers of its last line.

    Raises:
        ReplyRefused: there is no number between 1 and `count`, or more than ten.

    """
    lists = re.findall(r"\[\s*\d{1,3}(?:\s*,\s*\d{1,3})*\s*\]", text)
    lines = [line for line in text.splitlines() if line.strip()]
    source = lists[-1] if lists else lines[-1] if lines else ""
    numbers = [int(number) for number in re.findall(r"(?<![\w.])\d{1,3}(?![\w.]*\w)", source)]
    valid = tuple(dict.fromkeys(number for number in numbers if 1 <= number <= count))
    if not valid or len(valid) < len(set(numbers)) or len(valid) > MOST_CHOSEN:
        raise ReplyRefused(
            "malformed", f"give one to {MOST_CHOSEN} numbers between 1 and {count} as a list, like [3, 1]"
        )
    return valid


def _passage(index: Index, suspect: Suspect) -> str:
    lines = index.lines(suspect.path)
    symbol = next((s for s in index.symbols_of(suspect.path) if s.qualified == suspect.function), None)
    first, last = (symbol.first, symbol.last) if symbol is not None else (suspect.line, suspect.line + 2)
    shown = [line[:160] for line in lines[first - 1 : min(last, first - 1 + _SHOWN_LINES)]]
    if symbol is not None and not first <= suspect.line < first + _SHOWN_LINES and suspect.line <= last:
        shown += ["    ...", *(line[:160] for line in lines[max(first, suspect.line - 2) - 1 : suspect.line + 1])]
    return "\n".join(shown)
