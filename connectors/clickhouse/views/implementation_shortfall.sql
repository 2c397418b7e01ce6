-- What each order cost against paper (Perold 1988), in delay, execution, opportunity and fees that add up; bps by price of decision, arrival, interval and close.
WITH marks_so_far AS
(
    SELECT
        instrument_id AS marked, event_time AS at, toNullable(last) AS last,
        toNullable(sum(middle) OVER sofar) AS typical, toNullable(count() OVER sofar) AS marks,
        toNullable(sum(middle * units) OVER sofar) AS traded, toNullable(sum(units) OVER sofar) AS volume
    FROM
    (
        SELECT *, toFloat64(low + high + last) / 3 AS middle, toFloat64(ifNull(volume, 0)) AS units
        FROM `{database}`.mark FINAL
    )
    WINDOW sofar AS (PARTITION BY instrument_id ORDER BY event_time ROWS UNBOUNDED PRECEDING)
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
                o.account_id AS account_id, o.client_order_id AS client_order_id, o.strategy_id AS strategy_id,
                o.provider_id AS provider_id, o.instrument_id AS instrument_id, o.side AS side, o.status AS status,
                o.quantity AS quantity, o.filled_quantity AS filled_quantity, o.average_price AS average_price,
                o.reference_price AS reference_price, o.began AS began,
                i.multiplier AS multiplier, i.contract AS contract, i.currency AS currency, s.venue AS venue,
                ifNull(f.executed_worth, toDecimal256(0, 36)) AS executed_worth,
                if(f.foreign_fees > 0, NULL, ifNull(f.fees, toDecimal128(0, 12))) AS fees,
                ifNull(o.acknowledged, o.began) AS arrived,
                ifNull(f.last_fill, o.moved) AS ended,
                toDateTime64(toDate(subtractMicroseconds(ended, 1)) + 1, 6, 'UTC') AS day_ends
            FROM (SELECT * FROM `{database}`.orders WHERE reference_price IS NOT NULL) AS o
            INNER JOIN (SELECT account_id, client_order_id, venue FROM `{database}`.submit_order FINAL) AS s
                ON o.account_id = s.account_id AND o.client_order_id = s.client_order_id
            INNER JOIN
            (
                SELECT
                    instrument_id, argMax(multiplier, version) AS multiplier, argMax(contract, version) AS contract,
                    argMax(settlement_currency, version) AS currency
                FROM `{database}`.instrument GROUP BY instrument_id
            ) AS i ON o.instrument_id = i.instrument_id
            LEFT JOIN
            (
                SELECT
                    account_id, client_order_id, toNullable(max(time)) AS last_fill, toNullable(sum(fee)) AS fees,
                    countIf(fee != 0 AND fee_currency != currency) AS foreign_fees,
                    toNullable(sum(multiIf(
                        contract = 'LINEAR', toDecimal256(quantity, 12) * price * multiplier,
                        price = 0, toDecimal256(0, 36),
                        toDecimal256(-toDecimal256(quantity, 24) / price * multiplier, 36)))) AS executed_worth
                FROM `{database}`.fills GROUP BY account_id, client_order_id
            ) AS f ON o.account_id = f.account_id AND o.client_order_id = f.client_order_id
        ) AS known
        ASOF LEFT JOIN marks_so_far AS arrival ON known.instrument_id = arrival.marked AND known.arrived >= arrival.at
        ASOF LEFT JOIN marks_so_far AS through ON known.instrument_id = through.marked AND known.ended >= through.at
        ASOF LEFT JOIN marks_so_far AS day ON known.instrument_id = day.marked AND known.day_ends >= day.at
    )
)
