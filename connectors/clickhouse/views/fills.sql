-- Every execution of ours, once.
SELECT
    event_time AS time, account_id, strategy_id, provider_id, signal_id, instrument_id, side,
    quantity, price, currency, quantity * price * ifNull(multiplier, 1) AS notional,
    fee, fee_currency, realised_pnl, position_quantity, reference_price, client_order_id, venue, fill_id
FROM `{database}`.fill FINAL
