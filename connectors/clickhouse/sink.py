"""The sink: every record of every topic into ClickHouse, effectively once.

A plain consumer, never an agent: ClickHouse slow or down makes lag grow and touches nothing else. Where to go on is
asked of ClickHouse, not of Kafka: the positions there are behind the rows that are there. Kafka's committed offsets
follow, after the rows are acknowledged, so that everyone can see the lag. While one chunk is written, the next one is
read and made into rows. Several sinks share the partitions as one group. A sink that slept through the loss of its
partitions may write rows that its successor writes too, with other bounds; they are the same records by id, and every
table keeps one of each.
"""

import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Any

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from connectors.clickhouse.chunks import Bounds, Contents, Ledger, Place, Range, Taken
from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.writer import Abandoned, Flight, Progress, SchemaText, Writer, oldest
from schemas.topics import TOPICS, Topic

_log = structlog.get_logger(__name__)

READ_BACK_S = 30.0
"""How long an unfinished chunk may take to be read again before it is tried anew."""
STEP_S = 0.05
"""How long the sink looks at Kafka at once."""
HOLD_S = 0.5
"""How long it looks away from Kafka at most while a chunk is on its way."""
SAY_S = 5.0
"""How long partitions are held back for ClickHouse to take the bounds of the chunk on its way."""


class TopicRecreated(RuntimeError):
    """Kafka holds less of a partition than ClickHouse says it has written: the topic was made anew."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Bounds of a chunk, and patience. A chunk ends at the first bound that it reaches.

    records_max, bytes_max: of one chunk
    age_max_s: seconds from its first record
    retry_s, retry_max_s: first and longest wait while ClickHouse is away, seconds
    """

    records_max: int = 40_000
    bytes_max: int = 32 * 2**20
    age_max_s: float = 1.0
    retry_s: float = 0.2
    retry_max_s: float = 5.0


_PASSING = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
    }
)
"""Errors of Kafka after which librdkafka goes on by itself."""


class _Moved(Exception):
    """The partitions changed while something waited."""


@dataclass(slots=True)
class _Buffer:
    records: dict[Place, list[Taken]] = field(default_factory=dict)
    count: int = 0
    size: int = 0
    since_s: float = 0.0
    rows: "Future[Contents | None] | None" = None
    rows_of: int = 0

    def add(self, at: Place, taken: Taken) -> None:
        if not self.count:
            self.since_s = time.monotonic()
        found = self.records.get(at)
        if found is None:
            found = self.records[at] = []
        found.append(taken)
        self.count += 1
        self.size += len(taken.value)

    def prepared(self) -> "Future[Contents | None] | None":
        """Its rows, where they were made of all that it holds."""
        return self.rows if self.rows_of == self.count else None

    def is_full(self, policy: Policy) -> bool:
        return self.count >= policy.records_max or self.size >= policy.bytes_max

    def is_due(self, policy: Policy) -> bool:
        aged = self.count > 0 and time.monotonic() - self.since_s >= policy.age_max_s
        return aged or self.is_full(policy)


