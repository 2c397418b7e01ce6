"""Progress: what was written to each partition, and how far each reader has come. One for a process; thread-safe.

In a replay the actors take turns: a turn ends when all that was written so far has been folded and committed. Writers
tell what became durable, readers tell what they have done with it, and whoever waits compares. Offsets of records are
compared, never the end of a partition: a transactional inbox ends in commit markers that nobody folds.
"""

import threading
from collections import defaultdict
from collections.abc import Callable

Place = tuple[str, int]


class Progress:
    """Next offsets: the offset after the last record written, and after the last one folded by each reader."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._followed: set[str] = set()
        self._wrote: dict[Place, int] = {}
        self._folded: dict[str, dict[Place, int]] = defaultdict(dict)
        self._listeners: list[Callable[[], None]] = []

    def follow(self, topic: str) -> None:
        """From now on writers of this process tell what they write to the topic."""
        with self._lock:
            self._followed.add(topic)

    def follows(self, topic: str) -> bool:
        """Whether writers need to tell about the topic: a delivery report for each record is not free."""
        return topic in self._followed

    def listen(self, listener: Callable[[], None]) -> None:
        """Call this, in whatever thread, after every change."""
        with self._lock:
            self._listeners.append(listener)

    def wrote(self, topic: str, partition: int, next_offset: int) -> None:
        """A record before `next_offset` is durable and visible to committed readers."""
        with self._lock:
            place = (topic, partition)
            self._wrote[place] = max(next_offset, self._wrote.get(place, 0))
        self._tell()

    def folded(self, topic: str, partition: int, next_offset: int, reader: str = "") -> None:
        """The reader has done all there is to do with the records before `next_offset`, durably."""
        with self._lock:
            mine = self._folded[reader]
            place = (topic, partition)
            mine[place] = max(next_offset, mine.get(place, 0))
        self._tell()

    def lag(self, topic: str, reader: str = "") -> int:
        """Offsets between what is known to be written to the topic and what the reader has done; 0 means all done.

        Counts commit markers in between, so it is an upper bound of records; it is 0 exactly when nothing is left.
        """
        with self._lock:
            mine = self._folded[reader]
            return sum(max(0, end - mine.get(place, 0)) for place, end in self._wrote.items() if place[0] == topic)

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()
