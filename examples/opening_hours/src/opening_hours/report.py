"""Opening hours as text."""

from .clock import DAYS, format_minutes


def day_text(periods):
    """Return "09:00-12:00, 13:00-18:00", or "closed"."""
    if not periods:
        return "closed"
    return ", ".join("%s-%s" % (format_minutes(start), format_minutes(end)) for start, end in periods)


def grouped(texts):
    """Return (first day, last day, text) for runs of days that read alike."""
    groups = []
    for day, text in zip(DAYS, texts):
        if groups and groups[-1][2] == text:
            groups[-1] = (groups[-1][0], day, text)
        else:
            groups.append((day, day, text))
    return groups


def table(schedule):
    """Return a few aligned lines, such as "mon-fri  09:00-18:00"."""
    groups = grouped([day_text(schedule.day(name)) for name in DAYS])
    labels = [first if first == last else "%s-%s" % (first, last) for first, last, _ in groups]
    width = max(len(label) for label in labels)
    return "\n".join("%s  %s" % (label.ljust(width), text) for label, (_, _, text) in zip(labels, groups))
