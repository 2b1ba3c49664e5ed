"""Real bugs from published source packages: how many `greendiff fix` resolves, and whether a verified patch breaks one.

Of a task greendiff is given what a developer has: the repository, how its tests are run, and an interpreter with the
dependencies. Which tests count, and what the true fix changes, it is not told.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.engines import FixRun, cache_folder, run_fix

RESULTS = Path(__file__).parent / "results"
SMALL_KINDS = ("one-line", "few-line")
LEAST_RESOLVED = 5
"""Of the tasks of SMALL_KINDS."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What the tasks' own checker says of a repaired repository."""

    resolved: bool
    f2p: str
    """Tests that passed of those that must begin to pass, as `1/2`."""
    p2p_broken: int
    output: str


@dataclass(frozen=True, slots=True)
class TaskRow:
    """What became of one task."""

    id: str
    kind: str
    verified: bool
    resolved: bool
    f2p: str
    p2p_broken: int
    seconds: float
    tried: int
    first_trial_seconds: float | None
    code: int
    message: str
    patch: str = ""


class Tasks:
    """The folder with the tasks and their checker; nothing is written into it."""

    def __init__(self, folder: Path) -> None:
        self._script = folder / "sdist_tasks.py"
        self._cache = cache_folder() / "sdist"
        self._cache.mkdir(parents=True, exist_ok=True)
        found = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))["tasks"]
        self.tasks: Mapping[str, dict[str, Any]] = {task["id"]: task for task in found}

    def _run(self, *arguments: str, timeout: float = 900.0) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, str(self._script), *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=timeout)

    def python(self) -> Path:
        """Return an interpreter that has what the tasks need, installed once for each list of requirements.

        Raises:
            RuntimeError: pip could not install them.

        """
        requirements = self._run("deps").stdout.split()
        digest = hashlib.sha256(" ".join(requirements).encode()).hexdigest()[:12]
        folder = cache_folder() / f"sdist-venv-{digest}"
        python = folder / "bin" / "python"
        done = folder / ".complete"
        if not done.exists():
            venv.create(folder, with_pip=True, clear=True)
            argv = [str(python), "-m", "pip", "install", "--quiet", *requirements]
            installed = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=1800)
            if installed.returncode:
                raise RuntimeError(f"the tasks' requirements cannot be installed: {installed.stderr[-600:]}")
            done.touch()
        return python

    def make(self, name: str, folder: Path) -> None:
        """Make the task's repository in a new folder.

        Raises:
            RuntimeError: the source packages could not be had.

        """
        issue = folder.with_name(f"{folder.name}.issue.md")
        done = self._run("make", name, str(folder), "--cache", str(self._cache), "--issue", str(issue))
        if done.returncode:
            raise RuntimeError(f"{name} cannot be made: {done.stderr.strip()[-400:]}")

    def check(self, name: str, folder: Path, python: Path, *, true_fix: bool = False) -> Checked:
        """Have the checker judge a repository."""
        extra = ("--true-fix",) if true_fix else ()
        order = ("check", name, str(folder), "--python", str(python), "--cache", str(self._cache), *extra)
        try:
            done = self._run(*order)
        except subprocess.TimeoutExpired:
            return Checked(False, "?", 0, "the checker did not come to an end")
        return read_check(done.stdout + done.stderr)


def read_check(output: str) -> Checked:
    """Return what the checker's output says; output that cannot be read is not resolved."""
    told = re.search(r"F2P (\d+/\d+)\s+P2P (\d+)/(\d+)", output)
    if told is None:
        return Checked(False, "?", 0, output[-500:])
    return Checked("resolved: yes" in output, told[1], int(told[3]) - int(told[2]), output[-2000:])


