"""What a reader of a diff can say without a model: whether it keeps to its plan, and what its own words try.

Debuggers left behind, weakened tests, secrets and security findings are the review step's own; they are not looked for
again here.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence

from agents.asking_forms import one_line
from agents.changed_files import FileChange
from agents.repair.localise import is_test_path
from agents.results import Category, Finding, Plan, Severity

MAX_FINDINGS = 60
_UNPLANNED = "It is changed, and the plan does not name it."
_INSTRUCTION = re.compile(
    r"\b(?:ignore|disregard|forget)\b.{0,30}\b(?:previous|prior|above|earlier|all)\b.{0,20}\b(?:instruction|prompt|rule)s?\b"
    r"|\byou are (?:now )?an? (?:AI|assistant|language model|reviewer|operator)\b"
    r"|\b(?:reviewers?|assistant|AI|LLM|model|bots?|agents?)\b\s*[:,]\s*.{0,40}\b(?:approve|accept|merge|ignore|skip)\b"
    r"|\b(?:please )?(?:approve|accept|merge) (?:this|the) (?:change|patch|diff|pull request|pr|commit)\b"
    r"|\b(?:do not|don't|no need to) (?:review|check|verify|report|flag)\b|^\s*\W{0,4}(?:system|assistant)\s*:\s+\w",
    re.IGNORECASE,
)
_CLAIM = re.compile(
    r"\b(?:all )?tests? (?:now )?pass(?:es|ed)?\b|\b(?:lgtm|ship it)\b"
    r"|\b(?:reviewed|approved|verified|audited|signed[- ]off)[- ]by\b|\bno (?:security|known) (?:issues?|bugs?)\b"
    r"|\bthis (?:change |patch |fix |code |version )?is (?:safe|secure|correct|verified)\b"
    r"|\b(?:fully|thoroughly|extensively) tested\b"
    r"|\b(?:verified|guaranteed|proven) (?:safe|secure|correct)\b",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"(?:^|\s)(?:#|//|/\*|\*|--|<!--|;)(.*)$|\"\"\"(.*)$|'''(.*)$")
_SPACE_MATTERS = (".py", ".pyi", ".md", ".rst", ".yml", ".yaml", ".mk", ".haml", ".pug", ".coffee", ".nim", ".hs")
_OLD_CODE = re.compile(
    r"^\s*(?:#|//)\s*(?:def |class |return\b|if .*:$|for .*:$|import |from \w+ import |\w+ = .+|\w+\(.*\);?$|else:$)"
)


def rule_findings(request: str, changes: Sequence[FileChange], plan: Plan | None) -> tuple[Finding, ...]:
    """Return the findings, at most `MAX_FINDINGS`."""
    found: list[Finding] = []
    for change in changes:
        found += _about_file(request, change, plan)
        found += _about_words(change)
        found += _leftovers(change)
    if changes and all(_only_space(change) for change in changes):
        found.append(Finding("blocking", "scope", "The diff changes white space and nothing else."))
    return tuple(dict.fromkeys(found))[:MAX_FINDINGS]


def _about_file(request: str, change: FileChange, plan: Plan | None) -> Iterator[Finding]:
    path, name = change.path, posixpath.basename(change.path)
    if change.odd:
        yield _finding("warning", "scope", f"It {change.odd}, which the text of a diff hardly shows.", path)
    if change.binary:
        yield _finding("warning", "scope", "It is binary, so nobody can read what changes.", path)
    if name in request or _planned(path, plan):
        return
    if change.status == "deleted":
        yield _finding("warning", "scope", "It is deleted, and neither the request nor the plan names it.", path)
    elif plan is not None and any(step.places for step in plan.steps):
        added_test = change.status == "added" and is_test_path(path)
        yield from () if added_test else (_finding("warning", "scope", _UNPLANNED, path),)


def _planned(path: str, plan: Plan | None) -> bool:
    places = [place.partition("::")[0].rstrip("/") for step in plan.steps for place in step.places] if plan else []
    targets = [target.partition("::")[0] for step in plan.steps for target in step.targets] if plan else []
    return any(path == place or path.startswith(f"{place}/") for place in (*places, *targets))


def _about_words(change: FileChange) -> Iterator[Finding]:
    for number, line in change.added:
        text = line[:2000]
        if _INSTRUCTION.search(text):
            sentence = f"It speaks to whoever reads the diff: {one_line(text, 100)!r}."
            yield _finding("blocking", "instruction", sentence, change.path, number)
            continue
        comment = _COMMENT.search(text)
        words = next((group for group in comment.groups() if group), "") if comment else ""
        if change.path.endswith((".md", ".rst", ".txt")):
            words = text
        if words and _CLAIM.search(words):
            sentence = f"It claims what only a run can show: {one_line(words, 100)!r}."
            yield _finding("warning", "claim", sentence, change.path, number)


def _leftovers(change: FileChange) -> Iterator[Finding]:
    kept = {line.strip() for _, line in change.removed}
    for number, line in change.added:
        bare = line.strip().lstrip("#/").strip()
        if _OLD_CODE.match(line[:2000]) and bare in kept:
            yield _finding("warning", "debugging", "It leaves the old code behind as a comment.", change.path, number)


def _only_space(change: FileChange) -> bool:
    if (
        change.status != "changed"
        or change.binary
        or change.odd
        or change.path.endswith((".py", ".pyi", ".md", ".yml", ".yaml"))
    ):
        return False
    old, new = ("".join("".join(line.split()) for _, line in side) for side in (change.removed, change.added))
    return old == new


def _finding(severity: Severity, category: Category, sentence: str, path: str, line: int = 0) -> Finding:
    return Finding(severity, category, sentence, path, line)
