"""Aider's repository map as a peer: installed into an environment of its own, and asked through a child process."""

from __future__ import annotations

import json
import os
import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.engines import cache_folder

PACKAGE = "aider-chat==0.86.2"
_CHILD = Path(__file__).with_name("aider_child.py")


def install_aider() -> Path | None:
    """Return an interpreter with aider, installed once into the cache; None where that fails."""
    folder = cache_folder() / "aider-venv"
    python = folder / "bin" / "python"
    done = folder / ".complete"
    if done.exists():
        return python
    try:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", PACKAGE], check=True, capture_output=True, timeout=1800
        )
    except (OSError, subprocess.SubprocessError):
        return None
    done.touch()
    return python


def ask(python: Path, order: dict[str, Any], timeout: float = 900.0) -> dict[str, Any] | None:
    """Have the child do what `order` says (see `aider_child`); None where it fails."""
    done = subprocess.run(
        [str(python), "-P", str(_CHILD)], input=json.dumps(order), capture_output=True, text=True, check=False,
        # Its order depends on that of sets.
        timeout=timeout, env={**os.environ, "PYTHONHASHSEED": "0"},
    )  # fmt: skip
    if done.returncode:
        return None
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def ranked(python: Path, folder: Path, files: Sequence[str], text: str, chat: Sequence[str]) -> list[tuple[str, int]]:
    """Return (path, line) of definitions in the map's order, 0 for a file that has none; [] where the map fails."""
    answer = ask(python, {"folder": str(folder), "files": list(files), "text": text, "chat": list(chat)})
    return [(path, line) for path, _, line in answer["tags"]] if answer else []
