"""Half-open intervals of minutes, as sorted lists of (start, end)."""


def merged(intervals):
    """Return the intervals sorted, with those that overlap or touch made one."""
    result = []
    for start, end in sorted(intervals):
        if start >= end:
            continue
        if result and start <= result[-1][1]:
            # Grow the period before instead of starting another one.
            result[-1] = (result[-1][0], end)
        else:
            result.append((start, end))
    return result


def without(intervals, removed):
    """Return what is left of the merged intervals when `removed` are cut out."""
    left = merged(intervals)
    for low, high in merged(removed):
        pieces = []
        for start, end in left:
            if high <= start or end <= low:
                pieces.append((start, end))
                continue
            if start < low:
                pieces.append((start, low))
            if high < end:
                pieces.append((high, end))
        left = pieces
    return left


def total(intervals):
    """Return how many minutes the intervals cover together."""
    return sum(end - start for start, end in merged(intervals))
