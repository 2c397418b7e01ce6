"""What travels beside a record: who it is, when it became true, what caused it, and the trace it belongs to.

An id is a function of causes, never of offsets: a record that enters from outside is named by its source, an output by
(room, id of its input, ordinal). The offset travels in `cause`, for people who look for lineage.
"""

from collections.abc import Iterable
from typing import Final

from schemas.ids import short_id
from schemas.record import Record

EVENT_ID: Final = "event_id"
EVENT_TIME: Final = "event_time"
CAUSE: Final = "cause"
TRACE: Final = "traceparent"

Headers = list[tuple[str, str | bytes | None]]
"""As librdkafka takes and gives them."""


def root_id(record: Record) -> str | None:
    """The id of a record that its source can name; None where only its cause identifies it."""
    key = record.source_key()
    return None if key is None else short_id(key)


def output_id(room: str, event_id: str, ordinal: int, partition: int | None = None) -> str:
    """The id of a room's answer. `partition` where the input was a broadcast: each partition answers for itself."""
    if partition is None:
        return short_id(room, event_id, str(ordinal))
    return short_id(room, event_id, f"partition {partition}", str(ordinal))


def headers_of(event_id: str, event_time_us: int, cause: str = "", trace: bytes | None = None) -> Headers:
    """The headers of one record; what is unknown is left out."""
    headers: Headers = [(EVENT_ID, event_id.encode()), (EVENT_TIME, b"%d" % event_time_us)]
    if cause:
        headers.append((CAUSE, cause.encode()))
    if trace is not None:
        headers.append((TRACE, trace))
    return headers


def first(headers: Iterable[tuple[str, bytes | str | None]] | None, name: str) -> bytes | None:
    """The first header of this name as bytes, or None."""
    for key, value in headers or ():
        if key == name:
            return value.encode() if isinstance(value, str) else value
    return None
