"""A host with secrets, a repository on it, and the real command run there; after each run everything is searched."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from agents.models.ledger import Account, Ledger
from tests.attacks.agents.canary import canary, found_in, found_under
from tests.models.endpoint import ScriptedEndpoint
from tests.workflows.conftest import Files, Ran, Zygote, git, write_files

TOKENS = 300_000
"""The cap of every run."""
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\u200e\u200f\ufeff]")
"""What a terminal acts on, or shows in another order than it was written."""


class Sink:
    """Whoever listens elsewhere: hears every connection, answers none."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._listen, daemon=True)

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(0.5)
                said = b""
                with contextlib.suppress(OSError):
                    said = connection.recv(65_536)
                self.heard.append(said)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


def fingerprint(folder: Path) -> dict[str, str]:
    """Return what a folder holds, names, kinds and contents."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[name] = "folder"
    return found


@dataclass
class Scene:
    """One host; `run` runs one command on it."""

    folder: Path
    cache: Path
    zygote: Zygote
    sink: Sink
    tapes: list[Path] = field(default_factory=list)
    """Folders that runs were told to write to; searched, too."""

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def repository(self) -> Path:
        return self.folder / "home" / "project"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def environment(self) -> dict[str, str]:
        """What the command is started with: little of its own, and two secrets."""
        proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), self.sink.url)
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "GREENDIFF_STATE_DIR": str(self.state),
            "GREENDIFF_CACHE_DIR": str(self.cache),
            "DEPLOY_TOKEN": canary("variable"),
            "COMPANY_WORDS": canary("unnamed"),
            # Whoever asks the web for anything else than the endpoint is heard.
            **proxies,
            "NO_PROXY": "127.0.0.1",
        }

    def furnish(self, files: Files) -> None:
        """Lay out HOME with its secrets, and the repository, in which some are that Git does not follow."""
        for folder in (self.temporary, self.repository):
            folder.mkdir(parents=True)
        secrets = {
            ".netrc": f"machine example.org login me password {canary('netrc')}\n",
            ".git-credentials": f"https://me:{canary('credentials')}@example.org\n",
            ".gitconfig": f'[credential]\n\thelper = store\n[http]\n\textraHeader = "X-Key: {canary("config")}"\n',
            ".ssh/id_ed25519": f"-----BEGIN PRIVATE KEY-----\n{canary('ssh')}\n-----END PRIVATE KEY-----\n",
        }
        for name, text in secrets.items():
            path = self.home / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        write_files(self.repository, {**files, ".gitignore": ".env\n"})
        git(self.repository, "init", "-q", "-b", "main")
        (self.repository / "old.txt").write_text(canary("history"))
        git(self.repository, "add", "-A")
        git(self.repository, "commit", "-q", "-m", "first")
        git(self.repository, "rm", "-q", "old.txt")
        git(self.repository, "commit", "-q", "-m", "take the secret out again")
        git(self.repository, "remote", "add", "origin", f"https://me:{canary('remote')}@example.org/project.git")
        (self.repository / ".env").write_text(f"SHOP_PASSWORD={canary('dotenv')}\n")

    def run(
        self, *arguments: str | Path, endpoint: ScriptedEndpoint | None = None, sandbox: str = "bubblewrap",
        changes: bool = False, variables: Mapping[str, str] | None = None, overspent: bool = False, key: bool = True,
    ) -> Ran:  # fmt: skip
        """Run one command in the repository, and make sure that it told nobody anything and left nothing behind.

        `changes` says that the working tree may change, `overspent` that the endpoint reports more than it was asked.
        """
        asked = {"GREENDIFF_MAX_TOKENS": str(TOKENS), **tier_of(endpoint, key=key)} if endpoint else {}
        before = {} if changes else fingerprint(self.home)
        ran = self.zygote.run(
            arguments, {**self.environment, "GREENDIFF_SANDBOX": sandbox, **asked, **(variables or {})},
            self.repository,
        )  # fmt: skip
        assert not leaks(self, ran, endpoint)
        assert not self.sink.heard, "something else than the endpoint was asked"
        if not changes:
            assert fingerprint(self.home) == before, "HOME or the working tree is not as it was"
        assert not self.left(ran.pid), "something was left behind"
        assert not UNSAFE.search(ran.err), "the terminal would act on what was printed"
        if endpoint and not overspent:
            assert self.spent() <= TOKENS
        return ran

    def left(self, pid: int) -> list[str]:
        """Return what is left of a process: files, control groups, programs."""
        return until_nothing(lambda: _left(self, pid))

    def spent(self) -> int:
        """Return the tokens that the newest run is booked at; 0 where nothing was booked."""
        path, runs = self.state / "ledger.sqlite", sorted((self.state / "runs").glob("*"))
        if not path.exists() or not runs:
            return 0
        ledger = Ledger(path)
        try:
            return ledger.spent("run", Account(runs[-1].name, "")).tokens
        finally:
            ledger.close()


def tier_of(endpoint: ScriptedEndpoint, *, key: bool = True, **more: str) -> dict[str, str]:
    """Return the variables that name an endpoint as a large tier, whose key is a secret."""
    tier = {
        "ENDPOINT": endpoint.url, "MODEL": endpoint.model, "CONTEXT": "32000", "TOOLS": "true",
        "JSON_SCHEMA": "false", "PRICES__INPUT": "2", "PRICES__OUTPUT": "10", **more,
    }  # fmt: skip
    if key:
        tier["KEY_VARIABLE"] = "LARGE_MODEL"
    named = {f"GREENDIFF_MODELS__LARGE__{name}": value for name, value in tier.items()}
    return {**named, "LARGE_MODEL": canary("key")}


def leaks(scene: Scene, ran: Ran, endpoint: ScriptedEndpoint | None) -> list[str]:
    """Return every place in which a secret turned up that has no business there."""
    found = [f"standard output: {one}" for one in found_in(ran.out.encode("utf-8", "surrogateescape"))]
    found += [f"standard error: {one}" for one in found_in(ran.err.encode())]
    # Of the cache what is made of repositories; the rest is made of this machine's Python.
    for folder in (scene.state, scene.temporary, scene.cache / "base", scene.cache / "index", *scene.tapes):
        found += found_under(folder)
    for seen in endpoint.seen if endpoint else ():
        said = dict(seen.headers)
        assert said.pop("authorization", None) in {None, f"Bearer {canary('key')}"}
        words = json.dumps([seen.path, said]).encode() + seen.raw
        found += [f"a request: {one}" for one in found_in(words)]
    return found


def until_nothing(look: Callable[[], list[str]], seconds: float = 3.0) -> list[str]:
    """Return what is still found after some time; what the kernel takes a moment to remove counts as removed."""
    end = time.monotonic() + seconds
    while (left := look()) and time.monotonic() < end:
        time.sleep(0.05)
    return left


def _left(scene: Scene, pid: int) -> list[str]:
    left = [str(path) for path in scene.temporary.iterdir()]
    groups = Path("/sys/fs/cgroup")
    left += [str(path) for parent in groups.glob("*") for path in parent.rglob(f"greendiff-{pid}.*")]
    marks = (str(scene.folder).encode(), str(scene.cache).encode())
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and any(mark in (entry / "cmdline").read_bytes() for mark in marks):
                left.append(f"process {entry.name}")
    return left
