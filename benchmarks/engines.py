"""Two ways to have a bug repaired: the command as users run it, and the search by itself."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol

import platformdirs

from benchmarks.corpus_loader import Bug, files_of, materialise
from sandbox.backends import BackendName

GREENDIFF = (str(Path(sys.executable).with_name("greendiff")),)


GRACE_SECONDS = 10.0
"""What a command that outlived its time gets to clean up before it is killed."""


def cache_folder() -> Path:
    """Return the folder, outside the repository, of what the benchmarks may make again."""
    return platformdirs.user_cache_path("greendiff-benchmarks")


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an engine made of a bug."""

    text: str | None
    """The module as the first patch leaves it; None where no patch came out."""
    seconds: float
    tried: int = 0
    search_seconds: float = 0.0
    first_trial_seconds: float | None = None
    stopped: str = ""
    error: str = ""
    patch: str = ""
    origin: str = ""
    others: tuple[str, ...] = ()
    """The module as the further repairs that were found leave it, best first."""
    right_generated: int | None = None


class Engine(Protocol):
    """Repairs bugs."""

    def warm_up(self, bug: Bug) -> None:
        """Prepare the environment that all bugs share, outside all measured times."""
        ...

    def attempt(self, bug: Bug, budget: float) -> Attempt:
        """Try to repair one bug within `budget` seconds; never raises for what the repaired code does."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class FixRun:
    """One run of `greendiff fix --json`."""

    code: int
    seconds: float
    events: tuple[dict[str, Any], ...]
    stderr: str

    def last(self, name: str) -> dict[str, Any]:
        """Return the last event of that name, {} where there was none."""
        return next((event for event in reversed(self.events) if event.get("event") == name), {})

    @property
    def diff(self) -> str:
        """The verified diff, "" where there is none."""
        return str(self.last("result").get("diff") or "") if self.code == 0 else ""

    @property
    def first_trial_at(self) -> float | None:
        """Seconds from the command's start until the first candidate had been tried; None where none was."""
        found = self.last("found")
        first, took = found.get("first_trial_seconds"), search_seconds(found)
        if first is None or not took:
            return None
        return max(0.0, float(found["elapsed"]) - took + float(first))


def search_seconds(found: dict[str, Any]) -> float:
    """Return how long the search took, from the event that tells its end."""
    if "seconds" in found:
        return float(found["seconds"])
    told = re.search(r" in ([0-9.]+) s", str(found.get("text", "")))
    return float(told[1]) if told else 0.0


