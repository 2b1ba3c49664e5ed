"""The corpus of single-function bugs: reading it, making Git repositories of it, and checking that it is sound.

A case file (`corpus/FAMILY/FUNCTION.case`) holds one function or class with its module's reference text, its tests, an
input generator for the oracle, and its bugs as small hunks without line numbers:

    module: text_tools
    === reference
    ...
    === tests
    ...
    === oracle
    def make(rng): return (argument, ...)     # what a call is given
    def run(module, argument, ...): ...       # optional: how it is driven, where it is not a plain call
    === bug NAME | KIND | human
    -old line
    +new line
    @@
    -another old line
    +another new line

Lines of a hunk that begin with a space are context; a hunk's old lines must occur exactly once in the reference.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

CORPUS = Path(__file__).parent / "corpus"
Split = Literal["tune", "holdout"]

PYPROJECT = """\
[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["."]
"""
"""No distribution is named, so that all bugs share one prepared environment."""


class CorpusError(Exception):
    """A case file is malformed; the message names it."""


@dataclass(frozen=True, slots=True)
class Bug:
    """One defect of one function, with everything that it is judged by."""

    function: str
    """Name of the function or class that holds the defect; unique in the corpus together with `name`."""
    family: str
    name: str
    kind: str
    origin: Literal["human", "mutation"]
    module: str
    reference: str
    broken: str
    tests: str
    oracle: str
    edits: int
    """How many separate places were changed."""

    @property
    def id(self) -> str:
        return f"{self.function}.{self.name}"

    @property
    def split(self) -> Split:
        """The side on which all bugs of the function are.

        The second byte tells which functions were held out at first and were opened later, to learn from bugs that no
        template had been written for.
        """
        digest = hashlib.sha256(f"3:{self.function}".encode()).digest()
        return "tune" if digest[0] % 2 or digest[1] % 2 else "holdout"

    @property
    def opened(self) -> bool:
        """Whether the function was held out until it was opened to be learned from."""
        digest = hashlib.sha256(f"3:{self.function}".encode()).digest()
        return digest[0] % 2 == 0 and digest[1] % 2 == 1

    @property
    def path(self) -> str:
        """Where the module lies in the repository."""
        return f"{self.module}.py"


def _hunks(body: str, where: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for part in body.strip("\n").split("\n@@\n"):
        old: list[str] = []
        new: list[str] = []
        for line in part.split("\n"):
            sign, rest = line[:1], line[1:]
            if sign not in {" ", "-", "+", ""}:
                raise CorpusError(f"{where}: a hunk's line begins with {sign!r}")
            if sign in {" ", "-", ""}:
                old.append(rest)
            if sign in {" ", "+", ""}:
                new.append(rest)
        found.append(("\n".join(old) + "\n", "".join(f"{line}\n" for line in new)))
    return found


def _break(reference: str, body: str, where: str) -> tuple[str, int]:
    hunks = _hunks(body, where)
    text = "\n" + reference
    for old, new in hunks:
        if text.count("\n" + old) != 1:
            raise CorpusError(f"{where}: occurs {text.count(chr(10) + old)} times in the reference: {old!r}")
        text = text.replace("\n" + old, "\n" + new)
    return text[1:], len(hunks)


def read_case(path: Path) -> tuple[Bug, ...]:
    """Return the bugs of one case file, in its order.

    Raises:
        CorpusError: malformed, or a hunk does not fit the reference exactly once.

    """
    head, *sections = path.read_text(encoding="utf-8").split("\n=== ")
    fields = dict(line.split(": ", 1) for line in head.splitlines() if line.strip())
    bodies: dict[str, str] = {}
    for section in sections:
        title, _, body = section.partition("\n")
        if title in bodies:
            raise CorpusError(f"{path.name}: the section {title!r} is there twice")
        bodies[title] = body.strip("\n") + "\n"
    missing = {"reference", "tests", "oracle"} - set(bodies)
    if missing or "module" not in fields:
        raise CorpusError(f"{path.name}: lacks {', '.join(sorted(missing)) or 'its module'}")
    bugs = []
    for title, body in bodies.items():
        if not title.startswith("bug "):
            continue
        name, kind, origin = (part.strip() for part in title[4:].split("|"))
        where = f"{path.name}, {name}"
        if origin not in {"human", "mutation"}:
            raise CorpusError(f"{where}: the origin is human or mutation, not {origin!r}")
        broken, edits = _break(bodies["reference"], body, where)
        bugs.append(
            Bug(
                function=path.stem, family=path.parent.name, name=name, kind=kind,
                origin="human" if origin == "human" else "mutation",
                module=fields["module"], reference=bodies["reference"], broken=broken, tests=bodies["tests"],
                oracle=bodies["oracle"], edits=max(edits, 2 if kind == "two-edits" else 1),
            )
        )  # fmt: skip
    return tuple(bugs)


def load(corpus: Path = CORPUS, *, split: Split | Literal["all"] = "all", names: Iterable[str] = ()) -> tuple[Bug, ...]:
    """Return the corpus's bugs in a stable order, narrowed to a split and to names (of bugs, functions or families).

    Raises:
        CorpusError: a case is malformed, or two functions have one name.

    """
    paths = sorted(corpus.glob("*/*.case"))
    twice = [stem for stem, count in Counter(p.stem for p in paths).items() if count > 1]
    if twice:
        raise CorpusError(f"these functions are there twice: {', '.join(twice)}")
    bugs = [bug for path in paths for bug in read_case(path)]
    wanted = set(names)
    return tuple(
        bug
        for bug in bugs
        if (split in {"all", bug.split}) and (not wanted or wanted & {bug.id, bug.function, bug.family})
    )


def _git(folder: Path, *arguments: str) -> str:
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_AUTHOR_NAME": "Corpus", "GIT_AUTHOR_EMAIL": "corpus@example.org",
        "GIT_COMMITTER_NAME": "Corpus", "GIT_COMMITTER_EMAIL": "corpus@example.org",
        "GIT_AUTHOR_DATE": "2024-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2024-01-01T00:00:00Z",
    }  # fmt: skip
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip()


def files_of(bug: Bug, *, fixed: bool = False) -> dict[str, str]:
    """Return the repository's files by path; nothing in them tells what the defect is."""
    return {
        bug.path: bug.reference if fixed else bug.broken,
        f"tests/test_{bug.module}.py": bug.tests,
        "pyproject.toml": PYPROJECT,
    }


def materialise(bug: Bug, folder: Path, *, fixed: bool = False, git: bool = True) -> str:
    """Write the bug into the empty or missing `folder` as a Git repository with one commit; return the commit.

    The same bug always gives the same commit. `fixed` writes the reference instead, `git=False` only the files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files_of(bug, fixed=fixed).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    if not git:
        return ""
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message", "Start")
    return _git(folder, "rev-parse", "HEAD")


@dataclass(frozen=True, slots=True)
class TestCounts:
    """How many tests passed and how many did not; both are 0 where the run did not end."""

    __test__ = False

    passed: int
    bad: int
    seconds_up: bool = False


_COUNTER = """\
import sys, pytest
class Count:
    passed = bad = 0
    def pytest_runtest_logreport(self, report):
        if report.when == "call" and report.passed: self.passed += 1
        elif report.failed: self.bad += 1
    def pytest_collectreport(self, report):
        if report.failed: self.bad += 1
count = Count()
pytest.main(["-q", "-p", "no:cacheprovider", "-W", "ignore", "tests"], plugins=[count])
print("\\nCOUNTS", count.passed, count.bad)
"""


def run_tests(folder: Path, *, seconds: float = 20.0, python: str = sys.executable) -> TestCounts:
    """Run the tests of a materialised bug in a plain process; a run that hangs counts as one bad test."""
    environment = {"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    try:
        done = subprocess.run(
            [python, "-c", _COUNTER], cwd=folder, env=environment, check=False, capture_output=True, text=True,
            timeout=seconds,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return TestCounts(0, 1, seconds_up=True)
    last = done.stdout.rstrip().rpartition("\n")[2].split()
    if last[:1] != ["COUNTS"]:
        return TestCounts(0, 1)
    return TestCounts(int(last[1]), int(last[2]))


def reference_faults(bug: Bug) -> list[str]:
    """Return what is wrong with the reference, the tests and the oracle of a bug's function, as sentences."""
    from benchmarks.oracle import judge

    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="greendiff-corpus-") as name:
        materialise(bug, Path(name), fixed=True, git=False)
        fixed = run_tests(Path(name))
    if fixed.bad or not fixed.passed:
        wrong.append(f"the reference fails {fixed.bad} tests")
    same = judge(bug, bug.reference)
    if not same.correct:
        wrong.append(f"the oracle says that the reference differs from itself: {same.reason}")
    if same.inputs < 200:
        wrong.append(f"the oracle tried only {same.inputs} inputs")
    return wrong


