"""Mutants: the gate's share on true fixes (`gate`), and how fast they are judged beside mutmut (`speed`)."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from agents.mutation.generate import mutants_of
from agents.mutation.judge import Bench, judge
from agents.mutation.mutant import share
from benchmarks.engines import cache_folder
from benchmarks.sdist import Tasks
from benchmarks.unit_tests.environments import MUTATORS, RUNNERS, installed
from sandbox.backends import open_sandbox
from sandbox.limits import Limits
from sandbox.patches import diff
from sandbox.protocol import EnvironmentDefinition, Sandbox
from sandbox.runners.detect import detect_harness
from sandbox.runners.run import run_tests
from sandbox.tree import Entry, Tree
from workflows.gate.mutating import SECONDS, try_faults
from workflows.verdicts import Baseline, GateCase

MUTMUT_SECONDS = 900.0
SLACK = 1.5
"""Seconds beyond its limit that the gate may take to come to its end."""


def folder_tree(folder: Path) -> Tree:
    """Return the files of a folder, without Git's and compiled ones."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    names = {path.relative_to(folder): path for path in files}
    kept = {name: path for name, path in names.items() if not {".git", "__pycache__"} & set(name.parts)}
    return Tree({name.as_posix(): Entry(path.read_bytes()) for name, path in kept.items()})


def _new_files(task: dict[str, Any]) -> dict[str, Entry | None]:
    """Return the files of a true fix, from the source package that the task names."""
    wanted = [file["path"] for file in task["fix"]["files"]]
    found: dict[str, Entry | None] = dict.fromkeys(wanted)
    with tarfile.open(cache_folder() / "sdist" / task["sdist_new"]["file"]) as package:
        for member in package:
            path = member.name.removeprefix("./").partition("/")[2]
            if path in found and member.isfile():
                found[path] = Entry(package.extractfile(member).read())  # type: ignore[union-attr]
    return found


def gate(tasks: Tasks, names: Sequence[str], sandbox: Sandbox) -> list[dict[str, Any]]:
    """Try the fourth proof on the tasks' true fixes."""
    python, rows = str(tasks.python()), []
    environment = sandbox.prepare(EnvironmentDefinition(interpreter=python), lambda _: None)
    for name in names:
        task = tasks.tasks[name]
        with tempfile.TemporaryDirectory() as scratch:
            tasks.make(name, Path(scratch) / "repository")
            base = folder_tree(Path(scratch) / "repository")
        after = base.replaced(_new_files(task))
        harness = detect_harness(
            base, command=("pytest", "-o", "addopts=", "-o", "filterwarnings=", "--continue-on-collection-errors"),
            paths=tuple(task["test_paths"]), pythonpath=tuple(dict.fromkeys([task["pythonpath"], "."])),
            plugins=tuple(task["pytest_plugins"]), env={"TZ": "UTC", "PYTHONHASHSEED": "0"},
        )  # fmt: skip
        case = GateCase(base, diff(base, after), Baseline((), (), ()), harness, environment, Limits())
        begun = time.monotonic()
        found = try_faults(case, sandbox, lambda _: None)
        row = {
            "task": name, "made": found.made, "tried": found.tried, "judged": found.judged, "caught": found.caught,
            "share": found.share, "why": found.why, "seconds": round(time.monotonic() - begun, 2),
        }  # fmt: skip
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


@contextmanager
def package(file: Path, without: Sequence[str]) -> Iterator[Path]:
    """Unpack a source package, some files left out."""
    with tempfile.TemporaryDirectory() as scratch, tarfile.open(file) as archive:
        archive.extractall(scratch, filter="data")
        folder = next(path for path in Path(scratch).iterdir() if path.is_dir())
        for name in without:
            (folder / name).unlink()
        yield folder


def ours(folder: Path, source: str, python: str) -> dict[str, Any]:
    """Judge all mutants within functions of a package with its own tests; nothing is remembered."""
    tree = folder_tree(folder)
    begun = time.monotonic()
    with closing(open_sandbox("local")) as sandbox:
        environment = sandbox.prepare(EnvironmentDefinition(interpreter=python), lambda _: None)
        harness = detect_harness(tree)
        with sandbox.open(tree, environment) as workspace:
            report = run_tests(workspace, harness, coverage=True, seed=1)
            paths = [path for path in tree if path.startswith(f"{source}/") and path.endswith(".py")]
            mutants = [m for path in paths for m in mutants_of(tree, path) if m.unit != "<module>"]
            found = judge(mutants, Bench(tree, workspace, harness, report))
    counts = Counter(one.verdict for one in found)
    seconds = time.monotonic() - begun
    return {"mutants": len(found), "verdicts": dict(counts), "share": share(found), "seconds": round(seconds, 1)}


