-- Result and equity at the end of each day, and what the day brought, by account, strategy, provider and instrument.
SELECT
    day, account_id, dimension, member, currency, equity, drawdown, realised_pnl, unrealised_pnl, fees,
    realised_pnl + unrealised_pnl - fees AS pnl,
    pnl - lagInFrame(pnl, 1, toDecimal64(0, 12))
        OVER (PARTITION BY account_id, dimension, member ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
        AS pnl_of_day,
    fills, closed_trades, winning_trades, turnover
FROM
(
    SELECT
        toDate(subtractMicroseconds(event_time, 1)) AS day, account_id, dimension, member,
        argMax(currency, `offset`) AS currency,
        argMax(tuple(equity), `offset`).1 AS equity,
        argMax(tuple(drawdown), `offset`).1 AS drawdown,
        argMax(realised_pnl, `offset`) AS realised_pnl,
        argMax(tuple(unrealised_pnl), `offset`).1 AS unrealised_pnl,
        argMax(fees, `offset`) AS fees,
        argMax(fills, `offset`) AS fills,
        argMax(closed_trades, `offset`) AS closed_trades,
        argMax(winning_trades, `offset`) AS winning_trades,
        argMax(turnover, `offset`) AS turnover
    FROM `{database}`.pnl_snapshot
    GROUP BY day, account_id, dimension, member
)
