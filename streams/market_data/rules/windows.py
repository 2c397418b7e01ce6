"""Windows: the newest values, bounded, also kept in order of size so that a median costs no sorting."""

from bisect import bisect_left, insort_left

Values = tuple[float, ...]


def pushed(values: Values, value: float, size: int) -> Values:
    """The newest `size` values with this one at the end."""
    return (*values[1:], value) if len(values) >= size else (*values, value)


def pushed_both(values: Values, ordered: Values, value: float, size: int) -> tuple[Values, Values]:
    """The window by time and by size, after one more value."""
    sizes = list(ordered)
    if len(values) >= size:
        del sizes[bisect_left(sizes, values[0])]
        values = values[1:]
    insort_left(sizes, value)
    return (*values, value), tuple(sizes)


def median(ordered: Values) -> float:
    """Middle of ordered values; of an even number, the mean of both middles."""
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def median_distance(ordered: Values, centre: float) -> float:
    """Lower median of the distances of ordered values from their centre, found from both ends of the distances."""
    low, high = bisect_left(ordered, centre) - 1, bisect_left(ordered, centre)
    distance = 0.0
    for _ in range((len(ordered) + 1) // 2):
        below = centre - ordered[low] if low >= 0 else float("inf")
        above = ordered[high] - centre if high < len(ordered) else float("inf")
        if below <= above:
            distance, low = below, low - 1
        else:
            distance, high = above, high + 1
    return distance
