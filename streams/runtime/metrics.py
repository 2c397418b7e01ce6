"""What doors count of themselves, and how Prometheus reads it. Names, units and labels come from `schemas.metrics`."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from schemas import metrics
from schemas.metrics import COMMON, Kind, Metric

if TYPE_CHECKING:
    from streams.runtime.door import PartitionWork

_MADE: dict[Kind, Any] = {Kind.COUNTER: Counter, Kind.GAUGE: Gauge, Kind.HISTOGRAM: Histogram}


class Exporter:
    """The metrics of one process, made as they are first used."""

    def __init__(self, environment: str):
        self._environment = environment
        self._registry = CollectorRegistry()
        self._made: dict[str, Any] = {}

    def of(self, metric: Metric, role: str, **labels: str) -> Any:
        """The metric with these labels, of the client library: a counter, gauge or histogram."""
        made = self._made.get(metric.name)
        if made is None:
            settings = {"buckets": metric.buckets} if metric.buckets else {}
            names = (*COMMON, *metric.labels)
            made = _MADE[metric.kind](metric.name, metric.help, names, registry=self._registry, **settings)
            self._made[metric.name] = made
        return made.labels(environment=self._environment, role=role, **labels)

    def text(self) -> bytes:
        """As Prometheus scrapes it."""
        return generate_latest(self._registry)


@dataclass(slots=True)
class RoomMetrics:
    """Counts of one room since the start of the process. Written by the room's thread only.

    routes: the topics to which a type of record goes, by its name
    taken, folded, repeated, letters, outputs: records; taken are all that were read, whatever became of them
    fold_s, commit_s: seconds spent
    """

    exporter: Exporter
    room: str
    topic: str
    routes: Callable[[str], tuple[str, ...]]
    batches: int = 0
    taken: int = 0
    folded: int = 0
    repeated: int = 0
    letters: int = 0
    outputs: int = 0
    fold_s: float = 0.0
    commit_s: float = 0.0
    largest_batch: int = 0
    parked: int = 0

    def took(self, records: int, oldest_ms: int, fold_s: float, commit_s: float) -> None:
        """A batch is durable.

        oldest_ms: when its first record came to the log, wall clock
        """
        self.batches += 1
        self.taken += records
        self.largest_batch = max(self.largest_batch, records)
        self.fold_s += fold_s
        self.commit_s += commit_s
        of = self.exporter.of
        of(metrics.BATCH_SECONDS, self.room, room=self.room).observe(fold_s + commit_s)
        of(metrics.FOLD_SECONDS, self.room, room=self.room).observe(fold_s)
        of(metrics.BATCH_RECORDS, self.room, room=self.room).observe(records)
        of(metrics.HOP_SECONDS, self.room, room=self.room).observe(max(0.0, time.time() - oldest_ms / 1000))

    def count(self, work: "PartitionWork") -> None:
        """One partition's part of a batch is durable."""
        self.folded += work.folded
        self.repeated += work.repeated
        self.letters += work.letters
        self.outputs += work.outputs
        self.parked += work.parked is not None
        of = self.exporter.of
        for record, count in work.read.items():
            of(metrics.RECORDS_READ, self.room, topic=self.topic, record=record).inc(count)
        for record, count in work.written.items():
            for topic in self.routes(record):
                of(metrics.RECORDS_WRITTEN, self.room, topic=topic, record=record).inc(count)
        for reason, count in work.refused.items():
            of(metrics.DEAD_LETTERS, self.room, topic=self.topic, reason=reason).inc(count)

    def told(self) -> dict[str, int]:
        """The counts, for people."""
        return {
            "batches": self.batches,
            "folded": self.folded,
            "outputs": self.outputs,
            "dead_letters": self.letters,
            "repeated": self.repeated,
            "largest_batch": self.largest_batch,
        }
