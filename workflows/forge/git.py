"""Git on the host: fetching, committing and pushing in a bare repository, with a credential that lasts for minutes.

The credential reaches Git through a credential helper that is set in the environment of that one process, for the one
address it is meant for. It is in no address, no argument, no file and no setting, and every helper that would store it
is switched off.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sandbox.errors import RepositoryError
from sandbox.patches import GitFailed, run_git
from sandbox.workspace import Snapshot, snapshot_commit
from workflows.forge.errors import (
    Archived,
    BranchMoved,
    BranchProtected,
    CredentialRefused,
    ForgeBusy,
    ForgeError,
    NotThere,
    PushRefused,
)
from workflows.forge.protocol import Account, GitAccess
from workflows.wording import printable

DEPTH: Final = 50
ATTEMPTS: Final = 4
SECONDS: Final = 900.0
_KEPT = ("PATH", "HOME", "XDG_CONFIG_HOME", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO",
         "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")  # fmt: skip
_HELPER = (
    """!f() { test "$1" = get && printf 'username=%s\\npassword=%s\\n' "$GREENDIFF_USER" "$GREENDIFF_PASSWORD"; }; f"""
)
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_PASSING = re.compile(
    r"could not resolve host|failed to connect|connection (?:reset|refused|timed out)|timed out|early eof|"
    r"returned error: (?:5\d\d|429)|unexpected disconnect|remote end hung up|empty reply",
    re.IGNORECASE,
)
_BAD_NAME = re.compile(r"(?:^|/)[.-]|\.\.|@\{|[\x00-\x20\x7f~^:?*\[\\]|//|/$|\.lock(?:/|$)|\.$|^@$")


def checked_commit(name: str) -> str:
    """Return a commit's full object name, if it is one.

    Raises:
        ForgeError: it is something else, such as an option for Git.

    """
    if not _COMMIT.match(name):
        raise ForgeError(f"{printable(name)[:60]!r} is no commit")
    return name


def checked_branch(name: str) -> str:
    """Return a branch's name, if it is one.

    Raises:
        ForgeError: it is not.

    """
    if not name or len(name) > 200 or _BAD_NAME.search(name):
        raise ForgeError(f"{printable(name)[:60]!r} is no name for a branch")
    return name


class Mirror:
    """A bare repository in a folder of its own, which knows no remote; one thread at a time writes into it."""

    def __init__(self, folder: Path, *, sleep: Callable[[float], object] = time.sleep) -> None:
        """Use `folder`, which is made when something is fetched."""
        self.folder = folder
        self._sleep = sleep

    def fetch(self, access: GitAccess, *commits: str) -> None:
        """Get commits with some of their history; those that are there already are not asked for.

        Raises:
            NotThere: the forge does not have one of them (a force-push), or not for this credential.
            CredentialRefused, ForgeBusy: as the forge says.

        """
        if not (self.folder / "HEAD").exists():
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            run_git(self.folder, "init", "-q", "--bare", ".")
        missing = [name for name in map(checked_commit, commits) if not self.has(name)]
        if missing:
            specs = [f"{name}:refs/greendiff/{name}" for name in missing]
            self._transport(access, "fetch", "--no-tags", "--no-write-fetch-head", f"--depth={DEPTH}", access.url,
                            *specs)  # fmt: skip

    def has(self, commit: str) -> bool:
        """Whether a commit is here."""
        try:
            run_git(self.folder, "rev-parse", "-q", "--verify", f"{checked_commit(commit)}^{{commit}}")
        except GitFailed:
            return False
        return True

    def snapshot(self, commit: str) -> Snapshot:
        """Return a commit as a run takes it, without a work tree.

        Raises:
            RepositoryError: it is not here.

        """
        return Snapshot(self.folder, commit, snapshot_commit(self.folder, checked_commit(commit)), b"", ())

    def message(self, commit: str) -> str:
        """Return a commit's message, "" where it is not here."""
        try:
            raw = run_git(self.folder, "cat-file", "commit", checked_commit(commit))
        except GitFailed:
            return ""
        return raw.decode("utf-8", "replace").partition("\n\n")[2]

    def commit(self, base: str, patch: bytes, message: str, *, author: Account, when: int, parent: str) -> str:
        """Write the commit of `base` with `patch` on top of `parent`; equal arguments give the same commit.

        Raises:
            RepositoryError: the patch does not apply to the base.

        """
        with tempfile.TemporaryDirectory(prefix="greendiff-") as scratch:
            index = Path(scratch) / "index"
            try:
                run_git(self.folder, "read-tree", checked_commit(base), index=index)
                run_git(self.folder, "apply", "--cached", "-", stdin=patch, index=index)
                tree = run_git(self.folder, "write-tree", index=index).decode().strip()
            except GitFailed as error:
                raise RepositoryError(f"the patch does not apply to {base[:12]}: {str(error).strip()[:200]}") from error
        name = re.sub(r"[<>\r\n\x00]", "", author.login)
        who = f"{name} <{author.email}> {when} +0000"
        head = f"tree {tree}\nparent {checked_commit(parent)}\nauthor {who}\ncommitter {who}\n\n{message.rstrip()}\n"
        raw = head.encode("utf-8", "replace")
        written = run_git(self.folder, "hash-object", "-t", "commit", "-w", "--stdin", stdin=raw).decode().strip()
        run_git(self.folder, "update-ref", f"refs/greendiff/{written}", written)
        return written

    def push(self, access: GitAccess, commit: str, branch: str, *, expected: str | None) -> None:
        """Set a branch to a commit, only if it is at `expected` (None: not there yet); may be repeated.

        Raises:
            BranchMoved: it is somewhere else.
            BranchProtected, PushRefused, Archived, CredentialRefused, ForgeBusy: as the forge says.

        """
        full = f"refs/heads/{checked_branch(branch)}"
        lease = f"--force-with-lease={full}:{checked_commit(expected) if expected else ''}"
        self._transport(access, "push", "--porcelain", lease, access.url, f"{checked_commit(commit)}:{full}")

    def _transport(self, access: GitAccess, *arguments: str) -> None:
        environment = _environment(access)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                done = subprocess.run(
                    ["git", *arguments], check=False, cwd=self.folder, env=environment, capture_output=True,
                    stdin=subprocess.DEVNULL, timeout=SECONDS,
                )  # fmt: skip
            except FileNotFoundError as error:
                raise RepositoryError("Git is not installed; install the package `git`") from error
            except subprocess.TimeoutExpired:
                raise ForgeBusy(f"git {arguments[0]} did not come to an end within {SECONDS:.0f} s", 60.0) from None
            if done.returncode == 0:
                return
            said = (done.stdout + b"\n" + done.stderr).decode("utf-8", "replace")
            error_ = _refused(arguments[0], said.replace(access.password.reveal() or "\0", "***"), arguments[-1])
            if not isinstance(error_, ForgeBusy) or attempt == ATTEMPTS:
                raise error_
            self._sleep(2.0**attempt)


