"""Rows: Kafka's bytes as ClickHouse reads them, without decoding a record.

A value in Kafka is five bytes of header and an Avro body, and the encoding of an Avro record is that of its fields, one
after the other. So the row of a record is the encoding of where it lay, followed by the body as it is, under a schema
with those fields in front and each field under its column's name. Every row is an Avro block of its own: a body that is
not what its header says spoils one row, never its neighbours. The raw events, which nothing can spoil, are RowBinary:
ClickHouse reads it faster.
"""

import json
import struct
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from connectors.clickhouse.tables import column_name, home, table_name
from schemas.record import NAMESPACE, Record
from schemas.topics import TOPICS

HEADER_BYTES = 5
MAGIC = 0
_SYNC = b"quantumleap rows"

_PLACE: list[dict[str, Any]] = [
    {"name": "event_id", "type": "string"},
    {"name": "topic", "type": "string"},
    {"name": "partition", "type": "int"},
    {"name": "offset", "type": "long"},
    {"name": "written_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
]
_TIMES = frozenset({"timestamp-micros"})
_RECORDS: dict[str, type[Record]] = {record.__name__: record for topic in TOPICS for record in topic.records}


class Layout(NamedTuple):
    """How values of one schema id become rows.

    record: bare name of the type
    topic: home topic; on another one the record has no row of its own
    table: its table
    opening: Avro container header for its rows
    """

    record: str
    topic: str
    table: str
    opening: bytes


class NotOurs(ValueError):
    """The schema is not that of a record of ours."""


def layout(schema_text: str) -> Layout:
    """The layout for a writer's schema. Raises NotOurs."""
    try:
        schema = json.loads(schema_text)
        name = schema["name"]
        namespace = schema.get("namespace", "")
    except (ValueError, TypeError, KeyError) as error:
        raise NotOurs("the schema is no Avro record") from error
    record = _RECORDS.get(name)
    if record is None or namespace != NAMESPACE:
        raise NotOurs(f"{namespace}.{name} is no record of ours")
    parts: dict[str, dict[str, Any]] = {}
    fields = [*_PLACE, *_flat(schema, "", parts)]
    return Layout(
        name, home(record).name, table_name(record), _opening({"type": "record", "name": "Row", "fields": fields})
    )


def _flat(schema: dict[str, Any], prefix: str, parts: dict[str, dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """The fields under their columns' names; those of a nested record stand in its place, as their bytes do."""
    for field in schema["fields"]:
        kind = _resolved(field["type"], parts)
        name = column_name(field["name"], time=_is_time(kind), prefix=prefix)
        if isinstance(kind, dict) and kind["type"] == "record":
            yield from _flat(kind, name, parts)
        elif isinstance(kind, dict) and kind["type"] == "array":
            yield {"name": name, "type": {"type": "array", "items": _items(kind["items"], parts)}}
        else:
            yield {"name": name, "type": kind}


def _resolved(kind: Any, parts: dict[str, dict[str, Any]]) -> Any:
    """The type itself where it is written out, or where it stood before under its name."""
    if isinstance(kind, str):
        return parts.get(kind, parts.get(kind.rpartition(".")[2], kind))
    if isinstance(kind, dict) and kind["type"] == "record":
        parts[kind["name"]] = kind
    return kind


def _items(kind: Any, parts: dict[str, dict[str, Any]]) -> Any:
    kind = _resolved(kind, parts)
    if not (isinstance(kind, dict) and kind["type"] == "record"):
        return kind
    fields = [
        {"name": column_name(field["name"], time=_is_time(field["type"])), "type": field["type"]}
        for field in kind["fields"]
    ]
    return {"type": "record", "name": kind["name"], "fields": fields}


def _is_time(kind: Any) -> bool:
    branches = kind if isinstance(kind, list) else [kind]
    return any(isinstance(branch, dict) and branch.get("logicalType") in _TIMES for branch in branches)


def number(value: int) -> bytes:
    """Avro's int and long: zigzag, seven bits a byte, lowest first."""
    value = (value << 1) ^ (value >> 63)
    if value < 0x80:
        return _SMALL[value]
    out = bytearray()
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_SMALL = [bytes([value]) for value in range(0x80)]
_cached_number = lru_cache(4096)(number)


def text(value: bytes) -> bytes:
    """Avro's string and bytes."""
    return _cached_number(len(value)) + value


@lru_cache(1024)
def place(topic: str, partition: int) -> bytes:
    """The constant middle of where a record lay."""
    return text(topic.encode()) + number(partition)


@lru_cache(64)
def written(time_ms: int) -> bytes:
    """When Kafka took it; many records of a batch share it."""
    return number(time_ms)


def _opening(schema: dict[str, Any]) -> bytes:
    body = json.dumps(schema).encode()
    return (
        b"Obj\x01"
        + number(2)
        + text(b"avro.schema")
        + text(body)
        + text(b"avro.codec")
        + text(b"null")
        + number(0)
        + _SYNC
    )


def container(opening: bytes, rows: Iterable[bytes]) -> bytes:
    """An Avro container of these rows, each in a block of its own."""
    one = number(1)
    pieces = [opening]
    for row in rows:
        pieces += (one, _cached_number(len(row)), row, _SYNC)
    return b"".join(pieces)


def event_place(event_id: bytes, topic: bytes, partition: int, offset: int, written_ms: int) -> bytes:
    """The columns that every table has, in RowBinary. `topic` is encoded already."""
    return b"".join((binary(event_id), topic, _PLACE_BINARY.pack(partition, offset, written_ms)))


_PLACE_BINARY = struct.Struct("<iqq")


def binary(value: bytes) -> bytes:
    """RowBinary's string: its length, seven bits a byte, lowest first, and its bytes."""
    size = len(value)
    if size < 0x80:
        return _SMALL[size] + value
    return _length(size) + value


@lru_cache(4096)
def _length(size: int) -> bytes:
    out = bytearray()
    while size > 0x7F:
        out.append((size & 0x7F) | 0x80)
        size >>= 7
    out.append(size)
    return bytes(out)


def headers_map(headers: list[tuple[str, bytes | None]] | None) -> bytes:
    """RowBinary's map of the headers; of a name that comes twice, both are kept."""
    if not headers:
        return b"\x00"
    return _length(len(headers)) + b"".join([_name(name) + binary(value or b"") for name, value in headers])


@lru_cache(256)
def _name(name: str) -> bytes:
    return binary(name.encode())