class Sink:
    """One sink. `run` works until `stop`; it owns its consumer and its connection."""

    def __init__(
        self,
        bootstrap_servers: str,
        environment: str,
        server: ClickHouse,
        schema_text: SchemaText,
        *,
        topics: Sequence[Topic] = TOPICS,
        policy: Policy | None = None,
        member: str | None = None,
        session_ms: int = 10_000,
    ):
        """`member` is a name that survives a restart: the partitions then wait for it instead of moving."""
        self.progress = Progress()
        self._names = {topic.full_name(environment): topic.name for topic in topics}
        self._full = {topic.name: topic.full_name(environment) for topic in topics}
        self._config: dict[str, str | int | bool] = {
            "bootstrap.servers": bootstrap_servers,
            "group.id": f"{environment}.sinks",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "partition.assignment.strategy": "range,roundrobin",
            "session.timeout.ms": session_ms,
            "enable.partition.eof": True,
            "fetch.queue.backoff.ms": 10,
            "queued.max.messages.kbytes": 32_768,
            "topic.metadata.refresh.interval.ms": 5_000,
        }
        self._member = {} if member is None else {"group.instance.id": f"{environment}.sinks.{member}"}
        self._policy = policy or Policy()
        self._ledger = Ledger(server, uuid.uuid4().hex)
        self._writer = Writer(
            server,
            self._ledger,
            schema_text,
            self.progress,
            retry_s=self._policy.retry_s,
            retry_max_s=self._policy.retry_max_s,
        )
        self._buffer = _Buffer()
        self._flight: Flight | None = None
        self._stop = threading.Event()
        self._given: list[TopicPartition] | None = None
        self._owned: set[Place] = set()
        self._ends: set[Place] = set()
        self._generation = 0

    def stop(self) -> None:
        """Let `run` write what it has taken, commit and return. May be called from any thread, and by a signal."""
        self._stop.set()

    @property
    def partitions(self) -> int:
        """How many partitions it reads."""
        return len(self._owned)

    @property
    def waiting_ms(self) -> dict[str, int | None]:
        """When the oldest record that is taken and not written came to the log, by topic; None where there is none.

        While ClickHouse is away this is the oldest that it lacks: the sink reads on only when it has room.
        """
        found: dict[str, int | None] = dict.fromkeys(sorted({at.topic for at in list(self._owned)}))
        flight = self._flight
        for waiting in (oldest(self._buffer.records), flight.oldest_ms if flight is not None else {}):
            for topic, since_ms in waiting.items():
                known = found.get(topic)
                found[topic] = since_ms if known is None else min(known, since_ms)
        return found

    @property
    def caught_up(self) -> bool:
        """Whether all that its partitions hold is written. False while it owns none."""
        owned, ends = self._owned, self._ends
        return bool(owned) and ends >= owned and not self._buffer.count and self._flight is None

    def run(self) -> Progress:
        """Write until `stop`. Raises TopicRecreated, and KafkaException when Kafka itself fails for good."""
        consumer: Any = Consumer(self._config | self._member)
        try:
            consumer.subscribe(list(self._names), on_assign=self._assigned, on_revoke=self._revoked)
            while not self._stop.is_set():
                self._turn(consumer)
            self._finish(consumer)
        finally:
            if self._flight is not None:
                self._flight.abandon.set()
            self._writer.close()
            consumer.close()
        return self.progress

    def _turn(self, consumer: Any) -> None:
        """One look at Kafka, and at the chunk on its way."""
        if self._given is not None:
            try:
                self._settle(consumer)
            except _Moved:
                return
        if self._flight is not None and self._flight.done.done():
            self._land(consumer)
        if self._flight is None and self._buffer.is_due(self._policy):
            self._begin()
        if self._flight is not None and self._buffer.is_full(self._policy):
            self._hold(consumer, self._flight)
        else:
            for message in consumer.consume(2_000, STEP_S):
                self._take(message)

    def _begin(self) -> Flight:
        """Let what was taken be written."""
        self._flight = self._writer.start(self._buffer.records, self._buffer.prepared())
        self._buffer = _Buffer()
        return self._flight

    def _hold(self, consumer: Any, flight: Flight) -> None:
        """There is no more room: make the next rows, and wait for the chunk on its way.

        Kafka is asked only where that takes long: a pause throws away what was fetched already.
        """
        if self._buffer.rows is None:
            self._buffer.rows = self._writer.prepare(self._buffer.records)
            self._buffer.rows_of = self._buffer.count
        if not wait({flight.done}, HOLD_S).done:
            self._look(consumer, hold=True)

    def _look(self, consumer: Any, *, hold: bool = False) -> None:
        """Answer Kafka for a moment, and with `hold` take no records."""
        assigned = consumer.assignment() if hold else []
        consumer.pause(assigned)
        generation = self._generation
        message = consumer.poll(STEP_S)
        if message is not None:
            self._take(message)
        if generation == self._generation:
            consumer.resume(assigned)

    def _take(self, message: Any) -> None:
        error = message.error()
        if error is None:
            at = self._place(message)
            self._ends.discard(at)
            self._buffer.add(at, _taken(message))
        elif error.code() == KafkaError._PARTITION_EOF:
            self._ends.add(self._place(message))
        elif error.code() in _PASSING:
            self.progress.failed(str(error))
        else:
            raise KafkaException(error)

    def _place(self, message: Any) -> Place:
        return Place(self._names[message.topic()], message.partition())

    def _assigned(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        """Own them, but read nothing before ClickHouse has said where to go on."""
        self._let_go()
        self._given = partitions
        consumer.assign([])

    def _revoked(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        """What was taken and not written is for the next owner, who must find the bounds of what is being written."""
        self._let_go()
        if self._flight is not None and not self._flight.said.wait(SAY_S):
            _log.warning("partitions were given away before ClickHouse had the bounds of their chunk")
        consumer.unassign()

    def _let_go(self) -> None:
        self._generation += 1
        self._buffer = _Buffer()
        self._given = None
        self._owned = set()
        if self._flight is not None:
            self._flight.abandon.set()

    def _land(self, consumer: Any) -> None:
        """Take note of a chunk that ended. Raises what it failed of."""
        flight = self._flight
        assert flight is not None, "no chunk is on its way"
        self._flight = None
        try:
            flight.done.result()
        except Abandoned:
            _log.info("a chunk was left to the next owner of its partitions")
            return
        if not flight.abandon.is_set():
            self._commit(consumer, flight.ranges)

    def _finish(self, consumer: Any) -> None:
        """Write what was taken before the sink stops, unless ClickHouse is away."""
        while self._flight is not None or self._buffer.count:
            flight = self._flight or self._begin()
            failures = self.progress.failures
            while not flight.done.done():
                self._look(consumer, hold=True)
                if self.progress.failures > failures:
                    flight.abandon.set()
            self._land(consumer)

    def _settle(self, consumer: Any) -> None:
        """Finish what was left unfinished in our partitions, then go on behind the last row of each."""
        while self._flight is not None:
            self._wait(consumer, self._flight.done)
            self._land(consumer)
        places = {Place(self._names[at.topic], at.partition): at for at in self._given or []}
        for bounds in self._wait(consumer, self._writer.ask(lambda: self._ledger.unfinished(places))):
            self._recover(consumer, bounds)
        positions = self._wait(consumer, self._writer.ask(self._ledger.positions))
        starts = []
        for at, partition in places.items():
            last = positions.get(at)
            start = OFFSET_BEGINNING if last is None else self._checked(consumer, partition, last + 1)
            starts.append(TopicPartition(partition.topic, partition.partition, start))
        consumer.assign(starts)
        self._given = None
        self._ends, self._owned = set(), set(places)

    def _wait(self, consumer: Any, future: Future[Any]) -> Any:
        """The future's answer; None for a chunk that was abandoned. Raises _Moved when the partitions change."""
        generation = self._generation
        while not future.done():
            self._look(consumer)
            if self._generation != generation or self._stop.is_set():
                raise _Moved
        return None if isinstance(future.exception(), Abandoned) else future.result()

    def _checked(self, consumer: Any, partition: TopicPartition, offset: int) -> int:
        try:
            low, high = consumer.get_watermark_offsets(partition, timeout=5.0)
        except KafkaException as error:
            self.progress.failed(str(error))
            raise _Moved from error
        if high < offset:
            raise TopicRecreated(
                f"{partition.topic} [{partition.partition}] ends at {high}, but ClickHouse has its rows up to "
                f"{offset - 1}: the topic was made anew; use another environment, or an empty database"
            )
        if low > offset:
            _log.warning("records are gone before they were written", topic=partition.topic, first=low, wanted=offset)
        return max(int(low), offset)

    def _recover(self, consumer: Any, bounds: Bounds) -> None:
        """Write a chunk again that somebody began: the same records, the same tokens."""
        records = self._read_back(bounds)
        if records is None:
            raise _Moved
        if records:
            self._flight = self._writer.resume(bounds, records)
            self._wait(consumer, self._flight.done)
            self._land(consumer)

    def _read_back(self, bounds: Bounds) -> dict[Place, list[Taken]] | None:
        """The records between the bounds, fewer where retention took some; None where Kafka did not give them now."""
        reader: Any = Consumer(self._config | {"group.id": f"{self._config['group.id']}.recovery"})
        ranges = {at: offsets for at, offsets in bounds.ranges.items() if at.topic in self._full}
        records: dict[Place, list[Taken]] = {}
        missing = set(ranges)
        until_s = time.monotonic() + READ_BACK_S
        try:
            reader.assign([TopicPartition(self._full[at.topic], at.partition, r.first) for at, r in ranges.items()])
            while missing:
                for message in reader.consume(2_000, 0.2):
                    error = message.error()
                    if error is not None and error.code() != KafkaError._PARTITION_EOF:
                        self.progress.failed(
                            f"Kafka could not give back an unfinished chunk: {error}; it is tried again"
                        )
                        return None
                    at = self._place(message)
                    if error is None and message.offset() <= ranges[at].last:
                        records.setdefault(at, []).append(_taken(message))
                    if error is not None or message.offset() >= ranges[at].last:
                        missing.discard(at)
                if time.monotonic() > until_s or self._stop.is_set():
                    self.progress.failed("Kafka did not give back an unfinished chunk in time; it is tried again")
                    return None
        finally:
            reader.close()
        return records

    def _commit(self, consumer: Any, ranges: Mapping[Place, Range]) -> None:
        offsets = [TopicPartition(self._full[at.topic], at.partition, r.last + 1) for at, r in ranges.items()]
        try:
            consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            # The rows are in and ClickHouse knows it; a commit that a rebalance refused only delays what is shown.
            _log.info("offsets were not committed", why=str(error))


def _taken(message: Any) -> Taken:
    return Taken(
        message.offset(), message.timestamp()[1], message.key() or b"", message.value() or b"", message.headers()
    )


__all__ = ["Policy", "Progress", "SchemaText", "Sink", "TopicRecreated"]
