"""What doors count of themselves, and how Prometheus reads it. Names, units and labels come from `schemas.metrics`.

On the way of records only plain numbers are kept; text is made of them when Prometheus asks. What a look can tell
(how far a partition is, what an account's equity is) is looked up then, and is gone when it is no longer ours to tell.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client import Counter as Counting
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from schemas import metrics
from schemas.metrics import COMMON, Kind, Metric
from streams.runtime.observers import Counted

if TYPE_CHECKING:
    from streams.runtime.door import PartitionWork

_MADE: dict[Kind, Any] = {Kind.COUNTER: Counting, Kind.GAUGE: Gauge, Kind.HISTOGRAM: Histogram}


class Sample(NamedTuple):
    """One number of a counter or gauge; labels are in the order of the metric's."""

    metric: Metric
    role: str
    labels: tuple[str, ...]
    value: float


Ask = Callable[[], Iterable[Sample]]


class Exporter:
    """The metrics of one process. A metric is either counted with `of` or told by `ask`, never both."""

    def __init__(self, environment: str):
        self._environment = environment
        self._registry = CollectorRegistry()
        self._made: dict[str, Any] = {}
        self._asked: list[Ask] = []
        self._registry.register(_AtScrape(environment, self._asked))

    def of(self, metric: Metric, role: str, **labels: str) -> Any:
        """The metric with these labels, of the client library: a counter, gauge or histogram. Keep it."""
        made = self._made.get(metric.name)
        if made is None:
            settings = {"buckets": metric.buckets} if metric.buckets else {}
            names = (*COMMON, *metric.labels)
            made = _MADE[metric.kind](metric.name, metric.help, names, registry=self._registry, **settings)
            self._made[metric.name] = made
        return made.labels(environment=self._environment, role=role, **labels)

    def ask(self, ask: Ask) -> None:
        """Ask this at each scrape, in the thread of the scrape. Samples of the same series are added up."""
        self._asked.append(ask)

    def text(self) -> bytes:
        """As Prometheus scrapes it."""
        return generate_latest(self._registry)


class _AtScrape(Collector):
    def __init__(self, environment: str, asked: list[Ask]):
        self._environment = environment
        self._asked = asked

    def collect(self) -> Iterator[Any]:
        found: dict[str, tuple[Metric, Counter[tuple[str, ...]]]] = {}
        for ask in self._asked:
            for metric, role, labels, value in ask():
                _, series = found.setdefault(metric.name, (metric, Counter()))
                series[role, *labels] += value  # type: ignore[assignment]  # a Counter adds up any numbers
        for metric, series in found.values():
            family = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
            told = family(metric.name, metric.help, labels=(*COMMON, *metric.labels))
            for labels, value in series.items():
                told.add_metric((self._environment, *labels), value)
            yield told


def since_s(appended_ms: int) -> float:
    """Seconds since a record came to the log, by the wall clock."""
    return max(0.0, time.time() - appended_ms / 1000)


def build(role: str) -> Ask:
    """Which version runs."""
    running = Sample(metrics.BUILD, role, (version("quantumleap"),), 1)
    return lambda: (running,)


@dataclass(slots=True)
class RoomMetrics:
    """Counts of one room since the start of the process. Written by the room's thread only.

    routes: the topics to which a type of record goes, by its name
    taken, folded, repeated, letters, outputs: records; taken are all that were read, whatever became of them
    fold_s, commit_s: seconds spent
    counted: what was counted of records that are durable
    tick_us: newest clock tick folded; 0 before the first
    began_s: since when ticks are awaited, wall clock: the start, or when partitions came to a room that had none
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
    tick_us: int = 0
    began_s: float = field(default_factory=time.time)
    counted: Counter[Counted] = field(default_factory=Counter)
    _durations: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        observed = (metrics.BATCH_SECONDS, metrics.FOLD_SECONDS, metrics.BATCH_RECORDS, metrics.HOP_SECONDS)
        self._durations = tuple(self.exporter.of(one, self.room, room=self.room) for one in observed)
        self.exporter.of(metrics.RECOVERY_SECONDS, self.room, room=self.room)
        self.exporter.ask(self.samples)

    def took(self, records: int, oldest_ms: int, fold_s: float, commit_s: float) -> None:
        """A batch is durable.

        oldest_ms: when its first record came to the log, wall clock
        """
        self.batches += 1
        self.taken += records
        self.largest_batch = max(self.largest_batch, records)
        self.fold_s += fold_s
        self.commit_s += commit_s
        batch, fold, size, hop = self._durations
        batch.observe(fold_s + commit_s)
        fold.observe(fold_s)
        size.observe(records)
        hop.observe(since_s(oldest_ms))

    def recovered(self, seconds: float, *, first: bool = False) -> None:
        """The state of a partition has been read; it is the `first` of those that are ours now."""
        if first:
            self.began_s = time.time()
        self.exporter.of(metrics.RECOVERY_SECONDS, self.room, room=self.room).observe(seconds)

    def tick_age_s(self, now_s: float) -> float:
        """Age of the newest tick; where none has come since ticks are awaited, how long that is."""
        return max(0.0, now_s - max(self.tick_us / 1e6, self.began_s))

    def count(self, work: "PartitionWork") -> None:
        """One partition's part of a batch is durable."""
        self.folded += work.folded
        self.repeated += work.repeated
        self.letters += work.letters
        self.outputs += work.outputs
        self.parked += work.parked is not None
        self.tick_us = max(self.tick_us, work.tick_us)
        counted = self.counted
        for record, count in work.read.items():
            counted[Counted(metrics.RECORDS_READ, (self.topic, record))] += count
        for record, count in work.written.items():
            for topic in self.routes(record):
                counted[Counted(metrics.RECORDS_WRITTEN, (topic, record))] += count
        for reason, count in work.refused.items():
            counted[Counted(metrics.DEAD_LETTERS, (self.topic, reason))] += count
        for series, count in work.counted.items():
            counted[series] += count

    def samples(self) -> Iterator[Sample]:
        """What was counted so far."""
        for (metric, labels), count in self.counted.copy().items():
            yield Sample(metric, self.room, labels, count)

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
