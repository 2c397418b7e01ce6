"""The sink on a real Kafka and a real ClickHouse: every record, once, whatever happens on the way.

Rows are counted as they lie, without FINAL, unless a test says otherwise: nothing is hidden by merging.
"""

import random
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.migrate import migrate
from connectors.clickhouse.sink import TopicRecreated
from connectors.clickhouse.tables import CHUNKS
from connectors.embedded.clickhouse import ClickHouseServer
from connectors.embedded.kafka import KafkaServer
from schemas.topics import ACCOUNTS_EVENTS, FILLS, PNL
from tests.connectors.clickhouse.cutting_proxy import cutting
from tests.connectors.clickhouse.kept import CODEC, column
from tests.connectors.clickhouse.streams_of_records import Log, child, drained, fill, running, wait_until

pytestmark = pytest.mark.servers


@pytest.fixture
def log(kafka: KafkaServer, topic_prefix: str) -> Log:
    return Log(kafka.bootstrap_servers, topic_prefix.rstrip("."))


def counts(server: ClickHouse, table: str = "fill") -> tuple[int, int]:
    """Rows as they lie, and different records among them."""
    ((rows, different),) = server.rows(f"SELECT count(), uniqExact(event_id) FROM `{server.database}`.`{table}`")
    return rows, different


def test_every_record_is_a_typed_row_and_a_raw_event_with_its_headers(log: Log, database: ClickHouse) -> None:
    log.fills(range(200))
    log.fills(range(200, 210), FILLS)
    progress = drained(log.sink(database))
    assert counts(database) == (200, 200), "fills have their row from accounts.events, not from the topic fills"
    assert counts(database, "events") == (210, 210)
    assert progress.records == 210
    assert column(database, "SELECT headers['event_id'] FROM {db}.events WHERE event_id = 'fill-7'") == ["fill-7"]
    places = database.rows(
        f"SELECT topic, partition, `offset` FROM `{database.database}`.fill WHERE event_id = 'fill-7'"
    )
    assert places == [("accounts.events", 1, 3)]


def test_a_second_sink_goes_on_where_the_first_one_stopped(log: Log, database: ClickHouse) -> None:
    for stop in (100, 101, 250):
        log.fills(range(column(database, "SELECT count() FROM {db}.fill")[0], stop))
        drained(log.sink(database))
        assert counts(database) == (stop, stop)


def test_an_empty_database_is_filled_from_the_beginning_whatever_was_committed(log: Log, database: ClickHouse) -> None:
    log.fills(range(60))
    drained(log.sink(database))
    database.command(f"DROP DATABASE `{database.database}` SYNC")
    migrate(database)
    drained(log.sink(database))
    assert counts(database) == (60, 60)


def test_what_a_transaction_took_back_is_not_there(log: Log, database: ClickHouse) -> None:
    log.fills(range(10))
    log.aborted(ACCOUNTS_EVENTS, fill(666))
    log.fills(range(10, 20))
    drained(log.sink(database))
    assert counts(database, "events") == (20, 20)


def test_what_cannot_be_read_is_kept_raw_with_the_reason_and_spoils_nothing_else(
    log: Log, database: ClickHouse
) -> None:
    good = CODEC.encode(fill(1))
    poison = {
        "empty": b"",
        "text": b"hello",
        "unknown schema": b"\0\0\xff\xff\xff" + good[5:],
        "cut": good[:-9],
        "noise": good[:5] + b"\xff" * 60,
    }
    log.fills(range(0, 40, 2))
    for name, value in poison.items():
        log.write_bytes(ACCOUNTS_EVENTS, value, [("event_id", name.encode())], partition=0)
    log.write_bytes(ACCOUNTS_EVENTS, None, None, partition=0)
    log.fills(range(40, 80, 2))
    progress = drained(log.sink(database))
    assert counts(database) == (40, 40)
    problems = dict(database.rows(f"SELECT event_id, problem FROM `{database.database}`.events WHERE problem != ''"))
    assert set(problems) == {*poison, "accounts.events/0/25"}
    assert "no value" in problems["empty"]
    assert "0x68" in problems["text"]
    assert "no schema with id" in problems["unknown schema"]
    assert problems["cut"]
    assert problems["noise"]
    assert progress.problems == 6
    assert column(database, "SELECT count() FROM {db}.unreadable") == [6]


def test_a_topic_that_was_made_anew_is_noticed_and_not_taken_for_the_old_one(log: Log, database: ClickHouse) -> None:
    log.fills(range(40), PNL)
    drained(log.sink(database))
    log.remake(PNL)
    log.fills(range(2), PNL)
    with pytest.raises(TopicRecreated, match="another environment"):
        log.sink(database).run()


@pytest.mark.slow
def test_two_sinks_share_the_work_and_one_takes_it_over_when_the_other_goes(log: Log, database: ClickHouse) -> None:
    log.fills(range(300))
    first, second = log.sink(database, member="a"), log.sink(database, member="b")
    with running(first):
        with running(second):
            wait_until(lambda: first.partitions == second.partitions == 3, "both have partitions")
            log.fills(range(300, 600))
            wait_until(lambda: counts(database)[1] == 600, "both together have written all")
            wait_until(lambda: second.progress.records > 0, "the second one has finished a chunk")
        log.fills(range(600, 700))
        wait_until(lambda: counts(database)[1] == 700, "the one that stayed has written the rest")
    assert counts(database) == (700, 700)


