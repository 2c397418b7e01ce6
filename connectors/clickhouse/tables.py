"""Tables: what each record type becomes in ClickHouse, from the record alone.

A record is a row in the table of its name in snake case, written from its home topic (the first one that the map lets
it travel on), so that a record on two topics is one row. Its columns:

- where it lay and who it is: `event_id`, `topic`, `partition`, `offset`, `written_at` (when Kafka took it);
- its fields. A time loses its `_us` and is a DateTime64(6). A decimal is a Decimal(38, 12), never a float. Words of
  few values (enums, ids of accounts, instruments, strategies ...) are LowCardinality. The fields of a part are columns
  with its name before them. A list of parts is an Array of named Tuples, so that `checks.code` is a column and
  `ARRAY JOIN checks` a row for each: typed and columnar as Nested is, and in the very order in which Avro holds it,
  so rows are inserted as the bytes that lay in Kafka and nothing between can change a figure.

All tables are ReplacingMergeTree ordered by key, time and event id: what was written twice is one row at last, and one
row for whoever reads FINAL, as all views do.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from connectors.clickhouse.retention import days_kept
from schemas.avro_schema import Shape, shapes
from schemas.record import Part, Record, field_docs, summary
from schemas.topics import TOPICS, Topic

FEW = frozenset(
    {
        "account_id", "instrument_id", "strategy_id", "strategy_name", "provider_id", "venue", "symbol", "currency",
        "fee_currency", "quote_currency", "settlement_currency", "base_currency", "code", "check_id", "feed_id",
        "clock_id", "relay_id", "model_name", "model_version", "calendar", "sector", "scope_id", "room", "source_topic",
        "trigger", "name", "author", "member", "prompt_version",
    }
)  # fmt: skip
"""Texts of few values."""

LOOKED_UP = ("client_order_id", "intent_id", "signal_id", "fill_id", "original_client_order_id")
"""Ids by which people look for single rows; a Bloom filter says in which blocks one cannot be."""

_DAY = "toDate(subtractMicroseconds(event_time, 1))"
_NEWEST_POSITION = (
    "quantity", "average_price", "mark", "notional", "realised_pnl", "unrealised_pnl", "fees", "currency",
)  # fmt: skip
_NEWEST_PNL = (
    "currency", "tuple(equity)", "tuple(drawdown)", "realised_pnl", "tuple(unrealised_pnl)", "fees", "fills",
    "closed_trades", "winning_trades", "turnover",
)  # fmt: skip
_NEWEST_EQUITY = ("currency", "equity", "tuple(net_deposits)")
_FOUR_HOURS = "intDiv(toUnixTimestamp64Micro(event_time), 14400000000)"


def _newest(by: tuple[str, ...], what: tuple[str, ...], more: str = "") -> str:
    keys = ", ".join(by)
    return f"SELECT {keys}, {', '.join(f'argMax({one}, `offset`)' for one in what)}{more} GROUP BY {keys}"


PROJECTIONS: Mapping[str, Mapping[str, str]] = {
    "position_state": {
        "newest": _newest(("account_id", "instrument_id"), _NEWEST_POSITION, ", max(event_time)"),
    },
    "pnl_snapshot": {"daily": _newest((_DAY, "account_id", "dimension", "member"), _NEWEST_PNL)},
    "risk_snapshot": {"daily": _newest((_DAY, "account_id"), _NEWEST_EQUITY)},
    "mark": {
        "extremes": (f"SELECT instrument_id, {_FOUR_HOURS}, min(low), max(high) GROUP BY instrument_id, {_FOUR_HOURS}"),
    },
}
"""What views ask of whole tables, kept with each part by table and name. Newest, least and greatest only: these are the
same where a row lies twice. `positions_now`, `pnl_daily`, `equity_daily` and `trades` ask in the same words."""

DEDUPLICATED_INSERTS = 1_000
"""Inserts whose tokens each table remembers: a chunk is repeated long before so many others were written."""

KEEPS_PROJECTIONS = "deduplicate_merge_projection_mode = 'rebuild'"
"""Without it no table that drops what lies twice may have a projection."""

EVENTS = "events"
CHUNKS = "sink_chunks"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, its ClickHouse type, the codec that keeps it small, and what it means."""

    name: str
    type: str
    codec: str = ""
    doc: str = ""

    @property
    def sql(self) -> str:
        """As CREATE TABLE and ADD COLUMN write it."""
        codec = f" CODEC({self.codec})" if self.codec else ""
        comment = " COMMENT '" + self.doc.replace("\\", "\\\\").replace("'", "\\'") + "'" if self.doc else ""
        return f"`{self.name}` {self.type}{codec}{comment}"