def _environment(access: GitAccess) -> dict[str, str]:
    parts = urlsplit(access.url)
    if parts.username is not None or parts.scheme not in {"https", "http"}:
        raise ForgeError("a repository's address begins with https:// and holds no credential")
    settings = {
        "credential.helper": "",
        f"credential.{parts.scheme}://{parts.netloc}.helper": _HELPER,
        "core.hooksPath": os.devnull, "core.fsmonitor": "false", "core.askPass": "", "gc.auto": "0",
        "maintenance.auto": "false", "push.gpgSign": "false", "submodule.recurse": "false",
        "push.recurseSubmodules": "no", "fetch.recurseSubmodules": "false", "log.showSignature": "false",
    }  # fmt: skip
    pairs = {f"GIT_CONFIG_{part}_{n}": text for n, pair in enumerate(settings.items())
             for part, text in zip(("KEY", "VALUE"), pair, strict=True)}  # fmt: skip
    kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
    return {**kept, **pairs, "GIT_CONFIG_COUNT": str(len(settings)), "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C",
            "GIT_ALLOW_PROTOCOL": parts.scheme, "GREENDIFF_USER": access.user,
            "GREENDIFF_PASSWORD": access.password.reveal()}  # fmt: skip


def _refused(command: str, said: str, what: str) -> ForgeError:
    """Return the error that Git's words stand for."""
    small = said.lower()
    where = printable(what.rpartition("refs/heads/")[2])[:120]
    line = next((one for one in said.splitlines() if one.startswith(("!", "fatal:", "error:"))), said.strip()[:200])
    words = printable(" ".join(line.split()))[:200]
    if "archived" in small:
        return Archived("the repository is archived, so nothing can be pushed to it; unarchive it first")
    if "stale info" in small or "fetch first" in small or "non-fast-forward" in small:
        return BranchMoved(f"branch {where} has other commits by now, which greendiff does not overwrite")
    if "protected branch" in small or "gh006" in small or "gh013" in small or "rule violations" in small:
        return BranchProtected(
            f"branch {where} is protected by a rule of the repository; let greendiff's branches through (greendiff/**)"
        )
    if "authentication failed" in small or "could not read username" in small or "returned error: 401" in small:
        return CredentialRefused("the forge does not take the credential for Git; it is expired, revoked or too narrow")
    if "returned error: 403" in small or "permission to" in small:
        return CredentialRefused(f"the credential may not {command} here; give it the permission to write contents")
    if "not our ref" in small or "couldn't find remote ref" in small or "unadvertised object" in small:
        return NotThere(
            "the commit is not in the repository any more; it was replaced by a force-push, or its fork is gone"
        )
    if "not found" in small and command == "fetch":
        return NotThere("the repository does not exist, or this credential may not see it")
    if _PASSING.search(said):
        return ForgeBusy(f"git {command} did not get through ({words})", 30.0)
    return (
        PushRefused(f"the forge refuses branch {where}: {words}")
        if command == "push"
        else ForgeError(f"git {command} fails: {words}")
    )
