"""Execution quality: what trading cost, and where."""

from dashboards.grafana.board import Board, Section
from dashboards.grafana.panels import (
    board_with,
    columns,
    figure,
    lines,
    ranks,
    rows,
)
from dashboards.grafana.queries import over_time, sql

BOARD = Board(
    uid="ql-execution",
    title="Execution quality",
    description="Slippage against the price when the decision fell, shortfall in parts, and who or what it hangs on.",
    choices=("account", "instrument", "strategy"),
    since="now-30d",
    sections=(
        Section(
            "Slippage",
            (
                figure(
                    "Mean slippage",
                    "Mean over fills weighted by notional, basis points of the decision's price; positive is worse.",
                    "none",
                    sql("""
                        SELECT sum(v.slippage_bps * abs(toFloat64(v.notional))) / sum(abs(toFloat64(v.notional))) AS bps
                        FROM {execution_quality} AS v WHERE {view_during} AND {view_accounts} AND {view_instruments}
                            AND {view_strategies}
                    """),
                    decimals=2, height=8,
                ),
                lines(
                    "Slippage over time", "Mean and spread over fills, basis points; positive is worse.", "none",
                    over_time("""
                        SELECT {view_bucket}, v.venue AS venue, avg(v.slippage_bps) AS mean_bps,
                            quantile(0.9)(v.slippage_bps) AS p90_bps
                        FROM {execution_quality} AS v WHERE {view_during} AND {view_accounts} AND {view_instruments}
                            AND {view_strategies}
                        GROUP BY time, venue ORDER BY time
                    """),
                    width=10,
                ),
                columns(
                    "Distribution", "Fills by slippage, in steps of one basis point.", "short",
                    sql("""
                        SELECT toString(step) AS bps, fills FROM (
                            SELECT greatest(-25, least(25, floor(v.slippage_bps))) AS step, count() AS fills
                            FROM {execution_quality} AS v WHERE {view_during} AND {view_accounts}
                                AND {view_instruments} AND {view_strategies} AND v.slippage_bps IS NOT NULL
                            GROUP BY step
                        ) ORDER BY step
                    """),
                    by="bps", width=10,
                ),
                rows(
                    "By venue", "Fills, money and cost at each venue.", "locale",
                    sql("""
                        SELECT v.venue AS venue, v.currency AS currency, count() AS fills,
                            sum(abs(v.notional)) AS notional,
                            avg(v.slippage_bps) AS mean_bps, quantile(0.99)(v.slippage_bps) AS p99_bps,
                                sum(v.slippage) AS slippage,
                            sum(v.fee) AS fees
                        FROM {execution_quality} AS v WHERE {view_during} AND {view_accounts} AND {view_instruments}
                            AND {view_strategies}
                        GROUP BY venue, currency ORDER BY notional DESC
                    """),
                    units={"fills": "short", "mean_bps": "none", "p99_bps": "none"}, width=12,
                ),
                rows(
                    "By strategy", "Fills, money and cost of each strategy.", "locale",
                    sql("""
                        SELECT v.strategy_id AS strategy, v.currency AS currency, count() AS fills,
                            sum(abs(v.notional)) AS notional,
                            avg(v.slippage_bps) AS mean_bps, quantile(0.99)(v.slippage_bps) AS p99_bps,
                                sum(v.slippage) AS slippage,
                            sum(v.fee) AS fees
                        FROM {execution_quality} AS v WHERE {view_during} AND {view_accounts} AND {view_instruments}
                            AND {view_strategies}
                        GROUP BY strategy, currency ORDER BY notional DESC
                    """),
                    units={"fills": "short", "mean_bps": "none", "p99_bps": "none"}, width=12,
                    links={"strategy": board_with("ql-pnl", "strategy")},
                ),
                columns(
                    "By size", "Mean slippage by power of ten of the fill's notional, basis points.", "none",
                    sql("""
                        SELECT concat('10^', toString(size)) AS notional, bps FROM (
                            SELECT toInt32(floor(log10(greatest(abs(toFloat64(v.notional)), 1)))) AS size,
                                avg(v.slippage_bps) AS bps
                            FROM {execution_quality} AS v WHERE {view_during} AND {view_accounts}
                                AND {view_instruments} AND {view_strategies} GROUP BY size
                        ) ORDER BY notional
                    """),
                    by="notional",
                ),
                ranks(
                    "By instrument", "Mean slippage, basis points; positive is worse.", "none",
                    sql("""
                        SELECT v.instrument_id AS instrument, avg(v.slippage_bps) AS bps
                        FROM {execution_quality} AS v WHERE {view_during} AND {view_accounts} AND {view_instruments}
                            AND {view_strategies}
                        GROUP BY instrument ORDER BY bps DESC LIMIT 25
                    """),
                    width=12,
                ),
            ),
        ),
        Section(
            "Shortfall",
            (
                columns(
                    "Implementation shortfall",
                    "Cost against the price that the strategy looked at: delay until the order, execution against "
                    "the order's price, what was not filled, fees. In quote currency; they add up to the whole.",
                    "locale",
                    sql("""
                        SELECT strategy_id, delay, execution, opportunity, fees,
                            delay + execution + opportunity + fees AS whole FROM (
                            SELECT o.strategy_id AS strategy_id,
                                sum(o.sign * toFloat64(o.filled) * toFloat64(o.reference - i.wished)) AS delay,
                                sum(o.sign * toFloat64(o.filled) * toFloat64(ifNull(o.paid,
                                    o.reference) - o.reference)) AS execution,
                                sum(o.sign * toFloat64(o.unfilled) * toFloat64(m.last - i.wished)) AS opportunity,
                                sum(toFloat64(f.fees)) AS fees
                            FROM (
                                SELECT account_id, client_order_id, intent_id, strategy_id, instrument_id,
                                    if(side = 'BUY', 1, -1) AS sign,
                                    filled_quantity AS filled, quantity - filled_quantity AS unfilled,
                                        average_price AS paid,
                                    assumeNotNull(reference_price) AS reference
                                FROM {orders}
                                WHERE $__timeFilter(began) AND {accounts} AND {instruments} AND {strategies}
                                    AND reference_price IS NOT NULL
                                    AND status IN ('FILLED', 'CANCELED', 'EXPIRED', 'REJECTED')
                            ) AS o
                            INNER JOIN (SELECT account_id, intent_id, reference_price AS wished
                            FROM {trade_intent}) AS i
                                ON o.account_id = i.account_id AND o.intent_id = i.intent_id
                            INNER JOIN (SELECT instrument_id, argMax(close, event_time) AS last FROM {bar}
                            WHERE {during} GROUP BY instrument_id) AS m
                                ON o.instrument_id = m.instrument_id
                            LEFT JOIN (SELECT account_id, client_order_id, sum(fee) AS fees FROM {fill}
                            GROUP BY account_id, client_order_id) AS f
                                ON o.account_id = f.account_id AND o.client_order_id = f.client_order_id
                            GROUP BY strategy_id
                        ) ORDER BY whole DESC LIMIT 20
                    """),
                    by="strategy_id", width=24, height=10,
                ),
                lines(
                    "Fees", "Fees by currency; negative is a rebate.", "locale",
                    over_time("""
                        SELECT {bucket}, fee_currency AS currency, sum(fee) AS fees FROM {fill}
                        WHERE {during} AND {accounts} AND {instruments} AND {strategies} GROUP BY time, currency
                        ORDER BY time
                    """),
                    bars=True, stacked=True,
                ),
                lines(
                    "Notional traded", "By instrument, in quote currency.", "locale",
                    over_time("""
                        SELECT {bucket}, instrument_id, sum(abs(quantity * price * ifNull(multiplier,
                            1))) AS notional FROM {fill}
                        WHERE {during} AND {accounts} AND {instruments} AND {strategies}
                        GROUP BY time, instrument_id ORDER BY time
                    """),
                    bars=True, stacked=True,
                ),
                rows(
                    "Worst fills", "The twenty fills that slipped most, basis points.", "locale",
                    sql("""
                        SELECT v.time AS time, v.account_id AS account, v.strategy_id AS strategy,
                            v.instrument_id AS instrument, v.side AS side,
                            v.quantity AS quantity, v.reference_price AS decided_at, v.price AS price,
                                v.slippage_bps AS bps,
                            v.slippage AS slippage, v.currency AS currency, v.client_order_id AS client_order_id
                        FROM {execution_quality} AS v WHERE {view_during} AND {view_accounts} AND {view_instruments}
                            AND {view_strategies}
                        ORDER BY v.slippage_bps DESC LIMIT 20
                    """),
                    units={"bps": "none", "quantity": "short"},
                    links={"client_order_id": board_with("ql-orders", "order")},
                ),
            ),
        ),
    ),
)  # fmt: skip