def run_fix(repository: Path, budget: float, *options: str, margin: float = 60.0) -> FixRun:
    """Run `greendiff fix --json` in a repository; a run that outlives its budget by `margin` seconds is killed."""
    with tempfile.TemporaryDirectory(prefix="greendiff-state-") as state:
        cache = cache_folder() / "greendiff"
        shutil.rmtree(cache / "base", ignore_errors=True)  # reports of earlier runs would flatter the times
        env = {**os.environ, "GREENDIFF_STATE_DIR": state, "GREENDIFF_CACHE_DIR": str(cache)}
        argv = [*GREENDIFF, "fix", str(repository), "--json", "--budget", f"{budget:g}", *options]
        begun = time.monotonic()
        with subprocess.Popen(
            argv, cwd=repository, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
        ) as process:
            try:
                out, err = process.communicate(timeout=budget + margin)
            except subprocess.TimeoutExpired:
                process.terminate()
                try:
                    out, err = process.communicate(timeout=GRACE_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    out, err = process.communicate()
                    err += "\nit did not heed SIGTERM"
                err += f"\nkilled after {budget + margin:g} s"
        seconds = time.monotonic() - begun
    events: list[dict[str, Any]] = []
    for text in out.splitlines():
        try:
            event = json.loads(text)
        except ValueError:
            continue
        if isinstance(event, dict):
            events.append(event)
    return FixRun(process.returncode, seconds, tuple(events), err[-2000:])


@dataclass(slots=True)
class CommandEngine:
    """`greendiff fix` as a process, once for each bug."""

    sandbox: str | None = None

    def warm_up(self, bug: Bug) -> None:
        self.attempt(bug, 300.0)

    def attempt(self, bug: Bug, budget: float) -> Attempt:
        with tempfile.TemporaryDirectory(prefix="greendiff-bench-") as name:
            repository = Path(name, bug.module)
            materialise(bug, repository)
            options = ("--sandbox", self.sandbox) if self.sandbox else ()
            run = run_fix(repository, budget, *options)
            text, error = None, ""
            if run.diff:
                text, error = _patched(repository, run.diff, bug)
        found, result = run.last("found"), run.last("result")
        if run.code not in {0, 1, 4}:
            error = f"exit code {run.code}: {result.get('message') or run.stderr[-300:]}"
        verdicts = [event for event in run.events if event.get("event") == "candidate"]
        return Attempt(
            text=text, seconds=run.seconds, tried=int(found.get("tried", 0)), search_seconds=search_seconds(found),
            first_trial_seconds=run.first_trial_at, stopped=str(found.get("stopped", "")), error=error, patch=run.diff,
            origin=str(verdicts[-1].get("description", "")) if verdicts else "",
        )  # fmt: skip

    def close(self) -> None:
        pass


def _patched(repository: Path, diff: str, bug: Bug) -> tuple[str | None, str]:
    done = subprocess.run(
        ["git", "apply", "-"], cwd=repository, input=diff, text=True, capture_output=True, check=False
    )
    if done.returncode:
        return None, f"the diff does not apply: {done.stderr.strip()[-300:]}"
    return (repository / bug.path).read_text(encoding="utf-8"), ""


@dataclass(slots=True)
class LibraryEngine:
    """The search without the gate, in this process; for tuning, not for the promise."""

    backend: BackendName = "local"
    look_for_reference: bool = False
    """Whether to count through the candidates until one equals the reference (slow)."""
    _sandbox: Any = field(default=None, init=False)
    _environment: Any = field(default=None, init=False)

    def warm_up(self, bug: Bug) -> None:  # noqa: ARG002 - the environment is the same for all
        self._open()

    def attempt(self, bug: Bug, budget: float) -> Attempt:
        from agents.bugfixer import RepairProblem, repair
        from agents.edits import apply_candidate
        from sandbox.runners.detect import detect_harness
        from sandbox.runners.run import run_tests
        from sandbox.tree import Entry, Tree

        self._open()
        tree = Tree({path: Entry(text.encode()) for path, text in files_of(bug).items()})
        begun = time.monotonic()
        with self._sandbox.open(tree, self._environment) as workspace:
            harness = detect_harness(tree)
            report = run_tests(
                workspace, harness, coverage=True, wall_seconds=max(1.0, budget * 0.4), test_seconds=2.0,
                hang_seconds=0.5,
            )  # fmt: skip
            targets = tuple(result.node_id for result in report.failed())
            problem = RepairProblem(tree=tree, harness=harness, report=report, targets=targets)
            left = budget - (time.monotonic() - begun)
            result = repair(problem, workspace, budget_seconds=max(1.0, left))
        seconds = time.monotonic() - begun
        texts = [_text(apply_candidate(tree, found.candidate), bug) for found in result.repairs]
        first = result.repairs[0].candidate if result.repairs else None
        return Attempt(
            text=texts[0] if texts else None, seconds=seconds, tried=result.tried, search_seconds=result.seconds,
            first_trial_seconds=result.first_trial_seconds, stopped=result.stopped,
            origin=f"{first.origin}: {first.description}" if first else "", others=tuple(texts[1:]),
            right_generated=_place_of_reference(bug, tree, result.suspects) if self.look_for_reference else None,
        )  # fmt: skip

    def _open(self) -> None:
        if self._sandbox is None:
            from sandbox.backends import open_sandbox
            from sandbox.protocol import EnvironmentDefinition

            self._sandbox = open_sandbox(self.backend)
            self._environment = self._sandbox.prepare(EnvironmentDefinition(), lambda _line: None)

    def close(self) -> None:
        if self._sandbox is not None:
            self._sandbox.close()


def _text(tree: Any, bug: Bug) -> str:
    return bytes(tree[bug.path].data).decode()


def _place_of_reference(bug: Bug, tree: Any, suspects: Sequence[Any], most: int = 20000) -> int | None:
    """Return the place, among the generated candidates, of one whose syntax tree is the reference's."""
    from agents.edits import apply_candidate
    from agents.repair.generate import generate

    wanted = ast.dump(ast.parse(bug.reference))
    for place, candidate in enumerate(islice(generate(tree, suspects), most)):
        try:
            if ast.dump(ast.parse(_text(apply_candidate(tree, candidate), bug))) == wanted:
                return place
        except SyntaxError:
            continue
    return None


EngineName = Literal["cli", "library"]


def open_engine(name: EngineName, sandbox: str | None, *, look_for_reference: bool = False) -> Engine:
    """Return the engine of that name."""
    if name == "cli":
        return CommandEngine(sandbox)
    backends: dict[str | None, BackendName] = {"docker": "docker", "bubblewrap": "bubblewrap", "auto": "auto"}
    return LibraryEngine(backends.get(sandbox, "local"), look_for_reference)
