"""The marks relay: marks of instruments become batches for every partition of accounts.

A plain source and not a room, so that no room's open transaction ever holds back all accounts. Its place in the marks
is committed after what it read is durable: a relay that dies relays some marks again, and loses none.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka import TopicPartition as Place

from schemas.market import Mark, MarkBatch
from schemas.topics import MARKET_MARKS
from streams.runtime.clients import Cluster, administrator
from streams.runtime.intake import RecordCodec
from streams.runtime.offsets import Offsets
from streams.runtime.reader import Reader, Received
from streams.runtime.source import DeliveryFailed, Source

EVERY_S = 0.1
"""Marks of one instrument that come within it are one."""
COMMIT_EVERY_S = 1.0
MARKS_MAX = 2_000
"""Instruments in one batch: well below what Kafka takes as one record."""
ANSWER_S = 10.0


def conflated(marks: Iterable[Mark]) -> MarkBatch | None:
    """One batch of the newest mark of each instrument, with low, high and volume over all of them; None of no marks.

    The batch is a pure function of its marks: relayed again after a crash it is the same batch, and a mark that is not
    newer than the one an account knows changes nothing there.
    """
    by_instrument: dict[str, Mark] = {}
    for mark in marks:
        known = by_instrument.get(mark.instrument_id)
        by_instrument[mark.instrument_id] = mark if known is None else _joined(known, mark)
    if not by_instrument:
        return None
    ordered = [by_instrument[instrument_id] for instrument_id in sorted(by_instrument)]
    newest_us = max(mark.event_time_us for mark in ordered)
    names = "+".join(f"{mark.instrument_id}@{mark.event_time_us}" for mark in ordered)
    return MarkBatch(event_time_us=newest_us, relay_id=names, sequence=newest_us, marks=ordered)


def _joined(known: Mark, mark: Mark) -> Mark:
    older, newer = (known, mark) if mark.event_time_us >= known.event_time_us else (mark, known)
    volumes = [volume for volume in (older.volume, newer.volume) if volume is not None]
    return Mark(
        event_time_us=newer.event_time_us,
        instrument_id=newer.instrument_id,
        last=newer.last,
        low=min(older.low, newer.low),
        high=max(older.high, newer.high),
        volume=sum(volumes[1:], volumes[0]) if volumes else None,
    )


def batches(marks: Iterable[Mark]) -> Iterator[MarkBatch]:
    """As `conflated`, in as many batches as their size asks for."""
    by_instrument: dict[str, list[Mark]] = {}
    for mark in marks:
        by_instrument.setdefault(mark.instrument_id, []).append(mark)
    names = sorted(by_instrument)
    for at in range(0, len(names), MARKS_MAX):
        batch = conflated(mark for name in names[at : at + MARKS_MAX] for mark in by_instrument[name])
        assert batch is not None, "every instrument has a mark"
        yield batch


class Waiting(NamedTuple):
    """What of one partition of marks is not relayed yet.

    relayed: offset of the last mark that is; -1 before the first
    records: how many wait
    oldest_ms: when the oldest of those in hand came to the log, wall clock; None where none is in hand
    """

    partition: int
    relayed: int
    records: int
    oldest_ms: int | None


class MarksRelay:
    """Relays marks until it is asked to stop; begins at its last committed place, or at the oldest mark kept.

    marks, sent: marks read and batches written so far
    unreadable: records that could not be read; they are passed over
    """

    def __init__(
        self, cluster: Cluster, codec: RecordCodec, environment: str, source: Source, say: Callable[[str], None]
    ):
        self.topic = MARKET_MARKS.name
        self._group = f"{environment}.relay"
        self.full_topic = MARKET_MARKS.full_name(environment)
        self._cluster = cluster
        self._admin = administrator(cluster)
        self._places = _begin(cluster, self._group, self.full_topic)
        self._committed = dict(self._places)
        self._committed_s = time.monotonic()
        self._reader = Reader(cluster, codec, MARKET_MARKS, environment, self._places, name="relay")
        self._source = source
        self._say = say
        self._held: list[Received] = []
        self._left: Mapping[int, int] = {}
        self.marks = 0
        self.sent = 0
        self.unreadable = 0

    def waiting(self) -> Iterator[Waiting]:
        """What is not relayed yet, by partition. May be asked by any thread."""
        held, places = self._held, self._places.copy()
        for partition, left in self._left.items():
            mine = [one.appended_ms for one in held if one.partition == partition]
            yield Waiting(partition, places[partition] - 1, max(left, len(mine)), min(mine, default=None))

    def run(self, stopping: threading.Event) -> None:
        """Relay until `stopping`; what is in hand is finished and its place committed."""
        while not stopping.is_set():
            self.turn()
            if self._held:
                stopping.wait(ANSWER_S)
        self.close()

    def turn(self) -> None:
        """Relay what comes within one period. What Kafka does not take stays in hand for the next turn."""
        if not self._held:
            self._held = self._gathered()
            self._left = self._reader.left(self._places)
        if self._held and self._sent(self._held):
            for one in self._held:
                self._places[one.partition] = one.offset + 1
            self._held = []
            self._left = self._reader.left(self._places)
        if time.monotonic() - self._committed_s >= COMMIT_EVERY_S:
            self.commit()

    def commit(self) -> None:
        """Make the place durable up to which all is relayed."""
        self._committed_s = time.monotonic()
        moved = {partition: at for partition, at in self._places.items() if at != self._committed[partition]}
        if not moved:
            return
        places = [Place(self.full_topic, partition, at) for partition, at in moved.items()]
        answer = self._admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(self._group, places)])
        try:
            answer[self._group].result(ANSWER_S)
        except (KafkaException, TimeoutError) as error:
            # One that knew the group's coordinator before Kafka was away may wait for it for ever.
            self._admin = administrator(self._cluster)
            self._say(f"! the relay's place is not committed: {error}; tried again in {COMMIT_EVERY_S:g} s")
            return
        self._committed.update(moved)

    def close(self) -> None:
        """Commit, and leave the topic."""
        self.commit()
        self._reader.close()

    def _gathered(self) -> list[Received]:
        """All marks that come within a period of the first one."""
        received = self._reader.poll(EVERY_S)
        until = time.monotonic() + EVERY_S
        while received and (left := until - time.monotonic()) > 0:
            received += self._reader.poll(left)
        return received

    def _sent(self, received: list[Received]) -> bool:
        marks = [one.record for one in received if isinstance(one.record, Mark)]
        try:
            written = 0
            for batch in batches(marks):
                self._source.write(batch)
                written += 1
            self._source.flush()
        except DeliveryFailed as error:
            self._say(f"! {len(marks)} marks are not relayed yet: {error}")
            return False
        self.marks += len(marks)
        self.unreadable += len(received) - len(marks)
        self.sent += written
        return True


def _begin(cluster: Cluster, group: str, topic: str) -> dict[int, int]:
    """Where to begin in each partition: what is committed, as far as it is still there."""
    offsets, partitions = Offsets(cluster), range(MARKET_MARKS.partitions)
    committed, lows = offsets.committed(group, topic, partitions), offsets.lows(topic, partitions)
    return {partition: max(committed[partition].offset or 0, lows[partition]) for partition in partitions}
