"""What a look at the doors tells, when Prometheus asks: how far they are, and how what they keep stands."""

import time
from collections.abc import Iterable, Iterator, Mapping

from schemas import metrics
from schemas.control import ClockTick
from schemas.metrics import Metric
from streams.runtime.carrier import Carrier, Owned, Standing
from streams.runtime.kafka_room import KafkaRoom
from streams.runtime.metrics import Sample


def of_carrier(name: str, topic: str, carrier: Carrier) -> Iterator[Sample]:
    """How far a room or effect is in each partition that is its own; `topic` is its bare name, as in all metrics."""
    owned = dict(carrier.owned)

    def one(metric: Metric, value: float) -> Sample:
        return Sample(metric, name, (name,), value)

    yield one(metrics.PARTITIONS_OWNED, len(owned))
    yield one(metrics.PARTITIONS_PARKED, _standing(owned, Standing.PARKED))
    yield one(metrics.PARTITIONS_RECOVERING, _standing(owned, Standing.RECOVERING))
    yield one(metrics.REBALANCES, carrier.counts.rebalances)
    now_s, oldest = time.time(), carrier.oldest_by_partition()
    for partition, standing in owned.items():
        where = (name, topic, str(partition))
        age_s = max(0.0, now_s - oldest[partition] / 1000) if partition in oldest else 0.0
        yield Sample(metrics.LAG_RECORDS, name, where, carrier.lag(partition))
        yield Sample(metrics.LAG_SECONDS, name, where, age_s)
        if standing.standing is Standing.LIVE:
            yield Sample(metrics.APPLIED_OFFSET, name, where, standing.folded - 1)


def of_room(room: KafkaRoom, *, wall_time: bool) -> Iterator[Sample]:
    """What a room keeps, and what looks at its states tell.

    wall_time: whether records tell the time of the wall; in a replay they are years old, and ages mean nothing.
    """
    name, now_s = room.name, time.time()
    for cause, count in room.aborts.items():
        yield Sample(metrics.TRANSACTIONS_ABORTED, name, (name, cause), count)
    tables = [owned.table for owned in dict(room.carrier.owned).values() if owned.table is not None]
    yield Sample(metrics.STATE_BYTES, name, (name,), sum(table.bytes for table in tables))
    if wall_time and tables and ClockTick in room.room.reads.records:
        yield Sample(metrics.CLOCK_TICK_AGE_SECONDS, name, (), room.metrics.tick_age_s(now_s))
    for table in tables:
        states, shared = table.durable()
        for state in states:
            for metric, labels, value, is_time in room.room.readings(state, shared):
                if not is_time:
                    yield Sample(metric, name, labels, value)
                elif wall_time:
                    yield Sample(metric, name, labels, max(0.0, now_s - value / 1e6))


def of_readiness(names: Iterable[str], held: Iterable[str]) -> Iterator[Sample]:
    """Whether each door is ready; `held` are the reasons why not, each beginning with a door's name."""
    for name in names:
        ready = not any(reason.startswith((f"{name} ", f"{name}/")) for reason in held)
        yield Sample(metrics.READY, name, ("partitions",), ready)


def _standing(owned: Mapping[int, Owned], standing: Standing) -> int:
    return sum(one.standing is standing for one in owned.values())
