"""Questions of panels: SQL for ClickHouse, PromQL for Prometheus, and the few words they share."""

import re
from enum import StrEnum
from textwrap import dedent

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from schemas.topics import records

CLICKHOUSE_TYPE = "grafana-clickhouse-datasource"
PROMETHEUS_TYPE = "prometheus"
CLICKHOUSE = DataSourceRef(CLICKHOUSE_TYPE, "${clickhouse}")
PROMETHEUS = DataSourceRef(PROMETHEUS_TYPE, "${prometheus}")

TABLES = frozenset({"events"} | {re.sub(r"(?<!^)(?=[A-Z])", "_", record.__name__).lower() for record in records()})
"""Tables of ClickHouse that hold records; every other name in a query is a view."""


def _chosen(column: str, variable: str) -> str:
    return f"$__conditionalAll({column} IN (${{{variable}:singlequote}}), ${variable})"


WORDS = {
    "during": "$__timeFilter(event_time)",
    "bucket": "$__timeInterval(event_time) AS time",
    "accounts": _chosen("account_id", "account"),
    "instruments": _chosen("instrument_id", "instrument"),
    "strategies": _chosen("strategy_id", "strategy"),
    "view_accounts": _chosen("v.account_id", "account"),
    "view_instruments": _chosen("v.instrument_id", "instrument"),
    "view_strategies": _chosen("v.strategy_id", "strategy"),
    "view_during": "$__timeFilter(v.time)",
    "view_bucket": "$__timeInterval(v.time) AS time",
    "here": "database = ${environment:singlequote}",
}
"""Words for what most questions say: `{during}`, `{accounts}` ... Any other word in braces is a table or a view.

Views call their time `time`, as answers must; so a view is read `AS v`, and `{view_during}` means the view's own time,
not the answer's.
"""


class Form(StrEnum):
    """What the answer is: rows, or lines over time (a `time` column, labels, values)."""

    TABLE = "table"
    LINES = "timeseries"


class ClickHouseQuery(Dataquery):
    """One SQL question."""

    def __init__(self, text: str, form: Form, ref: str):
        self.text, self.form, self.ref = text, form, ref

    def to_json(self) -> dict[str, object]:
        """As the data source reads it."""
        return {
            "datasource": CLICKHOUSE,
            "editorType": "sql",
            "format": 0 if self.form is Form.LINES else 1,
            "queryType": str(self.form),
            "rawSql": self.text,
            "refId": self.ref,
        }


class Question(Builder[Dataquery]):
    """A ready question, and the data source that answers it."""

    def __init__(self, query: Dataquery, source: DataSourceRef):
        self._query = query
        self.source = source

    def build(self) -> Dataquery:
        """The question."""
        return self._query


def expanded(text: str, database: str = "${environment}") -> str:
    """The SQL with words, tables and views written out; tables are read FINAL, so that what came twice counts once.

    `database` is a name or a variable; empty stands for the data source's own.
    """
    place = f"{database}." if database else ""

    def put(match: re.Match[str]) -> str:
        word = match[1]
        if word in WORDS:
            return WORDS[word]
        return f"{place}{word} FINAL" if word in TABLES else f"{place}{word}"

    return re.sub(r"(?<!\$)\{(\w+)\}", put, dedent(text).strip())


def sql(text: str, form: Form = Form.TABLE, ref: str = "A") -> Question:
    """A question for ClickHouse."""
    return Question(ClickHouseQuery(expanded(text), form, ref), CLICKHOUSE)


def over_time(text: str, ref: str = "A") -> Question:
    """A question for ClickHouse whose answer has a `time`, labels and values."""
    return sql(text, Form.LINES, ref)


def promql(text: str, legend: str = "", ref: str = "A", *, now: bool = False) -> Question:
    """A question for Prometheus: over time, or of this moment. `{env}` stands for the environment's matcher."""
    query = _prometheus(text, ref).legend_format(legend or "__auto")
    return Question((query.instant() if now else query.range()).build(), PROMETHEUS)


def rate(metric: str, *by: str) -> str:
    """How often each second a counter rose, by labels."""
    return f"sum by ({', '.join(by)}) (rate({metric}{{env}}[$__rate_interval]))"


def rise(metric: str, *by: str) -> str:
    """How much a counter rose within each step, by labels."""
    return f"sum by ({', '.join(by)}) (increase({metric}{{env}}[$__rate_interval]))"


def quantile(of: float, metric: str, *by: str) -> str:
    """A quantile of a histogram, by labels."""
    return f"histogram_quantile({of}, {rate(f'{metric}_bucket', 'le', *by)})"


def buckets(text: str) -> Question:
    """A question for Prometheus whose answer is a histogram over time, for a heat map."""
    query = _prometheus(text, "A").legend_format("{{le}}").range().format(PromQueryFormat.HEATMAP)
    return Question(query.build(), PROMETHEUS)


def _prometheus(text: str, ref: str) -> prometheus.Dataquery:
    matcher = 'environment="${environment:text}"'
    return (
        prometheus.Dataquery()
        .expr(text.replace("{env}", f"{{{matcher}}}").replace("{env,", f"{{{matcher},"))
        .ref_id(ref)
        .datasource(PROMETHEUS)
    )
