"""What a record becomes in ClickHouse: complete, exact, and written as the bytes that lay in Kafka."""

from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest

from connectors.clickhouse.chunks import EVENT_ID as SINK_EVENT_ID
from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.retention import KEPT, LEGAL_DAYS
from connectors.clickhouse.rows import NotOurs, layout
from connectors.clickhouse.tables import column_name, events_table, home, table_name, table_of, tables
from schemas import topics
from schemas.avro_schema import shapes
from schemas.execution import ExecutionReport, Fill
from schemas.order import CancelOrder, OrderEvent, QueryOrder, ReplaceOrder, SubmitOrder
from schemas.record import Part, Record
from schemas.risk import LimitChange, RiskVerdict
from schemas.scalars import SCALE, datetime_of
from streams.runtime.headers import EVENT_ID
from tests.connectors.clickhouse.kept import RECORDS, column, keep
from tests.schemas.examples import example


def test_every_record_that_travels_has_a_table_of_its_own() -> None:
    names = [table.name for table in tables()]
    assert len(set(names)) == len(names) == len(RECORDS) + 1
    assert events_table().name in names


@pytest.mark.parametrize("table", tables(), ids=lambda table: table.name)
def test_no_table_has_two_columns_of_one_name(table: Any) -> None:
    names = [each.name for each in table.columns]
    assert len(set(names)) == len(names)
    assert set(table.order_by) <= set(names)


def test_no_figure_is_kept_as_a_float_that_was_a_decimal() -> None:
    for record in RECORDS:
        kinds = {column.name: column.type for column in table_of(record).columns}
        for field, shape in shapes(record).items():
            if shape.kind is Decimal:
                assert f"Decimal(38, {SCALE})" in kinds[column_name(field, time=False)], f"{record.__name__}.{field}"


def test_what_was_ordered_traded_and_decided_is_kept_as_long_as_the_law_wants() -> None:
    must: list[type[Record]] = [
        SubmitOrder,
        CancelOrder,
        ReplaceOrder,
        QueryOrder,
        OrderEvent,
        ExecutionReport,
        Fill,
        RiskVerdict,
        LimitChange,
    ]
    for record in must:
        assert (table_of(record).ttl_days or LEGAL_DAYS) >= LEGAL_DAYS
    assert LEGAL_DAYS >= 6 * 365


def test_every_name_in_the_retention_policy_is_a_record() -> None:
    assert set(KEPT) <= {record.__name__ for record in RECORDS}


def test_the_sink_and_the_doors_agree_on_the_name_of_the_id() -> None:
    assert SINK_EVENT_ID == EVENT_ID


def test_a_schema_that_is_no_record_of_ours_is_refused() -> None:
    for text in ('"string"', "{", '{"type": "record", "name": "Fill", "namespace": "theirs", "fields": []}'):
        with pytest.raises(NotOurs):
            layout(text)


def expected(value: Any) -> Any:
    """The value as ClickHouse gives it back."""
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Part):
        kinds = shapes(type(value))
        return {
            column_name(name, time=kinds[name].time): datetime_of(getattr(value, name))
            if kinds[name].time
            else expected(getattr(value, name))
            for name in value.__struct_fields__
        }
    if isinstance(value, list):
        return [expected(item) for item in value]
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def flat(part: Part, prefix: str = "") -> dict[str, Any]:
    """Column values of a record by column name."""
    found: dict[str, Any] = {}
    for name, shape in shapes(type(part)).items():
        value = getattr(part, name)
        at = column_name(name, time=shape.time, prefix=prefix)
        if isinstance(value, Part):
            found |= flat(value, at)
        else:
            found[at] = datetime_of(value) if shape.time and isinstance(value, int) else expected(value)
    return found


@pytest.mark.servers
def test_every_field_of_every_record_arrives_exactly(database: ClickHouse) -> None:
    examples: list[Record] = [example(record) for record in RECORDS]
    keep(database, [(home(type(record)), record) for record in examples])
    for record in examples:
        table = table_name(type(record))
        names, rows = database.question(f"SELECT * FROM `{database.database}`.`{table}`")
        assert len(rows) == 1, table
        row = dict(zip(names, rows[0], strict=True))
        wanted = flat(record)
        assert {name: row[name] for name in wanted} == wanted, table


@pytest.mark.servers
def test_optional_fields_that_are_absent_are_null(database: ClickHouse) -> None:
    full: RiskVerdict = example(RiskVerdict)
    bare = RiskVerdict(
        **{name: getattr(full, name) for name in full.__struct_fields__ if name not in ("side", "price")},
    )
    keep(database, [(home(RiskVerdict), bare)])
    assert database.rows(f"SELECT side, price FROM `{database.database}`.risk_verdict") == [(None, None)]


@pytest.mark.servers
def test_a_record_on_two_topics_is_one_row_in_its_table_and_two_events(database: ClickHouse) -> None:
    fill = example(Fill)
    assert keep(database, [(topics.ACCOUNTS_EVENTS, fill), (topics.FILLS, fill)]) == 3
    assert column(database, "SELECT topic FROM {db}.fill") == ["accounts.events"]
    assert column(database, "SELECT topic FROM {db}.events ORDER BY topic") == ["accounts.events", "fills"]


@pytest.mark.servers
def test_the_same_chunk_written_twice_is_there_once(database: ClickHouse) -> None:
    records = [(home(record), example(record)) for record in RECORDS]
    for _ in range(3):
        keep(database, records, token="same")
    assert column(database, "SELECT count() FROM {db}.events") == [len(RECORDS)]
    assert column(database, "SELECT count() FROM {db}.fill") == [1]


@pytest.mark.servers
def test_the_same_record_written_in_another_chunk_is_one_row_for_who_reads_final(database: ClickHouse) -> None:
    for token in ("one", "two"):
        keep(database, [(home(Fill), example(Fill))], token=token)
    assert column(database, "SELECT count() FROM {db}.fill FINAL") == [1]
    assert column(database, "SELECT count() FROM {db}.events FINAL") == [1]
