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

_ENDED = "v.status IN ('FILLED', 'CANCELED', 'EXPIRED', 'REJECTED')"

_MEANS = ", ".join(
    f"avgWeighted(v.{benchmark}_bps, toFloat64(v.ordered_notional)) AS {benchmark}"
    for benchmark in ("decision", "arrival", "vwap", "twap", "close")
)
"""Basis points against each benchmark; one that is unknown for an order counts that order out."""

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
                    "Cost of ended orders against paper: delay until the order, execution, what was not filled "
                    "until the day's end, fees. In the instrument's currency; they add up to the whole.",
                    "locale",
                    sql("""
                        SELECT concat(v.strategy_id, ' ', v.currency) AS strategy, sum(v.delay) AS delay,
                            sum(v.execution) AS execution, sum(v.opportunity) AS opportunity, sum(v.fees) AS fees,
                            sum(v.shortfall) AS whole
                        FROM {implementation_shortfall} AS v WHERE {view_during} AND {view_accounts}
                            AND {view_instruments} AND {view_strategies} AND ENDED AND v.shortfall IS NOT NULL
                        GROUP BY strategy ORDER BY whole DESC LIMIT 20
                    """.replace("ENDED", _ENDED)),
                    by="strategy", width=24, height=10,
                ),
                columns(
                    "Price paid against benchmarks",
                    "Mean over ended orders weighted by notional, basis points of the price when it was decided, when "
                    "the order arrived, over its life by volume and by time, and at the day's end; positive is worse.",
                    "none",
                    sql("""
                        SELECT v.strategy_id AS strategy, MEANS
                        FROM {implementation_shortfall} AS v WHERE {view_during} AND {view_accounts}
                            AND {view_instruments} AND {view_strategies} AND ENDED AND v.filled_quantity > 0
                        GROUP BY strategy ORDER BY strategy LIMIT 20
                    """.replace("ENDED", _ENDED).replace("MEANS", _MEANS)),
                    by="strategy",
                ),
                columns(
                    "Shortfall by size of order",
                    "Basis points of what was ordered, by the notional from which the class of size begins; "
                    "positive is worse.",
                    "none",
                    sql("""
                        SELECT concat('from ', toString(toUInt64(size)), ' ', currency) AS ordered, bps FROM (
                            SELECT v.notional_from AS size, v.currency AS currency,
                                sum(toFloat64(v.shortfall)) / nullIf(sum(toFloat64(v.ordered_notional)), 0) * 10000
                                    AS bps
                            FROM {implementation_shortfall} AS v WHERE {view_during} AND {view_accounts}
                                AND {view_instruments} AND {view_strategies} AND ENDED AND v.shortfall IS NOT NULL
                            GROUP BY size, currency
                        ) ORDER BY currency, size
                    """.replace("ENDED", _ENDED)),
                    by="ordered",
                ),
                rows(
                    "Costliest orders", "The twenty ended orders with the greatest shortfall, and its parts.", "locale",
                    sql("""
                        SELECT v.time AS time, v.account_id AS account, v.strategy_id AS strategy,
                            v.instrument_id AS instrument, v.venue AS venue, v.side AS side, v.status AS status,
                            v.quantity AS quantity, v.filled_quantity AS filled, v.delay AS delay,
                            v.execution AS execution, v.opportunity AS opportunity, v.fees AS fees,
                            v.shortfall AS shortfall, v.shortfall_bps AS bps, v.currency AS currency,
                            v.client_order_id AS client_order_id
                        FROM {implementation_shortfall} AS v WHERE {view_during} AND {view_accounts}
                            AND {view_instruments} AND {view_strategies} AND ENDED AND v.shortfall IS NOT NULL
                        ORDER BY v.shortfall DESC LIMIT 20
                    """.replace("ENDED", _ENDED)),
                    units={"bps": "none", "quantity": "short", "filled": "short"},
                    links={"client_order_id": board_with("ql-orders", "order")},
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
