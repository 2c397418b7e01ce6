"""Any earlier database becomes this version's: forwards only, once, and by one process at a time."""

import threading
import time
from typing import Any

import pytest

from connectors.clickhouse import migrate as migrations
from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.lock import LockLost, locked
from connectors.clickhouse.migrate import STEPS, WrongColumn, migrate
from connectors.clickhouse.tables import PLACE, tables
from connectors.clickhouse.views import ORDER, views
from connectors.errors import Refused, Unavailable
from tests.connectors.clickhouse.kept import column

pytestmark = pytest.mark.servers


def shape(server: ClickHouse) -> dict[str, list[tuple[str, str]]]:
    """Columns of every table and view, in order; what a summary keeps to refresh itself comes and goes."""
    rows = server.rows(
        "SELECT table, name, type FROM system.columns WHERE database = {db:String} AND NOT startsWith(table, '.') "
        "AND NOT startsWith(table, '_tmp_replace') ORDER BY table, position",
        {"db": server.database},
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for table, name, kind in rows:
        found.setdefault(table, []).append((name, kind))
    return found


def test_an_empty_server_gets_every_table_and_every_view(empty: ClickHouse) -> None:
    assert migrate(empty)
    made = shape(empty)
    assert {table.name for table in tables()} <= made.keys()
    assert set(ORDER) <= made.keys()
    assert column(empty, "SELECT version FROM {db}.migrations FINAL ORDER BY version") == [s.version for s in STEPS]


def test_a_database_of_this_version_is_left_alone(database: ClickHouse) -> None:
    assert migrate(database) == []


def test_every_earlier_state_of_the_tables_becomes_the_present_one(empty: ClickHouse) -> None:
    """Records only gain fields at their end, so an earlier database is one whose tables lack their last columns."""
    migrate(empty)
    present = shape(empty)
    for lacking in (1, 3, 1_000):
        for table in tables():
            last = [gone.name for gone in table.columns[len(PLACE) :] if gone.name not in table.order_by][-lacking:]
            drops = ", ".join(
                [f"DROP PROJECTION {name}" for name in sorted(kept(empty, table.name))]
                + [f"DROP INDEX by_{name}" for name in last if f"by_{name}" in table.indexes]
                + [f"DROP COLUMN `{name}`" for name in last]
            )
            if drops:
                empty.command(f"ALTER TABLE `{empty.database}`.`{table.name}` {drops}")
        assert shape(empty) != present
        migrate(empty)
        assert shape(empty) == present
        assert migrate(empty) == [], "its indexes are back, too"
        for table in tables():
            assert kept(empty, table.name) == set(table.projections)


def test_what_an_earlier_table_holds_is_in_the_projections_that_it_gets(empty: ClickHouse) -> None:
    migrate(empty)
    empty.command(f"ALTER TABLE `{empty.database}`.mark DROP PROJECTION extremes")
    empty.command(f"ALTER TABLE `{empty.database}`.mark MODIFY SETTING deduplicate_merge_projection_mode = 'throw'")
    empty.command(
        f"INSERT INTO `{empty.database}`.mark (event_id, written_at, event_time, instrument_id, last, low, high) "
        "SELECT 'm', now64(3), toDateTime64(0, 6), 'WTI', 5, 4, 6"
    )
    assert migrate(empty) == [
        "let mark keep projections", "add 1 projections to mark", "make 1 projections of mark",
    ]  # fmt: skip
    until_s = time.monotonic() + 120
    while not column(
        empty,
        "SELECT rows FROM system.projection_parts WHERE active AND database = '{db}' AND table = 'mark'",
    ):
        assert time.monotonic() < until_s, "the projection is never made"
        time.sleep(0.1)
    assert migrate(empty) == []


def kept(server: ClickHouse, table: str) -> set[str]:
    """Projections of a table."""
    rows = server.rows(
        "SELECT name FROM system.projections WHERE database = {db:String} AND table = {table:String}",
        {"db": server.database, "table": table},
    )
    return {str(name) for (name,) in rows}


def test_a_database_without_some_tables_gets_them(empty: ClickHouse) -> None:
    migrate(empty)
    present = shape(empty)
    for name in ("fill", "events", "sink_chunks", "migrations", "orders"):
        empty.command(f"DROP TABLE `{empty.database}`.`{name}` SYNC")
    migrate(empty)
    assert shape(empty) == present


class Interrupted(Exception):
    """The process ends here."""


@pytest.mark.parametrize("after", [1, 2, 5, 20, 40])
def test_a_migration_that_was_interrupted_anywhere_is_finished_by_the_next_one(
    after: int, empty: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    honest = ClickHouse.command

    def ends(self: ClickHouse, sql: str, parameters: Any = None) -> Any:
        nonlocal calls
        calls += 1
        if calls > after and not sql.startswith("DROP TABLE IF EXISTS"):
            raise Interrupted
        return honest(self, sql, parameters)

    with monkeypatch.context() as patch:
        patch.setattr(ClickHouse, "command", ends)
        with pytest.raises(Interrupted):
            migrate(empty)
    migrate(empty)
    assert set(ORDER) | {table.name for table in tables()} <= shape(empty).keys()
    assert migrate(empty) == []


def test_a_view_whose_text_changed_is_made_anew(database: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tuple(
        type(view)(view.name, view.doc, view.sql.replace("SELECT", "SELECT 1 AS new,", 1))
        if view.name == "denials"
        else view
        for view in views()
    )
    monkeypatch.setattr(migrations, "views", lambda: changed)
    assert migrate(database) == ["make view denials"]
    assert ("new", "UInt8") in shape(database)["denials"]


def test_a_database_with_fewer_and_older_summaries_gets_those_of_this_version(database: ClickHouse) -> None:
    present = shape(database)
    for name in ("shortfall_daily", "trades_daily", "attribution_kept", "orders_daily"):
        database.command(f"DROP TABLE `{database.database}`.{name} SYNC")
    database.command(
        f"CREATE MATERIALIZED VIEW `{database.database}`.orders_daily REFRESH EVERY 1 HOUR ENGINE = MergeTree "
        f"ORDER BY day AS SELECT today() AS day, count() AS orders FROM `{database.database}`.order_event"
    )
    assert "drop an older orders_daily" in migrate(database)
    assert shape(database) == present
    assert migrate(database) == []


def test_a_column_of_another_type_is_refused_and_nothing_is_changed(empty: ClickHouse) -> None:
    migrate(empty)
    empty.command(f"ALTER TABLE `{empty.database}`.fill MODIFY COLUMN price Float64")
    before = shape(empty)
    with pytest.raises(WrongColumn, match=r"fill\.price is Float64, not Decimal"):
        migrate(empty)
    assert shape(empty) == before


def test_several_processes_that_migrate_at_once_make_one_database(empty: ClickHouse) -> None:
    done: list[list[str]] = []
    failed: list[Exception] = []

    def work() -> None:
        server = ClickHouse(empty.url, empty.database)
        try:
            done.append(migrate(server))
        except (Refused, Unavailable, LockLost) as error:
            failed.append(error)
        finally:
            server.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failed == []
    assert len([steps for steps in done if steps]) == 1, "one migrated, the others found it done"
    assert migrate(empty) == []
    assert not [name for name in shape(empty) if name.startswith("migration_lock")]


def test_while_one_holds_the_lock_another_waits_and_is_told_whom_for(database: ClickHouse) -> None:
    with locked(database, "ann"), pytest.raises(Unavailable, match="ann migrates"), locked(database, "bob", wait_s=0):
        pytest.fail("two held the lock")


def test_a_lock_whose_owner_died_is_taken_over_and_the_owner_knows_it_if_it_lives(database: ClickHouse) -> None:
    with locked(database, "ann", lease_s=1) as ann:
        ann.check()
        time.sleep(2.1)
        with locked(database, "bob", wait_s=5) as bob:
            bob.check()
            with pytest.raises(LockLost):
                ann.check()
    with locked(database, "cid", wait_s=0):
        pass
