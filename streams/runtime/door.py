"""The door of a room: bytes in, work out. Calls neither Kafka nor a clock; a test needs no broker.

`read` decodes each message once and refuses what may not enter. `fold` folds what entered into the tables of their
partitions, and returns everything that must become durable together: states, outputs, dead letters, next offsets. The
tables hold it as "ahead" until the transaction is known to be committed.
"""

import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import msgspec

from schemas.dead_letter import DeadLetter, DeadLetterReason, UnreadableRecord
from schemas.record import Record
from schemas.topics import TOPICS, Topic
from streams.runtime.clients import RECORD_BYTES_MAX
from streams.runtime.headers import EVENT_ID, EVENT_TIME, TRACE, Headers, first, headers_of, output_id, root_id
from streams.runtime.keys import partition_of
from streams.runtime.room import Room, Routes
from streams.runtime.tables import Table

ANY_PARTITION = -1
"""Let the partitioner place the record by its key."""


class RecordCodec(Protocol):
    """Turns records into bytes and back; what it refuses carries a DeadLetterReason as `reason`."""

    def encode(self, record: Record) -> bytes:
        """The record's bytes."""

    def decode(self, value: bytes | None) -> Record:
        """The record in these bytes."""


class Message(Protocol):
    """One record as librdkafka hands it out; always of the room's inbox, never an error."""

    def partition(self) -> int:
        """Where it lies."""

    def offset(self) -> int:
        """Its place in the partition."""

    def key(self) -> bytes | None:
        """Its key, or None."""

    def value(self) -> bytes | None:
        """Its body, or None."""

    def headers(self) -> Any:
        """Pairs of name and value, or None."""

    def timestamp(self) -> tuple[int, int]:
        """Kind, and milliseconds of UTC."""


class OutputTooLarge(ValueError):
    """A fold said more in one record than a topic takes."""


class ImpureFold(RuntimeError):
    """A fold failed in a batch and did not fail when the same records were folded again, one by one."""


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A record that may enter.

    key: None for a broadcast record
    event_id: None where the source names the record and nobody has asked for its id yet
    """

    partition: int
    offset: int
    key: str | None
    record: Record
    event_id: str | None
    trace: bytes | None


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """A message that may not enter.

    unreadable: what the room itself is told, where its inbox carries such records; `key` is whose it was
    """

    partition: int
    offset: int
    letter: DeadLetter
    key: str | None
    unreadable: UnreadableRecord | None
    trace: bytes | None


Entry = Arrival | Refusal


class Write(NamedTuple):
    """One record to be produced."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int
    headers: Headers | None


@dataclass(frozen=True, slots=True)
class Parked:
    """Why a partition stands still: at this record the fold raised.

    trace: for the log; `error` is one line of it.
    """

    partition: int
    offset: int
    key: str | None
    record_type: str
    error: str
    trace: str


@dataclass(slots=True)
class PartitionWork:
    """What one partition's part of a batch comes to.

    next_offset: None where nothing may be committed.
    """

    table: Table[Any, Any]
    next_offset: int | None = None
    writes: list[Write] = field(default_factory=list)
    folded: int = 0
    repeated: int = 0
    letters: int = 0
    outputs: int = 0
    event_time_us: int = 0
    parked: Parked | None = None


Work = dict[int, PartitionWork]
"""What must become durable together, by partition of the inbox."""


