"""The embedded ClickHouse when it is killed, restarted, or given a bad folder or a taken port."""

import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from connectors.embedded import clickhouse
from connectors.embedded.clickhouse import ClickHouseServer
from connectors.embedded.errors import FolderCorrupt, FolderUnwritable, NotRunning, PackageMissing, PortTaken

pytestmark = [pytest.mark.servers, pytest.mark.faults]

ROWS_IN_BATCH = 100


def ask(server: ClickHouseServer, sql: str) -> str:
    answer = httpx.post(server.url, content=sql, timeout=30, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.text


def insert_until_it_dies(server: ClickHouseServer, acknowledged: list[int], enough: threading.Event) -> None:
    """Send numbered batches, each with a token, one after another, and note which were acknowledged."""
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as http:
        for batch in range(100_000):
            rows = "".join(f"{batch}\t{row}\n" for row in range(ROWS_IN_BATCH))
            try:
                answer = http.post(
                    f"/?insert_deduplication_token={batch}", content=f"INSERT INTO acked FORMAT TabSeparated\n{rows}"
                )
            except httpx.TransportError:
                return
            assert answer.status_code == 200, answer.text
            acknowledged.append(batch)
            if len(acknowledged) >= 50:
                enough.set()


def test_kill_9_amid_inserts_keeps_every_acknowledged_batch_whole_and_once(tmp_path: Path) -> None:
    server = ClickHouseServer.start(tmp_path, port=0)
    ask(
        server,
        "CREATE TABLE acked (batch UInt32, row UInt32) ENGINE = MergeTree ORDER BY (batch, row)"
        " SETTINGS non_replicated_deduplication_window = 10000",
    )
    acknowledged: list[int] = []
    enough = threading.Event()
    writer = threading.Thread(target=insert_until_it_dies, args=(server, acknowledged, enough))
    writer.start()
    assert enough.wait(60)
    server.kill()
    writer.join(60)
    again = ClickHouseServer.start(tmp_path, port=server.port)
    try:
        last = acknowledged[-1]
        rows = "".join(f"{last}\t{row}\n" for row in range(ROWS_IN_BATCH))
        httpx.post(
            f"{again.url}/?insert_deduplication_token={last}",
            content=f"INSERT INTO acked FORMAT TabSeparated\n{rows}",
            trust_env=False,
        ).raise_for_status()
        found = [
            line.split("\t") for line in ask(again, "SELECT batch, count() FROM acked GROUP BY batch").splitlines()
        ]
    finally:
        again.stop()
    batches = {int(batch): int(count) for batch, count in found}
    assert not set(acknowledged) - batches.keys()
    assert set(batches.values()) == {ROWS_IN_BATCH}
    assert len(batches) - len(acknowledged) <= 1


def test_a_stopped_server_keeps_its_rows_and_its_tokens(tmp_path: Path) -> None:
    server = ClickHouseServer.start(tmp_path, port=0)
    ask(
        server,
        "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 10",
    )
    insert = "INSERT INTO t SETTINGS insert_deduplication_token = 'one' VALUES (1)"
    ask(server, insert)
    server.stop()
    assert not server.alive
    again = ClickHouseServer.start(tmp_path, port=0)
    ask(again, insert)
    count = ask(again, "SELECT count() FROM t")
    again.stop()
    assert count == "1\n"


def test_started_twice_on_a_folder_it_is_one_server(tmp_path: Path) -> None:
    said: list[str] = []
    server = ClickHouseServer.start(tmp_path, port=0)
    try:
        second = ClickHouseServer.start(tmp_path, port=0, say=said.append)
        assert (second.pid, second.url) == (server.pid, server.url)
        assert said == [f"ClickHouse already runs at {server.url} (process {server.pid})"]
        assert ClickHouseServer.attach(tmp_path) == server
    finally:
        server.stop()


def test_a_server_outlives_the_command_that_started_it(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from connectors.embedded.clickhouse import ClickHouseServer;"
        "print(ClickHouseServer.start(Path(sys.argv[1]), port=0).pid)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    server = ClickHouseServer.attach(tmp_path)
    assert server.pid == int(printed.stdout)
    assert ask(server, "SELECT 1") == "1\n"
    server.stop()
    assert not server.alive


def test_a_record_left_by_a_killed_server_is_not_taken_for_a_running_one(tmp_path: Path) -> None:
    (tmp_path / "server.json").write_text(f'{{"pid": {os.getpid()}, "port": 1}}')
    with pytest.raises(NotRunning, match="its process has ended"):
        ClickHouseServer.attach(tmp_path)
    server = ClickHouseServer.start(tmp_path, port=0)
    assert server.pid != os.getpid()
    server.kill()
    with pytest.raises(NotRunning, match="none was started there"):
        ClickHouseServer.attach(tmp_path)


@pytest.mark.parametrize("record", ["", "{", "[]", '{"pid": "x", "port": 1}', '{"pid": 999999999, "port": 1}'])
def test_a_spoiled_record_means_not_running(tmp_path: Path, record: str) -> None:
    (tmp_path / "server.json").write_text(record)
    with pytest.raises(NotRunning):
        ClickHouseServer.attach(tmp_path)


def test_a_taken_default_port_is_named_and_another_one_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(clickhouse, "KIND", replace(clickhouse.KIND, port=port))
        server = ClickHouseServer.start(tmp_path, say=said.append)
        answer = ask(server, "SELECT 1")
        server.stop()
    assert answer == "1\n"
    assert server.port != port
    assert said[0].startswith(f"port {port} is taken")
    assert said[0].endswith(f"ClickHouse listens on {server.port}")


def test_a_taken_port_that_was_demanded_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            PortTaken, match=f"ClickHouse cannot listen on port {port}: it is taken by .*; end that process"
        ):
            ClickHouseServer.start(tmp_path, port=port)
    assert not (tmp_path / "server.json").exists()


def test_a_package_that_is_not_installed_is_named_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clickhouse, "KIND", replace(clickhouse.KIND, needs=("chdb", "no_such_package")))
    with pytest.raises(PackageMissing, match=r"not installed: no_such_package; install them with `pip install"):
        ClickHouseServer.start(tmp_path, port=0)


