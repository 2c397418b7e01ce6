"""Metrics are counted where records pass and told when somebody asks; what is no longer ours is told no more."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from schemas import metrics
from schemas.market import QualityAction, QualityCode, QualityFinding
from schemas.risk import RiskVerdict
from schemas.signal import AcceptedSignal, RefusedSignal, SignalRefusal
from streams.accounts.account import Account, Condition, Profile, Totals
from streams.accounts.readings import readings
from streams.accounts.shared import Shared
from streams.runtime.metrics import Exporter, RoomMetrics, Sample, build
from streams.runtime.observers import OBSERVERS, UNKNOWN, Counted
from streams.runtime.tables import Birth, Recovered, Table
from tests.schemas.examples import example
from tests.streams.runtime.sums import Payment, SumsRoom, payment
from tests.streams.runtime.test_door import Bench, Unfit


def lines(exporter: Exporter, metric: metrics.Metric) -> list[str]:
    return [line for line in exporter.text().decode().splitlines() if re.match(rf"{metric.name}[{{ ]", line)]


def test_what_is_asked_at_a_scrape_is_what_holds_then() -> None:
    exporter, owned = Exporter("paper"), {"0": 7, "1": 9}

    def ask() -> Iterator[Sample]:
        for partition, lag in owned.items():
            yield Sample(metrics.LAG_RECORDS, "accounts", ("accounts", "accounts.inbox", partition), lag)

    exporter.ask(ask)
    assert len(lines(exporter, metrics.LAG_RECORDS)) == 2
    del owned["0"]
    (left,) = lines(exporter, metrics.LAG_RECORDS)
    assert 'partition="1"' in left
    assert left.endswith(" 9.0")


def test_samples_of_one_series_are_added_up() -> None:
    exporter = Exporter("paper")
    exporter.ask(lambda: [Sample(metrics.ORDERS_UNKNOWN, "accounts", ("PAPER",), 1)] * 3)
    (line,) = lines(exporter, metrics.ORDERS_UNKNOWN)
    assert line.endswith(" 3.0")


def test_a_process_tells_its_version() -> None:
    exporter = Exporter("paper")
    exporter.ask(build("clock"))
    (line,) = lines(exporter, metrics.BUILD)
    assert re.search(r'role="clock",version="\d+\.\d+\.\d+"} 1\.0$', line)


def seen(record: Any) -> tuple[Counted, int] | None:
    return OBSERVERS[type(record)](record)


def test_findings_count_the_rows_that_they_stand_for() -> None:
    finding = replace(
        example(QualityFinding), code=QualityCode.GAP, action=QualityAction.REFUSED, count=5
    )  # fmt: skip
    assert seen(finding) == (Counted(metrics.TICKS_REFUSED, ("GAP", "REFUSED")), 5)


def test_a_name_that_anybody_may_invent_is_no_label() -> None:
    refused = replace(example(RefusedSignal), provider_id="oracle", code=SignalRefusal.EXPIRED)
    assert seen(refused) == (Counted(metrics.SIGNALS_REFUSED, ("oracle", "EXPIRED")), 1)
    stranger = replace(refused, provider_id="x" * 99, code=SignalRefusal.UNKNOWN_PROVIDER)
    assert seen(stranger) == (Counted(metrics.SIGNALS_REFUSED, (UNKNOWN, "UNKNOWN_PROVIDER")), 1)


def test_only_denials_are_counted_as_denied() -> None:
    verdict = replace(example(RiskVerdict), approved=False, code="TOO_LARGE")
    assert seen(verdict) == (Counted(metrics.INTENTS_DENIED, ("TOO_LARGE",)), 1)
    assert seen(replace(verdict, approved=True, code="")) is None


def test_every_observer_gives_as_many_labels_as_its_metric_has() -> None:
    for kind in OBSERVERS:
        found = seen(replace(example(kind), approved=False) if kind is RiskVerdict else example(kind))
        assert found is not None
        assert len(found[0].labels) == len(found[0].metric.labels)
    assert AcceptedSignal in OBSERVERS


def test_a_room_counts_what_is_durable_and_nothing_that_was_undone() -> None:
    bench, exporter = Bench(Unfit()), Exporter("paper")
    counts = RoomMetrics(exporter, "sums", "sums.inbox", lambda record: ("sums.results",) if record == "Summed" else ())
    for part in bench.fold(bench.message(payment("ann", 5, "p1")), bench.message(payment("ann", 5, "raise:"))).values():
        counts.count(part)
    told = "\n".join(lines(exporter, metrics.RECORDS_READ))
    assert f'record="{Payment.__name__}"' in told
    assert told.endswith(" 1.0")


def test_a_room_that_takes_partitions_over_awaits_ticks_from_then_on() -> None:
    counts = RoomMetrics(Exporter("paper"), "sums", "sums.inbox", lambda record: ())
    counts.tick_us, counts.began_s = 100_000_000, 40.0
    assert counts.tick_age_s(160.0) == 60, "it had ticks, and lost its partitions"
    counts.recovered(0.1, first=True)
    assert counts.tick_age_s(counts.began_s + 5) == 5
    counts.recovered(0.1)
    counts.tick_us = int(counts.began_s * 1_000_000) + 4_000_000
    assert counts.tick_age_s(counts.began_s + 5) == pytest.approx(1)


def test_the_size_of_a_table_is_what_its_changelog_would_give_back() -> None:
    room = SumsRoom()
    table: Table[Any, Any] = Table(room, Birth("sums", "inbox", 4))
    read = Recovered(room)
    for offset, amount in enumerate((5, 500_000, 7)):
        table.partition.fold("ann", payment("ann", amount, f"p{offset}"))
        for write in table.writes(offset):
            read.take(write.key, write.value)
        table.settle()
    assert table.bytes == Table(room, Birth("sums", "inbox", 4), read.decode()).bytes > 0


def test_an_account_tells_how_it_stands_once_it_is_opened_and_no_equity_that_is_unknown() -> None:
    account = Account(Profile("demo", venue="PAPER"), Condition(), Totals(equity=Decimal(90), peak=Decimal(100)))
    assert list(readings(account, Shared())) == []
    opened = replace(account, profile=replace(account.profile, opened=True))
    told = {one.metric: one.value for one in readings(opened, Shared())}
    assert told == {
        metrics.TRADING_STATE: 0,
        metrics.DISCREPANCIES_OPEN: 0,
        metrics.EQUITY: 90.0,
        metrics.DRAWDOWN_RATIO: pytest.approx(0.1),
        metrics.ORDERS_UNKNOWN: 0,
    }
    unpriced = replace(opened, totals=replace(opened.totals, equity=None))
    assert metrics.EQUITY not in {one.metric for one in readings(unpriced, Shared())}
