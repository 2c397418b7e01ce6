-- Fills with a price of decision by day, venue, strategy, instrument and size: what was traded, and what it cost.
SELECT
    toDate(subtractMicroseconds(time, 1)) AS day, account_id, venue, strategy_id, provider_id, instrument_id,
    notional_from, currency, fee_currency, count() AS fills, sum(notional) AS traded, sum(fee) AS fees,
    sum(slippage) AS cost, sum(ifNull(slippage_bps, 0)) AS bps_sum, max(slippage_bps) AS worst_bps
FROM `{database}`.execution_quality
GROUP BY day, account_id, venue, strategy_id, provider_id, instrument_id, notional_from, currency, fee_currency
