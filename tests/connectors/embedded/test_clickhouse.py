"""The embedded ClickHouse through stock clients: clickhouse-connect, curl and plain HTTP."""

import asyncio
import json
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import clickhouse_connect
import httpx
import pytest

from connectors.embedded.clickhouse import ClickHouseServer

pytestmark = pytest.mark.servers


def connected(server: ClickHouseServer, **options: Any) -> Any:
    return clickhouse_connect.get_client(host="127.0.0.1", port=server.port, **options)


@pytest.fixture
def client(clickhouse_server: ClickHouseServer) -> Iterator[Any]:
    """A client in a database of its own."""
    database = f"t_{uuid.uuid4().hex}"
    with connected(clickhouse_server) as first:
        first.command(f"CREATE DATABASE {database}")
    with connected(clickhouse_server, database=database) as client:
        yield client
        client.command(f"DROP DATABASE {database}")


@pytest.fixture
def http(clickhouse_server: ClickHouseServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=clickhouse_server.url, trust_env=False) as http:
        yield http


def test_rows_come_back_as_they_were_inserted(client: Any) -> None:
    client.command(
        "CREATE TABLE fills (id UInt64, at DateTime64(6, 'UTC'), price Decimal(38, 12), tags Array(String),"
        " note Nullable(String))"
        " ENGINE = MergeTree ORDER BY id"
    )
    rows = [
        [1, datetime(2024, 1, 2, 3, 4, 5, 678901, UTC), Decimal("101.250000000001"), ["a", "b'\t"], None],
        [2, datetime(2024, 1, 2, 3, 4, 6, 0, UTC), Decimal("-0.5"), [], "line\nline \\"],
    ]
    summary = client.insert("fills", rows, column_names=["id", "at", "price", "tags", "note"])
    assert summary.written_rows == 2
    found = client.query("SELECT * FROM fills ORDER BY id").result_rows
    assert [[row[0], row[1].replace(tzinfo=UTC), *row[2:]] for row in found] == rows


@pytest.mark.parametrize("value", ["plain", "it's", "tab\tline\nslash\\", "{a:String}", "ü✓", ""])
def test_a_typed_parameter_arrives_as_it_was_given(client: Any, value: str) -> None:
    assert client.query("SELECT {value:String}", parameters={"value": value}).result_rows == [(value,)]


def test_a_long_parameter_list_arrives(client: Any) -> None:
    numbers = list(range(20_000))
    answer = client.query("SELECT sum(n) FROM (SELECT arrayJoin({n:Array(UInt32)}) AS n)", parameters={"n": numbers})
    assert answer.result_rows == [(199_990_000,)]


@pytest.mark.parametrize("compress", ["lz4", "zstd", "gzip", False])
def test_compressed_and_plain_bodies_hold_the_same(clickhouse_server: ClickHouseServer, compress: str | bool) -> None:
    table = f"c_{uuid.uuid4().hex}"
    with connected(clickhouse_server, compress=compress) as client:
        client.command(f"CREATE TABLE {table} (a UInt32, b String) ENGINE = MergeTree ORDER BY a")
        client.insert(table, [[number, "x" * 50] for number in range(10_000)], column_names=["a", "b"])
        assert client.query(f"SELECT sum(a), sum(length(b)) FROM {table}").result_rows == [(49_995_000, 500_000)]
        assert len(client.query(f"SELECT * FROM {table}").result_rows) == 10_000


def test_the_asynchronous_client_inserts_and_asks(clickhouse_server: ClickHouseServer) -> None:
    pytest.importorskip("aiohttp", reason="the asynchronous client needs aiohttp")
    table = f"a_{uuid.uuid4().hex}"

    async def insert_and_ask() -> list[Any]:
        client = await clickhouse_connect.get_async_client(host="127.0.0.1", port=clickhouse_server.port)
        await client.command(f"CREATE TABLE {table} (a UInt32) ENGINE = MergeTree ORDER BY a")
        await asyncio.gather(*(client.insert(table, [[number]], column_names=["a"]) for number in range(10)))
        answer = await client.query(f"SELECT sum(a), count() FROM {table}")
        await client.close()
        return list(answer.result_rows)

    assert asyncio.run(insert_and_ask()) == [(45, 10)]


