"""Dead letters: what doors could not let through. List them, put one back when its cause is mended, skip a record.

Skipping is for a record whose fold raises: its partition stands still there. The order to skip is a dead letter itself,
with author and reason, so it is kept as long as the log; the parked worker finds it and goes on behind the record.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from confluent_kafka import TopicPartition as Place

from schemas.dead_letter import DeadLetter, DeadLetterReason
from schemas.topics import DEAD_LETTERS, TOPICS, Topic
from streams.runtime import clients
from streams.runtime.clients import RECORD_BYTES_MAX, Cluster, plain_producer
from streams.runtime.headers import Headers
from streams.runtime.intake import Message, RecordCodec
from streams.runtime.offsets import Offsets
from streams.runtime.reader import ANSWER_S, Reader, Start
from streams.runtime.source import DeliveryFailed, Source

if TYPE_CHECKING:
    from streams.runtime.carrier import Carrier

LOOK_EVERY_S = 0.5
REPLAYED = "replay_of"
"""Header of a record that was put back: the dead letter's id."""


class CannotSkip(ValueError):
    """There is no such record, or it is folded already, or nobody says why."""


class CannotReplay(ValueError):
    """The dead letter does not hold the whole record."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter, with its id."""

    letter_id: str
    record: DeadLetter


def letters(
    cluster: Cluster, codec: RecordCodec, environment: str, topics: tuple[Topic, ...] = TOPICS
) -> Iterator[Letter]:
    """Every dead letter of an environment, by partition and offset. Raises ReadStandsStill."""
    reader = Reader(cluster, codec, _dead_letters(topics), environment, Start.BEGINNING, name="operators")
    try:
        for received in reader.to_end():
            if isinstance(received.record, DeadLetter):
                yield Letter(received.event_id, received.record)
    finally:
        reader.close()


def replay(cluster: Cluster, letter: Letter) -> None:
    """Put the record back where it came from, byte for byte; its door judges it again.

    It comes behind what was written since. Raises CannotReplay, DeliveryFailed.
    """
    record = letter.record
    if record.reason is DeadLetterReason.SKIPPED:
        raise CannotReplay("the record was skipped on a person's order, and lies in its topic")
    if record.value is None or len(record.value) >= RECORD_BYTES_MAX:
        raise CannotReplay("the dead letter holds no value, or only its beginning; ask its writer to write it again")
    headers: Headers = [
        (name.decode(errors="replace"), value)
        for name, value in zip(record.headers[::2], record.headers[1::2], strict=False)
    ]
    headers.append((REPLAYED, letter.letter_id.encode()))
    problems: list[str] = []
    producer = plain_producer(cluster, lambda _: None)
    producer.produce(
        record.source_topic,
        record.value,
        record.key,
        # A record without key was a broadcast's, or nobody's: it goes back to its partition.
        -1 if record.key else record.source_partition,
        headers=headers,
        on_delivery=lambda error, _: problems.append(error.str()) if error else None,
    )
    left = producer.flush(ANSWER_S)
    if left or problems:
        raise DeliveryFailed(f"{record.source_topic}: {problems or 'no acknowledgement'}")


def skip(
    cluster: Cluster,
    codec: RecordCodec,
    environment: str,
    room: str,
    inbox: Topic,
    place: tuple[int, int],
    author: str,
    reason: str,
    topics: tuple[Topic, ...] = TOPICS,
) -> DeadLetter:
    """Order the room to go on behind the record at `place` (partition, offset) of its inbox; return the order.

    Only a record that is not folded yet may be skipped. Raises CannotSkip, DeliveryFailed.
    """
    if not author or not reason:
        raise CannotSkip("say who skips the record, and why")
    partition, offset = place
    source = inbox.full_name(environment)
    committed = Offsets(cluster).committed(f"{environment}.{room}", source, [partition])[partition].offset
    if offset < (committed or 0):
        raise CannotSkip(f"{source}/{partition} has been folded up to {committed}: {offset} lies before it")
    message = _message_at(cluster, source, partition, offset)
    order = DeadLetter(
        event_time_us=message.timestamp()[1] * 1000,
        source_topic=source,
        source_partition=partition,
        source_offset=offset,
        room=room,
        reason=DeadLetterReason.SKIPPED,
        detail=reason,
        key=message.key(),
        value=message.value(),
        author=author,
    )
    writer = Source(cluster, codec, environment, room, topic_map=topics)
    try:
        writer.write(order)
    finally:
        writer.close()
    return order


def _message_at(cluster: Cluster, topic: str, partition: int, offset: int) -> Message:
    """The record at this place. Raises CannotSkip where there is none."""
    consumer = clients.reader(cluster)
    try:
        consumer.assign([Place(topic, partition, offset)])
        give_up = time.monotonic() + ANSWER_S
        while time.monotonic() < give_up:
            message = consumer.poll(0.2)
            if message is None:
                continue
            if message.error() is None and message.offset() == offset:
                return cast("Message", message)
            break
    finally:
        consumer.close()
    raise CannotSkip(f"{topic}/{partition} has no record at offset {offset}")


def _dead_letters(topics: tuple[Topic, ...]) -> Topic:
    return next(topic for topic in topics if topic.name == DEAD_LETTERS.name)


class Skips:
    """Knows the orders to skip: those given before the start, and while partitions are parked, new ones."""

    def __init__(self, cluster: Cluster, codec: RecordCodec, environment: str, topics: tuple[Topic, ...]):
        self._cluster = cluster
        self._codec = codec
        self._environment = environment
        self._topics = topics
        self._lock = threading.Lock()
        self._parked: dict[tuple[str, int, int], Callable[[], None]] = {}
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def given(self) -> dict[str, set[tuple[int, int]]]:
        """Every order given so far: (partition, offset) by topic. Raises ReadStandsStill."""
        found: dict[str, set[tuple[int, int]]] = {}
        for letter in letters(self._cluster, self._codec, self._environment, self._topics):
            record = letter.record
            if record.reason is DeadLetterReason.SKIPPED:
                found.setdefault(record.source_topic, set()).add((record.source_partition, record.source_offset))
        return found

    def wait_for(
        self, source: str, partition: int, offset: int, skips: set[tuple[int, int]], carrier: "Carrier"
    ) -> None:
        """Release the partition when somebody orders to skip this record. Returns at once."""

        def release() -> None:
            skips.add((partition, offset))
            carrier.release(partition)

        with self._lock:
            self._parked[source, partition, offset] = release
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="skips", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        """From the beginning: the order may be older than this process."""
        topic = _dead_letters(self._topics)
        reader = Reader(self._cluster, self._codec, topic, self._environment, Start.BEGINNING, name="skips")
        ordered: dict[tuple[str, int, int], bool] = {}
        while not self._stopping.is_set():
            for received in reader.poll(LOOK_EVERY_S):
                record = received.record
                if isinstance(record, DeadLetter) and record.reason is DeadLetterReason.SKIPPED:
                    ordered[record.source_topic, record.source_partition, record.source_offset] = True
            with self._lock:
                due = [self._parked.pop(place) for place in list(self._parked) if place in ordered]
            for release in due:
                release()
        reader.close()