def test_a_long_query_does_not_hold_up_the_stop_for_ever(tmp_path: Path) -> None:
    server = ClickHouseServer.start(tmp_path, port=0)
    ask(server, "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
    ask(server, "INSERT INTO t VALUES (1)")
    long = "SELECT sleepEachRow(1) FROM numbers(600) SETTINGS max_block_size = 1"
    failed = threading.Event()

    def ask_long() -> None:
        try:
            httpx.post(server.url, content=long, timeout=120, trust_env=False).raise_for_status()
        except httpx.HTTPError:
            failed.set()

    asking = threading.Thread(target=ask_long)
    asking.start()
    running = "SELECT count() FROM system.processes WHERE query LIKE '%sleepEachRow%'"
    while not failed.is_set() and ask(server, running) != "2\n":  # itself and the long one
        time.sleep(0.05)
    assert not failed.is_set()
    server.stop()
    asking.join(60)
    assert failed.is_set()
    again = ClickHouseServer.start(tmp_path, port=0)
    count = ask(again, "SELECT count() FROM t")
    again.stop()
    assert count == "1\n"


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FolderUnwritable, match="name a folder of your own"):
        ClickHouseServer.start(tmp_path / "file" / "data", port=0)


def test_a_corrupt_folder_is_an_error_that_shows_the_engine_s_words(tmp_path: Path) -> None:
    server = ClickHouseServer.start(tmp_path, port=0)
    ask(server, "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
    server.stop()
    (metadata,) = (tmp_path / "clickhouse").rglob("t.sql")
    metadata.resolve().write_text("this is not SQL")
    with pytest.raises(
        FolderCorrupt, match=r"(?s)ClickHouse cannot open .*Syntax error .*t\.sql.*; move that folder away"
    ):
        ClickHouseServer.start(tmp_path, port=0)
    assert not (tmp_path / "server.json").exists()


def test_a_folder_in_use_by_another_engine_is_an_error(tmp_path: Path) -> None:
    server = ClickHouseServer.start(tmp_path, port=0)
    (tmp_path / "server.json").unlink()
    try:
        with pytest.raises(FolderCorrupt, match=r"(?s)ClickHouse cannot open .*lock"):
            ClickHouseServer.start(tmp_path, port=0)
        assert ask(server, "SELECT 1") == "1\n"
    finally:
        server.stop()


def test_only_this_machine_is_served(clickhouse_server: ClickHouseServer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        outer = probe.getsockname()[0]
    if outer.startswith("127."):
        pytest.skip("this machine has no address but the loopback one")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((outer, clickhouse_server.port), timeout=2)
