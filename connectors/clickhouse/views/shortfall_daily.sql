-- Implementation shortfall by the day on which orders ended, venue, strategy, instrument and size: what they cost against paper, in parts that add up.
SELECT
    toDate(subtractMicroseconds(ended, 1)) AS day, account_id, venue, strategy_id, provider_id, instrument_id,
    notional_from, currency, count() AS orders, countIf(s.shortfall IS NULL) AS unknown,
    sum(s.ordered_notional) AS ordered, sum(s.delay) AS delay, sum(s.execution) AS execution,
    sum(s.opportunity) AS opportunity, sum(s.fees) AS fees, sum(s.shortfall) AS shortfall,
    count(s.arrival_bps) AS filled, sum(s.arrival_bps) AS arrival_bps_sum, sum(s.close_bps) AS close_bps_sum,
    count(s.vwap_bps) AS with_volume, sum(s.vwap_bps) AS vwap_bps_sum, sum(s.twap_bps) AS twap_bps_sum
FROM `{database}`.implementation_shortfall AS s
GROUP BY day, account_id, venue, strategy_id, provider_id, instrument_id, notional_from, currency
