"""Which tests were asked for: whole node ids, all parameters of a test, a class, a file or a folder."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, List


class Selection:
    """Matches node ids to the letter, so that parameters may contain anything."""

    def __init__(self, tests: "Iterable[str]") -> None:
        """Take the ids that were asked for; none means all."""
        self._asked: "Dict[str, bool]" = {}
        for test in tests:
            path, separator, rest = test.partition("::")
            self._asked[_clean(path) + separator + rest] = False

    def wants(self, node_id: str) -> bool:
        """Say whether the test was asked for, and remember that it is there."""
        if not self._asked:
            return True
        found = False
        for name in _names(node_id):
            if name in self._asked:
                self._asked[name] = found = True
        return found

    def unmatched(self) -> "List[str]":
        """Return what was asked for and matched no test so far."""
        return [test for test, seen in self._asked.items() if not seen]

    def paths(self, root: str) -> "List[str]":
        """Return the files and folders, relative, in which what was asked for can be found, as far as they exist."""
        found: "List[str]" = []
        for test in self._asked:
            path = test.partition("::")[0]
            if not os.path.exists(os.path.join(root, path)):
                continue
            # Pytest takes a bracket in an argument for the start of a parameter.
            while "[" in path:
                path = os.path.dirname(path) or "."
            if path not in found:
                found.append(path)
        return found


def _clean(path: str) -> str:
    return os.path.normpath(path) if path else path


def _names(node_id: str) -> "List[str]":
    """Return the node id and everything that contains it."""
    names = [node_id]
    path, _, rest = node_id.partition("::")
    plain = rest.split("[", 1)[0]
    parts = plain.split("::") if plain else []
    while parts:
        names.append(path + "::" + "::".join(parts))
        parts.pop()
    while path:
        names.append(path)
        path = os.path.dirname(path)
    names.append(".")
    return names