@dataclass(frozen=True, slots=True)
class Table:
    """One table."""

    name: str
    columns: tuple[Column, ...]
    order_by: tuple[str, ...]
    doc: str
    ttl_days: int | None

    @property
    def indexes(self) -> dict[str, str]:
        """Skipping indexes by name, as CREATE TABLE and ADD INDEX write them."""
        found = (column.name for column in self.columns if column.name in LOOKED_UP)
        return {f"by_{name}": f"INDEX by_{name} {name} TYPE bloom_filter GRANULARITY 1" for name in found}

    @property
    def projections(self) -> dict[str, str]:
        """Kept answers by name, as CREATE TABLE and ADD PROJECTION write them."""
        return {name: f"PROJECTION {name} ({sql})" for name, sql in PROJECTIONS.get(self.name, {}).items()}

    def create(self, database: str) -> str:
        """Make it, where it is not."""
        parts = [*(column.sql for column in self.columns), *self.indexes.values(), *self.projections.values()]
        columns = ",\n    ".join(parts)
        kept = f", {KEEPS_PROJECTIONS}" if self.projections else ""
        order = ", ".join(f"`{name}`" for name in self.order_by)
        return (
            f"CREATE TABLE IF NOT EXISTS `{database}`.`{self.name}`\n(\n    {columns}\n)\n"
            f"ENGINE = ReplacingMergeTree\nPARTITION BY toYYYYMM(written_at)\nORDER BY ({order})\n{self._ttl}"
            f"SETTINGS non_replicated_deduplication_window = {DEDUPLICATED_INSERTS}{kept}\n"
            f"COMMENT '{self.doc.replace(chr(39), chr(92) + chr(39))}'"
        )

    @property
    def _ttl(self) -> str:
        if self.ttl_days is None:
            return ""
        return f"TTL toDateTime(written_at) + INTERVAL {self.ttl_days} DAY\n"


PLACE = (
    Column("event_id", "String", "ZSTD(1)", "who the record is; the same id is the same record"),
    Column("topic", "LowCardinality(String)", "", "where it lay"),
    Column("partition", "Int32", "T64, ZSTD(1)", "where it lay"),
    Column("offset", "Int64", "Delta(8), ZSTD(1)", "where it lay"),
    Column("written_at", "DateTime64(3, 'UTC')", "Delta(8), ZSTD(1)", "when Kafka took it"),
)
"""Columns of every table."""

_TIME = "DateTime64(6, 'UTC')"


def home(record: type[Record]) -> Topic:
    """The topic from which the record's table is written."""
    return next(topic for topic in TOPICS if record in topic.records)


def table_name(record: type[Record]) -> str:
    """Snake case of the type's name: OrderEvent is `order_event`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", record.__name__).lower()


def table_of(record: type[Record]) -> Table:
    """The table of a record type."""
    columns = (*PLACE, *_columns(record))
    key = home(record).key
    order_by = (key,) if key in record.__struct_fields__ else ()
    return Table(
        name=table_name(record),
        columns=columns,
        order_by=(*order_by, "event_time", "event_id"),
        doc=summary(record),
        ttl_days=days_kept(record),
    )


def events_table() -> Table:
    """Every record of every topic as it came, readable or not."""
    columns = (
        *PLACE,
        Column("record", "LowCardinality(String)", "", "type of the record; empty where it could not be read"),
        Column("key", "String", "ZSTD(1)", "as it came"),
        Column("headers", "Map(LowCardinality(String), String)", "ZSTD(1)", "names and values as they came"),
        Column(
            "problem", "String", "ZSTD(1)", "why there is no row in the table of its type; empty where there is one"
        ),
        Column("value", "String", "ZSTD(3)", "as it came"),
    )
    return Table(EVENTS, columns, ("topic", "partition", "offset"), events_table.__doc__ or "", days_kept(None))


def tables() -> list[Table]:
    """All tables that the sink fills."""
    records = dict.fromkeys(record for topic in TOPICS for record in topic.records)
    return [events_table(), *(table_of(record) for record in records)]


def column_name(field: str, *, time: bool, prefix: str = "") -> str:
    """A field's column: a time loses its unit, a part's field gets the part's name unless it bears it already."""
    name = field.removesuffix("_us") if time else field
    return name if not prefix or name.startswith(f"{prefix}_") else f"{prefix}_{name}"


def _columns(part: type[Part], prefix: str = "") -> Iterator[Column]:
    docs = field_docs(part)
    for field, shape in shapes(part).items():
        name = column_name(field, time=shape.time, prefix=prefix)
        if issubclass(shape.kind, Part) and not shape.many:
            assert not shape.optional, f"{part.__name__}.{field}: an optional part has no columns"
            yield from _columns(shape.kind, name)
        else:
            yield Column(name, _type(field, shape), _codec(shape), docs.get(field, ""))


def _type(field: str, shape: Shape) -> str:
    if issubclass(shape.kind, Part):
        inside = ", ".join(
            f"`{column_name(name, time=inner.time)}` {_type(name, inner)}" for name, inner in shapes(shape.kind).items()
        )
        return f"Array(Tuple({inside}))"
    plain = _plain(field, shape)
    if shape.many:
        return f"Array({plain})"
    if not shape.optional:
        return plain
    if plain.startswith("LowCardinality"):
        return "LowCardinality(Nullable(String))"
    return f"Nullable({plain})"


def _plain(field: str, shape: Shape) -> str:
    if shape.time:
        return _TIME
    if issubclass(shape.kind, StrEnum) or (shape.kind is str and field in FEW):
        return "LowCardinality(String)"
    types: dict[Any, str] = {
        str: "String",
        bytes: "String",
        bool: "Bool",
        int: "Int64",
        float: "Float64",
        Decimal: "Decimal(38, 12)",
    }
    return types[shape.kind]


def _codec(shape: Shape) -> str:
    if shape.time and not shape.many and not shape.optional:
        return "Delta(8), ZSTD(1)"
    if shape.kind is bool or issubclass(shape.kind, StrEnum):
        return ""
    return "ZSTD(1)"
