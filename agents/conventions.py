"""What a repository says about how it wants its code: notes for agents and people, a glossary, and code near by."""

from __future__ import annotations

import difflib
import posixpath
from collections.abc import Iterable, Iterator, Sequence

from agents.observations import short
from agents.repair.localise import is_test_path
from agents.replies import TreeTexts, split_lines
from sandbox.tree import Tree

LIMIT = 8_000
"""Characters of all together."""
_NOTES = (".md", ".txt", ".rst", ".toml", ".yaml", ".yml")
_CONTRIBUTING = ("contributing.md", "contributing.rst", "contributing.txt", "contributing", "hacking.md")
_SHARES = {"agents": 0.35, "greendiff": 0.25, "contributing": 0.2, "near": 0.2}
"""What each kind may take of the limit; what one leaves, the next ones may take."""
_HEAD = 45
"""Lines shown of a file near by."""


def conventions(tree: Tree, places: Sequence[str] = (), limit: int = LIMIT) -> str:
    """Return it as one text of at most about `limit` characters; untrusted, as all of it stands in the repository.

    `places` are paths, or `path::function`, that a task is about: files near them come first.
    """
    texts = TreeTexts(tree)
    paths = [place.split("::", 1)[0] for place in places]
    kinds = {
        "agents": _agents(tree, paths),
        "greendiff": [p for p in tree if p.startswith(".greendiff/") and p.lower().endswith(_NOTES)],
        "contributing": [p for p in tree if p.lower().removeprefix(".github/").removeprefix("docs/") in _CONTRIBUTING],
        "near": list(_near(tree, paths)),
    }
    pieces: list[str] = []
    left, spare = limit, 0.0
    for kind, share in _SHARES.items():
        room = int(share * limit + spare)
        for path in kinds[kind]:
            if room < 200 or path not in texts:
                continue
            text = texts[path]
            if kind == "near":
                text = "\n".join(split_lines(text)[:_HEAD])
            piece = f"## {path}\n{short(text, 400, room - len(path) - 40)}\n"
            pieces.append(piece)
            room, left = room - len(piece), left - len(piece)
        spare = max(0, room)
    return "\n".join(pieces)[: limit + 200]


def _agents(tree: Tree, paths: Iterable[str]) -> list[str]:
    """Return the AGENTS.md files that hold for the paths, the nearest first, and the one at the top."""
    found: dict[str, None] = {}
    for path in paths:
        folder = posixpath.dirname(path)
        while True:
            found[posixpath.join(folder, "AGENTS.md")] = None
            if not folder:
                break
            folder = posixpath.dirname(folder)
    found["AGENTS.md"] = None
    return [path for path in sorted(found, key=lambda p: -p.count("/")) if path in tree]


def _near(tree: Tree, paths: Sequence[str]) -> Iterator[str]:
    """Give, for each path, the file beside it that is most like it by name, and the tests that go with it."""
    given: set[str] = set(paths)
    for path in paths[:3]:
        folder, name = posixpath.split(path)
        beside = {
            posixpath.basename(p): p
            for p in tree
            if posixpath.dirname(p) == folder and p not in given and p.endswith(posixpath.splitext(name)[1] or ".py")
        }
        beside.pop("__init__.py", None)
        like = difflib.get_close_matches(name, beside, n=1, cutoff=0.0)
        stem = posixpath.splitext(name)[0]
        tests = [p for p in tree if is_test_path(p) and stem in posixpath.basename(p) and p.endswith(".py")]
        for one in [*(beside[n] for n in like), *tests[:1]]:
            if one not in given:
                given.add(one)
                yield one
