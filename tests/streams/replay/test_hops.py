"""Hops: how long after a record its answer was written, from the log alone."""

import time

import pytest

from connectors.clickhouse.client import ClickHouse
from streams.commands.replay import show_summary
from streams.replay.hops import hops_ms, records_since
from streams.replay.result import Result
from tests.connectors.clickhouse.conftest import database, empty

pytestmark = pytest.mark.servers

__all__ = ["database", "empty"]


class Kept:
    """Records in ClickHouse, as the sink writes them, each at a moment of the wall clock."""

    def __init__(self, server: ClickHouse):
        self._server = server
        self._offsets = 0
        # What is older than its retention is gone at once.
        self.began_ms = time.time_ns() // 1_000_000

    def record(self, kind: str, topic: str, at_ms: int, cause: str = "") -> str:
        """One record, so long after the beginning; the cause that answers to it name."""
        self._offsets += 1
        self._server.command(
            "INSERT INTO {database:Identifier}.events (event_id, topic, partition, offset, written_at, record, headers)"
            " SELECT {id:String}, {topic:String}, 1, {offset:Int64}, fromUnixTimestamp64Milli({at:Int64}),"
            " {kind:String}, map('event_time', '5', 'cause', {cause:String})",
            {
                "database": self._server.database, "id": str(self._offsets), "topic": topic, "offset": self._offsets,
                "at": self.began_ms + at_ms, "kind": kind, "cause": cause,
            },
        )  # fmt: skip
        return f"bench.{topic}/1/{self._offsets}"


def test_a_hop_lasts_from_a_record_to_the_first_answer_of_its_kind_by_the_wall_clock(database: ClickHouse) -> None:
    kept = Kept(database)
    for waited_ms in (4, 6, 30):
        signal = kept.record("Signal", "signals.inbox", 1_000)
        kept.record("AcceptedSignal", "strategies.inbox", 1_000 + waited_ms, signal)
    looked = kept.record("RiskSnapshot", "accounts.events", 2_000)
    for later_ms in (7, 9, 400):
        kept.record("PnlSnapshot", "pnl", 2_000 + later_ms, looked)
    kept.record("Fill", "fills", 2_001, "bench.accounts.inbox/1/99")
    assert hops_ms(database, "bench") == {
        "signal_to_accepted": {"p50": 6.0, "p99": 30.0},
        "risk_to_pnl": {"p50": 7.0, "p99": 7.0},
    }


def test_the_summary_has_a_line_for_each_hop_and_for_records_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    known = {"forecasts": {}, "latency_ms": {"signal_to_accepted": {"p50": 6.0, "p99": 30.5}}, "records_per_s": 1234.5}
    show_summary({**Result().as_json(), **known}, 1.0)
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    assert ["signal to accepted, ms", "p50 6  p99 30.5"] in lines
    assert ["records/s", "1,234"] in lines


def test_hops_of_which_nothing_is_known_are_absent(database: ClickHouse) -> None:
    Kept(database).record("Signal", "signals.inbox", 1_000)
    assert hops_ms(database, "bench") == {}


def test_records_are_counted_from_a_moment_on(database: ClickHouse) -> None:
    kept = Kept(database)
    for at_ms in (1_000, 2_000, 3_000):
        kept.record("Bar", "market.bars", at_ms)
    assert records_since(database, kept.began_ms + 2_000) == 2
