"""What kind of task a request is, what cannot be worked on as it stands, and a plan of one step: all by rules."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any, cast

from agents.asking_forms import one_line
from agents.results import Failure, Kind, Plan, Questions, Step

STANDING = (
    "every test that passed steadily before still passes",
    "no test, test configuration or CI file is changed, unless the request allows it",
    "no new syntax or lint findings in the changed files",
)
"""What the gate asks of every diff."""
PASSING = "every target passes in a fresh sandbox with pristine tests"
MAX_TEXT = 20_000
"""Characters of a request that are looked at."""


@dataclass(frozen=True, slots=True)
class PlanTask:
    """What the planner is given."""

    text: str
    """The request, an issue perhaps; untrusted."""
    failing: tuple[Failure, ...] = ()
    """The tests that fail steadily on the base and are to be repaired."""
    passing: int = 0
    """How many tests pass steadily on the base."""
    kind: Kind | None = None
    """Where the person has said what it is."""
    outline: str = ""
    """The repository in short; untrusted."""
    paths: Collection[str] = field(default=frozenset())
    """The repository's files, against which places are checked; empty where they are not known."""
    conventions: str = ""
    """What the repository says about itself (AGENTS.md and the like); untrusted."""
    answers: tuple[tuple[str, str], ...] = ()
    """Questions that were asked back, and what the person answered."""


@lru_cache
def _signs() -> tuple[tuple[Kind, float, re.Pattern[str]], ...]:
    return tuple(
        (cast("Kind", sign["kind"]), float(sign["weight"]), re.compile(sign["pattern"], re.IGNORECASE | re.MULTILINE))
        for sign in _table()["sign"]
    )


@lru_cache
def _table() -> dict[str, Any]:
    return tomllib.loads((files("agents") / "triage.toml").read_text("utf-8"))


_QUESTION = re.compile(
    r"^\W*(?:how|what|why|where|which|who|when|is|are|does|do|explain|describe|tell me|show me)\b", re.IGNORECASE
)
_WORD = re.compile(r"[^\W\d_][\w.]*|\d+")
_PATH = re.compile(r"[\w@+-][\w.@+/-]*\.[A-Za-z]\w{0,9}")


def kind_of(task: PlanTask) -> Kind | None:
    """Return what kind of task it is, None where nothing tells."""
    if task.kind is not None:
        return task.kind
    text = task.text[:MAX_TEXT].strip()
    if not text:
        return "fix" if task.failing else None
    scores: dict[Kind, float] = {"fix": 1.5} if task.failing else {}
    title = text.partition("\n")[0]
    for kind, weight, sign in _signs():
        if sign.search(text):
            scores[kind] = scores.get(kind, 0.0) + weight * (1.5 if sign.search(title) else 1.0)
    if _is_question(text, title, scores):
        return "question"
    return max(scores, key=lambda kind: scores[kind], default=None)


def _is_question(text: str, title: str, scores: dict[Kind, float]) -> bool:
    """Whether it asks something rather than for something: short, and with nothing that reports a fault."""
    if len(text) > 600 or not (_QUESTION.search(title) or text.rstrip().endswith("?")):
        return False
    asks = bool(re.match(r"^\W*(?:how|what|where|which|who|explain|describe|tell me)\b", title, re.IGNORECASE))
    return scores.get("fix", 0.0) < (6.0 if asks else 2.0) and scores.get("feature", 0.0) == 0.0


def unclear(task: PlanTask) -> Questions | None:
    """Return what has to be asked where a request says too little for anybody, else None."""
    if task.failing or task.answers:
        return None
    words = {word.lower().replace("'", "") for word in _WORD.findall(task.text[:MAX_TEXT])}
    if not words:
        return Questions(
            ("What should be done: in one sentence, what is wrong or missing, and where?",),
            "The request is empty and no test fails.",
        )
    if words <= set(_table()["empty"].split()):
        return Questions(
            (
                "What exactly happens, and what should happen instead?",
                "Which function, file or command is it about?",
            ),
            "The request does not say what it is about, and no test fails.",
        )
    return None


def rule_plan(task: PlanTask, *notes: str) -> Plan | Questions:
    """Return a plan of one step, or what has to be asked first."""
    missing = unclear(task)
    if missing is not None:
        return missing
    kind = kind_of(task)
    if kind is None:
        return Questions(
            ("Is it a fix, a feature, a refactoring, an upgrade, a test, a security fix or a question?",),
            "What kind of task it is cannot be told without a model.",
        )
    places = mentioned(task.text, task.paths)
    names = tuple(failure.node_id for failure in task.failing)
    restated = one_line(task.text.strip().partition("\n")[0], 300)
    if names and kind in {"fix", "security"}:
        step = Step(f"make {_listed(names)} pass", names, (PASSING, *STANDING), places)
    else:
        step = Step(_goal(kind, restated), names, (*_CRITERIA[kind], *(() if kind == "question" else STANDING)), places)
    return Plan((step,), kind, restated, "rules", tuple(notes))


_CRITERIA: dict[Kind, tuple[str, ...]] = {
    "fix": ("a new test fails before for the reason that the request gives, and passes after",),
    "security": ("a new test shows the weakness before, and passes after",),
    "feature": ("new tests of what the request asks for fail before and pass after",),
    "test": ("the new tests pass, and fail when the code that they test is broken",),
    "refactor": ("behaviour stays as it is",),
    "upgrade": ("the new version is declared, and the code works with it",),
    "question": ("every statement names the file and the lines that it rests on",),
}


def _goal(kind: Kind, restated: str) -> str:
    verb = {"question": "answer", "test": "write the tests", "feature": "build", "upgrade": "upgrade"}.get(kind, kind)
    return f"{verb}: {restated}"


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(one_line(name, 200) for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def mentioned(text: str, paths: Collection[str]) -> tuple[str, ...]:
    """Return the repository's files that a text names, wholly or by an unambiguous end, at most eight."""
    found: dict[str, None] = {}
    for word in dict.fromkeys(_PATH.findall(text[:MAX_TEXT])):
        word = word.strip("./")
        ends = [word] if word in paths else [path for path in paths if path.endswith(f"/{word}")]
        if len(ends) == 1:
            found[ends[0]] = None
        if len(found) == 8:
            break
    return tuple(found)
