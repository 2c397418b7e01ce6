"""Where the roles that are no rooms answer health and metrics: as a worker does, on a port of their own."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from schemas import metrics
from streams.commands.outcome import say
from streams.runtime.health import Health
from streams.runtime.metrics import Exporter, Sample, build

if TYPE_CHECKING:
    from connectors.clickhouse.client import ClickHouse
    from connectors.clickhouse.sink import Sink
    from streams.sources.clock import Clock
    from streams.sources.relay import MarksRelay


@contextmanager
def serving(environment: str, role: str, port: int, tell: Callable[[str], None] = say) -> Iterator[Exporter]:
    """Answer on this port, or on a free one where it is taken: a machine may run several roles."""
    exporter = Exporter(environment)
    exporter.ask(build(role))
    health = Health(exporter, role=role)
    try:
        found = health.start(port)
    except OSError:
        found = health.start(0)
    tell(f"  {role} answers health and metrics on port {found}")
    try:
        yield exporter
    finally:
        health.stop()


def clock_samples(clock: "Clock") -> Iterator[Sample]:
    """How old the clock's newest tick is."""
    yield Sample(metrics.CLOCK_TICK_AGE_SECONDS, "clock", (), max(0.0, time.time() - clock.told_s))


def relay_samples(relay: "MarksRelay") -> Iterator[Sample]:
    """What the relay read, and how far it is in each partition."""
    yield Sample(metrics.RECORDS_READ, "relay", (relay.topic, "Mark"), relay.marks)
    now_s = time.time()
    for partition, relayed, records, oldest_ms in relay.waiting():
        where = ("relay", relay.topic, str(partition))
        age_s = 0.0 if oldest_ms is None else max(0.0, now_s - oldest_ms / 1000)
        yield Sample(metrics.LAG_RECORDS, "relay", where, records)
        yield Sample(metrics.LAG_SECONDS, "relay", where, age_s)
        yield Sample(metrics.APPLIED_OFFSET, "relay", where, relayed)


def watch_sink(sink: "Sink", server: "ClickHouse", exporter: Exporter) -> None:
    """Let the exporter tell what this sink does."""

    def inserted(table: str, taken: bool, seconds: float) -> None:
        outcome = "ok" if taken else "failed"
        exporter.of(metrics.SINK_INSERT_SECONDS, "sink", table=table, outcome=outcome).observe(seconds)

    def samples() -> Iterator[Sample]:
        now_s = time.time()
        for table, rows in sink.progress.by_table.copy().items():
            yield Sample(metrics.SINK_ROWS, "sink", (table,), rows)
        for topic, since_ms in sink.waiting_ms.items():
            age_s = 0.0 if since_ms is None else max(0.0, now_s - since_ms / 1000)
            yield Sample(metrics.SINK_LAG_SECONDS, "sink", (topic,), age_s)

    server.inserted = inserted
    exporter.ask(samples)
