-- Orders by the day on which they began, as they stand now: how many, units ordered and filled, and their steps.
SELECT
    toDate(subtractMicroseconds(began, 1)) AS day, account_id, strategy_id, provider_id, instrument_id, side, order_type,
    status, count() AS orders, sum(quantity) AS ordered, sum(filled_quantity) AS filled, sum(o.steps) AS steps
FROM `{database}`.orders AS o
GROUP BY day, account_id, strategy_id, provider_id, instrument_id, side, order_type, status
