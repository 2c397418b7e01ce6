"""A real Prometheus scrapes every metric, evaluates every rule, and answers every question of the boards."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from connectors.embedded.ports import choose_free
from schemas.metrics import (
    KILL_SWITCH_ACTIVE,
    METRICS,
    ORDERS_UNKNOWN,
    PARTITIONS_PARKED,
    READY,
    RECORDS_READ,
    Kind,
)  # fmt: skip
from tests.dashboards.boards import Asked, asked
from tests.dashboards.exporter import Exporter, names
from tests.dashboards.promql import RULES

PROMETHEUS = shutil.which("prometheus")
PATIENCE_S = 300.0
QUIET = {
    "ql-pipeline: Budget burnt: signal to socket B", "ql-pipeline: Budget burnt: signal to socket C",
}  # fmt: skip

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not installed: Debian's package is prometheus"),
]


class Prometheus:
    """What Prometheus says."""

    def __init__(self, url: str):
        self.url = url

    def asked(self, path: str, **parameters: str) -> Any:
        """Its answer's data. Raises AssertionError where it refuses."""
        response = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=30, trust_env=False)
        assert response.status_code == 200, response.text
        return response.json()["data"]

    def rules(self) -> list[dict[str, Any]]:
        """All rules as they were last evaluated."""
        return [rule for group in self.asked("rules")["groups"] for rule in group["rules"]]

    def firing(self) -> set[str]:
        """Names of the alerts that fire."""
        return {alert["labels"]["alertname"] for alert in self.asked("alerts")["alerts"] if alert["state"] == "firing"}


def until(holds: Callable[[], bool]) -> None:
    """Wait for it; fail where it never comes true."""
    end_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end_s, "it did not come true"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def exporter() -> Iterator[Exporter]:
    """All metrics; two orders are unknown, one partition is parked."""
    with Exporter() as exporter:
        exporter.set(READY, 1)
        exporter.set(ORDERS_UNKNOWN, 2)
        exporter.set(PARTITIONS_PARKED, 1)
        yield exporter


@contextmanager
def scraping(ports: Sequence[int], folder: Path) -> Iterator[Prometheus]:
    """The real one, with our configuration but for the addresses and the pace."""
    yaml = YAML(typ="safe")
    config = yaml.load(RULES.parent / "prometheus.yml")
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "200ms"}
    config.pop("alerting", None)
    job = config["scrape_configs"][0]
    del job["dns_sd_configs"], config["scrape_configs"][1]
    job["static_configs"] = [{"targets": [f"127.0.0.1:{port}" for port in ports]}]
    yaml.dump(config, folder / "prometheus.yml")
    shutil.copytree(RULES, folder / "rules")
    port = choose_free()
    command = [
        str(PROMETHEUS), "--config.file", str(folder / "prometheus.yml"), "--storage.tsdb.path", str(folder / "data"),
        "--web.listen-address", f"127.0.0.1:{port}",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: _answers(f"{url}/-/ready"))
        yield Prometheus(url)
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture(scope="module")
def prometheus(exporter: Exporter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One that scrapes the exporter of this module, and has seen everything move."""
    with scraping([exporter.port], tmp_path_factory.mktemp("prometheus")) as found:
        until(lambda: bool(found.asked("query", query='up{job="quantumleap"} == 1')["result"]))
        for metric in METRICS:
            if metric.kind is not Kind.GAUGE:
                exporter.add(metric)
        until(lambda: bool(found.asked("query", query=f"increase({RECORDS_READ.name}[1m]) > 0")["result"]))
        yield found


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_every_metric_of_the_table_is_scraped(prometheus: Prometheus) -> None:
    assert set(names()) <= set(prometheus.asked("label/__name__/values"))


def test_every_rule_is_evaluated_without_error(prometheus: Prometheus) -> None:
    until(lambda: all(rule["health"] != "unknown" for rule in prometheus.rules()))
    assert not [(rule["name"], rule.get("lastError")) for rule in prometheus.rules() if rule["health"] != "ok"]


def test_alerts_fire_for_what_is_wrong_and_for_nothing_else(prometheus: Prometheus, exporter: Exporter) -> None:
    until(lambda: {"OrdersUnknown", "PartitionParked"} <= prometheus.firing())
    assert "KillSwitchActive" not in prometheus.firing()
    exporter.set(KILL_SWITCH_ACTIVE, 1)
    exporter.set(PARTITIONS_PARKED, 0)
    until(lambda: "KillSwitchActive" in prometheus.firing())
    until(lambda: "PartitionParked" not in prometheus.firing())


@pytest.mark.parametrize("question", list(asked("prometheus")), ids=lambda question: question.name)
def test_every_question_of_a_board_has_an_answer(question: Asked, prometheus: Prometheus) -> None:
    text = question.target["expr"].replace("${environment:text}", "paper").replace("${instrument:regex}", ".*")
    text = text.replace("$__rate_interval", "1m")
    if question.name in QUIET or "count(quantumleap_ready" in text:
        prometheus.asked("query", query=text)
        return
    until(lambda: bool(prometheus.asked("query", query=text)["result"]))
