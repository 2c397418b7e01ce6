"""Every question to ClickHouse, macros expanded, is answered by the real tables in the shape that its panel needs."""

import json
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import pytest

from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.tables import tables
from dashboards.grafana.queries import TABLES, WORDS
from tests.connectors.clickhouse.kept import WRITTEN_MS
from tests.dashboards.boards import CLICKHOUSE, Asked, asked, committed
from tests.dashboards.filled import ACCOUNT, SINCE_S, UNTIL_S
from tests.dashboards.macros import ALL, View, expanded

pytestmark = pytest.mark.servers

QUESTIONS = list(asked(CLICKHOUSE))
NUMBER = re.compile(r"^(Nullable\()?(U?Int\d+|Float\d+|Decimal\(.*?\)|Bool)\)?$")
TIME = re.compile(r"^(Nullable\()?(DateTime.*|Date)\)?$")
TEXT = re.compile(r"^(LowCardinality\()?(Nullable\()?(String|FixedString\(\d+\)|Enum.*)\)*$")
QUIET = {"Merges", "Mutations", "Replicas", "What went wrong", "Changes of limits", "Questions that run now"}
"""Panels about the server, and about what a backtest does before its first bar: they may have nothing to show."""


def view(server: ClickHouse, **chosen: str | tuple[str, ...]) -> View:
    """The year that the database holds, with nothing chosen but the environment, unless said otherwise."""
    story: tuple[str, ...] = ("",)
    nothing: dict[str, str | tuple[str, ...]] = {"account": ALL, "instrument": ALL, "strategy": ALL, "order": story}
    return View(SINCE_S, UNTIL_S, 86_400, {**nothing, "environment": server.database, **chosen})


class Answer:
    """Columns by name with their types, and rows; times are text."""

    def __init__(self, server: ClickHouse, sql: str):
        response = httpx.post(server.url, content=f"{sql}\nFORMAT JSONCompact", timeout=60, trust_env=False)
        assert response.status_code == 200, f"{response.text}\n{sql}"
        found = json.loads(response.text, parse_float=Decimal)
        self.types: dict[str, str] = {column["name"]: column["type"] for column in found["meta"]}
        self.rows: list[list[Any]] = found["data"]

    def of(self, kind: re.Pattern[str]) -> list[str]:
        """Columns of this kind."""
        return [name for name, found in self.types.items() if kind.match(found)]


def misshapen(panel: dict[str, Any], target: dict[str, Any], answer: Answer) -> list[str]:
    """Why the panel cannot draw the answer."""
    found = []
    columns = list(answer.types)
    texts, numbers = answer.of(TEXT), answer.of(NUMBER)
    if strange := set(columns) - {*answer.of(TIME), *texts, *numbers}:
        found.append(f"{sorted(strange)} are neither time, text nor number: {answer.types}")
    each = panel.get("options", {}).get("reduceOptions", {}).get("values", False)
    over_time = panel["type"] in ("timeseries", "state-timeline")
    if over_time != (target["queryType"] == "timeseries") or over_time != (target["format"] == 0):
        found.append("asks for lines where it shows rows, or the other way about")
    match panel["type"]:
        case "timeseries" | "state-timeline":
            found += _not_lines(answer)
        case "stat" if not each and (len(answer.rows) > 1 or len(numbers) != 1):
            found.append("shows one number, and gets more")
        case "bargauge" | "piechart" | "stat" if each and (len(texts) != 1 or len(numbers) != 1):
            found.append("needs one name and one number")
        case "barchart" if panel["options"]["xField"] not in texts or not numbers:
            found.append("needs the field by which bars stand, as text, and numbers")
    for override in panel["fieldConfig"]["overrides"]:
        if override["matcher"]["options"] not in columns:
            found.append(f"has no column {override['matcher']['options']}")
    return found


def _not_lines(answer: Answer) -> list[str]:
    found = []
    if next(iter(answer.types)) != "time" or "time" not in answer.of(TIME):
        found.append("does not begin with a time called time")
    if len(answer.of(TEXT)) > 1 or not answer.of(NUMBER):
        found.append("needs at most one label and at least one number")
    if [row[0] for row in answer.rows] != sorted(row[0] for row in answer.rows):
        found.append("is not in the order of time")
    return found


def window(sql: str, server: ClickHouse, **chosen: str | tuple[str, ...]) -> str:
    """The question as the server gets it: about the year of the records, or about now where it asks when they came."""
    found = view(server, **chosen)
    if "written_at" in sql or "unreadable" in sql:
        now_s = WRITTEN_MS // 1000
        found = replace(found, since_s=now_s - 86_400, until_s=now_s + 86_400)
    return expanded(sql, found)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_every_panel_gets_rows_of_its_shape_from_real_tables(question: Asked, filled: ClickHouse) -> None:
    order = filled.command(f"SELECT any(client_order_id) FROM `{filled.database}`.orders WHERE status = 'FILLED'")
    answer = Answer(filled, window(question.target["rawSql"], filled, order=(str(order),)))
    assert not misshapen(question.panel, question.target, answer)
    assert answer.rows or question.panel["title"] in QUIET


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_every_panel_bears_a_choice_of_each_variable(question: Asked, filled: ClickHouse) -> None:
    chosen = {"account": (ACCOUNT, "o'hara"), "instrument": ("WTI", "BRENT"), "strategy": ("none", "such")}
    answer = Answer(filled, window(question.target["rawSql"], filled, **chosen))
    assert not misshapen(question.panel, question.target, answer)


def test_a_choice_leaves_out_what_was_not_chosen(filled: ClickHouse) -> None:
    question = next(q for q in QUESTIONS if q.panel["title"] == "Notional traded")
    both = Answer(filled, expanded(question.target["rawSql"], view(filled)))
    one = Answer(filled, expanded(question.target["rawSql"], view(filled, instrument=("WTI",))))
    assert {row[1] for row in one.rows} == {"WTI"}
    assert len({row[1] for row in both.rows}) == 2


@pytest.mark.parametrize("uid", committed())
def test_marks_have_a_time_and_a_text(uid: str, filled: ClickHouse) -> None:
    for mark in committed()[uid]["annotations"]["list"]:
        answer = Answer(filled, expanded(mark["target"]["rawSql"], view(filled)))
        assert answer.of(TIME) == ["time"], mark["name"]
        assert {"text", "tags"} <= set(answer.of(TEXT)), mark["name"]
        assert answer.rows, mark["name"]


@pytest.mark.parametrize("uid", committed())
def test_variables_offer_what_there_is(uid: str, filled: ClickHouse) -> None:
    offered = {
        variable["name"]: {row[0] for row in Answer(filled, expanded(variable["query"], view(filled))).rows}
        for variable in committed()[uid]["templating"]["list"]
        if variable["type"] == "query"
    }
    assert filled.database in offered["environment"]
    assert ACCOUNT in offered.get("account", {ACCOUNT})
    assert offered.get("instrument", {"BRENT", "WTI"}) == {"BRENT", "WTI"}
    assert len(offered.get("strategy", {1})) >= 1


def test_what_the_code_takes_for_tables_are_the_tables_of_the_sink() -> None:
    assert {table.name for table in tables()} == TABLES
    assert not TABLES & set(WORDS)
