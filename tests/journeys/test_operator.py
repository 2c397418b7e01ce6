"""The journey of an operator after a replay: was every decision right, what became of an order, stop everything."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.control import KillSwitch, KillVerb
from schemas.reference import TradingStatus
from schemas.topics import ACCOUNTS_INBOX, CONTROL_KILL, MARKET_TICKS
from streams.commands.connections import records_of
from tests.streams.commands.desk import Desk

pytestmark = [pytest.mark.servers, pytest.mark.slow]

WINDOW = ("--from", "2020-03-01", "--to", "2020-06-30")
PORTS = {"QL_KAFKA_PORT": "0", "QL_REGISTRY_PORT": "0", "QL_CLICKHOUSE_PORT": "0"}


class Ran(Desk):
    """A folder in which `quantumleap run` has replayed four months of oil."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.variables = PORTS
        self.result: dict[str, Any] = self.json("run", *WINDOW)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """The replay and its servers, which are stopped afterwards."""
    folder = tmp_path_factory.mktemp("operator")
    try:
        yield Ran(folder)
    finally:
        desk = Desk(folder)
        desk.variables = PORTS
        desk.ask("down")


def test_every_decision_of_the_replay_is_what_its_inbox_says_it_must_be(ran: Ran) -> None:
    found = ran.json("replay", "inbox")
    assert found["differences"] == []
    assert found["parked"] == []
    assert found["waiting"] == 0
    assert found["accounts"] == ["demo"]
    assert found["compared"]["fills"] == ran.result["fills"] > 0
    assert ran.json("replay", "inbox", "--account", "demo")["compared"] == found["compared"]


def test_orders_are_listed_as_the_run_counted_them_and_each_has_its_story(ran: Ran) -> None:
    rows = ran.json("order", "list", "--limit", "10000")
    assert len(rows) == ran.result["orders"] > 0
    assert rows == sorted(rows, key=lambda row: row["moved"], reverse=True)
    filled = ran.json("order", "list", "--status", "filled", "--limit", "1")
    steps = [step["step"] for step in ran.json("order", "show", filled[0]["client_order_id"])["steps"]]
    # A story begins with the wish and ends with the fill.
    assert set(steps) >= {"intent", "check", "verdict", "command", "broker", "state", "fill"}
    assert steps.index("verdict") < steps.index("command") < steps.index("broker") < steps.index("fill")


def test_the_topics_tell_of_orders_what_clickhouse_tells(ran: Ran) -> None:
    away = {"QL_CLICKHOUSE_URL": "http://127.0.0.1:9"}
    rows = ran.json("order", "list", "--limit", "10000")
    told = ran.json("order", "list", "--limit", "10000", but=away)
    names = ("account_id", "client_order_id", "status", "quantity", "filled_quantity", "average_price", "steps")
    assert {tuple(row[name] for name in names) for row in told} == {tuple(row[name] for name in names) for row in rows}
    name = ran.json("order", "list", "--status", "filled", "--limit", "1")[0]["client_order_id"]
    here, there = ran.json("order", "show", name)["steps"], ran.json("order", "show", name, but=away)["steps"]
    assert {step["step"] for step in there} >= {step["step"] for step in here} - {"signal"}


def test_a_halt_after_the_replay_lies_in_both_topics_with_the_time_of_the_replay(ran: Ran) -> None:
    said = ran.json("stop", "halt", "--direct", "--reason", "enough", "--wait", "0")
    found = ran.connection()
    kept = [record for record in records_of(found, CONTROL_KILL) if isinstance(record, KillSwitch)]
    told = [record for record in records_of(found, ACCOUNTS_INBOX) if isinstance(record, KillSwitch)]
    assert [(one.request_id, one.version, one.verb) for one in kept] == [(said["request_id"], 1, KillVerb.HALT)]
    assert told == kept * ACCOUNTS_INBOX.partitions
    assert said["event_time_us"].startswith("2020-06-30")
    left = ran.json("replay", "inbox")
    assert (left["equal"], left["waiting"]) == (True, ACCOUNTS_INBOX.partitions)


def test_a_venue_s_halt_is_told_to_market_data_once_and_to_every_partition_of_accounts(ran: Ran) -> None:
    told = [ran.json("market", *words) for words in (("halt", "WTI", "--reason", "limit"), ("resume", "WTI"))]
    found = ran.connection()
    for topic, copies in ((MARKET_TICKS, 1), (ACCOUNTS_INBOX, ACCOUNTS_INBOX.partitions)):
        said = [record for record in records_of(found, topic) if isinstance(record, TradingStatus)]
        assert sorted((one.version, one.halted, one.reason) for one in said) == sorted(
            [(told[0]["version"], True, "limit"), (told[1]["version"], False, "")] * copies
        )
    assert told[0]["version"] < told[1]["version"]
