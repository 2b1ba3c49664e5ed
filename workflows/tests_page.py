"""The report on generated tests as one HTML page: no script, no network, readable in light and dark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

MOST_ROWS = 300
"""Rows of a table; what is beyond is counted."""
MOST_TEXT = 20_000
"""Characters of one example or diff."""
_STYLE = Path(__file__).with_suffix(".css")
Row = Mapping[str, Any]


def page(report: Mapping[str, Any]) -> str:
    """Return the page of the JSON report of `greendiff test`; what the report does not hold is left out.

    All of its texts come from the repository and are escaped; a policy in the page lets nothing be loaded or run.
    """
    target = _text(report.get("target")) or "this repository"
    parts = [
        _header(target, report), _figures(report), _suspects(_rows(report, "suspects")),
        _coverage(_rows(report, "coverage")), _kept(_rows(report, "tests")), _dropped(_rows(report, "tests")),
        _survivors(report), _plain(_rows(report, "redundant"), "Existing tests that add nothing", "test"),
        _plain(_rows(report, "left_out"), "Left out", "name"), _diff(report),
    ]  # fmt: skip
    body = "\n".join(part for part in parts if part)
    style = _STYLE.read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Tests for {escape(target)}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _text(value: object, most: int = MOST_TEXT) -> str:
    """Return what may be shown of a value: no control characters, not too long."""
    text = "" if value is None else str(value)
    shown = "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text[:most])
    return shown if len(text) <= most else f"{shown}\n… {len(text) - most:,} more characters"


def _cell(value: object) -> str:
    return escape(_text(value, 2_000))


def _code(value: object) -> str:
    return f"<code>{_cell(value)}</code>"


def _place(one: Row) -> str:
    return _code(f"{_text(one.get('path'))}:{_text(one.get('line'))}")


def _rows(report: Mapping[str, Any], name: str) -> list[Row]:
    return [one for one in report.get(name) or () if isinstance(one, Mapping)]


def _count(number: int, one: str, more: str = "") -> str:
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def _header(target: str, report: Mapping[str, Any]) -> str:
    kept = sum(bool(one.get("kept")) for one in _rows(report, "tests"))
    told = [f"{_count(kept, 'test')} kept" if kept else "No test was kept"]
    if report.get("python"):
        told.append(f"Python {report['python']}")
    if report.get("seconds") is not None:
        told.append(f"{float(report['seconds']):.0f} s")
    line = f'<p class="quiet">{_cell(" · ".join(told))}</p>'
    message = f"<p>{_cell(report['message'])}</p>" if report.get("message") else ""
    return f"<header>\n<h1>Tests for {_code(target)}</h1>\n{line}\n{message}\n</header>"


def _figures(report: Mapping[str, Any]) -> str:
    tests, coverage = _rows(report, "tests"), _rows(report, "coverage")
    kept = sum(bool(one.get("kept")) for one in tests)
    shown = [("Tests kept", f"{kept} <small>of {_count(sum(map(_times, tests)), 'candidate')}</small>")]
    for name in ("lines", "branches"):
        whole = sum(int(one.get(name) or 0) for one in coverage)
        if whole:
            before, after = (
                sum(int(one.get(f"{name}_{when}") or 0) for one in coverage) for when in ("before", "after")
            )
            shown.append(
                (f"{name.capitalize()} run", f"{_percent(after, whole)} <small>from {_percent(before, whole)}</small>")
            )
    mutants = report.get("mutants")
    if isinstance(mutants, Mapping) and mutants.get("tried"):
        tried, killed = int(mutants["tried"]), int(mutants.get("killed_after") or 0)
        before = int(mutants.get("killed_before") or 0)
        shown.append(("Mutants killed", f"{_percent(killed, tried)} <small>from {_percent(before, tried)}</small>"))
    shown.append(("Suspected bugs", f"{len(_rows(report, 'suspects'))}"))
    cells = "\n".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in shown)
    return f'<dl class="figures">\n{cells}\n</dl>'


def _percent(part: int, whole: int) -> str:
    """Return a share that never says 100 % of what is not all, nor 0 % of what is something."""
    if not whole:
        return "-"
    share = 100 * part / whole
    if 0 < part < whole:
        share = min(99.9, max(0.1, share))
    return f"{share:.0f} %" if share in {0, 100} else f"{share:.1f} %"


def _table(title: str, heads: Sequence[str], rows: Sequence[str], note: str = "", numbers: Iterable[int] = ()) -> str:
    """Return a section with a table of finished rows; none where there are no rows."""
    if not rows:
        return ""
    right = set(numbers)
    cells = "".join(
        f'<th scope="col"{" class=number" if place in right else ""}>{head}</th>' for place, head in enumerate(heads)
    )
    beyond = len(rows) - MOST_ROWS
    told = [note] if note else []
    if beyond > 0:
        told.append(f"{_count(beyond, 'more row')} not shown.")
    caption = f"<caption>{' '.join(told)}</caption>\n" if told else ""
    return (
        f'<section>\n<h2>{title}</h2>\n<div class="scroll">\n<table>\n{caption}'
        f"<thead><tr>{cells}</tr></thead>\n<tbody>\n"
        + "\n".join(rows[:MOST_ROWS])
        + "\n</tbody>\n</table>\n</div>\n</section>"
    )


def _row(head: str, *cells: str) -> str:
    return f'<tr><th scope="row">{head}</th>{"".join(cells)}</tr>'


def _td(content: str, kind: str = "") -> str:
    return f'<td class="{kind}">{content}</td>' if kind else f"<td>{content}</td>"


def _coverage(files: Sequence[Row]) -> str:
    rows = []
    for one in sorted(files, key=lambda one: _text(one.get("path"))):
        cells = []
        for name in ("lines", "branches"):
            whole, before, after = (int(one.get(key) or 0) for key in (name, f"{name}_before", f"{name}_after"))
            cells += [_td(_percent(before, whole), "number"), _td(_percent(after, whole), "number")]
            cells.append(_td(_bar(before, after, whole)))
        rows.append(_row(_code(one.get("path")), *cells))
    heads = ("File", "Lines before", "after", "", "Branches before", "after", "")
    note = '<span class="key before"></span> before <span class="key"></span> gained'
    return _table("Coverage", heads, rows, note, (1, 2, 4, 5))


def _bar(before: int, after: int, whole: int) -> str:
    if not whole:
        return ""
    wide, narrow = (max(0.0, min(100.0, 100 * part / whole)) for part in (after, min(before, after)))
    label = f"from {_percent(before, whole)} to {_percent(after, whole)}"
    return (
        f'<span class="bar" role="img" aria-label="{label}">'
        f'<i style="width:{wide:.1f}%"></i><i style="width:{narrow:.1f}%"></i></span>'
    )


def _kept(tests: Sequence[Row]) -> str:
    kept = [one for one in tests if one.get("kept")]
    paths = {_text(one.get("path")) for one in kept}
    heads = ["Test", "Kind", "What it adds"] + ["File"] * (len(paths) > 1)
    rows = []
    for one in kept:
        cells = [_td(f'<span class="tag">{_cell(one.get("kind") or "test")}</span>'), _td(_cell(one.get("adds")))]
        if len(paths) > 1:
            cells.append(_td(_code(one.get("path"))))
        rows.append(_row(_code(one.get("name")), *cells))
    return _table("Tests kept", heads, rows, f"In {_code(paths.pop())}." if len(paths) == 1 else "")


def _times(one: Row) -> int:
    """Return how many candidates a row stands for."""
    return int(one.get("count") or 1)


def _dropped(tests: Sequence[Row]) -> str:
    dropped = [one for one in tests if not one.get("kept")]
    reasons: dict[str, int] = {}
    for one in dropped:
        reason = _text(one.get("reason")) or "no reason given"
        reasons[reason] = reasons.get(reason, 0) + _times(one)
    by = sorted(reasons.items(), key=lambda item: -item[1])
    counted = [_row(_cell(reason), _td(f"{count:,}", "number")) for reason, count in by]
    summary = _table("Tests dropped", ("Reason", "Tests"), counted, numbers=(1,))
    rows = [_row(_code(one.get("name")), _td(_cell(one.get("reason")))) for one in dropped]
    every = _table("Each of them", ("Test", "Reason"), rows)
    return f"{summary}\n<details><summary>Each dropped test</summary>\n{every}\n</details>" if rows else ""


def _survivors(report: Mapping[str, Any]) -> str:
    mutants = report.get("mutants")
    if not isinstance(mutants, Mapping):
        return ""

    def shown(one: Row) -> str:
        told = f"{_place(one)} {_cell(one.get('what'))}"
        return f"<details><summary>{told}</summary>\n<pre>{escape(_text(one.get('diff')))}</pre>\n</details>"

    return _list(
        "Mutants that survive", _rows(mutants, "survivors"), shown, "No test fails when the code is changed so."
    )


def _list(title: str, rows: Sequence[Row], shown: Callable[[Row], str], note: str) -> str:
    if not rows:
        return ""
    beyond = len(rows) - MOST_ROWS
    more = f'\n<p class="quiet">{_count(beyond, "more", "more")} not shown.</p>' if beyond > 0 else ""
    items = "\n".join(shown(one) for one in rows[:MOST_ROWS])
    return f'<section>\n<h2>{title}</h2>\n<p class="quiet">{note}</p>\n{items}{more}\n</section>'


def _suspects(suspects: Sequence[Row]) -> str:
    if not suspects:
        return ""

    def shown(one: Row) -> str:
        example = f"\n<pre>{escape(_text(one.get('example')))}</pre>" if one.get("example") else ""
        told = f"<p><b>{_code(one.get('name'))}</b> {_place(one)}</p>\n<p>{_cell(one.get('why'))}</p>"
        return f"<article>\n{told}{example}\n</article>"

    note = "Code and what it says of itself disagree here. No test pins this behaviour as right."
    return f'<div class="suspects">{_list("Suspected bugs", suspects, shown, note)}</div>'


def _plain(rows: Sequence[Row], title: str, key: str) -> str:
    return _table(
        title, (key.capitalize(), "Why"), [_row(_code(one.get(key)), _td(_cell(one.get("why")))) for one in rows]
    )


def _diff(report: Mapping[str, Any]) -> str:
    if not report.get("diff"):
        return ""
    text = escape(_text(report["diff"], 400_000))
    return (
        f"<section>\n<h2>The diff</h2>\n<details><summary>Show it</summary>\n<pre>{text}</pre>\n</details>\n</section>"
    )