@pytest.mark.slow
def test_partitions_go_to_the_next_sink_only_when_the_bounds_of_what_is_being_written_are_known(
    log: Log, database: ClickHouse
) -> None:
    held: list[str] = []

    class SlowToHear(ClickHouse):
        """One that hears of its first chunk when the partitions are being taken away, and a little later."""

        def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Any:
            if not held and f"INSERT INTO `{self.database}`.`{CHUNKS}`" in sql:
                held.append(sql)
                wait_until(lambda: first.partitions == 0, "the partitions are being taken away")
                time.sleep(1)
            return super().command(sql, parameters)

    log.fills(range(300))
    first = log.sink(SlowToHear(database.url, database.database), member="a")
    second = log.sink(database, member="b")
    with running(first):
        wait_until(lambda: bool(held), "a chunk is on its way")
        with running(second):
            wait_until(lambda: first.caught_up and second.caught_up, "all is written")
    assert counts(database) == (300, 300)


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_sink_that_ends_at_any_write_loses_nothing_and_repeats_nothing(
    when: str, log: Log, database: ClickHouse
) -> None:
    """Each write of a chunk in turn is the last one that the sink makes, or the first one that it does not make.

    They are five: bounds, fills, events, positions, done. What one sink leaves unfinished, the next one begins with.
    """
    written = 0
    for crash_at in range(1, 6):
        log.fills(range(written, written + 10))
        written += 10
        process = child(log, database, crash_at, when)
        try:
            assert process.wait(60) == 9, f"the sink never came to write {crash_at}"
        finally:
            process.kill()
    progress = drained(log.sink(database))
    assert counts(database) == (written, written)
    assert counts(database, "events") == (written, written)
    assert progress.recovered <= 1


@pytest.mark.faults
@pytest.mark.slow
def test_a_sink_killed_again_and_again_while_records_flow_writes_each_once(log: Log, database: ClickHouse) -> None:
    chance = random.Random(7)
    written = 0
    for _ in range(6):
        process = child(log, database)
        until_s = time.monotonic() + chance.uniform(0.5, 2.5)
        while time.monotonic() < until_s:
            log.fills(range(written, written + 20))
            written += 20
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    drained(log.sink(database))
    assert counts(database) == (written, written)
    assert counts(database, "events") == (written, written)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[tuple[Path, ClickHouse]]:
    """A ClickHouse that the test may stop, with an empty database."""
    folder = tmp_path / "clickhouse"
    started = ClickHouseServer.start(folder, port=0)
    server = ClickHouse(started.url, "ql_own")
    migrate(server)
    yield folder, server
    server.close()
    ClickHouseServer.attach(folder).stop()


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_clickhouse_that_goes_and_comes_back_only_makes_the_sink_wait(
    how: str, log: Log, own_server: tuple[Path, ClickHouse]
) -> None:
    folder, server = own_server
    running_server = ClickHouseServer.attach(folder)
    port = running_server.port
    log.fills(range(100))
    with running(log.sink(server)) as sink:
        wait_until(lambda: sink.progress.rows > 0, "the sink has begun")
        (running_server.stop if how == "stop" else running_server.kill)()
        log.fills(range(100, 400))
        wait_until(lambda: sink.progress.failures > 2, "the sink notices and waits")
        assert "tried again" in sink.progress.last_failure
        ClickHouseServer.start(folder, port=port)
        wait_until(lambda: sink.caught_up, "the sink caught up")
    assert counts(server) == (400, 400)
    assert counts(server, "events") == (400, 400)


@pytest.mark.faults
@pytest.mark.slow
def test_a_sink_that_starts_before_clickhouse_waits_for_it(log: Log, own_server: tuple[Path, ClickHouse]) -> None:
    folder, server = own_server
    port = ClickHouseServer.attach(folder).port
    ClickHouseServer.attach(folder).stop()
    log.fills(range(50))
    with running(log.sink(server)) as sink:
        wait_until(lambda: sink.progress.failures > 0, "the sink notices")
        ClickHouseServer.start(folder, port=port)
        wait_until(lambda: sink.caught_up, "the sink caught up")
    assert counts(server) == (50, 50)


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.parametrize("what", ["request", "answer", "read only"])
def test_a_connection_cut_in_mid_insert_gives_neither_loss_nor_repeat(
    what: str, log: Log, database: ClickHouse, clickhouse_server: ClickHouseServer
) -> None:
    """Every other insert is broken, of bounds, rows, positions and done alike."""
    log.fills(range(300))
    with cutting(clickhouse_server.port, [what, ""] * 12) as proxy:
        progress = drained(log.sink(ClickHouse(proxy.url, database.database)))
    assert len(proxy.broken) >= 5
    assert progress.failures >= 3, "the client itself repeats a call once, and of the rest the sink knows"
    assert counts(database) == (300, 300)
    assert counts(database, "events") == (300, 300)
