"""The in-process runner: the same rooms over a log in memory, deterministic, with no servers.

For backtests, tests and what-if. It is not Kafka pretending: records stay objects, nothing is encoded, and each reader
takes what was written since its last turn. Who takes turns when is `streams.runtime.schedule`'s business.
"""

from collections import deque
from collections.abc import Callable, Collection
from operator import attrgetter
from typing import Any

from schemas.record import Record
from schemas.topics import TOPICS, Topic, destinations
from streams.runtime.partition import Partition
from streams.runtime.room import Room, Routes, UndeclaredOutput

Tap = Callable[[Topic, Record], None]
Entry = tuple[str | None, Record]
Way = tuple[Callable[[Record], str | None], tuple[Callable[[Entry], None], ...], tuple[Tap, ...]]
"""How one type of record is written: its key, the queues it goes to, and the taps that see it."""


class LocalTopic:
    """One topic in memory. Every reader has a queue of its own; taps see each record once, as it is written."""

    __slots__ = ("_queues", "_taps", "_taps_of", "_topic", "_ways")

    def __init__(self, topic: Topic):
        self._topic = topic
        self._queues: list[deque[Entry]] = []
        self._taps: list[Tap] = []
        self._taps_of: dict[type[Record], list[Tap]] = {}
        self._ways: dict[type[Record], Way] = {}

    def queue(self) -> deque[Entry]:
        """A new reader's queue: (key or None, record) in the order of the log, from now on."""
        queue: deque[Entry] = deque()
        self._queues.append(queue)
        self._ways.clear()
        return queue

    def tap(self, tap: Tap, kinds: Collection[type[Record]] = ()) -> None:
        """Call `tap` with every record written from now on; where kinds are given, with those alone."""
        if not kinds:
            for taps in (self._taps, *self._taps_of.values()):
                taps.append(tap)
        for kind in kinds:
            self._taps_of.setdefault(kind, [*self._taps]).append(tap)
        self._ways.clear()

    def write(self, record: Record) -> None:
        """Append one record."""
        kind = type(record)
        key_of, appends, taps = self._ways.get(kind) or self._way(kind)
        if appends:
            entry = (key_of(record), record)
            for append in appends:
                append(entry)
        for tap in taps:
            tap(self._topic, record)

    def _way(self, kind: type[Record]) -> Way:
        """Found once for each type of record, until there is another reader."""
        key_of = _no_key if kind in self._topic.broadcast else attrgetter(self._topic.key)
        appends = tuple(queue.append for queue in self._queues)
        way = self._ways[kind] = (key_of, appends, tuple(self._taps_of.get(kind, self._taps)))
        return way


def _no_key(record: Record) -> None:
    """The key of what is broadcast."""


class LocalLog:
    """Topics in memory."""

    def __init__(self) -> None:
        self._topics: dict[str, LocalTopic] = {}
        self._taps: list[Tap] = []

    def topic(self, topic: Topic) -> LocalTopic:
        """The topic, empty before the first time."""
        known = self._topics.get(topic.name)
        if known is None:
            known = self._topics[topic.name] = LocalTopic(topic)
            for tap in self._taps:
                known.tap(tap)
        return known

    def queue(self, topic: Topic) -> deque[Entry]:
        """A new reader's queue: (key or None, record) in the order of the log, from now on."""
        return self.topic(topic).queue()

    def tap(self, tap: Tap) -> None:
        """Call `tap` with every record of every topic that is written from now on."""
        self._taps.append(tap)
        for topic in self._topics.values():
            topic.tap(tap)

    def write(self, topic: Topic, record: Record) -> None:
        """Append one record to one topic."""
        self.topic(topic).write(record)


class _Destinations(dict[type[Record], tuple[Callable[[Record], None], ...]]):
    """How each type of output of one role is written, by the map; looked up once for each type."""

    def __init__(self, role: str, log: LocalLog, topics: tuple[Topic, ...]) -> None:
        super().__init__()
        self._routes = Routes(role, topics)
        self._log = log

    def __missing__(self, record_type: type[Record]) -> tuple[Callable[[Record], None], ...]:
        writes = tuple(self._log.topic(topic).write for topic in self._routes[record_type])
        self[record_type] = writes
        return writes


class LocalRoom:
    """A room with its inbox in a log. States live in one partition: keys do not meet in any number of them."""

    def __init__(self, room: Room[Any, Any], log: LocalLog, topics: tuple[Topic, ...] = TOPICS):
        self.name = room.name
        self.partition = Partition(room.bind())
        self._inbox = log.queue(room.reads)
        self._destinations = _Destinations(room.name, log, topics)

    def drain(self) -> int:
        """Fold all that was written to the inbox so far; return how many records that were."""
        inbox = self._inbox
        if not inbox:
            return 0
        count = len(inbox)
        fold, destinations = self.partition.fold, self._destinations
        for _ in range(count):
            key, record = inbox.popleft()
            for output in fold(key, record):
                for write in destinations[type(output)]:
                    write(output)
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
