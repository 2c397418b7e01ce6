-- What each order cost against paper (Perold 1988), in delay, execution, opportunity and fees that add up; bps by price of decision, arrival, interval and close.
WITH marks_so_far AS
(
    -- Sums up to each time, in which a mark that lies here twice counts once; its last price is the same twice.
    SELECT
        instrument_id AS marked, event_time AS at, toNullable(last) AS last,
        toNullable(sum(middle * once) OVER sofar) AS typical, toNullable(sum(once) OVER sofar) AS marks,
        toNullable(sum(middle * units * once) OVER sofar) AS traded, toNullable(sum(units * once) OVER sofar) AS volume
    FROM
    (
        SELECT
            instrument_id, event_time, last, toFloat64(low + high + last) / 3 AS middle,
            toFloat64(ifNull(volume, 0)) AS units,
            toInt64(event_id != lagInFrame(event_id) OVER (PARTITION BY instrument_id ORDER BY event_time, event_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)) AS once
        FROM `{database}`.mark
    )
    WINDOW sofar AS (PARTITION BY instrument_id ORDER BY event_time RANGE UNBOUNDED PRECEDING)
)
SELECT
    began AS time, ended, account_id, strategy_id, provider_id, instrument_id, venue, client_order_id, side, status,
    quantity, filled_quantity, currency, decision_price, arrival_price, average_price, interval_vwap, interval_twap,
    close_price, ordered_notional,
    roundDown(toFloat64(ordered_notional), [0, 10000, 30000, 100000, 300000, 1000000]) AS notional_from,
    delay, shortfall - delay - opportunity - fees AS execution, opportunity, fees, shortfall,
    if(ordered_notional = 0, NULL, toFloat64(shortfall) / toFloat64(ordered_notional) * 10000) AS shortfall_bps,
    sign * (toFloat64(average_price) - toFloat64(decision_price)) / nullIf(abs(toFloat64(decision_price)), 0) * 10000 AS decision_bps,
    sign * (toFloat64(average_price) - toFloat64(arrival_price)) / nullIf(abs(toFloat64(arrival_price)), 0) * 10000 AS arrival_bps,
    sign * (toFloat64(average_price) - interval_vwap) / nullIf(abs(interval_vwap), 0) * 10000 AS vwap_bps,
    sign * (toFloat64(average_price) - interval_twap) / nullIf(abs(interval_twap), 0) * 10000 AS twap_bps,
    sign * (toFloat64(average_price) - toFloat64(close_price)) / nullIf(abs(toFloat64(close_price)), 0) * 10000 AS close_bps
FROM
(
    SELECT
        *, quantity - filled_quantity AS missed,
        CAST(sign * filled_quantity * (arrival_worth - decision_worth), 'Nullable(Decimal(38, 12))') AS delay,
        CAST(if(missed = 0, toDecimal256(0, 36), sign * missed * (close_worth - decision_worth)),
            'Nullable(Decimal(38, 12))') AS opportunity,
        CAST(sign * (executed_worth - filled_quantity * decision_worth), 'Nullable(Decimal(38, 12))')
            + opportunity + fees AS shortfall,
        CAST(abs(quantity * decision_worth), 'Nullable(Decimal(38, 12))') AS ordered_notional
    FROM
    (
        SELECT
            known.*, if(side = 'BUY', 1, -1) AS sign, reference_price AS decision_price,
            arrival.last AS arrival_price, day.last AS close_price,
            (through.traded - arrival.traded) / nullIf(through.volume - arrival.volume, 0) AS interval_vwap,
            (through.typical - arrival.typical) / nullIf(through.marks - arrival.marks, 0) AS interval_twap,
            multiIf(contract = 'LINEAR', toDecimal256(decision_price, 12) * multiplier,
                decision_price = 0, NULL, -toDecimal256(multiplier, 24) / decision_price) AS decision_worth,
            multiIf(contract = 'LINEAR', toDecimal256(arrival_price, 12) * multiplier,
                arrival_price = 0, NULL, -toDecimal256(multiplier, 24) / arrival_price) AS arrival_worth,
            multiIf(contract = 'LINEAR', toDecimal256(close_price, 12) * multiplier,
                close_price = 0, NULL, -toDecimal256(multiplier, 24) / close_price) AS close_worth
        FROM
        (
            SELECT
                o.*, i.multiplier AS multiplier, i.contract AS contract, i.currency AS currency,
                ifNull(acknowledged, began) AS arrived, ifNull(last_fill, moved) AS ended,
                toDateTime64(toDate(subtractMicroseconds(ended, 1)) + 1, 6, 'UTC') AS day_ends
            FROM
            (
                -- One grouping of what lies about an order in three tables costs half of joining them.
                SELECT
                    account_id, client_order_id, argMax(strategy_id, place) AS strategy_id,
                    argMax(provider_id, place) AS provider_id, argMax(instrument_id, place) AS instrument_id,
                    argMax(side, place) AS side, argMax(status, place) AS status, argMax(quantity, place) AS quantity,
                    argMax(filled, place) AS filled_quantity, argMax(average_price, place) AS average_price,
                    argMax(reference_price, place) AS reference_price, max(venue) AS venue,
                    assumeNotNull(min(at)) AS began, assumeNotNull(max(at)) AS moved,
                    minOrNullIf(assumeNotNull(at), said.status = 'NEW') AS acknowledged,
                    sum(worth) AS executed_worth, max(filled_at) AS last_fill,
                    if(sum(foreign_fees) > 0, NULL, sum(fee)) AS fees
                FROM
                (
                    SELECT
                        account_id, client_order_id, `offset` AS place, toNullable(event_time) AS at, strategy_id,
                        provider_id, instrument_id, side, status, quantity, cumulative_quantity AS filled, average_price,
                        reference_price, '' AS venue, toDecimal256(0, 36) AS worth, toDecimal128(0, 12) AS fee,
                        toUInt8(0) AS foreign_fees, CAST(NULL, 'Nullable(DateTime64(6, \'UTC\'))') AS filled_at
                    FROM `{database}`.order_event
                    UNION ALL
                    SELECT
                        account_id, client_order_id, -1, NULL, '', '', '', '', '', 0, 0, NULL, NULL, venue, 0, 0, 0, NULL
                    FROM `{database}`.submit_order
                    UNION ALL
                    SELECT
                        account_id, client_order_id, -1, NULL, '', '', '', '', '', 0, 0, NULL, NULL, '',
                        multiIf(
                            contract = 'LINEAR', toDecimal256(quantity, 12) * price * multiplier,
                            price = 0, toDecimal256(0, 36),
                            toDecimal256(-toDecimal256(quantity, 24) / price * multiplier, 36)),
                        fee, fee != 0 AND fee_currency != currency, time
                    FROM `{database}`.fills
                ) AS said
                GROUP BY account_id, client_order_id
                HAVING max(place) >= 0 AND venue != '' AND reference_price IS NOT NULL
            ) AS o
            INNER JOIN
            (
                SELECT
                    instrument_id, argMax(multiplier, version) AS multiplier, argMax(contract, version) AS contract,
                    argMax(settlement_currency, version) AS currency
                FROM `{database}`.instrument GROUP BY instrument_id
            ) AS i ON o.instrument_id = i.instrument_id
        ) AS known
        ASOF LEFT JOIN marks_so_far AS arrival ON known.instrument_id = arrival.marked AND known.arrived >= arrival.at
        ASOF LEFT JOIN marks_so_far AS through ON known.instrument_id = through.marked AND known.ended >= through.at
        ASOF LEFT JOIN marks_so_far AS day ON known.instrument_id = day.marked AND known.day_ends >= day.at
    )
)
