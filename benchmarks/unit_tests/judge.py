"""What a suite is worth by tools that are neither generator's: coverage.py, cosmic-ray and mutmut."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.engines import cache_folder
from benchmarks.unit_tests.environments import MUTATORS, RUNNERS, installed
from benchmarks.unit_tests.generators import Suite
from benchmarks.unit_tests.subjects import Subject

CHILD = Path(__file__).with_name("mutants_child.py")
SAMPLE_SEED = 20240101
MUTANT_SECONDS = 10.0
"""Least time that a suite gets on a mutant; three times what it takes without one where that is more."""
SUITE_SECONDS = 180.0
OUT_OF_REACH = (
    r"pragma: no (cover|branch)", r"^\s*if (typing\.)?TYPE_CHECKING:", r"^\s*if __name__ == .__main__.:",
    r"^\s*raise NotImplementedError", r"^\s*@(typing\.)?overload", r"^\s*\.\.\.$", r"^\s*except ImportError",
    r"^\s*if sys\.(version_info|hexversion|platform)", r"^\s*@(abc\.)?abstractmethod", r"^\s*raise AssertionError",
)  # fmt: skip
"""Lines that no test reaches on one machine with one interpreter, as far as that can be seen from the line."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a suite runs of a module."""

    passed: int
    """Tests that pass; a strict expected failure counts as one."""
    failed: int
    lines: int
    lines_run: int
    branches: int
    branches_run: int
    lines_all: int
    """Lines including those that are out of reach."""
    missing: list[int]
    """Lines within reach that were not run."""
    missing_branches: list[list[int]]
    run: list[int]
    """Lines that were run."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed version of a module."""

    tool: str
    operator: str
    line: int
    column: int
    text: str

    @property
    def id(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one mutant."""

    mutant: str
    tool: str
    operator: str
    line: int
    killed: bool
    how: str
    """`failed`, `timeout`, `not run` (the suite does not run its line), or `passed`."""


def runner() -> Path:
    """Return the interpreter that runs the suites."""
    return installed("runner", RUNNERS, sys.executable)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return all variables of a run."""
    fixed = {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONHASHSEED": "0"}
    return {"PATH": os.defpath, "HOME": str(folder), "TZ": "UTC", "LC_ALL": "C.UTF-8", **fixed, **more}


@contextmanager
def laid_out(subject: Subject, suite: Suite) -> Iterator[tuple[Path, Path]]:
    """Write the module and the suite into a folder; give the folder and the module's path in it."""
    with tempfile.TemporaryDirectory(prefix="greendiff-judge-") as scratch:
        folder = Path(scratch, "project")
        module = subject.make(folder)
        for path, text in suite.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        yield folder, folder / module


def pytest_argv(python: Path, suite: Suite, *options: str) -> list[str]:
    """Return how a suite is run."""
    tests = [path for path in sorted(suite.files) if Path(path).name.startswith("test_")]
    return [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=no", "-W", "ignore", *options, *tests]


def covered(subject: Subject, suite: Suite, python: Path) -> Coverage | None:
    """Run the suite under coverage.py; None where it does not come to an end."""
    with laid_out(subject, suite) as (folder, module):
        settings = folder.parent / "coverage.ini"
        out = folder.parent / "coverage.json"
        path = module.relative_to(folder)
        reports = {}
        base = f"[run]\nbranch = true\ninclude = {path}\ndata_file = {folder.parent / 'data'}\n"
        env = environment(folder, COVERAGE_RCFILE=str(settings), GREENDIFF_COUNTS=str(folder.parent / "counts"))
        (folder.parent / "counting.py").write_text(_COUNTING, encoding="utf-8")
        env["PYTHONPATH"] = str(folder.parent)
        settings.write_text(base, encoding="utf-8")
        argv = pytest_argv(Path("-"), suite, "-p", "counting")[1:]
        begun = time.monotonic()
        try:
            subprocess.run(
                [str(python), "-m", "coverage", "run", *argv], cwd=folder, env=env, capture_output=True,
                timeout=SUITE_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return None
        seconds = time.monotonic() - begun
        counts = folder.parent / "counts"
        passed, failed = map(int, counts.read_text().split()) if counts.exists() else (0, 1)
        for name, excluded in (("all", ("pragma: never excluded",)), ("reach", OUT_OF_REACH)):
            lines = "".join(f"\n    {one}" for one in excluded)
            settings.write_text(f"{base}[report]\nexclude_lines ={lines}\n", encoding="utf-8")
            argv = [str(python), "-m", "coverage", "json", "-q", "-o", str(out)]
            done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)
            if done.returncode:
                return None
            reports[name] = json.loads(out.read_text(encoding="utf-8"))["files"][str(path)]
    return _coverage(reports["reach"], reports["all"], passed, failed, seconds)


def _coverage(reach: dict[str, Any], everything: dict[str, Any], passed: int, failed: int, seconds: float) -> Coverage:
    summary = reach["summary"]
    return Coverage(
        passed, failed, summary["num_statements"], summary["covered_lines"], summary["num_branches"],
        summary["covered_branches"], everything["summary"]["num_statements"], reach["missing_lines"],
        reach["missing_branches"], everything["executed_lines"], round(seconds, 2),
    )  # fmt: skip


_COUNTING = """\
import os
passed = failed = 0
def pytest_runtest_logreport(report):
    global passed, failed
    if report.failed: failed += 1
    elif report.when == "call": passed += 1
def pytest_collectreport(report):
    global failed
    if report.failed: failed += 1
def pytest_sessionfinish():
    with open(os.environ["GREENDIFF_COUNTS"], "w") as file: file.write(f"{passed} {failed}")
"""


def mutants(subject: Subject, count: int) -> list[Mutant]:
    """Return the sample of a module's mutants, half by each tool where both have enough; kept in the cache.

    Raises:
        EnvironmentMissing: the tools cannot be installed here.
        RuntimeError: they fail on the module.

    """
    files = subject.files()
    text = files[subject.path_among(files)].decode()
    order = {"text": text, "seed": SAMPLE_SEED, "count": count}
    identity = json.dumps([order, MUTATORS, CHILD.read_text(encoding="utf-8")])
    path = cache_folder() / "unit-tests" / "mutants" / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.json"
    if not path.exists():
        python = installed("mutators", MUTATORS, sys.executable)
        done = subprocess.run(
            [str(python), "-I", "-W", "ignore", str(CHILD)], input=json.dumps(order), capture_output=True, text=True,
            timeout=1200, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"no mutants of {subject.name}: {done.stderr[-300:]}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(done.stdout, encoding="utf-8")
    return [Mutant(**one) for one in json.loads(path.read_text(encoding="utf-8"))["chosen"]]


def verdicts(
    subject: Subject, suite: Suite, coverage: Coverage, sample: Sequence[Mutant], python: Path,
    least_seconds: float = MUTANT_SECONDS,
) -> list[Verdict]:  # fmt: skip
    """Run the suite on each mutant by plain pytest, up to the first failure.

    Tests that fail without a mutant are left out. A mutant on a statement that the suite does not run survives without
    a run; the statement is that which begins last before the mutant's line.
    """
    found: list[Verdict] = []
    with laid_out(subject, suite) as (folder, module):
        argv = pytest_argv(python, suite, "-x")
        for name in _failing(folder, suite, python) if coverage.failed else ():
            argv += ["--deselect", name]
        original = module.read_text(encoding="utf-8").splitlines()
        limit = max(least_seconds, 3 * coverage.seconds)
        shutil.copytree(folder / ".git", folder.parent / "git")
        shutil.rmtree(folder / ".git")
        for one in sample:
            how = "not run"
            if _runs(coverage, original, one.line):
                module.write_text(one.text, encoding="utf-8")
                how = _outcome(argv, folder, limit)
            found.append(Verdict(one.id, one.tool, one.operator, one.line, how in {"failed", "timeout"}, how))
    return found


def _runs(coverage: Coverage, original: Sequence[str], line: int) -> bool:
    """Return whether the suite runs the statement that the line belongs to, or the next one where the line is empty."""
    while line < len(original) and not original[line - 1].strip():
        line += 1
    known = sorted({*coverage.run, *coverage.missing})
    start = max((number for number in known if number <= line), default=line)
    return start in set(coverage.run) or start not in set(coverage.missing)


def _outcome(argv: list[str], folder: Path, seconds: float) -> str:
    with subprocess.Popen(
        argv, cwd=folder, env=environment(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            return "passed" if process.wait(timeout=seconds) in {0, 5} else "failed"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            return "timeout"


def _failing(folder: Path, suite: Suite, python: Path) -> list[str]:
    done = subprocess.run(
        pytest_argv(python, suite, "-rfE"), cwd=folder, env=environment(folder), capture_output=True, text=True,
        timeout=SUITE_SECONDS, check=False,
    )  # fmt: skip
    rows = [line.split(" ", 2) for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return [row[1] for row in rows]


@dataclass(frozen=True, slots=True)
class Judged:
    """All that is known of a suite's worth."""

    coverage: Coverage | None
    verdicts: list[Verdict]


def judged(subject: Subject, suite: Suite, count: int) -> Judged:
    """Judge a suite, once; what was found is kept in the cache."""
    sample = mutants(subject, count)
    identity = json.dumps([subject.module, subject.wheel, suite.digest, [one.id for one in sample], RUNNERS])
    path = cache_folder() / "unit-tests" / "judged" / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.json"
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
        coverage = Coverage(**kept["coverage"]) if kept["coverage"] else None
        return Judged(coverage, [Verdict(**one) for one in kept["verdicts"]])
    coverage = covered(subject, suite, runner()) if suite.files else None
    if coverage is None:
        found = [Verdict(one.id, one.tool, one.operator, one.line, False, "no suite") for one in sample]
    else:
        found = verdicts(subject, suite, coverage, sample, runner())
    result = Judged(coverage, found)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(result)), encoding="utf-8")
    return result
