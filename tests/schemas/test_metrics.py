"""Every metric is named as Prometheus asks, and once."""

import re

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from schemas.metrics import BY_NAME, COMMON, METRICS, PREFIX, Kind, Metric

LABELS_WITH_MANY_VALUES = {"client_order_id", "signal_id", "exec_id", "request_id", "event_id", "offset"}


def test_every_name_is_there_once() -> None:
    assert len(BY_NAME) == len(METRICS) > 30


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_follows_the_naming_rules(metric: Metric) -> None:
    assert re.fullmatch(rf"{PREFIX}(_[a-z]+)+", metric.name)
    assert metric.name.removesuffix("_total").endswith(metric.unit)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert metric.help.endswith(".")
    assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert not set(metric.labels) & (LABELS_WITH_MANY_VALUES | set(COMMON))


def test_the_client_library_exports_them_under_these_names() -> None:
    registry = CollectorRegistry()
    made = {Kind.COUNTER: Counter, Kind.GAUGE: Gauge, Kind.HISTOGRAM: Histogram}
    for metric in METRICS:
        made[metric.kind](metric.name, metric.help, (*COMMON, *metric.labels), registry=registry)
    typed = set(re.findall(r"^# TYPE (\S+) ", generate_latest(registry).decode(), flags=re.MULTILINE))
    assert set(BY_NAME) <= typed
