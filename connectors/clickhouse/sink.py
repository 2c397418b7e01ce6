"""The sink: every record of every topic into ClickHouse, effectively once.

A plain consumer, never an agent: ClickHouse slow or down makes lag grow and touches nothing else. Where to go on is
asked of ClickHouse, not of Kafka: the positions there are behind the rows that are there. Kafka's committed offsets
follow, after the rows are acknowledged, so that everyone can see the lag. Several sinks share the partitions as one
group. A sink that slept through the loss of its partitions may write rows that its successor writes too, with other
bounds; they are the same records by id, and every table keeps one of each.
"""

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from connectors.clickhouse.chunks import Bounds, Contents, Ledger, Place, Range, Taken, schema_ids, write
from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.rows import Layout, NotOurs, layout
from connectors.errors import ConnectorError, Unavailable
from connectors.registry.errors import UnknownSchema, Unreachable
from schemas.topics import TOPICS, Topic

_log = structlog.get_logger(__name__)

SchemaText = Callable[[int], str]
"""Text of the schema with this id, as a registry's `schema`.

Raises UnknownSchema or LookupError where there is none, Unreachable where it can be asked again.
"""


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


@dataclass(slots=True)
class Progress:
    """What the sink has done since it began, for metrics and for people.

    records, rows, chunks: written
    problems: records without a row in the table of their type
    failures: times that ClickHouse or the registry was away; `last_failure` says how
    """

    records: int = 0
    rows: int = 0
    chunks: int = 0
    problems: int = 0
    recovered: int = 0
    failures: int = 0
    last_failure: str = ""


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


class _Abandoned(Exception):
    """The partitions changed, or the sink is to stop, while a chunk waited for ClickHouse."""