def bug_faults(bug: Bug) -> list[str]:
    """Return what is wrong with a bug, as sentences; one on which every test fails is sound, that happens too."""
    from benchmarks.oracle import judge

    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="greendiff-corpus-") as name:
        materialise(bug, Path(name), git=False)
        base = run_tests(Path(name), seconds=5)
    if not base.bad:
        wrong.append("no test fails on the bug")
    if judge(bug, bug.broken).correct:
        wrong.append("the oracle sees no difference between the bug and the reference")
    return wrong


def validate(bug: Bug) -> list[str]:
    """Return what is wrong with a bug and with what it is judged by; none where it is sound."""
    return reference_faults(bug) + bug_faults(bug)


def print_faults(bugs: Sequence[Bug], jobs: int) -> int:
    """Print what is wrong with any of the bugs; return how many are unsound."""
    unsound: set[str] = set()
    functions = list({bug.function: bug for bug in bugs}.values())
    with ThreadPoolExecutor(jobs) as pool:
        for checked, check in ((functions, reference_faults), (bugs, bug_faults)):
            for bug, wrong in zip(checked, pool.map(check, checked), strict=True):
                for sentence in wrong:
                    unsound.add(bug.id)
                    print(f"{bug.id}: {sentence}", flush=True)
    return len(unsound)


