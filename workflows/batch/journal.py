"""What a batch has done: the results file, a line for each task that ended, and the runs that were begun."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workflows.batch.tasks import BatchTask
from workflows.errors import RunBusy, Unusable, Usage
from workflows.runs import state_folder

UNDONE = frozenset({"environment", "failed"})
"""How a task stands that `--again` runs once more."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a task ended."""

    task: str
    digest: str
    """Of the task as it was run."""
    status: str
    """As of a run: verified, no-diff, usage, environment, budget, asked, answered, or failed."""
    code: int
    message: str
    run: str
    diff: str
    files: tuple[str, ...]
    bundle: str
    seconds: float
    tests_shown: bool
    """Whether the tests that it had to make pass were given."""


class Journal:
    """A batch's files, locked by this process; safe for threads."""

    def __init__(self, results: Path) -> None:
        """Take hold of a results file; neither it nor its folder for work need be there.

        Raises:
            RunBusy: another process works on it.
            Unusable: it cannot be written.

        """
        self.path = results.absolute()
        self.folder = state_folder() / "batches" / hashlib.sha256(str(self.path).encode()).hexdigest()[:16]
        self._guard = threading.Lock()
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unusable(f"{self.folder} cannot be written: {error.strerror}; set GREENDIFF_STATE_DIR") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._mend(self.path)
            self._mend(self.folder / "begun.jsonl")
        except BlockingIOError as error:
            os.close(self._lock)
            raise RunBusy(f"another batch writes {self.path}; wait for it, or name other --results") from error
        except OSError as error:
            os.close(self._lock)
            raise Unusable(f"{error.filename or self.path} cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Let go of the files."""
        os.close(self._lock)

    @staticmethod
    def _mend(path: Path) -> None:
        """Take away a last line that a kill has cut short."""
        with path.open("ab+") as file:
            size = file.seek(0, os.SEEK_END)
            at = size
            while at > 0:
                step = max(0, at - 65536)
                file.seek(step)
                block = file.read(at - step)
                if (cut := block.rfind(b"\n")) >= 0:
                    at = step + cut + 1
                    break
                at = step
            if at < size:
                file.truncate(at)

    def results(self, tasks: list[BatchTask]) -> dict[str, Result]:
        """Return what ended before, by task; the last line of a task counts.

        Raises:
            Usage: the file is no results file, or holds another task of the same id.

        """
        known = {task.id: task for task in tasks}
        found: dict[str, Result] = {}
        for number, words in self._lines(self.path):
            try:
                result = Result(**{**words, "files": tuple(words["files"])})
            except (TypeError, KeyError):
                raise Usage(f"{self.path} line {number} is no result; name other --results") from None
            task = known.get(result.task)
            if task is None:
                continue
            if task.digest != result.digest:
                raise Usage(
                    f"{self.path} line {number} is the result of another task {result.task!r} than the one of line "
                    f"{task.line}: name other --results, or another id"
                )
            found[result.task] = result
        return found

    def begun(self) -> dict[str, str]:
        """Return the run that was begun last for each task, by the task's digest."""
        return {str(words["digest"]): str(words["run"]) for _, words in self._lines(self.folder / "begun.jsonl")}

    def begin(self, task: BatchTask, run: str) -> None:
        """Write down which run works on a task, so that a later process goes on with it."""
        self._append(self.folder / "begun.jsonl", {"task": task.id, "digest": task.digest, "run": run})

    def end(self, result: Result) -> None:
        """Write a result down; once this returns, its task is never run again."""
        self._append(self.path, asdict(result))

    def _lines(self, path: Path) -> list[tuple[int, dict[str, Any]]]:
        found = []
        for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
            if not line.strip():
                continue
            try:
                words = json.loads(line)
            except ValueError:
                words = None
            if not isinstance(words, dict):
                raise Usage(f"{path} line {number} is not a JSON object; name other --results")
            found.append((number, words))
        return found

    def _append(self, path: Path, words: Mapping[str, object]) -> None:
        line = json.dumps(words, ensure_ascii=True).encode() + b"\n"
        with self._guard, path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