class Door:
    """Reads and folds for one room."""

    def __init__(
        self,
        room: Room[Any, Any],
        codec: RecordCodec,
        environment: str,
        changelog: str,
        topics: tuple[Topic, ...] = TOPICS,
    ):
        self.room = room
        self.topic = room.reads
        self.source = room.reads.full_name(environment)
        self.skips: set[tuple[int, int]] = set()
        """(partition, offset) that a person has ordered to skip."""
        self._codec = codec
        self._environment = environment
        self._changelog = changelog
        self._routes = Routes(room.name, topics)
        self._allowed = frozenset(room.reads.records)
        self._tells_unreadable = UnreadableRecord in self._allowed
        self._partitions = {topic.full_name(environment): topic.partitions for topic in topics}
        self._names: dict[str, str] = {topic.name: topic.full_name(environment) for topic in topics}

    def partitions_of(self, topic: str) -> int:
        """Partitions of a topic of the map, by its name on Kafka."""
        return self._partitions[topic]

    def read(self, messages: Iterable[Message]) -> list[Entry]:
        """Decode and check; every message becomes an entry."""
        return [self._read(message) for message in messages]

    def _read(self, message: Message) -> Entry:
        value, key = message.value(), message.key()
        if value is not None and len(value) > RECORD_BYTES_MAX:
            return self._refused(message, DeadLetterReason.TOO_LARGE, f"{len(value)} bytes of {RECORD_BYTES_MAX}")
        try:
            record = self._codec.decode(value)
        except ValueError as error:
            reason = getattr(error, "reason", None)
            if not isinstance(reason, DeadLetterReason):
                raise
            return self._refused(message, reason, str(error))
        if type(record) not in self._allowed:
            detail = f"{type(record).__name__} does not travel on {self.topic.name}"
            return self._refused(message, DeadLetterReason.WRONG_TOPIC, detail)
        wanted = self.topic.key_of(record)
        if wanted is not None and (refusal := self._misplaced(message, key, wanted)):
            return refusal
        headers = message.headers()
        event_id = None
        if not type(record).source_id:
            named = first(headers, EVENT_ID)
            if not named:
                detail = f"{type(record).__name__} has no source of its own and no header {EVENT_ID}"
                return self._refused(message, DeadLetterReason.NO_IDENTITY, detail)
            event_id = named.decode(errors="replace")
        return Arrival(message.partition(), message.offset(), wanted, record, event_id, first(headers, TRACE))

    def _misplaced(self, message: Message, key: bytes | None, wanted: str) -> Refusal | None:
        """The refusal of a keyed record whose key is absent, another's, or at home elsewhere."""
        if not key:
            return self._refused(message, DeadLetterReason.NULL_KEY, f"the record's {self.topic.key} is {wanted!r}")
        if key != wanted.encode():
            detail = f"the key is {key!r}, the record's {self.topic.key} is {wanted!r}"
            return self._refused(message, DeadLetterReason.KEY_MISMATCH, detail)
        home = partition_of(key, self.topic.partitions)
        if home != message.partition():
            detail = f"{wanted!r} is at home on partition {home}; its writer uses another partitioner than murmur2"
            return self._refused(message, DeadLetterReason.WRONG_PARTITION, detail)
        return None

    def _refused(self, message: Message, reason: DeadLetterReason, detail: str) -> Refusal:
        partition, offset, key, value = message.partition(), message.offset(), message.key(), message.value()
        headers = message.headers() or ()
        event_time_us = _event_time(headers, message.timestamp()[1])
        if value is not None and len(value) > RECORD_BYTES_MAX:
            value = value[:RECORD_BYTES_MAX]
            detail += f"; the first {RECORD_BYTES_MAX} are kept"
        letter = DeadLetter(
            event_time_us=event_time_us,
            source_topic=self.source,
            source_partition=partition,
            source_offset=offset,
            room=self.room.name,
            reason=reason,
            detail=detail,
            key=key,
            value=value,
            headers=[part for name, value in headers for part in (name.encode(), _bytes(value))],
        )
        owner = self._owner(key, partition)
        unreadable = None
        if self._tells_unreadable and reason is not DeadLetterReason.WRONG_PARTITION:
            unreadable = UnreadableRecord(
                event_time_us=event_time_us,
                account_id=owner or "",
                reason=reason,
                source_partition=partition,
                source_offset=offset,
            )
        return Refusal(partition, offset, letter, owner, unreadable, first(headers, TRACE))

    def _owner(self, key: bytes | None, partition: int) -> str | None:
        """Whose message it was, if that can be read and this partition is the owner's home."""
        if not key or partition_of(key, self.topic.partitions) != partition:
            return None
        try:
            return key.decode()
        except UnicodeDecodeError:
            return None

    def fold(self, entries: Iterable[Entry], tables: Mapping[int, Table[Any, Any]]) -> Work:
        """Fold entries, in the order of each partition, into the tables; entries of other partitions are left out.

        A partition whose fold raises keeps what came before, and is parked at the record that raised.
        """
        by_partition: dict[int, list[Entry]] = {}
        for entry in entries:
            by_partition.setdefault(entry.partition, []).append(entry)
        return {
            partition: self._fold_partition(tables[partition], batch)
            for partition, batch in by_partition.items()
            if partition in tables
        }

    def _fold_partition(self, table: Table[Any, Any], batch: Sequence[Entry]) -> PartitionWork:
        try:
            return self._folded(table, batch)
        except Exception:  # noqa: BLE001 - whatever a fold raises, found again and kept below
            table.rollback()
        at, error = self._culprit(table, batch)
        table.rollback()
        work = self._folded(table, batch[:at]) if at else PartitionWork(table)
        work.parked = _parked(batch[at], error)
        return work

    def _culprit(self, table: Table[Any, Any], batch: Sequence[Entry]) -> tuple[int, Exception]:
        """Which record raises, and what, when they are folded one by one."""
        for at in range(len(batch)):
            try:
                self._folded(table, batch[at : at + 1])
            except Exception as error:  # noqa: BLE001 - this is what was looked for
                return at, error
        raise ImpureFold(f"{self.room.name} failed in a batch, and did not when the same records were folded again")

    def _folded(self, table: Table[Any, Any], batch: Sequence[Entry]) -> PartitionWork:
        work = PartitionWork(table)
        for entry in batch:
            if entry.offset <= table.applied:
                work.repeated += 1
            elif (entry.partition, entry.offset) in self.skips:
                self._fold_skipped(work, entry)
            elif type(entry) is Arrival:
                self._fold_arrival(work, entry)
            else:
                assert isinstance(entry, Refusal)
                self._fold_refusal(work, entry)
        last = batch[-1]
        work.next_offset = last.offset + 1
        for key, value in table.writes(last.offset):
            work.writes.append(Write(self._changelog, key, value, last.partition, None))
        return work

    def _fold_arrival(self, work: PartitionWork, arrival: Arrival) -> None:
        key, record = arrival.key, arrival.record
        said = work.table.partition.fold(key, record)
        work.folded += 1
        work.event_time_us = max(work.event_time_us, record.event_time_us)
        if said:
            event_id = arrival.event_id or root_id(record)
            assert event_id is not None, "the door lets no record without identity in"
            self._say(work, said, arrival, event_id, arrival.partition if key is None else None)

    def _fold_refusal(self, work: PartitionWork, refusal: Refusal) -> None:
        letter_id = root_id(refusal.letter)
        assert letter_id is not None, "a dead letter is named by its place"
        work.letters += 1
        self._send(work, refusal.letter, letter_id, refusal)
        self._fold_unreadable(work, refusal, refusal.unreadable, refusal.key, letter_id)

    def _fold_skipped(self, work: PartitionWork, entry: Entry) -> None:
        """Fold nothing of a record that a person skipped; the letter that ordered it already lies in the topic."""
        work.letters += 1
        if not self._tells_unreadable or isinstance(entry, Refusal):
            return
        unreadable = UnreadableRecord(
            event_time_us=entry.record.event_time_us,
            account_id=entry.key or "",
            reason=DeadLetterReason.SKIPPED,
            source_partition=entry.partition,
            source_offset=entry.offset,
        )
        skip_id = output_id(self.room.name, f"skip {entry.partition}/{entry.offset}", 0)
        self._fold_unreadable(work, entry, unreadable, entry.key, skip_id)

    def _fold_unreadable(
        self, work: PartitionWork, entry: Entry, unreadable: UnreadableRecord | None, key: str | None, event_id: str
    ) -> None:
        if unreadable is not None:
            self._say(work, work.table.partition.fold(key, unreadable), entry, event_id, None)

    def _say(
        self, work: PartitionWork, said: Sequence[Record], entry: Entry, event_id: str, partition: int | None
    ) -> None:
        for ordinal, record in enumerate(said):
            self._send(work, record, output_id(self.room.name, event_id, ordinal, partition), entry)
        work.outputs += len(said)

    def _send(self, work: PartitionWork, record: Record, event_id: str, entry: Entry) -> None:
        """Encode once, and write to every topic that the map names; a broadcast record to every partition."""
        topics = self._routes[type(record)]
        value = self._codec.encode(record)
        if len(value) > RECORD_BYTES_MAX and not isinstance(record, DeadLetter):
            raise OutputTooLarge(f"{type(record).__name__} takes {len(value)} bytes of {RECORD_BYTES_MAX}")
        cause = f"{self.source}/{entry.partition}/{entry.offset}"
        headers = headers_of(event_id, record.event_time_us, cause, entry.trace)
        for topic in topics:
            key = topic.key_of(record)
            name = self._names[topic.name]
            if key is None:
                work.writes += [Write(name, None, value, p, headers) for p in range(topic.partitions)]
            else:
                work.writes.append(Write(name, key.encode(), value, ANY_PARTITION, headers))


def _parked(entry: Entry, error: Exception) -> Parked:
    return Parked(
        partition=entry.partition,
        offset=entry.offset,
        key=entry.key,
        record_type=type(entry.record).__name__ if isinstance(entry, Arrival) else "unreadable record",
        error=f"{type(error).__name__}: {error}",
        trace="".join(traceback.format_exception(error)),
    )


def _event_time(headers: Iterable[tuple[str, Any]], timestamp_ms: int) -> int:
    """When a message that cannot be read happened, as well as its surroundings tell: the same for every reader."""
    named = first(headers, EVENT_TIME)
    if named is not None and named.isdigit() and len(named) < 18:
        return int(named)
    return max(timestamp_ms, 0) * 1000


def _bytes(value: Any) -> bytes:
    return b"" if value is None else value.encode() if isinstance(value, str) else value
