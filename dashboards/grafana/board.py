"""The frame that all boards share: variables, links to the others, marks for kill, halt and deploy, stable ids."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from dashboards.grafana.panels import Panel
from dashboards.grafana.queries import CLICKHOUSE, CLICKHOUSE_TYPE, PROMETHEUS_TYPE, ClickHouseQuery, Form, expanded

TAG = "quantumleap"
SCHEMA_VERSION = 41

_ENVIRONMENT = """
    SELECT name, replaceAll(substring(name, 4), '_', '-') AS environment
    FROM system.databases
    WHERE startsWith(name, 'ql_')
    ORDER BY name
"""
"""Databases of environments; their names are the value, the environments' names the text, which metrics bear."""

CHOICES = {
    "account": ("Account", "SELECT DISTINCT account_id FROM {account_opened} ORDER BY account_id"),
    "instrument": ("Instrument", "SELECT DISTINCT instrument_id FROM {instrument} ORDER BY instrument_id"),
    "strategy": (
        "Strategy",
        "SELECT DISTINCT strategy_id FROM {strategy_event} WHERE strategy_id != '' ORDER BY strategy_id",
    ),
}
"""What people narrow a board to: its label and where its values come from."""

MARKS = {
    "Kill switch": (
        "red",
        """
        SELECT event_time AS time, concat(verb, ' ', scope, ' ', scope_id, ': ', reason) AS text, author AS tags
        FROM {kill_switch} WHERE {during} ORDER BY time LIMIT 200
        """,
    ),
    "Halts": (
        "orange",
        """
        SELECT event_time AS time, concat(account_id, ' is ', assumeNotNull(state), ': ', reason) AS text, code AS tags
        FROM {risk_event} WHERE {during} AND kind = 'TRADING_STATE' AND state IS NOT NULL ORDER BY time LIMIT 200
        """,
    ),
    "Deployments": (
        "blue",
        """
        SELECT event_time AS time, concat(strategy_id, ' ', change, ' on ', instrument_id) AS text,
            strategy_name AS tags
        FROM {strategy_event} WHERE {during} AND change IN ('DEPLOYED', 'CHANGED', 'STOPPED') ORDER BY time LIMIT 200
        """,
    ),
}
"""Marks over the lines of every board: name to colour and question (columns time, text, tags)."""


@dataclass(frozen=True, slots=True)
class Section:
    """A row of a board, with a title."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Board:
    """One board.

    uid: stable, `ql-` and a word
    title, description: for people
    sections: from top to bottom
    choices: names of `CHOICES` that its questions use
    since: how far back it looks at first
    texts: fields that people type into: variable to label
    """

    uid: str
    title: str
    description: str
    sections: Sequence[Section]
    choices: Sequence[str] = ()
    since: str = "now-24h"
    texts: Mapping[str, str] = field(default_factory=dict)


class _Mark(model.AnnotationQuery):
    """An annotation whose target is a question; the SDK knows only those of Grafana's own store."""

    def __init__(self, name: str, colour: str, question: ClickHouseQuery):
        super().__init__(name=name, datasource=CLICKHOUSE, enable=True, hide=False, icon_color=colour)
        self.question = question

    def to_json(self) -> dict[str, object]:
        """As Grafana reads it."""
        return {**super().to_json(), "target": self.question}


class _MarkBuilder(dashboard.AnnotationQuery):
    """Hands a ready mark to the SDK."""

    def __init__(self, mark: _Mark):
        super().__init__()
        self._internal = mark


Variable = dashboard.QueryVariable | dashboard.DatasourceVariable | dashboard.TextBoxVariable


def drawn(board: Board) -> model.Dashboard:
    """The board as Grafana's model."""
    builder = dashboard.Dashboard(board.title).uid(board.uid).description(board.description).tags([TAG]).readonly()
    builder = (
        builder.timezone("utc").time(board.since, "now").refresh("30s").tooltip(model.DashboardCursorSync.CROSSHAIR)
    )
    for variable in _variables(board):
        builder = builder.with_variable(variable)
    for name, (colour, text) in MARKS.items():
        builder = builder.annotation(
            _MarkBuilder(_Mark(name, colour, ClickHouseQuery(expanded(text), Form.TABLE, "Anno")))
        )
    builder = builder.link(
        dashboard.DashboardLink("Boards")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
    )
    for section in board.sections:
        builder = builder.with_row(dashboard.Row(section.title))
        for panel in section.panels:
            builder = builder.with_panel(panel)
    found = builder.build()
    found.schema_version = SCHEMA_VERSION
    for number, panel_ in enumerate(found.panels or (), 1):
        panel_.id_val = number
    return found


def as_json(board: Board) -> str:
    """The board as committed: sorted keys, so that a change shows as itself."""
    return json.dumps(drawn(board), cls=JSONEncoder, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def as_model(board: Board) -> dict[str, object]:
    """The board as plain JSON values."""
    return cast(dict[str, object], json.loads(as_json(board)))


def _variables(board: Board) -> list[Variable]:
    found: list[Variable] = [
        dashboard.DatasourceVariable("clickhouse").label("ClickHouse").type(CLICKHOUSE_TYPE),
        dashboard.DatasourceVariable("prometheus").label("Prometheus").type(PROMETHEUS_TYPE),
        _choice("environment", "Environment", expanded(_ENVIRONMENT)),
    ]
    for name in board.choices:
        label, text = CHOICES[name]
        found.append(_choice(name, label, expanded(text)).multi(True).include_all(True).current(_ALL))
    found += [dashboard.TextBoxVariable(name).label(label).default_value("") for name, label in board.texts.items()]
    return found


_ALL = model.VariableOption(selected=True, text="All", value="$__all")


def _choice(name: str, label: str, text: str) -> dashboard.QueryVariable:
    variable = dashboard.QueryVariable(name).label(label).query(text).datasource(CLICKHOUSE)
    return variable.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.DISABLED)
