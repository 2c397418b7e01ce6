"""Native blocks for clients that name their revision, as Grafana's does."""

import httpx
import pytest

from connectors.embedded.clickhouse import ClickHouseServer
from connectors.embedded.clickhouse_native import Unmarkable, for_revision

HEADER = b"\x01\x00\x02\xff\xff\xff\xff\x00"
END = b"\x03end\x05UInt8"
"""How the last column's name and type are written, before its rows."""

EXPRESSIONS = {
    "UInt8": "toUInt8(number)",
    "Int256": "toInt256(number)",
    "Float64": "number / 3",
    "Bool": "CAST(number % 2 AS Bool)",
    "String": "repeat('x', number * 100)",
    "FixedString(7)": "toFixedString('abc', 7)",
    "Nullable(String)": "if(number % 2 = 0, NULL, toString(number))",
    "Decimal(9, 2)": "toDecimal32(number, 2)",
    "Decimal(18, 4)": "toDecimal64(number, 4)",
    "Decimal(38, 12)": "toDecimal128(number, 12)",
    "Decimal(76, 20)": "toDecimal256(number, 20)",
    "Date": "toDate(number)",
    "Date32": "toDate32(number)",
    "DateTime": "toDateTime(number)",
    "DateTime64(6, 'UTC')": "toDateTime64(number, 6, 'UTC')",
    "UUID": "generateUUIDv4(number)",
    "IPv4": "toIPv4('1.2.3.4')",
    "IPv6": "toIPv6('::1')",
    "IntervalDay": "toIntervalDay(number)",
    "Enum8('(a' = 1, 'b,)' = 2)": "CAST(if(number % 2 = 0, '(a', 'b,)') AS Enum8('(a' = 1, 'b,)' = 2))",
    "Array(UInt8)": "arrayMap(x -> toUInt8(x), range(number % 4))",
    "Array(Array(String))": "[range(number % 3)::Array(String), ['a']]",
    "Map(String, UInt64)": "map('k', number, 'l', number + 1)",
    "Tuple(UInt64, String)": "(number, toString(number))",
    "Tuple(`odd, name` UInt64, b Decimal(9, 2))": "(number, number)",
    "LowCardinality(String)": "toLowCardinality(toString(number % 3))",
    "LowCardinality(Nullable(String))": "toLowCardinality(if(number % 3 = 0, NULL, toString(number)))",
    "Array(LowCardinality(String))": "arrayMap(x -> toString(x), range(number % 4))",
    "Map(LowCardinality(String), Array(UInt64))": "map('k', [number])",
    "Tuple(LowCardinality(String), LowCardinality(String))": "('a', toString(number))",
    "Point": "CAST((1.5, number) AS Point)",
    "Polygon": "CAST([[(1.0, 2.0), (3.0, 4.0)]] AS Polygon)",
    "SimpleAggregateFunction(sum, UInt64)": "CAST(number AS SimpleAggregateFunction(sum, UInt64))",
}


def native(server: ClickHouseServer, sql: str, **parameters: str) -> bytes:
    answer = httpx.post(server.url, params={"default_format": "Native", **parameters}, content=sql, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.mark.servers
@pytest.mark.parametrize("rows", [1, 3, 300])
@pytest.mark.parametrize("kind", EXPRESSIONS)
def test_each_column_is_marked_where_its_rows_begin(clickhouse_server: ClickHouseServer, kind: str, rows: int) -> None:
    value = EXPRESSIONS[kind] if "Interval" in kind else f"CAST({EXPRESSIONS[kind]} AS {kind})"
    sql = f"SELECT {value} AS c, toUInt8(7) AS end FROM numbers({rows}) SETTINGS max_block_size = 65536"
    plain = native(clickhouse_server, sql)
    head, end, tail = plain.rpartition(END)
    name_and_type = b"\x01c" + bytes([len(kind)]) + kind.encode()
    size, name_and_type, column = head.partition(name_and_type)
    assert name_and_type, f"the engine calls the type otherwise: {head[:80]!r}"
    assert tail == b"\x07" * rows
    expected = HEADER + size + name_and_type + b"\0" + column + end + b"\0" + tail
    # What generates its values anew for each query cannot be asked twice.
    marked = (
        for_revision(plain, 54454)
        if "generate" in sql
        else native(clickhouse_server, sql, client_protocol_version="54454")
    )
    assert marked == expected


@pytest.mark.servers
def test_every_block_gets_its_header(clickhouse_server: ClickHouseServer) -> None:
    sql = "SELECT toUInt8(1) AS c FROM numbers(10) SETTINGS max_block_size = 3"
    blocks = [HEADER + b"\x01" + bytes([rows]) + b"\x01c\x05UInt8\0" + b"\x01" * rows for rows in (3, 3, 3, 1)]
    assert native(clickhouse_server, sql, client_protocol_version="54515") == b"".join(blocks)


@pytest.mark.servers
@pytest.mark.parametrize("revision", ["0", "54405", "54453", "x"])
def test_an_older_client_gets_what_the_engine_writes(clickhouse_server: ClickHouseServer, revision: str) -> None:
    sql = "SELECT toUInt8(1) AS c"
    assert native(clickhouse_server, sql, client_protocol_version=revision) == b"\x01\x01\x01c\x05UInt8\x01"


@pytest.mark.servers
def test_another_format_is_left_alone(clickhouse_server: ClickHouseServer) -> None:
    assert native(clickhouse_server, "SELECT 1 FORMAT CSV", client_protocol_version="54515") == b"1\n"


@pytest.mark.servers
def test_a_type_without_a_known_size_is_refused_with_the_way_out(clickhouse_server: ClickHouseServer) -> None:
    parameters = {"default_format": "Native", "client_protocol_version": "54515"}
    sql = "SELECT '{\"a\": 1}'::JSON AS j"
    answer = httpx.post(clickhouse_server.url, params=parameters, content=sql, trust_env=False)
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (501, "48")
    assert "type JSON is not offered to this client: cast it to a String" in answer.text


def test_a_block_without_rows_and_no_block_at_all_are_marked_too() -> None:
    assert for_revision(b"\x01\x00\x01c\x05UInt8", 54454) == HEADER + b"\x01\x00\x01c\x05UInt8\0"
    assert for_revision(b"", 54454) == b""


def test_a_long_text_is_passed_over_whole() -> None:
    text = b"\xac\x02" + b"x" * 300
    body = b"\x01\x01\x01c\x06String" + text
    assert for_revision(body, 54454) == HEADER + b"\x01\x01\x01c\x06String\0" + text


@pytest.mark.parametrize(
    "kind", ["JSON", "Dynamic", "Variant(String, UInt8)", "AggregateFunction(sum, UInt8)", "Unheard"]
)
def test_types_of_unknown_size_are_named(kind: str) -> None:
    body = b"\x01\x01\x01c" + bytes([len(kind)]) + kind.encode() + b"\0"
    with pytest.raises(Unmarkable, match=kind.partition("(")[0]):
        for_revision(body, 54454)
