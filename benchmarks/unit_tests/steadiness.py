"""Whether generated tests are steady: many runs in random order, with other hash seeds, on two Python versions."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.engines import cache_folder
from benchmarks.unit_tests.environments import RUNNERS, EnvironmentMissing, installed, interpreters
from benchmarks.unit_tests.generators import Suite
from benchmarks.unit_tests.judge import SUITE_SECONDS, environment, laid_out, pytest_argv
from benchmarks.unit_tests.subjects import Subject

VERSIONS_WANTED = 2

SHUFFLING = """\
import json, os, random
outcomes = {}
def pytest_collection_modifyitems(items):
    random.Random(os.environ["GREENDIFF_ORDER"]).shuffle(items)
def pytest_runtest_logreport(report):
    if report.failed: outcomes[report.nodeid] = "failed"
    elif report.when == "call": outcomes[report.nodeid] = report.outcome
def pytest_collectreport(report):
    if report.failed: outcomes[report.nodeid] = "failed"
def pytest_sessionfinish():
    with open(os.environ["GREENDIFF_OUTCOMES"], "w") as file: json.dump(outcomes, file)
"""


@dataclass(frozen=True, slots=True)
class Steadiness:
    """What became of a suite's tests over all runs."""

    tool: str
    subject: str
    runs: dict[str, int]
    """Runs by Python version."""
    tests: int
    flaky: list[str]
    """Tests that end differently in runs under one version."""
    failing: list[str]
    """Tests that fail in every run."""
    by_version: list[str]
    """Tests that pass in every run of one version and fail in every run of another."""
    unfinished: int
    """Runs that did not come to an end."""


def runners() -> dict[str, Path]:
    """Return the interpreters that run the suites, by version: the oldest and the newest that are there.

    Raises:
        EnvironmentMissing: not even one can be prepared.

    """
    found: dict[str, Path] = {}
    known = interpreters()
    for version in list(dict.fromkeys([*list(known)[:1], *reversed(known)])):
        if len(found) == VERSIONS_WANTED:
            break
        try:
            found[version] = installed(f"runner-{version}", RUNNERS, known[version])
        except EnvironmentMissing as error:
            print(f"Python {version} is left out: {error}", flush=True)
    if not found:
        raise EnvironmentMissing("no Python was found that could run the suites")
    return found


def steadiness(subject: Subject, suite: Suite, runs: int, pythons: dict[str, Path]) -> Steadiness:
    """Run a suite so many times in all, in turns under each version; what was found is kept in the cache."""
    identity = json.dumps([subject.module, subject.wheel, suite.digest, runs, sorted(pythons), RUNNERS, SHUFFLING])
    path = cache_folder() / "unit-tests" / "steady" / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.json"
    if path.exists():
        return Steadiness(**{**json.loads(path.read_text(encoding="utf-8")), "tool": suite.tool})
    outcomes: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    counted: Counter[str] = Counter()
    unfinished = 0
    with laid_out(subject, suite) as (folder, _):
        for number in range(runs):
            version = sorted(pythons)[number % len(pythons)]
            once = _outcomes(folder, suite, pythons[version], number)
            counted[version] += 1
            unfinished += once is None
            for test, outcome in (once or {}).items():
                outcomes[test][version][outcome] += 1
    result = _summed(suite, outcomes, counted, unfinished)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(result)), encoding="utf-8")
    return result


def _outcomes(folder: Path, suite: Suite, python: Path, number: int) -> dict[str, str] | None:
    beside = folder.parent
    (beside / "shuffling.py").write_text(SHUFFLING, encoding="utf-8")
    out = beside / "outcomes.json"
    out.unlink(missing_ok=True)
    env = environment(
        folder, PYTHONHASHSEED=str(number), GREENDIFF_ORDER=str(number), GREENDIFF_OUTCOMES=str(out),
        PYTHONPATH=str(beside),
    )  # fmt: skip
    argv = pytest_argv(python, suite, "-p", "shuffling")
    try:
        subprocess.run(argv, cwd=folder, env=env, capture_output=True, timeout=SUITE_SECONDS, check=False)
        return {str(test): str(outcome) for test, outcome in json.loads(out.read_text(encoding="utf-8")).items()}
    except (subprocess.TimeoutExpired, OSError, ValueError):
        return None


def _summed(
    suite: Suite, outcomes: dict[str, dict[str, Counter[str]]], counted: Counter[str], unfinished: int
) -> Steadiness:
    flaky, failing, by_version = [], [], []
    for test, versions in sorted(outcomes.items()):
        known = {version: set(counts) for version, counts in versions.items()}
        missed = any(sum(versions[version].values()) < counted[version] - unfinished for version in versions)
        if missed or any(len(kinds) > 1 for kinds in known.values()):
            flaky.append(test)
        elif all(kinds == {"failed"} for kinds in known.values()):
            failing.append(test)
        elif len({frozenset(kinds) for kinds in known.values()}) > 1:
            by_version.append(test)
    return Steadiness(suite.tool, suite.subject, dict(counted), len(outcomes), flaky, failing, by_version, unfinished)
