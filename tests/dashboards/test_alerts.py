"""Business alerts: each question asked of real tables, at its bound and beyond."""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.migrate import migrate
from connectors.embedded.clickhouse import ClickHouseServer
from tests.connectors.clickhouse.kept import WRITTEN_MS, keep
from tests.dashboards.boards import committed
from tests.dashboards.macros import View, expanded
from tests.dashboards.test_sql import NUMBER, TEXT
from tests.dashboards.trouble import AT_US, Lying, at_every_bound, beyond_every_bound, few
from tests.paths import ROOT

PROVISIONED = ROOT / "dashboards" / "grafana" / "provisioning"
FILE = json.loads((PROVISIONED / "alerting" / "business.json").read_text())
RULES: list[dict[str, Any]] = [rule for group in FILE["groups"] for rule in group["rules"]]
SILENT = "Nothing arrives"


@contextmanager
def database(server: ClickHouseServer, records: Callable[[], Lying]) -> Iterator[ClickHouse]:
    """A database that holds these records."""
    client = ClickHouse(server.url, f"ql_a{uuid.uuid4().hex[:12]}")
    migrate(client)
    keep(client, records())
    yield client
    client.command(f"DROP DATABASE `{client.database}`")
    client.close()


@pytest.fixture(scope="module")
def bounded(clickhouse_server: ClickHouseServer) -> Iterator[ClickHouse]:
    with database(clickhouse_server, at_every_bound) as client:
        yield client


@pytest.fixture(scope="module")
def troubled(clickhouse_server: ClickHouseServer) -> Iterator[ClickHouse]:
    with database(clickhouse_server, beyond_every_bound) as client:
        yield client


def answer(rule: dict[str, Any], server: ClickHouse, now_s: int) -> dict[str, Any]:
    """What Grafana gets when it evaluates the rule at this time: the data source's own database is the server's."""
    question = rule["data"][0]
    window = question["relativeTimeRange"]
    sql = expanded(question["model"]["rawSql"], View(now_s - window["from"], now_s - window["to"]))
    content = f"{sql}\nFORMAT JSONCompact\nSETTINGS output_format_json_quote_64bit_integers = 0"
    response = httpx.post(
        server.url, params={"database": server.database}, content=content, timeout=60, trust_env=False
    )
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def fires(rule: dict[str, Any], server: ClickHouse, now_s: int) -> bool:
    """Whether the rule's condition holds for any row of the answer."""
    found = answer(rule, server, now_s)
    (column,) = [place for place, column in enumerate(found["meta"]) if NUMBER.match(column["type"])]
    evaluator = rule["data"][1]["model"]["conditions"][0]["evaluator"]
    assert evaluator["type"] == "gt"
    return any(float(row[column]) > evaluator["params"][0] for row in found["data"])


JUST_AFTER_S = AT_US // 1_000_000 + 60


def at(rule: dict[str, Any], later_s: int = 0) -> int:
    """A minute after the records: by their own time, or by when they were written."""
    return (WRITTEN_MS // 1000 + 60 if rule["title"] == SILENT else JUST_AFTER_S) + later_s


@pytest.mark.servers
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["uid"])
def test_an_alert_is_silent_at_its_bound(rule: dict[str, Any], bounded: ClickHouse) -> None:
    assert not fires(rule, bounded, at(rule))


@pytest.mark.servers
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["uid"])
def test_an_alert_fires_beyond_its_bound(rule: dict[str, Any], troubled: ClickHouse) -> None:
    assert fires(rule, troubled, at(rule, later_s=600 if rule["title"] == SILENT else 0))


@pytest.mark.servers
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["uid"])
def test_an_alerts_answer_has_labels_and_one_number(rule: dict[str, Any], troubled: ClickHouse) -> None:
    kinds = [column["type"] for column in answer(rule, troubled, at(rule))["meta"]]
    assert len([kind for kind in kinds if NUMBER.match(kind)]) == 1
    assert all(NUMBER.match(kind) or TEXT.match(kind) for kind in kinds)


@pytest.mark.servers
def test_a_large_share_of_a_few_fires_nothing(clickhouse_server: ClickHouseServer) -> None:
    with database(clickhouse_server, few) as client:
        assert [rule["title"] for rule in RULES if fires(rule, client, at(rule))] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["uid"])
def test_a_business_alert_names_its_panel_and_its_runbook(rule: dict[str, Any]) -> None:
    board = committed()[rule["dashboardUid"]]
    assert rule["panelId"] in {panel["id"] for panel in board["panels"] if panel["type"] != "row"}
    assert (ROOT / rule["annotations"]["runbook"]).is_file(), rule["annotations"]["runbook"]
    assert rule["labels"]["severity"] in ("page", "ticket")


def test_grafana_is_not_tempted_to_expand_what_is_not_meant_for_it() -> None:
    """Annotations and labels of a provisioning file pass through the environment's variables; a `$` would be lost."""
    assert "$" not in json.dumps([[rule["annotations"], rule["labels"], rule["title"]] for rule in RULES])


def test_uids_of_alerts_are_told_apart() -> None:
    assert len({rule["uid"] for rule in RULES}) == len(RULES)
    assert all(len(rule["uid"]) <= 40 for rule in RULES)
