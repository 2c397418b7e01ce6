"""What the HTTP door reads in a statement."""

import pytest

from connectors.embedded.clickhouse_sql import Refused, Statement, parse

FORMATS = {"json": "JSON", "csv": "CSV", "native": "Native"}


@pytest.mark.parametrize(
    ("sql", "statement"),
    [
        (b"INSERT INTO t FORMAT Native\n\x00\xff", Statement(b"INSERT INTO t ", "Native", b"\x00\xff")),
        (b"insert into t(a, format) format CSV 1,2", Statement(b"insert into t(a, format) ", "CSV", b"1,2")),
        (b"INSERT INTO t FORMAT CSV \r\n\n1", Statement(b"INSERT INTO t ", "CSV", b"\n1")),
        (
            b"/* FORMAT */ INSERT INTO t -- FORMAT x\nFORMAT CSV",
            Statement(b"/* FORMAT */ INSERT INTO t -- FORMAT x\n", "CSV"),
        ),
        (
            b"INSERT INTO FUNCTION file('FORMAT', CSV) FORMAT CSV\n1",
            Statement(b"INSERT INTO FUNCTION file('FORMAT', CSV) ", "CSV", b"1"),
        ),
        (b"INSERT INTO format FORMAT CSV\n1", Statement(b"INSERT INTO format ", "CSV", b"1")),
        (b"INSERT INTO `format` FORMAT CSV\n1", Statement(b"INSERT INTO `format` ", "CSV", b"1")),
    ],
)
def test_an_insert_is_taken_apart_from_its_rows(sql: bytes, statement: Statement) -> None:
    assert parse(sql, FORMATS) == statement


@pytest.mark.parametrize(
    "sql",
    [b"INSERT INTO t VALUES (1, 'a; FORMAT CSV')", b"INSERT INTO t SELECT 1", b"INSERT INTO t WITH 1 AS a SELECT a"],
)
def test_an_insert_that_carries_its_own_rows_goes_to_the_engine_whole(sql: bytes) -> None:
    assert parse(sql, FORMATS) == Statement(sql)


@pytest.mark.parametrize(
    ("sql", "output_format"),
    [
        (b"SELECT 1 FORMAT JSON", "JSON"),
        (b"SELECT 1 format json;", "JSON"),
        (b"SELECT 1 FORMAT CSV SETTINGS max_threads = 1", "CSV"),
        (b"SELECT 'FORMAT JSON'", None),
        (b"SELECT 1 -- FORMAT JSON", None),
        (b"SELECT (SELECT 1 AS format JSON)", None),
        (b"SELECT 1 AS format ORDER BY format DESC", None),
        (b"SELECT 1 FORMAT", None),
    ],
)
def test_the_output_format_is_read_from_the_statement(sql: bytes, output_format: str | None) -> None:
    assert parse(sql, FORMATS).output_format == output_format


@pytest.mark.parametrize(
    "sql",
    [
        b"CREATE TABLE k (a String) ENGINE = Kafka('h:1', 't', 'g', 'CSV')",
        b"create table k (a String) engine=kafka settings kafka_topic_list = 't'",
        b"CREATE TABLE k (a String) ENGINE /* = Null */ Kafka",
        b"ATTACH TABLE k (a String) ENGINE = `Kafka`()",
    ],
)
def test_a_kafka_table_is_refused_before_the_engine_sees_it(sql: bytes) -> None:
    with pytest.raises(Refused, match="Kafka tables are not supported"):
        parse(sql, FORMATS)


def test_the_word_kafka_alone_is_no_reason_to_refuse() -> None:
    assert parse(b"SELECT 'ENGINE = Kafka', engine, kafka FROM kafka", FORMATS).output_format is None


@pytest.mark.parametrize("sql", [b"", b"  \n", b"-- only a comment", b"/* never closed"])
def test_an_empty_statement_is_refused(sql: bytes) -> None:
    with pytest.raises(Refused, match="empty query"):
        parse(sql, FORMATS)


def test_one_request_carries_one_statement() -> None:
    assert parse(b"SELECT 1;;  -- done", FORMATS) == Statement(b"SELECT 1;;  -- done")
    with pytest.raises(Refused, match="Multi-statements"):
        parse(b"SELECT 1; DROP TABLE t", FORMATS)


@pytest.mark.parametrize(
    "sql", [b"SELECT 1 INTO OUTFILE '/tmp/x'", b"INSERT INTO t FROM INFILE '/etc/hosts' FORMAT CSV"]
)
def test_files_of_the_machine_are_refused(sql: bytes) -> None:
    with pytest.raises(Refused, match="Files of the server's machine"):
        parse(sql, FORMATS)


@pytest.mark.parametrize(
    "sql", [b"DROP TABLE t", b"INSERT INTO t VALUES (1)", b"CREATE TABLE t (a UInt8) ENGINE = Null"]
)
def test_a_get_does_not_change_anything(sql: bytes) -> None:
    with pytest.raises(Refused, match="readonly"):
        parse(sql, FORMATS, read_only=True)


def test_a_get_may_ask() -> None:
    assert parse(b"(SELECT 1)", FORMATS, read_only=True) == Statement(b"(SELECT 1)")
