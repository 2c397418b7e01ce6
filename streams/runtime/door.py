"""The door of a room: entries in, work out. Calls neither Kafka nor a clock; a test needs no broker.

`read` lets in or refuses (`streams.runtime.intake`). `fold` folds what entered into the tables of their partitions, and
returns everything that must become durable together: states, outputs, dead letters, next offsets. The tables hold it
as "ahead" until the transaction is known to be committed.
"""

import traceback
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from msgspec.structs import replace

from schemas.control import ClockTick
from schemas.dead_letter import DeadLetter, DeadLetterReason, UnreadableRecord
from schemas.ids import short_id
from schemas.record import Record
from schemas.topics import TOPICS, Topic
from streams.runtime.clients import RECORD_BYTES_MAX
from streams.runtime.headers import Headers, headers_of, output_id, root_id
from streams.runtime.intake import Arrival, Entry, Intake, Message, RecordCodec, Refusal
from streams.runtime.observers import OBSERVERS, Counted
from streams.runtime.room import Room, Routes
from streams.runtime.tables import Table
from streams.runtime.traces import Hop, hop_of

ANY_PARTITION = -1
"""Let the partitioner place the record by its key."""


class OutputTooLarge(ValueError):
    """A fold said more in one record than a topic takes."""


class ImpureFold(RuntimeError):
    """A fold failed in a batch and did not fail when the same records were folded again, one by one."""


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
    read, written, refused: counts by record, by record, and by reason.
    counted: what is counted of the outputs besides.
    tick_us: time of the newest clock tick in it; 0 where there is none.
    hops: steps of traces, where traces are told.
    """

    table: Table[Any, Any]
    next_offset: int | None = None
    writes: list[Write] = field(default_factory=list)
    folded: int = 0
    repeated: int = 0
    letters: int = 0
    outputs: int = 0
    parked: Parked | None = None
    read: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    kinds: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    counted: Counter[Counted] = field(default_factory=Counter)
    tick_us: int = 0
    hops: list[Hop] = field(default_factory=list)


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
        self.intake = Intake(room.name, room.reads, codec, environment)
        self.source = self.intake.source
        self._source = self.source.encode()
        self.skips: set[tuple[int, int]] = set()
        """(partition, offset) that a person has ordered to skip."""
        self.traced = False
        """Whether steps of traces are told."""
        self.at: Entry | None = None
        """What is being folded at this moment, for whoever asks why it takes so long."""
        self._codec = codec
        self._environment = environment
        self._changelog = changelog
        self._routes = Routes(room.name, topics)
        self._partitions = {topic.full_name(environment): topic.partitions for topic in topics}
        self._names: dict[str, str] = {topic.name: topic.full_name(environment) for topic in topics}

    def partitions_of(self, topic: str) -> int:
        """Partitions of a topic of the map, by its name on Kafka."""
        return self._partitions[topic]

    def read(self, messages: Iterable[Message]) -> list[Entry]:
        """Decode and check; every message becomes an entry."""
        return self.intake.read(messages)

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
        if batch[0].offset <= table.applied:
            # Folded before: neither state nor offset may go back.
            fresh = [entry for entry in batch if entry.offset > table.applied]
            work.repeated = len(batch) - len(fresh)
            if not fresh:
                return work
            batch = fresh
        skips, fold = self.skips, table.partition.fold
        for entry in batch:
            self.at = entry
            if skips and (entry.partition, entry.offset) in skips:
                self._fold_skipped(work, entry)
            elif type(entry) is Arrival:
                if said := fold(entry.key, entry.record, entry.partition):
                    self._answer(work, entry, said)
                work.folded += 1
            else:
                assert isinstance(entry, Refusal)
                self._fold_refusal(work, entry)
        self.at = None
        last = batch[-1]
        work.next_offset = last.offset + 1
        work.written = Counter(work.kinds)
        work.read = Counter([type(entry.record).__name__ for entry in batch if type(entry) is Arrival])
        if ClockTick.__name__ in work.read:
            work.tick_us = max(_tick_us(entry) for entry in batch)
        for key, value in table.writes(last.offset):
            work.writes.append(Write(self._changelog, key, value, last.partition, None))
        return work

    def _answer(self, work: PartitionWork, arrival: Arrival, said: Sequence[Record]) -> None:
        """Write what a record's fold said."""
        event_id = arrival.event_id or root_id(arrival.record)
        assert event_id is not None, "the door lets no record without identity in"
        if self.traced:
            hop = hop_of(self.room.name, arrival.record, event_id, arrival.trace, said, arrival.appended_ms)
            if hop is not None:
                work.hops.append(hop)
                arrival = replace(arrival, trace=hop.header)
        self._say(work, said, arrival, event_id, arrival.partition if arrival.key is None else None)

    def _fold_refusal(self, work: PartitionWork, refusal: Refusal) -> None:
        letter_id = root_id(refusal.letter)
        assert letter_id is not None, "a dead letter is named by its place"
        work.letters += 1
        work.refused[refusal.letter.reason.value] += 1
        cause = b"%b/%d/%d" % (self._source, refusal.partition, refusal.offset)
        self._send(work, refusal.letter, self._encoded(refusal.letter), letter_id, refusal, cause)
        self._fold_unreadable(work, refusal, refusal.unreadable, refusal.key, letter_id)

    def _fold_skipped(self, work: PartitionWork, entry: Entry) -> None:
        """Fold nothing of a record that a person skipped; the letter that ordered it already lies in the topic."""
        work.letters += 1
        if not self.intake.tells_unreadable or isinstance(entry, Refusal):
            return
        unreadable = UnreadableRecord(
            event_time_us=entry.record.event_time_us,
            account_id=entry.key or "",
            reason=DeadLetterReason.SKIPPED,
            source_partition=entry.partition,
            source_offset=entry.offset,
        )
        skip_id = short_id(self.room.name, f"skip {entry.partition}/{entry.offset}")
        self._fold_unreadable(work, entry, unreadable, entry.key, skip_id)

    def _fold_unreadable(
        self, work: PartitionWork, entry: Entry, unreadable: UnreadableRecord | None, key: str | None, event_id: str
    ) -> None:
        if unreadable is not None:
            self._say(work, work.table.partition.fold(key, unreadable), entry, event_id, None)

    def _say(
        self, work: PartitionWork, said: Sequence[Record], entry: Entry, event_id: str, partition: int | None
    ) -> None:
        cause = b"%b/%d/%d" % (self._source, entry.partition, entry.offset)
        for ordinal, record in enumerate(said):
            value = self._encoded(record)
            named = output_id(self.room.name, event_id, ordinal, record, value, partition)
            self._send(work, record, value, named, entry, cause)
        work.outputs += len(said)

    def _encoded(self, record: Record) -> bytes:
        """The record's bytes. Raises UndeclaredOutput for what the map does not let the room write, OutputTooLarge."""
        self._routes[type(record)]
        value = self._codec.encode(record)
        if len(value) > RECORD_BYTES_MAX and not isinstance(record, DeadLetter):
            raise OutputTooLarge(f"{type(record).__name__} takes {len(value)} bytes of {RECORD_BYTES_MAX}")
        return value

    def _send(
        self, work: PartitionWork, record: Record, value: bytes, event_id: str, entry: Entry, cause: bytes
    ) -> None:
        """Write to every topic that the map names; a broadcast record to every partition."""
        kind = type(record)
        topics = self._routes[kind]
        work.kinds.append(kind.__name__)
        if kind in OBSERVERS and (seen := OBSERVERS[kind](record)) is not None:
            work.counted[seen[0]] += seen[1]
        headers = headers_of(event_id, record.event_time_us, cause, entry.trace, entry.signal_time)
        for topic in topics:
            name = self._names[topic.name]
            if kind in topic.broadcast:
                work.writes += [Write(name, None, value, p, headers) for p in range(topic.partitions)]
            else:
                key: str = getattr(record, topic.key)
                work.writes.append(Write(name, key.encode(), value, ANY_PARTITION, headers))


def _tick_us(entry: Entry) -> int:
    return entry.record.event_time_us if type(entry) is Arrival and type(entry.record) is ClockTick else 0


def _parked(entry: Entry, error: Exception) -> Parked:
    return Parked(
        partition=entry.partition,
        offset=entry.offset,
        key=entry.key,
        record_type=type(entry.record).__name__ if isinstance(entry, Arrival) else "unreadable record",
        error=f"{type(error).__name__}: {error}",
        trace="".join(traceback.format_exception(error)),
    )
