-- Fills by day, venue, strategy, instrument and side: how many, what was traded, what it cost in fees and what it realised.
SELECT
    toDate(subtractMicroseconds(time, 1)) AS day, account_id, venue, strategy_id, provider_id, instrument_id, side, currency,
    fee_currency, count() AS fills, sum(f.quantity) AS units, sum(f.notional) AS traded, sum(f.fee) AS fees,
    sum(f.realised_pnl) AS realised_pnl
FROM `{database}`.fills AS f
GROUP BY day, account_id, venue, strategy_id, provider_id, instrument_id, side, currency, fee_currency
