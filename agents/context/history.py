"""Which files changed together, from the repository's commits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MOST_FILES = 40
"""A commit that changes more files says nothing about any two of them."""


@dataclass(frozen=True, slots=True)
class History:
    """The paths that each commit changed, newest first; `sandbox.history.read_history` reads it."""

    commits: tuple[tuple[str, ...], ...] = ()
    _by_path: Mapping[str, list[int]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Note for each path the commits that say something about it."""
        found: dict[str, list[int]] = defaultdict(list)
        for number, paths in enumerate(self.commits):
            if 1 < len(paths) <= MOST_FILES:
                for path in paths:
                    found[path].append(number)
        object.__setattr__(self, "_by_path", dict(found))

    def cochanged(self, path: str, limit: int = 10) -> tuple[tuple[str, float], ...]:
        """Return other paths with the share, between 0 and 1, of `path`'s changes that they had a part in, best first.

        Commits of many files count for less; one common commit in few is weak evidence and is damped as such.
        """
        mine = self._by_path.get(path, [])
        weights: Counter[str] = Counter()
        total = 0.0
        for number in mine:
            paths = self.commits[number]
            weight = 1.0 / (len(paths) - 1)
            total += weight
            for other in paths:
                if other != path:
                    weights[other] += weight  # type: ignore[assignment]
        scored = [(other, weight / (total + 1.0)) for other, weight in weights.items()]
        return tuple(sorted(scored, key=lambda pair: (-pair[1], pair[0]))[:limit])

    def frequency(self, commits: int = 200) -> Mapping[str, float]:
        """Return path → how often it changed of late, 1 for the one that changed most."""
        counts: Counter[str] = Counter()
        for paths in self.commits[:commits]:
            if len(paths) <= MOST_FILES:
                counts.update(paths)
        top = max(counts.values(), default=1)
        return {path: count / top for path, count in counts.items()}


def changed_together(history: History, paths: Sequence[str]) -> Mapping[str, float]:
    """Return path → the largest share with which it changed together with one of `paths`."""
    found: dict[str, float] = {}
    for path in paths:
        for other, share in history.cochanged(path, 50):
            found[other] = max(share, found.get(other, 0.0))
    return found
