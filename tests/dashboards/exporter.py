"""An exporter of every metric of the table, each with one series whose value the test sets."""

from collections.abc import Iterator
from types import TracebackType

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from schemas.metrics import COMMON, METRICS, Kind, Metric

LABELS = {"environment": "paper", "role": "worker", "outcome": "ok", "topic": "accounts.inbox", "status": "OPEN"}
"""Values of labels; any other label has the value `some`."""


class Exporter:
    """Serves `/metrics` on a free port. Gauges are 0 and nothing has been counted until a test says so."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._series = {metric.name: _series(metric, self._registry) for metric in METRICS}
        self._server, self._thread = start_http_server(0, "127.0.0.1", self._registry)
        self.port = self._server.server_port

    def set(self, metric: Metric, value: float) -> None:
        """Give a gauge this value."""
        series = self._series[metric.name]
        assert isinstance(series, Gauge), f"{metric.name} is a {metric.kind}"
        series.set(value)

    def add(self, metric: Metric, amount: float = 1.0) -> None:
        """Count, or observe a duration or size."""
        series = self._series[metric.name]
        if isinstance(series, Histogram):
            series.observe(amount)
        else:
            series.inc(amount)

    def __enter__(self) -> "Exporter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def names() -> Iterator[str]:
    """Every name under which Prometheus must know what was scraped."""
    for metric in METRICS:
        ends = ("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",)
        yield from (metric.name + end for end in ends)


def _series(metric: Metric, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    labels = (*metric.labels, *COMMON)
    made: Counter | Gauge | Histogram
    match metric.kind:
        case Kind.COUNTER:
            made = Counter(metric.name, metric.help, labels, registry=registry)
        case Kind.GAUGE:
            made = Gauge(metric.name, metric.help, labels, registry=registry)
        case Kind.HISTOGRAM:
            made = Histogram(metric.name, metric.help, labels, registry=registry, buckets=metric.buckets)
    return made.labels(**{label: LABELS.get(label, "some") for label in labels})
