"""Readers without a group: every committed record of a topic, from the beginning, from now on, or from given offsets.

For sources that react to a topic (marks relay, paper venue, publishers), for `control.kill`, and for those who judge.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as Place

from schemas.control import KillSwitch
from schemas.record import Record
from schemas.topics import CONTROL_KILL, Topic
from streams.runtime import clients
from streams.runtime.clients import Cluster
from streams.runtime.headers import EVENT_ID, TRACE, first
from streams.runtime.intake import RecordCodec
from streams.runtime.offsets import Offsets
from streams.runtime.progress import Progress

ANSWER_S = 30.0
AT_ONCE = 1_000


_AWAY = frozenset({KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE, KafkaError._TIMED_OUT})
"""The client goes on asking, and reads on where it was once somebody answers."""


class Start(StrEnum):
    """Where a reader without offsets begins."""

    BEGINNING = "beginning"
    END = "end"


class ReadStandsStill(RuntimeError):
    """The end of a topic was not reached in time; who reads it cannot go on."""


class Received(NamedTuple):
    """One committed record.

    record: None where its bytes cannot be read; `unreadable` then says why
    event_id: from its headers; empty where it has none
    appended_ms: when the broker or its writer says it was appended, wall clock
    """

    partition: int
    offset: int
    key: bytes | None
    record: Record | None
    event_id: str
    trace: bytes | None
    appended_ms: int
    unreadable: str = ""


class Reader:
    """Reads one topic of the map. Not thread-safe: one task or thread reads.

    at_end: whether all that was committed when it last looked has been returned.
    name: who reads, for `Progress`.
    """

    def __init__(
        self,
        cluster: Cluster,
        codec: RecordCodec,
        topic: Topic,
        environment: str,
        start: Start | Mapping[int, int] = Start.END,
        progress: Progress | None = None,
        name: str = "reader",
    ):
        self.topic = topic.full_name(environment)
        self.name = name
        self._codec = codec
        self._progress = progress
        if progress is not None:
            progress.follow(self.topic)
        self._consumer = clients.reader(cluster)
        starts = _starts(cluster, self.topic, topic.partitions, start)
        for partition, offset in starts.items():
            if progress is not None:
                progress.folded(self.topic, partition, offset, name)
        self._consumer.assign([Place(self.topic, partition, offset) for partition, offset in starts.items()])
        self._partitions = len(starts)
        self._ended: set[int] = set()
        self._thread: ThreadPoolExecutor | None = None

    @property
    def at_end(self) -> bool:
        """Whether every partition was read to its end when it was last looked at."""
        return len(self._ended) == self._partitions

    @property
    def lag(self) -> int:
        """What writers of this process are known to have written and `done` has not been told; 0 means nothing."""
        return self._progress.lag(self.topic, self.name) if self._progress is not None else 0

    def left(self, places: Mapping[int, int]) -> dict[int, int]:
        """How many offsets each partition holds from these places on, as far as the client has heard.

        Ends of transactions have offsets too; a partition that was read to its end has none left.
        """
        found = {}
        for partition, place in places.items():
            answer = self._consumer.get_watermark_offsets(Place(self.topic, partition), cached=True)
            end = place if answer is None or partition in self._ended else answer[1]
            found[partition] = max(0, end - place)
        return found

    def poll(self, timeout_s: float = 0.05, most: int = AT_ONCE) -> list[Received]:
        """Records that are there, at least one if any comes within the time."""
        one = self._consumer.poll(timeout_s)
        if one is None:
            return []
        received = []
        for message in [one, *self._consumer.consume(most - 1, 0)] if most > 1 else [one]:
            partition = message.partition() or 0
            error = message.error()
            if error is None:
                self._ended.discard(partition)
                received.append(self._received(message))
            elif error.code() == KafkaError._PARTITION_EOF:
                self._ended.add(partition)
            elif error.fatal() or not (error.retriable() or error.code() in _AWAY):
                raise KafkaException(error)
        return received

    async def read(self, timeout_s: float = 0.05, most: int = AT_ONCE) -> list[Received]:
        """`poll` for tasks: the event loop goes on."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, f"read {self.topic}")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.poll, timeout_s, most)

    def done(self, received: list[Received]) -> None:
        """All there was to do with these records is done, durably."""
        if self._progress is not None:
            for one in received:
                self._progress.folded(self.topic, one.partition, one.offset + 1, self.name)

    def to_end(self, timeout_s: float = ANSWER_S) -> Iterator[Received]:
        """Everything up to the end as it is found. Raises ReadStandsStill."""
        give_up = time.monotonic() + timeout_s
        while not self.at_end:
            received = self.poll()
            if received:
                give_up = time.monotonic() + timeout_s
                yield from received
            elif time.monotonic() > give_up:
                raise ReadStandsStill(f"{self.topic} was not read to its end: nothing came for {timeout_s} s")

    def close(self) -> None:
        """Leave the topic."""
        if self._thread is not None:
            self._thread.shutdown()
        self._consumer.close()

    def _received(self, message: Any) -> Received:
        headers = message.headers()
        record, unreadable = None, ""
        try:
            record = self._codec.decode(message.value())
        except ValueError as error:
            unreadable = str(error) or type(error).__name__
        return Received(
            message.partition(),
            message.offset(),
            message.key(),
            record,
            (first(headers, EVENT_ID) or b"").decode(errors="replace"),
            first(headers, TRACE),
            message.timestamp()[1],
            unreadable,
        )


