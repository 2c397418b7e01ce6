"""What lay in Kafka, for tests without Kafka: records as the sink takes them."""

import time
from collections.abc import Iterable
from typing import Any

from connectors.clickhouse.chunks import Contents, Place, Taken, schema_ids, write
from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.rows import Layout, layout
from schemas import topics
from schemas.avro_schema import avro_text
from schemas.codec import Codec
from schemas.record import Record
from schemas.topics import Topic

WRITTEN_MS = time.time_ns() // 1_000_000
"""Retention counts from when Kafka took a record, so that cannot be long ago."""
CODEC = Codec.local()
RECORDS = list(topics.records())


def schema_text(schema_id: int) -> str:
    """The registry of `CODEC`."""
    if not 0 < schema_id <= len(RECORDS):
        raise LookupError(schema_id)
    return avro_text(RECORDS[schema_id - 1])


def taken(record: Record, offset: int, event_id: str | None = None) -> Taken:
    """The record as it lay at this offset; without an id of its own it is named by its number."""
    name = event_id or f"id-{type(record).__name__}-{offset}"
    headers: list[tuple[str, bytes | None]] = [
        ("event_id", name.encode()),
        ("event_time", b"%d" % record.event_time_us),
    ]
    return Taken(offset, WRITTEN_MS + offset, b"key", CODEC.encode(record), headers)


def layouts(ids: Iterable[int]) -> dict[int, Layout | str]:
    return {schema_id: layout(schema_text(schema_id)) for schema_id in ids if schema_id > 0}


def keep(server: ClickHouse, records: Iterable[tuple[Topic, Record]], token: str = "t") -> int:
    """Write the records as a sink would, all in one chunk; return the rows."""
    by_place: dict[Place, list[Taken]] = {}
    for number, (topic, record) in enumerate(records):
        by_place.setdefault(Place(topic.name, 0), []).append(taken(record, number))
    return write(server, Contents(by_place, layouts(schema_ids(by_place))), token).total()


def column(server: ClickHouse, sql: str, **parameters: Any) -> list[Any]:
    """The first column of a question; `{db}` is the database."""
    return [row[0] for row in server.rows(sql.replace("{db}", server.database), parameters)]
