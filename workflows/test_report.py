"""The report on generated tests, as JSON and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workflows.steps.unit_tests import ModuleTests

_SURVIVORS, _ROWS = 40, 100


def as_json(
    found: Sequence[ModuleTests], target: str, python: str, seconds: float, diff: str, message: str
) -> dict[str, Any]:
    """Return the report as plain data; `workflows.tests_page` shows it."""
    tests = [
        {"name": test.name, "path": one.test_path, "kept": True, "kind": test.kind, "adds": test.adds,
         "cases": len(test.rows)}
        for one in found if one.text for test in one.tests
    ]  # fmt: skip
    tests += [
        {"name": gone.name, "path": one.test_path, "kept": False, "reason": gone.reason, "count": gone.count}
        for one in found for gone in one.dropped
    ]  # fmt: skip
    return {
        "target": target, "python": python, "seconds": round(seconds, 1), "message": message,
        "coverage": [
            {"path": one.path, "lines": one.lines, "lines_before": one.lines_before, "lines_after": one.lines_after,
             "branches": one.branches, "branches_before": one.branches_before, "branches_after": one.branches_after,
             "seconds": round(one.seconds, 1)}
            for one in found
        ],
        "mutants": {
            "tried": sum(one.mutants for one in found), "killed_before": sum(one.killed_before for one in found),
            "killed_after": sum(one.killed for one in found),
            "survivors": [dict(survivor) for one in found for survivor in one.survivors][:_SURVIVORS],
        },
        "tests": tests,
        "suspects": [
            {"path": s.path, "line": s.line, "name": s.name, "why": s.why, "example": s.example}
            for one in found for s in one.suspects
        ],
        "redundant": [],
        "left_out": [{"name": name, "why": why} for one in found for name, why in one.left_out.items()],
        "diff": diff,
    }  # fmt: skip


def _cell(text: object) -> str:
    shown = "".join(c if c.isprintable() else " " for c in str(text))
    return shown.replace("|", "\\|").replace("<", "&lt;").replace("`", "'")[:300]


def as_markdown(report: Mapping[str, Any]) -> str:
    """Return the report fit for a pull request."""
    lines = [f"## Tests for `{_cell(report['target'])}`", "", _cell(report["message"]), "", "### Coverage", "",
             "| file | lines before | after | branches before | after |", "|---|---|---|---|---|"]  # fmt: skip
    lines += [
        f"| `{_cell(row['path'])}` | {row['lines_before']} of {row['lines']} | {row['lines_after']} "
        f"| {row['branches_before']} of {row['branches']} | {row['branches_after']} |"
        for row in report["coverage"]
    ]
    mutants = report["mutants"]
    if mutants["tried"]:
        after, before = mutants["killed_after"], mutants["killed_before"]
        lines += ["", f"{after} of {mutants['tried']} mutants are noticed, {before} of them by the existing tests."]
    if report["suspects"]:
        lines += ["", "### Suspected bugs", "", "Nothing is pinned about these functions."]
        for one in report["suspects"]:
            example = str(one["example"]).replace("```", "'''")
            lines += ["", f"`{_cell(one['name'])}` (`{_cell(one['path'])}:{one['line']}`): {_cell(one['why'])}.", "",
                      "```python", example, "```"]  # fmt: skip
    kept = [test for test in report["tests"] if test["kept"]]
    if kept:
        lines += ["", "### Tests kept", "", "| test | kind | cases | adds |", "|---|---|---|---|"]
        lines += [f"| `{_cell(t['name'])}` | {t['kind']} | {t['cases']} | {_cell(t['adds'])} |" for t in kept[:_ROWS]]
    gone = [test for test in report["tests"] if not test["kept"]]
    if gone:
        lines += ["", "### Dropped", "", "| what | how many | why |", "|---|---|---|"]
        lines += [f"| `{_cell(t['name'])}` | {t['count']} | {_cell(t['reason'])} |" for t in gone[:_ROWS]]
    if report["left_out"]:
        lines += ["", "### Left out", ""]
        lines += [f"- `{_cell(one['name'])}`: {_cell(one['why'])}" for one in report["left_out"][:_ROWS]]
    return "\n".join(lines) + "\n"