def settings_of(task: Mapping[str, Any], python: Path) -> str:
    """Return the user's own settings for a task, as TOML: the interpreter, and how the checker runs the tests."""
    command = ["pytest", "-o", "addopts=", "-o", "filterwarnings=", "--continue-on-collection-errors"]
    pythonpath = list(dict.fromkeys([task["pythonpath"], "."]))
    return "\n".join((
        f"python = {json.dumps(str(python))}",
        "[tests]",
        f"command = {json.dumps(command)}",
        f"paths = {json.dumps(task['test_paths'])}",
        f"pythonpath = {json.dumps(pythonpath)}",
        f"plugins = {json.dumps(task['pytest_plugins'])}",
        'env = { TZ = "UTC", PYTHONHASHSEED = "0" }',
        "",
    ))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Conditions:
    """How greendiff is run on every task."""

    budget: float
    options: tuple[str, ...] = ()
    name_tests: bool = False
    """Whether the tests that the task is about are named to greendiff, as a developer may do."""
    with_issue: bool = False


def attempt(tasks: Tasks, name: str, python: Path, conditions: Conditions) -> TaskRow:
    """Let greendiff repair one task and have the checker judge what came out."""
    task = tasks.tasks[name]
    with tempfile.TemporaryDirectory(prefix="greendiff-sdist-") as folder:
        repository, settings = Path(folder, "repository"), Path(folder, "settings.toml")
        try:
            tasks.make(name, repository)
        except RuntimeError as error:
            return TaskRow(name, task["kind"], False, False, "?", 0, 0.0, 0, None, -1, str(error))
        settings.write_text(settings_of(task, python), encoding="utf-8")
        options = ["--config", str(settings), *conditions.options]
        if conditions.with_issue:
            options += ["--issue", f"{repository}.issue.md"]
        if conditions.name_tests:
            options += ["--test", *task["f2p"]]
        fixed = run_fix(repository, conditions.budget, *options)
        checked = _judged(tasks, name, python, repository, fixed) if fixed.diff else None
    found, result = fixed.last("found"), fixed.last("result")
    return TaskRow(
        id=name, kind=task["kind"], verified=bool(fixed.diff), resolved=checked is not None and checked.resolved,
        f2p=checked.f2p if checked else "", p2p_broken=checked.p2p_broken if checked else 0,
        seconds=round(fixed.seconds, 1), tried=int(found.get("tried", 0)), first_trial_seconds=fixed.first_trial_at,
        code=fixed.code, message=str(result.get("message") or fixed.stderr[-300:])[:600], patch=fixed.diff,
    )  # fmt: skip


def _judged(tasks: Tasks, name: str, python: Path, repository: Path, fixed: FixRun) -> Checked:
    argv = ["git", "apply", "--whitespace=nowarn", "-"]
    applied = subprocess.run(argv, cwd=repository, input=fixed.diff, capture_output=True, text=True, check=False)
    if applied.returncode:
        return Checked(False, "?", 0, f"the diff does not apply: {applied.stderr[-300:]}")
    return tasks.check(name, repository, python)


def show(rows: Sequence[TaskRow]) -> None:
    """Print the table of tasks and the totals by kind."""
    print(f"\n{'task':36}{'kind':10}{'verified':>9}{'resolved':>9}{'F2P':>7}{'P2P broken':>11}{'time':>8}{'tried':>8}")
    for row in rows:
        print(
            f"{row.id:36}{row.kind:10}{_yes(row.verified):>9}{_yes(row.resolved):>9}{row.f2p:>7}{row.p2p_broken:>11}"
            f"{row.seconds:>6.0f} s{row.tried:>8}"
        )
    print()
    for kind, some in totals(rows).items():
        print(f"{kind:10} {some['resolved']:2} of {some['tasks']:2} resolved, {some['verified']:2} verified")


def _yes(value: bool) -> str:
    return "yes" if value else "-"


def totals(rows: Iterable[TaskRow]) -> dict[str, dict[str, int]]:
    """Return the counts for each kind."""
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        some = counts.setdefault(row.kind, {"tasks": 0, "verified": 0, "resolved": 0, "breaking": 0})
        some["tasks"] += 1
        some["verified"] += row.verified
        some["resolved"] += row.resolved
        some["breaking"] += row.verified and row.p2p_broken > 0
    return counts


