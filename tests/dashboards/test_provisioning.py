"""Files that Grafana and Prometheus read in Compose name servers, paths and variables that Compose gives them."""

import re
from typing import Any

from ruamel.yaml import YAML

from connectors.clickhouse.client import database_of
from dashboards.grafana.alerts import CLICKHOUSE_UID, FOLDER, FOLDER_UID
from tests.dashboards.test_alerts import PROVISIONED, RULES
from tests.paths import ROOT

YAML_FILE = YAML(typ="safe")
COMPOSE: dict[str, Any] = YAML_FILE.load(ROOT / "docker-compose.yml")["services"]
SOURCES: list[dict[str, Any]] = YAML_FILE.load(PROVISIONED / "datasources" / "quantumleap.yml")["datasources"]
PROVIDER: dict[str, Any] = YAML_FILE.load(PROVISIONED / "dashboards" / "quantumleap.yml")["providers"][0]
SCRAPED: dict[str, Any] = YAML_FILE.load(ROOT / "dashboards" / "prometheus" / "prometheus.yml")["scrape_configs"][0]


def mounts(service: str) -> dict[str, str]:
    """Where folders of the project lie inside a container."""
    pairs = (volume.split(":") for volume in COMPOSE[service]["volumes"] if volume.startswith("./"))
    return {pair[0]: pair[1] for pair in pairs}


def test_both_data_sources_are_there_under_the_uids_that_alerts_use() -> None:
    assert {source["uid"]: source["type"] for source in SOURCES} == {
        CLICKHOUSE_UID: "grafana-clickhouse-datasource",
        "quantumleap-prometheus": "prometheus",
    }
    assert {question["datasourceUid"] for rule in RULES for question in rule["data"]} == {CLICKHOUSE_UID, "__expr__"}


def test_clickhouse_is_asked_over_http_on_its_port() -> None:
    (source,) = [source for source in SOURCES if source["uid"] == CLICKHOUSE_UID]
    assert source["jsonData"]["protocol"] == "http"
    assert source["jsonData"]["port"] == 8123
    assert source["jsonData"]["host"] in COMPOSE
    assert source["type"] in COMPOSE["grafana"]["environment"]["GF_INSTALL_PLUGINS"]


def test_every_variable_of_a_file_is_given_to_grafana() -> None:
    text = (PROVISIONED / "datasources" / "quantumleap.yml").read_text()
    assert set(re.findall(r"\$(\w+)", text)) <= set(COMPOSE["grafana"]["environment"])


def test_alerts_ask_the_database_of_the_environment_that_compose_runs() -> None:
    environment = COMPOSE["worker"]["environment"]["QL_ENVIRONMENT"]
    assert COMPOSE["grafana"]["environment"]["CLICKHOUSE_DATABASE"] == database_of(environment)


def test_boards_lie_where_the_provider_looks() -> None:
    assert PROVIDER["options"]["path"] == mounts("grafana")["./dashboards/grafana/boards"]
    assert (PROVIDER["folder"], PROVIDER["folderUid"]) == (FOLDER, FOLDER_UID)


def test_prometheus_scrapes_every_role_of_the_engine_on_its_health_port() -> None:
    (discovery,) = SCRAPED["dns_sd_configs"]
    engine = {name for name, service in COMPOSE.items() if service.get("image", "").startswith("quantumleap")}
    assert set(discovery["names"]) == engine - {"setup"}
    assert str(discovery["port"]) == COMPOSE["worker"]["environment"]["QL_HEALTH_PORT"]
    assert mounts("prometheus")["./dashboards/prometheus"] == "/etc/prometheus"
