"""Positions and reconciliation: what we hold, and whether the broker agrees."""

from dashboards.grafana.board import Board, Section
from dashboards.grafana.panels import ANY_IS_BAD, figure, lines, ranks, rows
from dashboards.grafana.queries import over_time, promql, sql

BOARD = Board(
    uid="ql-positions",
    title="Positions and reconciliation",
    description="What each account holds and at which mark, next to what the broker says, and every difference.",
    choices=("account", "instrument"),
    sections=(
        Section(
            "What we hold",
            (
                rows(
                    "Positions now", "Quantity, mark and result of each position; flat ones below the others.",
                    "locale",
                    sql("""
                        SELECT account_id, instrument_id, quantity, average_price, mark, notional, unrealised_pnl,
                            realised_pnl, fees,
                            currency, as_of
                        FROM {positions_now} WHERE {accounts} AND {instruments}
                        ORDER BY quantity = 0, abs(notional) DESC LIMIT 500
                    """),
                    units={"quantity": "short", "as_of": "dateTimeAsIso"}, width=24,
                ),
                lines(
                    "Quantity", "Signed units of each position.", "short",
                    over_time("""
                        SELECT {bucket}, concat(account_id, ' ', instrument_id) AS position, argMax(quantity,
                            (event_time, `offset`)) AS quantity
                        FROM {position_state} WHERE {during} AND {accounts} AND {instruments}
                        GROUP BY time, position ORDER BY time
                    """),
                ),
                lines(
                    "Notional", "Absolute value at the mark, in the currency of each position.", "locale",
                    over_time("""
                        SELECT {bucket}, concat(account_id, ' ', instrument_id, ' ', currency) AS position,
                            argMax(notional, (event_time, `offset`)) AS notional
                        FROM {position_state} WHERE {during} AND {accounts} AND {instruments}
                        GROUP BY time, position ORDER BY time
                    """),
                    stacked=True,
                ),
                lines(
                    "Unrealised P&L", "At the mark, in the currency of each position.", "locale",
                    over_time("""
                        SELECT {bucket}, concat(account_id, ' ', instrument_id, ' ', currency) AS position,
                            argMax(unrealised_pnl, (event_time, `offset`)) AS unrealised
                        FROM {position_state} WHERE {during} AND {accounts} AND {instruments}
                        GROUP BY time, position ORDER BY time
                    """),
                ),
                ranks(
                    "Largest positions", "By value at the mark.", "locale",
                    sql("""
                        SELECT concat(account_id, ' ', instrument_id, ' ', currency) AS position, abs(notional) AS value
                        FROM {positions_now} WHERE {accounts} AND {instruments} AND quantity != 0
                        ORDER BY value DESC LIMIT 20
                    """),
                    width=12,
                ),
            ),
        ),
        Section(
            "What the broker says",
            (
                figure(
                    "Open differences", "Differences from the broker that nobody has settled.", "none",
                    sql("""
                        SELECT countIf(still_open) AS differences FROM (
                            SELECT argMax(open, (event_time, `offset`)) AS still_open FROM {discrepancy}
                            WHERE {accounts} GROUP BY account_id, discrepancy_id
                        )
                    """),
                    thresholds=ANY_IS_BAD, height=8,
                ),
                lines(
                    "Differences", "First seen, by kind.", "short",
                    over_time("""
                        SELECT {bucket}, kind, uniqExact(account_id, discrepancy_id) AS differences FROM {discrepancy}
                        WHERE {during} AND open AND {accounts} GROUP BY time, kind ORDER BY time
                    """),
                    bars=True, stacked=True, width=10,
                ),
                lines(
                    "Open now", "As the process counts them, by account.", "short",
                    promql("sum by (account) (quantumleap_discrepancies_open{env})", "{{account}}"), width=10,
                ),
                rows(
                    "Open differences in detail",
                    "Ours and theirs, and since when. Settle each with `quantumleap` and a reason.", "none",
                    sql("""
                        SELECT account_id, discrepancy_id, newest.1 AS kind, newest.2 AS instrument_id,
                            newest.3 AS ours, newest.4 AS theirs,
                            newest.5 AS since FROM (
                            SELECT account_id, discrepancy_id,
                                argMax((kind, instrument_id, ours, theirs, since, open), (event_time,
                                    `offset`)) AS newest
                            FROM {discrepancy} WHERE {accounts} GROUP BY account_id, discrepancy_id
                        ) WHERE newest.6 ORDER BY since LIMIT 200
                    """),
                ),
                rows(
                    "Ours and the broker's positions",
                    "Our quantity next to the broker's newest word; the difference should be zero.", "short",
                    sql("""
                        SELECT coalesce(nullIf(o.account_id, ''), b.account_id) AS account,
                            coalesce(nullIf(o.instrument_id, ''), b.instrument_id) AS instrument,
                            o.quantity AS ours, b.quantity AS theirs, ours - theirs AS difference, b.said_at AS said_at
                        FROM (SELECT account_id, instrument_id, quantity FROM {positions_now}) AS o
                        FULL OUTER JOIN (
                            SELECT account_id, held.instrument_id AS instrument_id, held.quantity AS quantity,
                                said_at FROM (
                                SELECT account_id, argMax(positions, (event_time, `offset`)) AS newest,
                                    max(event_time) AS said_at
                                FROM {broker_positions} GROUP BY account_id, venue
                            ) ARRAY JOIN newest AS held
                        ) AS b ON o.account_id = b.account_id AND o.instrument_id = b.instrument_id
                        WHERE $__conditionalAll(account IN (${account:singlequote}), $account)
                            AND $__conditionalAll(instrument IN (${instrument:singlequote}), $instrument)
                        ORDER BY abs(difference) DESC, account, instrument LIMIT 200
                    """),
                    units={"said_at": "dateTimeAsIso"}, width=14,
                ),
                rows(
                    "The broker's cash", "Newest word of each broker, by currency.", "locale",
                    sql("""
                        SELECT account_id, venue, cash.currency AS currency, cash.amount AS amount, said_at FROM (
                            SELECT account_id, venue, argMax(cash, (event_time, `offset`)) AS newest,
                                max(event_time) AS said_at
                            FROM {broker_cash} WHERE {accounts} GROUP BY account_id, venue
                        ) ARRAY JOIN newest AS cash ORDER BY account_id, venue, currency LIMIT 200
                    """),
                    units={"said_at": "dateTimeAsIso"}, width=10,
                ),
                rows(
                    "Money in and out", "Deposits, withdrawals, dividends, funding, interest.", "locale",
                    sql("""
                        SELECT event_time, account_id, currency, amount, reason, movement_id FROM {cash_movement}
                        WHERE {during} AND {accounts} ORDER BY event_time DESC LIMIT 100
                    """),
                    width=12,
                ),
                rows(
                    "Settled differences", "Who settled what, and which side was taken.", "none",
                    sql("""
                        SELECT event_time, account_id, discrepancy_id, adopt_theirs, author, reason
                        FROM {discrepancy_resolved}
                        WHERE {during} AND {accounts} ORDER BY event_time DESC LIMIT 100
                    """),
                    width=12,
                ),
            ),
        ),
    ),
)  # fmt: skip
