"""Repair the bug in `examples/opening_hours` in a temporary copy of it, with nothing configured."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sandbox.backends import open_sandbox
from sandbox.errors import SandboxUnavailable

EXAMPLE = Path(__file__).resolve().parent / "opening_hours"


def choose_sandbox() -> str:
    """Return a backend's name; the local one only because the example is our own code."""
    try:
        backend = open_sandbox("auto")
    except SandboxUnavailable as reason:
        print(f"demo: {reason}")
        print("demo: the example is greendiff's own code, so it runs without isolation this once (--sandbox local)")
        return "local"
    backend.close()
    return backend.name


def repository(folder: Path) -> Path:
    """Make a Git repository of the example."""
    copy = folder / EXAMPLE.name
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    identity = ("-c", "user.name=demo", "-c", "user.email=demo@example.invalid")
    for arguments in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-q", "-m", "Opening hours 1.4.0")):
        subprocess.run(["git", *arguments], cwd=copy, check=True)
    return copy


def main() -> int:
    """Run `greendiff fix` on the copy, apply the diff with Git, and return greendiff's exit code."""
    with tempfile.TemporaryDirectory(prefix="greendiff-demo-") as folder:
        copy = repository(Path(folder))
        command = ["greendiff", "fix", copy.name, "--sandbox", choose_sandbox()]
        print("$", *command, flush=True)
        program = [sys.executable, "-m", "workflows.cli", *command[1:]]
        done = subprocess.run(program, cwd=folder, stdout=subprocess.PIPE)
        sys.stdout.buffer.write(done.stdout)
        sys.stdout.flush()
        if done.returncode == 0:
            subprocess.run(["git", "apply", "-"], cwd=copy, input=done.stdout, check=True)
            print("demo: the diff above was verified in a fresh sandbox, and `git apply` takes it")
        return done.returncode


if __name__ == "__main__":
    sys.exit(main())
