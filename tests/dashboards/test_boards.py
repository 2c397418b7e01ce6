"""Committed boards are what the code draws, and bear a linter's eye."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.grafana.designs import BOARDS
from dashboards.grafana.files import FOLDER, texts, write
from tests.dashboards.boards import committed
from tests.dashboards.lint import objections

UIDS = frozenset(committed())
WANTED = {
    "ql-overview", "ql-signals", "ql-risk", "ql-orders", "ql-execution", "ql-positions", "ql-pnl", "ql-quality",
    "ql-pipeline", "ql-clickhouse",
}  # fmt: skip


def test_every_generated_file_is_what_the_code_says() -> None:
    differing = [name for name, text in texts().items() if (FOLDER / name).read_text() != text]
    assert not differing, "run `python -m dashboards.grafana`"


def test_no_board_is_left_of_code_that_is_gone() -> None:
    assert {board.uid for board in BOARDS} == UIDS == WANTED


def test_writing_removes_boards_that_are_no_more_and_touches_nothing_twice(tmp_path: Path) -> None:
    stale = tmp_path / "grafana" / "boards" / "ql-gone.json"
    stale.parent.mkdir(parents=True)
    stale.write_text("{}")
    assert len(write(tmp_path)) == len(texts()) + 1
    assert not stale.exists()
    assert write(tmp_path) == []


@pytest.mark.parametrize("uid", sorted(UIDS))
def test_the_linter_has_no_objection(uid: str) -> None:
    assert not objections(committed()[uid], UIDS)


@pytest.mark.parametrize("uid", sorted(UIDS))
def test_grafanas_own_model_reads_every_panel_and_writes_it_back(uid: str) -> None:
    board = committed()[uid]
    read = json.loads(json.dumps(Dashboard.from_json(deepcopy(board)), cls=JSONEncoder))
    assert read["panels"] == board["panels"]
    assert read["templating"] == board["templating"]


def _panel(board: dict[str, Any], kind: str = "timeseries") -> dict[str, Any]:
    found: dict[str, Any] = next(panel for panel in board["panels"] if panel["type"] == kind)
    return found


def _untitled(board: dict[str, Any]) -> None:
    _panel(board)["title"] = ""


def _undescribed(board: dict[str, Any]) -> None:
    _panel(board)["description"] = "no sentence"


def _in_bananas(board: dict[str, Any]) -> None:
    _panel(board)["fieldConfig"]["defaults"]["unit"] = "bananas"


def _column_in_bananas(board: dict[str, Any]) -> None:
    _panel(board, "table")["fieldConfig"]["overrides"][0]["properties"][0] = {"id": "unit", "value": "bananas"}


def _colourless(board: dict[str, Any]) -> None:
    _panel(board)["fieldConfig"]["defaults"]["thresholds"]["steps"] = []


def _on_another(board: dict[str, Any]) -> None:
    place = board["panels"][2]["gridPos"]
    board["panels"][1]["gridPos"] = dict(place)


def _off_the_grid(board: dict[str, Any]) -> None:
    _panel(board)["gridPos"]["x"] = 20


def _same_id(board: dict[str, Any]) -> None:
    board["panels"][1]["id"] = board["panels"][2]["id"]


def _to_nowhere(board: dict[str, Any]) -> None:
    _panel(board, "table")["fieldConfig"]["overrides"][-1]["properties"][0]["value"] = [{"url": "/d/ql-nowhere"}]


def _elsewhere(board: dict[str, Any]) -> None:
    _panel(board)["targets"][0]["datasource"] = {"type": "prometheus", "uid": "my-own"}


def _undefined(board: dict[str, Any]) -> None:
    _panel(board)["targets"][0]["rawSql"] = "SELECT $desk"


def _unused(board: dict[str, Any]) -> None:
    board["templating"]["list"].append({"name": "desk", "type": "textbox"})


def _destroys(board: dict[str, Any]) -> None:
    _panel(board)["targets"][0]["rawSql"] = "DROP TABLE fill"


def _same_question(board: dict[str, Any]) -> None:
    panel = next(panel for panel in board["panels"] if len(panel.get("targets", ())) > 1)
    panel["targets"][1]["refId"] = panel["targets"][0]["refId"]


def _fixed_window(board: dict[str, Any]) -> None:
    target = _figure(board)["targets"][0]
    target["expr"] = 'sum(rate(quantumleap_read_records_total{environment="e"}[5m]))'


def _mixes(board: dict[str, Any]) -> None:
    _figure(board)["targets"][0]["expr"] = "sum(quantumleap_orders_unknown)"


def _figure(board: dict[str, Any]) -> dict[str, Any]:
    stats = (panel for panel in board["panels"] if panel["type"] == "stat")
    return next(panel for panel in stats if panel["datasource"]["type"] == "prometheus")


def _unmarked(board: dict[str, Any]) -> None:
    board["annotations"]["list"].pop()


def _apart(board: dict[str, Any]) -> None:
    board["links"] = []


def _editable(board: dict[str, Any]) -> None:
    board["editable"] = True


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (_untitled, "panel-title"),
        (_undescribed, "panel-description"),
        (_in_bananas, "panel-units"),
        (_column_in_bananas, "panel-units"),
        (_colourless, "panel-thresholds"),
        (_on_another, "panel-overlap"),
        (_off_the_grid, "panel-place"),
        (_same_id, "panel-id"),
        (_to_nowhere, "links"),
        (_elsewhere, "panel-datasource"),
        (_undefined, "variables"),
        (_unused, "variables"),
        (_destroys, "target-sql"),
        (_same_question, "panel-targets"),
        (_fixed_window, "target-rate-interval"),
        (_mixes, "target-environment"),
        (_unmarked, "annotations"),
        (_apart, "links"),
        (_editable, "frame"),
    ],
)
def test_the_linter_can_object(spoil: Any, rule: str) -> None:
    board = deepcopy(committed()["ql-overview"])
    spoil(board)
    assert any(objection.startswith(f"{rule}:") for objection in objections(board, UIDS))