def main(arguments: Sequence[str] | None = None) -> int:
    """List, validate or write out bugs; return 1 where a bug is unsound."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corpus_loader", description=main.__doc__)
    parser.add_argument("--validate", action="store_true", help="check every bug against its tests and its oracle")
    parser.add_argument("--write", metavar="FOLDER", type=Path, help="write the bugs there as Git repositories")
    parser.add_argument("--split", choices=("tune", "holdout", "all"), default="all")
    parser.add_argument("--names", nargs="*", default=(), help="bugs, functions or families")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    bugs = load(split=options.split, names=options.names)
    if options.write:
        for bug in bugs:
            materialise(bug, options.write / bug.id)
    unsound = print_faults(bugs, options.jobs) if options.validate else 0
    kinds = Counter(bug.kind for bug in bugs)
    print("\n".join(f"{count:4}  {kind}" for kind, count in kinds.most_common()))
    splits = Counter(bug.split for bug in bugs)
    print(
        f"{len(bugs)} bugs of {len({b.function for b in bugs})} functions; tune {splits['tune']},"
        f" hold-out {splits['holdout']}; by hand {sum(b.origin == 'human' for b in bugs)};"
        f" two or more edits {sum(b.edits > 1 for b in bugs)}" + (f"; unsound {unsound}" if options.validate else "")
    )
    return 1 if unsound else 0


if __name__ == "__main__":
    sys.exit(main())
