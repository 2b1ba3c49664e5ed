"""The run store: one folder a run with what it was asked, what it has done, its log, and its lock."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from workflows import faults
from workflows.errors import RecordError, RunBusy, Unusable, Usage

T = TypeVar("T")
Status = Literal[
    "running", "interrupted", "verified", "answered", "planned", "asked", "no-diff", "usage", "environment", "budget",
    "failed",
]  # fmt: skip
_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}\Z")
_ALPHABET = "0123456789abcdef"
LOCK_SECONDS = 2.0
"""How long a run's lock is waited for."""


def state_folder() -> Path:
    """Return the folder that holds the runs: `GREENDIFF_STATE_DIR`, or the user's state folder."""
    if named := os.environ.get("GREENDIFF_STATE_DIR"):
        return Path(named).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_state_path("greendiff"))


def cache_folder() -> Path:
    """Return the folder for what can be made again: `GREENDIFF_CACHE_DIR`, or the user's cache folder."""
    if named := os.environ.get("GREENDIFF_CACHE_DIR"):
        return Path(named).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_cache_path("greendiff"))


def write_whole(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file so that a crash leaves either what was there before or all of `data`."""
    # Named by process and thread: two writers of the same file never share the temporary one.
    part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What `run.json` says about a run."""

    id: str
    repository: str
    created: str
    """ISO 8601, UTC."""
    request: Mapping[str, Any]
    """The request and the settings as plain data; see `workflows.job`."""
    status: Status = "running"
    message: str = ""
    exit_code: int | None = None
    seconds: float = 0.0
    """How long it worked, over all of its attempts."""
    version: int = 1


class Run:
    """One run's folder; only the process that holds its lock writes into it."""

    def __init__(self, folder: Path) -> None:
        """Open an existing run's folder."""
        self.folder = folder
        self.id = folder.name
        self._lock_file: int | None = None
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()
        self._known: dict[str, object] = {}

    @property
    def records(self) -> Path:
        """Folder of the recorded pieces of work."""
        return self.folder / "records"

    def info(self) -> RunInfo:
        """Read what the run is; a run that nobody works on any more is `interrupted`, not `running`.

        Raises:
            RecordError: `run.json` is missing or damaged.

        """
        try:
            known = RunInfo(**json.loads((self.folder / "run.json").read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise RecordError(f"run {self.id} cannot be read: {error}") from error
        if known.status == "running" and not self.busy():
            return replace(known, status="interrupted")
        return known

    def update(self, **changes: Any) -> None:
        """Change fields of `run.json`."""
        known = json.loads((self.folder / "run.json").read_text())
        write_whole(self.folder / "run.json", json.dumps({**known, **changes}, indent=1).encode())

    def busy(self) -> bool:
        """Whether a living process, perhaps this one, works on the run."""
        if self._lock_file is not None:
            return True
        try:
            descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def acquire(self) -> None:
        """Take the run's lock until `release`, or until this process ends in any way.

        Raises:
            RunBusy: another process holds it.

        """
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        patience = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > patience:
                    os.close(descriptor)
                    words = f"another process is working on run {self.id}; wait for it, or stop it first"
                    raise RunBusy(words) from error
            # A child that a killed process was just starting holds the lock until it is another program.
            time.sleep(0.02)
        self._lock_file = descriptor
        self.records.mkdir(exist_ok=True)

    def release(self) -> None:
        """Give the lock back; may be called again."""
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def log(self, event: Mapping[str, object]) -> None:
        """Append one event to the run's log."""
        line = json.dumps(event, ensure_ascii=True, default=str) + "\n"
        with self._guard, (self.folder / "events.jsonl").open("a", encoding="ascii") as file:
            file.write(line)

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the logged events, oldest first; a line that a crash cut short is left out."""
        try:
            lines = (self.folder / "events.jsonl").read_text(encoding="ascii", errors="replace").splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError:
                continue

    def recorded(self, name: str) -> bool:
        """Whether a piece of work is recorded as done."""
        return (self.records / f"{name}.rec").exists()

    def once(self, name: str, work: Callable[[], T]) -> T:
        """Do a piece of work, or return what it gave when it was done before, in this process or an earlier one.

        `name` is part of a file name. What `work` returns must be of the types that `workflows.records` lists.
        """
        from workflows.records import decode, encode

        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            if name in self._known:
                return cast("T", self._known[name])
            path = self.records / f"{name}.rec"
            try:
                # A record that was cut short by a power failure fails its checksum: the work is done again.
                value = decode(path.read_bytes())
            except (FileNotFoundError, RecordError):
                faults.point(f"{name}:before")
                value = work()
                faults.point(f"{name}:done")
                write_whole(path, encode(value))
                self.log({"event": "recorded", "name": name, "time": datetime.now(UTC).isoformat()})
                faults.point(f"{name}:after")
            self._known[name] = value
            return cast("T", value)


class RunStore:
    """All runs of this user."""

    def __init__(self, folder: Path | None = None) -> None:
        """Use `folder`, or the user's state folder; nothing is made yet."""
        self.folder = (folder or state_folder()) / "runs"

    def create(self, repository: str, request: Mapping[str, Any], files: Mapping[str, bytes]) -> Run:
        """Make a run's folder with some files in it, and take its lock; it is listed once all of that is there.

        Raises:
            Unusable: the state folder cannot be written.

        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for _ in range(100):
                name = f"{time.strftime('%Y%m%d-%H%M%S')}-{''.join(secrets.choice(_ALPHABET) for _ in range(4))}"
                try:
                    (self.folder / name).mkdir(mode=0o700)
                except FileExistsError:
                    continue
                break
            run = Run(self.folder / name)
            run.acquire()
            for file, data in files.items():
                write_whole(run.folder / file, data)
            info = RunInfo(run.id, repository, datetime.now(UTC).isoformat(timespec="seconds"), request)
            write_whole(run.folder / "run.json", json.dumps(asdict(info), indent=1).encode())
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise  # another sentence says so
            raise Unusable(
                f"runs are kept in {self.folder}, which cannot be written ({error.strerror}); "
                "set GREENDIFF_STATE_DIR to a folder that can"
            ) from error
        return run

    def all(self) -> list[Run]:
        """Return every run, newest first."""
        try:
            names = [entry.name for entry in self.folder.iterdir() if _ID.match(entry.name)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [
            Run(self.folder / name)
            for name in sorted(names, reverse=True)
            if (self.folder / name / "run.json").exists()
        ]

    def find(self, name: str) -> Run:
        """Return the run with this id, or whose id begins or ends so, or the newest for `last`.

        Raises:
            Usage: none, or several.

        """
        runs = self.all()
        if name == "last" and runs:
            return runs[0]
        exact = [run for run in runs if run.id == name]
        found = exact or [run for run in runs if name and (run.id.startswith(name) or run.id.endswith(name))]
        if len(found) == 1:
            return found[0]
        if found:
            raise Usage(
                f"{name!r} fits {len(found)} runs: {', '.join(run.id for run in found[:5])}; give more of the id"
            )
        raise Usage(f"there is no run {name!r}; `greendiff runs` lists those there are")

    def sweep(self) -> int:
        """Remove the folders that a crash left before they were runs, once they are a minute old; return how many."""
        removed = 0
        try:
            folders = [entry for entry in self.folder.iterdir() if _ID.match(entry.name)]
        except (FileNotFoundError, NotADirectoryError):
            return 0
        for folder in folders:
            unfinished = not (folder / "run.json").exists() and folder.stat().st_mtime < time.time() - 60
            if unfinished and not Run(folder).busy():
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
        return removed


def step_times(run: Run) -> list[tuple[str, int, float]]:
    """Return the graph's steps in the order of their first start, how often each ran, and its seconds in all."""
    times: dict[str, list[float]] = {}
    for event in run.events():
        if event.get("event") == "step-finished":
            times.setdefault(str(event.get("step")), []).append(float(event.get("seconds", 0.0)))
    return [(step, len(seconds), sum(seconds)) for step, seconds in times.items()]
