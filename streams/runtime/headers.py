"""What travels beside a record: who it is, when it became true, what caused it, and the trace it belongs to.

An id is a function of causes, never of offsets: a record that enters from outside is named by its source, an answer by
(who answers, id of its input, ordinal, what it says). The offset travels in `cause`, for people who look for lineage.
"""

from collections.abc import Iterable
from typing import Final

from schemas.codec import HEADER
from schemas.ids import short_id
from schemas.record import Record

EVENT_ID: Final = "event_id"
EVENT_TIME: Final = "event_time"
CAUSE: Final = "cause"
TRACE: Final = "traceparent"
SIGNAL_TIME: Final = "signal_time"
"""Event time of the signal at the beginning of the way, where there is one; for the time from signal to order."""

Headers = list[tuple[str, str | bytes | None]]
"""As librdkafka takes and gives them."""


def root_id(record: Record) -> str | None:
    """The id of a record that its source can name; None where only its cause identifies it."""
    key = record.source_key()
    return None if key is None else short_id(key)


def output_id(who: str, event_id: str, ordinal: int, said: Record, value: bytes, partition: int | None = None) -> str:
    """The id of an answer to an input. `partition` where the input was a broadcast: each partition answers for itself.

    What is said is part of it: whoever is told the same twice may answer otherwise the second time, and two different
    records never share an id. value: `said` encoded; the number of its schema is the registry's and does not count.
    """
    place = "" if partition is None else f"partition {partition}"
    return short_id(who, event_id, place, str(ordinal), type(said).__name__, value[HEADER.size :])


def headers_of(
    event_id: str,
    event_time_us: int,
    cause: str | bytes = "",
    trace: bytes | None = None,
    signal_time: bytes | None = None,
) -> Headers:
    """The headers of one record; what is unknown is left out."""
    headers: Headers = [(EVENT_ID, event_id.encode()), (EVENT_TIME, b"%d" % event_time_us)]
    if cause:
        headers.append((CAUSE, cause))
    if trace is not None:
        headers.append((TRACE, trace))
    if signal_time is not None:
        headers.append((SIGNAL_TIME, signal_time))
    return headers


def first(headers: Iterable[tuple[str, bytes | str | None]] | None, name: str) -> bytes | None:
    """The first header of this name as bytes, or None."""
    for key, value in headers or ():
        if key == name:
            return value.encode() if isinstance(value, str) else value
    return None


def origin_of(headers: Iterable[tuple[str, bytes | str | None]] | None) -> tuple[bytes | None, bytes | None]:
    """`traceparent` and time of the signal, from one look at the headers."""
    trace = signal_time = None
    for key, value in headers or ():
        if key == TRACE and trace is None:
            trace = value.encode() if isinstance(value, str) else value
        elif key == SIGNAL_TIME and signal_time is None:
            signal_time = value.encode() if isinstance(value, str) else value
    return trace, signal_time
