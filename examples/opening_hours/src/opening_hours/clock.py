"""Times of day as minutes after midnight."""

DAY = 24 * 60
WEEK = 7 * DAY
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class ClockError(ValueError):
    """A text that is no time of day."""


def parse_minutes(text):
    """Return the minutes after midnight of "9", "9:30", "17.05" or "24:00"."""
    hours, _, minutes = text.strip().replace(".", ":").partition(":")
    if not hours.isdigit() or (minutes and not minutes.isdigit()):
        raise ClockError("not a time of day: %r" % text)
    total = int(hours) * 60 + int(minutes or 0)
    if int(minutes or 0) > 59 or total > DAY:
        raise ClockError("not a time of day: %r" % text)
    return total


def format_minutes(minutes):
    """Return "09:30" for 570."""
    return "%02d:%02d" % divmod(minutes, 60)


def day_index(name):
    """Return 0 for "mon", "Monday" or "MON"."""
    short = name.strip().lower()[:3]
    if short not in DAYS:
        raise ClockError("not a day of the week: %r" % name)
    return DAYS.index(short)
