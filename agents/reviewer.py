"""Reads a diff against the request as a stranger: typed findings, none of which decides anything by itself.

The rules' findings stand whatever a model says; a model can only add to them, and only with lines that the diff has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from agents.asking import Asker, Unanswered
from agents.asking_forms import Sentence, Shape, Short, one_line, reader, same_script, schema_of
from agents.changed_files import FileChange, changed_files
from agents.replies import ReplyRefused
from agents.results import Category, Finding, Plan, Reviewed, Severity
from agents.review_rules import rule_findings
from sandbox.tree import Tree

__all__ = ["ReviewTask", "review"]

_MAX_TOKENS = 1200
_ORDER: dict[Severity, int] = {"blocking": 0, "warning": 1, "note": 2}


@dataclass(frozen=True, slots=True)
class ReviewTask:
    """What the reviewer is given."""

    request: str
    """The person's own words; untrusted."""
    before: Tree
    after: Tree
    """`before` with the diff applied; what it holds is untrusted."""
    plan: Plan | None = None
    part_lines: int = 400
    """Lines of the diff that a model reads at a time; fewer for a small one."""
    parts: int = 6
    """How often a model is asked at most; what is beyond is said to be unread."""


class _Finding(Shape):
    category: Category
    severity: Literal["blocking", "warning", "note"]
    path: Short = ""
    quote: Short = ""
    sentence: Sentence


class _Findings(Shape):
    findings: Annotated[tuple[_Finding, ...], Field(max_length=10)]


def review(task: ReviewTask, asker: Asker | None) -> Reviewed:
    """Return what is to be said about a diff.

    Raises:
        ModelError: the model did not answer at all.

    """
    changes = changed_files(task.before, task.after)
    found = list(rule_findings(task.request, changes, task.plan))
    if asker is None or not changes:
        return Reviewed(_sorted(found), complete=False)
    notes: list[str] = []
    read = 0
    parts = list(_parts(changes, max(40, task.part_lines)))
    for number, (shown, files) in enumerate(parts[: task.parts]):
        check = _Check(files)
        values = {
            "request": task.request,
            "plan_line": "The plan was:" if task.plan else "There was no plan.",
            "plan": "\n".join(step.goal for step in task.plan.steps) if task.plan else "",
            "part": f" (part {number + 1} of {len(parts)})" if len(parts) > 1 else "",
            "diff": shown,
        }
        try:
            asked = asker.ask(
                "reviewer", values, reader(_Findings, lambda reply, check=check: check(reply, task.request)),  # type: ignore[misc]
                max_tokens=_MAX_TOKENS, schema=schema_of(_Findings),
            )  # fmt: skip
        except Unanswered as unanswered:
            notes.append(f"Part {number + 1} of {len(parts)} was not reviewed: {one_line(str(unanswered), 300)}.")
            continue
        read += 1
        found += [Finding(f.severity, f.category, f.sentence, f.path, f.line, asked.model) for f in asked.value]
        notes += check.notes
    unread = len(parts) - task.parts
    if unread > 0:
        notes.append(f"{unread} of {len(parts)} parts of the diff were not shown to the model, because it is so long.")
    return Reviewed(_sorted(found), complete=read == len(parts), notes=tuple(notes))


def _sorted(found: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(dict.fromkeys(found), key=lambda f: (_ORDER[f.severity], f.path, f.line)))


def _parts(changes: Sequence[FileChange], lines: int) -> Iterator[tuple[str, tuple[FileChange, ...]]]:
    """Yield the diff in pieces of about so many lines, each with the files that it shows."""
    rows: list[str] = []
    files: dict[str, FileChange] = {}
    for change in changes:
        head = f"--- {change.path} ({change.status}{', binary' if change.binary else ''})"
        body = list(change.shown)
        while body or change.path not in files:
            room = lines - len(rows) - 1
            if rows and room < min(len(body), 20):
                yield "\n".join(rows), tuple(files.values())
                rows, files = [], {}
                continue
            rows += [head, *(row[:1000] for row in body[:room])]
            files[change.path] = change
            body = body[room:]
            if body:
                yield "\n".join(rows), tuple(files.values())
                rows, files = [], {}
    if rows:
        yield "\n".join(rows), tuple(files.values())


class _Check:
    """Finds the lines that a reply speaks of; a quotation that the diff does not have is told once, then left out."""

    def __init__(self, files: Sequence[FileChange]) -> None:
        self._files = {change.path: change for change in files}
        self._told = False
        self.notes: list[str] = []

    def __call__(self, written: _Findings, request: str) -> tuple[Finding, ...]:
        found = []
        self.notes = []
        for one in written.findings:
            try:
                if not same_script(request, one.sentence):
                    raise ReplyRefused("malformed", "write the sentences in the language of the request")
                path, line = self._place(one)
            except ReplyRefused as refused:
                if not self._told:
                    self._told = True
                    raise
                self.notes.append(f"A remark of the model was left out: {one_line(str(refused), 200)}.")
                continue
            found.append(Finding(one.severity, one.category, one.sentence, path, line))
        return tuple(dict.fromkeys(found))

    def _place(self, one: _Finding) -> tuple[str, int]:
        path = one.path.strip("`'\" ").removeprefix("a/").removeprefix("b/").removeprefix("./")
        if path and path not in self._files:
            ends = [one.path] if one.path in self._files else [k for k in self._files if k.endswith(f"/{path}")]
            if len(ends) != 1:
                raise ReplyRefused("unknown path", f"the diff does not change {path!r}")
            path = ends[0]
        quote = one.quote.removeprefix("+").removeprefix("-").strip().strip("`").strip()
        if not quote:
            return path, 0
        files = [self._files[path]] if path else list(self._files.values())
        wanted = " ".join(quote.split())
        for side in ("added", "removed"):
            for change in files:
                lines: tuple[tuple[int, str], ...] = getattr(change, side)
                for number, line in lines:
                    if wanted in " ".join(line.split()):
                        return change.path, number
        raise ReplyRefused("unmatched", f"no changed line of the diff holds the quotation {quote[:80]!r}")