class KillSwitchReader:
    """The kill switches of an environment, as `control.kill` holds them: newest by scope.

    Ready only when the topic has been read to its end: before, nobody knows what is halted.
    """

    def __init__(self, cluster: Cluster, codec: RecordCodec, environment: str):
        self._reader = Reader(cluster, codec, CONTROL_KILL, environment, Start.BEGINNING, name="kill switch")
        self._newest: dict[str, KillSwitch] = {}
        self.unreadable = 0
        """Records that could not be read; who asks must treat this as halted."""
        self.is_ready = False

    def poll(self, timeout_s: float = 0.0) -> list[KillSwitch]:
        """Take in what has come; return what is new."""
        new = []
        for received in self._reader.poll(timeout_s):
            if not isinstance(received.record, KillSwitch):
                self.unreadable += 1
                continue
            switch = received.record
            known = self._newest.get(switch.scope_key)
            if known is None or switch.version >= known.version:
                self._newest[switch.scope_key] = switch
                new.append(switch)
        self.is_ready = self.is_ready or self._reader.at_end
        return new

    def wait_until_ready(self, timeout_s: float = ANSWER_S) -> None:
        """Read to the end. Raises ReadStandsStill."""
        give_up = time.monotonic() + timeout_s
        while not self.is_ready:
            self.poll(0.1)
            if time.monotonic() > give_up:
                raise ReadStandsStill("control.kill was not read to its end")

    def switches(self) -> Mapping[str, KillSwitch]:
        """The newest switch of each scope."""
        return dict(self._newest)

    def close(self) -> None:
        """Leave the topic."""
        self._reader.close()


def read_topic(cluster: Cluster, topic: str, timeout_s: float = ANSWER_S) -> list[Any]:
    """Every committed message of a topic, by partition and offset. Raises ReadStandsStill."""
    consumer = clients.reader(cluster)
    found = []
    try:
        partitions = list(consumer.list_topics(topic, timeout_s).topics[topic].partitions)
        ends = Offsets(cluster).ends(topic, partitions)
        consumer.assign([Place(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        left = {partition for partition in partitions if ends[partition] > 0}
        give_up = time.monotonic() + timeout_s
        while left:
            for message in _arrived(consumer):
                give_up = time.monotonic() + timeout_s
                partition, error = message.partition(), message.error()
                if error is None:
                    found.append(message)
                elif error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                elif message.offset() >= ends[partition]:
                    left.discard(partition)
            if time.monotonic() > give_up:
                raise ReadStandsStill(f"{topic}: partitions {sorted(left)} were not read to their ends")
    finally:
        consumer.close()
    return sorted(found, key=lambda message: (message.partition(), message.offset()))


def _arrived(consumer: Consumer) -> list[Any]:
    one = consumer.poll(0.1)
    return [one, *consumer.consume(5_000, 0)] if one is not None else []


def _starts(cluster: Cluster, topic: str, partitions: int, start: Start | Mapping[int, int]) -> dict[int, int]:
    if not isinstance(start, Start):
        return dict(start)
    offsets = Offsets(cluster)
    return offsets.ends(topic, range(partitions)) if start is Start.END else offsets.lows(topic, range(partitions))
