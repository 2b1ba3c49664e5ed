"""A small GitHub with a repository, and greendiff's view of it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.forge.endpoints import BOT
from tests.forge.server import Server
from tests.workflows.conftest import BUGGY, Files, git, write_files
from workflows.forge.git import Mirror
from workflows.forge.github import GitHub, with_token
from workflows.forge.secret import Secret

TOKEN = "ghs_canary0USER0token0never0written0down00"


@dataclass
class Place:
    """Where a test works: the server, a person's clone, and greendiff's own folders."""

    server: Server
    clone: Path
    folder: Path
    waits: list[float] = field(default_factory=list)

    def forge(self, token: str = TOKEN) -> GitHub:
        return with_token(
            self.server.state.name, Secret(token), api=self.server.api, sleep=self.waits.append, read_seconds=5.0
        )

    def mirror(self) -> Mirror:
        return Mirror(self.folder / "mirror", sleep=self.waits.append)

    def publish(self, branch: str = "main") -> str:
        """Push the person's clone, past the API; return the commit."""
        git(self.clone, "push", "-q", "--force", str(self.server.state.git), f"HEAD:refs/heads/{branch}")
        return git(self.clone, "rev-parse", "HEAD").strip()

    def change(self, files: Files, message: str = "change") -> None:
        write_files(self.clone, files)
        git(self.clone, "add", "-A")
        git(self.clone, "commit", "-q", "--allow-empty", "-m", message)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    server = Server(tmp_path / "remote")
    server.state.git.mkdir(parents=True)
    git(server.state.git, "init", "-q", "--bare", "-b", "main")
    for key, value in (("http.receivepack", "true"), ("uploadpack.allowAnySHA1InWant", "true")):
        subprocess.run(["git", "config", key, value], cwd=server.state.git, check=True)
    clone = tmp_path / "clone"
    clone.mkdir()
    write_files(clone, BUGGY)
    git(clone, "init", "-q", "-b", "main")
    git(clone, "add", "-A")
    git(clone, "commit", "-q", "-m", "first")
    server.state.tokens[TOKEN] = BOT
    found = Place(server, clone, tmp_path / "ours")
    found.publish()
    yield found
    server.close()
    assert server.objections == []


@pytest.fixture
def quiet() -> Callable[[str], None]:
    return lambda _line: None
