"""A week of opening hours."""

from .clock import DAY, WEEK, day_index, parse_minutes
from .intervals import merged, total, without


class Schedule:
    """Opening hours that repeat every week; minutes count from Monday 00:00."""

    def __init__(self):
        self._open = []
        self._closed = []

    def add(self, day, opens, closes):
        """Add a period; one that closes before it opens goes on past midnight."""
        start = day_index(day) * DAY + parse_minutes(opens)
        length = (parse_minutes(closes) - parse_minutes(opens)) % DAY or DAY
        self._open.extend(_wrapped(start, start + length))
        return self

    def close(self, day, start, end):
        """Take a period out, such as a lunch break."""
        base = day_index(day) * DAY
        self._closed.extend(_wrapped(base + parse_minutes(start), base + parse_minutes(end)))
        return self

    def periods(self):
        """Return the periods of the week, merged, breaks taken out."""
        return without(self._open, self._closed)

    def is_open(self, day, time):
        """Say whether it is open at a time; the minute of closing is closed."""
        minute = day_index(day) * DAY + parse_minutes(time)
        return any(start <= minute < end for start, end in self.periods())

    def next_opening(self, day, time):
        """Return the minutes until it opens, 0 while it is open, None if it never does."""
        periods = self.periods()
        if not periods:
            return None
        minute = day_index(day) * DAY + parse_minutes(time)
        if any(start <= minute < end for start, end in periods):
            return 0
        later = [start - minute for start, _ in periods if start > minute]
        return min(later) if later else periods[0][0] + WEEK - minute

    def minutes_a_week(self):
        """Return how many minutes a week it is open."""
        return total(self.periods())

    def day(self, name):
        """Return one day's periods, cut at midnight, as minutes of that day."""
        base = day_index(name) * DAY
        inside = without(merged(self.periods()), [(0, base), (base + DAY, WEEK)])
        return [(start - base, end - base) for start, end in inside]


def _wrapped(start, end):
    """Cut a period at the end of the week."""
    if end <= WEEK:
        return [(start, end)]
    return [(start, WEEK), (0, end - WEEK)]
