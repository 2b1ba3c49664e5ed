"""Runs aider's repository map: a program for the interpreter that has aider; JSON on standard input and output.

The map is used as aider's own chat uses it: identifiers and file names of the message count for more, and so does what
files that are in the chat refer to.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import re
import resource
import sys
import time
from pathlib import Path
from typing import Any


class Console:
    """What the map needs of aider's terminal."""

    def read_text(self, name: str) -> str | None:
        """Return a file's text, None where it is none."""
        try:
            return Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeError):
            return None

    def tool_output(self, *_: object, **__: object) -> None:
        """Say nothing."""

    tool_warning = tool_error = tool_output


class Counter:
    """Counts tokens at no cost, in place of a tokeniser."""

    def token_count(self, text: str) -> int:
        """Return a quarter of the characters."""
        return len(text) // 4


def mentioned(text: str, files: list[str]) -> tuple[set[str], set[str]]:
    """Return file names and identifiers of a message, by the rules of `get_repo_map` in aider's chat."""
    words = {word.rstrip(",.!;:?").strip("\"'`*_") for word in text.split()}
    names = {path for path in files if path in words or ("." in Path(path).name and Path(path).name in words)}
    idents = set(re.split(r"\W+", text))
    lowered = {ident.lower() for ident in idents if len(ident) >= 5}
    names |= {path for path in files if len(Path(path).stem) >= 5 and Path(path).stem.lower() in lowered}
    return names, idents


def main() -> int:
    """Rank one folder's definitions, or, with `map`, make whole maps and tell the seconds."""
    order: dict[str, Any] = json.load(sys.stdin)
    folder, files = order["folder"], order["files"]
    with contextlib.redirect_stdout(sys.stderr):
        begun = time.monotonic()
        repomap = importlib.import_module("aider.repomap")
        answer: dict[str, Any] = {"import_seconds": time.monotonic() - begun}
        made = repomap.RepoMap(map_tokens=order.get("tokens", 1024), root=folder, main_model=Counter(), io=Console())
        chat = {str(Path(folder, path)) for path in order.get("chat", ())}
        others = [str(Path(folder, path)) for path in files if path not in order.get("chat", ())]
        names, idents = mentioned(order.get("text", ""), files)
        begun = time.monotonic()
        if order.get("map"):
            text = made.get_repo_map(chat, others, names, idents, force_refresh=True)
            answer["map_characters"] = len(text or "")
        else:
            tags = made.get_ranked_tags(chat, others, names, idents)
            answer["tags"] = [[tag[0], tag[3], tag[2] + 1] if len(tag) > 1 else [tag[0], "", 0] for tag in tags]
        answer |= {"seconds": time.monotonic() - begun, "cpu_seconds": time.process_time()}
    answer["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
