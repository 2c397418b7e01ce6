"""Risk: how near the limits, what was denied, and what risk did on its own."""

from dashboards.grafana.board import Board, Section
from dashboards.grafana.designs.overview import TRADING_STATES
from dashboards.grafana.panels import ANY_IS_BAD, BAD, GOOD, WARN, columns, figure, lines, ranks, rows, states
from dashboards.grafana.queries import over_time, promql, rate, sql

NEARNESS = ((None, GOOD), (0.8, WARN), (1, BAD))

BOARD = Board(
    uid="ql-risk",
    title="Risk",
    description="Limits and how much of them is used, denials with their checks, stops, trading states and switches.",
    choices=("account", "instrument", "strategy"),
    sections=(
        Section(
            "Limits",
            (
                ranks(
                    "Use of limits", "Newest value over its bound; at 100 % the next order is denied.", "percentunit",
                    sql("""
                        SELECT concat(account_id, ' ', use.name, ' ', use.scope_id) AS which,
                            argMax(toFloat64(use.value) / toFloat64(use.`limit`), (event_time, `offset`)) AS used
                        FROM {risk_snapshot} ARRAY JOIN uses AS use
                        WHERE {during} AND {accounts} AND use.`limit` != 0
                        GROUP BY which ORDER BY used DESC LIMIT 40
                    """),
                    thresholds=NEARNESS, least=0, most=1, width=12, height=10,
                ),
                lines(
                    "Use of limits over time", "Highest use within each interval, by limit.", "percentunit",
                    over_time("""
                        SELECT {bucket}, use.name AS name, max(toFloat64(use.value) / toFloat64(use.`limit`)) AS used
                        FROM {risk_snapshot} ARRAY JOIN uses AS use
                        WHERE {during} AND {accounts} AND use.`limit` != 0
                        GROUP BY time, name ORDER BY time
                    """),
                    thresholds=NEARNESS, height=10,
                ),
                lines(
                    "Loss that may come", "Value at risk and expected shortfall, one day, 99 %, base currency.",
                    "locale",
                    over_time("""
                        SELECT {bucket}, account_id, argMax(value_at_risk, (event_time, `offset`)) AS value_at_risk,
                            argMax(expected_shortfall, (event_time, `offset`)) AS expected_shortfall
                        FROM {risk_snapshot} WHERE {during} AND {accounts} GROUP BY time, account_id ORDER BY time
                    """),
                    width=8,
                ),
                lines(
                    "Leverage", "Gross exposure over equity.", "none",
                    over_time("""
                        SELECT {bucket}, account_id, max(leverage) AS leverage
                        FROM {risk_snapshot} WHERE {during} AND {accounts} GROUP BY time, account_id ORDER BY time
                    """),
                    width=8,
                ),
                lines(
                    "Margin used", "In the base currency; none in a cash account.", "locale",
                    over_time("""
                        SELECT {bucket}, account_id, argMax(margin_used, (event_time, `offset`)) AS margin_used
                        FROM {risk_snapshot} WHERE {during} AND {accounts} GROUP BY time, account_id ORDER BY time
                    """),
                    width=8,
                ),
            ),
        ),
        Section(
            "Denials",
            (
                figure(
                    "Denied", "Share of all wishes that risk denied.", "percentunit",
                    sql("""
                        SELECT countIf(NOT approved) / count() AS denied FROM {risk_verdict}
                        WHERE {during} AND {accounts} AND {instruments} AND {strategies}
                    """),
                    decimals=1, height=8,
                ),
                lines(
                    "Denials by gravest reason", "Wishes that became no order.", "short",
                    over_time("""
                        SELECT {bucket}, code, count() AS denied FROM {risk_verdict}
                        WHERE {during} AND NOT approved AND {accounts} AND {instruments} AND {strategies}
                        GROUP BY time, code ORDER BY time
                    """),
                    bars=True, stacked=True, width=10,
                ),
                lines(
                    "Denials each second", "As the process counts them.", "reqps",
                    promql(rate("quantumleap_intents_denied_records_total", "code"), "{{code}}"),
                    width=10,
                ),
                columns(
                    "Checks that spoke", "How often each check denied (HARD) or warned (SOFT).", "short",
                    sql("""
                        SELECT check.check_id AS check_id, countIf(check.outcome = 'HARD') AS hard,
                            countIf(check.outcome = 'SOFT') AS soft
                        FROM {risk_verdict} ARRAY JOIN checks AS check
                        WHERE {during} AND check.outcome != 'PASS' AND {accounts} AND {instruments} AND {strategies}
                        GROUP BY check_id ORDER BY hard + soft DESC LIMIT 25
                    """),
                    by="check_id", stacked=True,
                ),
                ranks(
                    "Denials by strategy", "Which strategies wish for what they may not have.", "short",
                    sql("""
                        SELECT strategy_id, count() AS denied FROM {risk_verdict}
                        WHERE {during} AND NOT approved AND {accounts} AND {instruments} AND {strategies}
                        GROUP BY strategy_id ORDER BY denied DESC LIMIT 20
                    """),
                    width=12,
                ),
                rows(
                    "Newest denials", "With every check that failed, its value and its bound.", "short",
                    sql("""
                        SELECT v.time AS time, v.account_id AS account, v.strategy_id AS strategy,
                            v.instrument_id AS instrument,
                            v.side AS side, v.quantity AS quantity, v.code AS code, arrayStringConcat(v.codes, ',
                                ') AS codes,
                            arrayStringConcat(v.values, ', ') AS found, arrayStringConcat(v.limits, ', ') AS bounds
                        FROM {denials} AS v
                        WHERE {view_during} AND {view_accounts}
                            AND {view_instruments}
                            AND {view_strategies}
                        ORDER BY v.time DESC LIMIT 100
                    """),
                ),
            ),
        ),
        Section(
            "What risk did on its own",
            (
                states(
                    "Trading state", "ACTIVE may do all, REDUCING may only shrink positions, HALTED may do nothing.",
                    "none",
                    over_time("""
                        SELECT event_time AS time, account_id, NUMBER AS trading FROM {risk_snapshot}
                        WHERE {during} AND {accounts} ORDER BY time LIMIT 20000
                    """.replace("NUMBER", TRADING_STATES.number("state"))),
                    shown=TRADING_STATES,
                ),
                lines(
                    "Stops", "Stops armed, triggered and escalated, and positions without one.", "short",
                    over_time("""
                        SELECT {bucket}, kind, count() AS events FROM {risk_event}
                        WHERE {during} AND {accounts} AND {instruments}
                            AND kind IN ('STOP_ARMED', 'STOP_TRIGGERED', 'STOP_ESCALATED', 'UNPROTECTED',
                                'PROTECTED', 'DRAWDOWN_STOP')
                        GROUP BY time, kind ORDER BY time
                    """),
                    bars=True, stacked=True,
                ),
                figure(
                    "Switches in force", "Kill switches whose newest word is not RESUME.", "none",
                    sql("""
                        SELECT countIf(newest != 'RESUME') AS in_force FROM (
                            SELECT argMax(verb, version) AS newest FROM {kill_switch} GROUP BY scope, scope_id
                        )
                    """),
                    thresholds=ANY_IS_BAD, height=8,
                ),
                rows(
                    "Switches", "Every request to stop or to go on.", "none",
                    sql("""
                        SELECT event_time, scope, scope_id, verb, author, reason, version, request_id
                        FROM {kill_switch} WHERE {during} ORDER BY event_time DESC LIMIT 100
                    """),
                    width=8,
                ),
                rows(
                    "Events", "Latches, stops, states and refused inputs, newest first.", "none",
                    sql("""
                        SELECT event_time, account_id, kind, instrument_id, code, value, `limit`, state, author, reason
                        FROM {risk_event} WHERE {during} AND {accounts} AND {instruments}
                        ORDER BY event_time DESC LIMIT 200
                    """),
                    width=16, height=10,
                ),
                rows(
                    "Changes of limits", "Who changed which bounds, when and why.", "none",
                    sql("""
                        SELECT event_time, account_id, author, reason, arrayStringConcat(limits.name, ', ') AS names,
                            effective_at
                        FROM {limit_change} WHERE {during} AND {accounts} ORDER BY event_time DESC LIMIT 100
                    """),
                    width=8, height=10,
                ),
            ),
        ),
    ),
)  # fmt: skip
