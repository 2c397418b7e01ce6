"""Alerts reach people over every channel, and no secret stands in a file."""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from dashboards import channels
from dashboards.config_maps import LABELS, SIDECAR
from dashboards.grafana.files import FOLDER
from tests.dashboards.boards import committed
from tests.dashboards.test_alerts import RULES as BUSINESS
from tests.dashboards.test_rules import ALERTS as PLATFORM
from tests.paths import ROOT

AMTOOL = shutil.which("amtool")
CHANNELS = {"email", "slack", "webhook"}
ALERTING = FOLDER / "grafana" / "provisioning" / "alerting"
ALERTMANAGER = FOLDER / "prometheus" / "alertmanager.yml"
CONFIG_MAPS = FOLDER / "kubernetes" / "configmaps.yaml"
CONFIG_MAP_BYTES_MAX = 1 << 20
KUBERNETES = ("1.30", "1.37")
"""The oldest and the newest version that our schemas speak for."""

URL_FILE = "route: {receiver: a}\nreceivers: [{name: a, webhook_configs: [{url_file: /there}]}]\n"
"""What Alertmanager reads from 0.26 on: a webhook's address that lies in a file."""


def amtool(*arguments: str) -> "subprocess.CompletedProcess[str]":
    assert AMTOOL is not None
    return subprocess.run([AMTOOL, *arguments], capture_output=True, text=True, check=False)


def reads_url_files() -> bool:
    """Whether the installed amtool does; a build of one's own tells no version, so it is tried."""
    if AMTOOL is None:
        return False
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        file.write(URL_FILE)
        file.flush()
        return amtool("check-config", file.name).returncode == 0


