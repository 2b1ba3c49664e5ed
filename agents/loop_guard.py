"""Notices when an agent goes in circles, or goes on without coming any further."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal


class Repetition:
    """Counts the steps that bring nothing new."""

    def __init__(self, repeats: int, idle: int) -> None:
        """Stop after `repeats` steps in a row of known calls, or `idle` without new files or test results."""
        self._repeats, self._idle = repeats, idle
        self._calls: set[tuple[str, str, str]] = set()
        self._states: set[str] = set()
        self._same = self._still = 0
        self.stopped: Literal["repetition", "no progress"] | None = None
        """Why it is time to stop, if it is."""
        self.count = 0
        """How many steps in a row led to that."""

    def state(self, digest: str) -> bool:
        """Note a state of the files, or a result of tests; whether it is new."""
        new = digest not in self._states
        self._states.add(digest)
        return new

    def step(self, calls: Sequence[tuple[str, str]], tests: Sequence[str], digest: str) -> bool:
        """Note one step: its calls, what its tests said, and the files' digest after it; whether a call was new."""
        keys = {(name, arguments, digest) for name, arguments in calls}
        new = not keys <= self._calls
        self._calls |= keys
        self._same = 0 if new else self._same + 1
        further = [self.state(digest), *(self.state(f"tests {text}") for text in tests)]
        self._still = 0 if any(further) else self._still + 1
        if self._same >= self._repeats:
            self.stopped, self.count = "repetition", self._same + 1
        elif self._still >= self._idle:
            self.stopped, self.count = "no progress", self._still
        return new
