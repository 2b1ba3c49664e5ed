"""Ranges of days: overlaps, months, working days and their names."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

DAY = timedelta(days=1)
SATURDAY = 5


@dataclass(frozen=True, order=True)
class DateRange:
    """The days from `first` to `last`, both included.

    Raises:
        ValueError: `last` is before `first`.

    """

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"{self.last} is before {self.first}")

    @classmethod
    def month(cls, year: int, month: int) -> DateRange:
        """Return all days of a month."""
        first = date(year, month, 1)
        following = date(year + 1, 1, 1) if month == 12 else date(year, month + 1, 1)
        return cls(first, following - DAY)

    @classmethod
    def parse(cls, text: str) -> DateRange:
        """Read `2024-02`, `2024-02-03` or `2024-02-03/2024-02-10`.

        Raises:
            ValueError: anything else.

        """
        start, slash, end = text.partition("/")
        if slash:
            return cls(date.fromisoformat(start.strip()), date.fromisoformat(end.strip()))
        parts = text.strip().split("-")
        if len(parts) == 2:
            return cls.month(int(parts[0]), int(parts[1]))
        day = date.fromisoformat(text.strip())
        return cls(day, day)

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    def __iter__(self) -> Iterator[date]:
        day = self.first
        while day <= self.last:
            yield day
            day += DAY

    def overlaps(self, other: DateRange) -> bool:
        """Return whether there is a day in both."""
        return self.first <= other.last and other.first <= self.last

    def intersection(self, other: DateRange) -> DateRange | None:
        """Return the days in both; None where there are none."""
        if not self.overlaps(other):
            return None
        return DateRange(max(self.first, other.first), min(self.last, other.last))

    def joined(self, other: DateRange) -> DateRange:
        """Return the days in either of two ranges that overlap or follow each other.

        Raises:
            ValueError: days between them are in neither.

        """
        if self.last + DAY < other.first or other.last + DAY < self.first:
            raise ValueError("there are days between the ranges")
        return DateRange(min(self.first, other.first), max(self.last, other.last))

    def shifted(self, days: int) -> DateRange:
        """Return the range moved by days, backwards where they are negative."""
        by = timedelta(days=days)
        return DateRange(self.first + by, self.last + by)

    def workdays(self, holidays: Collection[date] = ()) -> int:
        """Count the days that are neither Saturday, Sunday nor a holiday."""
        return sum(day.weekday() < SATURDAY and day not in holidays for day in self)

    def weeks(self) -> list[DateRange]:
        """Return the parts that lie in one week each, from Monday to Sunday."""
        parts: list[DateRange] = []
        start = self.first
        while start <= self.last:
            end = min(start + timedelta(days=6 - start.weekday()), self.last)
            parts.append(DateRange(start, end))
            start = end + DAY
        return parts

    def __str__(self) -> str:
        if self.first == self.last:
            return self.first.isoformat()
        if self == DateRange.month(self.first.year, self.first.month):
            return f"{self.first:%Y-%m}"
        return f"{self.first.isoformat()}/{self.last.isoformat()}"


def add_months(day: date, months: int) -> date:
    """Return the same day of another month, or its last day where it has no such day.

    >>> add_months(date(2024, 1, 31), 1)
    datetime.date(2024, 2, 29)
    """
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    last = DateRange.month(year, month + 1).last.day
    return date(year, month + 1, min(day.day, last))


def merged(ranges: Collection[DateRange]) -> list[DateRange]:
    """Return the same days as few ranges as possible, sorted."""
    found: list[DateRange] = []
    for one in sorted(ranges):
        if found and one.first <= found[-1].last + DAY:
            found[-1] = found[-1].joined(one)
        else:
            found.append(one)
    return found