def mutmut(folder: Path, source: str, python: Path, limit: float) -> dict[str, Any]:
    """Have mutmut try all its mutants of a package with the package's own tests."""
    parent = source.rpartition("/")[0]
    (folder / "setup.cfg").write_text(
        f"[mutmut]\nsource_paths={parent or source}/\nalso_copy=\n    tests\n    pyproject.toml\n    setup.py\n"
        "pytest_add_cli_args_test_selection=\n    tests/\n",
        encoding="utf-8",
    )
    begun = time.monotonic()
    argv = [str(python), "-m", "mutmut", "run", "--max-children", "2"]
    try:
        done = subprocess.run(
            argv, cwd=folder, capture_output=True, text=True, check=False, timeout=limit,
            env={"PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8"},
        )  # fmt: skip
        output, ended = done.stdout + done.stderr, f"exit {done.returncode}"
    except subprocess.TimeoutExpired as error:
        output, ended = (error.stdout or b"").decode("utf-8", "replace"), "time"
    seconds = time.monotonic() - begun
    metas = [json.loads(path.read_text()) for path in (folder / "mutants").rglob("*.meta")]
    codes = Counter(str(code) for meta in metas for code in meta.get("exit_code_by_key", {}).values())
    tried = sum(count for code, count in codes.items() if code != "None")
    return {"mutants": sum(codes.values()), "tried": tried, "exit_codes": dict(codes), "seconds": round(seconds, 1),
            "ended": ended, "output": output[-300:]}  # fmt: skip


def speed(file: Path, source: str, without: Sequence[str] = (), limit: float = MUTMUT_SECONDS) -> dict[str, Any]:
    """Compare both on one package; what each takes for one mutant that it tries, its own start-up included."""
    python = installed("mutants-speed", (*MUTATORS, RUNNERS[0]), sys.executable)
    row: dict[str, Any] = {"package": file.name}
    with package(file, without) as folder:
        row["lines"] = sum(len(path.read_text().splitlines()) for path in (folder / source).rglob("*.py"))
        row["ours"] = ours(folder, source, str(python))
    with package(file, without) as folder:
        row["mutmut"] = mutmut(folder, source, python, limit)
    row["times_faster"] = None
    if row["mutmut"]["tried"] and row["ours"]["mutants"]:
        each = [row["ours"]["seconds"] / row["ours"]["mutants"], row["mutmut"]["seconds"] / row["mutmut"]["tried"]]
        row["seconds_each"] = [round(value, 4) for value in each]
        row["times_faster"] = round(each[1] / each[0], 1)
    return row


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of both; 1 where the gate took longer than it may, or we are less than five times as fast."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.unit_tests.mutants", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("gate")
    one.add_argument("--tasks-dir", type=Path, required=True)
    one.add_argument("--task", nargs="+", default=[], dest="names")
    one.add_argument("--sandbox", choices=["local", "bubblewrap", "docker"], default="bubblewrap")
    two = commands.add_parser("speed")
    two.add_argument("file", type=Path, help="a source package with tests")
    two.add_argument("source", help="its folder of sources")
    two.add_argument("--without", nargs="+", default=[], metavar="TEST", help="test files that fail under mutmut")
    two.add_argument("--seconds", type=float, default=MUTMUT_SECONDS, help="after which mutmut is ended")
    chosen = parser.parse_args(arguments)
    if chosen.command == "speed":
        row = speed(chosen.file, chosen.source, chosen.without, chosen.seconds)
        print(json.dumps(row, indent=1))
        return 0 if (row["times_faster"] or 0) >= 5 else 1
    tasks = Tasks(chosen.tasks_dir)
    sandbox = open_sandbox(chosen.sandbox)
    try:
        rows = gate(tasks, chosen.names or list(tasks.tasks), sandbox)
    finally:
        sandbox.close()
    slow = [row["task"] for row in rows if row["seconds"] > SECONDS + SLACK]
    told = sum(row["share"] is not None for row in rows)
    print(f"{told} of {len(rows)} with a share; longer than {SECONDS:.0f} s: {', '.join(slow) or 'none'}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
