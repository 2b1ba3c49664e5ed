"""The two generators: each is given a repository without tests and the same seconds, and leaves a suite."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.engines import GREENDIFF, cache_folder
from benchmarks.unit_tests.environments import PYNGUIN, installed
from benchmarks.unit_tests.subjects import Subject

ASSERTION_SECONDS = 600.0
"""What Pynguin may take, after the seconds of its search, to write assertions: it has no limit for that by default."""
MARGIN = 60.0
"""What greendiff may take beyond its budget before it is killed."""
SEED = 1


@dataclass(frozen=True, slots=True)
class Suite:
    """What a generator left for a subject."""

    tool: str
    subject: str
    files: dict[str, str]
    """Its files by path; none where it left no test."""
    seconds: float
    load: float
    """Load average of the last minute when it ended."""
    note: str = ""
    """How it ended, where it left nothing or was cut short."""
    report: dict[str, Any] | None = None
    """What the generator itself reports, where it does."""

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(self.files, sort_keys=True).encode()).hexdigest()[:16]


Generator = Callable[[Subject, float], Suite]


def kept(key: str, generate: Generator, subject: Subject, seconds: float) -> Suite:
    """Return the suite of an earlier run under the same key, or have it generated and keep it."""
    path = cache_folder() / "unit-tests" / "suites" / key / f"{subject.name}-{seconds:g}.json"
    if path.exists():
        return Suite(**json.loads(path.read_text(encoding="utf-8")))
    suite = generate(subject, seconds)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(suite), indent=1), encoding="utf-8")
    return suite


def pynguin(subject: Subject, seconds: float) -> Suite:
    """Have Pynguin search for that long, with its defaults; writing assertions comes on top.

    Where that does not end within `ASSERTION_SECONDS`, it is run again with as long for the mutants by which it
    chooses assertions as for its search.

    Raises:
        EnvironmentMissing: it cannot be installed here.

    """
    first = _pynguin(subject, seconds)
    if first.files or first.seconds < ASSERTION_SECONDS:
        return first
    return _pynguin(subject, seconds, "--maximum-mutation-time", f"{seconds:.0f}")


def _pynguin(subject: Subject, seconds: float, *options: str) -> Suite:
    python = installed("pynguin", [PYNGUIN], sys.executable)
    with tempfile.TemporaryDirectory(prefix="greendiff-pynguin-") as scratch:
        project, output = Path(scratch, "project"), Path(scratch, "output")
        subject.make(project)
        argv = [str(python.with_name("pynguin")), "--project-path", str(project), "--module-name", subject.module]
        argv += ["--output-path", str(output), "--report-dir", str(output / "report"), "--no-rich", "-v"]
        argv += ["--maximum-search-time", f"{seconds:.0f}", "--seed", str(SEED), *options]
        env = {"PATH": os.defpath, "HOME": scratch, "PYTHONHASHSEED": "0", "PYNGUIN_DANGER_AWARE": "1"}
        begun = time.monotonic()
        said, code = _run(argv, project, env, seconds + ASSERTION_SECONDS)
        took = time.monotonic() - begun
        files = {f"tests/{path.name}": path.read_text(encoding="utf-8") for path in sorted(output.glob("test_*.py"))}
    wrong = [line for line in said.splitlines() if re.match(r"\w*(Error|Exception)\b|ended after", line)]
    note = " ".join(options) if files and code == 0 else f"exit code {code}: {(wrong or [''])[-1]}"[:300]
    return Suite("pynguin", subject.name, files, round(took, 1), round(os.getloadavg()[0], 2), note)


def greendiff(subject: Subject, seconds: float, options: Sequence[str] = ()) -> Suite:
    """Have the command write tests within that many seconds, and take what its diff adds."""
    with tempfile.TemporaryDirectory(prefix="greendiff-tests-") as scratch:
        project, state = Path(scratch, "project"), Path(scratch, "state")
        path = subject.make(project)
        return written(project, path, state, subject.name, seconds, *options)


def written(project: Path, path: str, state: Path, name: str, seconds: float, *options: str) -> Suite:
    """Run `greendiff test` on one file of a repository; see `greendiff`."""
    argv = [*GREENDIFF, "test", path, "--repository", str(project), "--json", "--budget", f"{seconds:g}", *options]
    argv += ["--report", str(state / "report")]
    cache = cache_folder() / "greendiff"
    shutil.rmtree(cache / "base", ignore_errors=True)  # reports of earlier runs would flatter the times
    env = {**os.environ, "GREENDIFF_STATE_DIR": str(state), "GREENDIFF_CACHE_DIR": str(cache)}
    begun = time.monotonic()
    output, code = _run(argv, project, env, seconds + MARGIN)
    took = time.monotonic() - begun
    result = _last_result(output)
    diff = str(result.get("diff") or "") if code == 0 else ""
    files = _added(project, diff) if diff else {}
    told = state / "report" / "report.json"
    if told.exists():
        result = {**result, **json.loads(told.read_text(encoding="utf-8"))}
    note = "" if files else f"exit code {code}: {result.get('message') or output[-200:]}"[:300]
    return Suite("greendiff", name, files, round(took, 1), round(os.getloadavg()[0], 2), note, result or None)


def _run(argv: list[str], folder: Path, env: dict[str, str], seconds: float) -> tuple[str, int | None]:
    with subprocess.Popen(
        argv, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.terminate()
            try:
                output, _ = process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                output, _ = process.communicate()
            output += f"\nended after {seconds:g} s"
    return output, process.returncode


def _last_result(output: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in output.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("event") == "result":
            found = event
    return found


def _added(project: Path, diff: str) -> dict[str, str]:
    """Return the files that a diff changes, as it leaves them."""
    argv = ["git", "apply", "--index", "--whitespace=nowarn", "-"]
    subprocess.run(argv, cwd=project, input=diff, text=True, check=True, capture_output=True)
    named = subprocess.run(
        ["git", "diff", "--cached", "--name-only", "-z"], cwd=project, text=True, check=True, capture_output=True
    )
    return {path: (project / path).read_text(encoding="utf-8") for path in named.stdout.split("\0") if path}


def revision() -> str:
    """Return what tells one state of greendiff's own sources from another."""
    root = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for package in ("agents", "sandbox", "workflows"):
        for path in sorted((root / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