def falls_short(rows: Sequence[TaskRow], *, whole: bool) -> list[str]:
    """Return what falls short of issue 2's figures, as sentences."""
    counts = totals(rows)
    resolved = sum(counts.get(kind, {}).get("resolved", 0) for kind in SMALL_KINDS)
    short = [] if whole else ["not all tasks were run, or not as the promise says"]
    if resolved < LEAST_RESOLVED:
        short.append(f"{resolved} one-line and few-line tasks resolved, {LEAST_RESOLVED} wanted")
    short += [
        f"{row.id}: the verified patch breaks {row.p2p_broken} tests" for row in rows if row.verified and row.p2p_broken
    ]
    return short


def validate(tasks: Tasks, names: Sequence[str], python: Path) -> int:
    """Check that every task is resolved by its true fix and not without it; return how many are not."""
    bad = 0
    for name in names:
        with tempfile.TemporaryDirectory(prefix="greendiff-sdist-") as folder:
            repository = Path(folder, "repository")
            try:
                tasks.make(name, repository)
            except RuntimeError as error:
                print(f"{name}: {error}", flush=True)
                bad += 1
                continue
            base = tasks.check(name, repository, python)
            fixed = tasks.check(name, repository, python, true_fix=True)
        sound = fixed.resolved and not base.resolved
        bad += not sound
        print(
            f"{name:36} base F2P {base.f2p}, true fix F2P {fixed.f2p}, P2P broken {base.p2p_broken} and "
            f"{fixed.p2p_broken}: {'sound' if sound else 'NOT SOUND'}",
            flush=True,
        )
        if not sound:
            print(fixed.output, flush=True)
    print(f"{len(names) - bad} of {len(names)} tasks are sound here")
    return bad


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tasks; the last line is one JSON object with the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sdist", description=__doc__)
    parser.add_argument("--tasks-dir", type=Path, default=Path("../shared/bench"), metavar="FOLDER")
    parser.add_argument("--budget", type=float, default=120.0, help="seconds for each task")
    parser.add_argument("--names", nargs="*", default=(), help="tasks, packages or kinds")
    parser.add_argument("--jobs", type=int, default=1, help="tasks at the same time")
    parser.add_argument("--sandbox", choices=("auto", "docker", "bubblewrap", "local"))
    parser.add_argument("--name-tests", action="store_true", help="tell greendiff which tests the task is about")
    parser.add_argument("--with-issue", action="store_true", help="give greendiff the text of the changelog entry")
    parser.add_argument("--true-fix", action="store_true", help="only check that the true fixes resolve the tasks here")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where the rows go (default: under results/)")
    options = parser.parse_args(arguments)
    tasks = Tasks(options.tasks_dir.resolve())
    wanted = set(options.names)
    names = [n for n, t in tasks.tasks.items() if not wanted or wanted & {n, t["package"], t["kind"]}]
    python = tasks.python()
    if options.true_fix:
        return 1 if validate(tasks, names, python) else 0
    extra = ("--sandbox", options.sandbox) if options.sandbox else ()
    conditions = Conditions(options.budget, extra, options.name_tests, options.with_issue)
    rows: list[TaskRow] = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for row in pool.map(lambda name: attempt(tasks, name, python, conditions), names):
            rows.append(row)
            end = "resolved" if row.resolved else "verified" if row.verified else f"code {row.code}: {row.message}"
            print(f"[{len(rows)}/{len(names)}] {row.id:36} {row.seconds:5.0f} s {row.tried:6} {end[:160]}", flush=True)
    output = options.output or RESULTS / f"sdist-{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows), encoding="utf-8")
    show(rows)
    whole = len(rows) == len(tasks.tasks) and not options.name_tests and options.budget <= 120
    short = falls_short(rows, whole=whole)
    print(json.dumps({
        "benchmark": "sdist", "budget": options.budget, "tasks": len(rows), "kinds": totals(rows),
        "holds": not short, "short": short,
    }))  # fmt: skip
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
