"""The in-process runner: the same rooms over a log in memory, deterministic, with no servers.

For backtests, tests and what-if. It is not Kafka pretending: records stay objects, nothing is encoded, and each reader
takes what was written since its last turn. Who takes turns when is `streams.runtime.schedule`'s business.
"""

from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

from schemas.record import Record
from schemas.topics import Topic, destinations
from streams.runtime.partition import Partition
from streams.runtime.room import Room, Routes, UndeclaredOutput

Tap = Callable[[Topic, Record], None]
Entry = tuple[str | None, Record]


class LocalLog:
    """Topics in memory. Every reader has a queue of its own; taps see each record once, as it is written."""

    def __init__(self) -> None:
        self._queues: dict[str, list[deque[Entry]]] = defaultdict(list)
        self._taps: list[Tap] = []
        self.offsets: dict[str, int] = defaultdict(int)
        """Records written to each topic so far."""

    def queue(self, topic: Topic) -> deque[Entry]:
        """A new reader's queue: (key or None, record) in the order of the log, from now on."""
        queue: deque[Entry] = deque()
        self._queues[topic.name].append(queue)
        return queue

    def tap(self, tap: Tap) -> None:
        """Call `tap` with every record written from now on."""
        self._taps.append(tap)

    def write(self, topic: Topic, record: Record) -> None:
        """Append one record to one topic."""
        entry = (topic.key_of(record), record)
        self.offsets[topic.name] += 1
        for queue in self._queues[topic.name]:
            queue.append(entry)
        for tap in self._taps:
            tap(topic, record)


class LocalRoom:
    """A room with its inbox in a log. States live in one partition: keys do not meet in any number of them."""

    def __init__(self, room: Room[Any, Any], log: LocalLog):
        self.name = room.name
        self.partition = Partition(room.bind())
        self._inbox = log.queue(room.reads)
        self._routes = Routes(room.name)
        self._log = log

    def drain(self) -> int:
        """Fold all that was written to the inbox so far; return how many records that were."""
        count = len(self._inbox)
        fold, take, routes, write = self.partition.fold, self._inbox.popleft, self._routes, self._log.write
        for _ in range(count):
            key, record = take()
            for output in fold(key, record):
                for topic in routes[type(output)]:
                    write(topic, output)
        self.partition.settle()
        return count


class LocalSource:
    """A plain writer: feeds, clock, control. Routes by the map as the door of a source does on Kafka."""

    def __init__(self, role: str, log: LocalLog):
        self._role = role
        self._log = log

    def write(self, record: Record) -> None:
        """Append the record to every topic that the map lets this role write it to."""
        topics = destinations(self._role, type(record))
        if not topics:
            raise UndeclaredOutput(f"the topic map does not let {self._role} write {type(record).__name__}")
        for topic in topics:
            self._log.write(topic, record)
