"""What a look at rooms tells while they trade: partitions, lag, states, accounts and markets, over the real carrier."""

from collections.abc import Iterator
from typing import Any

import pytest

from schemas import metrics
from schemas.metrics import Metric
from streams.runtime import gauges
from streams.runtime.kafka_room import KafkaRoom
from streams.runtime.metrics import Sample
from tests.simulation.chain import ENGINE, ChainRun
from tests.simulation.histories import living, plan_of
from tests.simulation.scenario import ACCOUNTS, VENUE

Series = dict[tuple[Metric, tuple[str, ...]], float]


class Watched(ChainRun):
    """A run whose rooms are looked at when nothing is left to fold."""

    def __init__(self, plan: Any):
        super().__init__(plan)
        self.series: Series = {}

    def _left(self) -> list[str]:
        left = super()._left()
        if not left:
            self.series = {(one.metric, one.labels): one.value for one in self._samples()}
        return left

    def _samples(self) -> Iterator[Sample]:
        for worker in self.workers.values():
            for room in (one for one in worker._services if isinstance(one, KafkaRoom)):
                yield from gauges.of_carrier(room.name, room.room.reads.name, room.carrier)
                yield from gauges.of_room(room, wall_time=True)


@pytest.fixture(scope="module")
def series() -> Series:
    with living():
        return seen(Watched(plan_of(1, ENGINE)))


def seen(run: Watched) -> Series:
    """What was looked up in this run."""
    assert not run.report().wrong
    return run.series


def test_every_sample_bears_the_labels_of_its_metric(series: Series) -> None:
    assert series
    assert all(len(labels) == len(metric.labels) for metric, labels in series)


def test_rooms_tell_how_far_they_are_and_what_they_keep(series: Series) -> None:
    wanted = {
        metrics.PARTITIONS_OWNED, metrics.PARTITIONS_PARKED, metrics.PARTITIONS_RECOVERING, metrics.REBALANCES,
        metrics.LAG_RECORDS, metrics.LAG_SECONDS, metrics.APPLIED_OFFSET, metrics.STATE_BYTES,
    }  # fmt: skip
    assert wanted <= {metric for metric, _ in series}
    assert {value for (metric, _), value in series.items() if metric is metrics.LAG_RECORDS} == {0}
    assert series[metrics.STATE_BYTES, ("accounts",)] > 0


def test_accounts_and_markets_tell_how_they_stand(series: Series) -> None:
    for account in ACCOUNTS:
        assert series[metrics.EQUITY, (account,)] > 0
        assert series[metrics.TRADING_STATE, (account,)] in (0, 1, 2)
        assert series[metrics.DISCREPANCIES_OPEN, (account,)] >= 0
        assert 0 <= series[metrics.DRAWDOWN_RATIO, (account,)] < 1
    assert (metrics.ORDERS_UNKNOWN, (VENUE,)) in series
    assert metrics.INSTRUMENTS in {metric for metric, _ in series}
    assert metrics.TICK_AGE_SECONDS in {metric for metric, _ in series}