def test_an_unknown_table_is_named_with_its_code(client: Any) -> None:
    with pytest.raises(clickhouse_connect.driver.exceptions.DatabaseError) as caught:
        client.query("SELECT * FROM nowhere")
    assert caught.value.code == 60
    assert "nowhere" in str(caught.value)


@pytest.mark.parametrize(
    ("sql", "status", "code"),
    [
        ("SELECT * FROM nowhere", 404, "60"),
        ("SELEC", 404, "47"),
        ("SELECT (", 400, "62"),
        ("SELECT 1; SELECT 2", 400, "62"),
        ("INSERT INTO system.one FORMAT CSV\n1", 501, "48"),
        ("SELECT throwIf(1)", 500, "395"),
        ("CREATE TABLE k (a String) ENGINE = Kafka('h:1', 't', 'g', 'CSV')", 400, "344"),
        (b"SELECT '\xff\xfe'", 400, "62"),
    ],
)
def test_an_error_has_clickhouse_s_status_and_code(
    http: httpx.Client, sql: str | bytes, status: int, code: str
) -> None:
    answer = http.post("/", content=sql)
    assert (answer.status_code, answer.headers.get("X-ClickHouse-Exception-Code")) == (status, code)
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")


def test_rows_that_cannot_be_read_are_refused_whole(client: Any, http: httpx.Client) -> None:
    client.command("CREATE TABLE numbers (a UInt8) ENGINE = MergeTree ORDER BY a")
    answer = http.post(f"/?database={client.database}", content="INSERT INTO numbers FORMAT CSV\n1\n2\nthree\n")
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (400, "117")
    assert client.command("SELECT count() FROM numbers") == 0


def test_a_kafka_table_refused_leaves_the_folder_usable(tmp_path: Path) -> None:
    server = ClickHouseServer.start(tmp_path, port=0)
    refused = httpx.post(server.url, content="CREATE TABLE k (a String) ENGINE = Kafka('h:1', 't', 'g', 'CSV')")
    server.stop()
    again = ClickHouseServer.start(tmp_path, port=0)
    tables = httpx.post(again.url, content="SHOW TABLES").text
    again.stop()
    assert (refused.status_code, tables) == (400, "")


def test_use_and_set_do_not_reach_the_next_request(http: httpx.Client) -> None:
    http.post("/", content="USE system").raise_for_status()
    http.post("/", content="SET max_threads = 1").raise_for_status()
    assert http.post("/?max_block_size=7", content="SELECT getSetting('max_block_size')").text == "7\n"
    assert http.post("/", content="SELECT currentDatabase()").text == "default\n"
    assert http.post("/", content="SELECT changed FROM system.settings WHERE name = 'max_block_size'").text == "0\n"
    assert http.post("/", content="SELECT changed FROM system.settings WHERE name = 'max_threads'").text == "0\n"


def test_a_session_keeps_what_its_sql_set_and_forgets_what_a_request_set(http: httpx.Client) -> None:
    session = f"/?session_id={uuid.uuid4().hex}"
    http.post(session, content="SET max_threads = 3").raise_for_status()
    http.post(session, content="CREATE TEMPORARY TABLE mine (a UInt8)").raise_for_status()
    setting = "SELECT value FROM system.settings WHERE name = '{}'"
    assert http.post(f"{session}&max_threads=5&max_block_size=7", content=setting.format("max_threads")).text == "5\n"
    assert http.post(session, content=setting.format("max_threads")).text == "3\n"
    assert http.post(session, content="SELECT changed FROM system.settings WHERE name = 'max_block_size'").text == "0\n"
    assert http.post(f"{session}&database=system", content="SELECT currentDatabase()").text == "system\n"
    assert http.post(session, content="SELECT currentDatabase()").text == "default\n"
    http.post(f"{session}&database=system", content="SET max_block_size = 9").raise_for_status()
    assert http.post(session, content="SELECT currentDatabase()").text == "default\n"
    assert http.post(session, content=setting.format("max_block_size")).text == "9\n"
    http.post(f"{session}&database=system", content="/* move */ USE information_schema").raise_for_status()
    assert http.post(session, content="SELECT currentDatabase()").text == "information_schema\n"
    assert http.post(f"{session}&database=system", content="USE default").text == ""
    assert http.post(session, content="SELECT currentDatabase()").text == "default\n"
    assert http.post(f"{session}&database=nowhere", content="SELECT 1").status_code == 404
    assert http.post(session, content="SELECT currentDatabase()").text == "default\n"
    assert http.post(session, content="SELECT count() FROM mine").text == "0\n"
    assert http.post("/", content="SELECT count() FROM mine").status_code == 404


