"""Business alerts, managed by Grafana: questions to ClickHouse about money and trading.

What must work while ClickHouse or Grafana is down is not here but in Prometheus' rules, and no switch of ours depends
on either. Alerts of a replay are silent: they look at the newest minutes, and its records are older.
"""

from dataclasses import dataclass
from typing import Any

from dashboards.grafana.board import drawn
from dashboards.grafana.designs import BOARDS
from dashboards.grafana.queries import CLICKHOUSE_TYPE, expanded

CLICKHOUSE_UID = "quantumleap-clickhouse"
FOLDER, FOLDER_UID, GROUP = "Quantum Leap", "quantumleap", "business"
INTERVAL_S = 60


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. It fires for each row of the answer whose number is above the bound.

    uid: stable
    title, summary, description: for people; `{{ .Labels.x }}` is the answer's column x
    question: SQL whose answer has text columns, the labels, and one number
    above: the bound
    minutes: how far back the question looks
    waits: how long it must hold
    severity: page or ticket
    runbook: page in `docs/runbooks`
    board, panel: uid and title of what shows it
    silence_is_bad: whether no answer at all fires
    """

    uid: str
    title: str
    question: str
    above: float
    summary: str
    description: str
    runbook: str
    board: str
    panel: str
    minutes: int = 15
    waits: str = "0s"
    severity: str = "ticket"
    silence_is_bad: bool = False


ALERTS = (
    Alert(
        uid="ql-limit-nearly-used",
        title="Limit nearly used",
        question="""
            SELECT account_id, use.name AS bound, use.scope_id AS which,
                argMax(toFloat64(use.value) / toFloat64(use.`limit`), (event_time, `offset`)) AS used
            FROM {risk_snapshot} ARRAY JOIN uses AS use
            WHERE {during} AND use.`limit` != 0 GROUP BY account_id, bound, which
        """,
        above=0.9,
        summary="{{ .Labels.account_id }} uses more than 90 % of {{ .Labels.bound }} {{ .Labels.which }}",
        description="The next orders that add to it will be denied.",
        runbook="limit-nearly-used",
        board="ql-risk",
        panel="Use of limits",
        waits="1m",
    ),
    Alert(
        uid="ql-drawdown",
        title="Drawdown",
        question="""
            SELECT account_id, argMax(drawdown, (event_time, `offset`)) AS drawdown_now
            FROM {risk_snapshot} WHERE {during} GROUP BY account_id
        """,
        above=0.1,
        summary="{{ .Labels.account_id }} has lost more than 10 % of its highest equity",
        description="Drawdown stops act by themselves at their limit; this is to look before they do.",
        runbook="drawdown",
        board="ql-overview",
        panel="Drawdown and its limit",
        severity="page",
    ),
    Alert(
        uid="ql-account-not-active",
        title="Account not active",
        question="""
            SELECT account_id, argMax(toString(state), (event_time, `offset`)) AS trading_state,
                if(trading_state = 'ACTIVE', 0, 1) AS held_back
            FROM {risk_snapshot} WHERE {during} GROUP BY account_id
        """,
        above=0,
        summary="{{ .Labels.account_id }} is {{ .Labels.trading_state }}",
        description="Risk or a person has taken its freedom; somebody must know why and decide when it ends.",
        runbook="account-not-active",
        board="ql-risk",
        panel="Trading state",
        severity="page",
    ),
    Alert(
        uid="ql-difference-from-broker",
        title="Difference from the broker",
        question="""
            SELECT account_id, kind, countIf(still_open) AS differences FROM (
                SELECT account_id, discrepancy_id, argMax(toString(kind), (event_time, `offset`)) AS kind,
                    argMax(open, (event_time, `offset`)) AS still_open
                FROM {discrepancy} GROUP BY account_id, discrepancy_id
            ) GROUP BY account_id, kind
        """,
        above=0,
        summary="{{ .Labels.account_id }} and its broker differ: {{ .Labels.kind }}",
        description="Positions, cash or orders are not what the broker says, and nobody has settled it.",
        runbook="difference-from-broker",
        board="ql-positions",
        panel="Open differences in detail",
        waits="1m",
        severity="page",
    ),
    Alert(
        uid="ql-unprotected-position",
        title="Unprotected position",
        question="""
            SELECT account_id, instrument_id, if(newest = 'UNPROTECTED', 1, 0) AS unprotected FROM (
                SELECT account_id, instrument_id, argMax(toString(kind), (event_time, `offset`)) AS newest
                FROM {risk_event} WHERE kind IN ('UNPROTECTED', 'PROTECTED') GROUP BY account_id, instrument_id
            )
        """,
        above=0,
        summary="{{ .Labels.account_id }} holds {{ .Labels.instrument_id }} without a stop",
        description="A stop could not be placed or was lost at the broker.",
        runbook="unprotected-position",
        board="ql-risk",
        panel="Events",
        severity="page",
    ),
    Alert(
        uid="ql-denials",
        title="Many denials",
        question="""
            SELECT strategy_id, if(count() < 20, 0, countIf(NOT approved) / count()) AS denied
            FROM {risk_verdict} WHERE {during} AND code != 'NO_CHANGE' GROUP BY strategy_id
        """,
        above=0.5,
        summary="Risk denies most wishes of {{ .Labels.strategy_id }}",
        description="Of at least twenty wishes in a quarter of an hour more than half were denied.",
        runbook="denials",
        board="ql-risk",
        panel="Denials by strategy",
    ),
    Alert(
        uid="ql-rejections",
        title="Many rejections",
        question="""
            SELECT account_id, if(count() < 20, 0, countIf(status = 'REJECTED') / count()) AS rejected
            FROM {orders} WHERE $__timeFilter(began) AND status != 'DENIED' GROUP BY account_id
        """,
        above=0.05,
        summary="The broker rejects orders of {{ .Labels.account_id }}",
        description="Of at least twenty orders in a quarter of an hour more than one in twenty was rejected.",
        runbook="rejections",
        board="ql-orders",
        panel="Rejected by the broker",
        severity="page",
    ),
    Alert(
        uid="ql-slippage",
        title="Slippage",
        question="""
            SELECT v.venue AS venue, v.instrument_id AS instrument_id, quantile(0.9)(ifNull(v.slippage_bps, 0)) AS bps
            FROM {execution_quality} AS v WHERE {view_during} GROUP BY venue, instrument_id HAVING count() >= 5
        """,
        above=50,
        summary="Fills of {{ .Labels.instrument_id }} at {{ .Labels.venue }} slip by more than 50 basis points",
        description="One fill in ten, of at least five within the hour, cost more than half a per cent.",
        runbook="slippage",
        board="ql-execution",
        panel="Slippage over time",
        minutes=60,
    ),
    Alert(
        uid="ql-strategy-at-fault",
        title="Strategy at fault",
        question="""
            SELECT strategy_id, strategy_name, count() AS faults
            FROM {strategy_event} WHERE {during} AND change = 'FAULTED' GROUP BY strategy_id, strategy_name
        """,
        above=0,
        summary="{{ .Labels.strategy_id }} ({{ .Labels.strategy_name }}) was paused for its own fault",
        description="It raised, wished too much or wished badly; others go on.",
        runbook="strategy-at-fault",
        board="ql-pnl",
        panel="Changes",
    ),
    Alert(
        uid="ql-bad-signature",
        title="Bad signature",
        question="""
            SELECT provider_id, count() AS signals
            FROM {refused_signal} WHERE {during} AND code = 'SIGNATURE' GROUP BY provider_id
        """,
        above=0,
        summary="Somebody signs as {{ .Labels.provider_id }} with a wrong key",
        description="Either its key has changed, or it is not the provider.",
        runbook="bad-signature",
        board="ql-signals",
        panel="Bad signatures",
        severity="page",
    ),
    Alert(
        uid="ql-limit-changed",
        title="Limit changed",
        question="""
            SELECT account_id, author, count() AS changes
            FROM {limit_change} WHERE {during} GROUP BY account_id, author
        """,
        above=0,
        summary="{{ .Labels.author }} changed limits of {{ .Labels.account_id }}",
        description="Somebody else should know and agree.",
        runbook="limit-changed",
        board="ql-risk",
        panel="Changes of limits",
    ),
    Alert(
        uid="ql-nothing-arrives",
        title="Nothing arrives",
        question="""
            SELECT if(count() = 0, 1, 0) AS silent FROM {events} WHERE $__timeFilter(written_at)
        """,
        above=0,
        summary="No record has reached ClickHouse for five minutes",
        description="Clock ticks alone should arrive each second; boards and all alerts above are blind.",
        runbook="sink-behind",
        board="ql-clickhouse",
        panel="Freshness",
        minutes=5,
        waits="1m",
        severity="page",
        silence_is_bad=True,
    ),
)


def rule_group() -> dict[str, Any]:
    """The alerts as a provisioning file holds them."""
    panels = {(board.uid, panel.title): panel.id_val for board in BOARDS for panel in drawn(board).panels or ()}
    return {
        "orgId": 1,
        "name": GROUP,
        "folder": FOLDER,
        "interval": f"{INTERVAL_S}s",
        "rules": [_rule(alert, panels[(alert.board, alert.panel)] or 0) for alert in ALERTS],
    }


def file() -> dict[str, Any]:
    """The provisioning file."""
    return {"apiVersion": 1, "groups": [rule_group()]}


def _rule(alert: Alert, panel: int) -> dict[str, Any]:
    return {
        "uid": alert.uid,
        "title": alert.title,
        "condition": "B",
        "data": [_question(alert), _bound(alert)],
        "dashboardUid": alert.board,
        "panelId": panel,
        "noDataState": "Alerting" if alert.silence_is_bad else "OK",
        "execErrState": "Error",
        "for": alert.waits,
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook": f"docs/runbooks/{alert.runbook}.md",
        },
        "labels": {"team": "trading", "severity": alert.severity},
        "isPaused": False,
    }


def _question(alert: Alert) -> dict[str, Any]:
    model = {
        "refId": "A",
        "datasource": {"type": CLICKHOUSE_TYPE, "uid": CLICKHOUSE_UID},
        "editorType": "sql",
        "format": 1,
        "queryType": "table",
        "rawSql": expanded(alert.question, database=""),
    }
    back = {"from": alert.minutes * 60, "to": 0}
    return {"refId": "A", "relativeTimeRange": back, "datasourceUid": CLICKHOUSE_UID, "model": model}


def _bound(alert: Alert) -> dict[str, Any]:
    model = {
        "refId": "B",
        "type": "threshold",
        "expression": "A",
        "datasource": {"type": "__expr__", "uid": "__expr__"},
        "conditions": [{"type": "query", "evaluator": {"type": "gt", "params": [alert.above]}}],
    }
    return {"refId": "B", "relativeTimeRange": {"from": 0, "to": 0}, "datasourceUid": "__expr__", "model": model}
