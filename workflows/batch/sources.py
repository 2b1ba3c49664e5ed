"""A folder for each task that holds its repository at the base commit; nothing of the repository's choice is run."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from pathlib import Path

from sandbox.errors import PatchError, RepositoryError
from sandbox.patches import GitFailed, run_git
from sandbox.workspace import apply, snapshot
from workflows.batch.tasks import BatchTask
from workflows.errors import Unusable

CLONE_SECONDS = 1800
_PROTOCOLS = "https:http:ssh:file"


class Sources:
    """Fetches each address once, and checks a base commit out for each task; safe for threads."""

    def __init__(self, folder: Path) -> None:
        """Keep clones in `folder`."""
        self._folder = folder
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def ready(self, task: BatchTask, target: Path) -> Path:
        """Return the folder to work in: `target` at the base commit, or the repository itself where none is named.

        What an earlier, killed call has left in `target` is taken as it is only if it is whole.

        Raises:
            Unusable: no repository, no such commit, or a patch that does not apply; the sentence says which.

        """
        if not task.commit:
            return Path(task.repository)
        if target.is_dir():
            return target
        origin = self._mirror(task.repository) if task.remote else Path(task.repository)
        part = target.with_name(f"{target.name}.part")
        subprocess.run(["rm", "-rf", "--", str(part)], check=True)
        try:
            self._check_out(origin, task, part)
        except RepositoryError as error:
            raise Unusable(str(error)) from error
        except GitFailed as error:
            raise Unusable(f"{task.repository} cannot be made ready: {_last(str(error))}") from error
        part.rename(target)
        return target

    def _check_out(self, origin: Path, task: BatchTask, part: Path) -> None:
        try:
            commit = run_git(origin, "rev-parse", "--verify", "--end-of-options", f"{task.commit}^{{commit}}")
            objects = run_git(origin, "rev-parse", "--path-format=absolute", "--git-path", "objects")
        except GitFailed as error:
            if "not a git repository" in str(error):
                raise RepositoryError(f"{origin} is not a Git repository") from error
            if "dubious ownership" in str(error):
                raise RepositoryError(f"{origin} belongs to another user: git config --global --add safe.directory"
                                      f" {origin}") from error  # fmt: skip
            raise RepositoryError(f"{origin} has no commit {task.commit}; fetch it first") from error
        part.mkdir(parents=True)
        run_git(part, "init", "-q", "--template=")
        # The contents stay where they are: nothing is copied, and the origin's own settings and hooks stay out.
        (part / ".git/objects/info").mkdir(parents=True, exist_ok=True)
        (part / ".git/objects/info/alternates").write_bytes(objects.strip() + b"\n")
        run_git(part, "update-ref", "--no-deref", "HEAD", commit.decode().strip())
        run_git(part, "read-tree", "HEAD")
        run_git(part, "checkout-index", "-a", "-q")
        if task.patch:
            self._patch(part, task)

    def _patch(self, folder: Path, task: BatchTask) -> None:
        data = task.patch.encode("utf-8", "surrogateescape")
        data = data if data.endswith(b"\n") else data + b"\n"
        try:
            apply(snapshot(folder).tree, data)
            run_git(folder, "apply", "--whitespace=nowarn", "-", stdin=data)
        except (PatchError, GitFailed) as error:
            raise Unusable(f"the task's patch does not apply to {task.commit}: {_last(str(error))}") from error

    def _mirror(self, address: str) -> Path:
        """Return a bare clone of an address, fetched once."""
        target = self._folder / f"{hashlib.sha256(address.encode()).hexdigest()[:16]}.git"
        with self._guard:
            lock = self._locks.setdefault(address, threading.Lock())
        with lock:
            if target.is_dir():
                return target
            part = target.with_name(f"{target.name}.part")
            subprocess.run(["rm", "-rf", "--", str(part)], check=True)
            part.parent.mkdir(parents=True, exist_ok=True)
            words = ["git", "-c", f"core.hooksPath={os.devnull}", "clone", "-q", "--bare", "--template=", "--",
                     address, str(part)]  # fmt: skip
            environment = {**os.environ, "GIT_ALLOW_PROTOCOL": _PROTOCOLS, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
            try:
                done = subprocess.run(
                    words, env=environment, capture_output=True, check=False, timeout=CLONE_SECONDS,
                    stdin=subprocess.DEVNULL,
                )  # fmt: skip
            except subprocess.TimeoutExpired as error:
                raise Unusable(f"{address} could not be cloned within {CLONE_SECONDS} s") from error
            if done.returncode:
                raise Unusable(f"{address} cannot be cloned: {_last(done.stderr.decode('utf-8', 'replace'))}")
            part.rename(target)
        return target


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()] or ["no message"]
    told = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
    return told[0].removeprefix("fatal: ").removeprefix("error: ").strip()