def test_a_setting_undone_after_a_failed_request_does_not_stay(http: httpx.Client) -> None:
    session = f"/?session_id={uuid.uuid4().hex}"
    assert http.post(f"{session}&max_block_size=7&database=system", content="SELECT nonsense").status_code == 404
    assert http.post(session, content="SELECT changed FROM system.settings WHERE name = 'max_block_size'").text == "0\n"
    assert http.post(session, content="SELECT currentDatabase()").text == "default\n"


def test_a_session_that_must_exist_and_does_not_is_an_error(http: httpx.Client) -> None:
    answer = http.post("/?session_id=never-made&session_check=1", content="SELECT 1")
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (404, "372")


def test_a_session_serves_one_request_at_a_time(http: httpx.Client, clickhouse_server: ClickHouseServer) -> None:
    session = f"{clickhouse_server.url}/?session_id={uuid.uuid4().hex}"
    ask = "SELECT sleepEachRow(0.5) FROM numbers(2) SETTINGS max_block_size = 1"
    with ThreadPoolExecutor(2) as threads:
        answers = [threads.submit(httpx.post, session, content=ask, timeout=30) for _ in range(2)]
        codes = sorted(answer.result().headers.get("X-ClickHouse-Exception-Code", "") for answer in answers)
    assert codes == ["", "373"]


def test_an_unknown_setting_is_refused(http: httpx.Client) -> None:
    answer = http.post("/?max_treads=1", content="SELECT 1")
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (404, "115")
    assert http.post("/?x;DROP=1", content="SELECT 1").status_code == 404


def test_get_asks_and_does_not_change(http: httpx.Client) -> None:
    assert http.get("/", params={"query": "SELECT 1 FORMAT JSON"}).json()["data"] == [{"1": 1}]
    refused = http.get("/", params={"query": "CREATE DATABASE by_get"})
    assert (refused.status_code, refused.headers["X-ClickHouse-Exception-Code"]) == (403, "164")


@pytest.mark.parametrize(
    ("sql", "text", "format_name"),
    [
        ("SELECT 1 AS a, 'x\\ty' AS b", "1\tx\\ty\n", "TabSeparated"),
        ("SELECT 1 FORMAT CSV", "1\n", "CSV"),
        ("SELECT 1 WHERE 0", "", "TabSeparated"),
        ("SELECT 1 FORMAT Null", "", None),
        ("SET max_threads = 1", "", None),
    ],
)
def test_a_result_names_its_format_and_a_command_has_none(
    http: httpx.Client, sql: str, text: str, format_name: str | None
) -> None:
    answer = http.post("/", content=sql)
    assert (answer.text, answer.headers.get("X-ClickHouse-Format")) == (text, format_name)


def test_the_default_format_is_the_request_s(http: httpx.Client) -> None:
    assert http.post("/?default_format=JSONEachRow", content="SELECT 1 AS a").json() == {"a": 1}
    assert http.post("/", headers={"X-ClickHouse-Format": "JSONEachRow"}, content="SELECT 1 AS a").json() == {"a": 1}


def test_the_summary_counts_rows(client: Any, http: httpx.Client) -> None:
    client.command("CREATE TABLE counted (a UInt8) ENGINE = MergeTree ORDER BY a")
    written = http.post(f"/?database={client.database}", content="INSERT INTO counted VALUES (1), (2), (3)")
    assert json.loads(written.headers["X-ClickHouse-Summary"])["written_rows"] == "3"
    read = http.post(f"/?database={client.database}", content="SELECT sum(a) FROM counted")
    assert json.loads(read.headers["X-ClickHouse-Summary"])["read_rows"] == "3"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-d", "SELECT 1, 'a'"], "1\ta\n"),
        (["--compressed", "-d", "SELECT 'a'"], "a\n"),
        (["-F", "query=SELECT {a:UInt8} + 1", "-F", "param_a=41"], "42\n"),
        (
            [
                "-F",
                "query=SELECT sum(n) FROM mine",
                "-F",
                "mine_structure=n UInt8",
                "-F",
                "mine_format=CSV",
                "-F",
                "mine=@-",
            ],
            "6\n",
        ),
        (["-H", "X-ClickHouse-Format: JSONEachRow", "-d", "SELECT 1 AS a"], '{"a":1}\n'),
    ],
)
def test_curl_gets_its_answer(clickhouse_server: ClickHouseServer, arguments: list[str], text: str) -> None:
    command = ["curl", "--silent", "--show-error", "--noproxy", "*", *arguments, clickhouse_server.url]
    assert subprocess.run(command, input="1\n2\n3\n", capture_output=True, text=True, check=True).stdout == text