needs_amtool = pytest.mark.skipif(
    AMTOOL is None, reason="amtool is not installed: Debian's package is prometheus-alertmanager"
)
needs_recent_amtool = pytest.mark.skipif(
    not reads_url_files(), reason="amtool is not installed, or older than webhooks with a url_file (0.26)"
)


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our configuration with receivers that are but names: which alert goes where, for amtool of any age."""
    config = json.loads(ALERTMANAGER.read_text())
    config["receivers"] = [{"name": receiver["name"]} for receiver in config["receivers"]]
    file = tmp_path_factory.mktemp("routes") / "alertmanager.yml"
    file.write_text(json.dumps(config))
    return file


def points() -> dict[str, dict[str, Any]]:
    """Settings of every receiver by its contact point and type."""
    found = json.loads((ALERTING / "contact-points.json").read_text())["contactPoints"]
    return {point["name"]: {one["type"]: one["settings"] for one in point["receivers"]} for point in found}


def test_a_page_reaches_a_pager_and_everybody_else_and_a_ticket_wakes_nobody() -> None:
    assert points().keys() == {channels.PAGE, channels.TICKET}
    assert points()[channels.PAGE].keys() == CHANNELS | {"pagerduty"}
    assert points()[channels.TICKET].keys() == CHANNELS


def test_every_alert_has_a_severity_that_some_channel_hears() -> None:
    (policy,) = json.loads((ALERTING / "policies.json").read_text())["policies"]
    assert {policy["receiver"], *(route["receiver"] for route in policy["routes"])} == points().keys()
    assert {alert["labels"]["severity"] for alert in BUSINESS} == {"page", "ticket"}


def test_receivers_have_uids_of_their_own() -> None:
    found = json.loads((ALERTING / "contact-points.json").read_text())["contactPoints"]
    uids = [one["uid"] for point in found for one in point["receivers"]]
    assert len(uids) == len(set(uids))
    assert all(re.fullmatch(r"[a-z-]{1,40}", uid) for uid in uids)


def test_secrets_come_from_variables_that_compose_gives_to_grafana() -> None:
    text = (ALERTING / "contact-points.json").read_text()
    grafana = YAML(typ="safe").load(ROOT / "docker-compose.yml")["services"]["grafana"]["environment"]
    named = set(re.findall(r"\$\{(\w+)\}", text))
    assert named == set(channels.VARIABLES)
    assert {name: grafana[name] for name in named} == {
        name: f"${{{name}:-{default}}}" for name, (_, default) in channels.VARIABLES.items()
    }


def test_secrets_of_alertmanager_are_files_that_compose_puts_there() -> None:
    compose = YAML(typ="safe").load(ROOT / "docker-compose.yml")
    named = set(re.findall(rf"{channels.SECRETS}/(\w+)", ALERTMANAGER.read_text()))
    assert (
        named == set(channels.FILES) == set(compose["services"]["alertmanager"]["secrets"]) == set(compose["secrets"])
    )
    assert not re.search(r'"(api_url|routing_key|url|auth_password)":', ALERTMANAGER.read_text())


@needs_recent_amtool
def test_alertmanager_accepts_its_configuration() -> None:
    checked = amtool("check-config", str(ALERTMANAGER))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@needs_amtool
def test_the_check_of_alertmanager_can_object(routes: Path, tmp_path: Path) -> None:
    assert amtool("check-config", str(routes)).returncode == 0
    wrong = json.loads(routes.read_text())
    wrong["route"]["receiver"] = "nobody"
    (tmp_path / "wrong.yml").write_text(json.dumps(wrong))
    assert amtool("check-config", str(tmp_path / "wrong.yml")).returncode != 0


@needs_amtool
@pytest.mark.parametrize("alert", PLATFORM, ids=lambda alert: f"{alert['alert']}-{alert['labels']['severity']}")
def test_every_alert_of_prometheus_goes_where_its_severity_says(alert: dict[str, Any], routes: Path) -> None:
    wanted = {"page": channels.PAGE, "ticket": channels.TICKET, "none": channels.HEARTBEAT}
    severity = alert["labels"]["severity"]
    labels = (f"alertname={alert['alert']}", f"severity={severity}", "environment=paper")
    routed = amtool("config", "routes", "test", f"--config.file={routes}", *labels)
    assert routed.stdout.split() == [wanted[severity]]


def config_maps() -> list[dict[str, Any]]:
    return list(YAML(typ="safe").load_all(CONFIG_MAPS))


def test_clusters_get_every_board_and_rule_under_the_label_that_finds_it() -> None:
    found = {name: text for one in config_maps() for name, text in one["data"].items()}
    for uid in committed():
        assert found[f"{uid}.json"] == (FOLDER / "grafana" / "boards" / f"{uid}.json").read_text()
    assert found["platform.yml"] == (FOLDER / "prometheus" / "rules" / "platform.yml").read_text()
    assert {"business.json", "contact-points.json", "policies.json", "objectives.yml"} <= set(found)


@pytest.mark.parametrize("one", config_maps(), ids=lambda one: one["metadata"]["name"])
def test_a_config_map_is_one_that_a_cluster_takes(one: dict[str, Any]) -> None:
    assert (one["apiVersion"], one["kind"]) == ("v1", "ConfigMap")
    assert set(one) == {"apiVersion", "kind", "metadata", "data"}
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", one["metadata"]["name"])
    assert len(one["metadata"]["name"]) <= 253
    labels = one["metadata"]["labels"]
    assert LABELS.items() <= labels.items()
    assert sum(labels.get(label) == "1" for label in SIDECAR.values()) == 1
    assert all(re.fullmatch(r"[-._a-zA-Z0-9]+", key) and isinstance(text, str) for key, text in one["data"].items())
    assert sum(len(text.encode()) for text in one["data"].values()) < CONFIG_MAP_BYTES_MAX


def test_config_maps_have_names_of_their_own() -> None:
    names = [one["metadata"]["name"] for one in config_maps()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("one", config_maps(), ids=lambda one: one["metadata"]["name"])
@pytest.mark.parametrize("version", KUBERNETES)
def test_a_config_map_holds_to_the_schema_of_kubernetes(one: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(one, version, strict=True)


def test_the_schema_of_kubernetes_refuses_what_no_config_map_has() -> None:
    with pytest.raises(kubernetes_validate.ValidationError, match="dada"):
        kubernetes_validate.validate(config_maps()[0] | {"dada": {}}, KUBERNETES[-1], strict=True)
