"""The bugs of both sets, each as a repository on disk with a judge of what somebody made of it."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.corpus_loader import Bug, load, materialise
from benchmarks.main_job import passes_all, sample
from benchmarks.oracle import judge
from benchmarks.sdist import Tasks, settings_of

MOST_TESTS = 3
"""Failing tests whose source a prompt shows."""
MOST_FAILURE = 2_500
"""Characters of pytest's output in a prompt."""
MOST_SOURCE = 24_000
"""Characters of a source file in a prompt, so that it fits the context with room for the answer."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a patched repository is worth."""

    passed: bool
    """Whether the tests pass: what anybody who has these tests can know."""
    correct: bool
    """Whether it is right, too, by what nobody but the judge knows."""


class Case(Protocol):
    """One bug."""

    @property
    def id(self) -> str: ...

    def make(self, folder: Path) -> None:
        """Write the repository into a folder that is not there yet.

        Raises:
            RuntimeError: it cannot be had.

        """
        ...

    def judge(self, folder: Path) -> Verdict:
        """Judge the sources in `folder`; its tests are not believed."""
        ...

    def options(self, folder: Path) -> tuple[str, ...]:
        """Return what `greendiff fix` is told, beside the repository; may write beside `folder`."""
        ...

    @property
    def python(self) -> Path:
        """The interpreter that has what the tests need."""
        ...

    @property
    def path(self) -> str:
        """The file with the bug, which is told to the single shot (and to nobody else)."""
        ...

    @property
    def functions(self) -> tuple[str, ...]:
        """Qualified names of what the true fix changes, to cut a long file around; empty where it is short."""
        ...

    @property
    def tests(self) -> tuple[str, ...]:
        """What to hand to pytest."""
        ...

    @property
    def env(self) -> Mapping[str, str]:
        """Variables that the tests need, with `{root}` for the repository."""
        ...


@dataclass(frozen=True, slots=True)
class CorpusCase:
    """A bug of the corpus: correct where the oracle sees no difference."""

    bug: Bug

    @property
    def id(self) -> str:
        return self.bug.id

    def make(self, folder: Path) -> None:
        materialise(self.bug, folder)

    def judge(self, folder: Path) -> Verdict:
        text = (folder / self.bug.path).read_text(encoding="utf-8", errors="replace")
        passed = text != self.bug.broken and passes_all(self.bug, text)
        return Verdict(passed, passed and judge(self.bug, text).correct)

    def options(self, folder: Path) -> tuple[str, ...]:  # noqa: ARG002 - the corpus needs no settings
        return ()

    @property
    def python(self) -> Path:
        return Path(sys.executable)

    @property
    def path(self) -> str:
        return self.bug.path

    @property
    def functions(self) -> tuple[str, ...]:
        return ()

    @property
    def tests(self) -> tuple[str, ...]:
        return ("tests",)

    @property
    def env(self) -> Mapping[str, str]:
        return {}


@dataclass(frozen=True, slots=True)
class SdistCase:
    """A real bug: correct where its own checker says that it is resolved."""

    tasks: Tasks
    id: str

    def make(self, folder: Path) -> None:
        self.tasks.make(self.id, folder)

    def judge(self, folder: Path) -> Verdict:
        checked = self.tasks.check(self.id, folder, self.python)
        begun = checked.f2p.partition("/")
        return Verdict(checked.resolved or (begun[0] == begun[2] and not checked.p2p_broken), checked.resolved)

    def options(self, folder: Path) -> tuple[str, ...]:
        settings = folder.with_name(f"{folder.name}.settings.toml")
        settings.write_text(settings_of(self.tasks.tasks[self.id], self.python), encoding="utf-8")
        return ("--config", str(settings))

    @property
    def python(self) -> Path:
        return self.tasks.python()

    @property
    def path(self) -> str:
        return str(self.tasks.tasks[self.id]["fix"]["files"][0]["path"])

    @property
    def functions(self) -> tuple[str, ...]:
        named = (name.partition(":") for name in self.tasks.tasks[self.id]["fix"]["functions"])
        return tuple(function for path, _, function in named if path == self.path)

    @property
    def tests(self) -> tuple[str, ...]:
        return tuple(self.tasks.tasks[self.id]["f2p"])

    @property
    def env(self) -> Mapping[str, str]:
        folder = self.tasks.tasks[self.id]["pythonpath"]
        return {"PYTHONPATH": f"{{root}}/{folder}:{{root}}", "TZ": "UTC", "PYTHONHASHSEED": "0"}


