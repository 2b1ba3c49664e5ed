"""The command line: a repository and a request become a run; nothing heavy is imported before the command is known."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec

from workflows.command_line import build_parser

STARTED = time.monotonic()
"""When this process began its work; budgets count from here."""

MODULES = {"fix": "fix", "resume": "fix", "runs": "look", "show": "look", "apply": "apply", "verify": "verify",
           "doctor": "doctor", "models": "models", "solve": "solve", "plan": "solve", "ask": "solve",
           "index": "index", "batch": "batch", "test": "test", "mutants": "mutants",
           "action": "action"}  # fmt: skip


def leave_foreign_imports() -> None:
    """Take the current folder and what `PYTHONPATH` names off the import path: they hold a project, not greendiff.

    A repository with a folder `packaging` would otherwise have its code run here, outside any sandbox.
    """
    ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - pathlib costs start-up
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    foreign = {os.path.abspath(folder) for folder in ("", *named)} - {ours}  # noqa: PTH100
    installed = (sys.prefix + os.sep, sys.base_prefix + os.sep)
    sys.path[:] = [
        folder for folder in map(os.path.abspath, sys.path) if folder not in foreign or folder.startswith(installed)
    ]


def shadowed() -> list[str]:
    """Return sentences about packages of ours in whose place another distribution would be imported."""
    ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - pathlib costs start-up
    sentences = []
    for name in ("agents", "sandbox", "workflows"):
        spec = find_spec(name)
        origin = spec.origin if spec and spec.origin else ""
        if os.path.dirname(os.path.dirname(os.path.abspath(origin))) != ours:  # noqa: PTH100, PTH120
            sentences.append(
                f"the package {name!r} that Python finds ({origin or 'none'}) is not greendiff's: another distribution "
                "of that name shadows it; install greendiff on its own (uv tool install, pipx, or a fresh .venv)"
            )
    return sentences


def version() -> str:
    """Return the installed version."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("greendiff")
    except PackageNotFoundError:
        return "unknown"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    try:
        code = _main(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has gone; what was not read is nobody's, and Python must not complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code


def _main(argv: Sequence[str]) -> int:
    leave_foreign_imports()
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.version:
        print(f"greendiff {version()}")
        return 0
    if arguments.command is None:
        parser.print_help(sys.stderr)
        return 2
    if problems := shadowed():
        print("\n".join(f"greendiff: {sentence}" for sentence in problems), file=sys.stderr)
        return 3
    module = import_module(f"workflows.commands.{MODULES[arguments.command]}")
    code: int = getattr(module, arguments.command)(arguments, STARTED)
    return code


if __name__ == "__main__":
    sys.exit(main())
