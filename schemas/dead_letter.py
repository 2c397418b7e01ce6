"""What could not be read or folded."""

from enum import StrEnum
from typing import ClassVar

from schemas.record import Record


class DeadLetterReason(StrEnum):
    NOT_OUR_FORMAT = "NOT_OUR_FORMAT"
    UNKNOWN_SCHEMA = "UNKNOWN_SCHEMA"
    TRUNCATED = "TRUNCATED"
    WRONG_TYPE = "WRONG_TYPE"
    WRONG_TOPIC = "WRONG_TOPIC"
    NULL_KEY = "NULL_KEY"
    KEY_MISMATCH = "KEY_MISMATCH"
    WRONG_PARTITION = "WRONG_PARTITION"
    NO_IDENTITY = "NO_IDENTITY"
    TOO_LARGE = "TOO_LARGE"
    SKIPPED = "SKIPPED"


class DeadLetter(Record, frozen=True):
    """A record that a door could not let through; the bytes are kept.

    source_topic, source_partition, source_offset: where it is
    room: whose door
    reason: why
    detail: one sentence for people
    key: the key as it came; absent where it was null
    value: the body as it came; absent where it was null
    headers: names and values as they came, alternating
    author: who skipped it, where a person did
    """

    source_id: ClassVar[tuple[str, ...]] = ("room", "source_topic", "source_partition", "source_offset")

    source_topic: str
    source_partition: int
    source_offset: int
    room: str
    reason: DeadLetterReason
    detail: str
    key: bytes | None
    value: bytes | None
    headers: list[bytes] = []
    author: str = ""


class UnreadableRecord(Record, frozen=True):
    """In the accounts room: something for this account, or this partition, could not be read.

    account_id: whose, where the key could be read; empty means the whole partition
    reason: why
    source_partition, source_offset: where it is
    """

    account_id: str
    reason: DeadLetterReason
    source_partition: int
    source_offset: int
