"""Environments in the cache: the other generator, the tools that make mutants, and those that run the suites."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.engines import cache_folder

PYNGUIN = "pynguin==0.48.0"
MUTATORS = ("cosmic-ray==8.7.0", "mutmut==3.8.1")
RUNNERS = ("pytest==9.0.2", "coverage==7.17.4", "hypothesis==6.170.17")
VERSIONS = ("3.11", "3.12", "3.13", "3.14")


class EnvironmentMissing(Exception):
    """An environment cannot be made here; the message says which and why."""


def installed(name: str, requirements: Sequence[str], python: str) -> Path:
    """Return the interpreter of an environment, made once in the cache; anew where other versions are wanted.

    Raises:
        EnvironmentMissing: it cannot be made here.

    """
    folder = cache_folder() / "unit-tests" / "venvs" / name
    interpreter, done = folder / "bin" / "python", folder / ".complete"
    wanted = " ".join(requirements)
    if done.exists() and done.read_text(encoding="utf-8") == wanted:
        return interpreter
    try:
        for argv in (
            [python, "-m", "venv", "--clear", str(folder)],
            [str(interpreter), "-m", "pip", "install", "--quiet", *requirements],
        ):
            subprocess.run(argv, check=True, capture_output=True, text=True, timeout=1800)
    except subprocess.CalledProcessError as error:
        raise EnvironmentMissing(f"{name}: {str(error.stderr).strip()[-300:]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentMissing(f"{name}: {error}") from error
    done.write_text(wanted, encoding="utf-8")
    return interpreter


def interpreters(versions: Iterable[str] = VERSIONS) -> dict[str, str]:
    """Return the interpreters that are there and work, by version."""
    known = Path.home() / ".pyenv" / "versions"
    found: dict[str, str] = {}
    for version in versions:
        for candidate in (*sorted(map(str, known.glob(f"{version}.*/bin/python"))), f"python{version}"):
            try:
                asked = subprocess.run(
                    [candidate, "-c", "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"],
                    check=True, capture_output=True, text=True, timeout=30,
                )  # fmt: skip
            except (OSError, subprocess.SubprocessError):
                continue
            if asked.stdout.strip() == version:
                found[version] = candidate
                break
    return found