@dataclass(slots=True)
class _Buffer:
    records: dict[Place, list[Taken]] = field(default_factory=dict)
    count: int = 0
    size: int = 0
    since_s: float = 0.0

    def add(self, at: Place, taken: Taken) -> None:
        if not self.count:
            self.since_s = time.monotonic()
        self.records.setdefault(at, []).append(taken)
        self.count += 1
        self.size += len(taken.value)

    def is_due(self, policy: Policy) -> bool:
        if not self.count:
            return False
        aged = time.monotonic() - self.since_s >= policy.age_max_s
        return aged or self.count >= policy.records_max or self.size >= policy.bytes_max


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
        if member is not None:
            self._config["group.instance.id"] = f"{environment}.sinks.{member}"
        self._server = server
        self._schema_text = schema_text
        self._policy = policy or Policy()
        self._layouts: dict[int, Layout | str] = {}
        self._ledger = Ledger(server, uuid.uuid4().hex)
        self._buffer = _Buffer()
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
    def caught_up(self) -> bool:
        """Whether all that its partitions hold is written. False while it owns none."""
        return bool(self._owned) and self._ends >= self._owned and not self._buffer.count

    def run(self) -> Progress:
        """Write until `stop`. Raises TopicRecreated, and KafkaException when Kafka itself fails for good."""
        consumer = Consumer(self._config)
        try:
            consumer.subscribe(list(self._names), on_assign=self._assigned, on_revoke=self._revoked)
            while not self._stop.is_set():
                self._turn(consumer)
            if self._buffer.count:
                self._flush(consumer)
        except _Abandoned:
            _log.warning("sink stopped before ClickHouse answered; the next one goes on there")
        finally:
            consumer.close()
            self._server.close()
        return self.progress

    def _turn(self, consumer: Any) -> None:
        try:
            if self._given is not None:
                self._settle(consumer)
            for message in consumer.consume(2_000, 0.05):
                self._take(message)
            if self._buffer.is_due(self._policy):
                self._flush(consumer)
        except _Abandoned:
            self._buffer = _Buffer()

    def _take(self, message: Any) -> None:
        error = message.error()
        if error is None:
            at = self._place(message)
            self._ends.discard(at)
            self._buffer.add(at, _taken(message))
        elif error.code() == KafkaError._PARTITION_EOF:
            self._ends.add(self._place(message))
        elif error.code() in _PASSING:
            self._failed(str(error))
        else:
            raise KafkaException(error)

    def _place(self, message: Any) -> Place:
        return Place(self._names[message.topic()], message.partition())

    def _assigned(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        """Own them, but read nothing before ClickHouse has said where to go on."""
        self._generation += 1
        self._buffer = _Buffer()
        self._given = partitions
        self._owned = set()
        consumer.assign([])

    def _revoked(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        """What was taken and not written is for the next owner."""
        self._generation += 1
        self._buffer = _Buffer()
        self._given = None
        self._owned = set()
        consumer.unassign()

    def _settle(self, consumer: Any) -> None:
        """Finish what others left unfinished in our partitions, then go on behind the last row of each."""
        given = self._given or []
        places = {Place(self._names[at.topic], at.partition): at for at in given}
        unfinished = self._patiently(consumer, lambda: self._ledger.unfinished(places))
        for bounds in unfinished:
            self._recover(consumer, bounds)
        positions = self._patiently(consumer, self._ledger.positions)
        starts = []
        for at, partition in places.items():
            last = positions.get(at)
            start = OFFSET_BEGINNING if last is None else self._checked(consumer, partition, last + 1)
            starts.append(TopicPartition(partition.topic, partition.partition, start))
        consumer.assign(starts)
        self._given = None
        self._ends, self._owned = set(), set(places)

    def _checked(self, consumer: Any, partition: TopicPartition, offset: int) -> int:
        low, high = self._patiently(consumer, lambda: consumer.get_watermark_offsets(partition, timeout=5.0))
        if high < offset:
            raise TopicRecreated(
                f"{partition.topic} [{partition.partition}] ends at {high}, but ClickHouse has its rows up to "
                f"{offset - 1}: the topic was made anew; use another environment, or an empty database"
            )
        if low > offset:
            _log.warning("records are gone before they were written", topic=partition.topic, first=low, wanted=offset)
        return max(int(low), offset)

    def _flush(self, consumer: Any) -> None:
        records = self._buffer.records
        ranges = {at: Range(taken[0].offset, taken[-1].offset) for at, taken in records.items()}
        bounds = self._patiently(consumer, lambda: self._ledger.begun(ranges))
        self._write(consumer, bounds, records)
        self._buffer = _Buffer()
        self._commit(consumer, ranges)

    def _write(self, consumer: Any, bounds: Bounds, records: dict[Place, list[Taken]]) -> None:
        self._patiently(consumer, lambda: self._learn(schema_ids(records)))
        contents = Contents(records, self._layouts)
        rows = self._patiently(consumer, lambda: write(self._server, contents, bounds.token))
        self._patiently(consumer, lambda: self._ledger.finished(bounds))
        done = self.progress
        done.chunks += 1
        done.rows += rows
        done.records += sum(map(len, records.values()))
        done.problems += len(contents.problems)

    def _recover(self, consumer: Any, bounds: Bounds) -> None:
        """Write a chunk again that somebody began: the same records, the same tokens."""
        records = self._patiently(consumer, lambda: self._read(bounds))
        if records:
            self._write(consumer, bounds, records)
            self.progress.recovered += 1

    def _read(self, bounds: Bounds) -> dict[Place, list[Taken]]:
        """The records between the bounds, from a consumer of their own; fewer where retention took some."""
        own = {"group.id": f"{self._config['group.id']}.recovery"}
        shared = {name: value for name, value in self._config.items() if name != "group.instance.id"}
        reader: Any = Consumer(shared | own)
        records: dict[Place, list[Taken]] = {}
        try:
            ranges = {at: offsets for at, offsets in bounds.ranges.items() if at.topic in self._full}
            reader.assign([TopicPartition(self._full[at.topic], at.partition, r.first) for at, r in ranges.items()])
            open_places = set(ranges)
            until_s = time.monotonic() + 30
            while open_places:
                if time.monotonic() > until_s:
                    raise Unavailable("Kafka did not give back the records of an unfinished chunk within 30 s")
                for message in reader.consume(2_000, 0.2):
                    at = self._place(message)
                    error = message.error()
                    if error is not None and error.code() != KafkaError._PARTITION_EOF:
                        raise Unavailable(f"Kafka could not give back an unfinished chunk: {error}; it is tried again")
                    if error is None and message.offset() <= ranges[at].last:
                        records.setdefault(at, []).append(_taken(message))
                    if error is not None or message.offset() >= ranges[at].last:
                        open_places.discard(at)
        finally:
            reader.close()
        return records

    def _learn(self, ids: set[int]) -> None:
        for schema_id in ids - self._layouts.keys():
            if schema_id < 0:
                continue
            try:
                self._layouts[schema_id] = layout(self._schema_text(schema_id))
            except (LookupError, UnknownSchema):
                self._layouts[schema_id] = f"the registry has no schema with id {schema_id}"
            except NotOurs as error:
                self._layouts[schema_id] = f"schema {schema_id}: {error}"

    def _commit(self, consumer: Any, ranges: dict[Place, Range]) -> None:
        offsets = [TopicPartition(self._full[at.topic], at.partition, r.last + 1) for at, r in ranges.items()]
        try:
            consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            # The rows are in and ClickHouse knows it; a commit that a rebalance refused only delays what is shown.
            _log.info("offsets were not committed", why=str(error))

    def _patiently(self, consumer: Any, act: Callable[[], Any]) -> Any:
        """Act until it succeeds, staying in the group meanwhile. Raises _Abandoned when the partitions change."""
        generation, wait_s = self._generation, self._policy.retry_s
        while True:
            try:
                return act()
            except (ConnectorError, KafkaException, Unreachable, OSError) as error:
                self._failed(str(error))
            self._idle(consumer, wait_s, generation)
            wait_s = min(wait_s * 2, self._policy.retry_max_s)

    def _idle(self, consumer: Any, wait_s: float, generation: int) -> None:
        """Wait, answering Kafka but taking nothing."""
        assigned = consumer.assignment()
        consumer.pause(assigned)
        until_s = time.monotonic() + wait_s
        while time.monotonic() < until_s:
            message = consumer.poll(0.05)
            if message is not None:
                assert message.error() is not None, "a paused partition gave a record"
                self._take(message)
            if self._generation != generation or self._stop.is_set():
                raise _Abandoned
        consumer.resume(assigned)

    def _failed(self, why: str) -> None:
        self.progress.failures += 1
        self.progress.last_failure = why
        _log.warning("sink waits", why=why)


def _taken(message: Any) -> Taken:
    return Taken(
        message.offset(), message.timestamp()[1], message.key() or b"", message.value() or b"", message.headers()
    )
