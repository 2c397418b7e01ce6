"""Data quality: what was wrong with market data, and whose."""

from dashboards.grafana.board import Board, Section
from dashboards.grafana.designs.overview import MARKET_STATES
from dashboards.grafana.panels import BAD, GOOD, WARN, States, columns, figure, lines, ranks, rows, states
from dashboards.grafana.queries import over_time, promql, rate, sql

REGIMES = States({"CALM": ("CALM", GOOD), "NORMAL": ("NORMAL", "blue"), "STRESSED": ("STRESSED", BAD)})

BOARD = Board(
    uid="ql-quality",
    title="Data quality",
    description="Market data that was refused or flagged, how old the newest is, and how each market stands.",
    choices=("instrument",),
    sections=(
        Section(
            "Findings",
            (
                figure(
                    "Refused", "Rows that went no further, in the time shown.", "short",
                    sql("""
                        SELECT sum(count) AS refused FROM {quality_finding}
                        WHERE {during} AND {instruments} AND action = 'REFUSED'
                    """),
                    thresholds=((None, GOOD), (1, WARN)), height=8,
                ),
                figure(
                    "Flagged", "Rows that went on with a remark, in the time shown.", "short",
                    sql("""
                        SELECT sum(count) AS flagged FROM {quality_finding}
                        WHERE {during} AND {instruments} AND action = 'FLAGGED'
                    """),
                    height=8,
                ),
                lines(
                    "Findings by rule", "Rows refused or flagged.", "short",
                    over_time("""
                        SELECT {bucket}, concat(code, ' ', action) AS rule, sum(count) AS findings
                        FROM {quality_finding}
                        WHERE {during} AND {instruments} GROUP BY time, rule ORDER BY time
                    """),
                    bars=True, stacked=True, width=16,
                ),
                columns(
                    "By feed and rule", "Whose data is wrong, and how.", "short",
                    sql("""
                        SELECT concat(feed_id, ' ', code) AS what, sumIf(count, action = 'REFUSED') AS refused,
                            sumIf(count, action = 'FLAGGED') AS flagged
                        FROM {quality_finding} WHERE {during} AND {instruments} GROUP BY what
                        ORDER BY refused + flagged DESC LIMIT 25
                    """),
                    by="what", stacked=True,
                ),
                ranks(
                    "By instrument", "Rows refused or flagged.", "short",
                    sql("""
                        SELECT instrument_id, sum(count) AS findings FROM {quality_finding}
                        WHERE {during} AND {instruments} GROUP BY instrument_id ORDER BY findings DESC LIMIT 25
                    """),
                    width=12,
                ),
                rows(
                    "Newest findings", "With the value that decided and the bound that it broke.", "none",
                    sql("""
                        SELECT v.time AS time, v.instrument_id AS instrument, v.feed_id AS feed, v.code AS code,
                            v.action AS action,
                            v.sequence AS sequence, v.value AS value, v.`limit` AS bound, v.detail AS detail
                        FROM {quality_findings} AS v WHERE {view_during} AND {view_instruments}
                        ORDER BY v.time DESC LIMIT 200
                    """),
                ),
            ),
        ),
        Section(
            "Markets",
            (
                states(
                    "Market status", "Open, closed, halted, silent, or after a gap.", "none",
                    over_time("""
                        SELECT event_time AS time, instrument_id, NUMBER AS market FROM {market_condition}
                        WHERE {during} AND {instruments} ORDER BY time LIMIT 20000
                    """.replace("NUMBER", MARKET_STATES.number("status"))),
                    shown=MARKET_STATES,
                ),
                lines(
                    "Age of the newest tick",
                    "Clock minus the newest tick of each instrument, as the process sees it.", "s",
                    promql(
                        'max by (instrument) (quantumleap_tick_age_seconds{env, instrument=~"${instrument:regex}"})',
                        "{{instrument}}",
                    ),
                    thresholds=((None, GOOD), (60, WARN), (300, BAD)), width=8,
                ),
                lines(
                    "Instruments by status", "How many markets stand how.", "short",
                    promql("sum by (status) (quantumleap_instruments{env})", "{{status}}"), stacked=True, width=8,
                ),
                lines(
                    "Ticks refused each second", "By rule, as the process counts them.", "reqps",
                    promql(rate("quantumleap_ticks_refused_records_total", "code", "action"), "{{code}} {{action}}"),
                    width=8,
                ),
                lines(
                    "Bars", "Bars made, by instrument.", "short",
                    over_time("""
                        SELECT {bucket}, instrument_id, count() AS bars FROM {bar}
                        WHERE {during} AND {instruments} GROUP BY time, instrument_id ORDER BY time
                    """),
                    bars=True, stacked=True,
                ),
                lines(
                    "Close", "Closing prices of bars.", "none",
                    over_time("""
                        SELECT {bucket}, instrument_id, argMax(close, event_time) AS close FROM {bar}
                        WHERE {during} AND {instruments} GROUP BY time, instrument_id ORDER BY time
                    """),
                ),
                lines(
                    "Volatility", "Exponentially weighted, annualised.", "percentunit",
                    over_time("""
                        SELECT {bucket}, instrument_id, argMax(tuple(ewma_volatility),
                            event_time).1 AS volatility FROM {market_condition}
                        WHERE {during} AND {instruments} GROUP BY time, instrument_id ORDER BY time
                    """),
                ),
                states(
                    "Regime", "Of volatility, by its place in the instrument's own history.", "none",
                    over_time("""
                        SELECT event_time AS time, instrument_id, NUMBER AS volatility
                        FROM {market_condition}
                        WHERE {during} AND {instruments} AND regime IS NOT NULL ORDER BY time LIMIT 20000
                    """.replace("NUMBER", REGIMES.number("regime"))),
                    shown=REGIMES,
                    width=12, height=8,
                ),
            ),
        ),
    ),
)  # fmt: skip
