"""Real Git repositories to read."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Shell = Callable[[str], str]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Run shell text in an empty folder, with an identity for Git."""

    def run(text: str) -> str:
        done = subprocess.run(["bash", "-ec", text], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout

    run("git init -q -b main . && git config user.name t && git config user.email t@example.invalid")
    return run
