"""Sets of integers kept as sorted, disjoint, half-open intervals."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator


class IntervalSet:
    """A set of integers, as intervals `(start, end)` that hold `start` and not `end`.

    >>> IntervalSet([(1, 3), (3, 5), (9, 10)]).intervals
    [(1, 5), (9, 10)]
    """

    def __init__(self, intervals: Iterable[tuple[int, int]] = ()) -> None:
        self._intervals: list[tuple[int, int]] = []
        for start, end in intervals:
            self.add(start, end)

    @property
    def intervals(self) -> list[tuple[int, int]]:
        """The intervals, sorted, disjoint and not touching each other."""
        return list(self._intervals)

    def add(self, start: int, end: int) -> None:
        """Add the integers from `start` up to, but not including, `end`.

        Raises:
            ValueError: `start` is greater than `end`.

        """
        if start > end:
            raise ValueError(f"interval starts at {start}, after its end {end}")
        if start == end:
            return
        kept: list[tuple[int, int]] = []
        for low, high in self._intervals:
            if high < start or low > end:
                kept.append((low, high))
            else:
                start, end = min(low, start), max(high, end)
        kept.append((start, end))
        kept.sort()
        self._intervals = kept

    def remove(self, start: int, end: int) -> int:
        """Take out the integers from `start` up to `end`; return how many were there."""
        removed = 0
        kept: list[tuple[int, int]] = []
        for low, high in self._intervals:
            overlap = min(high, end) - max(low, start)
            if overlap <= 0:
                kept.append((low, high))
                continue
            removed += overlap
            if low < start:
                kept.append((low, start))
            if end < high:
                kept.append((end, high))
        self._intervals = kept
        return removed

    def gaps(self) -> list[tuple[int, int]]:
        """Return the intervals between the first and the last integer that are not in the set."""
        found = []
        for (_, end), (start, _) in zip(self._intervals, self._intervals[1:], strict=False):
            found.append((end, start))
        return found

    def span(self) -> tuple[int, int] | None:
        """Return the smallest interval that holds all; None for the empty set."""
        if not self._intervals:
            return None
        return self._intervals[0][0], self._intervals[-1][1]

    def __contains__(self, value: int) -> bool:
        position = bisect_right(self._intervals, value, key=lambda interval: interval[0]) - 1
        return position >= 0 and value < self._intervals[position][1]

    def __len__(self) -> int:
        return sum(end - start for start, end in self._intervals)

    def __iter__(self) -> Iterator[int]:
        for start, end in self._intervals:
            yield from range(start, end)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IntervalSet):
            return NotImplemented
        return self._intervals == other._intervals

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"IntervalSet({self._intervals!r})"


def parse_ranges(text: str) -> IntervalSet:
    """Return the integers that a text like `"1-3, 7"` names, both ends included.

    Raises:
        ValueError: a part is no number or range, or its ends are in the wrong order.

    """
    found = IntervalSet()
    for part in text.split(","):
        part = part.strip()
        if not part:
            continue
        first, dash, last = part.partition("-")
        low = int(first)
        high = int(last) if dash else low
        if high < low:
            raise ValueError(f"range {part!r} runs backwards")
        found.add(low, high + 1)
    return found
