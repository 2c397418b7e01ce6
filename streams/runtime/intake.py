"""Intake: what every door that reads does first. Decode once, check, and let in or refuse with a reason.

Calls neither Kafka nor a clock.
"""

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

from schemas.dead_letter import DeadLetter, DeadLetterReason, UnreadableRecord
from schemas.record import Record
from schemas.signal import Signal
from schemas.topics import Topic
from streams.runtime.clients import RECORD_BYTES_MAX
from streams.runtime.headers import EVENT_ID, EVENT_TIME, TRACE, first, origin_of
from streams.runtime.keys import partition_of


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


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A record that may enter.

    key: None for a broadcast record
    event_id: None where the source names the record and nobody has asked for its id yet
    appended_ms: wall clock at which it came to the log
    signal_time: event time of the signal that it comes from, microseconds of UTC as text; None where there is none
    """

    partition: int
    offset: int
    key: str | None
    record: Record
    event_id: str | None
    trace: bytes | None
    appended_ms: int
    signal_time: bytes | None = None


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
    appended_ms: int
    signal_time: bytes | None = None


Entry = Arrival | Refusal


class Intake:
    """Reads one topic for one role.

    source: the topic's name on Kafka.
    """

    def __init__(self, role: str, topic: Topic, codec: RecordCodec, environment: str):
        self.role = role
        self.topic = topic
        self.source = topic.full_name(environment)
        self._codec = codec
        self._allowed = frozenset(topic.records)
        self.tells_unreadable = UnreadableRecord in self._allowed
        """Whether the reader itself is told of what could not be read."""

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
        trace, signal_time = origin_of(headers)
        if type(record) is Signal:
            signal_time = b"%d" % record.event_time_us
        return Arrival(
            message.partition(),
            message.offset(),
            wanted,
            record,
            event_id,
            trace,
            message.timestamp()[1],
            signal_time,
        )

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
            room=self.role,
            reason=reason,
            detail=detail,
            key=key,
            value=value,
            headers=[part for name, value in headers for part in (name.encode(), _bytes(value))],
        )
        owner = self._owner(key, partition)
        unreadable = None
        if self.tells_unreadable and reason is not DeadLetterReason.WRONG_PARTITION:
            unreadable = UnreadableRecord(
                event_time_us=event_time_us,
                account_id=owner or "",
                reason=reason,
                source_partition=partition,
                source_offset=offset,
            )
        appended_ms = message.timestamp()[1]
        return Refusal(partition, offset, letter, owner, unreadable, first(headers, TRACE), appended_ms)

    def _owner(self, key: bytes | None, partition: int) -> str | None:
        """Whose message it was, if that can be read and this partition is the owner's home."""
        if not key or partition_of(key, self.topic.partitions) != partition:
            return None
        try:
            return key.decode()
        except UnicodeDecodeError:
            return None


def _event_time(headers: Iterable[tuple[str, Any]], timestamp_ms: int) -> int:
    """When a message that cannot be read happened, as well as its surroundings tell: the same for every reader."""
    named = first(headers, EVENT_TIME)
    if named is not None and named.isdigit() and len(named) < 18:
        return int(named)
    return max(timestamp_ms, 0) * 1000


def _bytes(value: Any) -> bytes:
    return b"" if value is None else value.encode() if isinstance(value, str) else value