def corpus(split: str, limit: int | None) -> list[Case]:
    """Return that many bugs of a split, spread over it and always the same, in an order that mixes the families."""
    bugs = sample(load(split="tune" if split == "tune" else "holdout"), limit)
    return [CorpusCase(bug) for bug in sorted(bugs, key=lambda bug: hashlib.sha256(bug.id.encode()).digest())]


def sdist(folder: Path, limit: int | None, names: Sequence[str]) -> list[Case]:
    """Return the real bugs, those with small fixes first, narrowed to names (of tasks, packages or kinds)."""
    tasks = Tasks(folder)
    order = ("one-line", "few-line", "larger", "feature")
    chosen = [n for n, t in tasks.tasks.items() if not names or {n, t["package"], t["kind"]} & set(names)]
    chosen.sort(key=lambda name: order.index(tasks.tasks[name]["kind"]))
    return [SdistCase(tasks, name) for name in chosen[:limit]]


def environment_of(case: Case, root: Path) -> dict[str, str]:
    """Return all variables for a run of the tests: none of a key or a setting of ours."""
    path = f"{case.python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    own = {name: value.replace("{root}", str(root)) for name, value in case.env.items()}
    fixed = {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return {"PATH": path, "HOME": str(root), **fixed, **own}


def failures(case: Case, root: Path) -> tuple[str, str]:
    """Run the failing tests; return the sources of some of them, and the end of what pytest says."""
    argv = [str(case.python), "-m", "pytest", "-q", "-rfE", "--tb=short", "-p", "no:cacheprovider", "-o", "addopts="]
    argv += ["-o", "filterwarnings=", *case.tests]
    try:
        done = subprocess.run(
            argv, cwd=root, env=environment_of(case, root), capture_output=True, text=True, errors="replace",
            check=False, timeout=120,
        )  # fmt: skip
        output = done.stdout
    except subprocess.TimeoutExpired:
        output = "the tests did not come to an end within 120 seconds"
    named = re.findall(r"^(?:FAILED|ERROR) (\S+?\.py(?:::[\w\[\]:.-]+)?)", output, re.MULTILINE) or list(case.tests)
    sources = [text for node_id in dict.fromkeys(named) if (text := _source(root, node_id))]
    shown = (
        output if len(output) <= MOST_FAILURE else f"{output[: MOST_FAILURE // 2]}\n...\n{output[-MOST_FAILURE // 2 :]}"
    )
    return "\n".join(sources[:MOST_TESTS]), shown


def _source(root: Path, node_id: str) -> str:
    path, _, inner = node_id.partition("::")
    name = inner.split("[")[0].rpartition("::")[2]
    if not name or not (root / path).is_file():
        return ""
    text = (root / path).read_text(encoding="utf-8", errors="replace")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            return "\n".join(text.splitlines()[node.lineno - 1 : node.end_lineno])
    return ""


def excerpt(text: str, functions: Sequence[str]) -> str:
    """Return the whole file, or where it is too long the lines around the functions that the true fix changes."""
    if len(text) <= MOST_SOURCE:
        return text
    lines = text.splitlines()
    names = {function.rpartition(".")[2] for function in functions}
    keep: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in names:
            keep.update(range(max(0, node.lineno - 20), min(len(lines), (node.end_lineno or node.lineno) + 20)))
    cut = "\n".join(lines[number] for number in sorted(keep)) or text
    return cut[:MOST_SOURCE]
