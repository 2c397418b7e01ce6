"""Signals: who says what, what passes, and who was right."""

from dashboards.grafana.board import Board, Section
from dashboards.grafana.panels import ANY_IS_BAD, columns, figure, lines, ranks, rows, shares
from dashboards.grafana.queries import over_time, promql, rate, sql

BOARD = Board(
    uid="ql-signals",
    title="Signals",
    description="Opinions of AI providers: how many, how old, which were refused, and how often they were right.",
    choices=("instrument",),
    sections=(
        Section(
            "What comes in",
            (
                lines(
                    "Accepted by provider", "Signals that passed, by provider.", "short",
                    over_time("""
                        SELECT {bucket}, signal_provider_id AS provider, count() AS accepted
                        FROM {accepted_signal} WHERE {during} AND {instruments} GROUP BY time, provider ORDER BY time
                    """),
                    bars=True, stacked=True,
                ),
                lines(
                    "Refused by reason", "Signals that did not pass, by the rule that refused them.", "short",
                    over_time("""
                        SELECT {bucket}, code, count() AS refused
                        FROM {refused_signal} WHERE {during} AND {instruments} GROUP BY time, code ORDER BY time
                    """),
                    bars=True, stacked=True,
                ),
                figure(
                    "Accepted", "Share of all judged signals that passed.", "percentunit",
                    sql("""
                        SELECT countIf(passed) / count() AS accepted FROM (
                            SELECT 1 AS passed FROM {accepted_signal} WHERE {during} AND {instruments}
                            UNION ALL
                            SELECT 0 AS passed FROM {refused_signal} WHERE {during} AND {instruments}
                        )
                    """),
                    decimals=1, height=8,
                ),
                figure(
                    "Bad signatures", "Signals whose signature did not match: a wrong key, or someone else.", "none",
                    sql("SELECT count() AS refused FROM {refused_signal} WHERE {during} AND code = 'SIGNATURE'"),
                    thresholds=ANY_IS_BAD, height=8,
                ),
                lines(
                    "Age at decision", "Time from a signal's making to its acceptance: median and 99th percentile.",
                    "s",
                    over_time("""
                        SELECT {bucket}, signal_provider_id AS provider,
                            quantile(0.5)(dateDiff('microsecond', signal_event_time, event_time) / 1e6) AS p50,
                            quantile(0.99)(dateDiff('microsecond', signal_event_time, event_time) / 1e6) AS p99
                        FROM {accepted_signal} WHERE {during} AND {instruments} GROUP BY time, provider ORDER BY time
                    """),
                    width=8,
                ),
                lines(
                    "Rate now", "Signals accepted and refused each second, as the process counts them.", "reqps",
                    promql(rate("quantumleap_signals_accepted_records_total", "provider"), "{{provider}} accepted"),
                    promql(rate("quantumleap_signals_refused_records_total", "code"), "{{code}}", "B"),
                    width=8,
                ),
            ),
        ),
        Section(
            "How good they are",
            (
                columns(
                    "Confidence", "How sure providers say they are; before calibration it sizes nothing.", "short",
                    sql("""
                        SELECT toString(round(floor(signal_confidence * 10) / 10, 1)) AS confidence, count() AS signals
                        FROM {accepted_signal} WHERE {during} AND {instruments} AND signal_confidence IS NOT NULL
                        GROUP BY confidence ORDER BY confidence
                    """),
                    by="confidence", width=8,
                ),
                columns(
                    "Calibration",
                    "Of signals with about this probability, the share that was right; both bars should agree.",
                    "percentunit",
                    sql("""
                        SELECT toString(round(floor(v.probability * 10) / 10, 1)) AS stated,
                            avg(v.probability) AS said, avg(v.hit) AS right
                        FROM {signal_scores} AS v
                        WHERE {view_during} AND {view_instruments}
                            AND v.probability IS NOT NULL
                        GROUP BY stated ORDER BY stated
                    """),
                    by="stated", width=8,
                ),
                lines(
                    "Hit rate over time", "Share of scored signals whose direction was right.", "percentunit",
                    over_time("""
                        SELECT {view_bucket}, v.provider_id AS provider, avg(v.hit) AS hit_rate
                        FROM {signal_scores} AS v
                        WHERE {view_during} AND {view_instruments}
                        GROUP BY time, provider ORDER BY time
                    """),
                    width=8,
                ),
                rows(
                    "Scores by provider and model",
                    "Scored against the bar at each signal's horizon. Below 30 scored, a share means little.", "short",
                    sql("""
                        SELECT v.provider_id AS provider, v.model_version AS model_version, count() AS scored,
                            avg(v.hit) AS hit_rate,
                            avg(v.return_our_way) AS mean_return, avg(v.brier) AS brier, min(v.time) AS first,
                                max(v.time) AS last
                        FROM {signal_scores} AS v
                        WHERE {view_during} AND {view_instruments}
                        GROUP BY provider, model_version ORDER BY scored DESC
                    """),
                    units={"hit_rate": "percentunit", "mean_return": "percentunit"}, width=16,
                ),
                shares(
                    "Model versions", "Which versions of which models spoke.", "short",
                    sql("""
                        SELECT concat(signal_model_name, ' ', signal_model_version) AS model, count() AS signals
                        FROM {accepted_signal} WHERE {during} AND {instruments} GROUP BY model
                        ORDER BY signals DESC LIMIT 20
                    """),
                ),
                lines(
                    "Model version over time", "Signals by model version: a new colour is a new version.", "short",
                    over_time("""
                        SELECT {bucket}, signal_model_version AS version, count() AS signals
                        FROM {accepted_signal} WHERE {during} AND {instruments} GROUP BY time, version ORDER BY time
                    """),
                    bars=True, stacked=True,
                ),
                lines(
                    "Cost of opinions", "Money that providers say their signals cost, US dollars.", "currencyUSD",
                    over_time("""
                        SELECT {bucket}, signal_provider_id AS provider, sum(ifNull(signal_cost_usd, 0)) AS cost
                        FROM {accepted_signal} WHERE {during} AND {instruments} GROUP BY time, provider ORDER BY time
                    """),
                    bars=True, stacked=True,
                ),
                ranks(
                    "Refusals by provider and reason", "Who is refused, and for what.", "short",
                    sql("""
                        SELECT concat(provider_id, ': ', code) AS who, count() AS refused
                        FROM {refused_signal} WHERE {during} AND {instruments} GROUP BY who
                        ORDER BY refused DESC LIMIT 20
                    """),
                ),
                rows(
                    "Newest refusals", "With the value that decided and the bound that it broke.", "none",
                    sql("""
                        SELECT event_time, provider_id, instrument_id, code, value, `limit`, signal_id, model_version
                        FROM {refused_signal} WHERE {during} AND {instruments} ORDER BY event_time DESC LIMIT 100
                    """),
                    width=16,
                ),
            ),
        ),
    ),
)  # fmt: skip
