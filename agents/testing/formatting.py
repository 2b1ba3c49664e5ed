"""Gives test files the shape that the repository's own formatter would give them."""

from __future__ import annotations

import subprocess
from functools import cache

from sandbox.runners import layout
from sandbox.tree import Tree


@cache
def _ruff() -> str:
    from ruff.__main__ import find_ruff_bin  # type: ignore[import-untyped, unused-ignore]

    return str(find_ruff_bin())


def options(tree: Tree) -> tuple[str, ...]:
    """Return what the formatter is told, as the repository configures Ruff or Black."""
    project = layout.toml(tree, "pyproject.toml")
    own = next((layout.toml(tree, name) for name in ("ruff.toml", ".ruff.toml") if name in tree), None)
    ruff = own if own is not None else layout.table(project, "tool", "ruff")
    black = layout.table(project, "tool", "black")
    length = ruff.get("line-length", black.get("line-length", 88))
    told = [f"line-length = {length}" if isinstance(length, int) and 40 <= length <= 320 else "line-length = 88"]
    quotes = layout.table(ruff, "format").get("quote-style")
    if quotes in {"single", "double", "preserve"}:
        told.append(f'format.quote-style = "{quotes}"')
    elif black.get("skip-string-normalization"):
        told.append('format.quote-style = "preserve"')
    if layout.table(ruff, "format").get("indent-style") == "tab":
        told.append('format.indent-style = "tab"')
    return tuple(part for one in told for part in ("--config", one))


def formatted(text: str, tree: Tree) -> str:
    """Return source in the repository's format; as it is where the formatter cannot read it.

    Ruff only parses, and reads no settings by itself.
    """
    argv = [
        _ruff(),
        "format",
        "--isolated",
        "--no-cache",
        "--quiet",
        *options(tree),
        "--stdin-filename",
        "test.py",
        "-",
    ]
    done = subprocess.run(argv, input=text.encode(), capture_output=True, check=False, timeout=60, cwd="/")
    return done.stdout.decode() if done.returncode == 0 and done.stdout else text
