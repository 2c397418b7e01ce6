-- Who and what earned each account's newest result, in its base currency: by strategy, provider, instrument, sector, side held and cost; each adds up to the account's P&L, REST is what nobody in it explains.
WITH newest AS
(
    -- The last words of pnl_daily, grouped so that a question about one account reads that account alone.
    SELECT
        account_id, dimension, member, tupleElement(told, 1) AS currency, tupleElement(told, 2) AS fees,
        tupleElement(told, 3) AS pnl
    FROM
    (
        SELECT
            account_id, dimension, member, argMax(
                (currency, fees, realised_pnl + unrealised_pnl - fees),
                (toDate(subtractMicroseconds(event_time, 1)), `offset`)) AS told
        FROM `{database}`.pnl_snapshot GROUP BY account_id, dimension, member
    )
),
conversions AS
(
    SELECT account_id, currency, argMaxIf(p.conversion, `offset`, p.conversion IS NOT NULL) AS conversion
    FROM `{database}`.position_state AS p GROUP BY account_id, currency
),
sides AS
(
    SELECT
        account_id, currency, if(ifNull(nullIf(held_before, 0), quantity) < 0, 'SHORT', 'LONG') AS side,
        sum(result - result_before) AS amount
    FROM
    (
        SELECT
            account_id, currency, quantity, assumeNotNull(realised_pnl + unrealised_pnl - fees) AS result,
            lagInFrame(result, 1, toDecimal128(0, 12)) OVER walk AS result_before,
            lagInFrame(quantity, 1, toDecimal128(0, 12)) OVER walk AS held_before
        FROM `{database}`.position_state FINAL WHERE unrealised_pnl IS NOT NULL
        WINDOW walk AS (PARTITION BY account_id, instrument_id ORDER BY `offset` ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
    )
    GROUP BY account_id, currency, side
),
parts AS
(
    SELECT account_id, dimension, member, pnl AS amount FROM newest WHERE dimension != 'ACCOUNT'
    UNION ALL
    SELECT n.account_id, 'SECTOR', if(i.sector = '', 'NONE', i.sector), sum(n.pnl)
    FROM newest AS n
    LEFT JOIN (SELECT instrument_id, argMax(sector, version) AS sector FROM `{database}`.instrument GROUP BY instrument_id) AS i
        ON n.member = i.instrument_id
    WHERE n.dimension = 'INSTRUMENT' GROUP BY n.account_id, i.sector
    UNION ALL
    SELECT s.account_id, 'SIDE', s.side, CAST(sum(toDecimal256(s.amount, 12) * c.conversion), 'Nullable(Decimal(38, 12))')
    FROM sides AS s INNER JOIN conversions AS c ON s.account_id = c.account_id AND s.currency = c.currency
    GROUP BY s.account_id, s.side
    UNION ALL
    SELECT account_id, 'COST', 'FEES', -fees FROM newest WHERE dimension = 'ACCOUNT'
    UNION ALL
    SELECT q.account_id, 'COST', 'SLIPPAGE', CAST(-sum(toDecimal256(q.slippage, 12) * c.conversion), 'Nullable(Decimal(38, 12))')
    FROM (SELECT account_id, currency, sum(slippage) AS slippage FROM `{database}`.execution_quality GROUP BY account_id, currency) AS q
    INNER JOIN conversions AS c ON q.account_id = c.account_id AND q.currency = c.currency
    GROUP BY q.account_id
),
accounts AS (SELECT account_id, currency, pnl AS whole FROM newest WHERE dimension = 'ACCOUNT')
SELECT account_id, dimension, row.1 AS member, currency, row.2 AS pnl
FROM
(
    SELECT
        p.account_id AS account_id, p.dimension AS dimension, a.currency AS currency,
        if(p.unknown > 0, NULL, a.whole - p.explained) AS left,
        if(ifNull(left, 1) = 0, p.rows, arrayPushBack(p.rows, (if(p.dimension = 'COST', 'BEFORE_COSTS', 'REST'), left))) AS rows
    FROM
    (
        SELECT
            account_id, toString(dimension) AS dimension, groupArray((toString(member), amount)) AS rows,
            countIf(amount IS NULL) AS unknown, sum(amount) AS explained
        FROM parts GROUP BY account_id, dimension
    ) AS p
    INNER JOIN accounts AS a ON p.account_id = a.account_id
)
ARRAY JOIN rows AS row
