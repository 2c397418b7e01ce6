-- Each round trip of a strategy in an instrument from flat to flat, by its own fills: result after fees, duration, worst and best result on the way, and why it began and ended.
WITH steps AS
(
    SELECT
        account_id, strategy_id, instrument_id, provider_id, client_order_id, event_time, `offset`, side, price, currency, contract,
        ifNull(f.multiplier, toDecimal128(1, 12)) AS multiplier, fee, if(side = 'BUY', quantity, -quantity) AS signed,
        sum(signed) OVER earlier AS held, held - signed AS before,
        if(sign(before) = -sign(signed), least(quantity, abs(before)), toDecimal128(0, 12)) AS closing,
        quantity - closing AS opening,
        toInt64(closing > 0 AND sign(held) != sign(before)) AS ends,
        if(contract = 'LINEAR', toDecimal256(toDecimal256(price, 12) * multiplier, 24),
            if(price = 0, toDecimal256(0, 24), -toDecimal256(multiplier, 24) / price)) AS worth,
        if(opening = 0, fee, CAST(toDecimal256(fee, 24) * closing / quantity, 'Decimal(38, 12)')) AS closing_fee
    FROM `{database}`.fill AS f FINAL
    WINDOW earlier AS (PARTITION BY account_id, strategy_id, instrument_id ORDER BY `offset` ROWS UNBOUNDED PRECEDING)
),
halves AS
(
    SELECT
        *, half.1 AS trip, half.2 AS units, half.3 AS opens, if(opens, fee - closing_fee, closing_fee) AS half_fee,
        -sign(signed) * units * worth AS paid_back,
        sum(paid_back) OVER trade AS cash, sum(sign(signed) * units) OVER trade AS open_units,
        leadInFrame(event_time, 1, now64(6)) OVER (PARTITION BY account_id, strategy_id, instrument_id, trip
            ORDER BY `offset` ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS until
    FROM
    (
        SELECT *, sum(ends) OVER (PARTITION BY account_id, strategy_id, instrument_id ORDER BY `offset` ROWS UNBOUNDED PRECEDING) AS trips
        FROM steps
    )
    ARRAY JOIN [(trips - ends, closing, false), (trips, opening, true)] AS half
    WHERE units > 0
    WINDOW trade AS (PARTITION BY account_id, strategy_id, instrument_id, trip ORDER BY `offset` ROWS UNBOUNDED PRECEDING)
),
extremes AS
(
    -- Marks by four hours, and lowest and highest of these by sixteen days, for `lookups` (level, bucket). What comes twice changes neither.
    SELECT
        instrument_id, 0 AS level, intDiv(toUnixTimestamp64Micro(event_time), 14400000000) AS bucket,
        arrayZip(groupArray(toUnixTimestamp64Micro(event_time)), groupArray(low), groupArray(high)) AS within
    FROM `{database}`.mark GROUP BY instrument_id, bucket
    UNION ALL
    SELECT instrument_id, 1, intDiv(part, 96) AS days, arrayZip(groupArray(part), groupArray(lowest), groupArray(highest))
    FROM
    (
        SELECT
            instrument_id, intDiv(toUnixTimestamp64Micro(event_time), 14400000000) AS part, min(low) AS lowest, max(high) AS highest
        FROM `{database}`.mark GROUP BY instrument_id, part
    )
    GROUP BY instrument_id, days
),
lookups AS
(
    -- Each half with the buckets of marks between it and the next one of its trip; `place` 1 (0 where there are none) is the half itself.
    SELECT *, place, one.1 AS level, one.2 AS bucket, one.3 AS after, one.4 AS upto
    FROM
    (
        SELECT
            *, toUnixTimestamp64Micro(event_time) AS since, toUnixTimestamp64Micro(until) AS before_us,
            intDiv(since, 14400000000) AS first_part, intDiv(before_us, 14400000000) AS last_part,
            if(open_units = 0 OR until <= event_time, [], arrayConcat(
                arrayDistinct([(0, first_part, since, before_us), (0, last_part, since, before_us)]),
                arrayMap(days -> (1, days, first_part, last_part),
                    if(last_part - first_part > 1, range(intDiv(first_part + 1, 96), intDiv(last_part - 1, 96) + 1), [])))) AS asked
        FROM halves
    )
    LEFT ARRAY JOIN asked AS one, arrayEnumerate(asked) AS place
),
trips AS
(
    SELECT
        account_id, strategy_id, instrument_id, trip, argMin(provider_id, `offset`) AS provider_id, any(currency) AS currency,
        argMin(client_order_id, `offset`) AS entry_order, argMax(client_order_id, `offset`) AS exit_order,
        argMin(side, `offset`) = 'BUY' AS long, min(event_time) AS entry_time, max(event_time) AS exit_time,
        any(w.multiplier) AS multiplier, sumIf(units, opens AND place < 2) AS quantity,
        CAST(sumIf(toDecimal256(units, 24) * price, opens AND place < 2) / quantity, 'Decimal(38, 12)') AS entry_price,
        CAST(sumIf(toDecimal256(units, 24) * price, NOT opens AND place < 2) / quantity, 'Decimal(38, 12)') AS exit_price,
        CAST(sumIf(paid_back, place < 2), 'Decimal(38, 12)') AS gross, sumIf(half_fee, place < 2) AS fees,
        gross - fees AS pnl,
        minIf(cash + open_units * if(open_units > 0, low_worth, high_worth), seen) AS worst,
        maxIf(cash + open_units * if(open_units > 0, high_worth, low_worth), seen) AS best
    FROM
    (
        SELECT
            h.*, arrayFilter(e -> e.1 > h.after AND e.1 < h.upto, x.within) AS inside, notEmpty(inside) AS seen,
            arrayMin(e -> e.2, inside) AS low, arrayMax(e -> e.3, inside) AS high,
            if(h.contract = 'LINEAR', toDecimal256(toDecimal256(low, 12) * h.multiplier, 24),
                -toDecimal256(h.multiplier, 24) / if(low = 0, h.price, low)) AS low_worth,
            if(h.contract = 'LINEAR', toDecimal256(toDecimal256(high, 12) * h.multiplier, 24),
                -toDecimal256(h.multiplier, 24) / if(high = 0, h.price, high)) AS high_worth
        FROM lookups AS h
        LEFT JOIN extremes AS x ON h.instrument_id = x.instrument_id AND h.level = x.level AND h.bucket = x.bucket
    ) AS w
    GROUP BY account_id, strategy_id, instrument_id, trip
    HAVING sumIf(units, opens AND place < 2) = sumIf(units, NOT opens AND place < 2)
),
reasons AS
(
    -- What lies here twice says the same twice, and ANY takes one of them.
    SELECT
        c.account_id AS account_id, c.client_order_id AS client_order_id,
        multiIf(c.intent_id LIKE 'stop:%', splitByChar(':', c.intent_id)[2], c.intent_id LIKE 'flatten:%', 'FLATTEN',
            w.intent_id != '', 'WISH', h.request_id != '', 'BY_HAND', 'ENGINE') AS kind,
        multiIf(w.intent_id != '', w.reason, h.request_id != '', h.reason, c.intent_id) AS reason
    FROM `{database}`.submit_order AS c
    LEFT ANY JOIN `{database}`.trade_intent AS w ON c.account_id = w.account_id AND c.intent_id = w.intent_id
    LEFT ANY JOIN `{database}`.manual_order AS h
        ON c.account_id = h.account_id AND c.intent_id = h.request_id
)
SELECT
    t.account_id AS account_id, t.strategy_id AS strategy_id, t.instrument_id AS instrument_id, t.trip AS trip, provider_id,
    currency, if(t.long, 'LONG', 'SHORT') AS direction, entry_time, exit_time,
    dateDiff('microsecond', entry_time, exit_time) / 1e6 AS duration_s, t.quantity AS quantity, multiplier, entry_price,
    exit_price, pnl, fees,
    least(toDecimal128(0, 12), gross, CAST(t.worst, 'Decimal(38, 12)')) AS mae,
    greatest(toDecimal128(0, 12), gross, CAST(t.best, 'Decimal(38, 12)')) AS mfe,
    b.kind AS entry_kind, b.reason AS entry_reason, e.kind AS exit_kind, e.reason AS exit_reason
FROM trips AS t
LEFT ANY JOIN reasons AS b ON t.account_id = b.account_id AND t.entry_order = b.client_order_id
LEFT ANY JOIN reasons AS e ON t.account_id = e.account_id AND t.exit_order = e.client_order_id
