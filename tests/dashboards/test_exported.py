"""What boards and alerts rest on is really exported: the whole engine runs on paper, and each role is scraped."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.embedded.clickhouse import ClickHouseServer
from connectors.embedded.kafka import KafkaServer
from connectors.embedded.registry import RegistryServer
from schemas import metrics
from schemas.metrics import METRICS, Kind, Metric
from schemas.topics import TOPICS
from tests.dashboards.paper_engine import ENVIRONMENT, Engine, named, running
from tests.dashboards.test_prometheus import PROMETHEUS, Prometheus, scraping, until

pytestmark = [pytest.mark.servers, pytest.mark.slow]

ABSENT = {
    metrics.TRANSACTIONS_ABORTED.name: "no transaction was aborted",
    metrics.BROKER_ROUTE_CALLS.name: "the paper venue is here: there is no route to it",
}
"""Metrics without a sample in an engine that is well, and why."""


@pytest.fixture(scope="module")
def engine(
    tmp_path_factory: pytest.TempPathFactory,
    kafka: KafkaServer,
    registry_server: RegistryServer,
    clickhouse_server: ClickHouseServer,
) -> Iterator[Engine]:
    with running(tmp_path_factory.mktemp("engine"), kafka, registry_server, clickhouse_server) as engine:
        yield engine


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_has_a_sample_or_a_reason_to_have_none(metric: Metric, engine: Engine) -> None:
    found = named(engine.text())
    name = f"{metric.name}_count" if metric.kind is Kind.HISTOGRAM else metric.name
    assert (name in found) != (metric.name in ABSENT)


def test_nothing_else_is_exported(engine: Engine) -> None:
    ends = ("_bucket", "_sum", "_count", "_created", "")
    known = {metric.name + end for metric in METRICS for end in ends}
    known |= {metric.name.removesuffix("_total") + "_created" for metric in METRICS}
    assert not named(engine.text()) - known


def test_every_role_answers_with_its_version_and_says_that_it_is_ready(engine: Engine) -> None:
    text = engine.text()
    for role in engine.ports:
        here = f'environment="{ENVIRONMENT}"'
        assert re.search(rf'^quantumleap_build{{{here},role="{role}",version="[0-9.]+"}} 1', text, re.M)
        assert re.search(rf'^quantumleap_ready{{{here},reason="process",role="{role}"}} 1', text, re.M)


def test_whoever_reads_a_topic_says_how_far_it_is(engine: Engine) -> None:
    samples = engine.samples()
    for metric in (metrics.LAG_RECORDS, metrics.LAG_SECONDS, metrics.APPLIED_OFFSET):
        roles = set(re.findall(r'role="(\w+)"', " ".join(samples[metric.name])))
        assert roles == {"market_data", "signals", "strategies", "accounts", "pnl", "execution", "relay"}


def test_every_topic_is_named_as_the_map_names_it_whoever_tells_of_it(engine: Engine) -> None:
    told = {metric: set(re.findall(r'topic="([^"]*)"', " ".join(found))) for metric, found in engine.samples().items()}
    named = {metric: topics for metric, topics in told.items() if topics}
    assert {metrics.LAG_SECONDS.name, metrics.APPLIED_OFFSET.name, metrics.RECORDS_READ.name} <= named.keys()
    assert set().union(*named.values()) <= {topic.name for topic in TOPICS}


def test_what_went_wrong_was_counted_under_its_own_name(engine: Engine) -> None:
    samples = engine.samples()

    def labels(metric: Metric) -> str:
        return " ".join(samples[f"{metric.name}_count" if metric.kind is Kind.HISTOGRAM else metric.name])

    assert 'provider="oracle"' in labels(metrics.SIGNALS_ACCEPTED)
    assert 'code="UNKNOWN_PROVIDER"' in labels(metrics.SIGNALS_REFUSED)
    assert 'provider="unknown"' in labels(metrics.SIGNALS_REFUSED)
    assert 'provider="nobody"' not in labels(metrics.SIGNALS_REFUSED)
    assert 'reason="MODE"' in labels(metrics.NOT_SENT)
    assert 'action="REFUSED"' in labels(metrics.TICKS_REFUSED)
    assert 'call="submit"' in labels(metrics.BROKER_CALL_SECONDS)
    assert samples[metrics.EQUITY.name]
    (waited,) = samples[f"{metrics.SIGNAL_TO_ORDER_SECONDS.name}_sum"].values()
    assert 0 < waited < 60


def test_a_signal_is_one_trace_from_its_record_to_its_fill(engine: Engine) -> None:
    spans = {span.span_id: span for span in engine.spans}
    (root,) = [span for span in spans.values() if span.name == "signals Signal" and "AcceptedSignal" in str(span)]
    mine = [span for span in spans.values() if span.trace_id == root.trace_id]
    names = {span.name for span in mine}
    assert names >= {
        "signals Signal", "strategies AcceptedSignal", "accounts TradeIntent", "execution SubmitOrder",
        "accounts ExecutionReport",
    }  # fmt: skip
    (fill,) = [span for span in mine if span.name == "accounts ExecutionReport" and "TRADE" in str(span.attributes)]
    way = [fill]
    while way[-1].parent_span_id:
        way.append(spans[way[-1].parent_span_id])
    assert [span.name for span in reversed(way)] == [
        "signals Signal", "strategies AcceptedSignal", "accounts TradeIntent", "execution SubmitOrder",
        "accounts ExecutionReport",
    ]  # fmt: skip
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in mine)


@pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not installed: Debian's package is prometheus")
def test_a_real_prometheus_scrapes_every_role_and_evaluates_every_rule(engine: Engine, tmp_path: Path) -> None:
    assert shutil.which("prometheus")
    with scraping(list(engine.ports.values()), tmp_path) as prometheus:
        until(lambda: len(prometheus.asked("query", query='up{job="quantumleap"} == 1')["result"]) == len(engine.ports))
        until(lambda: all(rule["health"] != "unknown" for rule in prometheus.rules()))
        assert not [(rule["name"], rule.get("lastError")) for rule in prometheus.rules() if rule["health"] != "ok"]
        until(lambda: told_by(prometheus) == set(engine.ports))


def told_by(prometheus: Prometheus) -> set[str]:
    """Roles whose last scrape said what was built; one that a busy machine let miss a scrape comes back."""
    roles = prometheus.asked("query", query="count by (role) (quantumleap_build)")["result"]
    return {one["metric"]["role"] for one in roles}
