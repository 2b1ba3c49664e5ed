"""Suspected bugs: whether `greendiff test` on a buggy module says so, or pins the wrong behaviour as right."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.corpus_loader import Bug, load, materialise
from benchmarks.engines import cache_folder
from benchmarks.main_job import sample
from benchmarks.unit_tests.generators import Suite, written
from benchmarks.unit_tests.judge import SUITE_SECONDS, environment, pytest_argv, runner

LEAST_REPORTED, MOST_PINNED = 0.30, 0.10


@dataclass(frozen=True, slots=True)
class Found:
    """What came of one buggy module."""

    bug: str
    function: str
    split: str
    told: bool
    """Whether the function has a docstring or type hints to go by."""
    tests: int
    suspects: int
    reported: bool
    """Whether a suspected bug was reported."""
    alarm: bool | None
    """Whether the same is reported on the reference, so that the report is no finding; None where that was not run."""
    pinned: bool
    """Whether a kept test fails on the reference: it takes the wrong behaviour for right."""
    caught: bool
    """Whether a kept test fails on the buggy module itself, which it should not."""
    seconds: float
    note: str


def told(bug: Bug) -> bool:
    """Return whether the function or class, or a method of it, has a docstring or a type hint."""
    for node in ast.walk(ast.parse(bug.broken)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name != bug.function:
            continue
        inside = [one for one in ast.walk(node) if isinstance(one, type(node) | ast.FunctionDef | ast.AsyncFunctionDef)]
        for one in inside:
            if ast.get_docstring(one):
                return True
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
                arguments = [*one.args.posonlyargs, *one.args.args, *one.args.kwonlyargs]
                if one.returns or any(argument.annotation for argument in arguments):
                    return True
    return False


@contextmanager
def without_tests(bug: Bug, *, fixed: bool) -> Iterator[Path]:
    """Lay the module out as a repository without its tests."""
    with tempfile.TemporaryDirectory(prefix="greendiff-suspects-") as scratch:
        folder = Path(scratch, "project")
        materialise(bug, folder, fixed=fixed)
        env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        who = ["-c", "user.name=Corpus", "-c", "user.email=corpus@example.org"]
        for argv in (["rm", "-r", "-q", "tests"], ["commit", "-q", "--amend", "--no-edit"]):
            subprocess.run(["git", *who, *argv], cwd=folder, env=env, check=True, capture_output=True, timeout=60)
        yield folder


def suite_for(bug: Bug, key: str, seconds: float, options: Sequence[str], *, fixed: bool) -> Suite:
    """Return what `greendiff test` makes of the module, kept in the cache; bugs of a function share its reference."""
    name = f"{bug.function}.reference" if fixed else bug.id
    text = bug.reference if fixed else bug.broken
    digest = hashlib.sha256(json.dumps([name, text, list(options)]).encode()).hexdigest()[:12]
    path = cache_folder() / "unit-tests" / "suspects" / key / f"{name}-{seconds:g}-{digest}.json"
    if path.exists():
        return Suite(**json.loads(path.read_text(encoding="utf-8")))
    with without_tests(bug, fixed=fixed) as folder:
        suite = written(folder, bug.path, folder.parent / "state", name, seconds, *options)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(suite), indent=1), encoding="utf-8")
    return suite


def suspected(suite: Suite, bug: Bug) -> list[dict[str, Any]]:
    """Return the suspected bugs that the report names in the function with the bug."""
    found = (suite.report or {}).get("suspects") or ()
    return [one for one in found if bug.function in str(one.get("name", "")).replace(":", ".").split(".")]


def failures(bug: Bug, suite: Suite, text: str, python: Path) -> int:
    """Return how many tests of the suite fail with that text of the module; a run without end counts as one."""
    if not suite.files:
        return 0
    with tempfile.TemporaryDirectory(prefix="greendiff-suspects-") as scratch:
        folder = Path(scratch, "project")
        materialise(bug, folder, git=False)
        for path, content in {**suite.files, bug.path: text}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(content, encoding="utf-8")
        argv = pytest_argv(python, suite, "-rfE")
        try:
            done = subprocess.run(
                argv, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=SUITE_SECONDS,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return 1
    if done.returncode in {0, 5}:
        return 0
    return max(1, sum(line.startswith(("FAILED ", "ERROR ")) for line in done.stdout.splitlines()))


def one(bug: Bug, key: str, seconds: float, options: Sequence[str], *, reference: bool) -> Found:
    """Have tests written for one buggy module, and judge what came."""
    suite = suite_for(bug, key, seconds, options, fixed=False)
    suspects = suspected(suite, bug)
    alarm = None
    if reference and suspects:
        alarm = bool(suspected(suite_for(bug, key, seconds, options, fixed=True), bug))
    return Found(
        bug.id, bug.function, bug.split, told(bug), sum(text.count("def test_") for text in suite.files.values()),
        len(suspects), bool(suspects), alarm, failures(bug, suite, bug.reference, runner()) > 0,
        failures(bug, suite, bug.broken, runner()) > 0, suite.seconds, suite.note,
    )  # fmt: skip


def figures(found: Sequence[Found]) -> dict[str, Any]:
    """Return the shares that issue 4 asks for, over the bugs with something to go by."""
    some = [each for each in found if each.told]
    reported = [each for each in some if each.reported]
    rest = [each for each in some if not each.reported]
    alarms = [each.alarm for each in reported if each.alarm is not None]
    return {
        "bugs": len(found), "told": len(some), "with_tests": sum(each.tests > 0 for each in some),
        "reported": round(len(reported) / max(1, len(some)), 4),
        "reported_on_the_reference_too": f"{sum(alarms)}/{len(alarms)}",
        "pinned_of_the_rest": round(sum(each.pinned for each in rest) / max(1, len(rest)), 4),
        "pinned_though_reported": sum(each.pinned for each in reported),
        "failing_on_the_bug_itself": sum(each.caught for each in some),
    }  # fmt: skip


def falls_short(found: Sequence[Found]) -> list[str]:
    """Return what falls short of issue 4's third point, as sentences."""
    told_of = figures(found)
    short = []
    if told_of["reported"] < LEAST_REPORTED:
        short.append(f"suspected bugs: reported for {told_of['reported']:.1%}, {LEAST_REPORTED:.0%} wanted")
    if told_of["pinned_of_the_rest"] > MOST_PINNED:
        short.append(
            f"suspected bugs: wrong behaviour pinned in {told_of['pinned_of_the_rest']:.1%} of the rest, at most "
            f"{MOST_PINNED:.0%} wanted"
        )
    return short


def run(
    split: str, limit: int | None, names: Sequence[str], key: str, seconds: float, options: Sequence[str]
) -> list[Found]:
    """Go through a sample of the corpus; what was generated before is not generated again."""
    every = load(split="tune" if split == "tune" else "holdout", names=names)
    bugs = sample(every, limit)
    found = []
    for number, bug in enumerate(bugs, 1):
        found.append(one(bug, key, seconds, options, reference=True))
        last = found[-1]
        state = "reported" if last.reported else "pinned" if last.pinned else "neither"
        name = bug.id if split == "tune" else "a hold-out bug"
        print(f"[{number}/{len(bugs)}] {name:40} {state:10}{last.tests:4} tests  {last.note[:80]}", flush=True)
    return found
