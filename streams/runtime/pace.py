"""Pace: how many records a room takes at once. More where a backlog folds quickly, fewer where folds are slow.

A transaction costs the same for one record and for thousands, so a backlog is worked off by large batches. But a batch
is what a rebalance waits for, and what is folded again after a death: what takes long is taken in smaller pieces.
"""

START = 500
QUICK_S = 0.2
SLOW_S = 1.0


class Pace:
    """The bound of the next batch.

    most: never more than this.
    """

    def __init__(self, most: int):
        self.bound = min(START, most)
        """Records of the next batch, at most."""
        self._most = most

    def folded(self, records: int, seconds: float) -> None:
        """So many have been folded in this time, commit not counted: a slow Kafka is no reason for smaller batches."""
        if seconds > SLOW_S:
            self.bound = max(1, records // 2)
        elif records >= self.bound and seconds < QUICK_S:
            self.bound = min(2 * self.bound, self._most)
