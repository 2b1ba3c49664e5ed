"""The bundle's summary: Markdown fit for a pull request, made from the manifest alone."""

from __future__ import annotations

from workflows.manifest import Manifest, MutationOf, RowOf, Tables

_ROWS = 40


def _cell(text: str) -> str:
    """Return text for a table cell: one line, nothing that Markdown or HTML would act on."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("`", "'")


def _code(text: str) -> str:
    return f"`{_cell(text)}`"


def _tests(count: int) -> str:
    return f"{count} test" if count == 1 else f"{count} tests"


def _both(outcomes: list[str]) -> str:
    return " / ".join(dict.fromkeys(_cell(outcome) for outcome in outcomes)) or "not run"


def _changed(row: RowOf) -> bool:
    return set(row.before) != set(row.after) or len(set(row.before)) > 1 or len(set(row.after)) > 1


def _claim(manifest: Manifest, tables: Tables) -> str:
    """Return in one sentence what was proved."""
    kept = sum(set(row.before) == {"passed"} and set(row.after) == {"passed"} for row in tables.values())
    count, new = len(manifest.targets), len(manifest.added_targets)
    told = []
    if count:
        told.append(f"{_tests(count)} that failed before {'passes' if count == 1 else 'pass'} now")
    if new:
        verb = "fails without the patch and passes" if new == 1 else "fail without the patch and pass"
        told.append(f"{_tests(new)} that it adds {verb} with it")
    if manifest.claim == "tests":
        files = len(manifest.added_tests)
        told.append(f"it adds nothing but tests, in {files} file{'' if files == 1 else 's'}, and they pass steadily")
    if manifest.claim == "preserves":
        ran = len(manifest.covering)
        told.append(f"it preserves behaviour as far as the tests see; {_tests(ran)} {'runs' if ran == 1 else 'run'} "
                    "the changed lines")  # fmt: skip
    told.append(f"{_tests(kept)} that passed before still {'passes' if kept == 1 else 'pass'}")
    sentence = "; ".join(told)
    return f"{sentence[:1].upper()}{sentence[1:]}"


def render(manifest: Manifest, tables: Tables, patch: bytes) -> str:
    """Return the summary; equal arguments give equal text."""
    targets = [target.node_id for target in manifest.targets]
    added = [target.node_id for target in manifest.added_targets]
    lines = [
        "## Verified by greendiff",
        "",
        f"{_claim(manifest, tables)}.",
        "",
        "| test | before | after |",
        "|---|---|---|",
    ]
    named = {*targets, *added}
    order = dict.fromkeys((*targets, *added, *tables))
    shown = [i for i in order if i in tables and (i in named or _changed(tables[i]))]
    for node_id in shown[:_ROWS]:
        row = tables[node_id]
        sides = (row.added_before, row.added_after) if node_id in added else (row.before, row.after)
        lines.append(f"| {_code(node_id)} | {_both(sides[0])} | {_both(sides[1])} |")
    if len(shown) > _ROWS:
        lines.append(f"| and {len(shown) - _ROWS} more, see tests.json | | |")
    aside = [*manifest.flaky, *manifest.found_flaky]
    if aside:
        lines += ["", f"Set aside as flaky, no evidence: {', '.join(map(_code, aside))}."]
    if manifest.added_tests:
        role = "with the targets named above" if added else "not part of the verdict"
        lines += ["", f"Added tests, {role}: {', '.join(map(_code, manifest.added_tests))}."]
    lines += ["", "### Conditions", "", "| condition | held | why |", "|---|---|---|"]
    for check in manifest.checks:
        held = "no" if not check.passed else "yes, **look at it**" if check.flagged else "yes"
        lines.append(f"| {check.name} | {held} | {_cell(check.reason)} |")
    if manifest.mutation is not None:
        lines += ["", *_mutants(manifest.mutation)]
    if manifest.search.remarks:
        lines += ["", "### Remarks", "", *(f"- {_cell(remark)}" for remark in manifest.search.remarks)]
    lines += ["", *_facts(manifest, patch)]
    return "\n".join(lines) + "\n"


def _mutants(found: MutationOf) -> list[str]:
    if found.judged == 0:
        return [f"Mutants of the changed lines: none judged; {_cell(found.why or 'none can be imported')}."]
    share = f"{found.caught * 1000 // found.judged / 10:.1f} %"
    demanded = "" if found.demanded is None else f", at least {found.demanded:.0%} was demanded"
    head = (
        f"Mutants of the changed lines: the tests notice {found.caught} of {found.judged} ({share}{demanded}); "
        f"{found.tried} of {found.made} were tried."
    )
    missed = [f"- not noticed: {_code(one)}" for one in found.missed]
    return [head, *(["", *missed] if missed else [])]


def _facts(manifest: Manifest, patch: bytes) -> list[str]:
    search, environment = manifest.search, manifest.environment
    added = sum(line.startswith(b"+") and not line.startswith(b"+++ ") for line in patch.splitlines())
    removed = sum(line.startswith(b"-") and not line.startswith(b"--- ") for line in patch.splitlines())
    before = ", ".join(f"{run.seconds:.1f}" for run in manifest.before)
    after = ", ".join(f"{run.seconds:.1f}" for run in manifest.after)
    second = manifest.environment_after
    moved = [] if second is None else [
        f"{name} {environment.versions.get(name, 'none')} to {second.versions.get(name, 'none')}"
        for name in sorted(environment.versions.keys() | second.versions.keys())
        if environment.versions.get(name) != second.versions.get(name)
    ]  # fmt: skip
    dirty = " with the uncommitted changes in uncommitted.diff" if manifest.base.dirty else ""
    python = environment.versions.get("python", "of unknown version")
    sandbox = f"{_cell(environment.backend)}, {_code(environment.reference)}, Python {_cell(python)}"
    model = (
        "no model"
        if search.calls == 0 and search.tier == 0
        else (f"tier {search.tier}, {search.calls} calls of models, {search.tokens} tokens, cost {search.cost:.4f}")
    )
    return [
        "### How it was found and judged",
        "",
        f"- Patch: +{added} -{removed} lines. {_cell(search.description)}",
        f"- Base: {_code(manifest.base.commit)}{dirty}",
        f"- Search: {model}; {search.generated} candidates made, {search.tried} tried, {search.judged} judged",
        f"- Sandbox: {sandbox}; all {len(environment.versions)} versions are in manifest.json",
        *([f"- Upgraded for the patched tree: {_cell(', '.join(moved) or 'nothing')}"] if second is not None else []),
        f"- Tests: {_cell(manifest.harness.source)}; seconds a run: {before or 'none'} before, {after or 'none'} after",
        f"- greendiff {_cell(manifest.greendiff)}, ruff {_cell(manifest.ruff)}",
        *(f"- {_cell(step)}" for step in search.steps),
        "",
        "Replay it in a clone that has the base commit: `greendiff verify BUNDLE`.",
    ]
