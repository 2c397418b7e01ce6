"""Orders: from opinion to fill, and where they are lost on the way."""

from dashboards.grafana.board import Board, Section
from dashboards.grafana.panels import (
    ANY_IS_BAD,
    BAD,
    GOOD,
    WARN,
    board_with,
    columns,
    figure,
    heat,
    lines,
    ranks,
    rows,
    shares,
)
from dashboards.grafana.queries import buckets, over_time, promql, quantile, rate, rise, sql

BOARD = Board(
    uid="ql-orders",
    title="Orders",
    description="The way from signal to fill, the state of each order, and how the broker answers.",
    choices=("account", "instrument", "strategy"),
    sections=(
        Section(
            "The way of an order",
            (
                ranks(
                    "From signal to fill", "How many got how far, in the time shown.", "short",
                    sql("""
                        SELECT step, many FROM (
                            SELECT 1 AS n, '1 signals accepted' AS step, count() AS many FROM {accepted_signal}
                            WHERE {during} AND {instruments}
                            UNION ALL SELECT 2, '2 wishes of strategies', count() FROM {trade_intent}
                            WHERE {during} AND {accounts} AND {instruments} AND {strategies}
                            UNION ALL SELECT 3, '3 approved by risk', countIf(approved) FROM {risk_verdict}
                            WHERE {during} AND {accounts} AND {instruments} AND {strategies}
                            UNION ALL SELECT 4, '4 commanded', count() FROM {submit_order} WHERE {during}
                                AND {accounts} AND {instruments} AND {strategies}
                            UNION ALL SELECT 5, '5 acknowledged', uniqExact(client_order_id) FROM {order_event}
                                WHERE {during} AND status = 'NEW' AND {accounts} AND {instruments} AND {strategies}
                            UNION ALL SELECT 6, '6 filled, in part or whole', uniqExact(client_order_id) FROM {fill}
                                WHERE {during} AND {accounts} AND {instruments} AND {strategies}
                        ) ORDER BY n
                    """),
                    width=10, height=9,
                ),
                shares(
                    "Orders by state", "How the orders of the time shown stand now.", "short",
                    sql("""
                        SELECT status, count() AS orders FROM {orders}
                        WHERE $__timeFilter(began) AND {accounts} AND {instruments} AND {strategies}
                        GROUP BY status ORDER BY orders DESC
                    """),
                    width=7, height=9,
                ),
                figure(
                    "Filled", "Filled quantity over ordered quantity of orders that are done.", "percentunit",
                    sql("""
                        SELECT avg(toFloat64(filled_quantity) / toFloat64(quantity)) AS filled FROM {orders}
                        WHERE $__timeFilter(began) AND {accounts} AND {instruments} AND {strategies} AND quantity > 0
                            AND status IN ('FILLED', 'CANCELED', 'EXPIRED', 'REJECTED')
                    """),
                    decimals=1, height=9, width=3,
                ),
                figure(
                    "Rejected by the broker", "Share of commanded orders.", "percentunit",
                    sql("""
                        SELECT countIf(status = 'REJECTED') / count() AS rejected FROM {orders}
                        WHERE $__timeFilter(began) AND status != 'DENIED' AND {accounts} AND {instruments}
                        AND {strategies}
                    """),
                    decimals=1, height=9, width=2, thresholds=((None, GOOD), (0.01, WARN), (0.05, BAD)),
                ),
                figure(
                    "Unknown now", "Orders whose fate is undecided; see the runbook before doing anything.", "none",
                    promql("sum(quantumleap_orders_unknown{env})", now=True), thresholds=ANY_IS_BAD, height=9, width=2,
                ),
                lines(
                    "Orders commanded", "By side.", "short",
                    over_time("""
                        SELECT {bucket}, side, count() AS orders FROM {submit_order}
                        WHERE {during} AND {accounts} AND {instruments} AND {strategies} GROUP BY time, side
                        ORDER BY time
                    """),
                    bars=True, stacked=True,
                ),
                lines(
                    "Ends that were not fills", "Orders cancelled, expired, rejected or not sent.", "short",
                    over_time("""
                        SELECT {bucket}, status, uniqExact(client_order_id) AS orders FROM {order_event}
                        WHERE {during} AND status IN ('CANCELED', 'EXPIRED', 'REJECTED', 'UNKNOWN', 'DENIED')
                            AND {accounts} AND {instruments} AND {strategies}
                        GROUP BY time, status ORDER BY time
                    """),
                    bars=True, stacked=True,
                ),
                lines(
                    "Time to the broker's word",
                    "From command to acknowledgement, and to the first fill: median and 99th percentile.", "s",
                    over_time("""
                        SELECT toStartOfInterval(toDateTime(began), INTERVAL $__interval_s second) AS time,
                            quantileIf(0.5)(to_ack, to_ack >= 0) AS ack_p50, quantileIf(0.99)(to_ack,
                                to_ack >= 0) AS ack_p99,
                            quantileIf(0.5)(to_fill, to_fill >= 0) AS fill_p50, quantileIf(0.99)(to_fill,
                                to_fill >= 0) AS fill_p99
                        FROM (
                            SELECT client_order_id, min(event_time) AS began,
                                if(countIf(status = 'NEW') = 0, -1,
                                    dateDiff('microsecond', min(event_time), minIf(event_time,
                                        status = 'NEW')) / 1e6) AS to_ack,
                                if(countIf(cumulative_quantity > 0) = 0, -1,
                                    dateDiff('microsecond', min(event_time), minIf(event_time,
                                        cumulative_quantity > 0)) / 1e6) AS to_fill
                            FROM {order_event} WHERE {during} AND {accounts} AND {instruments} AND {strategies}
                            GROUP BY client_order_id
                        )
                        GROUP BY time ORDER BY time
                    """),
                ),
                columns(
                    "Time of day", "Orders commanded by hour of the day, UTC.", "short",
                    sql("""
                        SELECT leftPad(toString(toHour(event_time)), 2, '0') AS hour, countIf(side = 'BUY') AS buys,
                            countIf(side != 'BUY') AS sells
                        FROM {submit_order} WHERE {during} AND {accounts} AND {instruments} AND {strategies}
                        GROUP BY hour ORDER BY hour
                    """),
                    by="hour", stacked=True,
                ),
            ),
        ),
        Section(
            "The broker",
            (
                lines(
                    "Broker calls", "Median and 99th percentile of the time of a call, by call.", "s",
                    promql(quantile(0.5, "quantumleap_broker_call_seconds", "call"), "{{call}} p50"),
                    promql(quantile(0.99, "quantumleap_broker_call_seconds", "call"), "{{call}} p99", "B"),
                    width=8,
                ),
                lines(
                    "Outcomes of calls", "Calls each second by how they ended.", "reqps",
                    promql(rate("quantumleap_broker_call_seconds_count", "venue", "outcome"), "{{venue}} {{outcome}}"),
                    width=8, stacked=True,
                ),
                heat(
                    "Latency of calls", "How many calls took how long.", "s",
                    buckets(rise("quantumleap_broker_call_seconds_bucket", "le")), width=8,
                ),
                lines(
                    "Signal to socket",
                    "From a signal's making to its order at the socket; the objective is 250 ms for 99.9 %.", "s",
                    promql(quantile(0.5, "quantumleap_signal_to_order_seconds"), "p50"),
                    promql(quantile(0.99, "quantumleap_signal_to_order_seconds"), "p99", "B"),
                    thresholds=((None, GOOD), (0.25, BAD)), width=8,
                ),
                lines(
                    "Not sent", "Commands that execution refused to send, by reason.", "short",
                    promql(rise("quantumleap_not_sent_total", "venue", "reason"), "{{venue}} {{reason}}"),
                    bars=True, stacked=True, width=8,
                ),
                lines(
                    "Outstanding", "Commands read and not yet decided, and orders of unknown fate.", "short",
                    promql("sum by (venue) (quantumleap_commands_outstanding{env})", "{{venue}} outstanding"),
                    promql("sum by (venue) (quantumleap_orders_unknown{env})", "{{venue}} unknown", "B"),
                    width=8,
                ),
            ),
        ),
        Section(
            "One by one",
            (
                rows(
                    "Each order", "Newest first. The id leads to the order's story.", "short",
                    sql("""
                        SELECT began, account_id, client_order_id, instrument_id, side, order_type, status, quantity,
                            filled_quantity, average_price, reference_price, reason, strategy_id, provider_id, moved
                        FROM {orders} WHERE $__timeFilter(began) AND {accounts} AND {instruments} AND {strategies}
                        ORDER BY began DESC LIMIT 200
                    """),
                    height=10,
                    links={"client_order_id": board_with("ql-orders", "order")},
                ),
                rows(
                    "Story of one order",
                    "All that is known of the order whose id stands in the field Order above, step by step.", "short",
                    sql("""
                        SELECT v.time AS time, v.stage AS stage, v.step AS step, v.what AS what, v.quantity AS quantity,
                            v.price AS price, v.code AS code, v.detail AS detail
                        FROM {order_story} AS v WHERE v.client_order_id = ${order:singlequote}
                        ORDER BY v.time, v.stage LIMIT 500
                    """),
                    height=10,
                ),
                rows(
                    "Not sent, each", "Commands that execution refused to send, with the value that decided.", "none",
                    sql("""
                        SELECT event_time, account_id, client_order_id, reason, value, `limit` FROM {not_sent}
                        WHERE {during} AND {accounts} ORDER BY event_time DESC LIMIT 100
                    """),
                ),
            ),
        ),
    ),
    texts={"order": "Order"},
)  # fmt: skip
