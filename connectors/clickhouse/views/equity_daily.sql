-- Equity at the end of each day that risk looked at it, the day's return without deposits, and the fall from the highest daily equity.
SELECT
    day, account_id, currency, equity, net_deposits, day_return,
    1 - growth / greatest(1, max(growth) OVER (PARTITION BY account_id ORDER BY day)) AS drawdown
FROM
(
    SELECT
        *, exp(sum(log1p(greatest(ifNull(day_return, 0), -1))) OVER (PARTITION BY account_id ORDER BY day)) AS growth
    FROM
    (
        SELECT
            *,
            lagInFrame(toNullable(equity), 1, NULL) OVER earlier AS base,
            lagInFrame(net_deposits, 1, NULL) OVER earlier AS base_deposits,
            if(base > 0,
                (toFloat64(equity) - toFloat64(ifNull(net_deposits - base_deposits, 0))) / toFloat64(base) - 1, NULL)
                AS day_return
        FROM
        (
            SELECT
                toDate(subtractMicroseconds(event_time, 1)) AS day, account_id,
                argMax(currency, `offset`) AS currency,
                argMax(equity, `offset`) AS equity,
                argMax(tuple(net_deposits), `offset`).1 AS net_deposits
            FROM `{database}`.risk_snapshot
            GROUP BY day, account_id
        )
        WINDOW earlier AS (PARTITION BY account_id ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
    )
)