def test_a_bare_visit_and_a_ping_are_ok(http: httpx.Client) -> None:
    assert [http.get(path).text for path in ("/", "/ping", "/replicas_status")] == ["Ok.\n"] * 3
    assert http.get("/elsewhere").status_code == 404


def test_a_repeated_deduplication_token_writes_once(client: Any) -> None:
    client.command(
        "CREATE TABLE once (a UInt8) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100"
    )
    for token in ("first", "first", "second"):
        client.insert("once", [[1]], column_names=["a"], settings={"insert_deduplication_token": token})
    assert client.command("SELECT count() FROM once") == 2


def test_a_view_s_target_needs_its_own_window_to_write_once(client: Any) -> None:
    window = "SETTINGS non_replicated_deduplication_window = 100"
    client.command(f"CREATE TABLE source (a UInt8) ENGINE = MergeTree ORDER BY a {window}")
    for name, settings in (("guarded", window), ("bare", "")):
        client.command(f"CREATE TABLE {name} (a UInt8) ENGINE = MergeTree ORDER BY a {settings}")
        client.command(f"CREATE MATERIALIZED VIEW to_{name} TO {name} AS SELECT a FROM source")
    for _ in range(2):
        client.insert("source", [[1]], column_names=["a"], settings={"insert_deduplication_token": "same"})
    counts = {name: client.command(f"SELECT count() FROM {name}") for name in ("source", "guarded", "bare")}
    assert counts == {"source": 1, "guarded": 1, "bare": 2}


def test_requests_run_beside_each_other(http: httpx.Client, clickhouse_server: ClickHouseServer) -> None:
    def pair(number: int) -> int:
        with connected(clickhouse_server) as client:
            client.command(f"CREATE TABLE beside_{number} (a UInt32) ENGINE = MergeTree ORDER BY a")
            for batch in range(5):
                client.insert(f"beside_{number}", [[batch * 10 + row] for row in range(10)], column_names=["a"])
            return int(client.command(f"SELECT sum(a) FROM beside_{number}"))

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(pair, range(8))) == [1225] * 8


@pytest.mark.parametrize("encoding", ["br", "gzip", "deflate", "lz4", "zstd"])
def test_a_body_that_cannot_be_decompressed_is_refused(http: httpx.Client, encoding: str) -> None:
    answer = http.post("/", content=b"not compressed", headers={"Content-Encoding": encoding})
    assert answer.headers["X-ClickHouse-Exception-Code"] in ("48", "271")


def test_a_page_in_a_browser_cannot_reach_the_server(http: httpx.Client) -> None:
    for headers in ({"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert http.post("/", content="SELECT 1", headers=headers).status_code == 403
    assert http.post("/", content="SELECT 1", headers={"Host": "localhost:1"}).text == "1\n"


def test_with_a_password_nobody_else_may_ask(tmp_path: Path) -> None:
    server = ClickHouseServer.start(tmp_path, port=0, user="trader", password="s:cret")
    try:
        with connected(server, username="trader", password="s:cret") as client:
            assert client.command("SELECT 1") == 1
        with pytest.raises(clickhouse_connect.driver.exceptions.DatabaseError, match="Authentication failed"):
            connected(server, username="trader", password="wrong")
        refused = httpx.post(server.url, content="SELECT 1")
        assert (refused.status_code, refused.headers["X-ClickHouse-Exception-Code"]) == (403, "516")
        assert httpx.get(f"{server.url}/ping").text == "Ok.\n"
        assert httpx.post(f"{server.url}/?user=trader&password=s:cret", content="SELECT 1").text == "1\n"
    finally:
        server.stop()
